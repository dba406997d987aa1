"""DCMHT and CKDH with CLIP fine-tuned on pictures: losses by definition, what is trained, kills, devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import MODALITIES, Chunk, Pictures
from bench.checks.trial import Trial, items
from bench.contract.training import Training
from bench.methods.ckdh_clip import CKDHClip
from bench.methods.dcmht import DCMHT, _relaxed

torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")


def chunk(cls: type, rows: int = 48) -> Chunk:
    [only] = Trial(cls).chunks(items(rows))
    return only


def trained(**settings: Any) -> DCMHT:
    method = DCMHT(bits=8, **{"epochs": 2, "batch": 16, **settings})
    method.fit_chunk(chunk(DCMHT))
    return method


def test_dcmhts_loss_is_its_definition() -> None:
    rng, method = np.random.default_rng(0), DCMHT(bits=3, margin=0.4, quantise=0.2)
    codes = [_relaxed(torch.tensor(rng.standard_normal((5, 6)))).numpy() for _ in range(2)]
    labels = (rng.random((5, 4)) < 0.4).astype(float)
    far, total = (2 * 3 * 0.4) ** 0.5, 0.0
    for a, b in ((codes[0], codes[1]), (codes[0], codes[0]), (codes[1], codes[1])):
        for i in range(5):
            for j in range(5):
                distance = float(np.linalg.norm(a[i] - b[j]))
                relevant = labels[i] @ labels[j] > 0
                total += (distance**2 if relevant else max(far - distance, 0.0) ** 2) / 25
    total += 0.2 * np.mean([1 - np.mean((2 * c - 1) ** 2) for c in codes])
    found = method._loss(torch.tensor(codes[0]), torch.tensor(codes[1]), torch.tensor(labels))
    assert float(found) == pytest.approx(total, abs=1e-2)  # relevant items of distance 0, held above 1e-6


def test_each_pair_of_relaxed_units_sums_to_one() -> None:
    found = _relaxed(torch.tensor([[0.0, 0.0, 2.0, 0.0]])).numpy()
    assert found[0, :2].tolist() == [0.5, 0.5] and found[0, 2:].sum() == pytest.approx(1)


def test_dcmht_trains_both_towers_of_clip_and_logs_its_loss() -> None:
    moved, kept = trained(), trained(clip_rate=0.0)
    for part in ("visual.", "transformer."):
        names = [n for n in kept.clip_ if n.startswith(part) and "weight" in n]
        assert any((moved.clip_[n] != kept.clip_[n]).any() for n in names)
    first = trained(epochs=0)
    assert all((kept.clip_[n] == first.clip_[n]).all() for n in kept.clip_)


def test_dcmhts_loss_falls() -> None:
    method = DCMHT(bits=8, epochs=6, batch=16)
    method.fit_chunk(chunk(DCMHT))
    values = [value for _, value in method.training.curves()["loss"]]
    assert len(values) == 6 and values[-1] < values[0]


def test_dcmht_does_the_same_where_pictures_do_not_fit_into_memory() -> None:
    small, large = trained(memory=0.0), trained()
    assert all((small.clip_[n] == large.clip_[n]).all() for n in large.clip_)


@pytest.mark.parametrize("done", [1, 2])
def test_dcmht_goes_on_from_a_saved_pass_bit_for_bit(done: int) -> None:
    kept: list[Any] = []
    whole = DCMHT(bits=8, epochs=3, batch=16)
    whole.training = Training(lambda inside: kept.append(_copied(inside)), 0.0)
    whole.fit_chunk(chunk(DCMHT))
    resumed = DCMHT(bits=8, epochs=3, batch=16)
    resumed.training = Training(kept=kept[done - 1])
    resumed.fit_chunk(chunk(DCMHT))
    assert all((whole.clip_[n] == resumed.clip_[n]).all() for n in whole.clip_)
    assert all((whole.heads_[n] == resumed.heads_[n]).all() for n in whole.heads_)


def _copied(inside: Any) -> Any:
    from bench.contract import state

    return state.copy(inside)


def test_ckdhs_teacher_trains_the_image_tower_and_leaves_the_text_tower() -> None:
    method = CKDHClip(bits=8, hidden=16, heads=2, width=4, batch=16, teacher_epochs=1, epochs=1)
    given = chunk(CKDHClip)
    _, _, tensors = method._items(given)
    net, _ = method._teacher(tensors)
    fresh = method._image_net(tensors)
    moved = {
        n for n, w in net.clip.model.state_dict().items() if (w != fresh.clip.model.state_dict()[n]).any()
    }
    assert moved and all(name.startswith("visual.") for name in moved)
    assert not any("running" in name for name in moved)


def test_ckdhs_student_needs_no_picture_to_encode() -> None:
    method = CKDHClip(bits=8, hidden=16, heads=2, width=4, batch=16, teacher_epochs=1, epochs=1)
    method.fit_chunk(chunk(CKDHClip))
    for modality in MODALITIES:
        assert method.encode(items(5, seed=3).take(slice(5)).batch(modality), modality).shape == (5, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcmht[epochs=2]", "ckdh_clip[epochs=2,teacher_epochs=1]"])
def test_the_same_code_runs_on_a_gpu(name: str, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    results = bench.run(
        methods=name,
        datasets="scenes[n=200,queries=40]",
        device="cuda",
        bits="8",
        seeds=1,
        results=str(tmp_path),
    )
    [record] = results.records
    assert record.status == "ok", record.traceback
    assert record.environment["gpu"] and record.rounds[-1].gpu_bytes


def test_pictures_of_any_size_fit_the_transform() -> None:
    given = chunk(DCMHT, 8)
    assert isinstance(given.image.pictures, Pictures)
    assert trained().encode(given.image, "image").shape == (8, 8)
