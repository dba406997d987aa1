"""The contract of a metric, one function per demand: it raises where the demand is not met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.checks.faces import it_imports_only_the_faces
from bench.contract.metric import Metric, Values
from bench.errors import ContractError
from bench.scoring import hamming
from bench.scoring.ties import Ranking

BITS, QUERIES, ITEMS, CLASSES = 8, 30, 90, 5
_ROUNDING = 1e-9
_CUTS = {
    "nothing": ("",),
    "R or nothing": ("", "@1", "@20", f"@{ITEMS}"),
    "R": ("@1", "@20", f"@{ITEMS}"),
    "radius": ("@r0", "@r2", f"@r{BITS}"),
}
Codes = npt.NDArray[np.bool_]


class Declared:
    """A metric, by name, with its variants."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.family = metrics.declared(name)

    def requests(self) -> Iterator[tuple[str, Metric]]:
        """Every variant at every kind of cut, as it is requested and as it is read."""
        for metric in self.family:
            for cut in _CUTS[metric.takes]:
                text = f"{metric.name}{cut}:{metric.variant}".removesuffix(":")
                yield text, metrics.parse_metric(text)


def it_has_a_description(declared: Declared) -> None:
    for metric in declared.family:
        if not metric.description:
            raise ContractError(
                f"metric {metric.key} has no docstring. Say in its first line what it measures."
            )


def it_imports_nothing_but_the_faces(declared: Declared) -> None:
    it_imports_only_the_faces("metric", declared.name)


def its_values_are_finite_and_from_0_to_1(declared: Declared) -> None:
    """For every query that has a relevant item; one of the queries here has none."""
    for text, _ in declared.requests():
        values = _values(text, np.arange(QUERIES))
        _require(
            values.dtype == np.float64 and values.shape == (QUERIES,),
            f"metric {text} returned {values.dtype} {values.shape}; expected float64 ({QUERIES},).",
        )
        some = values[_relevant().any(axis=1)]
        _require(
            bool(np.isfinite(some).all()),
            f"metric {text} is NaN or infinite for a query with a relevant item.",
        )
        _require(
            bool(((some >= 0) & (some <= 1 + _ROUNDING)).all()),
            f"metric {text} has values from {some.min():g} to {some.max():g}; expected them from 0 to 1.",
        )


def a_querys_value_depends_on_no_other_query(declared: Declared) -> None:
    order = np.random.default_rng(1).permutation(QUERIES)
    for text, _ in declared.requests():
        together = _values(text, np.arange(QUERIES))
        single = np.concatenate([_values(text, np.array([row])) for row in range(QUERIES)])
        for how, other in (("in another order", _values(text, order)[np.argsort(order)]), ("alone", single)):
            _require(
                np.allclose(together, other, rtol=0, atol=_ROUNDING, equal_nan=True),
                f"metric {text} gives a query another value {how}. Compute each row by itself.",
            )


def it_leaves_the_ranking_alone(declared: Declared) -> None:
    """The other metrics of a run are computed from the same arrays."""
    for text, metric in declared.requests():
        if metric.ordered:
            continue
        ranking, untouched = (Ranking.of(_histograms(np.arange(QUERIES))) for _ in range(2))
        metric.compute(ranking, metric.at)
        changed = [f.name for f in fields(Ranking) if not _same(ranking, untouched, f.name)]
        _require(not changed, f"metric {text} writes to ranking.{', '.join(changed)}. Work on a copy.")


def it_prefers_the_best_ranking_to_the_worst(declared: Declared) -> None:
    """Where all relevant items are nearest, against where all of them are farthest."""
    labels = np.arange(ITEMS) % 2
    codes = np.repeat(labels[:, None], BITS, axis=1)
    for text, metric in declared.requests():
        best, worst = (
            metrics.evaluate(codes[:2], database, labels[:2], labels, metrics=[text])[text]
            for database in (codes, 1 - codes)
        )
        better, word = (best >= worst, "high") if metric.higher_is_better else (best <= worst, "low")
        _require(
            bool(better),
            f"metric {text} is {best:g} for the best ranking and {worst:g} for the worst, but declares that "
            f"{word}er is better. Correct higher_is_better=.",
        )


def _values(text: str, rows: npt.NDArray[np.intp]) -> Values:
    ordered = metrics.parse_metric(text).ordered
    return metrics.per_query(text, _orders(rows) if ordered else _histograms(rows))


def _histograms(rows: npt.NDArray[np.intp]) -> hamming.Histograms:
    return hamming.histograms(*_packed(rows), bits=BITS, graded=True, threads=1)


def _orders(rows: npt.NDArray[np.intp]) -> metrics.Orders:
    return metrics.compat.orders(*_packed(rows), bits=BITS, cuts=(1, 20), backward=True, threads=1)


def _packed(rows: npt.NDArray[np.intp]) -> tuple[hamming.Packed, ...]:
    """Codes and labels of some queries and of all items."""
    codes, items, labels, known = _drawn()
    pairs = (hamming.pack_codes(codes[rows]), hamming.pack_codes(items))
    return (*pairs, hamming.pack_labels(labels[rows]), hamming.pack_labels(known))


@cache
def _drawn() -> tuple[npt.NDArray[Any], ...]:
    """Random codes and labels of queries and items; the first query has no label."""
    rng = np.random.default_rng(0)
    codes, items = (rng.random((n, BITS)) < 0.5 for n in (QUERIES, ITEMS))
    labels, known = ((rng.random((n, CLASSES)) < 0.3).astype(np.uint8) for n in (QUERIES, ITEMS))
    labels[0] = 0
    return codes, items, labels, known


def _relevant() -> npt.NDArray[np.bool_]:
    _, _, labels, known = _drawn()
    return np.asarray(labels @ known.T > 0)


def _same(a: Ranking, b: Ranking, name: str) -> bool:
    return bool(np.array_equal(getattr(a, name), getattr(b, name)))


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise ContractError(message)


ALL: Sequence[Callable[[Declared], None]] = (
    it_has_a_description,
    it_imports_nothing_but_the_faces,
    its_values_are_finite_and_from_0_to_1,
    a_querys_value_depends_on_no_other_query,
    it_leaves_the_ranking_alone,
    it_prefers_the_best_ranking_to_the_worst,
)
