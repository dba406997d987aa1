"""The table of all methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.plugins import registry
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.results import Results


def record(
    method: str, value: float, *, database: str = "learned", dataset: str = "wiki", seed: int = 0
) -> RunRecord:
    spec = RunSpec(
        method=method,
        dataset=dataset,
        bits=32,
        schedule=Schedule("shuffled", 400),
        seed=seed,
        database=database,  # type: ignore[arg-type]
    )
    last = RoundRecord(
        round=4,
        items=2173,
        queries=693,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics={"map/i2t": value, "map/t2i": value + 0.1},
        seconds={},
        bits_rewritten=None,
        state_bytes=12_000,
    )
    return RunRecord(spec=spec, status="ok", rounds=(last,))


def render(records: Sequence[RunRecord], stale: Mapping[str, str] | None = None) -> Table:
    return Results(records, stale=stale).table(report="methods")


def test_every_method_has_a_row_with_or_without_results() -> None:
    table = render([])
    assert [row["method"] for row in table.data] == registry.names("method")
    assert all(row["learned/i2t"] is None for row in table.data)


def test_figures_are_means_over_seeds_of_the_one_dataset_and_length() -> None:
    records = [record("lemon", 0.3), record("lemon", 0.4, seed=1), record("lemon", 0.9, dataset="synthetic")]
    records.append(record("lemon", 0.2, database="reindexed"))
    [row] = [r for r in render(records).data if r["method"] == "lemon"]
    assert (round(row["learned/i2t"], 6), row["reindexed/t2i"], row["state_bytes"]) == (
        0.35,
        0.2 + 0.1,
        12_000,
    )
    assert row["authors/i2t"] == 0.326


def test_runs_of_two_protocols_are_two_tables_that_tell_them() -> None:
    other = record("lemon", 0.6)
    other = replace(other, spec=replace(other.spec, schedule=Schedule("drift", 400)))
    table = render([record("lemon", 0.3), other])
    shown = [(row["schedule"], row["learned/i2t"]) for row in table.data if row["method"] == "lemon"]
    assert shown == [("shuffled:400", 0.3), ("drift:400", 0.6)]
    first = "\n".join(table.blocks[0].caption)
    assert (
        "schedule shuffled:400" in first and "wiki: seed 0; 693 queries" in first and "chance level" in first
    )
    assert "tie-aware" in first


def test_what_a_method_is_comes_from_the_method() -> None:
    rows = {row["method"]: row for row in render([]).data}
    assert (rows["lemon"]["labels"], rows["lemon"]["year"], rows["lemon"]["algorithm"]) == (
        "yes",
        "2020",
        "modified (absolute=False, tolerance=1e-12)",
    )
    assert rows["lcdh"]["labels"] == "optional" and rows["lcdh"]["algorithm"] == "reconstruction"
    assert rows["ocmfh"]["database_codes"] == "learned, re-hashed"
    assert rows["ukd"]["training"] == "offline"
    assert rows["label_oracle"]["labels"] == "also in encode"


def test_stale_records_are_marked() -> None:
    old = record("lemon", 0.3)
    table = render([old], stale={old.spec.key: "the code has changed"})
    assert "§ stale: lemon" in table.blocks[0].notes


def test_a_modified_default_says_below_the_table_what_differs() -> None:
    [block] = render([]).blocks
    row = next(cells for cells in block.rows if cells[0].text == "doch")
    assert row[5].text == "modified"
    assert "doch: modified (ridge=1.0); preset=authors is the authors' algorithm" in block.notes
