"""Cells counted on one screen, by method and dataset, with the reasons of those that are not finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.reporting.tables import Block, Column, Entry, Table
from bench.units import counted

_REASONS = 10  # lines, so that they fit on a screen


class Cell(NamedTuple):
    """One cell: its method without and with parameters, its dataset and its state."""

    method: str
    label: str
    dataset: str
    state: str
    reason: str = ""


def overview(title: str, cells: Sequence[Cell]) -> str:
    """``title`` with the number of cells in every state, a grid of methods and datasets, and the reasons."""
    lines = [title + counted(len(cells), "cell") + (f": {_states(cells)}" if cells else "")]
    if cells:
        grid = Table(title=lines.pop(), blocks=(_grid(cells),)).to_text()
        lines += filter(None, grid.splitlines())
    return "\n".join([*lines, *_reasons(cells)])


def _grid(cells: Sequence[Cell]) -> Block:
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    rows = []
    for method in dict.fromkeys(cell.method for cell in cells):
        mine = [cell for cell in cells if cell.method == method]
        settings = len({cell.label for cell in mine})
        name = f"{method}, {settings} settings" if settings > 1 else method
        entries = (_states([cell for cell in mine if cell.dataset == dataset]) for dataset in datasets)
        rows.append((Entry(name), *(Entry(text or "–") for text in entries)))
    columns = (Column(name, align="left") for name in ("method", *datasets))
    return Block(caption=(), columns=tuple(columns), rows=tuple(rows))


def _states(cells: Sequence[Cell]) -> str:
    counts = Counter(cell.state for cell in cells)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _reasons(cells: Sequence[Cell]) -> Iterator[str]:
    """A line for every state and reason, that of most cells first."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.reason:
            found.setdefault((cell.state, cell.reason), []).append(cell)
    ordered = sorted(found.items(), key=lambda pair: -len(pair[1]))
    for (state, reason), these in ordered[:_REASONS]:
        methods = ", ".join(dict.fromkeys(cell.label for cell in these))
        yield f"  {len(these)} {state} ({methods}): {reason}"
    if len(ordered) > _REASONS:
        yield f"  and {len(ordered) - _REASONS} more reasons; --cells lists every cell"
