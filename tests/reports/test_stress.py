"""The stress report: streams side by side, and what each costs a method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.errors import ParameterError
from bench.reporting import RunRecord
from bench.results import Results

PLUGIN = str(Path(__file__).parents[1] / "plugins" / "tiny.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two methods on ``tiny``: tidy, noisy, with classes kept out of training, and both."""
    return bench.run(
        methods="ridge_code,random_projection",
        datasets="tiny",
        bits=8,
        seeds=3,
        train=0.5,
        noise="none,sym:0.8",
        unseen_classes="0,0.4",
        plugin=PLUGIN,
        results=str(tmp_path_factory.mktemp("runs")),
    )


def row(results: Results, method: str, stream: str) -> Mapping[str, Any]:
    data = results.table(report="stress").data
    return next(r for r in data if (r["method"], r["stream"], r["direction"]) == (method, stream, "i2t"))


def last(results: Results, method: str, noise: str) -> list[float]:
    chosen: list[RunRecord] = [
        r.over("unseen") for r in results.records
        if (r.spec.method, r.spec.noise, r.spec.unseen_classes) == (method, noise, 0)
    ]  # fmt: skip
    return [r.rounds[-1].metrics["map/i2t"] for r in chosen]


def test_a_difference_is_that_of_the_stream_to_the_tidy_one(results: Results) -> None:
    noisy, tidy = (np.mean(last(results, "ridge_code", noise)) for noise in ("sym:0.8", "none"))
    found = row(results, "ridge_code", "noise sym:0.8")
    assert found["difference"] == pytest.approx(noisy - tidy, abs=1e-6)
    assert found["low"] < found["difference"] < found["high"]


def test_a_method_that_reads_no_labels_loses_nothing_by_noise(results: Results) -> None:
    found = row(results, "random_projection", "noise sym:0.8")
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)


def test_the_tidy_stream_has_no_difference(results: Results) -> None:
    assert row(results, "ridge_code", "tidy")["difference"] is None


def test_other_queries_have_a_difference_without_an_interval(results: Results) -> None:
    found = row(results, "ridge_code", "unseen classes 0.4")
    assert found["difference"] is not None and found["low"] is None


def test_another_database_has_a_difference_without_an_interval(tmp_path: Path) -> None:
    deleting = "runbook:churn: insert 20; insert 20; delete oldest 20; insert all; evaluate"
    results = bench.run(
        methods="ridge_code", datasets="tiny", bits=8, seeds=2, train=0.5, plugin=PLUGIN,
        results=str(tmp_path), schedule=["shuffled:20", "class_incremental:3", deleting],
    )  # fmt: skip
    rows = {r["stream"]: r for r in results.table(report="stress").data}
    assert rows["class_incremental:3"]["low"] is not None
    fewer = next(row for stream, row in rows.items() if stream.startswith("runbook:churn"))
    assert fewer["difference"] is not None and fewer["low"] is None


def test_one_stream_alone_is_refused_with_the_fix(results: Results) -> None:
    alone = results.select(lambda r: r.spec.noise == "none" and not r.spec.unseen_classes)
    with pytest.raises(ParameterError, match=r"has another stream\. Run, for instance, with --schedule"):
        alone.table(report="stress")


def test_a_study_without_a_tidy_stream_is_refused(results: Results) -> None:
    with pytest.raises(ParameterError, match="has a tidy stream"):
        results.select(lambda r: r.spec.noise != "none").table(report="stress")
