"""The evaluation against the loops of the field, timed in turn in one run: ratios, not seconds.

Run ``pytest tests/benchmarks/test_evaluation_speed.py --benchmark-enable``. Peers run on a part of
the queries and are scaled up, for their cost is linear in queries; of torch with one thread and
with all, the faster counts. Our time includes the packing of codes and labels.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bench
from bench.metrics import evaluate_packed, means, pr_curve
from bench.scoring.hamming import histograms, pack_codes, pack_labels, usable_threads

HOME = Path(bench.__file__).parents[1]
CUTS = (1, 5, 10, 20, 50, 100, 200, 300, 400, 500, 750, 1000)
TIE_AWARE = [
    *("map", "map@50", "map@100", "map:optimistic", "map:pessimistic"),
    *(f"precision@{cut}" for cut in CUTS),
]
STABLE = [
    "map:dcmh",
    "map@50:lemon",
    "map@100:lemon",
    "map@50:calc_map_k",
    "map:perf_metric4label",
    "map:trec",
]


@dataclass(frozen=True)
class Data:
    """Codes that depend on labels, one multi-hot label matrix per side."""

    query: Any
    database: Any
    query_labels: Any
    database_labels: Any
    part: int  # queries that peers run on

    @classmethod
    def make(cls, queries: int, items: int, classes: int, density: float, part: int) -> Data:
        rng = np.random.default_rng(0)
        towards = rng.standard_normal((classes, 64))
        sides = []
        for n in (queries, items):
            labels = (rng.random((n, classes)) < density).astype(np.uint8)
            labels[np.arange(n), rng.integers(0, classes, n)] = 1
            noisy = labels @ towards + 3 * rng.standard_normal((n, 64))
            sides.append((np.where(noisy >= 0, 1, -1).astype(np.int8), labels))
        return cls(sides[0][0], sides[1][0], sides[0][1], sides[1][1], part)

    def packed(self) -> tuple[Any, Any, Any, Any]:
        return (
            pack_codes(self.query),
            pack_codes(self.database),
            pack_labels(self.query_labels),
            pack_labels(self.database_labels),
        )

    def tie_aware(self) -> None:
        hist = histograms(*self.packed(), bits=64)
        means(TIE_AWARE, hist)
        pr_curve(hist)

    def everything(self) -> None:
        _, hist = evaluate_packed(*self.packed(), bits=64, metrics=[*TIE_AWARE, *STABLE])
        pr_curve(hist)


@pytest.fixture(scope="module")
def mirflickr() -> Data:
    return Data.make(2000, 18_015, 24, 0.12, part=80)


@pytest.fixture(scope="module")
def nuswide() -> Data:
    return Data.make(2085, 193_749, 21, 0.08, part=40)


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", Path(__file__).with_name("peers.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bundle(peers: ModuleType, data: Data) -> Callable[[], float]:
    import torch

    arrays = part_of(data)

    def best() -> float:
        before, seconds = torch.get_num_threads(), []
        for threads in {1, usable_threads()}:
            torch.set_num_threads(threads)
            seconds.append(scaled(lambda: peers.peer_bundle(*arrays), data))
        torch.set_num_threads(before)
        return min(seconds)

    return best


def numpy_loop(peers: ModuleType, data: Data) -> Callable[[], float]:
    arrays = part_of(data)
    return lambda: scaled(lambda: peers.numpy_loop(*arrays), data)


def part_of(data: Data) -> list[Any]:
    few = slice(0, data.part)
    parts = data.query[few], data.database, data.query_labels[few], data.database_labels
    return [a.astype(np.float32) for a in parts]


def scaled(run: Callable[[], object], data: Data) -> float:
    """Seconds that ``run``, on a part of the queries, would take on all of them."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * len(data.query) / data.part


def test_the_peers_compute_what_we_compute(mirflickr: Data, peers: ModuleType) -> None:
    few = slice(0, 20)
    arrays = part_of(mirflickr)
    arrays[0], arrays[2] = arrays[0][few], arrays[2][few]
    codes, labels = map(pack_codes, arrays[:2]), map(pack_labels, arrays[2:])
    hist = histograms(*codes, *labels, bits=64)
    ours = means(["map", *(f"precision@{cut}" for cut in peers.CUTS)], hist)
    theirs = peers.peer_bundle(*arrays)
    assert theirs[0] == pytest.approx(ours["map"], abs=0.005)  # their order of tied items is arbitrary
    assert peers.numpy_loop(*arrays) == pytest.approx(ours["map"], abs=0.005)
    np.testing.assert_allclose(theirs[3 : 3 + 2 * 65], np.concatenate(pr_curve(hist)), atol=1e-5)
    np.testing.assert_allclose(theirs[-len(CUTS) :], list(ours.values())[1:], atol=0.2)


def test_tie_aware_metrics_are_200_times_faster_than_the_peer_bundle(
    race: Any, mirflickr: Data, peers: ModuleType
) -> None:
    assert race(mirflickr.tie_aware, {"peer bundle": bundle(peers, mirflickr)})["peer bundle"] >= 200


def test_everything_is_80_times_faster_than_the_peer_bundle_and_8_times_than_the_numpy_loop(
    race: Any, mirflickr: Data, peers: ModuleType
) -> None:
    contenders = {"numpy loop": numpy_loop(peers, mirflickr), "peer bundle": bundle(peers, mirflickr)}
    ratios = race(mirflickr.everything, contenders)
    assert ratios["peer bundle"] >= 80
    assert ratios["numpy loop"] >= 8


def test_at_the_size_of_nus_wide_it_is_150_and_20_times_faster(
    race: Any, nuswide: Data, peers: ModuleType
) -> None:
    contenders = {"numpy loop": numpy_loop(peers, nuswide), "peer bundle": bundle(peers, nuswide)}
    ratios = race(nuswide.everything, contenders)
    assert ratios["peer bundle"] >= 150
    assert ratios["numpy loop"] >= 20


def test_without_numba_it_is_6_times_faster_than_the_peer_bundle(
    race: Any, mirflickr: Data, peers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_NO_NUMBA", "1")
    assert race(mirflickr.everything, {"peer bundle": bundle(peers, mirflickr)})["peer bundle"] >= 6


def python(code: str, **environment: str) -> str:
    path = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


MEMORY = """
from pathlib import Path
import numpy as np
from bench.metrics import evaluate_packed
def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
rng = np.random.default_rng(0)
sides = [rng.integers(0, 2**63, (1, n), dtype=np.uint64) for n in (2085, 193_749)]
labels = [np.uint64(1) << rng.integers(0, 21, (1, n), dtype=np.uint64) for n in (2085, 193_749)]
def run(queries):
    few = [np.ascontiguousarray(a[:, :queries]) for a in (sides[0], labels[0])]
    metrics = ["map", "map@50", "map@50:hits", "ndcg@50", "map:dcmh", "map:trec"]
    evaluate_packed(few[0], sides[1], few[1], labels[1], bits=64, metrics=metrics)
run(5)
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
run(2085)
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("numba", ["numba", "numpy"])
def test_at_the_size_of_nus_wide_it_takes_a_sixth_of_a_byte_for_each_distance(
    numba: str, benchmark: Any
) -> None:
    """Above the inputs. The matrix of distances, of one byte each, would be 385 MB."""
    code, off = MEMORY, str(int(numba == "numpy"))
    peak = float(benchmark.pedantic(python, (code,), {"BENCH_NO_NUMBA": off}))
    benchmark.extra_info["MB above the inputs"] = round(peak, 1)
    assert 6 * peak <= 2085 * 193_749 / 2**20
