"""Which cells share a pass over a stream, and the parts into which ``--shard`` divides a study."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from bench.errors import ParameterError
from bench.study.planned import PlannedCell

MOST = 32  # cells of one pass: each holds a method and its database codes in memory


def of(cells: Sequence[PlannedCell], most: int = MOST) -> list[list[PlannedCell]]:
    """Cells that differ only in code length and in parameters that the method's ``varies`` names."""
    groups: defaultdict[str, list[PlannedCell]] = defaultdict(list)
    for cell in cells:
        fixed = {k: value for k, value in cell.spec.params.items() if k not in cell.method.varies}
        groups[replace(cell.spec, bits=0, params=fixed).key].append(cell)
    return [group[i : i + most] for group in groups.values() for i in range(0, len(group), most)]


def parse_shard(text: str) -> tuple[int, int]:
    """``"2/4"`` is (2, 4): the second of four parts. "" is all, (1, 1)."""
    form = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text or "1/1")
    if form is None or int(form[1]) > int(form[2]):
        raise ParameterError(f"shard is {text!r}; expected I/N with I from 1 to N, such as 1/4.")
    return int(form[1]), int(form[2])


def shard(cells: Sequence[PlannedCell], text: str) -> list[PlannedCell]:
    """The cells of one part, in their order.

    Passes are dealt out like cards, those that differ only in the seed one after another, so that every
    part gets its share of each method and dataset. Parts depend on the study alone, not on stored cells.
    """
    part, parts = parse_shard(text)
    if parts == 1:
        return list(cells)
    kinds: defaultdict[str, list[list[PlannedCell]]] = defaultdict(list)
    for group in of(cells):
        kinds[replace(group[0].spec, seed=0).key].append(group)
    passes = [group for groups in kinds.values() for group in groups]
    if parts > len(passes):
        raise ParameterError(
            f"shard {text} has more parts than the study has passes over a stream, {len(passes)}: all code "
            f"lengths of a method share a pass. Use at most {len(passes)} parts."
        )
    mine = {cell.spec.key for group in passes[part - 1 :: parts] for cell in group}
    return [cell for cell in cells if cell.spec.key in mine]
