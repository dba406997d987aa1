"""One evaluation of a cell: the search of its database, the counts that are kept, and the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.contract.items import MODALITIES, Modality, Rows
from bench.metrics._counted import means
from bench.protocol.clock import Clock
from bench.protocol.index import Index
from bench.protocol.shown import encode, encode_query, pack
from bench.records import (
    CONSTANT,
    Direction,
    PartRecord,
    RunSpec,
    compares_codes,
)
from bench.running.hosts import Hosting
from bench.running.streaming import Stream
from bench.scoring import asymmetric, cosine, hamming, stored

Arrays = dict[str, npt.NDArray[Any]]
Queries = Mapping[Modality, Any]

# Scored for every evaluated round and direction; any other metric follows from the stored
# histograms by `bench rescore`. Cutoffs larger than the database are left out of the record.
STANDARD = (
    "map",
    "map:pessimistic",
    "map:optimistic",
    "chance",
    "map@50",
    "precision@100",
    "precision@r2",
    "ndcg@100",
)
SIDES: dict[str, Modality] = {"i": "image", "t": "text"}


class Evaluation:
    """Searches the database of one cell; counts, and at last codes, go to ``arrays``."""

    def __init__(
        self, spec: RunSpec, stream: Stream, indexes: Mapping[str, Index], clock: Clock, threads: int
    ) -> None:
        self.spec, self.stream, self.indexes = spec, stream, indexes
        self.clock, self.threads = clock, threads
        self.arrays: Arrays = {}

    def ask(self, method: Hosting) -> Queries:
        """The queries as :meth:`scan` compares them: packed codes or vectors, or numbers."""
        own = self.distance != "hamming"
        queries = {}
        for modality in MODALITIES:
            with self.clock.measure("encode_query"):
                given = (encode_query if own else encode)(method, self.stream.query, modality)
            queries[modality] = given if own else pack(method, given)
        return queries

    def score(self, queries: Queries, round_: int) -> dict[str, PartRecord]:
        """The scores over every part of the database, and over ``all`` of it."""
        sizes = {part: len(index.rows) for part, index in self.indexes.items()}
        sizes["all"] = sum(sizes.values()) if "all" not in sizes else sizes["all"]
        metric: dict[str, dict[str, float]] = {part: {} for part in sizes}
        empty: dict[str, dict[str, int]] = {part: {} for part in sizes}
        for direction in self.spec.directions:
            for part, hist in self.search(direction, queries, round_).items():
                asked = [m for m in STANDARD if self.applies(metrics.parse_metric(m), sizes[part])]
                scores = means(asked, hist)
                metric[part] |= {f"{name}/{direction}": value for name, value in scores.items()}
                empty[part][direction] = metrics.empty_queries(hist)
        return {
            part: PartRecord(items=size, empty_queries=empty[part], metrics=metric[part])
            for part, size in sizes.items()
        }

    def deleted(self, method: Hosting, queries: Queries, round_: int) -> dict[str, PartRecord]:
        """The scores over deleted items as a database of their own: what a method still remembers of them."""
        scores, planned = {}, self.stream.plan
        for part, rows in planned.parts(planned.gone(round_)).items():
            if part != "unseen" and planned.delay and self.stream.cls.capabilities.supervised:
                lessons = [planned.lesson(earlier, supervised=True) for earlier in range(round_ + 1)]
                rows = rows[np.isin(rows, np.concatenate(lessons))]  # labels came too late for others
            if not len(rows):
                continue
            index = Index("reindexed", self.stream.train, Clock())  # no cost of the method
            index.rows = rows
            index.refresh(method)
            hists = {direction: self.scan(direction, queries, index) for direction in self.spec.directions}
            kind = "unseen" if part == "unseen" else "trained"
            for direction, hist in hists.items():
                self.keep_counts(direction, round_, stored.DELETED + kind, hist)
            scores[kind] = PartRecord(
                items=len(rows),
                empty_queries={direction: metrics.empty_queries(hist) for direction, hist in hists.items()},
                metrics={
                    f"{name}/{direction}": value
                    for direction, hist in hists.items()
                    for name, value in means(["map", "chance"], hist).items()
                },
            )
        return scores

    @property
    def real_valued(self) -> bool:
        return self.stream.cls.capabilities.reference == "real-valued"

    @property
    def distance(self) -> str:
        return self.stream.cls.capabilities.distance

    @property
    def compares_codes(self) -> bool:
        return compares_codes(self.stream.cls.capabilities.reference, self.distance)

    def applies(self, metric: metrics.Metric, items: int) -> bool:
        """Not for a cutoff beyond the database, nor for a radius where distances are no bits."""
        if metric.takes == "radius":
            return self.compares_codes
        return (metric.cutoff or 0) <= items

    def search(self, direction: Direction, queries: Queries, round_: int) -> dict[str, hamming.Histograms]:
        """Scan every part of the database for every query, and keep the histograms.

        Every metric follows from them, and those over ``all`` items are their sum.
        """
        histograms: dict[str, hamming.Histograms] = {}
        for part, index in sorted(self.indexes.items(), key=lambda one: not len(one[1].rows)):
            with self.clock.measure("search"):
                if len(index.rows):
                    histograms[part] = self.scan(direction, queries, index)
                else:  # a small first round may leave no item out of training, and deletions none in it
                    histograms[part] = next(iter(histograms.values())).emptied()
            self.keep_counts(direction, round_, part, histograms[part])
        if "all" not in histograms:
            histograms["all"] = histograms["trained"] + histograms["unseen"]
        return histograms

    def keep_counts(self, direction: Direction, round_: int, part: str, hist: hamming.Histograms) -> None:
        head = stored.prefix(direction, round_, part)
        for name in stored.TYPES:
            self.arrays[f"{head}/{name}"] = _narrow(getattr(hist, name))

    def scan(self, direction: Direction, queries: Queries, index: Index) -> hamming.Histograms:
        """The histograms of one search of one part of the database."""
        query, database = queries[SIDES[direction[0]]], index.packed[SIDES[direction[2]]]
        labels = self.stream.query_labels, self.labels_of(index)
        if self.real_valued:
            return cosine.histograms(query, database, *labels)
        bits = self.spec.bits
        if self.distance != "hamming":
            scaled = self.distance == "scaled dot"
            return asymmetric.histograms(
                query, database, *labels, bits=bits, scaled=scaled, threads=self.threads
            )
        return hamming.histograms(query, database, *labels, bits=bits, graded=True, threads=self.threads)

    def labels_of(self, index: Index) -> npt.NDArray[Any]:
        """The packed labels of the items of an index."""
        assert self.stream.train.labels is not None, "skip_reason() refuses a dataset without labels"
        return hamming.pack_labels(self.stream.train.labels[index.rows])

    def keep_codes(self, queries: Queries, round_: int) -> None:
        """The last round's codes and rows, in order of arrival: what order-dependent metrics need.

        Numbers of queries and real-valued vectors are no codes: they are large, and nothing reads them.
        """
        rows = self.stream.plan.present(round_)
        for modality in MODALITIES if self.compares_codes else ():
            self.arrays[f"codes/query/{modality}"] = queries[modality]
            self.arrays[f"codes/database/{modality}"] = self.arrived(modality, rows)
        self.arrays["rows/database"] = _narrow(rows)
        if self.stream.plan.trained is not None:
            self.arrays["rows/trained"] = self.stream.plan.trained[rows]
        self.arrays["rows/query"] = _narrow(self.stream.val)  # empty: the test queries
        if self.stream.introduced is not None:
            self.arrays["queries/introduced"] = _narrow(self.stream.introduced)

    def arrived(self, modality: Modality, rows: Rows) -> npt.NDArray[Any]:
        """The packed codes of all parts of the database in the order of ``rows``."""
        filled = [index for index in self.indexes.values() if len(index.rows)]
        packed = np.concatenate([index.packed[modality] for index in filled], axis=1)
        held = np.concatenate([index.rows for index in filled])
        if np.array_equal(held, rows):
            return packed
        place = np.empty(held.max() + 1, dtype=np.intp)
        place[held] = np.arange(len(held))
        return packed[:, place[rows]]

    def collapsed(self) -> Iterator[str]:
        """A note for queries or a database with hardly any distinct codes, fewer than their labels have."""
        train, query = self.stream.train.labels, self.stream.query_labels
        assert train is not None, "skip_reason() refuses a dataset without labels"
        labels = {"query": query, "database": hamming.pack_labels(train)}
        for name, codes in self.arrays.items():
            if name.startswith("codes/"):
                _, where, modality = name.split("/")
                if count := hamming.collapsed(codes, labels[where], self.spec.bits):
                    items = f"{codes.shape[1]} {where} items"
                    if count == 1:
                        yield f"{CONSTANT} {modality} codes: all {items} have the same one"
                    else:
                        yield f"only {count} distinct {modality} codes for {items}"


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same integers in the smallest unsigned type that holds them."""
    top = int(array.max()) if array.size else 0
    return array.astype(np.min_scalar_type(top))
