"""Tables on per-query scores and on streams: what is compared with what, and what is claimed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.checks import runs
from bench.errors import ParameterError
from bench.metrics import per_query
from bench.records import PartRecord, RunRecord
from bench.reporting.metric import short
from bench.reporting.tables import Table
from bench.reports import health, rehash
from bench.reports._stream import backward_transfer, forgetting
from bench.scoring.hamming import Histograms

Make = Callable[..., Any]
METHODS = {"best": 0.8, "same": 0.8, "worse": 4.0}


@pytest.fixture(scope="module")
def study(make: Make) -> Any:
    return make(METHODS, seeds=4, evaluate="last")


def row(table: Table, method: str, block: int = 0) -> str:
    found = next(r for r in table.blocks[block].rows if r[0].text == method)
    return " ".join(f"{c.text}{c.extra} {c.below}".strip() for c in found[1:])


def notes(table: Table, block: int = 0) -> str:
    return "\n".join(table.blocks[block].notes)


def caption(table: Table, block: int = 0) -> str:
    return "\n".join(table.blocks[block].caption)


def test_the_main_table_marks_what_is_not_told_from_the_best(study: Any) -> None:
    table = study.results().table(significance=True)
    assert "≈" not in row(table, "worse")
    assert ("≈" in row(table, "best")) != ("≈" in row(table, "same"))
    assert "paired randomisation test over queries" in notes(table)
    p = {row["method"]: row["p_against_best"] for row in table.data}
    assert p["worse"] < 0.05 < max(p["best"] or 0, p["same"] or 0)


def test_without_being_asked_the_main_table_reads_no_arrays(study: Any) -> None:
    def refuse(_: RunRecord) -> Any:
        raise AssertionError("read")

    assert "≈" not in str(type(study.results())(study.records, arrays=refuse).table())


def test_one_seed_marks_nothing_and_says_why(make: Make) -> None:
    table = make(METHODS, seeds=1, evaluate="last").results().table(significance=True)
    assert "≈" not in "".join(row(table, m) for m in METHODS)
    assert "nothing is tested or marked" in caption(table)


def test_two_seeds_mark_nothing_and_say_why(make: Make) -> None:
    results = make({**METHODS, "far": 9.0}, seeds=2, evaluate="last").results()
    table = results.table(significance=True)
    assert not set("≈?") & set("".join(row(table, m) for m in METHODS))
    assert "that takes two methods that share 3 seeds" in caption(table)
    tests = results.table(report="significance")
    assert "*" not in "".join(row(tests, m, 1) for m in METHODS)
    assert "that takes two methods that share 3 seeds" in caption(tests, 1)


def test_the_caption_gives_the_difference_that_could_have_been_found(study: Any) -> None:
    table = study.results().table(significance=True)
    least = [entry["detectable"] for entry in table.data if entry["detectable"] is not None]
    assert len(least) == 4 and min(least) > 0
    assert "would be found with 80% power" in caption(table)
    assert f"{short(min(least))} to {short(max(least))} by entry" in caption(table)
    tests = study.results().table(report="significance")
    assert "would be found with 80% power" in caption(tests, 1)


def test_a_method_that_could_not_be_tested_is_not_shown_as_different(make: Make) -> None:
    made = make({**METHODS, "lone": 0.8}, seeds=4, evaluate="last")
    kept = [r for r in made.records if r.spec.method != "lone" or r.spec.seed == 0]
    table = type(made)(kept, made.stored).results().table(significance=True)
    assert row(table, "lone").count("?") == 2 and "?" not in row(table, "worse")
    assert "? not tested: it shares fewer than 3 seeds with the best of its column" in notes(table)


def test_a_table_in_which_all_are_tested_has_no_mark_of_the_untested(study: Any) -> None:
    assert "?" not in str(study.results().table(significance=True))


def test_significance_is_of_map_alone(study: Any) -> None:
    with pytest.raises(ParameterError, match="for map alone"):
        study.results().table("map@50", significance=True)


def test_intervals_hold_the_mean_and_stars_what_is_worse(study: Any) -> None:
    table = study.results().table(report="significance")
    for entry in table.data:
        assert entry["interval_low"] < entry["value"] < entry["interval_high"]
    starred = {e["method"] for e in table.data if (e["against_best_p_holm"] or 1) < 0.05}
    assert starred == {"worse"}
    assert row(table, "worse", 1).count("*") == 2 and "best" in row(table, table.data[0]["best"], 1)
    assert "mAP without a cutoff" in table.blocks[0].caption[0]


def test_the_value_is_that_of_the_main_table(study: Any) -> None:
    shown = {(e["method"], e["direction"]): e["value"] for e in study.results().table().data}
    tested = study.results().table(report="significance").data
    assert {(e["method"], e["direction"]): pytest.approx(e["value"], abs=1e-6) for e in tested} == shown


def test_wins_count_every_pair_of_seed_and_query_once(study: Any) -> None:
    data = study.results().table(report="wins").data
    by_pair = {(d["method"], d["against"]): (d["wins"], d["ties"], d["losses"]) for d in data}
    won = 0
    for seed in range(4):
        a, b = (
            next(r for r in study.records if r.spec.method == m and r.spec.seed == seed)
            for m in ("best", "worse")
        )
        for direction in ("i2t", "t2i"):
            one, other = (
                per_query("map", Histograms(study.arrays(r)[f"{direction}/2/counts"])) for r in (a, b)
            )
            won += int((one - other > 1e-6).sum())
    assert by_pair["best", "worse"][0] == won
    assert by_pair["worse", "best"] == by_pair["best", "worse"][::-1]
    assert sum(by_pair["best", "worse"]) == 4 * 60 * 2


def test_wins_tell_the_protocol_that_they_are_over(make: Make) -> None:
    made = make({"lcdh": 1.0, "ukd": 2.0}, bits=(8, 16), evaluate="last")
    for entry in made.results().table(report="wins").data:
        assert (entry["dataset"], entry["database"], entry["bits"]) == ("wiki", "reindexed", "8 16")
        assert {entry["method"], entry["against"]} == {"lcdh", "ukd"}


def test_the_average_is_over_rounds_and_the_last_stands_below(make: Make) -> None:
    made = make({"lcdh": 1.0}, seeds=1)
    table = made.results().table(report="average")
    values = [r.metrics["map/i2t"] for r in made.records[0].rounds]
    shown = [e["value"] for e in table.data if e["direction"] == "i2t"]
    assert shown == pytest.approx([np.mean(values), values[-1]])
    assert "mean over the evaluated rounds" in table.blocks[0].caption[0]
    assert "after the last round" in table.blocks[1].caption[0]


def test_an_average_needs_several_rounds(study: Any) -> None:
    with pytest.raises(ParameterError, match="--evaluate all"):
        study.results().table(report="average")


MATRIX = np.array([[0.8, np.nan, np.nan], [0.9, 0.7, np.nan], [0.6, 0.6, 0.5]])


def test_backward_transfer_and_forgetting_worked_out_by_hand() -> None:
    assert backward_transfer(MATRIX) == pytest.approx(((0.6 - 0.8) + (0.6 - 0.7)) / 2)
    assert forgetting(MATRIX) == pytest.approx(((0.9 - 0.6) + (0.7 - 0.6)) / 2)


def test_a_group_without_a_query_has_no_part_in_them() -> None:
    lacking = MATRIX.copy()
    lacking[:, 1] = np.nan
    assert backward_transfer(lacking) == pytest.approx(-0.2)
    assert forgetting(lacking) == pytest.approx(0.3)


def test_backward_transfer_stands_beside_what_chance_loses(make: Make) -> None:
    made = make({"lcdh": 1.0}, schedule="class_incremental:3")
    table = made.results().table(report="backward")
    assert table.blocks[0].foot[-1][0].text == "chance"
    assert all(math.isfinite(e["backward_transfer"]) for e in table.data)


def test_a_stream_without_new_classes_has_no_backward_transfer(make: Make) -> None:
    with pytest.raises(ParameterError, match="class-incremental"):
        make({"lcdh": 1.0}, seeds=1).results().table(report="backward")


def test_a_million_items_are_extrapolated_linearly_and_said_to_be(make: Make) -> None:
    table = make({"lcdh": 1.0}, seeds=2).results().table(report="scale")
    [entry] = table.data
    assert entry["fit_seconds"] == pytest.approx(3 * 0.1 / 300 * 1e6)
    assert entry["encode_seconds"] == pytest.approx(3 * 0.02 / 300 * 1e6)
    assert entry["reencode_seconds"] == pytest.approx((0.02 + 0.03) / (100 + 200) * 1e6)
    assert entry["search_seconds_per_query"] == pytest.approx(0.03 / (60 * 2) / 300 * 1e6)
    assert entry["index_bytes"] == 2 * 1e6 * 16 / 8
    assert "EXTRAPOLATED to 1,000,000 items" in table.blocks[0].caption[0]


def test_learned_codes_are_not_encoded(make: Make) -> None:
    table = make({"lcdh": 1.0}, seeds=1, databases=("learned",)).results().table(report="scale")
    assert table.data[0]["encode_seconds"] is None


def test_datasets_are_described_where_they_are_at_hand(study: Any) -> None:
    known = SimpleNamespace(
        train=300,
        query=60,
        dimensions={"image": 5},
        class_counts={"a": 1, "b": 2},
        labels_per_item=SimpleNamespace(mean=1.5),
        base_rate=SimpleNamespace(mean=0.25),
        empty_queries=0,
    )
    [entry] = study.results(describe=lambda _: known).table(report="datasets").data
    assert (entry["train"], entry["classes"], entry["features"]) == (300, 2, "image 5")


def test_datasets_that_are_elsewhere_are_told_from_the_records(study: Any) -> None:
    table = study.results(describe=lambda _: None).table(report="datasets")
    [entry] = table.data
    assert (entry["train"], entry["query"], entry["classes"]) == (300, 60, None)
    assert "only what the records contain: wiki" in notes(table)


def test_a_million_items_cost_the_same_when_half_of_them_were_kept_out_of_training() -> None:
    entire, half = (
        runs.results(study).table(report="scale").data[0] for study in ("shuffled", "trained on half")
    )
    for name in ("encode_seconds", "reencode_seconds", "search_seconds_per_query"):
        assert half[name] == pytest.approx(entire[name])
    assert half["fit_seconds"] == pytest.approx(2 * entire["fit_seconds"])


def test_rewritten_bits_are_a_share_of_all_stored_bits_of_both_reports() -> None:
    entire, half = (runs.results(study).records[0] for study in ("shuffled", "trained on half"))
    assert rehash.rewrites(half) == rehash.rewrites(entire)
    assert health._flips(half) == health._flips(entire)


@pytest.mark.parametrize("report", ["significance", "wins", "scale", "average", "backward"])
def test_every_form_of_a_table_can_be_written(make: Make, report: str) -> None:
    made = make({"a_b": 1.0, "<i>": 2.0}, schedule="class_incremental:3")
    table = made.results().table(report=report)
    for form in (table.to_text, table.to_markdown, table.to_csv, table.to_latex, table.to_html):
        assert form()
    assert "<i>" not in table.to_html()


def test_a_stale_record_is_marked_in_every_table_of_scores(study: Any) -> None:
    old = next(r for r in study.records if r.spec.method == "worse")
    for report in ("significance", "scale"):
        table = study.results(stale={old.spec.key: "changed"}).table(report=report)
        assert "worse§" in str(table) and "stale: worse" in str(table)


def test_failed_cells_are_named(study: Any) -> None:
    failed = replace(
        study.records[0],
        spec=replace(study.records[0].spec, method="broken"),
        status="failed",
        reason="boom",
        rounds=(),
    )
    made = type(study)([*study.records, failed], study.stored)
    for report in ("significance", "wins", "scale"):
        assert "boom" in str(made.results().table(report=report))


def collapsed(study: Any, method: str, seeds: tuple[int, ...]) -> Any:
    """The results of a study in which some seeds of a method have constant codes."""
    note = ("constant image codes: all 60 query items have the same one",)
    return study.results().but(
        records=[
            replace(r, notes=note) if r.spec.method == method and r.spec.seed in seeds else r
            for r in study.results().records
        ]
    )


@pytest.mark.parametrize("seeds", [(0, 1, 2, 3), (2,)])
@pytest.mark.parametrize("report", ["wins", "significance"])
def test_a_method_with_constant_codes_is_compared_with_nobody(
    study: Any, report: str, seeds: tuple[int, ...]
) -> None:
    table = collapsed(study, "best", seeds).table(report=report)
    assert {row["method"] for row in table.data} == {"same", "worse"}
    assert "∅ constant codes" in notes(table) and notes(table).count("second: best\n") == 1


def test_the_best_that_others_are_tested_against_has_no_constant_codes(study: Any) -> None:
    table = collapsed(study, "best", (0,)).table(significance=True)
    assert row(table, "best").startswith(".") and "∅" in row(table, "best")
    p = {row["method"]: row["p_against_best"] for row in table.data}
    assert p["best"] is None and p["worse"] < 0.05


def test_the_average_of_constant_codes_is_marked_and_never_the_best(make: Make) -> None:
    made = make({"good": 0.5, "fair": 1.5, "flat": 0.4}, seeds=2)
    table = collapsed(made, "flat", (0, 1)).table(report="average")
    for block in (0, 1):
        assert "∅" in row(table, "flat", block) and "∅ constant codes" in notes(table, block)
        [values] = [[e.value for e in r[1:]] for r in table.blocks[block].rows if r[0].text == "flat"]
        assert values == [None, None]


def test_the_average_keeps_protocols_apart(make: Make) -> None:
    one, other = make({"good": 0.5}), make({"good": 0.5}, databases=("frozen",))
    last = make({"good": 0.5}, schedule="shuffled:50", evaluate="last")
    stored = one.stored | other.stored
    results = one.results().but(records=[*one.records, *other.records, *last.records])
    table = type(results)(results.records, arrays=lambda r: stored[r.spec.key]).table(report="average")
    assert len(table.blocks) == 4  # two protocols, each with the average and the last round
    assert {(d["block"], d["database"]) for d in table.data} == {
        (0, "reindexed"), (1, "reindexed"), (2, "frozen"), (3, "frozen"),
    }  # fmt: skip
    assert {d["schedule"] for d in table.data} == {"shuffled:100"}


def test_the_average_names_a_method_whose_cells_lack_a_metric(make: Make) -> None:
    made = make({"good": 0.5, "old": 0.5})
    records = [
        replace(
            r,
            rounds=tuple(
                replace(x, metrics={k: v for k, v in x.metrics.items() if "@50" not in k}) for x in r.rounds
            ),
        )
        if r.spec.method == "old"
        else r
        for r in made.records
    ]
    with pytest.raises(ParameterError, match="map@50"):
        made.results().but(records=records).table("map@50", report="average")


def test_a_failed_cell_stands_in_the_average_with_its_reason(make: Make) -> None:
    made = make({"good": 0.5, "bad": 0.5}, seeds=1)
    failed = [
        replace(r, status="failed", reason="boom", rounds=()) if r.spec.method == "bad" else r
        for r in made.records
    ]
    table = made.results().but(records=failed).table(report="average")
    for block in (0, 1):
        assert row(table, "bad", block) == "failed failed"
        assert "failed: bad on wiki, 16 bits, seed 0: boom" in notes(table, block)


def test_the_average_compares_trained_and_unseen_items_over_the_same_rounds(make: Make) -> None:
    made = make({"good": 0.5}, seeds=1)
    [record] = made.records
    trained = (0.9, 0.6, 0.3)
    rounds = [
        replace(
            r,
            metrics={**r.metrics, "map/i2t": 0.1, "map/t2i": 0.1},
            parts={
                "unseen": PartRecord(items=1, empty_queries={}, metrics={"map/i2t": 0.1, "map/t2i": 0.1}),
                "trained": PartRecord(
                    items=1, empty_queries={}, metrics={"map/i2t": value, "map/t2i": value}
                ),
            },
        )
        for r, value in zip(record.rounds, trained, strict=True)
    ]
    spec = replace(record.spec, train="0.5")
    results = type(made.results())([replace(record, spec=spec, rounds=tuple(rounds))])
    gaps = {(d["block"], d["trained_minus_shown"]) for d in results.table(report="average", band=False).data}
    assert {(b, round(g, 6)) for b, g in gaps} == {(0, 0.5), (1, 0.2)}
