"""One cell: stream the chunks to a method, keep the database, score, time, and record.

Without timing, guards and evaluation every K rounds it is this loop::

    for round, rows in enumerate(plan.rounds):
        method.fit_chunk(chunk(rows))
        index.arrive(method, chunk(rows), rows)
        index.refresh(method)
        score(encode(method, query.image), index.packed["text"])  # I→T, and so on
"""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import fingerprint, hamming, metrics, registry, state, stream, threads
from bench.api import MODALITIES, Batch, Dataset, Labels, Method, Modality, Split
from bench.cache import Stored
from bench.clock import Clock
from bench.errors import BenchError
from bench.protocol import Index, chunk, encode, shown, skip_reason, stand_ins
from bench.records import Direction, RoundRecord, RunRecord, RunSpec

Arrays = dict[str, npt.NDArray[Any]]

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


def run_cell(
    spec: RunSpec, data: Stored, *, thread_count: int = 1, jobs: int = 1
) -> tuple[RunRecord, Arrays]:
    """Run one cell. Whatever a method raises becomes a ``failed`` record with its traceback."""
    cls: type[Method] = registry.get("method", spec.method)
    common: dict[str, Any] = {
        "spec": spec,
        "code": fingerprint.of_method(spec.method),
        "data": data.fingerprint,
        "fidelity": cls.source.fidelity,
        "environment": environment(thread_count, jobs),
    }
    dataset = data.open()
    reason = skip_reason(cls, dataset.train, spec.database)
    if reason:
        return RunRecord(status="skipped", reason=reason, **common), {}
    session = _Session(spec, cls, dataset, thread_count)
    try:
        with threads.limit(thread_count):
            session.run()
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything; the sweep goes on
        text = f"{error}" if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        reason = f"round {session.round}: {text}".splitlines()[0]
        return RunRecord(status="failed", reason=reason, traceback=traceback.format_exc(), **common), {}
    return RunRecord(status="ok", **common, **session.outcome()), session.arrays


class _Session:
    """The state of one cell while its rounds go by."""

    def __init__(self, spec: RunSpec, cls: type[Method], dataset: Dataset, thread_count: int) -> None:
        self.spec, self.cls, self.threads = spec, cls, thread_count
        self.train = dataset.train
        self.plan = stream.plan(
            len(self.train),
            self.train.labels,
            schedule=spec.schedule,
            seed=spec.seed,
            pool=spec.pool,
            val=spec.val,
        )
        self.query = self.train.take(np.sort(self.plan.val)) if spec.val else dataset.query
        self.notes = stand_ins(self.train, cls.capabilities)
        self.clock = Clock()
        self.index = Index(spec.database, self.train, self.clock)
        self.evaluated = set(stream.parse_evaluate(spec.evaluate, len(self.plan.rounds)))
        self.rounds: list[RoundRecord] = []
        self.fit_seconds: list[float] = []
        self.arrays: Arrays = {}
        self.round = 0

    def run(self) -> None:
        _warm_up()
        method = self.new_method()
        if not self.cls.capabilities.offline:
            self.fit_pool(method)
        for round_ in range(len(self.plan.rounds)):
            self.round = round_
            if not self.cls.capabilities.offline:
                self.fit(method)
            elif self.round in self.evaluated:
                method = self.refit()
            if self.round in self.evaluated:
                self.evaluate(method)

    def new_method(self) -> Method:
        seed = stream.derive_seed(self.spec.seed, "method")
        return self.cls(bits=self.spec.bits, seed=seed, **self.spec.params)

    def fit_pool(self, method: Method) -> None:
        if self.plan.pool is not None and self.cls.capabilities.pool:
            offered = shown(self.train, self.plan.pool, self.cls.capabilities)
            with self.clock.measure("fit_pool"):
                method.fit_pool(offered)

    def fit(self, method: Method) -> None:
        rows = self.plan.rounds[self.round]
        arrived = chunk(self.train, rows, self.cls.capabilities, self.round)
        before = self.clock.seconds("fit")
        with self.clock.measure("fit"):
            method.fit_chunk(arrived)
        self.fit_seconds.append(self.clock.seconds("fit") - before)
        self.index.arrive(method, arrived, rows)

    def refit(self) -> Method:
        """A fresh instance of an offline method, fitted on everything seen so far."""
        rows = self.plan.seen(self.round)
        everything = chunk(self.train, rows, self.cls.capabilities, 0)
        method = self.new_method()
        with self.clock.measure("fit"):
            method.fit_chunk(everything)
        self.fit_seconds.append(self.clock.seconds("fit"))
        self.index.arrive(method, everything, rows, refit=True)
        return method

    def evaluate(self, method: Method) -> None:
        self.index.refresh(method)
        queries = {}
        for modality in MODALITIES:
            with self.clock.measure("encode_query"):
                codes = encode(method, Batch(self.query.batch(modality).features), modality)
            queries[modality] = hamming.pack_codes(codes)
        scores, empty = self.score(queries)
        self.rounds.append(
            RoundRecord(
                round=self.round,
                items=len(self.index.rows),
                queries=len(self.query),
                empty_queries=empty,
                metrics=scores,
                seconds=self.clock.take(),
                bits_rewritten=self.index.rewritten,
                state_bytes=state.nbytes(method.state_dict()),
            )
        )
        self.index.rewritten = None
        if self.round == max(self.evaluated):
            self.keep_codes(queries)

    def score(self, queries: Mapping[Modality, Any]) -> tuple[dict[str, float], dict[str, int]]:
        labels = _packed_labels(self.query), hamming.pack_labels(self.labels_of_database())
        scores: dict[str, float] = {}
        empty: dict[str, int] = {}
        for direction in self.spec.directions:
            hist = self.search(direction, queries, *labels)
            empty[direction] = metrics.empty_queries(hist)
            asked = [m for m in STANDARD if (metrics.parse_metric(m).cutoff or 0) <= len(self.index.rows)]
            scores |= {f"{name}/{direction}": value for name, value in metrics.means(asked, hist).items()}
        return scores, empty

    def search(
        self, direction: Direction, queries: Mapping[Modality, Any], query_labels: Any, database_labels: Any
    ) -> hamming.Histograms:
        """Scan the whole database for every query; keep the histograms that every metric follows from."""
        with self.clock.measure("search"):
            hist = hamming.histograms(
                queries[SIDES[direction[0]]],
                self.index.packed[SIDES[direction[2]]],
                query_labels,
                database_labels,
                bits=self.spec.bits,
                graded=True,
                threads=self.threads,
            )
        for name in ("counts", "gains", "grades"):
            self.arrays[f"{direction}/{self.round}/{name}"] = _narrow(getattr(hist, name))
        return hist

    def labels_of_database(self) -> Labels:
        assert self.train.labels is not None, "skip_reason() refuses a dataset without labels"
        return self.train.labels[self.index.rows]

    def keep_codes(self, queries: Mapping[Modality, Any]) -> None:
        """The last round's codes and rows: what order-dependent metrics need."""
        for modality in MODALITIES:
            self.arrays[f"codes/query/{modality}"] = queries[modality]
            self.arrays[f"codes/database/{modality}"] = self.index.packed[modality]
        self.arrays["rows/database"] = _narrow(self.index.rows)
        self.arrays["rows/query"] = _narrow(np.sort(self.plan.val))  # empty: the test queries

    def outcome(self) -> dict[str, Any]:
        return {
            "rounds": tuple(self.rounds),
            "fit_seconds": tuple(self.fit_seconds),
            "notes": tuple(self.notes),
        }


def _packed_labels(split: Split) -> npt.NDArray[Any]:
    assert split.labels is not None, "skip_reason() refuses a dataset without labels"
    return hamming.pack_labels(split.labels)


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same whole numbers in the smallest unsigned type that holds them."""
    top = int(array.max()) if array.size else 0
    return array.astype(np.min_scalar_type(top))


@cache
def _warm_up() -> None:
    """Compile or load the search kernel once per process, so that no cell's search time has it."""
    one = hamming.pack_codes(np.ones((1, 8), dtype=np.int8))
    label = hamming.pack_labels(np.ones((1, 1), dtype=np.uint8))
    hamming.histograms(one, one, label, label, bits=8, graded=True, threads=1)


@cache
def _installed() -> dict[str, str]:
    found = {}
    for name in ("hashbench", "numpy", "scipy", "numba", "torch", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def environment(thread_count: int, jobs: int) -> dict[str, Any]:
    """What a reader needs to know of the machine: no names, no paths, no dates."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": thread_count,
        "jobs": jobs,
        **_installed(),
    }
