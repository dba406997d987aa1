"""Modalities that arrive in turn: what methods are shown, when evaluation starts, and who is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.checks.trial import items
from bench.contract.items import MODALITIES
from bench.contract.method import Capabilities
from bench.errors import ParameterError
from bench.plugins import registry
from bench.protocol import modal, stream
from bench.protocol.shown import chunk
from bench.records import RunRecord, RunSpec, Schedule
from bench.running import probe
from bench.running.hosts import Isolation
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = Path(__file__).with_name("plugins")


def spec(schedule: str = "modal:image,text:15", **changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=8, schedule=Schedule.parse(schedule), **changes)


def run(tmp_path: Path, **options: Any) -> list[RunRecord]:
    default = {
        "methods": "she[epochs=2,hidden=8]",
        "datasets": "tiny",
        "bits": 8,
        "seeds": 1,
        "train": "all",
        "schedule": "modal:image,text:10",
        "evaluate": "all",
    }
    how: Any = {"results": str(tmp_path / "runs"), "isolation": Isolation(in_process=True)}
    given = {**default, **options}
    return list(bench.run(**given, plugin=[str(PLUGINS / "tiny.py")], contract=False, **how).records)


@pytest.mark.parametrize(("order", "first"), [("image,text", "image"), ("text,image", "text")])
def test_the_first_half_of_the_rounds_shows_one_modality_and_the_second_the_other(
    order: str, first: str
) -> None:
    data = items(60)
    plan = stream.of(spec(f"modal:{order}:15"), data)
    shown = [
        chunk(data, rows, Capabilities(partial=True), at, plan.withheld)
        for at, rows in enumerate(plan.rounds)
    ]
    assert [len(c) for c in shown] == [15] * 4
    for modality in MODALITIES:
        absent = [c.batch(modality).absent for c in shown]
        assert all(mask is not None for mask in absent)
        gone = [bool(mask.all()) for mask in absent if mask is not None]
        assert gone == ([False, False, True, True] if modality == first else [True, True, False, False])


def test_an_absent_modality_is_zeros() -> None:
    data = items(60)
    plan = stream.of(spec(), data)
    first = chunk(data, plan.rounds[0], Capabilities(partial=True), 0, plan.withheld)
    assert first.image.features.any() and not first.text.features.any()


def test_without_a_size_each_modality_is_a_round() -> None:
    assert [len(rows) for rows in stream.of(spec("modal:image,text"), items(61)).rounds] == [31, 30]


def test_every_item_arrives_once() -> None:
    rounds = stream.of(spec(), items(60)).rounds
    np.testing.assert_array_equal(np.sort(np.concatenate(rounds)), np.arange(60))


def test_evaluation_starts_when_both_modalities_have_arrived(tmp_path: Path) -> None:
    (record,) = run(tmp_path)
    assert record.status == "ok", record.traceback
    assert [(r.round, r.items) for r in record.rounds] == [(3, 40), (4, 50), (5, 60)]


def test_labels_that_come_late_move_the_start(tmp_path: Path) -> None:
    (record,) = run(tmp_path, delay=1)
    assert [(r.round, r.items) for r in record.rounds] == [(4, 50), (5, 60)]


def test_a_delay_that_leaves_no_round_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"delay=2: the stream modal.*Use at most 1"):
        stream.of(spec(delay=2), items(60))


@pytest.mark.parametrize("how", [{"database": "frozen"}, {"rehash": "budget:50"}, {"rehash": "every:2"}])
def test_codes_that_stay_are_made_once_both_modalities_can_be_hashed(
    tmp_path: Path, how: dict[str, str]
) -> None:
    (record,) = run(tmp_path, **how)
    assert record.status == "ok", record.traceback
    assert [r.items for r in record.rounds] == [40, 50, 60]


def test_the_order_of_the_modalities_matters_to_she(tmp_path: Path) -> None:
    one, other = run(tmp_path, schedule="modal:image,text,modal:text,image")
    assert one.rounds[-1].metrics != other.rounds[-1].metrics


def test_she_aligns_modalities_that_never_come_together(tmp_path: Path) -> None:
    (record,) = run(tmp_path, methods="she[epochs=60,hidden=64]", bits=16, train="0.5", evaluate="last")
    scores = record.over("unseen").rounds[-1].metrics
    assert min(scores["map/i2t"], scores["map/t2i"]) > scores["chance/i2t"] + 0.3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"methods": "lemon"}, "it needs both modalities of every item, and schedule=modal:image,text:10"),
        ({"paired": 0.5}, "no item of schedule=modal:image,text:10 has both modalities"),
        (
            {"methods": "lcdh[student=linear]", "database": "learned"},
            "training on one modality assigns no codes to the other",
        ),
    ],
)
def test_a_cell_that_needs_pairs_is_skipped_with_the_reason(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    (record,) = run(tmp_path, **options)
    assert record.status == "skipped" and reason in record.reason


def test_a_plan_measures_what_the_first_chunk_can_hash(tmp_path: Path) -> None:
    registry.add_named(PLUGINS / "tiny.py")
    study = Study.make(
        methods="she[epochs=1,hidden=8]", datasets="tiny", bits=8, seeds=1, schedule="modal:image,text:10"
    )
    [cell] = Planner().cells(study)
    assert probe._measured(cell) > 0


def test_a_pool_outside_the_stream_keeps_its_pairs() -> None:
    data = items(60)
    plan = stream.of(spec(pool="separate:10"), data)
    assert plan.pool is not None and plan.withheld.absent is not None
    assert not any(plan.withheld.absent[m][plan.pool].any() for m in MODALITIES)


def test_a_stream_that_never_shows_a_modality_is_refused() -> None:
    rounds = [np.arange(3), np.arange(3, 6)]
    lacking = {"image": np.zeros(6, dtype=bool), "text": np.ones(6, dtype=bool)}
    with pytest.raises(ParameterError, match="no item to train on has its text"):
        modal.waits(rounds, lacking)  # type: ignore[arg-type]  # literals of a dict are str
