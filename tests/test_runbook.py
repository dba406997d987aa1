"""Runbooks: files of steps by which items arrive, leave the database, and are forgotten."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import Results, metrics
from bench.api import MODALITIES, sign
from bench.checks.trial import Trial, items
from bench.cli import main
from bench.errors import DataError, ParameterError
from bench.methods.classifier_code import ClassifierCode
from bench.methods.ridge_code import RidgeCode
from bench.plugins import registry
from bench.protocol import runbook, stream
from bench.protocol.stream import Plan
from bench.records import RunRecord, RunSpec, Schedule
from bench.running.hosts import Isolation
from bench.storing.recount import fault
from bench.storing.sense import nonsense
from bench.storing.store import Store
from bench.study.study import Study

PLUGINS = Path(__file__).with_name("plugins")
DATA = items(60)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    if watches := sys.modules.get("bench_plugin_watches"):  # another test has used it
        watches.SHOWN.clear()


def schedule(*steps: str) -> Schedule:
    return Schedule.parse(runbook.named(f"runbook:mine.toml: {'; '.join(steps)}"))


def plan(*steps: str, **changes: Any) -> Plan:
    made = RunSpec(method="m", dataset="d", bits=8, schedule=schedule(*steps), **changes)
    return stream.of(made, DATA)


def written(folder: Path, *steps: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(f"steps = {list(steps)}".replace("'", '"'), encoding="utf-8")
    return path


def run(tmp_path: Path, *steps: str, apart: bool = False, **options: Any) -> tuple[RunRecord, dict[str, Any]]:
    default: dict[str, Any] = {"methods": "watches", "datasets": "tiny", "bits": 8, "seeds": 1, "train": 0.5}
    plugins, folder = [str(PLUGINS / f"{name}.py") for name in ("watches", "tiny")], tmp_path / "runs"
    how: Any = {"plugin": plugins, "results": str(folder), "isolation": Isolation(in_process=not apart)}
    given = {"schedule": f"runbook:{written(tmp_path, *steps)}", **default, **options}
    (record,) = bench.run(**{**how, **given}).records
    return record.over("all"), dict(Store(folder).arrays(record)) if record.arrays else {}


# What a file may say


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('step = ["evaluate"]', r"mine.toml: unknown key 'step'; expected steps. Remove it."),
        ("steps = 3", r"mine.toml: expected steps = "),
        ("steps = [{ insert = 3 }]", r"mine.toml: expected steps = "),
        ('steps = ["insert 5", "remove 2", "evaluate"]', "mine.toml, step 2: 'remove 2' is not a step; exp"),
        ('steps = ["insert 0", "evaluate"]', "mine.toml, step 1: 'insert 0' is not a step"),
        ('steps = ["insert 5", "delete share 1.5", "evaluate"]', "step 2: 'delete share 1.5' is not a step"),
        ('steps = ["insert 5", "evaluate", "insert 5"]', r"step 3 \(insert 5\): no evaluation follows it"),
        ("steps = []", "mine.toml, step 1: '' is not a step"),
    ],
)
def test_a_file_without_steps_to_follow_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=says):
        runbook.named(f"runbook:{tmp_path / 'mine.toml'}")


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"runbook .*none\.toml: it cannot be read.*Give the path"):
        runbook.named(f"runbook:{tmp_path / 'none.toml'}")
    (tmp_path / "mine.toml").write_text("steps = [", encoding="utf-8")
    with pytest.raises(DataError, match="it is not TOML"):
        runbook.named(f"runbook:{tmp_path / 'mine.toml'}")


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (
            ["evaluate"],
            r"runbook mine.toml, step 1 \(evaluate\): the database is empty\. Insert items before",
        ),
        (["delete share 0.5", "evaluate"], r"step 1 \(delete share 0.5\): none of 0 items is deleted"),
        (["insert 61", "evaluate"], r"step 1 \(insert 61\): 60 items have not arrived yet\. Insert fewer"),
        (["insert all", "insert all", "evaluate"], r"step 2 \(insert all\): all items have arrived"),
        (["insert 9", "delete oldest 10", "evaluate"], r"step 2 .*: the database has 9 items\. Delete fewer"),
        (["insert 9", "delete older 1", "evaluate"], r"step 2 .*: none of 9 items is deleted"),
        (["insert 9", "replace 10", "evaluate"], r"step 2 .*: the database has 9 items"),
        (["insert 55", "replace 6", "evaluate"], r"step 2 .*: 5 items have not arrived yet"),
        (["insert 9", "delete classes 5", "evaluate"], r"step 2 .*: the database has items of [34] classes"),
        (["insert 9", "delete oldest 9", "evaluate"], r"step 3 \(evaluate\): the database is empty"),
    ],
)
def test_steps_that_the_data_make_impossible_are_refused(steps: list[str], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        plan(*steps)


def test_classes_of_data_without_labels_are_refused() -> None:
    chosen = schedule("insert 9", "delete classes 1", "evaluate")
    with pytest.raises(ParameterError, match=r"step 2 .*: the dataset has no labels\. Delete by age"):
        runbook.play(chosen, np.arange(20), None, 0)


def test_the_command_line_refuses_impossible_steps_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "insert 5", "delete oldest 6", "evaluate")
    options = [
        "--methods",
        "lemon",
        "--datasets",
        "synthetic",
        "--bits",
        "8",
        "--results",
        str(tmp_path / "r"),
    ]
    assert main(["run", *options, "--schedule", f"runbook:{file}"]) == 2
    assert "runbook mine.toml, step 2 (delete oldest 6): the database has 5 items" in capsys.readouterr().err
    assert not list((tmp_path / "r").glob("*.json"))


# A cell and its key


def test_the_content_of_a_file_decides_the_key_and_not_its_path(tmp_path: Path) -> None:
    one = written(tmp_path, "insert 9", "delete  share .50", "evaluate")
    other = written(tmp_path, "insert 9", "delete share 0.5", "evaluate", name="other.toml")
    longer = written(tmp_path, "insert 9", "evaluate", name="longer.toml")
    keys = [
        RunSpec(
            method="m", dataset="d", bits=8, schedule=Schedule.parse(runbook.named(f"runbook:{file}"))
        ).key
        for file in (one, other, longer)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_cell_without_a_runbook_keeps_its_key() -> None:
    spec = RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20))
    assert spec.key == "f865f34527ce0e9f"


def test_a_path_may_have_commas(tmp_path: Path) -> None:
    file = written(tmp_path, "insert 9", "evaluate", name="a,b.toml")
    made = Study.make(None, schedule=f"shuffled:500,runbook:{file},modal:image,text,drift:9")
    assert made.schedule == (
        "shuffled:500",
        "runbook:a-b.toml: insert 9; evaluate",
        "modal:image,text",
        "drift:9",
    )


def test_a_schedule_is_read_again_from_its_text() -> None:
    chosen = schedule("insert 9", "evaluate")
    assert Schedule.parse(chosen.form) == chosen and not chosen.size


def test_steps_that_repeat_are_counted_in_a_line() -> None:
    steps = ["insert 9"] * 3 + ["delete oldest 1", "evaluate"] * 4
    first = "delete oldest 1; evaluate; " * 3
    assert schedule(*steps).brief == f"3 × insert 9; {first}delete oldest 1; and 1 more steps"


def test_the_record_keeps_the_steps(tmp_path: Path) -> None:
    record, _ = run(tmp_path, "insert 30", "evaluate")
    (stored,) = Store(tmp_path / "runs").records()
    assert stored.spec == record.spec and stored.spec.schedule.steps == "insert 30; evaluate"
    assert not nonsense(stored)
    damaged = replace(stored.spec, schedule=replace(stored.spec.schedule, by="insert 30; explode"))
    assert "'explode' is not a step" in nonsense(replace(stored, spec=damaged))
    odd = replace(stored.spec, schedule=replace(stored.spec.schedule, name="/etc/passwd"))
    assert "is not one of" in nonsense(replace(stored, spec=odd))  # and no file is read


# Who arrives and who leaves


def test_a_round_ends_before_a_second_step_that_brings_items_and_after_an_evaluation() -> None:
    made = plan("insert 9", "delete oldest 2", "insert 9", "evaluate", "delete oldest 3", "evaluate")
    assert [len(rows) for rows in made.rounds] == [9, 9, 0]
    assert [(len(before), len(after)) for before, after in made.leaving] == [(0, 2), (0, 0), (3, 0)]
    assert runbook.evaluated(schedule("insert 9", "insert 9", "evaluate", "evaluate")) == {1, 2}


def test_the_oldest_items_leave_first() -> None:
    made = plan("insert 9", "insert 9", "delete oldest 10", "evaluate")
    np.testing.assert_array_equal(made.present(1), made.rounds[1][1:])


def test_items_older_than_some_rounds_leave() -> None:
    made = plan("insert 9", "insert 8", "insert 7", "delete older 1", "evaluate")
    np.testing.assert_array_equal(made.gone(2), made.rounds[0])


def test_all_items_of_a_class_leave() -> None:
    made = plan("insert 40", "delete classes 1", "evaluate")
    assert DATA.labels is not None
    left, gone = DATA.labels[made.present(0)], DATA.labels[made.gone(0)]
    [dropped] = np.flatnonzero(~left.any(axis=0))
    assert gone[:, dropped].all()


def test_a_share_leaves_that_the_seed_decides() -> None:
    one, same, other = (plan("insert 40", "delete share 0.3", "evaluate", seed=s).gone(0) for s in (0, 0, 1))
    assert len(one) == 12 and np.array_equal(one, same) and not np.array_equal(np.sort(one), np.sort(other))


def test_as_many_items_arrive_as_are_replaced() -> None:
    made = plan("insert 40", "evaluate", "replace 10", "evaluate")
    (before, after), arrived = made.leaving[1], made.rounds[1]
    assert len(before) == len(arrived) == 10 and not len(after)
    assert set(before) <= set(made.rounds[0]) and len(made.present(1)) == 40


def test_a_stream_that_deletes_nothing_leaves_its_rows_alone() -> None:
    spec = RunSpec(method="m", dataset="d", bits=8, schedule=Schedule("shuffled", 20))
    rows = np.arange(60)
    assert stream.of(spec, DATA).left(rows, 2) is rows


def test_an_item_that_leaves_before_its_label_arrives_teaches_nothing() -> None:
    made = plan("insert 9", "insert 9", "delete oldest 12", "insert 9", "evaluate", delay=1)
    np.testing.assert_array_equal(made.lesson(1, supervised=True), made.rounds[0])
    np.testing.assert_array_equal(made.lesson(2, supervised=True), made.rounds[1][3:])
    assert len(made.lesson(2, supervised=False)) == 9


def test_an_evaluation_before_anything_could_be_learned_is_refused() -> None:
    steps = "insert 9", "delete oldest 9", "insert 9", "evaluate", "insert 9", "evaluate"
    with pytest.raises(ParameterError, match=r"runbook mine.toml: it evaluates in round 1.*lower delay"):
        plan(*steps, delay=1)


# Runs

STEPS = (
    *("insert 20", "evaluate", "insert 20", "delete oldest 7", "evaluate"),
    *("delete classes 1", "evaluate", "replace 5", "insert all", "delete share 0.2", "evaluate"),
)


@pytest.mark.parametrize(
    "options",
    [
        {"methods": "lemon"},
        {"methods": "lemon", "database": "frozen"},
        {"methods": "lemon", "database": "learned"},
        {"methods": "lemon", "rehash": "budget:30"},
        {"methods": "lemon", "rehash": "trigger:0"},
        {"methods": "lemon", "delay": 1},
        {"methods": "lemon", "unseen_classes": 0.3, "train": "all"},
        {"methods": "lemon", "noise": "sym:0.2"},
        {"methods": "lcdh[teacher_epochs=1]", "pool": "full", "labelled": 0.5, "paired": 0.5},
        {"methods": "scm"},
        {"methods": "scm", "delay": 1, "database": "frozen"},
        {"methods": "float_features"},
        {"methods": "random_projection", "train": "all"},
        {"methods": "lemon", "val": 10},
    ],
    ids=str,
)
def test_a_runbook_combines_with_every_axis(tmp_path: Path, options: dict[str, Any]) -> None:
    steps = [step for step in STEPS if step != "insert all"] if "val" in options else STEPS
    record, arrays = run(tmp_path, *steps, **options)
    assert record.status == "ok", record.traceback
    assert not fault(record, arrays) and not nonsense(record)
    assert record.rounds[-1].items == len(arrays["rows/database"])


def test_scores_count_only_the_items_that_are_left(tmp_path: Path) -> None:
    record, arrays = run(tmp_path, "insert 30", "insert 20", "delete oldest 25", "evaluate")
    assert (record.rounds[-1].items, record.rounds[-1].round) == (25, 1)
    whole, more = run(tmp_path, "insert 30", "insert 20", "evaluate")
    np.testing.assert_array_equal(arrays["rows/database"], more["rows/database"][25:])
    for side in ("image", "text"):
        kept = more[f"codes/database/{side}"][:, 25:]
        np.testing.assert_array_equal(arrays[f"codes/database/{side}"], kept)
    assert whole.rounds[-1].items == 50


def test_what_is_left_keeps_its_frozen_codes(tmp_path: Path) -> None:
    steps = "insert 30", "insert 20", "delete oldest 25", "evaluate"
    _, arrays = run(tmp_path, *steps, methods="lemon", database="frozen")
    _, more = run(tmp_path, *steps[:2], "evaluate", methods="lemon", database="frozen")
    kept = more["codes/database/image"][:, 25:]
    np.testing.assert_array_equal(arrays["codes/database/image"], kept)


def test_runbooks_and_other_schedules_share_the_table_of_a_sweep(tmp_path: Path) -> None:
    results = bench.run(
        methods="ridge_code",
        datasets="tiny",
        bits=8,
        seeds=1,
        train=0.5,
        schedule=[f"runbook:{written(tmp_path, 'insert 30', 'evaluate')}", "shuffled:20", "shuffled:30"],
        plugin=str(PLUGINS / "tiny.py"),
        results=str(tmp_path / "runs"),
    )
    [block] = results.table(report="sensitivity").blocks
    assert [str(row[0].text)[:8] for row in block.rows] == ["runbook:", "shuffled", "shuffled"]
    caption = "\n".join(block.caption)
    assert "evaluate last, runbooks in their own steps" in caption
    assert ": insert 30; evaluate; deleted items are searched no more" in caption
    assert "seen so far" not in caption


def test_a_sweep_keeps_apart_what_is_evaluated_after_all_rounds_and_after_the_last(tmp_path: Path) -> None:
    how: Any = {"plugin": str(PLUGINS / "tiny.py"), "results": str(tmp_path / "runs"), "datasets": "tiny"}
    given: Any = {"methods": "ridge_code", "bits": 8, "seeds": 1, "train": 0.5, **how}
    book = f"runbook:{written(tmp_path, 'insert 30', 'evaluate')}"
    last = bench.run(schedule=[book, "shuffled:20"], **given)
    every = bench.run(schedule=["shuffled:20"], evaluate="all", **given)
    both = last.but(records=[*last.records, *every.records])
    blocks = both.table(report="sensitivity", axes=("schedule",)).blocks
    assert [len(block.rows) for block in blocks] == [2, 1]


def test_the_runbook_decides_which_rounds_are_evaluated(tmp_path: Path) -> None:
    record, _ = run(tmp_path, "insert 20", "insert 20", "evaluate", "insert 20", "evaluate", evaluate="last")
    assert [entry.round for entry in record.rounds] == [1, 2]


def test_an_offline_method_is_fitted_on_what_is_left(tmp_path: Path) -> None:
    _, gone = run(tmp_path, "insert 30", "insert 20", "delete oldest 30", "evaluate", methods="scm")
    _, only = run(tmp_path, "insert 50", "delete oldest 30", "evaluate", methods="scm")
    np.testing.assert_array_equal(gone["rows/database"], only["rows/database"])
    trained = gone["rows/trained"] == only["rows/trained"]
    assert gone["codes/database/image"].shape == only["codes/database/image"].shape and trained.any()


def test_a_method_that_rehashes_codes_itself_is_skipped_with_the_reason(tmp_path: Path) -> None:
    record, _ = run(tmp_path, *STEPS, methods="ocmfh", database="learned")
    assert (record.status, record.reason) == (
        "skipped", "it re-hashes the learned codes of all items itself, and a runbook deletes some",
    )  # fmt: skip


# Forgetting


def forgetful(tmp_path: Path, *steps: str, **options: Any) -> tuple[RunRecord, dict[str, Any], Any]:
    """A run of a method that notes what it knows, with that."""
    plugins = [str(PLUGINS / f"{name}.py") for name in ("forgets", "tiny")]
    if noted := sys.modules.get("bench_plugin_forgets"):
        noted.KNOWN.clear()
        noted.CALLS.clear()
    return *run(tmp_path, *steps, methods="forgets", plugin=plugins, **options), sys.modules[
        "bench_plugin_forgets"
    ]


@pytest.mark.parametrize("options", [{}, {"delay": 1}, {"train": "all"}], ids=str)
def test_a_method_that_forgets_knows_the_trained_items_that_are_left(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    steps = "insert 20", "delete oldest 5", "insert 20", "delete share 0.4", "insert 9", "delete oldest 4"
    _, arrays, noted = forgetful(tmp_path, *steps, "insert 9", "evaluate", **options)
    rows = arrays["rows/database"]
    left = rows[arrays["rows/trained"]] if "rows/trained" in arrays else rows
    left = left if not options.get("delay") else np.setdiff1d(left, rows[-9:])  # whose labels are late
    assert set(left.tolist()) == noted.KNOWN


def test_items_are_forgotten_before_those_of_a_later_step_are_learned(tmp_path: Path) -> None:
    steps = "insert 9", "evaluate", "delete oldest 5", "insert 9", "delete oldest 5", "evaluate"
    _, _, noted = forgetful(tmp_path, *steps, train="all")
    assert [(kind, len(ids)) for kind, ids in noted.CALLS] == [
        ("fit", 9), ("forget", 5), ("fit", 9), ("forget", 5),
    ]  # fmt: skip


def test_nothing_is_forgotten_where_nothing_is_deleted(tmp_path: Path) -> None:
    _, _, noted = forgetful(tmp_path, "insert 9", "insert 9", "evaluate")
    assert {kind for kind, _ in noted.CALLS} == {"fit"}


def test_a_state_that_forgot_items_is_one_that_never_saw_them() -> None:
    trial, splits = Trial(RidgeCode), [items(seed=i) for i in range(3)]
    method, never = RidgeCode(bits=16), RidgeCode(bits=16)
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
    method.forget_items(trial.shown(splits[1]))
    for chunk in trial.chunks(*splits[::2]):
        never.fit_chunk(chunk)
    for side in MODALITIES:
        one, other = method.hash_[side], never.hash_[side]
        assert one.gram.gram is not None and other.gram.gram is not None and one.gram.n == other.gram.n
        np.testing.assert_allclose(one.gram.gram, other.gram.gram, atol=1e-9)
        np.testing.assert_allclose(method.w_[side], never.w_[side], atol=1e-9)


def test_a_classifier_that_forgot_items_is_one_that_never_saw_them() -> None:
    trial, splits = Trial(ClassifierCode), [items(seed=i) for i in range(3)]
    method, never = ClassifierCode(bits=16), ClassifierCode(bits=16)
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
    method.forget_items(trial.shown(splits[0]))  # those that set its origin
    for chunk in trial.chunks(*splits[1:]):
        never.fit_chunk(chunk)
    for side in MODALITIES:
        np.testing.assert_allclose(method.classifier_[side].w, never.classifier_[side].w, atol=1e-9)
        np.testing.assert_allclose(method.classifier_[side].b, never.classifier_[side].b, atol=1e-9)


@pytest.mark.parametrize("apart", [False, True], ids=["in this process", "in another"])
def test_code_lengths_that_run_together_forget_as_they_do_alone(tmp_path: Path, apart: bool) -> None:
    steps = "insert 30", "delete oldest 9", "insert 20", "delete oldest 12", "evaluate"
    study: Any = {"methods": "ridge_code", "datasets": "tiny", "seeds": 1, "train": 0.5}
    study |= {"schedule": f"runbook:{written(tmp_path, *steps)}", "plugin": [str(PLUGINS / "tiny.py")]}
    study |= {"isolation": Isolation(in_process=not apart)}
    for record in bench.run(**study, bits="8,16", results=str(tmp_path / "together")).records:
        (alone,) = bench.run(**study, bits=record.spec.bits, results=str(tmp_path / "alone")).records
        assert alone.rounds[-1].metrics == record.rounds[-1].metrics
        assert alone.rounds[-1].deleted == record.rounds[-1].deleted


def test_what_is_remembered_is_the_score_over_deleted_items_as_they_are_hashed_now(tmp_path: Path) -> None:
    record, _ = run(tmp_path, "insert 30", "evaluate", "delete oldest 12", "evaluate")
    first, last = record.rounds
    assert not first.deleted and set(last.deleted) == {"trained", "unseen"}
    data = sys.modules["bench_plugin_tiny"].Tiny().load(tmp_path)
    made = stream.of(record.spec, data.train)
    for part, rows in made.parts(made.gone(1)).items():
        assert last.deleted[part].items == len(rows)
        items_ = data.train.take(rows)
        texts = items_.text.features[:, [*range(7), 0]]
        codes = sign(data.query.image.features[:, :8]), sign(texts)
        expected = metrics.evaluate(*codes, data.query.labels, items_.labels, metrics="map")
        assert last.deleted[part].metrics["map/i2t"] == pytest.approx(expected["map"])


def test_a_deleted_item_whose_labels_came_too_late_is_not_among_the_trained_ones(tmp_path: Path) -> None:
    steps = "insert 20", "insert 20", "delete oldest 40", "insert 20", "evaluate"
    record, _ = run(tmp_path, *steps, train="all", delay=1)
    assert record.rounds[-1].deleted["trained"].items == 20  # those of the first round


def test_an_edited_score_over_deleted_items_does_not_follow_from_its_counts(tmp_path: Path) -> None:
    record, arrays = run(tmp_path, "insert 30", "delete oldest 12", "evaluate")
    assert not fault(record, arrays)
    [entry] = record.rounds
    part = replace(entry.deleted["unseen"], metrics={**entry.deleted["unseen"].metrics, "map/i2t": 0.0})
    edited = replace(record, rounds=(replace(entry, deleted={**entry.deleted, "unseen": part}),))
    assert "round 0, deleted unseen items: map/i2t is 0" in fault(edited, arrays)


def test_deleted_items_are_rows_of_the_data_frame(tmp_path: Path) -> None:
    steps = "insert 30", "delete oldest 12", "evaluate"
    record, _ = run(tmp_path, *steps)
    frame = Results([record]).frame()
    assert {"deleted trained", "deleted unseen"} <= set(frame["searched"])
