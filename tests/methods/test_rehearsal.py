"""The online siblings of UKD, CKDH and SKDCH: what they remember, what stands, what the teacher may see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Method, Shared
from bench.checks.trial import Trial, equal, items
from bench.contract import state
from bench.methods._hash_network import sample
from bench.methods._rehearsal import Memory
from bench.plugins import registry

torch = pytest.importorskip("torch")
NAMES = ["ckdh_online", "skdch_online", "ukd_online"]
QUICK: dict[str, dict[str, Any]] = {
    "ckdh_online": {"hidden": 32, "heads": 2, "width": 8, "epochs": 4, "teacher_epochs": 4},
    "skdch_online": {"hidden": 32, "epochs": 4, "teacher_epochs": 2},
    "ukd_online": {"hidden": 32, "teacher_hidden": 32, "epochs": 4, "teacher_epochs": 4},
}


def trial(name: str, **more: Any) -> Trial:
    return Trial(registry.get("method", name), {**QUICK[name], **more})


def stream(name: str, rounds: int = 3) -> list[Chunk]:
    return trial(name).chunks(*(items(seed=i) for i in range(rounds)))


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_is_frozen_once_the_pool_was_seen(name: str) -> None:
    method = trial(name).fit(items(seed=0))
    before = state.copy(method.state_dict())
    for chunk in stream(name)[1:]:
        method.fit_chunk(chunk)
    after = method.state_dict()
    assert all(equal(before[name], after[name]) for name in ("teacher_", "mean_", "scale_"))
    assert not equal(before["weights_"], after["weights_"])


def test_ckdhs_teacher_scales_clip_features_as_in_its_training_where_that_took_a_sample() -> None:
    method: Any = trial("ckdh_online", max_train=20).new()
    [first, *_] = stream("ckdh_online")
    method.fit_chunk(first)
    expected = method._items(first)[2]["clip"]
    rows, _ = sample(first, 20, method.seed)
    clip = first.image.views["clip"][rows]
    found = torch.tensor((clip - method.clip_mean_) / method.clip_scale_, dtype=torch.float32)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_pool_the_first_chunk_trains_the_teacher(name: str) -> None:
    pooled, alone = (trial(name).fit(items(seed=0), items(seed=1), pool=pool) for pool in (True, False))
    codes = [m.encode(items(seed=9).batch(s), s) for m in (pooled, alone) for s in MODALITIES]
    assert (codes[0] == codes[2]).all() and (codes[1] == codes[3]).all()


@pytest.mark.parametrize("name", NAMES)
def test_remembered_items_keep_the_codes_they_were_given(name: str) -> None:
    method: Any = trial(name, memory=1000).new()
    kept = []
    for chunk in stream(name):
        method.fit_chunk(chunk)
        kept.append(method.memory_.rows["codes"].copy())
    assert [len(codes) for codes in kept] == [48, 96, 144]
    assert (kept[2][:48] == kept[0]).all() and (kept[2][:96] == kept[1]).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_memory_does_not_outgrow_its_size(name: str) -> None:
    method: Any = trial(name, memory=20).new()
    for chunk in stream(name):
        method.fit_chunk(chunk)
    assert {len(x) for x in method.memory_.rows.values()} == {20}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_remembered_changes_what_is_learned(name: str) -> None:
    codes = [trial(name, memory=m).fit(*(items(seed=i) for i in range(3))) for m in (0, 100)]
    batch = items(seed=9).image
    assert (codes[0].encode(batch, "image") != codes[1].encode(batch, "image")).any()


def agreement(method: Method) -> float:
    """How much oftener the bits of partners agree than those of strangers, on other pairs."""
    fresh = items(200, seed=50)
    image, text = (method.encode(fresh.batch(m), m) for m in MODALITIES)
    return float((image == text).mean() - (image[1:] == text[:-1]).mean())


@pytest.mark.parametrize("name", NAMES)
def test_chunks_teach_codes_that_partners_share(name: str) -> None:
    quick = {k: v for k, v in QUICK[name].items() if "epochs" not in k}
    method = Trial(registry.get("method", name), quick).fit(*(items(120, seed=i) for i in range(3)))
    assert agreement(method) > 0.15


def test_ckdh_reads_labels_in_the_pool_only() -> None:
    true, none = trial("ckdh_online").new(), trial("ckdh_online").new()
    pool, *rest = stream("ckdh_online")
    for method in (true, none):
        method.fit_pool(dataclasses.replace(pool, shared=Shared()))
    for chunk in rest:
        true.fit_chunk(chunk)
        assert chunk.labels is not None
        unlabelled = np.zeros_like(chunk.labels)
        none.fit_chunk(dataclasses.replace(chunk, labels=unlabelled, shared=Shared()))
    assert (true.encode(pool.image, "image") == none.encode(pool.image, "image")).all()


def test_ukds_buffers_of_remembered_items_hold_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.methods.ukd import student

    seen = []
    real = student.slope_of_loss

    def spy(out: Any, others: Any, *rest: Any) -> Any:
        seen.append(others[:48].clone())
        return real(out, others, *rest)

    method: Any = trial("ukd_online").new()
    first, second = stream("ukd_online", 2)
    method.fit_chunk(first)
    codes = torch.tensor(method.memory_.rows["codes"], dtype=torch.float32)
    monkeypatch.setattr(student, "slope_of_loss", spy)
    method.fit_chunk(second)
    assert len(seen) > 4 and all((buffer == codes).all() for buffer in seen)


def test_skdchs_remembered_positives_and_negatives_are_their_codes() -> None:
    from bench.methods.skdch.triplets import with_codes

    out, given = torch.full((4, 2), 0.5), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    found = with_codes(out, torch.tensor([3, 1, 0, 2]), given).tolist()
    assert found == [[0.5, 0.5], [1.0, 1.0], [0.0, 1.0], [0.5, 0.5]]


def test_ckdhs_pin_is_its_definition() -> None:
    from bench.methods.ckdh.student import pin

    rng = np.random.default_rng(0)
    image, text, codes = (
        rng.standard_normal((5, 8)),
        rng.standard_normal((5, 8)),
        np.sign(rng.standard_normal((3, 8))),
    )
    target, total = rng.uniform(-1, 1, (5, 3)), 0.0
    for f in (image, text):
        for i in range(5):
            for j in range(3):
                cosine = f[i] @ codes[j] / np.linalg.norm(f[i]) / np.linalg.norm(codes[j])
                total += (cosine - target[i, j]) ** 2 / 15 / 2
    seen = [torch.tensor(x) for x in (image, text, codes)]
    found = pin(seen[0], seen[1], seen[2], torch.tensor(target).__getitem__)
    assert float(found) == pytest.approx(total)


def test_every_item_seen_is_as_likely_to_be_remembered() -> None:
    counts = np.zeros(40)
    for seed in range(400):
        memory, rng = Memory.empty(10), np.random.default_rng(seed)
        for part in np.split(np.arange(40), 4):
            memory.add({"item": part}, rng)
        counts[memory.rows["item"]] += 1
    assert counts.sum() == 4000
    assert abs(counts.reshape(4, 10).mean(axis=1) - 100).max() < 10  # no round is preferred


def test_rows_of_the_memory_stay_together_and_come_before_new_ones() -> None:
    memory, rng = Memory.empty(5), np.random.default_rng(0)
    for part in np.split(np.arange(12), 3):
        memory.add({"a": part, "b": 10 * part}, rng)
    assert (memory.rows["b"] == 10 * memory.rows["a"]).all()
    assert memory.before({"a": np.array([99])})["a"].tolist() == [*memory.rows["a"], 99]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_teaches_codes_that_retrieve(name: str, synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(registry.get("method", name)(bits=32)) > 0.55  # chance is 0.4
