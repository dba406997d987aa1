"""What a report reads of a cell comes from one compiled pass, and not from a metric at a time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench import metrics
from bench.evidence import Evidence
from bench.hamming import Histograms
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule

QUERIES, ITEMS, BITS = 2000, 18_000, 128


def test_scores_and_curves_cost_less_than_half_of_the_same_numbers_from_the_metrics(race: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.arange(BITS + 1)
    share = np.exp(-((x - 0.45 * BITS) ** 2) / (BITS / 4) ** 2)
    items = rng.multinomial(ITEMS, share / share.sum(), size=QUERIES)
    counts: Any = np.stack([items, rng.binomial(items, 0.9 - 0.8 * x / BITS)], axis=2).astype(np.uint16)
    spec = RunSpec(method="m", dataset="d", bits=BITS, schedule=Schedule("shuffled", ITEMS), seed=0)
    last = RoundRecord(
        round=0, items=ITEMS, queries=QUERIES, empty_queries={}, metrics={}, seconds={}, bits_rewritten=None,
        state_bytes=0,
    )  # fmt: skip
    record = RunRecord(spec=spec, status="ok", rounds=(last,), arrays="a.npz")

    def ours() -> object:
        return Evidence(lambda _: {"i2t/0/counts": counts}).search(record, "i2t")

    found = Evidence(lambda _: {"i2t/0/counts": counts}).search(record, "i2t")
    names = ["map", *(f"{name}@{cut}" for name in ("precision", "recall") for cut in found.cuts)]

    def by_metric() -> float:
        started = time.perf_counter()
        hist = Histograms(counts)
        metrics.means(names, hist)
        metrics.pr_curve(hist)
        return time.perf_counter() - started

    assert race(ours, {"metrics": by_metric})["metrics"] > 2
