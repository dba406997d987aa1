"""docs/notebook.ipynb: its cells run, in a kernel where one is installed and in this process everywhere."""

from __future__ import annotations

import ast
import json
import linecache
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.plugins import registry

PAGE = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    if not PAGE.exists():
        pytest.skip("the wheel has no docs")
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.setattr(registry, "_defined", {})
    monkeypatch.chdir(tmp_path)
    yield
    for cell in [name for name in linecache.cache if name.startswith("<docs/notebook.ipynb")]:
        del linecache.cache[cell]


def cells() -> list[dict[str, Any]]:
    page = json.loads(PAGE.read_text(encoding="utf-8"))
    return [cell for cell in page["cells"] if cell["cell_type"] == "code"]


def test_the_cells_run_one_after_another() -> None:
    values: dict[str, Any] = {"__name__": "__main__"}
    shown: list[Any] = []
    for number, cell in enumerate(cells()):
        text, name = "".join(cell["source"]), f"<docs/notebook.ipynb {number}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, name, "exec"), values)  # noqa: S102
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), name, "eval"), values))
    failed_checks, results, bits, learning, (score, _), _ = shown
    assert failed_checks == []
    assert {record.status for record in results} == {"ok"}
    assert all(figure._repr_png_().startswith(b"\x89PNG") for figure in (bits, learning))
    assert score > 0.9


def test_the_stored_page_has_the_output_of_every_cell_that_shows_something() -> None:
    kinds = {kind for cell in cells() for output in cell["outputs"] for kind in output.get("data", {})}
    assert {"text/html", "image/png", "text/plain"} <= kinds
    assert not [output for cell in cells() for output in cell["outputs"] if output["output_type"] == "error"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_page_runs_in_a_kernel(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    execute = runpy.run_path(str(PAGE.with_suffix(".py")))["execute"]
    page = execute(PAGE, tmp_path)
    assert [cell.execution_count for cell in page.cells if cell.cell_type == "code"] == list(
        range(1, len(cells()) + 1)
    )
