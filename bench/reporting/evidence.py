"""What reports take from the arrays beside records: every file is read once, and little of it is kept.

The trap: the histograms of a few thousand cells do not fit in memory. What follows from one, per
query and on average, does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import ParameterError
from bench.metrics import per_query
from bench.records import Direction, RunRecord
from bench.scoring.hamming import Histograms, unpack_codes, usable_threads

Values = npt.NDArray[np.float64]
Arrays = Callable[[RunRecord], Mapping[str, npt.NDArray[Any]]]

_STEPS = np.outer(10.0 ** np.arange(9), [1, 2, 3, 5, 7]).ravel()


@dataclass(frozen=True, slots=True)
class Search:
    """What one direction of one round found.

    ``scores`` (Q,) float32 is the tie-aware AP of every query, NaN without a relevant item. The
    curves are means over the other queries: ``radius`` (2, bits + 1) is precision and recall within
    every Hamming radius, ``ranks`` (2, R) expected precision and recall among the first ``cuts`` (R,).
    """

    scores: npt.NDArray[np.float32]
    radius: Values
    cuts: npt.NDArray[np.intp]
    ranks: Values


@dataclass(frozen=True, slots=True)
class Health:
    """What the codes of a database are like, in one modality, after the last round.

    ``balance`` (bits,) is the share of ones of each bit, ``correlation`` (bits, bits) Pearson's, 0 for
    a constant bit. ``entropy`` is that of the codes in bits, ``duplicates`` the share of items whose
    code another item has too, ``buckets`` (B,) the items of every distinct code, largest first.
    """

    balance: Values
    correlation: Values
    entropy: float
    duplicates: float
    buckets: npt.NDArray[np.intp]


class Evidence:
    """A loader of arrays that remembers what reports ask of it; call it for the arrays themselves."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._searches: dict[tuple[str, str, int], Search] = {}
        self._derived: dict[tuple[object, ...], Any] = {}
        self._health: dict[tuple[str, str], Health] = {}

    @classmethod
    def of(cls, arrays: Arrays | None, report: str) -> Evidence:
        """``arrays`` as it is, if it is one already. Raises where there is none to read from."""
        if arrays is None:
            raise ParameterError(
                f"report {report!r} reads what is stored beside the records, and no loader was given. Use it "
                f"on a results folder: `bench table --report {report}`."
            )
        return arrays if isinstance(arrays, Evidence) else cls(arrays)

    def __call__(self, record: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        return self._arrays(record)

    def prepare(self, records: Iterable[RunRecord]) -> None:
        """Read the last round of all records that ran, on threads: decompressing lets go of the GIL."""
        tasks = [r for r in records if r.rounds and r.arrays]
        with ThreadPoolExecutor(usable_threads()) as pool:
            for _ in pool.map(self._prepare, tasks):
                pass

    def _prepare(self, record: RunRecord) -> None:
        stored = self(record)
        for direction in record.spec.directions:
            self._search(record, direction, record.rounds[-1].round, stored)

    def search(self, record: RunRecord, direction: Direction, round_: int | None = None) -> Search:
        """What a round found, the last one if none is named."""
        return self._search(record, direction, record.rounds[-1].round if round_ is None else round_, None)

    def _search(
        self, record: RunRecord, direction: Direction, round_: int, stored: Mapping[str, Any] | None
    ) -> Search:
        key = _name(record), direction, round_
        if key not in self._searches:
            counts = _entry(
                record, self(record) if stored is None else stored, f"{direction}/{round_}/counts"
            )
            self._searches[key] = _search_of(Histograms(counts))
        return self._searches[key]

    def chance(self, record: RunRecord, direction: Direction, round_: int) -> npt.NDArray[np.float32]:
        """What the AP of every query would be for equal codes (Q,); NaN without a relevant item."""
        counts = _entry(record, self(record), f"{direction}/{round_}/counts")
        return per_query("chance", Histograms(counts)).astype(np.float32)

    def derived(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """What is costly to derive from scores, made once for all reports that name it by ``key``."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def introduced(self, record: RunRecord) -> npt.NDArray[Any]:
        """The round in which the last class of every query is introduced (Q,)."""
        return _entry(record, self(record), "queries/introduced")

    def health(self, record: RunRecord, modality: str) -> Health:
        """What the codes of the last round's database are like."""
        key = _name(record), modality
        if key not in self._health:
            codes = _entry(record, self(record), f"codes/database/{modality}")
            self._health[key] = _health_of(codes, record.spec.bits)
        return self._health[key]


def _name(record: RunRecord) -> str:
    return record.arrays or record.spec.key


def _entry(record: RunRecord, stored: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    if name not in stored:
        raise ParameterError(
            f"{record.spec}: nothing stored as {name!r}; `bench run --force` makes it again."
        )
    return stored[name]


def _search_of(hist: Histograms) -> Search:
    from bench.reporting import _score_kernels  # numba: only where arrays are read

    cuts = np.unique(np.append(_STEPS[hist.items > _STEPS], hist.items)).astype(np.intp)
    scores, hits = np.empty(len(hist), np.float64), np.empty((len(hist), len(cuts)), np.float64)
    radius = np.zeros((2, hist.bits + 1))
    counts = np.ascontiguousarray(hist.counts, np.uint32)
    harmonic = _score_kernels.harmonic_numbers(hist.items)
    queries = _score_kernels.search(counts, cuts, harmonic, scores, hits, radius)
    return Search(
        scores=scores.astype(np.float32),
        radius=radius / (queries or np.nan),
        cuts=cuts,
        ranks=_ranks(hits[~np.isnan(scores)], cuts),
    )


def _ranks(hits: Values, cuts: npt.NDArray[np.intp]) -> Values:
    """Precision and recall at every cut, mean over the queries of ``hits`` (Q, R); all items are the last."""
    if not len(hits):
        return np.full((2, len(cuts)), np.nan)
    return np.stack([hits.mean(axis=0) / cuts, (hits / hits[:, -1:]).mean(axis=0)])


def _health_of(packed: npt.NDArray[np.uint64], bits: int) -> Health:
    """Of packed codes (words, items)."""
    ones = (unpack_codes(packed, bits) > 0).astype(np.float32)
    balance = ones.mean(axis=0, dtype=np.float64)
    centred = ones - balance.astype(np.float32)
    scale = np.sqrt(balance * (1 - balance))
    product = (centred.T @ centred).astype(np.float64) / len(ones)
    scales = np.outer(scale, scale)
    correlation = np.divide(product, scales, out=np.zeros_like(product), where=scales > 0)
    _, buckets = np.unique(_scalars(packed), return_counts=True)
    share = buckets / len(ones)
    return Health(
        balance=balance,
        correlation=correlation,
        entropy=float(-(share * np.log2(share)).sum()) + 0.0,  # not -0
        duplicates=float(buckets[buckets > 1].sum() / len(ones)),
        buckets=np.sort(buckets)[::-1],
    )


def _scalars(packed: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
    """Every code of packed ones (words, items) as one value; a word sorts five times as fast as bytes."""
    words = np.ascontiguousarray(packed.T)
    scalars: npt.NDArray[Any] = words if len(packed) == 1 else words.view(f"V{len(packed) * 8}")
    return scalars.ravel()
