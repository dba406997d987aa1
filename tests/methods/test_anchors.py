"""RBF features of anchors that are frozen on the first chunk."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Shared
from bench.contract import state
from bench.methods import _online
from bench.methods._anchors import Anchors, anchor_features, fit_anchors, too_few

Array = np.ndarray[Any, Any]


def make(n: int = 30, *, seed: int = 0) -> Chunk:
    rng = np.random.default_rng(seed)
    image, text = (rng.standard_normal((n, d)).astype(np.float32) for d in (6, 4))
    return Chunk(round=0, image=Batch(image), text=Batch(text), labels=None, ids=np.arange(n))


def test_features_are_the_centred_similarities_to_the_anchors() -> None:
    x, rows = make().image.features.astype(float), np.array([4, 0, 7])
    squares = ((x[:, None] - x[rows]) ** 2).sum(axis=2)
    similar = np.exp(-squares / (2 * squares.mean()))
    found = Anchors.fit(x, rows)(x)
    np.testing.assert_allclose(found, similar - similar.mean(axis=0), atol=1e-12)


def test_width_and_mean_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    x, rows = make().image.features, np.arange(5)
    whole = Anchors.fit(x, rows)
    monkeypatch.setattr(_online, "_BLOCK", 7)
    parts = Anchors.fit(x, rows)
    assert parts.sigma == pytest.approx(whole.sigma, rel=1e-12)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    w = np.random.default_rng(1).standard_normal((5, 8))
    np.testing.assert_allclose(parts.outputs(x, w), whole(x) @ w, atol=1e-9)


def test_an_item_of_a_later_chunk_changes_no_feature() -> None:
    first, later = make(), make(seed=1)
    maps = fit_anchors(first, 8, np.random.default_rng(0))
    before = anchor_features(first, maps)
    anchor_features(later, maps)
    after = anchor_features(
        Chunk(round=0, image=first.image, text=first.text, labels=None, ids=first.ids), maps
    )
    for m in MODALITIES:
        np.testing.assert_array_equal(before[m], after[m])


def test_a_first_chunk_smaller_than_the_anchors_gives_them_all() -> None:
    maps = fit_anchors(make(5), 300, np.random.default_rng(0))
    points = maps["image"].points
    assert points is not None and points.shape == (5, 6)


def test_both_modalities_compare_to_the_same_pairs() -> None:
    chunk = make()
    maps = fit_anchors(chunk, 8, np.random.default_rng(0))
    for m in MODALITIES:
        rows = np.random.default_rng(0).permutation(30)[:8]
        np.testing.assert_array_equal(maps[m].points, chunk.batch(m).features[rows])


def test_without_anchors_features_are_centred_with_the_mean_of_the_first_chunk() -> None:
    first, later = make(), make(seed=1)
    maps = fit_anchors(first, 0, np.random.default_rng(0))
    expected = later.image.features - first.image.features.mean(axis=0, dtype=float)
    np.testing.assert_allclose(anchor_features(later, maps)["image"], expected, atol=1e-12)


def test_one_item_or_items_that_are_all_alike_are_safe() -> None:
    for x in (np.ones((1, 4), np.float32), np.ones((5, 4), np.float32)):
        found = Anchors.fit(x, np.arange(len(x)))
        np.testing.assert_array_equal(found(x), np.zeros((len(x), len(x))))
        assert np.isfinite(found(2 * x)).all()


def test_code_lengths_that_run_together_compute_features_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = make()
    calls: list[int] = []
    plain = Anchors.__call__

    def counted(self: Anchors, x: Array) -> Any:
        calls.append(len(x))
        return plain(self, x)

    monkeypatch.setattr(Anchors, "__call__", counted)
    first, second = (fit_anchors(chunk, 8, np.random.default_rng(3)) for _ in range(2))
    assert first["image"] is second["image"] and first["text"] is second["text"]
    calls.clear()
    assert anchor_features(chunk, first)["text"] is anchor_features(chunk, second)["text"]
    assert len(calls) == 2  # once per modality


def test_other_anchors_are_not_taken_for_the_same() -> None:
    chunk = make()
    one, other = (fit_anchors(chunk, 8, np.random.default_rng(s)) for s in (0, 1))
    features = partial(anchor_features, chunk)
    assert (features(one)["image"] != features(other)["image"]).any()


def test_a_saved_map_gives_the_same_features(tmp_path: Path) -> None:
    chunk = make()
    maps = fit_anchors(chunk, 8, np.random.default_rng(0))
    state.save(tmp_path / "s.npz", {"maps": maps})
    loaded = state.load(tmp_path / "s.npz")["maps"]
    fresh = Chunk(round=0, image=chunk.image, text=chunk.text, labels=None, ids=chunk.ids, shared=Shared())
    np.testing.assert_array_equal(
        anchor_features(fresh, loaded)["text"], anchor_features(chunk, maps)["text"]
    )


@pytest.mark.parametrize(("count", "notes"), [(0, 0), (30, 0), (31, 1)])
def test_anchors_that_the_first_chunk_does_not_have_are_noted(count: int, notes: int) -> None:
    found = too_few(fit_anchors(make(30), count, np.random.default_rng(0)), count)
    assert len(found) == notes
    assert all("anchors=31 cannot be reached: all 30 items" in note for note in found)
