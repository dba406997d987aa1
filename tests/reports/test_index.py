"""The reports index, choose and cost: settings at equal recall, the Pareto set, and the sums of a month."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.checks import runs
from bench.errors import ParameterError
from bench.records import IndexRecord, RunRecord
from bench.reporting.results import Results
from bench.reports import _amounts


@pytest.fixture
def results() -> Results:
    return runs.results()


def _measured(results: Results, record: RunRecord) -> IndexRecord:
    index = results.index(record)
    assert index is not None
    return index


@pytest.mark.parametrize(("recall", "setting"), [(0.4, "nprobe=1"), (0.9, "nprobe=2")])
def test_an_index_is_shown_at_its_cheapest_setting_with_the_recall(
    results: Results, recall: float, setting: str
) -> None:
    rows = [r for r in results.table(report="index", recall=recall).data if r.get("index") == "ivf"]
    assert rows
    assert {(r["setting"], r["reached"]) for r in rows} == {(setting, True)}


def test_an_index_that_misses_the_recall_is_marked(results: Results) -> None:
    table = results.table(report="index", recall=0.99)
    rows = [r for r in table.data if r.get("index") == "ivf"]
    assert {(r["setting"], r["reached"]) for r in rows} == {("nprobe=2", False)}
    assert "ivf nprobe=2↓" in str(table)
    assert "↓ no setting reaches recall@10 ≥ 0.99" in str(table)


def test_reindexing_is_encoding_all_items_and_building(results: Results) -> None:
    table = results.table(report="index")
    header = [column.name for column in table.blocks[0].columns]
    assert table.blocks[0].rows[0][header.index("re-index")].text == "140 ms"  # 0.02 + 0.02 + 0.1


def test_latencies_while_every_core_asks_stand_beside_those_alone(results: Results) -> None:
    table = results.table(report="index")
    header = [(column.group, column.name) for column in table.blocks[0].columns]
    shown = [table.blocks[0].rows[0][header.index(("latency, busy", name))].text for name in ("p50", "p99")]
    assert shown == ["60.0 µs", "80.0 µs"]


def test_measurements_without_busy_latencies_show_a_dash(results: Results) -> None:
    def older(record: RunRecord) -> IndexRecord:
        index = _measured(results, record)
        return replace(index, searches=tuple(replace(s, busy_p50=None) for s in index.searches))

    assert results.but(indexes=older).table(report="index").data[0]["busy_p50"] is None


def test_frozen_codes_are_not_reindexed(results: Results) -> None:
    frozen = [replace(r, spec=replace(r.spec, database="frozen")) for r in results]

    def arrays(record: RunRecord) -> Any:
        return results.evidence(replace(record, spec=replace(record.spec, database="reindexed")))

    table = results.but(records=frozen, arrays=arrays).table(report="index")
    assert {row[-1].text for row in table.blocks[0].rows} == {"–"}


@pytest.mark.parametrize("report", ["index", "choose"])
def test_results_without_measured_indexes_say_so(results: Results, report: str) -> None:
    with pytest.raises(ParameterError, match="Run `bench index`"):
        Results(results.records, arrays=results.evidence).render(report)


@pytest.mark.parametrize("report", ["index", "choose"])
@pytest.mark.parametrize(
    ("option", "value", "expected"), [("k", 5, "1, 10, 100"), ("recall", 1.5, "above 0 and at most 1")]
)
def test_a_recall_that_is_never_measured_is_refused(
    results: Results, report: str, option: str, value: float, expected: str
) -> None:
    with pytest.raises(ParameterError, match=expected):
        results.render(report, **{option: value})


def test_the_choice_is_the_most_precise_within_the_limits(results: Results) -> None:
    sentence = results.table(report="choose", latency="1ms", memory="64B").blocks[0].caption[0]
    assert "at 32 bits with flat, the most precise: precision@10 .320, p99 40.0 µs, 12.0 B" in sentence


def test_limits_leave_the_smaller_and_quicker(results: Results) -> None:
    rows = results.table(report="choose", latency="35us", memory="10B").data
    assert {(row["bits"], row["index"]) for row in rows} == {(16, "ivf")}


def test_nothing_in_the_pareto_set_is_beaten(results: Results) -> None:
    table = results.table(report="choose")
    chosen = {(r["bits"], r["index"]) for r in table.data}
    assert chosen == {(bits, index) for bits in (16, 32) for index in ("flat", "ivf")}  # each trades one
    dear = Results(
        results.records,
        arrays=results.evidence,
        indexes=lambda r: replace(
            _measured(results, r),
            searches=tuple(
                replace(s, p99=1.0 if s.index == "ivf" else s.p99) for s in _measured(results, r).searches
            ),
        ),
    )
    assert {r["index"] for r in dear.table(report="choose").data} == {"flat"}


def test_an_empty_choice_says_which_limit_is_missed(results: Results) -> None:
    table = results.table(report="choose", latency="1us")
    assert "none of 12 measured combinations has recall@10 ≥ 0.9, p99 ≤ 1.00 µs" in " ".join(
        str(table).split()
    )
    assert "12 reach the recall, 0 of them in time, 0 in this memory" in " ".join(str(table).split())
    assert not table.data


def test_a_month_costs_what_its_formulas_say(results: Results) -> None:
    row = results.table(report="cost", inserts="10/day", queries="1/day", rehashes="1/day").data[0]
    items, encoding = 300, 0.04 / 80  # seconds of an item, in the last round
    assert row["codes_bytes"] == items * 2 * 2
    assert row["state_bytes"] == 16_000
    assert row["fit_seconds"] == pytest.approx(items * 2 * 0.5 / 80)
    assert row["rehash_seconds"] == pytest.approx(10 * sum(range(1, 31)) * encoding)
    assert row["bits_rewritten"] == pytest.approx(10 * sum(range(1, 31)) * 10 / 40)
    assert row["encode_seconds"] == pytest.approx(items * encoding + 30 * 0.01 / (30 * 2))
    assert row["search_seconds"] == pytest.approx(30 * items / 2 * 0.03 / (30 * 2 * 80))


def test_a_month_counts_all_stored_items_and_fits_all_when_a_run_trained_on_half(results: Results) -> None:
    entire = results.table(report="cost").data[0]
    half = runs.results("trained on half").table(report="cost").data[0]
    for name in ("encode_seconds", "rehash_seconds", "search_seconds", "bits_rewritten"):
        assert half[name] == pytest.approx(entire[name])
    assert half["fit_seconds"] == pytest.approx(2 * entire["fit_seconds"])


def test_a_month_says_how_many_queries_a_core_answers_when_the_store_is_full(results: Results) -> None:
    row = results.table(report="cost", inserts="10/day").data[0]
    assert row["queries_per_second"] == pytest.approx(1 / (0.01 / 60 + 300 * 0.03 / 60 / 80))


@pytest.mark.parametrize("study", ["shuffled", "trained on half"])
def test_the_stream_shows_what_every_round_cost(study: str) -> None:
    table = runs.results(study).table(report="cost")
    rows = [r for r in table.data if "round" in r and (r["method"], r["bits"]) == ("lemon", 16)]
    assert [(r["round"], r["items"], r["codes_bytes"]) for r in rows] == [(0, 40, 160), (1, 80, 320)]
    assert [(r["bits_rewritten"], r["rehash_seconds"]) for r in rows] == [(None, 0.02), (10, 0.02)]
    assert rows[1]["queries_per_second"] == pytest.approx(1 / (0.01 / 60 + 0.03 / 60))


def test_the_stream_is_left_out_where_every_cell_failed(results: Results) -> None:
    failed = [replace(r, status="failed", reason="no more", rounds=()) for r in results]
    assert len(results.but(records=failed).table(report="cost").blocks) == 1


def test_frozen_codes_cost_no_rehash(results: Results) -> None:
    frozen = [
        replace(
            r,
            spec=replace(r.spec, database="frozen"),
            rounds=tuple(
                replace(o, seconds={**o.seconds, "rehash": 0.0, "rehash_cpu": 0.0}) for o in r.rounds
            ),
        )
        for r in results
    ]
    row = results.but(records=frozen).table(report="cost").data[0]
    assert row["rehash_seconds"] == row["bits_rewritten"] == 0


def test_unknown_rewrites_are_not_counted_as_none(results: Results) -> None:
    once = [replace(r, rounds=r.rounds[-1:]) for r in results]
    assert results.but(records=once).table(report="cost").data[0]["bits_rewritten"] is None


def test_a_measured_scan_is_what_a_search_costs(results: Results) -> None:
    def index(record: RunRecord) -> IndexRecord:
        made = _measured(results, record)
        return replace(made, searches=tuple(replace(s, index="scan") for s in made.searches[:1]))

    scanned = Results(results.records, arrays=results.evidence, indexes=index)
    row = scanned.table(report="cost", inserts="10/day", queries="1/day").data[0]
    assert row["search_seconds"] == pytest.approx(30 * 300 / 2 * 2e-5 / 80)


@pytest.mark.parametrize("rate", ["5", "x/day", "-1/day", "1/year", "inf/s", "nan/day"])
def test_a_rate_that_is_none_is_refused(results: Results, rate: str) -> None:
    with pytest.raises(ParameterError, match="expected a number per s, min, h, day, month"):
        results.render("cost", inserts=rate)


@pytest.mark.parametrize("limit", ["5", "0ms", "ms", "5 min", "1e400ms"])
def test_a_limit_without_a_unit_or_a_value_is_refused(results: Results, limit: str) -> None:
    with pytest.raises(ParameterError, match="Write latency=5ms"):
        results.render("choose", latency=limit)


def test_amounts_have_units() -> None:
    assert _amounts.seconds("2.5 ms", "latency") == pytest.approx(0.0025)
    assert _amounts.count_of_bytes("1e3kB", "memory") == 1e6
    assert _amounts.per_month("2/h", "inserts") == 2 * 24 * 30
