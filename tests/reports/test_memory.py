"""The memory report: unseen, trained and learned side by side, each difference with its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bench
from bench import metrics
from bench.errors import ParameterError
from bench.results import Results
from bench.scoring.stored import histograms

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "tiny.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two methods on the sixty items of ``tiny``, half of them trained on, in two databases."""
    folder = tmp_path_factory.mktemp("runs")
    return bench.run(
        methods="ridge_code,random_projection",
        datasets="tiny",
        bits=8,
        seeds=3,
        train=0.5,
        database="reindexed,learned",
        plugin=PLUGIN,
        results=str(folder),
    )


def test_every_number_is_that_of_its_part_of_the_database(results: Results) -> None:
    row = next(r for r in results.table(report="memory").data if r["method"] == "ridge_code")
    mine = [r for r in results.records if r.spec.method == "ridge_code"]
    for part, database, items in (
        ("unseen", "reindexed", "unseen"),
        ("trained", "reindexed", "trained"),
        ("learned", "learned", "trained"),
    ):
        values = [
            metrics.mean("map", histograms(results.evidence(r), row["direction"], r.rounds[-1].round, items))
            for r in mine
            if r.spec.database == database
        ]
        assert row[part] == pytest.approx(np.mean(values), abs=1e-6)


def test_a_difference_lies_in_its_interval(results: Results) -> None:
    for row in results.table(report="memory").data:
        low, gap, high = (row[f"trained_minus_unseen{end}"] for end in ("_low", "", "_high"))
        assert low <= gap <= high


def test_a_method_without_learned_codes_has_none(results: Results) -> None:
    row = next(r for r in results.table(report="memory").data if r["method"] == "random_projection")
    assert row["learned"] is None and row["learned_minus_unseen"] is None


def test_cells_that_trained_on_everything_are_refused(tmp_path: Path) -> None:
    whole = bench.run(
        methods="random_projection",
        datasets="tiny",
        bits=8,
        seeds=1,
        train="all",
        plugin=PLUGIN,
        results=str(tmp_path),
    )
    with pytest.raises(ParameterError, match="no cell left items out of training"):
        whole.table(report="memory")
