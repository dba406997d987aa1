"""What README.md and docs/ show of results is what the committed results give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "reference"


@pytest.fixture
def check() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "refresh.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_shown_table_and_figure_agrees_with_the_results(
    check: subprocess.CompletedProcess[str],
) -> None:
    assert check.returncode == 0, check.stdout + check.stderr


def test_the_readme_shows_a_table_and_a_figure() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- $ bench table") >= 2


def test_the_results_are_those_of_the_code_as_it_is() -> None:
    from bench.storing.store import Store, stale_reasons

    records = Store(RESULTS).records()
    assert len(records) >= 40
    assert not stale_reasons(records)
