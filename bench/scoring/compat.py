"""Metrics as other people's code computes them, named after that code, to explain published numbers.

They depend on how tied items are ordered, so they need the codes and not the histograms. The trap:
several originals call an unstable sort, whose result depends on the CPU; here ties always stay in
database order (or in the reverse of it where the original says so), which is what those that sort
stably do. What the originals do with queries that have no relevant item is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contract.metric import Values
from bench.errors import DataError, ParameterError
from bench.scoring.hamming import (
    Histograms,
    Packed,
    check_packed,
    distances_numpy,
    for_rows,
    kernels,
    relevance_numpy,
)

__all__ = ["Orders", "Ranked", "calc_map_k", "dcmh", "lemon", "orders", "perf_metric4label", "trec"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Sums over one order of the database, for Q queries at K cuts; every field is float64 (Q, K).

    A hit is a relevant item; the precision at rank j is the hits among the first j, over j.
    """

    hits: Values  # hits among the first ``cut`` items
    precisions: Values  # precision summed over the hits among the first ``cut`` items
    first: Values  # precision summed over the first ``cut`` hits, wherever they rank; not backward


@dataclass(frozen=True, slots=True)
class Orders:
    """Both orders of tied items that the compatibility modes use.

    ``cuts`` (ascending) always contains the size of the database: the cut that is none.
    """

    cuts: tuple[int, ...]
    histograms: Histograms  # without grades: they come for nothing with the sort
    stable: Ranked  # tied items in database order
    backward: Ranked | None  # tied items in reverse database order, where asked for

    @property
    def items(self) -> int:
        return self.histograms.items

    def column(self, cut: int | None) -> int:
        wanted = self.items if cut is None else cut
        if wanted not in self.cuts:
            raise ParameterError(f"the ranking was not summed up at {wanted}. Ask orders() for this cut.")
        return self.cuts.index(wanted)


def orders(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    *,
    bits: int,
    cuts: Iterable[int] = (),
    backward: bool = False,
    threads: int | None = None,
) -> Orders:
    """Rank the database for every query with a stable sort and sum up what the modes need.

    Arguments are those of :func:`bench.scoring.hamming.histograms`. Nothing of size queries × database is
    kept. The sums depend on the order of the database, and not on the threads.
    """
    check_packed(query, database, query_labels, database_labels, bits)
    queries, items = query.shape[1], database.shape[1]
    wanted = np.array(sorted({*cuts, items}), np.int64)
    counts = np.zeros((queries, bits + 1, 2), np.uint32)
    stable = np.zeros((queries, len(wanted), 3))
    reverse = np.zeros((queries if backward else 0, len(wanted), 3))
    compiled = kernels()
    fill = compiled.orders if compiled else _orders_numpy

    def task(low: int, high: int) -> None:
        fill(query, database, query_labels, database_labels, wanted, low, high, counts, stable, reverse)

    for_rows(task, queries, threads)
    return Orders(
        tuple(wanted.tolist()), Histograms(counts), _ranked(stable), _ranked(reverse) if backward else None
    )


def _ranked(sums: Values) -> Ranked:
    return Ranked(sums[:, :, 0], sums[:, :, 1], sums[:, :, 2])


def _orders_numpy(
    query: Packed,
    database: Packed,
    query_labels: Packed,
    database_labels: Packed,
    cuts: npt.NDArray[np.int64],
    low: int,
    high: int,
    counts: npt.NDArray[np.uint32],
    stable: Values,
    backward: Values,
) -> None:
    """What the kernel of the same name does, with numpy alone."""
    for row in range(low, high):
        one = slice(row, row + 1)
        distance = distances_numpy(query[:, one], database)[0]
        relevant = relevance_numpy(query_labels[:, one], database_labels, 2)[0]
        counts[row, :, 0] = np.bincount(distance, minlength=counts.shape[1])
        counts[row, :, 1] = np.bincount(distance[relevant != 0], minlength=counts.shape[1])
        for out, step in ((stable, 1), (backward, -1)):
            if len(out):
                order = np.argsort(distance[::step], kind="stable")
                _summarise(np.flatnonzero(relevant[::step][order]), cuts, out[row])


def _summarise(ranks: npt.NDArray[np.intp], cuts: npt.NDArray[np.int64], out: Values) -> None:
    """The three sums of :class:`Ranked` for one query, from the ranks of its hits, from 0."""
    running = np.zeros(len(ranks) + 1)
    np.cumsum(np.arange(1, len(ranks) + 1) / (ranks + 1), out=running[1:])
    hits = np.searchsorted(ranks, cuts)
    out[:, 0] = hits
    out[:, 1] = running[hits]
    out[:, 2] = running[np.minimum(cuts, len(ranks))]


def _over(sums: Values, by: Values) -> Values:
    """``sums / by``, and 0 where ``by`` is 0: what the originals leave in their accumulator."""
    return np.divide(sums, by, out=np.zeros_like(sums), where=by > 0)


def dcmh(orders: Orders, cut: int | None) -> Values:
    """``calc_map`` of DCMH (Python) and its descendants: AP over the whole database."""
    all_ = orders.column(None)
    return _over(orders.stable.precisions[:, all_], orders.stable.hits[:, all_])


def lemon(orders: Orders, cut: int | None) -> Values:
    """``mAP.m`` of LEMON, DOCH, OASIS: AP over the first R items, divided by the hits among them."""
    if cut is not None and cut > orders.items:
        raise DataError(
            f"lemon at {cut}: the database has {orders.items} items, and the original reads past its end. "
            "Ask for a smaller R."
        )
    at = orders.column(cut)
    return _over(orders.stable.precisions[:, at], orders.stable.hits[:, at])


def calc_map_k(orders: Orders, cut: int | None) -> Values:
    """``calc_map_k``: mean precision at the first k hits, wherever in the database they rank."""
    hits = orders.stable.hits[:, orders.column(None)]
    at = orders.column(cut)
    return _over(orders.stable.first[:, at], np.minimum(orders.cuts[at], hits))


def perf_metric4label(orders: Orders, cut: int | None) -> Values:
    """``perf_metric4Label.m``: AP over the whole database; its mean is where the error is."""
    return np.where(orders.histograms.relevant > 0, dcmh(orders, cut), np.nan)


def trec(orders: Orders, cut: int | None) -> Values:
    """``map`` and ``map_cut`` of trec_eval: divided by all relevant items, ties by id, descending.

    Ids are taken to sort as the rows of the database do (zero-padded row numbers).
    """
    if orders.backward is None:
        raise ParameterError("trec reads ties backward. Ask orders() for backward=True.")
    hits = orders.backward.hits[:, orders.column(None)]
    ap = _over(orders.backward.precisions[:, orders.column(cut)], hits)
    return np.where(hits > 0, ap, np.nan)


def mean_over_all(values: Values) -> float:
    """Mean over all queries; one without a relevant item counts with the 0 it was given."""
    return float(values.mean()) if len(values) else float("nan")


def mean_from_ten(values: Values) -> float:
    """The sum over queries with a relevant item, over ten more than there are.

    The counter of such queries starts at 10 in the copies of perf_metric4Label.m in use.
    """
    return float(np.nansum(values) / (10 + np.count_nonzero(~np.isnan(values))))
