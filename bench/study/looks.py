"""Which method has which look in figures and on pages: its own, whoever else is shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from bench.study.study import Study


def places(labels: Iterable[str]) -> dict[str, int]:
    """The number of the look of every method, from 0.

    Methods of the default study keep the place that they have in it, in every study. The others take
    those that are left, in order of appearance.

    >>> places(["mine", "ukd", "lcdh[alpha=1.0]", "lcdh"])
    {'mine': 2, 'ukd': 1, 'lcdh[alpha=1.0]': 3, 'lcdh': 0}
    """
    labels = list(dict.fromkeys(labels))
    kept = {name: i for i, name in enumerate(Study.make().methods) if name in labels}
    free = (i for i in itertools.count() if i not in kept.values())
    return {label: kept[label] if label in kept else next(free) for label in labels}
