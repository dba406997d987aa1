"""Planned cells: every plugin is looked up once, every stream is cut once, whoever needs it."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import paper
from bench.archive.verify import rerun
from bench.data import cache
from bench.isolation import declarations
from bench.plugins import registry
from bench.protocol import stream
from bench.running import estimate, sweep, tuning
from bench.running.sweep import survey
from bench.storing.store import Store
from bench.study import ablation
from bench.study.planner import Planner
from bench.study.sections import load
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each method and each dataset is looked up from here on."""
    counts: Counter[str] = Counter()
    plain, declared = registry.get, declarations.method

    def get(kind: str, name: str) -> Any:
        if kind == "dataset":  # bench.metrics keeps what it has looked up
            counts[f"dataset {name}"] += 1
        return plain(kind, name)

    def method(name: str) -> Any:
        counts[f"method {name}"] += 1
        return declared(name)

    monkeypatch.setattr(registry, "get", get)
    monkeypatch.setattr(declarations, "method", method)
    return counts


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stream is cut from here on."""
    counts: Counter[str] = Counter()
    plain = stream.plan

    def plan(n: int, labels: Any, **how: Any) -> stream.Plan:
        counts[f"seed {how['seed']}, pool {how['pool']}"] += 1
        return plain(n, labels, **how)

    monkeypatch.setattr(stream, "plan", plan)
    return counts


def options(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    plugins = [str(PLUGINS / f"{name}.py") for name in ("halves", "shares", "tiny")]
    small = {"methods": "halves,lemon", "datasets": "tiny", "bits": "8,12", "seeds": 2, "plugin": plugins}
    return {**small, "results": str(tmp_path / "runs"), **changes}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_looks_every_plugin_up_once_and_cuts_every_stream_once(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str], jobs: int
) -> None:
    assert len(bench.run(**options(tmp_path, jobs=jobs)).records) == 8
    assert looked_up == {"method halves": 1, "method lemon": 1, "dataset tiny": 1}
    assert cuts == {"seed 0, pool none": 1, "seed 1, pool none": 1}


def test_an_estimate_of_what_is_missing_looks_nothing_up_again(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str]
) -> None:
    study = Study.make(None, **options(tmp_path, seeds=1))
    surveyed = survey(study, Planner().cells(study))
    estimate.costs([(study, [one.cell for one in surveyed])])
    assert set(looked_up.values()) == set(cuts.values()) == {1}


def test_the_variants_of_an_ablation_share_plugin_dataset_and_streams(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str]
) -> None:
    study = Study.make(None, **options(tmp_path, methods="shares", bits="8"))
    plan = ablation.plan(Planner(), study)
    sweep.complete(study, plan.cells)
    assert looked_up == {"method shares": 1, "dataset tiny": 1}
    assert cuts == {f"seed {seed}, pool {pool}": 1 for seed in (0, 1) for pool in ("first_chunk", "full")}


def test_the_sections_of_a_report_share_plugins_datasets_and_streams(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str]
) -> None:
    file = tmp_path / "study.toml"
    head = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options(tmp_path, seeds=1).items())
    grid = 'methods = "halves"\ngrid = { scale = [1, 2] }'
    file.write_text(f'{head}[[section]]\ntitle = "One"\n[[section]]\ntitle = "Two"\n{grid}\n')
    document = load(file)
    looked_up.clear()
    parts = paper.collect(document, {})
    assert [len(part.results) for part in parts] == [4, 4]
    assert looked_up == {"method halves": 1, "method lemon": 1, "dataset tiny": 1}
    assert cuts == {"seed 0, pool none": 1}


def test_the_trials_of_a_search_share_plugin_dataset_and_streams(
    tmp_path: Path, looked_up: Counter[str], cuts: Counter[str]
) -> None:
    pytest.importorskip("optuna")
    study = Study.make(None, **options(tmp_path, methods="halves", bits="8", seeds=1, val=20))
    tuned = tuning.tune(study, trials=2, space=["scale=1..2"])
    assert tuned.method.startswith("halves")
    assert looked_up == {"method halves": 1, "dataset tiny": 1}
    assert cuts == {"seed 0, pool none": 1}


def test_cells_that_are_run_again_to_verify_them_share_a_dataset(
    tmp_path: Path, looked_up: Counter[str]
) -> None:
    bench.run(**options(tmp_path, methods="halves", seeds=1))
    looked_up.clear()
    verdicts = list(rerun(Store(tmp_path / "runs"), cells=2, seed=0, data_root=tmp_path))
    assert [verdict.differences for verdict in verdicts] == [(), ()]
    assert looked_up == {"method halves": 1, "dataset tiny": 1}


def test_a_cell_crosses_to_another_process_with_its_stream_and_without_its_class(tmp_path: Path) -> None:
    """A worker unpickles it before it has read the --plugin file."""
    study = Study.make(None, **options(tmp_path, methods="halves", bits="8", seeds=1))
    [cell] = Planner().cells(study)
    packed = pickle.dumps(cell)
    assert b"bench_plugin" not in packed
    arrived = pickle.loads(packed)
    assert [rows.tolist() for rows in arrived.plan.rounds] == [rows.tolist() for rows in cell.plan.rounds]
    assert (arrived.spec, arrived.method) == (cell.spec, cell.method)


def test_data_are_loaded_on_one_thread_whatever_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bits of a matrix product depend on the number of threads, and so would the fingerprint."""
    threads: list[str | None] = []
    source = registry.get("dataset", "synthetic")
    plain = source.load

    def load(self: Any, root: Path) -> Any:
        threads.append(os.environ.get("OMP_NUM_THREADS"))
        return plain(self, root)

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(source, "load", load)
    cache.prepare("synthetic", source(n=60, queries=10), {"n": 60, "queries": 10}, tmp_path)
    assert threads == ["1"]
