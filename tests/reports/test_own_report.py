"""The example of reports/README.md is a report that works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.plugins import registry

README = Path(__file__).parents[2] / "reports" / "README.md"
Make = Callable[..., Any]


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(registry, "_extra", {})
    [code] = re.findall("```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "best_methods.py").write_text(code, encoding="utf-8")
    return registry.add_file(tmp_path / "best_methods.py")


def test_the_example_lists_the_best_methods_first(best: str, make: Make) -> None:
    results = make({"far": 6.0, "near": 0.5, "between": 2.0}, seeds=1).results()
    [block] = results.table(report=best, top=2).blocks
    assert [row[0].text for row in block.rows] == ["near", "between"]


def test_the_example_imports_the_door_for_authors_and_nothing_else_of_bench(best: str) -> None:
    code = registry.path_of("report", best)
    assert code is not None
    imports = re.findall(r"^(?:from|import) (bench\S*)", code.read_text(encoding="utf-8"), re.MULTILINE)
    assert imports == ["bench.reporting"]
