"""A few kills of tests/crash.py, which makes as many as one likes."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Any:
    """tests/crash.py, a script."""
    spec = importlib.util.spec_from_file_location("crash", Path(__file__).with_name("crash.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "crash", module)  # where its dataclasses look for their names
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_a_dozen_kills_change_no_bit_and_leave_nothing(crash: Any) -> None:
    total = crash.crash(kills=12, seed=1)
    assert not total.problems, "\n".join(total.problems)
    assert total.kills.total() >= 12


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system shows no shared memory")
def test_what_lay_in_shared_memory_before_is_no_leftover(crash: Any) -> None:
    left = Path("/dev/shm") / f"hashbench-test_{os.getpid()}"
    left.touch()
    try:  # others may use the folder meanwhile
        assert left.name in crash.in_memory({os.getpid()}, time.time() - 60)
        assert left.name not in crash.in_memory({os.getpid()}, time.time() + 60)
    finally:
        left.unlink()
