"""Fixtures that several test files share."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench
from bench import progress
from bench.plugins import registry


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., str]:
    """Runs code in a new interpreter that has ``bench`` and the given folders; returns what it printed."""

    def run(code: str, *folders: Path) -> str:
        home = Path(bench.__file__).parents[1]  # the checkout, or site-packages
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*folders, home]))}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Holds what progress would write to a terminal."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))  # pytest has taken sys.stderr itself
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    monkeypatch.setattr(progress._display, "last", 0.0)
    return stream


@pytest.fixture
def plugin_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes NAME.py; what a test adds to the registry is forgotten afterwards."""
    monkeypatch.setattr(registry, "_extra", {})
    for name in [n for n in sys.modules if n.startswith("bench_plugin_")]:
        monkeypatch.delitem(sys.modules, name)

    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write
