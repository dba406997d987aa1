"""Long trainings: one that is killed inside a pass goes on there, and what a method logs is stored."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bench
from bench.contract import training
from bench.contract.training import Training
from bench.errors import ContractError, ParameterError
from bench.records import OFFLINE, RunRecord
from bench.running import gpu
from bench.running.gpu import Used
from bench.storing import reading
from bench.storing.reading import RecordError
from bench.storing.store import Store

PLUGINS = Path(__file__).with_name("plugins")
RUN = """
import os, sys, bench
from pathlib import Path
from bench.plugins import registry
from bench.running.hosts import Isolation
from bench.storing import checkpoint
checkpoint.EVERY, checkpoint._SHARE = 0.0, 0
for name in ("trains", "tiny"):
    registry.add_file(Path(sys.argv[1]) / f"{name}.py")
folder = sys.argv[2]
os.environ["HARNESS"] = str(os.getpid())
bench.run(
    methods=f"trains[kill='{sys.argv[3]}',witness={folder}/witness]", datasets="tiny", bits=sys.argv[4],
    seeds=1, schedule="shuffled:20", train="all", pool="first_chunk", results=folder, contract=False,
)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``study("name", "student1:2")`` runs a cell in three rounds; it is killed in that pass, once."""
    home = tmp_path_factory.mktemp("trainings")

    def run(name: str, kill: str, *, bits: str = "8", code: int = 0) -> Path:
        folder = home / f"{name}-{kill}-{bits}".translate(str.maketrans(":,", "--"))
        if folder.exists() and not kill:
            return folder
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(PLUGINS), str(folder), kill, bits],
            cwd=str(Path(bench.__file__).parents[1]),
            env={**os.environ, "BENCH_CACHE": str(home / "cache")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return folder

    return run


def left_by(folder: Path) -> list[Any]:
    """Arrays, curves and notes of the cells."""
    store = Store(folder)
    records = sorted(store.records(), key=lambda r: r.spec.bits)
    arrays = [{name: a.tolist() for name, a in store.arrays(r).items()} for r in records]
    return [(a, r.curves, r.notes) for a, r in zip(arrays, records, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("kill", ["pool:2", "teacher1:0", "student1:2"])
def test_a_training_that_is_killed_inside_a_pass_ends_as_if_it_had_not_been(
    study: Callable[..., Path], kill: str
) -> None:
    whole, broken = study("whole", ""), study("broken", kill, code=-9)
    study("broken", kill)
    assert left_by(broken) == left_by(whole)
    passes = (broken / "witness").read_text().split()
    assert passes.count(f"8:{kill}") == 2  # the pass in which it was killed
    assert len(passes) == len((whole / "witness").read_text().split()) + 1
    assert not list(broken.glob("*.partial"))


@pytest.mark.slow
def test_of_two_cells_of_a_pass_each_goes_on_where_it_was(study: Callable[..., Path]) -> None:
    whole = study("whole", "", bits="8,16")
    broken = study("broken", "student1:2", bits="8,16", code=-9)
    study("broken", "student1:2", bits="8,16")
    assert left_by(broken) == left_by(whole)


@pytest.fixture
def record(study: Callable[..., Path]) -> RunRecord:
    [record] = Store(study("whole", "")).records()
    return record


def test_what_a_method_logs_is_stored_with_its_round_and_step(record: RunRecord) -> None:
    loss = record.curves["loss"]
    assert set(loss.rounds) == {OFFLINE, 0, 1, 2}
    assert loss.steps[:5] == (0, 1, 2, 3, 0)
    assert all(b > a for a, b in zip(loss.values[:3], loss.values[1:4], strict=True))


def test_a_value_that_is_not_finite_leaves_a_gap(record: RunRecord) -> None:
    assert "bad" not in record.curves


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": ["x"]}, "values[0]"),
        ({"values": [1.0], "steps": [0, 1]}, "one length"),
        ({"values": [float("inf")], "steps": [0], "rounds": [0]}, "finite"),
        ({"values": [1.0], "steps": [-1], "rounds": [0]}, "steps"),
        ({"values": [1.0], "steps": [0], "rounds": [-2]}, "rounds"),
        ({"values": [0.0] * 1001, "steps": [0] * 1001, "rounds": [0] * 1001}, "at most 1000"),
        ({"colour": "red"}, "no field"),
    ],
)
def test_a_record_with_a_malformed_curve_is_refused(
    study: Callable[..., Path], tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    folder = Path(shutil.copytree(study("whole", ""), tmp_path / "runs"))
    [path] = folder.glob("*.json")
    stored = json.loads(path.read_text())
    stored["curves"]["loss"] |= change
    path.write_text(json.dumps(stored))
    with pytest.raises(RecordError, match=re.escape(reason)):
        reading.read_record(path)


def test_a_curve_of_many_points_is_thinned() -> None:
    log = Training()
    for step in range(10_000):
        log.log(step, {"loss": float(step)})
    [points] = log.curves().values()
    assert len(points) <= training.MOST_POINTS and points[0] == [0, 0.0] and points[-1][0] > 9_900


def test_more_than_sixteen_curves_are_refused() -> None:
    with pytest.raises(ContractError, match="Log fewer names"):
        Training().log(0, {f"loss{i}": 1.0 for i in range(17)})


def test_the_report_learning_draws_what_was_logged(study: Callable[..., Path]) -> None:
    figure = bench.Results(Store(study("whole", "")).records()).figure("learning", logged="loss")
    rows = [row for row in figure.data if row["method"].startswith("trains")]
    assert len(rows) == 4 + 3 * 8
    assert [row["point"] for row in rows] == list(range(len(rows)))


def test_the_report_learning_says_what_was_logged_where_a_name_is_unknown(study: Callable[..., Path]) -> None:
    with pytest.raises(ParameterError, match="loss"):
        bench.Results(Store(study("whole", "")).records()).figure("learning", logged="los")


class Cuda:
    """As much of torch.cuda as is asked; every call to ``work`` allocates memory."""

    def __init__(self) -> None:
        self.blocks, self.waited = 0, 0

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def memory_stats(self, device: int) -> dict[str, int]:
        return {"allocation.all.allocated": self.blocks}

    def reset_peak_memory_stats(self, device: int) -> None: ...

    def synchronize(self, device: int) -> None:
        self.waited += 1

    def max_memory_allocated(self, device: int) -> int:
        return 123

    def get_device_name(self, device: int) -> str:
        return "a device"

    def work(self) -> None:
        self.blocks += 1


def test_timing_waits_for_the_device_and_counts_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    gpu._about.cache_clear()
    used = Used()
    used.during(cuda.work)
    assert cuda.waited == 1 and used.seconds > 0 and used.bytes == 123
    assert used.about["gpu"] == "a device" and used.about["cuda"] == "13.0" and used.about["driver"]
    gpu._about.cache_clear()


def test_a_call_that_leaves_the_device_alone_counts_no_gpu_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    used = Used()
    used.during(lambda: None)
    assert used.seconds == 0 and cuda.waited == 0


def test_the_record_of_a_cell_on_a_gpu_names_it_and_counts_its_work(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    results = bench.run(
        methods="dcmh[device=cuda,epochs=2]", datasets="synthetic[n=200,queries=20]", bits="8", seeds=1,
        results=str(tmp_path),
    )  # fmt: skip
    [record] = results.records
    assert record.environment["gpu"] == torch.cuda.get_device_name(0)
    assert record.environment["cuda"] == torch.version.cuda and record.environment["driver"]
    assert record.rounds[-1].gpu_bytes and record.rounds[-1].seconds["fit_gpu"] > 0


def test_a_cell_without_a_gpu_has_no_gpu_in_its_record(record: RunRecord) -> None:
    assert "gpu" not in record.environment
    assert all(r.gpu_bytes is None and not any(k.endswith("_gpu") for k in r.seconds) for r in record.rounds)
    assert np.isfinite(record.rounds[-1].seconds["fit_cpu"])
