"""The table of provenance: what it takes to cite a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.errors import ParameterError
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.results import Results


def record(method: str = "lcdh", *, status: Any = "ok", jobs: int = 1, **spec: Any) -> RunRecord:
    entry = RoundRecord(
        round=0,
        items=100,
        queries=10,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics={"map/i2t": 0.5, "map/t2i": 0.5},
        seconds={},
        bits_rewritten=None,
        state_bytes=1,
    )
    return RunRecord(
        spec=RunSpec(method=method, dataset="wiki", bits=16, schedule=Schedule.parse("shuffled:10"), **spec),
        status=status,
        reason="" if status == "ok" else "no labels",
        rounds=(entry,) if status == "ok" else (),
        code="c0de0123456789",
        data="da7a0123456789",
        environment={"cpu": "Chip", "jobs": jobs},
    )


def render(records: Sequence[RunRecord], stale: Mapping[str, str] | None = None) -> Table:
    return Results(records, stale=stale).table(report="provenance")


def test_a_row_names_key_fingerprints_and_machine() -> None:
    made = record(seed=3)
    [block] = render([made]).blocks
    texts = [cell.text for cell in block.rows[0]]
    assert texts == ["lcdh", "wiki", "16", "3", "ok", made.spec.key, "c0de0123", "da7a0123", "Chip"]


def test_the_data_have_whole_fingerprints_and_the_environment() -> None:
    [row] = render([record()]).data
    assert (row["code"], row["data"], row["environment:cpu"]) == ("c0de0123456789", "da7a0123456789", "Chip")


def test_each_protocol_is_a_block_that_the_data_name() -> None:
    table = render([record(), record(database="frozen")])
    assert len(table.blocks) == 2
    assert [row["block"] for row in table.data] == [0, 1]


def test_trouble_stale_and_parallel_runs_are_marked() -> None:
    skipped, beside = record(status="skipped"), record(jobs=2)
    table = render([skipped, beside], stale={beside.spec.key: "old"})
    assert [row["reason"] for row in table.data] in (["no labels", ""], [""])
    assert any(cell.extra == "§∥" for row in table.blocks[0].rows for cell in row)


def test_no_records_are_an_error() -> None:
    with pytest.raises(ParameterError, match="no records"):
        render([])
