"""Retrieval metrics from per-query histograms over Hamming distance, exact under ties.

Items at the same distance have no order. Every metric here is therefore the expectation over all
orders of tied items, in closed form, or a bound over them; it depends on the codes only, never on
how the database is stored; the variants of map that are named after other people's code depend on an order.
The trap: a query without a relevant item has no value (NaN). It is left out of means, and must be reported.

A metric is a file of this folder or your own (CONTRIBUTING.md): it imports from here, closed forms (``ties``)
included, and declares functions with :func:`metric`. Nothing here names one; all are found by name.

May import: contract, errors, plugins, scoring.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.foreign import dense
from bench.contract.metric import Metric, Values, metric
from bench.errors import BenchError, DataError, ParameterError, UnknownNameError
from bench.metrics._labels import both_sides
from bench.metrics._names import canonical
from bench.plugins import registry
from bench.scoring import compat, ties
from bench.scoring.compat import Orders
from bench.scoring.hamming import Histograms, Packed, collapsed, histograms, pack_codes
from bench.scoring.ties import Ranking

__all__ = [
    "Histograms",
    "Metric",
    "Orders",
    "Ranking",
    "Values",
    "canonical",
    "compat",
    "declared",
    "empty_queries",
    "evaluate",
    "evaluate_packed",
    "mean",
    "means",
    "metric",
    "parse_metric",
    "per_query",
    "pr_curve",
    "ties",
]

# The builtin map() is not at hand here: once loaded, the file map.py takes the name.
_BLOCK = 512  # queries worked on at once: what lies in between stays in the cache


def parse_metric(name: str) -> Metric:
    """Read ``NAME``, ``NAME@R`` or ``NAME@rRADIUS``, each with ``:VARIANT`` or without.

    Also reads the names of papers, such as ``mAP@50`` and ``P@100`` (:func:`canonical`).

    >>> parse_metric("map@50:hits").cutoff
    50
    >>> parse_metric("precision@r2").form
    'precision@rRADIUS'
    """
    try:
        return _parsed(name)
    except BenchError:
        plain = canonical(name)
        if plain == name:
            raise
    try:
        return _parsed(plain)
    except ParameterError as error:
        raise ParameterError(str(error).replace(repr(plain), repr(name))) from error


def _parsed(name: str) -> Metric:
    return _read(name, registry.version(re.split("[@:]", name)[0]))


@lru_cache(maxsize=1024)
def _read(name: str, version: str) -> Metric:  # a part of the cache's key
    """The same, read once for every version, since every cell asks for it."""
    form = re.fullmatch(r"([a-z0-9_]+)(?:@(r?)([0-9]+))?(?::([a-z0-9_]+))?", name)
    if form is None:
        raise ParameterError(
            f"metric {name!r} is not NAME, NAME@R or NAME@R:VARIANT, with R a number. Try map, map@50 or "
            "precision@r2."
        )
    base, radius, number, variant = form.groups()
    key = base + ("@r" if radius else "") + (f":{variant}" if variant else "")
    family = {found.key: found for found in declared(base)}
    if key not in family:
        raise UnknownNameError("metric", key, family)
    wanted = family[key]
    if number is None and wanted.takes in ("nothing", "R or nothing"):
        return wanted
    if number is None or wanted.takes == "nothing" or (int(number) == 0 and not radius):
        raise ParameterError(
            f"metric {name!r} is not of the form {wanted.form}, with R a positive whole number."
        )
    return replace(wanted, at=int(number))


def declared(name: str) -> tuple[Metric, ...]:
    """The metric of this name and its variants, as ``bench/metrics/NAME.py`` or a plugin declares them."""
    return tuple(replace(found, name=name) for found in registry.get("metric", name))


def per_query(name: str, source: Histograms | Orders) -> Values:
    """The metric for every query, float64 (Q,); NaN for a query without a relevant item.

    ``source`` is a :class:`Histograms`, or an :class:`Orders` for metrics that need an order;
    those give such queries what the original gives them. An R larger than the database is taken
    as the size of the database.
    """
    return _values([parse_metric(name)], source)[0]


def mean(name: str, source: Histograms | Orders) -> float:
    """The mean over queries with a relevant item; NaN if there is none.

    A metric named after somebody's code is averaged as that code does it.
    """
    wanted = parse_metric(name)
    return _average(wanted, _values([wanted], source)[0])


def means(names: Iterable[str], hist: Histograms, orders: Orders | None = None) -> dict[str, float]:
    """The means of several metrics: cheaper than one after the other."""
    asked = {name: parse_metric(name) for name in names}
    found: dict[Metric, Values] = {}
    for source in (hist, orders):
        metrics = [m for m in asked.values() if m.ordered == (source is orders)]
        if metrics:
            found |= zip(metrics, _values(metrics, source), strict=True)
    return {name: _average(wanted, found[wanted]) for name, wanted in asked.items()}


def empty_queries(hist: Histograms) -> int:
    """Queries without a relevant item, which no mean contains."""
    return int(np.count_nonzero(hist.relevant == 0))


def pr_curve(hist: Histograms) -> tuple[Values, Values]:
    """Precision and recall within radius 0..bits, each (bits + 1,), mean over queries.

    Queries without a relevant item are left out. One that finds nothing within a radius has
    precision 0 there, as in ``precision@r2``. All is NaN where no query is left.
    """
    precision, recall = np.zeros(hist.bits + 1), np.zeros(hist.bits + 1)
    queries = 0
    for start in range(0, len(hist), _BLOCK):
        counts = hist.counts[start : start + _BLOCK]
        counts = counts[counts[:, :, 1].any(axis=1)]
        items, hits = (counts[:, :, column].cumsum(axis=1, dtype=np.int64) for column in (0, 1))
        precision += (hits / np.maximum(items, 1)).sum(axis=0)
        recall += (hits / hits[:, -1:]).sum(axis=0)
        queries += len(counts)
    scale = 1 / queries if queries else np.nan
    return precision * scale, recall * scale


def evaluate(
    query_codes: npt.ArrayLike,
    database_codes: npt.ArrayLike,
    query_labels: Any,
    database_labels: Any,
    metrics: str | Sequence[str] = ("map", "map:pessimistic", "map:optimistic", "chance"),
    threads: int | None = None,
) -> dict[str, float]:
    """Metrics of anyone's codes, without the rest of the harness.

    Codes are (n, bits) of two symbols: -1/+1, 0/1 or bool. Labels are (n, classes) of 0 and 1 or of -1 and
    1; class numbers from 0 or names of classes, (n,) or (n, 1); or a list of either for every item. All may
    be torch tensors or data frames, labels also sparse matrices. ``metrics`` is one name or several. Returns
    the means by name, and ``empty_queries``. Raises DataError for arrays that are anything else, and without
    a query; warns of codes that are all the same, or hardly different.

    >>> codes = np.array([[1, 1], [1, -1], [-1, -1]])
    >>> evaluate(codes[:1], codes, [0], [0, 0, 1], metrics=["map"])
    {'map': 1.0, 'empty_queries': 0}
    """
    queries, items = dense(query_codes), dense(database_codes)
    if queries.ndim == 1 and queries.shape == items.shape[1:]:
        raise DataError(
            f"query codes have shape {queries.shape}; expected (items, bits). One query is codes[None, :]."
        )
    packed = pack_codes(queries), pack_codes(items)
    for side, codes in (("query", queries), ("database", items)):
        if not len(codes):
            raise DataError(f"there are no {side} codes; expected at least one row.")
    bits, other = queries.shape[1], items.shape[1]
    if bits != other:
        across = " If the bits lie in rows, give codes.T." if len(queries) == len(items) else ""
        raise DataError(
            f"query codes have {bits} bits and database codes {other}; expected the same length.{across}"
        )
    masks = both_sides(query_labels, database_labels, len(queries))
    for side, codes, labels in zip(("query", "database"), packed, masks, strict=True):
        if count := collapsed(codes, labels, bits):
            fact = f"only {count} of {codes.shape[1]} {side} codes are distinct" if count > 1 else ""
            fact = fact or f"all {codes.shape[1]} {side} codes are the same"
            warnings.warn(f"{fact}, so scores say little: items are hardly ranked", stacklevel=2)
    names = _names(metrics)
    scores, hist = evaluate_packed(*packed, *masks, bits=bits, metrics=names, threads=threads)
    return {**scores, "empty_queries": empty_queries(hist)}


def _names(metrics: Any) -> list[str]:
    """One name or several, in a collection or with commas, as a list; ParameterError for anything else."""
    names = re.split(r",(?!\d{3}\b)", metrics) if isinstance(metrics, str) else metrics  # not of mAP@5,000
    listed = list(names) if isinstance(names, Iterable) and not isinstance(names, bytes) else [names]
    strange = [name for name in listed if not isinstance(name, str)]
    if strange or not listed:
        fact = f"holds {strange[0]!r}" if listed else "is empty"
        raise ParameterError(f'metrics {fact}; expected names of metrics, such as "map" or ["map", "P@100"].')
    return [str(name) for name in listed]  # also those of numpy


def evaluate_packed(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    *,
    bits: int,
    metrics: Sequence[str],
    threads: int | None = None,
) -> tuple[dict[str, float], Histograms]:
    """The means by name, and the histograms, of what :mod:`bench.scoring.hamming` packed."""
    packed = query, database, query_labels, database_labels
    asked = [parse_metric(name) for name in metrics]
    graded = any(m.needs == "grades" for m in asked)
    ordered = [m for m in asked if m.ordered]
    orders = None
    if ordered:
        cuts = [m.at for m in ordered if m.at is not None]
        backward = any(m.needs == "both orders" for m in ordered)
        orders = compat.orders(*packed, bits=bits, cuts=cuts, backward=backward, threads=threads)
    if orders is None or graded:
        hist = histograms(*packed, bits=bits, graded=graded, threads=threads)
    else:
        hist = orders.histograms
    return means(metrics, hist, orders), hist


def _values(metrics: Sequence[Metric], source: Histograms | Orders | None) -> list[Values]:
    """Each metric for every query."""
    for one in metrics:
        if one.ordered != isinstance(source, Orders):
            needed = "Orders" if one.ordered else "Histograms"
            raise ParameterError(
                f"metric {one.key} is computed from {needed}; got {type(source).__name__}. "
                "Use evaluate(), which makes what is needed from codes."
            )
    if isinstance(source, Orders):
        return [one.compute(source, one.at) for one in metrics]
    assert source is not None
    if source.gains is None and any(m.needs == "grades" for m in metrics):
        raise DataError("the histograms hold no grades, which ndcg needs. Ask histograms() for graded=True.")
    found = [np.empty(len(source)) for _ in metrics]
    for start in range(0, len(source), _BLOCK):
        rows = slice(start, start + _BLOCK)
        ranking = Ranking.of(source.take(rows))
        for values, one in zip(found, metrics, strict=True):
            at = one.at if one.cutoff is None else min(one.cutoff, ranking.size)
            values[rows] = np.where(ranking.total > 0, one.compute(ranking, at), np.nan)
    return found


def _average(wanted: Metric, values: Values) -> float:
    if wanted.average is not None:
        return wanted.average(values)
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
