"""README.md and docs/ show what their commands print, from the committed results."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "reference"


def tool() -> Any:
    """docs/refresh.py, which is no package."""
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


refresh = tool()


@pytest.mark.parametrize("output", list(refresh.shown()), ids=str)
def test_a_shown_table_or_figure_is_what_its_command_gives(output: Any) -> None:
    assert not output.differences()


def test_the_readme_shows_a_table_and_a_figure() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- $ bench table") >= 2


def test_the_results_are_those_of_the_code_as_it_is() -> None:
    from bench.storing.store import Store, stale_reasons

    records = Store(RESULTS).records()
    assert len(records) >= 40
    assert not stale_reasons(records)


def test_a_difference_is_shown_and_renewed(tmp_path: Path) -> None:
    script, page = tmp_path / "one.py", tmp_path / "page.md"
    script.write_text("print('now')")
    page.write_text(f"Before.\n\n<!-- $ python {script} -->\n```text\nthen\n```\n\nAfter.\n")
    [match] = refresh.MARKER.finditer(page.read_text())
    output = refresh.Shown(page, ["python", str(script)], match["block"])
    assert {"-then", "+now"} < set(output.differences(renew=True))
    assert page.read_text() == f"Before.\n\n<!-- $ python {script} -->\n```text\nnow\n```\n\nAfter.\n"
