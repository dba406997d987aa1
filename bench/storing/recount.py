"""Scores computed again from stored histograms: whether a record says what its arrays show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench import metrics
from bench.errors import BenchError
from bench.metrics._counted import means
from bench.records import PartRecord, RoundRecord, RunRecord
from bench.scoring import stored
from bench.scoring.cosine import STEPS
from bench.scoring.hamming import Histograms
from bench.scoring.stored import Arrays

NOISE = 1e-12  # relative: another processor may round the last bits of a score differently


def fault(record: RunRecord, arrays: Arrays) -> str:
    """The first statement of a record with rounds that does not follow from its arrays, or "".

    Checked are the numbers of queries, items and empty queries, and every score that histograms give, over
    every part of the database. Scores that depend on the order of tied items need labels and are not.
    """
    try:
        return next(_faults(record, arrays), "")
    except KeyError as error:
        return f"its arrays lack {error.args[0]!r}"


def needs(metric: str) -> str:
    """``Metric.needs`` of a score, where ``order`` is more than histograms hold; "" for an unknown metric."""
    try:
        return metrics.parse_metric(metric).needs
    except BenchError:
        return ""


def recountable(metric: str) -> bool:
    """Whether histograms give a score."""
    return needs(metric) in ("histogram", "grades")


def _faults(record: RunRecord, arrays: Arrays) -> Iterator[str]:
    numbers = [entry.round for entry in record.rounds]
    if numbers != sorted(set(numbers)):
        yield f"its rounds are {numbers}; expected each once, in ascending order"
    expected = {"trained", "unseen"} if record.spec.divided else set()
    for entry in record.rounds:
        if entry.parts.keys() != expected:
            yield f"round {entry.round} has the parts {sorted(entry.parts)}; expected {sorted(expected)}"
        yield from _malformed(record, entry, arrays)
        searches = {direction: _searches(arrays, direction, entry) for direction in record.spec.directions}
        for part in (*entry.parts, "all"):
            score = entry if part == "all" else entry.parts[part]
            over = f"round {entry.round}" + (f", {part} items" if entry.parts else "")
            hists: dict[str, Histograms] = {d: parts[part] for d, parts in searches.items()}
            yield from (f"{over}: {text}" for text in _wrong(score, hists))
        for part, score in entry.deleted.items():
            name = stored.DELETED + part
            hists = {d: stored.histograms(arrays, d, entry.round, name) for d in record.spec.directions}
            yield from (f"round {entry.round}, deleted {part} items: {text}" for text in _wrong(score, hists))
    yield from _malformed_codes(record, arrays)


def _malformed(record: RunRecord, entry: RoundRecord, arrays: Arrays) -> Iterator[str]:
    """Histograms that are no unsigned numbers of the shape that queries and bits give."""
    queries, bins = entry.queries, record.spec.bits if record.compares_codes else STEPS
    shapes = {"counts": (queries, bins + 1, 2), "gains": (queries, bins + 1), "grades": (queries, -1)}
    prefixes = [f"{direction}/{entry.round}" for direction in record.spec.directions]
    if entry.parts:
        prefixes = [f"{prefix}/{part}" for prefix in prefixes for part in entry.parts]
    prefixes += [
        stored.prefix(direction, entry.round, stored.DELETED + part)
        for direction in record.spec.directions
        for part in entry.deleted
    ]
    for prefix in prefixes:
        for name, shape in shapes.items():
            array = arrays[f"{prefix}/{name}"]
            if array.ndim != len(shape) or any(
                n not in (-1, m) for n, m in zip(shape, array.shape, strict=True)
            ):
                yield f"{prefix}/{name} has shape {array.shape}; expected {shape}"
            if array.dtype.kind != "u" or array.dtype.itemsize > np.dtype(stored.TYPES[name]).itemsize:
                yield f"{prefix}/{name} is {array.dtype}; expected unsigned whole numbers"


def _searches(arrays: Arrays, direction: str, entry: RoundRecord) -> dict[str, Histograms]:
    """The histograms of one round by part of the database, ``all`` included."""
    if not entry.parts:
        return {"all": stored.histograms(arrays, direction, entry.round)}
    parts = {part: stored.histograms(arrays, direction, entry.round, part) for part in entry.parts}
    return {**parts, "all": parts["trained"] + parts["unseen"]}


def _wrong(score: RoundRecord | PartRecord, hists: Mapping[str, Histograms]) -> Iterator[str]:
    """Numbers of one round, over one part of the database, that its histograms by direction do not give."""
    if score.empty_queries.keys() != hists.keys():
        yield f"empty queries of {sorted(score.empty_queries)}; expected {sorted(hists)}"
    for direction, hist in hists.items():
        yield from (f"{direction}: {text}" for text in _inconsistent(hist, score.items))
        empty = metrics.empty_queries(hist)
        if score.empty_queries[direction] != empty:
            yield f"{score.empty_queries[direction]} empty queries {direction}, and its counts have {empty}"
        for name in ("map", "chance"):  # no table does without
            if f"{name}/{direction}" not in score.metrics:
                yield f"{name}/{direction} is missing"
        said = {name: score.metrics[f"{name}/{direction}"] for name in _names(score, direction)}
        for name, value in means(filter(recountable, said), hist).items():
            if not same(said[name], value):
                yield f"{name}/{direction} is {said[name]:.12g}, and its counts give {value:.12g}"
    for key in score.metrics:
        if key.rpartition("/")[2] not in hists:
            yield f"score {key!r} has none of the cell's directions"


def _names(score: RoundRecord | PartRecord, direction: str) -> list[str]:
    return [key.removesuffix(f"/{direction}") for key in score.metrics if key.endswith(f"/{direction}")]


def same(said: float, value: float) -> bool:
    """Whether two scores are equal but for the last bits."""
    return math.isclose(said, value, rel_tol=NOISE) or (math.isnan(said) and math.isnan(value))


def _inconsistent(hist: Histograms, items: int) -> Iterator[str]:
    """Counts, gains and grades that no search of a database of so many items leaves."""
    assert hist.gains is not None and hist.grades is not None
    size = hist.counts[:, :, 0].sum(axis=1, dtype=np.int64)
    grades = hist.grades.astype(np.int64)
    if (size != items).any():
        yield f"{items} items in the database, and its counts have {size[size != items][0]}"
    if (hist.counts[:, :, 1] > hist.counts[:, :, 0]).any():
        yield "more relevant items than items at some distance"
    if (grades.sum(axis=1) != items).any() or (grades[:, 1:].sum(axis=1) != hist.relevant).any():
        yield "grades and counts have different numbers of items"
    if (grades @ np.arange(grades.shape[1]) != hist.gains.sum(axis=1)).any():
        yield "grades and gains have different sums of shared labels"


def _malformed_codes(record: RunRecord, arrays: Arrays) -> Iterator[str]:
    """Rows and packed codes of another shape than the last round gives them."""
    last, words = record.rounds[-1], -(-record.spec.bits // 64)
    shapes = {f"codes/query/{m}": (words, last.queries) for m in ("image", "text")}
    shapes |= {f"codes/database/{m}": (words, last.items) for m in ("image", "text")}
    expected: dict[str, tuple[Any, ...]] = {"rows/database": (last.items,)}
    if record.compares_codes:
        expected |= shapes
    for name, shape in expected.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "u":
            yield f"{name} is {arrays[name].dtype} of shape {arrays[name].shape}; expected unsigned {shape}"
