"""A few malformed files for every reader; `python -m tests.fuzz` tries hundreds."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

INPUTS = 4


def script() -> Any:
    """tests/fuzz.py, which is no package."""
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


fuzz = script()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", fuzz.KINDS, ids=lambda kind: kind.name)
def test_a_malformed_file_is_refused_by_name_or_repaired(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.storing.checkpoint.EVERY", 30.0)  # the script sets them, and they are restored
    monkeypatch.setattr("bench.storing.checkpoint._SHARE", 20)
    assert [one for one in fuzz.outcomes(kind, INPUTS) if one.problem] == []
