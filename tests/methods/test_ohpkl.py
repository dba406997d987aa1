"""OHPKL: its prediction of missing labels, and the authors' mAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from bench.api import MODALITIES, Batch, Chunk, Shared
from bench.methods._anchors import anchor_features
from bench.methods._codes import normalise_labels
from bench.methods._online import RunningGram
from bench.methods.ohpkl import OHPKL, Predictor

Array = np.ndarray[Any, Any]


def make(n: int, *, seed: int = 0, round: int = 0, classes: int = 5) -> Chunk:
    """Pairs whose two feature vectors are noisy linear images of their labels, at least one each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, classes)) < 0.2).astype(np.uint8)
    labels[np.arange(n), rng.integers(classes, size=n)] = 1
    maps = np.random.default_rng(99)
    image, text = (
        (labels @ maps.standard_normal((classes, d)) + 0.2 * rng.standard_normal((n, d))).astype(np.float32)
        for d in (12, 9)
    )
    return Chunk(round=round, image=Batch(image), text=Batch(text), labels=labels, ids=np.arange(n))


def stream(*sizes: int, unlabelled: float = 0.0) -> list[Chunk]:
    """The last items of every chunk, in this share, have no label."""
    return [hidden(make(n, seed=t, round=t), unlabelled) for t, n in enumerate(sizes)]


def hidden(chunk: Chunk, share: float) -> Chunk:
    assert chunk.labels is not None
    labels = chunk.labels.copy()
    labels[len(labels) - int(share * len(labels)) :] = 0
    return replace(chunk, labels=labels, shared=Shared())


def codes_of(method: OHPKL, chunks: list[Chunk]) -> Array:
    codes = []
    for chunk in chunks:
        method.fit_chunk(replace(chunk, shared=Shared()))
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


class LastFifthUnlabelled(OHPKL):
    """The authors' experiment: the last fifth of every chunk has no labels."""

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(hidden(chunk, 0.2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{**OHPKL.presets["authors"], "anchors": 300}, {}], ids=["authors", "default"]
)
def test_wiki_map_is_that_of_the_authors_code(
    settings: dict[str, Any], wiki_map: Callable[..., dict[str, float]]
) -> None:
    found = wiki_map(lambda seed: LastFifthUnlabelled(bits=32, seed=seed, **settings))
    assert found == pytest.approx({"i2t": 0.330, "t2i": 0.688}, abs=0.03)


@pytest.mark.parametrize("accumulate", ["once", "code"])
def test_missing_labels_are_predicted_from_features(accumulate: Any) -> None:
    method = OHPKL(bits=8, anchors=60, accumulate=accumulate)
    codes_of(method, stream(200, 200, unlabelled=0.5))
    later = hidden(make(200, seed=5), 1.0)
    _, y = method._complete(
        method._labels(later), anchor_features(later, method.maps_), first=False, inside=False
    )
    truth = make(200, seed=5).labels
    assert truth is not None
    assert truth[np.arange(200), y.argmax(axis=1)].mean() > 0.9
    assert (y >= 0).all()


def test_known_labels_stay_as_they_are() -> None:
    method, chunk = OHPKL(bits=8, anchors=60), hidden(make(100), 0.3)
    method.fit_chunk(chunk)
    _, y = method._complete(
        method._labels(chunk), anchor_features(chunk, method.maps_), first=False, inside=False
    )
    assert chunk.labels is not None
    np.testing.assert_array_equal(y[:70], normalise_labels(chunk.labels[:70]))
    assert y[70:].any(axis=1).all()


@pytest.mark.parametrize(("first", "predicted"), [("predict", True), ("code", False)])
def test_the_first_chunk_is_completed_except_in_the_authors_code(
    first: Any, predicted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, chunk = OHPKL(bits=8, anchors=60, first=first), hidden(make(100), 0.3)
    seen: list[Array] = []
    plain = OHPKL._complete

    def spy(self: OHPKL, *given: Any, **how: Any) -> Any:
        found = plain(self, *given, **how)
        seen.append(found[1])
        return found

    monkeypatch.setattr(OHPKL, "_complete", spy)
    method.fit_chunk(chunk)
    assert bool(seen[0][70:].any()) is predicted


def test_with_all_labels_known_the_prediction_has_no_say_in_the_codes() -> None:
    plain, other = OHPKL(bits=16, anchors=40), OHPKL(bits=16, anchors=40, lam=7.0, theta=0.5)
    np.testing.assert_array_equal(codes_of(plain, stream(60, 60)), codes_of(other, stream(60, 60)))


def test_predictors_solve_the_sylvester_equation() -> None:
    rng = np.random.default_rng(0)
    x, u, w = rng.standard_normal((50, 12)), rng.standard_normal((50, 4)), rng.standard_normal((12, 4))
    method = OHPKL(bits=8, lam=0.7, theta=0.2)
    gram = RunningGram().add(x)
    target = rng.standard_normal((12, 4))
    found = method._solve(Predictor(u.T @ u, {"text": target}, {}), "text", w, *gram.spectrum())
    active = np.diag(1 / np.sqrt(np.square(w).sum(axis=0) + 1e-6))
    coupled = np.linalg.inv(np.eye(4) + 0.2 * u.T @ u)
    expected = solve_sylvester(x.T @ x, 0.7 * active @ coupled, target @ coupled)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_sums_are_those_of_the_labelled_items_alone() -> None:
    method, chunks = OHPKL(bits=8, anchors=30), stream(60, 50, unlabelled=0.4)
    codes_of(method, chunks)
    for m in MODALITIES:
        x = np.concatenate([method.maps_[m](c.batch(m).features[: int(0.6 * len(c))]) for c in chunks])
        gram = method.predictor_.gram[m].gram
        assert gram is not None
        np.testing.assert_allclose(np.tril(gram), np.tril(x.T @ x), atol=1e-10)


@pytest.mark.parametrize("sizes", [(90,), (30, 30, 30), (50, 1, 39)])
def test_hash_functions_are_the_batch_ridge_on_all_codes_ever_given(sizes: tuple[int, ...]) -> None:
    method, chunks = OHPKL(bits=8, sigma=0.3, anchors=20), stream(*sizes, unlabelled=0.2)
    codes = codes_of(method, chunks).astype(float)
    for m in MODALITIES:
        x = np.concatenate([method.maps_[m](c.batch(m).features) for c in chunks])
        batch = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], batch, rtol=1e-7, atol=1e-9)


def test_labels_may_begin_and_end_at_any_round() -> None:
    first, *labelled = stream(60, 60, 60)
    last = make(60, seed=9)
    none, zeros = OHPKL(bits=16, anchors=40), OHPKL(bits=16, anchors=40)
    one = codes_of(none, [replace(first, labels=None), *labelled, replace(last, labels=None)])
    other = codes_of(zeros, [hidden(first, 1.0), *labelled, hidden(last, 1.0)])
    np.testing.assert_array_equal(one, other)
