"""The main table and its twin by round: what shares a column, what is marked, what is told below."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from bench.errors import ParameterError
from bench.records import Direction, RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.results import Results


def entry(
    value: float,
    *,
    round_: int = 4,
    items: int = 2000,
    empty: int = 0,
    extra: Mapping[str, float] = MappingProxyType({}),
) -> RoundRecord:
    """One round that scored ``value`` in both directions, with a tie band of ±.02 and chance .1."""
    names = {"map": value, "map:pessimistic": value - 0.02, "map:optimistic": value + 0.02, "chance": 0.1}
    directions: tuple[Direction, ...] = ("i2t", "t2i")
    return RoundRecord(
        round=round_,
        items=items,
        queries=400,
        empty_queries=dict.fromkeys(directions, empty),
        metrics={f"{name}/{d}": v for name, v in {**names, **extra}.items() for d in directions},
        seconds={"fit": 1.0},
        bits_rewritten=None,
        state_bytes=10,
    )


def record(
    method: str = "lcdh",
    value: float = 0.7,
    *,
    dataset: str = "wiki",
    bits: int = 16,
    seed: int = 0,
    pool: str = "none",
    status: Any = "ok",
    reason: str = "",
    fidelity: str = "textbook",
    data: str = "d1",
    rounds: tuple[RoundRecord, ...] | None = None,
    notes: tuple[str, ...] = (),
    **spec: Any,
) -> RunRecord:
    schedule = Schedule.parse(spec.pop("schedule", "shuffled:400"))
    shown = (entry(value),) if rounds is None else rounds
    return RunRecord(
        spec=RunSpec(
            method=method, dataset=dataset, bits=bits, schedule=schedule, seed=seed, pool=pool, **spec
        ),
        status=status,
        reason=reason,
        rounds=shown if status == "ok" else (),
        fidelity=fidelity,
        data=data,
        notes=notes,
    )


def render(records: Sequence[RunRecord], stale: Mapping[str, str] | None = None, **options: Any) -> Table:
    return Results(records, stale=stale).table(**options)


def render_rounds(records: Sequence[RunRecord]) -> Table:
    return Results(records).table(report="rounds")


def cell(table: Table, method: str, column: str, block: int = 0) -> str:
    """What is printed for a method under the header ``wiki I→T 16 bits``."""
    part = table.blocks[block]
    i = [f"{c.group} {c.name}" for c in part.columns].index(column)
    found = next(row[i] for row in (*part.rows, *part.foot) if row[0].text == method)
    return f"{found.text}{found.extra} {found.below}".strip()


def notes(table: Table, block: int = 0) -> str:
    return "\n".join(table.blocks[block].notes)


def caption(table: Table, block: int = 0) -> str:
    return "\n".join(table.blocks[block].caption)


def test_a_cell_is_the_mean_over_seeds_with_its_spread_and_tie_band() -> None:
    table = render([record(value=0.70), record(value=0.72, seed=1)])
    assert cell(table, "lcdh", "wiki I→T 16 bits") == ".710 ±.014 [.690–.730]"


def test_one_seed_has_no_spread() -> None:
    assert cell(render([record()]), "lcdh", "wiki I→T 16 bits") == ".700 [.680–.720]"


def test_the_band_can_be_left_out() -> None:
    assert cell(render([record()], band=False), "lcdh", "wiki I→T 16 bits") == ".700"


def test_the_last_row_is_the_chance_level() -> None:
    table = render([record(), record("ukd", 0.5)])
    assert cell(table, "chance", "wiki T→I 16 bits") == ".100"
    assert "chance in the last row" in caption(table)


def test_columns_go_by_dataset_direction_and_bits() -> None:
    records = [record(dataset=d, bits=b) for d in ("wiki", "mir") for b in (32, 16)]
    names = [f"{c.group} {c.name}" for c in render(records).blocks[0].columns[1:]]
    assert names == [
        f"{d} {way} {b} bits" for d in ("wiki", "mir") for way in ("I→T", "T→I") for b in (16, 32)
    ]


def test_methods_keep_the_order_they_were_asked_for() -> None:
    table = render([record("ukd"), record("lcdh"), record("ukd", bits=32)])
    assert [row[0].text for row in table.blocks[0].rows] == ["ukd", "lcdh"]


def test_parameters_are_part_of_the_methods_name() -> None:
    table = render([record(), record(params={"lambda1": 0.1})])
    assert [row[0].text for row in table.blocks[0].rows] == ["lcdh", "lcdh[lambda1=0.1]"]


def test_a_cell_with_fewer_seeds_says_how_many() -> None:
    table = render([record(), record(seed=1), record("ukd")])
    assert "(n=1)" in cell(table, "ukd", "wiki I→T 16 bits")
    assert "(n=" not in cell(table, "lcdh", "wiki I→T 16 bits")
    assert "(n=…)" in notes(table)


@pytest.mark.parametrize(
    "other",
    [
        {"database": "learned"},
        {"database": "frozen"},
        {"schedule": "drift:400"},
        {"val": 100},
        {"evaluate": "all"},
        {"directions": ("i2t",)},
        {"data": "d2"},
    ],
)
def test_another_protocol_is_another_table(other: dict[str, Any]) -> None:
    table = render([record(), record("ukd", **other)])
    assert [[row[0].text for row in b.rows] for b in table.blocks] == [["lcdh"], ["ukd"]]


@pytest.mark.parametrize("database", ["reindexed", "frozen", "learned"])
def test_the_caption_says_whose_codes_the_database_holds(database: str) -> None:
    assert f"database {database}: " in caption(render([record(database=database)]))


def test_the_caption_says_that_methods_are_trained_on_every_item() -> None:
    assert "train all: methods are trained on every item that is searched" in caption(render([record()]))


def test_the_fingerprints_of_two_datasets_do_not_part_them() -> None:
    assert len(render([record(), record(dataset="mir", data="d2")]).blocks) == 1


def test_a_method_without_an_offline_stage_stands_beside_one_that_has() -> None:
    table = render([record("lemon"), record("ukd", pool="first_chunk")])
    assert [row[0].text for row in table.blocks[0].rows] == ["lemon", "ukd"]
    assert "pool first_chunk (none for a method without an offline stage)" in caption(table)
    assert len(table.blocks) == 1


def test_two_pools_are_two_tables_that_share_the_methods_without_one() -> None:
    records = [record("lemon"), record("ukd", pool="first_chunk"), record("ukd", pool="full")]
    table = render(records)
    assert [[row[0].text for row in b.rows] for b in table.blocks] == [["lemon", "ukd"], ["lemon", "ukd"]]
    told = {(row["block"], row["method"]) for row in csv.DictReader(io.StringIO(table.to_csv()))}
    assert told == {("0", "lemon"), ("0", "ukd"), ("1", "lemon"), ("1", "ukd")}


def test_an_offline_stage_left_out_is_not_mixed_with_one_that_ran() -> None:
    table = render([record("ukd", 0.2), record("ukd", 0.7, pool="first_chunk")])
    assert [cell(table, "ukd", "wiki I→T 16 bits", b)[:4] for b in (0, 1)] == [".700", ".200"]


def test_an_offline_stage_that_was_left_out_is_no_reason_to_stand_beside_those_that_had_theirs() -> None:
    changed = record("lcdh", 0.7, pool="first_chunk", params={"alpha": 1.0})
    table = render([record("lcdh", 0.2), changed, record("lemon")])
    assert [len(block.rows) for block in table.blocks] == [2, 2]
    assert "pool none" in caption(table, 1)


def test_a_pool_that_is_taken_out_of_the_stream_stands_alone() -> None:
    table = render([record("lemon"), record("ukd", pool="separate:500")])
    assert [[row[0].text for row in b.rows] for b in table.blocks] == [["ukd"], ["lemon"]]


def test_a_teacher_that_saw_the_future_is_marked_and_explained() -> None:
    table = render([record("lemon"), record("ukd", pool="full")])
    assert [row[0].extra for row in table.blocks[0].rows] == ["", "◊"]
    assert "◊ saw the future" in notes(table)


def test_every_rendering_marks_a_teacher_that_saw_the_future() -> None:
    table = render([record("ukd", pool="full")])
    assert "ukd◊" in str(table) and "ukd◊" in table.to_markdown()
    assert r"ukd$^\diamond$" in table.to_latex()
    assert next(csv.DictReader(io.StringIO(table.to_csv())))["saw_future"] == "True"


@pytest.mark.parametrize(
    ("fidelity", "mark", "words"),
    [
        ("reconstruction", "†", "† our reconstruction, not the authors' algorithm: lcdh"),
        ("adaptation", "‡", "‡ an adaptation of the authors' algorithm: lcdh"),
        ("modified (a=1, b=2)", "⋆", "⋆ the authors' algorithm, modified (a=1, b=2): lcdh"),
        ("authors' algorithm", "", "the authors' algorithm: lcdh"),
        ("textbook", "", "textbook method: lcdh"),
    ],
)
def test_a_table_says_whose_algorithm_a_method_is(fidelity: str, mark: str, words: str) -> None:
    table = render([record(fidelity=fidelity)])
    assert table.blocks[0].rows[0][0].extra == mark
    assert words in notes(table).splitlines()


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_a_cell_without_numbers_keeps_its_place_and_gives_its_reason(status: str) -> None:
    without = [record(status=status, reason="needs labels", seed=s) for s in (0, 1)]
    table = render([record("lemon"), *without])
    assert cell(table, "lcdh", "wiki I→T 16 bits") == status
    assert f"{status}: lcdh on wiki, 16 bits, seeds 0, 1: needs labels" in notes(table)


def test_a_failed_seed_leaves_the_others_and_is_told() -> None:
    table = render(
        [record("lemon"), record("lemon", seed=1), record(), record(seed=1, status="failed", reason="boom")]
    )
    assert "(n=1)" in cell(table, "lcdh", "wiki I→T 16 bits")
    assert "failed: lcdh on wiki, 16 bits, seed 1: boom" in notes(table)


def test_a_table_of_nothing_but_failures_still_renders() -> None:
    table = render([record(status="failed", reason="boom", data="")])
    assert cell(table, "lcdh", "wiki I→T 16 bits") == "failed"


def test_a_failure_without_a_fingerprint_stands_with_the_results() -> None:
    assert len(render([record(), record("ukd", status="failed", reason="boom", data="")]).blocks) == 1


def test_a_stale_cell_is_marked_with_its_reason() -> None:
    old, new = record(), record("ukd", 0.5)
    table = render([old, new], stale={old.spec.key: "the code has changed"})
    assert cell(table, "lcdh", "wiki I→T 16 bits").startswith(".700§")
    assert "§" not in cell(table, "ukd", "wiki I→T 16 bits")
    assert "§ stale: lcdh on wiki, 16 bits, seed 0: the code has changed" in notes(table)


def test_methods_with_the_same_trouble_share_a_line() -> None:
    table = render(
        [record(m, status="failed", reason="boom", bits=b) for m in ("lcdh", "ukd") for b in (16, 32)]
    )
    assert "failed: lcdh, ukd on wiki, 16, 32 bits, seed 0: boom" in notes(table)


def test_datasets_with_the_same_trouble_share_a_line() -> None:
    datasets = ("wiki", "fashion", "scenes")
    table = render(
        [record(m, dataset=d, status="skipped", reason="no pool") for d in datasets for m in ("lcdh", "ukd")]
    )
    lines = [line for line in notes(table).splitlines() if line.startswith("skipped")]
    assert lines == ["skipped: lcdh, ukd on wiki, fashion and scenes, 16 bits, seed 0: no pool"]


def test_validation_is_called_tuning() -> None:
    assert "VALIDATION, for tuning only: 100 training items are the queries" in caption(
        render([record(val=100)])
    )


def test_test_queries_are_not_called_validation() -> None:
    assert "VALIDATION" not in caption(render([record()]))


@pytest.mark.parametrize(
    ("empty", "words"), [(0, "400 queries (0 empty)"), (3, "400 queries (3 empty, left out")]
)
def test_empty_queries_are_counted(empty: int, words: str) -> None:
    assert words in caption(render([record(rounds=(entry(0.7, empty=empty),))]))


def test_notes_of_a_record_are_told() -> None:
    table = render([record(notes=("no 'clip' view for image: the plain features stand in",))])
    assert "note: lcdh on wiki, 16 bits, seed 0: no 'clip' view for image" in notes(table)


def test_a_metric_that_is_not_stored_names_the_fix() -> None:
    with pytest.raises(ParameterError, match=r"no stored metric 'map@7'.*`bench rescore --metric map@7`"):
        render([record()], metric="map@7")


def test_a_metric_that_some_records_lack_is_an_error_and_no_gap() -> None:
    with pytest.raises(ParameterError, match="in 1 of 2 cells"):
        render([record(rounds=(entry(0.7, extra={"map@50": 0.9}),)), record("ukd")], metric="map@50")


def test_another_metric_does_not_borrow_the_chance_level_of_map() -> None:
    table = render([record(rounds=(entry(0.7, extra={"map@50": 0.9}),))], metric="map@50")
    assert table.blocks[0].foot == ()
    assert "not stored, so not shown: chance@50" in notes(table)


def test_the_caption_defines_another_metric() -> None:
    table = render([record(rounds=(entry(0.7, extra={"precision@r2": 0.9}),))], metric="precision@r2")
    assert caption(table).startswith("P@radius≤2 (share of relevant items within a Hamming radius")


def test_a_stored_metric_that_nothing_here_defines_is_shown_by_its_name() -> None:
    table = render([record(rounds=(entry(0.7, extra={"mine": 0.9}),))], metric="mine")
    assert cell(table, "lcdh", "wiki I→T 16 bits") == ".900"
    assert caption(table).startswith("mine, after the last round")


def test_a_cut_metric_has_its_own_chance_and_band() -> None:
    extra = {"map@50": 0.9, "chance@50": 0.2, "map@50:pessimistic": 0.8, "map@50:optimistic": 1.0}
    table = render([record(rounds=(entry(0.7, extra=extra),))], metric="map@50")
    assert cell(table, "lcdh", "wiki I→T 16 bits") == ".900 [.800–1.000]"
    assert cell(table, "chance", "wiki I→T 16 bits") == ".200"


def test_a_value_that_no_query_could_give_is_no_number() -> None:
    table = render([record(rounds=(entry(math.nan, empty=400),)), record("ukd")])
    assert cell(table, "lcdh", "wiki I→T 16 bits").startswith("n/a")
    assert table.data[0]["value"] is None


def test_no_records_is_a_clear_error() -> None:
    with pytest.raises(ParameterError, match="no records"):
        render([])


def test_csv_tells_the_protocol_of_every_number() -> None:
    table = render([record(), record("ukd", database="learned", status="skipped", reason="no learned codes")])
    rows: list[Mapping[str, str]] = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [
        (r["method"], r["database"], r["direction"], r["value"], r["chance"], r["reason"]) for r in rows
    ] == [
        ("lcdh", "reindexed", "i2t", "0.7", "0.1", ""),
        ("lcdh", "reindexed", "t2i", "0.7", "0.1", ""),
        ("ukd", "learned", "i2t", "", "", "skipped: no learned codes"),
        ("ukd", "learned", "t2i", "", "", "skipped: no learned codes"),
    ]


def test_equal_records_give_equal_tables() -> None:
    records = [record(m, bits=b, seed=s) for m in ("lcdh", "ukd") for b in (16, 32) for s in (0, 1)]
    assert str(render(records)) == str(render(list(records)))


def test_rounds_are_columns_with_their_own_chance() -> None:
    rounds = tuple(entry(0.1 * t, round_=t, items=400 * t) for t in (1, 2, 3))
    table = render_rounds([record(rounds=rounds, evaluate="all")])
    assert [c.name for c in table.blocks[0].columns] == ["method", *"123", "area", *"123", "area"]
    assert cell(table, "lcdh", "wiki I→T 16 bits 2") == ".200"
    assert cell(table, "chance", "wiki T→I 16 bits 3") == ".100"


def test_a_failed_cell_has_its_word_in_every_round() -> None:
    rounds = tuple(entry(0.1 * t, round_=t) for t in (0, 1))
    failed = record("ukd", status="failed", reason="boom", evaluate="all")
    table = render_rounds([failed, record(rounds=rounds, evaluate="all")])
    assert [c.text for c in table.blocks[0].rows[0][1:]] == ["failed"] * 6


def test_rounds_need_more_than_the_last_one() -> None:
    with pytest.raises(ParameterError, match="--evaluate all"):
        render_rounds([record()])


def test_references_stand_below_the_rule_and_are_never_the_best() -> None:
    oracle = replace(record("label_oracle", 0.99), reference="oracle")
    floats = replace(record("float_features", 0.9), reference="real-valued")
    table = render([oracle, record("lcdh", 0.7), floats, record("lemon", 0.6)])
    [block] = table.blocks
    assert [row[0].text for row in block.rows] == ["lcdh", "lemon"]
    assert [row[0].text for row in block.foot] == ["label_oracle", "float_features", "chance"]
    assert block.marks()[0][1] == "best"
    assert "shown the labels of queries and database: label_oracle" in notes(table)
    assert "ranked by cosine" in notes(table)


def test_a_metric_that_says_nothing_of_real_valued_vectors_is_no_error() -> None:
    floats = replace(record("float_features", 0.9), reference="real-valued")
    near = entry(0.5, extra={"precision@r2": 0.4})
    table = render([floats, record("lcdh", rounds=(near,))], metric="precision@r2")
    assert cell(table, "float_features", "wiki I→T 16 bits") == "–"


def test_datasets_that_run_their_own_schedules_share_a_table() -> None:
    own = [record(dataset="wiki"), record(dataset="fashion", data="d2", schedule="shuffled:2000")]
    [block] = Results(own).table().blocks
    assert any("schedule wiki shuffled:400, fashion shuffled:2000" in line for line in block.caption)


def test_another_schedule_than_the_own_stands_apart() -> None:
    other = [record(dataset="wiki"), record(dataset="fashion", data="d2", schedule="shuffled:1000")]
    assert len(Results(other).table().blocks) == 2


def test_the_mean_of_a_dataset_follows_its_columns() -> None:
    made = [record(value=0.6, bits=16), record(value=0.8, bits=32)]
    [block] = Results(made).table(average=True).blocks
    assert [c.name for c in block.columns][-1] == "mean" and block.rows[0][-1].text == ".700"


def test_a_mean_with_a_gap_is_a_dash() -> None:
    made = [record(bits=16), record(bits=32), record("ukd", bits=16)]
    [block] = Results(made).table(average=True).blocks
    assert [row[-1].text for row in block.rows] == [".700", "–"]
