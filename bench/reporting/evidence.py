"""Scores, curves and code statistics from the arrays stored beside records.

The trap: the histograms of a few thousand cells do not fit in memory. Their scores and curves do.
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
from bench.scoring import stored
from bench.scoring.hamming import Histograms, unpack_codes, usable_threads

Values = npt.NDArray[np.float64]
Loader = Callable[[RunRecord], Mapping[str, npt.NDArray[Any]]]  # reads what is stored beside a record

_STEPS = np.outer(10.0 ** np.arange(9), [1, 2, 3, 5, 7]).ravel()


@dataclass(frozen=True, slots=True)
class Search:
    """Scores and curves of one direction of one round.

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
    """Statistics of the codes of a database, in one modality, after the last round.

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
    """Scores, histograms and codes of records: every file is read once, and little of it is kept.

    Call it with a record for the stored arrays themselves. It is false where it has nothing to read from.
    """

    def __init__(self, loader: Loader | None = None) -> None:
        self._loader = loader
        self._searches: dict[tuple[str, str, int], Search] = {}
        self._derived: dict[tuple[object, ...], Any] = {}
        self._health: dict[tuple[str, str], Health] = {}

    def __bool__(self) -> bool:
        return self._loader is not None

    def __call__(self, record: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        if self._loader is None:
            raise ParameterError(
                f"{record.spec}: its histograms and codes are not available, because these results were made "
                "from records alone. Read them from a results folder, as `bench table` does."
            )
        return self._loader(record)

    def prepare(self, records: Iterable[RunRecord]) -> None:
        """Read the last round of all records that ran, on threads: decompressing lets go of the GIL."""
        with ThreadPoolExecutor(usable_threads()) as pool:
            list(pool.map(self._prepare, [r for r in records if r.rounds and r.arrays]))

    def _prepare(self, record: RunRecord) -> None:
        last = record.rounds[-1].round
        missing = [d for d in record.spec.directions if (_name(record), d, last) not in self._searches]
        arrays = self(record) if missing else {}
        for d in missing:
            self._searches[_name(record), d, last] = _search_of(_histograms(record, arrays, d, last))

    def search(self, record: RunRecord, direction: Direction, round_: int | None = None) -> Search:
        """Scores and curves of a round, by default the last."""
        number = record.rounds[-1].round if round_ is None else round_
        key = _name(record), direction, number
        if key not in self._searches:
            self._searches[key] = _search_of(_histograms(record, self(record), direction, number))
        return self._searches[key]

    def histograms(self, record: RunRecord, direction: Direction, round_: int | None = None) -> Histograms:
        """Histograms over Hamming distance of a round, by default the last, for :mod:`bench.metrics`."""
        number = record.rounds[-1].round if round_ is None else round_
        return _histograms(record, self(record), direction, number, graded=True)

    def per_query(self, record: RunRecord, direction: Direction, metric: str) -> Values:
        """A metric of every query after the last round (Q,); NaN without a relevant item."""
        if metric == "map":
            return _average_precisions(_histograms(record, self(record), direction, record.rounds[-1].round))
        return per_query(metric, self.histograms(record, direction))

    def chance(self, record: RunRecord, direction: Direction, round_: int) -> npt.NDArray[np.float32]:
        """The AP of every query if all codes were equal (Q,); NaN without a relevant item."""
        return per_query("chance", _histograms(record, self(record), direction, round_)).astype(np.float32)

    def derived(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """The result of ``make()``, computed once for all reports that name it by ``key``."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    def introduced(self, record: RunRecord) -> npt.NDArray[Any]:
        """The round in which the last class of every query is introduced (Q,)."""
        return _entry(record, self(record), "queries/introduced")

    def codes(self, record: RunRecord, modality: str) -> npt.NDArray[np.int8]:
        """The codes of the last round's database, −1 or +1 (items, bits)."""
        return unpack_codes(self._packed(record, modality), record.spec.bits)

    def _packed(self, record: RunRecord, modality: str) -> npt.NDArray[np.uint64]:
        arrays = self(record)
        packed = _entry(record, arrays, f"codes/database/{modality}")
        if record.part == "all":
            return packed
        trained = _entry(record, arrays, "rows/trained")
        return packed[:, trained if record.part == "trained" else ~trained]

    def health(self, record: RunRecord, modality: str) -> Health:
        """Statistics of the codes of the last round's database."""
        key = _name(record), modality
        if key not in self._health:
            self._health[key] = _health_of(self._packed(record, modality), record.spec.bits)
        return self._health[key]


def _name(record: RunRecord) -> str:
    return f"{record.arrays or record.spec.key}/{record.part}"


def _entry(record: RunRecord, arrays: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    if name not in arrays:
        raise _lacking(record, name)
    return arrays[name]


def _lacking(record: RunRecord, name: str) -> ParameterError:
    return ParameterError(
        f"{record.spec}: no stored array {name!r}. `bench run --force` runs the cell again."
    )


def _histograms(
    record: RunRecord,
    arrays: Mapping[str, npt.NDArray[Any]],
    direction: Direction,
    number: int,
    *,
    graded: bool = False,
) -> Histograms:
    """The histograms over the record's part of the database."""
    try:
        return stored.histograms(arrays, direction, number, record.part, graded=graded)
    except KeyError as error:
        raise _lacking(record, str(error.args[0])) from error


def _average_precisions(hist: Histograms) -> Values:
    """``per_query("map", hist)`` from the compiled pass, in a tenth of the time."""
    from bench.reporting import _score_kernels

    scores, no_cuts = np.empty(len(hist)), np.empty(0, np.intp)
    _score_kernels.search(
        np.ascontiguousarray(hist.counts, np.uint32),
        no_cuts,
        _score_kernels.harmonic_numbers(hist.items),
        scores,
        np.empty((len(hist), 0)),
        np.empty((2, 0)),
    )
    return scores


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
    """Statistics of packed codes (words, items)."""
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
    """One value per item for packed codes (words, items); a word sorts five times as fast as bytes."""
    words = np.ascontiguousarray(packed.T)
    scalars: npt.NDArray[Any] = words if len(packed) == 1 else words.view(f"V{len(packed) * 8}")
    return scalars.ravel()
