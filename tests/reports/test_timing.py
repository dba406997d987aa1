"""The table of costs: what is averaged over what, and which timings cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.tables import Table
from bench.results import Results


def entry(
    round_: int, rewritten: int | None = None, state_bytes: int = 1000, **seconds: float
) -> RoundRecord:
    return RoundRecord(
        round=round_,
        items=100,
        queries=10,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics={"map/i2t": 0.5, "map/t2i": 0.5},
        seconds=seconds,
        bits_rewritten=rewritten,
        state_bytes=state_bytes,
    )


def record(
    *rounds: RoundRecord, method: str = "lcdh", bits: int = 16, seed: int = 0, status: Any = "ok", **more: Any
) -> RunRecord:
    schedule = Schedule.parse("shuffled:10")
    spec = RunSpec(
        method=method, dataset="wiki", bits=bits, schedule=schedule, seed=seed, pool="none", evaluate="all"
    )
    environment = {"system": "Linux", "machine": "x86_64", "threads": 1, "jobs": 1}
    return RunRecord(
        spec=spec,
        status=status,
        rounds=rounds,
        fidelity="textbook",
        data="d1",
        **{"environment": environment, **more},
    )


def render(records: Sequence[RunRecord], stale: Mapping[str, str] | None = None) -> Table:
    return Results(records, stale=stale).table(report="timing")


def cell(table: Table, group: str, name: str, row: int = 0) -> str:
    part = table.blocks[0]
    i = [(c.group, c.name) for c in part.columns].index((group, name))
    return f"{part.rows[row][i].text} {part.rows[row][i].below}".strip()


def notes(table: Table) -> str:
    return "\n".join(table.blocks[0].notes)


def test_seconds_are_the_mean_over_rounds_then_seeds() -> None:
    one = record(entry(0, fit=1.0), entry(1, fit=3.0))
    two = record(entry(0, fit=4.0), seed=1)
    assert cell(render([one, two]), "", "fit") == "3.00"


def test_a_round_without_a_rehash_spent_nothing_on_it() -> None:
    table = render([record(entry(0, fit=1.0), entry(1, fit=1.0, rehash=4.0))])
    assert cell(table, "", "rehash") == "2.00"


def test_a_stage_that_never_ran_is_a_dash() -> None:
    assert cell(render([record(entry(0, fit=1.0))]), "", "rehash") == "–"


def test_the_pool_is_paid_for_once_and_not_per_round() -> None:
    table = render([record(entry(0, fit=1.0, fit_pool=6.0), entry(1, fit=1.0))])
    assert cell(table, "fit", "pool") == "6.00"


def test_there_is_no_column_for_a_pool_that_nobody_fitted() -> None:
    assert "pool" not in [c.name for c in render([record(entry(0, fit=1.0))]).blocks[0].columns]


def test_cpu_seconds_stand_below_where_they_were_measured() -> None:
    table = render([record(entry(0, fit=1.0, fit_cpu=1.9, search=0.25))])
    assert cell(table, "", "fit") == "1.00 (1.90)"
    assert cell(table, "", "search") == "0.250"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0001, "<.001"), (0.0321, "0.032"), (3.21, "3.21"), (32.14, "32.1"), (321.4, "321")],
)
def test_seconds_are_shown_with_about_three_digits(seconds: float, shown: str) -> None:
    assert cell(render([record(entry(0, fit=seconds))]), "", "fit") == shown


def test_the_state_is_that_after_the_last_round() -> None:
    table = render([record(entry(0, state_bytes=10), entry(1, state_bytes=2_500_000))])
    assert cell(table, "", "state") == "2.50 MB"


def test_rewritten_bits_are_the_mean_over_rounds_that_had_an_index() -> None:
    table = render([record(entry(0, None), entry(1, 1000), entry(2, 3000))])
    assert cell(table, "rewritten", "bits") == "2,000"


def test_parallel_runs_are_marked() -> None:
    alone, beside = (
        record(entry(0, fit=1.0)),
        record(entry(0, fit=2.0), method="ukd", environment={"jobs": 4}),
    )
    table = render([alone, beside])
    assert [row[0].extra for row in table.blocks[0].rows] == ["", "∥"]
    assert "∥ timed while other cells ran" in notes(table)
    assert [row["parallel"] for row in table.data] == [False, True]


def test_runs_one_at_a_time_are_not_marked() -> None:
    assert "∥" not in str(render([record(entry(0, fit=1.0))]))


def test_different_machines_are_told() -> None:
    other = record(entry(0, fit=1.0), method="ukd", environment={"machine": "aarch64", "jobs": 1})
    assert "timed in different environments" in notes(render([record(entry(0, fit=1.0)), other]))


def test_one_machine_is_named() -> None:
    assert "timed on Linux x86_64, threads: 1" in notes(render([record(entry(0, fit=1.0))]))


def test_a_failed_cell_stays_with_its_reason() -> None:
    table = render([record(entry(0, fit=1.0)), record(method="ukd", status="failed", reason="boom")])
    assert cell(table, "", "fit", row=1) == "failed"
    assert "failed: ukd on wiki, 16 bits, seed 0: boom" in notes(table)


def test_a_stale_row_is_marked() -> None:
    old = record(entry(0, fit=1.0))
    table = render([old], stale={old.spec.key: "the code has changed"})
    assert table.blocks[0].rows[0][0].extra == "§"


def test_rows_go_by_method_then_bits() -> None:
    table = render([record(entry(0), method=m, bits=b) for b in (32, 16) for m in ("ukd", "lcdh")])
    assert [(r[0].text, r[1].text) for r in table.blocks[0].rows] == [
        ("ukd", "16"),
        ("ukd", "32"),
        ("lcdh", "16"),
        ("lcdh", "32"),
    ]


def test_the_plain_numbers_are_not_rounded() -> None:
    row = render([record(entry(0, fit=1.23456, fit_cpu=2.34567))]).data[0]
    assert (row["fit_seconds"], row["fit_cpu_seconds"]) == (1.23456, 2.34567)


def test_runs_beside_others_show_cpu_seconds_first_and_say_so() -> None:
    table = render([record(entry(0, fit=3.0, fit_cpu=1.5), environment={"jobs": 4})])
    assert cell(table, "", "fit") == "1.50 (3.00)"
    assert "CPU seconds of all threads, since other work" in table.blocks[0].caption[0]


def test_a_clock_that_ran_on_while_the_cpu_waited_is_noisy() -> None:
    table = render([record(entry(0, fit=3.0, fit_cpu=1.5))])
    assert cell(table, "", "fit") == "1.50 (3.00)"


def test_a_run_alone_shows_the_wall_clock_first() -> None:
    table = render([record(entry(0, fit=3.0, fit_cpu=2.9))])
    assert cell(table, "", "fit") == "3.00 (2.90)"
    assert "seconds of wall clock" in table.blocks[0].caption[0]
