"""Losses on similarities without their matrix, and the training of a student, against how peers do it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
D, BITS = 512, 64  # of CLIP features, of codes
IMAGE, TEXT, HIDDEN, BATCH, PAIRS = 512, 1386, 1024, 128, 4000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of torch spin, and whatever else the machine does would decide the race."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(*shape: int, seed: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / shape[1] ** 0.5


def test_a_low_rank_target_costs_a_sixth_of_the_matrix_rebuilt(race: Any, timed: Any) -> None:
    """One loss and its gradient at n = 2000: ‖B Bᵀ/k - F Fᵀ‖² of features F (n, 512), codes B (n, 64)."""
    from bench.methods._similarity_loss import LowRank

    f, b = draw(2000, D, seed=0), draw(2000, BITS, seed=1).requires_grad_()
    kept, thin = f @ f.T, LowRank(f, f)

    def dense(target: Callable[[], Any]) -> None:
        b.grad = None
        (b @ b.T - target()).square().sum().backward()

    def ours() -> None:
        b.grad = None
        thin.error(b, b).backward()

    dense(lambda: kept)
    wanted = b.grad.clone()
    ours()
    assert (b.grad - wanted).norm() < 1e-4 * wanted.norm()
    peers = {
        "matrix rebuilt": timed(lambda: dense(lambda: f @ f.T)),
        "matrix kept": timed(lambda: dense(lambda: kept)),
    }
    ratios = race(ours, peers, rounds=9)
    assert ratios["matrix rebuilt"] >= 6
    assert ratios["matrix kept"] >= 3


MEMORY = """
import torch
from pathlib import Path
from bench.methods._similarity_loss import LowRank, error_by_rows
def peak():
    # not ru_maxrss, which a program inherits from the one that started it
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
rng = torch.Generator().manual_seed(0)
def draw(n, d):
    return torch.empty(n, d).normal_(generator=rng).div_(d**0.5)
def low_rank(f, b):
    return LowRank(f, f).error(b, b)
def by_rows(f, b):
    return error_by_rows(b, b, lambda rows: torch.relu(f[rows] @ f.T))
def matrix(f, b):
    return (b @ b.T - torch.relu(f @ f.T)).square().sum()
def above_inputs(loss, n):
    f, b = draw(n, 512), draw(n, 64).requires_grad_()
    before = peak()
    loss(f, b).backward()
    return peak() - before
for loss in (low_rank, by_rows, matrix):
    above_inputs(loss, 1000)  # what torch takes once
print(above_inputs({call}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_losses_take_a_quarter_of_the_memory_of_the_matrix(
    benchmark: Any, python: Callable[..., str]
) -> None:
    """Above the inputs, each in a process of its own: by rows on as many items, by thin products on twelve
    times as many, whose matrix would be 40 GB."""

    def megabytes(call: str) -> float:
        return float(python(MEMORY.replace("{call}", call)))

    matrix = megabytes("matrix, 8_000")
    by_rows = megabytes("by_rows, 8_000")
    low_rank = benchmark.pedantic(megabytes, ("low_rank, 100_000",), rounds=1)
    benchmark.extra_info.update({"MB, matrix": matrix, "MB, by rows": by_rows, "MB, low rank": low_rank})
    assert 4 * by_rows <= matrix
    assert 4 * low_rank <= matrix


def test_a_student_trains_faster_than_a_loader_and_adam_as_they_come(race: Any, timed: Any) -> None:
    """CKDH's student, one pass over 4000 pairs at batch 128, against the same networks and loss elsewhere.

    With dtype=bfloat16 or matmul=medium: which of them is fast depends on the processor and on its threads.
    """
    from bench.api import MODALITIES
    from bench.methods._network import Network, Place
    from bench.methods.ckdh import student

    x: dict[Any, Any] = {"image": draw(PAIRS, IMAGE, seed=0), "text": draw(PAIRS, TEXT, seed=1)}
    taught = torch.tanh(8 * draw(PAIRS, BITS, seed=2)), torch.tanh(8 * draw(PAIRS, BITS, seed=3))
    views = (1.0, 1.0, 1.0)

    def ours(numbers: str, matmul: str) -> Callable[[], None]:
        place, rng = Place("cpu", numbers, matmul), np.random.default_rng(0)
        nets: dict[Any, Network] = {
            m: Network((x[m].shape[1], HIDDEN, BITS), torch.relu, gain=1.0, rng=rng, place=place)
            for m in MODALITIES
        }

        def run() -> None:
            with place.training():
                student.learn(
                    x, taught, nets, views=views, epochs=1, rate=1e-3, gamma=0.1, batch=BATCH, rng=rng
                )

        return run

    nn = torch.nn
    models = [
        nn.Sequential(nn.Linear(x[m].shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, BITS))
        for m in MODALITIES
    ]
    adam = torch.optim.Adam([p for model in models for p in model.parameters()], lr=1e-3)
    data = torch.utils.data.TensorDataset(x["image"], x["text"], *taught)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True)

    def peer() -> None:
        for image, text, *own in loader:
            one, two = (torch.tanh(model(rows)) for model, rows in zip(models, (image, text), strict=True))
            target = student.knowledge(tuple(own), tuple(own), views)
            adam.zero_grad()
            student.loss(one, two, target.__getitem__, 0.1).backward()
            adam.step()

    others = {
        "loader and Adam": timed(peer),
        "ours in float32": timed(ours("float32", "highest")),
        "ours at medium precision": timed(ours("float32", "medium")),
    }
    ratios = race(ours("bfloat16", "highest"), others)
    gain = ratios["loader and Adam"]
    assert max(gain, gain / ratios["ours at medium precision"]) >= 1.6
