"""A generated dataset of any size: correlated labels, a latent semantic space, two noisy modalities.

It needs no files. Equal options give equal arrays in any process; the last bits of the floats
may differ between BLAS libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import Batch, Dataset, DatasetSource, Labels, Split, param
from bench.datasets._reading import scratch

Float = npt.NDArray[np.float32]

BLOCK = 4096  # items drawn from one generator: part of the definition, not a matter of speed
IN_MEMORY = 100_000  # items of a split; those of a longer one are made in files
TOPICS, LATENT, NUISANCE = 6, 32, 24
IMAGE, TEXT, CLIP = 128, 200, 64
LABELS_PER_ITEM, WORDS_PER_TEXT = 2.4, 7.0


class Synthetic(DatasetSource):
    """Image–text pairs drawn from a model; options make the data longer, noisier or drifting.

    Labels are thresholds of a few shared topics, so they are correlated and of unequal
    frequency; every item has at least one. An item's latent vector is the mean of its labels'
    prototypes plus its own variation. Image features (128) are rectified noisy projections of
    it with image-only factors, text features (200) a sparse binary bag of words, and the views
    ``clip`` (64) noisy unit vectors of one space for both modalities, apart by a constant offset.

    Item i of n is drawn at time i/n. With ``drift`` > 0 the latent spaces of image and text turn in
    opposite directions over time, by 90° times ``drift`` at the end; the clip views do not turn.
    Queries are spread evenly over time. Stream it as ``stored:SIZE``: a schedule that reorders the
    items spreads the drift over all chunks.

    With ``drift`` = 0 a smaller dataset is the beginning of a larger one. Millions of items are made in
    little memory; on the disk an item takes 1.9 KB, in the cache.
    """

    n: int = param(2400, "training pairs; they become the database", least=1)
    queries: int = param(400, "query pairs", least=1)
    classes: int = param(24, "label columns", least=2)
    noise: float = param(
        1.0, "scale of all feature noise; 0: the latent space alone decides the features", least=0
    )
    drift: float = param(0.0, "rotation of the feature maps over the stream, in quarter turns", least=0)
    seed: int = param(0, "random seed of the model and of all items", least=0)
    schedule: ClassVar[str] = "shuffled:400"
    licence: ClassVar[str] = "generated; no restriction"

    def load(self, root: Path) -> Dataset:
        model = _model(self.classes, self.seed)
        return Dataset(
            name="synthetic",
            train=self._split(model, part=1, n=self.n, first_id=0),
            query=self._split(model, part=2, n=self.queries, first_id=self.n),
            classes=tuple(f"class {c}" for c in range(self.classes)),
            notes=(f"generated from {self!r}",),
        )

    def _split(self, model: _Model, *, part: int, n: int, first_id: int) -> Split:
        parts = self._parts(model, part, n)
        arrays = scratch.together(n, parts) if n > IN_MEMORY else _joined(list(parts))
        return Split(
            image=Batch(arrays["image"], {"clip": arrays["image_clip"]}),
            text=Batch(arrays["text"], {"clip": arrays["text_clip"]}),
            labels=arrays["labels"],
            ids=np.arange(first_id, first_id + n, dtype=np.intp),
        )

    def _parts(self, model: _Model, part: int, n: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """The ``n`` items in blocks, by the names of their arrays."""
        for start in range(0, n, BLOCK):
            rng = np.random.default_rng([self.seed, part, start // BLOCK])
            angle = self.drift * np.pi / 2 * np.arange(start, start + BLOCK) / n
            items = _items(model, rng, self.noise, angle.astype(np.float32))
            yield {name: block[: n - start] for name, block in items.items()}


def _joined(parts: list[dict[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """The parameters that all items share."""

    loadings: Float  # (classes, TOPICS): which topics bring a label up; rows of norm sqrt(0.6)
    thresholds: Float  # (classes,): a label is given where its Gaussian score exceeds it
    prototypes: Float  # (classes, LATENT)
    image: Float  # (LATENT, IMAGE)
    image_only: Float  # (NUISANCE, IMAGE)
    text: Float  # (LATENT, TEXT)
    text_only: Float  # (NUISANCE, TEXT)
    words: Float  # (TEXT,): log rate of each word
    clip: Float  # (LATENT, CLIP)
    gap: Float  # (CLIP,): half of the offset between the modalities


def _model(classes: int, seed: int) -> _Model:
    rng = np.random.default_rng([seed, 0])

    def draw(*shape: int, scale: float = 1.0) -> Float:
        return np.float32(scale) * rng.standard_normal(shape, dtype=np.float32)

    loadings = draw(classes, TOPICS)
    loadings *= np.sqrt(0.6) / np.linalg.norm(loadings, axis=1, keepdims=True)
    frequency = 1 / np.arange(2.0, classes + 2.0)
    frequency = np.minimum(LABELS_PER_ITEM * frequency / frequency.sum(), 0.6)
    return _Model(
        loadings=loadings,
        thresholds=np.array([NormalDist().inv_cdf(1 - f) for f in frequency], np.float32),
        prototypes=loadings @ draw(TOPICS, LATENT) + draw(classes, LATENT, scale=0.8),
        image=draw(LATENT, IMAGE, scale=LATENT**-0.5),
        image_only=draw(NUISANCE, IMAGE, scale=NUISANCE**-0.5),
        text=draw(LATENT, TEXT, scale=LATENT**-0.5),
        text_only=draw(NUISANCE, TEXT, scale=NUISANCE**-0.5),
        words=np.log(WORDS_PER_TEXT / 8 / np.arange(5.0, TEXT + 5.0)).astype(np.float32),
        clip=draw(LATENT, CLIP, scale=LATENT**-0.5),
        gap=draw(CLIP, scale=0.6),
    )


def _items(
    model: _Model, rng: np.random.Generator, noise: float, angle: Float
) -> dict[str, npt.NDArray[Any]]:
    """Draw one block of items. Every draw covers a full block, so a shorter dataset has the same items."""

    def draw(width: int, scale: float = 1.0) -> Float:
        return np.float32(scale) * rng.standard_normal((BLOCK, width), dtype=np.float32)

    labels = _labels(model, draw)
    # Divided by the root: the mean of several prototypes would shrink towards zero.
    latent = labels @ model.prototypes / np.sqrt(labels.sum(axis=1, keepdims=True, dtype=np.float32))
    latent += draw(LATENT, 0.8 * noise)
    image = _turn(latent, angle) @ model.image + draw(NUISANCE, 1.5 * noise) @ model.image_only
    image += draw(IMAGE, 1.4 * noise)
    rate = _turn(latent, -angle) @ model.text + draw(NUISANCE, noise) @ model.text_only
    rate *= 1.5
    rate += model.words
    return {
        "labels": labels,
        "image": np.maximum(image + np.float32(0.2), 0),
        "text": _at_least_one(-np.expm1(-np.exp(rate)), rng.random((BLOCK, TEXT), dtype=np.float32)),
        "image_clip": _unit(latent @ model.clip + draw(CLIP, 0.5 * noise) + model.gap),
        "text_clip": _unit(latent @ model.clip + draw(CLIP, 0.5 * noise) - model.gap),
    }


def _labels(model: _Model, draw: Any) -> Labels:
    scores = draw(TOPICS) @ model.loadings.T + draw(len(model.thresholds), np.sqrt(0.4))
    return _at_least_one(scores, model.thresholds[None, :]).astype(np.uint8)


def _at_least_one(x: Float, threshold: Float) -> Float:
    """Set 1 where ``x`` exceeds ``threshold``; a row without any 1 gets one where it came nearest."""
    margin = x - threshold
    given = (margin > 0).astype(np.float32)
    given[np.arange(len(given)), margin.argmax(axis=1)] = 1
    return given


def _turn(latent: Float, angle: Float) -> Float:
    """Rotate every pair of neighbouring dimensions of row i by ``angle[i]`` radians."""
    if not angle.any():
        return latent
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    even, odd = latent[:, 0::2], latent[:, 1::2]
    turned = np.empty_like(latent)
    turned[:, 0::2] = cos * even - sin * odd
    turned[:, 1::2] = sin * even + cos * odd
    return turned


def _unit(x: Float) -> Float:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
