"""Figures of curves over the searches of the last round."""

from collections.abc import Callable, Sequence
from typing import Any

from bench.reporting import Curve, Direction, Figure, Results, RunRecord, Search, lines

AFTER = "after the last round, mean over queries, then over seeds; band: standard deviation over seeds"


def search_lines(
    results: Results, curve: Callable[[Sequence[Search]], Curve], *, radius: bool = False, **options: Any
) -> Figure:
    """Lines that ``curve`` makes from a method's searches; ``radius``: only where distances are bits."""

    def of(ran: Sequence[RunRecord], direction: Direction) -> Curve | None:
        if radius and not ran[0].compares_codes:
            return None
        return curve([results.evidence.search(r, direction) for r in ran])

    results.evidence.prepare(results)
    return lines(results, curve=of, **options)
