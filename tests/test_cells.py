"""The overview of cells that `bench status` and `bench plan` print."""

from __future__ import annotations

from bench.cli.cells import Cell, overview


def test_hundreds_of_cells_fit_on_one_screen() -> None:
    cells = [
        Cell(f"m{m}", f"m{m}", f"d{d}", "failed", f"reason {m} {d}") for m in range(9) for d in range(20)
    ] * 20
    lines = overview("runs: ", cells).splitlines()
    assert len(lines) < 60 and max(map(len, lines)) <= 100
    assert lines[-1] == "  and 170 more reasons; --cells lists every cell"


def test_methods_are_rows_and_datasets_columns() -> None:
    cells = [
        Cell("a", "a", "wiki", "ok"),
        Cell("a", "a", "fashion", "failed", "boom"),
        Cell("b", "b", "wiki", "ok"),
    ]
    lines = overview("", cells).splitlines()
    assert lines[0] == "3 cells: 1 failed, 2 ok"
    assert [line.split() for line in lines[3:5]] == [["a", "1", "ok", "1", "failed"], ["b", "1", "ok", "–"]]


def test_no_cells_are_one_line() -> None:
    assert overview("runs: ", []) == "runs: 0 cells"
