"""A folder of 10,000 cells is opened, and its table made, in seconds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from bench.plugins import fingerprint
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.results import Results
from bench.storing.store import Store, stale_reasons

METHODS = ("random_projection", "lemon", "olsh", "scm", "cca")
SCORES = ("map", "map:pessimistic", "map:optimistic", "chance", "map@50", "precision@100", "ndcg@100")
STAGES = ("fit", "encode_query", "encode_database", "rehash", "search")


def fill(store: Store) -> None:
    """Records of three evaluated rounds: five methods, four lengths, five protocols, a hundred seeds."""
    one = RoundRecord(
        round=0,
        items=2400,
        queries=400,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics={f"{name}/{d}": 0.5 for name, d in product(SCORES, ("i2t", "t2i"))},
        seconds={f"{stage}{clock}": 0.1 for stage, clock in product(STAGES, ("", "_cpu"))},
        bits_rewritten=10,
        state_bytes=1000,
    )
    rounds = tuple(replace(one, round=i) for i in range(3))
    for method, bits, size, seed in product(METHODS, (16, 32, 64, 128), range(100, 600, 100), range(100)):
        spec = RunSpec(
            method=method, dataset="synthetic", bits=bits, schedule=Schedule("shuffled", size), seed=seed
        )
        code = fingerprint.of_method(method)
        store.write(RunRecord(spec=spec, status="ok", rounds=rounds, code=code, data="d"), {})


def test_ten_thousand_cells_become_a_table_in_three_seconds(benchmark: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.check_writable()
    fill(store)

    def table() -> str:
        records = store.records()
        return str(Results(records, stale=stale_reasons(records), arrays=store.arrays).table())

    assert table().count("random_projection") >= 5
    benchmark.pedantic(table, rounds=3, warmup_rounds=1)
    assert benchmark.stats.stats.median < 3
