"""Precision and recall by radius, against numbers worked out by hand from small histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bench.errors import ParameterError
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.results import Results

# One query, 2 bits: 1 item at distance 0 (relevant), 3 at distance 1 (1 relevant), 4 at 2 (2 relevant).
# Within radius 0, 1, 2: precision 1, 2/4, 4/8 and recall 1/4, 2/4, 4/4.
COUNTS = np.array([[[1, 1], [3, 1], [4, 2]]], dtype=np.uint8)


def record(method: str = "lcdh", *, seed: int = 0, status: Any = "ok", **more: Any) -> RunRecord:
    last = RoundRecord(
        round=3,
        items=8,
        queries=1,
        empty_queries={"i2t": 0},
        metrics={"map/i2t": 0.5},
        seconds={},
        bits_rewritten=None,
        state_bytes=0,
    )
    schedule = Schedule.parse("shuffled:2")
    spec = RunSpec(
        method=method, dataset="wiki", bits=2, schedule=schedule, seed=seed, pool="none", directions=("i2t",)
    )
    rounds = (last,) if status == "ok" else ()
    return RunRecord(spec=spec, status=status, rounds=rounds, data="d1", fidelity="textbook", **more)


def stored(counts: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
    return {
        "i2t/3/counts": counts,
        "i2t/3/gains": counts[:, :, 1],
        "i2t/3/grades": np.ones((len(counts), 2), dtype=np.uint8),
    }


def arrays(_: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
    return stored(COUNTS)


def render(records: Sequence[RunRecord], **more: Any) -> Table:
    return Results(records, **more).table(report="pr_curve")


def test_each_radius_is_a_row_with_the_hand_computed_numbers() -> None:
    part = render([record()], arrays=arrays).blocks[0]
    assert [[c.text for c in row] for row in part.rows] == [
        ["0", "1.000", "0.250"],
        ["1", "0.500", "0.500"],
        ["2", "0.500", "1.000"],
    ]


def test_seeds_are_averaged() -> None:
    all_near = np.array([[[8, 4], [0, 0], [0, 0]]], dtype=np.uint8)
    by_seed = {0: COUNTS, 1: all_near}
    table = render([record(), record(seed=1)], arrays=lambda r: stored(by_seed[r.spec.seed]))
    assert (table.data[0]["precision"], table.data[0]["recall"], table.data[0]["n"]) == (0.75, 0.625, 2)


def test_the_last_round_is_the_one_that_is_read() -> None:
    first = {name.replace("/3/", "/0/"): array * 0 for name, array in stored(COUNTS).items()}
    table = render([record()], arrays=lambda r: {**first, **stored(COUNTS)})
    assert table.data[0]["precision"] == 1.0


def test_a_failed_method_keeps_its_columns_and_gives_its_reason() -> None:
    table = render([record(), record("ukd", status="failed", reason="boom")], arrays=arrays)
    part = table.blocks[0]
    assert part.columns[-1].group == "ukd" and part.rows[0][-1].text == "–"
    assert "failed: ukd on wiki, 2 bits, seed 0: boom" in part.notes


def test_a_stale_method_is_marked() -> None:
    old = record()
    table = render([old], arrays=arrays, stale={old.spec.key: "the code has changed"})
    assert table.blocks[0].columns[1].group == "lcdh§"


def test_a_method_without_a_radius_is_left_out() -> None:
    floats = record("float_features", reference="real-valued")
    table = render([record(), floats], arrays=arrays)
    assert {row["method"] for row in table.data} == {"lcdh"} and "float_features" not in str(table)


def test_without_a_loader_the_fix_is_named() -> None:
    with pytest.raises(ParameterError, match=r"made from records alone.*`bench table`"):
        render([record()])


def test_a_histogram_that_is_not_stored_is_named() -> None:
    with pytest.raises(ParameterError, match="no stored array 'i2t/3/counts'"):
        render([record()], arrays=lambda r: {})
