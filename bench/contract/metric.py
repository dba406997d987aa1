"""Metrics as declarations: a function of the rankings of all queries, and the form of its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Takes = Literal["nothing", "R or nothing", "R", "radius"]  # what may follow the @ of its name
Needs = Literal["histogram", "grades", "order", "both orders"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A declared metric, or a request for one: ``map@50:hits`` is the variant ``hits`` of ``map`` at 50.

    ``compute(source, at)`` returns the value of every query, float64 (Q,) from 0 to 1, from a
    :class:`bench.metrics.Ranking`, or from :class:`bench.metrics.Orders` where it needs an order. ``at`` is
    R, at most the size of the database, or the radius, or None. The value of a query without a relevant item
    is ignored.
    """

    compute: Callable[..., Values]
    description: str
    name: str = ""  # of its file; variants of a metric share it
    variant: str = ""
    takes: Takes = "nothing"
    needs: Needs = "histogram"
    average: Callable[[Values], float] | None = None  # None: over queries that have a value
    higher_is_better: bool = True
    at: int | None = None

    @property
    def key(self) -> str:
        """Its name without a number: ``map:hits``, ``precision@r``."""
        radius = "@r" if self.takes == "radius" else ""
        return f"{self.name}{radius}:{self.variant}".removesuffix(":")

    @property
    def form(self) -> str:
        """How it is requested: ``map[@R]:hits``."""
        cut = {"nothing": "", "R or nothing": "[@R]", "R": "@R", "radius": "@rRADIUS"}[self.takes]
        return f"{self.name}{cut}:{self.variant}".removesuffix(":")

    @property
    def cutoff(self) -> int | None:
        """R, where the request has one."""
        return None if self.takes == "radius" else self.at

    @property
    def ordered(self) -> bool:
        """Whether it depends on the order of tied items, and so on codes and not on histograms."""
        return self.needs in ("order", "both orders")


def metric(
    *,
    takes: Takes = "nothing",
    needs: Needs = "histogram",
    variant: str = "",
    average: Callable[[Values], float] | None = None,
    higher_is_better: bool = True,
) -> Callable[[Callable[..., Values]], Metric]:
    """Declare a function as a metric; the first line of its docstring is the description.

    >>> @metric(takes="R")
    ... def misses(ranking, cut):
    ...     '''Share of irrelevant items among the first R.'''
    >>> misses.description
    'share of irrelevant items among the first R'
    """

    def declare(compute: Callable[..., Values]) -> Metric:
        return Metric(
            compute=compute,
            description=_phrase(inspect.getdoc(compute) or ""),
            variant=variant,
            takes=takes,
            needs=needs,
            average=average,
            higher_is_better=higher_is_better,
        )

    return declare


def _phrase(docstring: str) -> str:
    """The first line as captions show it: without the full stop, and lower case unless it is an acronym."""
    line = docstring.partition("\n")[0].removesuffix(".")
    return line if line[1:2].isupper() else line[:1].lower() + line[1:]
