"""Reports of runbooks: the memory of deleted items, the area under the stream, and runbooks under stress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.errors import ParameterError
from bench.reporting import Figure
from bench.results import Results

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "tiny.py")
STEPS = ["insert 20", "evaluate", "insert 20", "delete oldest 15", "evaluate", "delete share 0.3", "evaluate"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two methods on ``tiny``, on a shuffled stream and by a runbook."""
    folder = tmp_path_factory.mktemp("deletions")
    (folder / "mine.toml").write_text(f"steps = {STEPS}".replace("'", '"'), encoding="utf-8")
    return bench.run(
        methods="ridge_code,random_projection",
        datasets="tiny",
        bits=8,
        seeds=2,
        train=0.5,
        schedule=f"shuffled:20,runbook:{folder / 'mine.toml'}",
        plugin=PLUGIN,
        results=str(folder / "runs"),
    )


def runbooks(results: Results) -> Results:
    return results.select(lambda r: bool(r.spec.schedule.steps))


def rows(results: Results, report: str, **options: Any) -> list[Mapping[str, Any]]:
    return [row for row in results.table(report=report, **options).data if row["direction"] == "i2t"]


def test_memory_is_map_over_deleted_trained_items_less_that_over_unseen_ones(results: Results) -> None:
    row = next(r for r in rows(results, "backward", deletions=True) if r["method"] == "ridge_code")
    gaps = [
        last["trained"].metrics["map/i2t"] - last["unseen"].metrics["map/i2t"]
        for last in (r.rounds[-1].deleted for r in runbooks(results) if r.spec.method == "ridge_code")
    ]
    assert len(gaps) == row["seeds"] == 2 and row["remembered"] == pytest.approx(np.mean(gaps))
    assert row["state_bytes"] == row["first_state_bytes"]


def test_the_figure_has_memory_from_the_first_deletion_on(results: Results) -> None:
    figure = results.figure(report="forgetting", deletions=True)
    assert isinstance(figure, Figure)
    drawn = [row for row in figure.data if row["method"] == "ridge_code" and row["direction"] == "i2t"]
    assert [row["round"] for row in drawn] == [1, 2]


def test_streams_that_delete_nothing_have_no_memory_of_it(results: Results) -> None:
    plain = results.select(lambda r: not r.spec.schedule.steps)
    for report in ("backward", "forgetting"):
        with pytest.raises(ParameterError, match=r"none of 4 cells has deleted items.*--train 0\.5"):
            plain.table(report=report, deletions=True)


def test_the_option_is_named_where_items_were_deleted(results: Results) -> None:
    with pytest.raises(ParameterError, match="give --option deletions=true"):
        results.table(report="backward")


def test_the_area_under_the_stream_is_the_mean_over_its_rounds(results: Results) -> None:
    mine = [r for r in rows(runbooks(results), "rounds") if r["method"] == "ridge_code"]
    assert len(mine) == 3
    assert mine[0]["area"] == pytest.approx(np.mean([r["value"] for r in mine]))
    assert [column.name for column in runbooks(results).table(report="rounds").blocks[0].columns][4] == "area"


def test_a_round_without_a_value_is_left_out_of_the_area(results: Results) -> None:
    def lacking(record: Any) -> Any:
        first, *others = record.rounds
        hollow = replace(first, metrics=dict.fromkeys(first.metrics, math.nan))
        return replace(record, rounds=(hollow, *others))

    chosen = Results([lacking(r) for r in runbooks(results)])
    mine = [r for r in rows(chosen, "rounds") if r["method"] == "ridge_code"]
    assert mine[0]["area"] == pytest.approx(np.mean([r["value"] for r in mine[1:]]))


def test_a_runbook_stands_beside_other_streams_under_stress(results: Results) -> None:
    table = results.table(report="stress")
    streams = {row["stream"] for row in table.data}
    assert len(streams) == 2 and any(s.startswith("runbook:mine@") for s in streams)
    assert "insert 20; evaluate; insert 20; delete oldest 15" in " ".join(table.blocks[0].caption)
