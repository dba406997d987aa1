"""What a table of 10,000 cells costs beside reading their files, and how its cost grows with them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.plugins import fingerprint
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.results import Results
from bench.storing.store import Store, stale_reasons

METHODS = ("random_projection", "lemon", "olsh", "scm", "cca")
SCORES = ("map", "map:pessimistic", "map:optimistic", "chance", "map@50", "precision@100", "ndcg@100")
STAGES = ("fit", "encode_query", "encode_database", "rehash", "search")


ROUND = RoundRecord(
    round=0,
    items=2400,
    queries=400,
    empty_queries={"i2t": 0, "t2i": 0},
    metrics={f"{name}/{d}": 0.5 for name, d in product(SCORES, ("i2t", "t2i"))},
    seconds={f"{stage}{clock}": 0.1 for stage, clock in product(STAGES, ("", "_cpu"))},
    bits_rewritten=10,
    state_bytes=1000,
)


def fill(store: Store) -> None:
    """Records of three evaluated rounds: five methods, four lengths, five protocols, a hundred seeds."""
    rounds = tuple(replace(ROUND, round=i) for i in range(3))
    for method, bits, size, seed in product(METHODS, (16, 32, 64, 128), range(100, 600, 100), range(100)):
        spec = RunSpec(
            method=method, dataset="synthetic", bits=bits, schedule=Schedule("shuffled", size), seed=seed
        )
        code = fingerprint.of_method(method)
        store.write(RunRecord(spec=spec, status="ok", rounds=rounds, code=code, data="d"), {})


def test_a_table_of_ten_thousand_cells_costs_at_most_six_times_the_parsing_of_their_files(
    race: Any, timed: Any, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    store.check_writable()
    fill(store)

    def table() -> str:
        records = store.records()
        return str(Results(records, stale=stale_reasons(records), arrays=store.arrays).table())

    def parsed() -> list[Any]:
        return [json.loads(path.read_bytes()) for path in tmp_path.glob("*.json")]

    assert table().count("random_projection") >= 5
    assert race(table, {"parsing": timed(parsed)}, rounds=3)["parsing"] >= 1 / 6


@pytest.mark.parametrize("report", ["map_table", "timing"])
@pytest.mark.parametrize("pools", [("none",), ("none", "first_chunk")], ids=len)
def test_ten_times_the_records_cost_at_most_thirty_times_a_table(
    race: Any, timed: Any, report: str, pools: tuple[str, ...]
) -> None:
    """Comparing all pairs would cost a hundred. Methods that are not here are looked for once at most."""

    def records(methods: int) -> list[RunRecord]:
        specs = product(range(methods), (8, 16, 32, 64, 128), range(10))
        return [RunRecord(spec=spec(*one), status="ok", rounds=(ROUND,)) for one in specs]

    def spec(m: int, bits: int, seed: int) -> RunSpec:
        schedule, pool = Schedule("shuffled", 100), pools[m % len(pools)]
        return RunSpec(
            method=f"m{m}", dataset="synthetic", bits=bits, schedule=schedule, seed=seed, pool=pool
        )

    def table(of: list[RunRecord]) -> str:
        return str(Results(of).table(report=report))

    many, few = records(200), records(20)
    ratios = race(lambda: table(many), {"a tenth": timed(lambda: table(few))}, rounds=3)
    assert ratios["a tenth"] >= 1 / 30
