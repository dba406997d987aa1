"""Six methods give the codes of their authors' released programs, bit for bit, on inputs made from a seed.

golden/README.md says how golden/codes.npz was made, and which codes cannot be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Method
from bench.methods._anchors import Anchors
from bench.plugins import registry

Array = np.ndarray[Any, Any]
with np.load(Path(__file__).with_name("golden") / "codes.npz", allow_pickle=False) as stored:
    GOLDEN: dict[str, Array] = dict(stored)
ENTRIES = [name.removesuffix("_B") for name in GOLDEN if name.endswith("_B")]
HASH_FUNCTIONS = [name.removesuffix("_W_image") for name in GOLDEN if name.endswith("_W_image")]
REHASHED = [name.removesuffix("_B_after_1") for name in GOLDEN if name.endswith("_B_after_1")]

SEED = 20261129
ITEMS, QUERIES, CHUNK, CLASSES = 150, 30, 50, 6
IMAGE, WORDS, TEXT = 24, 12, 18  # text: 12 sparse binary columns, then 6 real ones
GRID = 1024  # every value is a multiple of 1/1024
INPUTS = {
    "base": "829fce9f7b07d7de857800ff775570c103bab3bc3b70af180fc82a444a2ca135",
    "missing": "4d976478471952293af79d5a7c6d8da1b8b2ebabb10b3b237f1f87f812c3d430",
    "many": "9ae5b960a1cfda51097293dda0721c22ca5ce777f93bd684d3c03ab6e8e2eb02",
}


def inputs(case: str) -> dict[str, Array]:
    """image (180, 24), text (180, 18) and labels (180, 6), or (180, 20) in "many": 150 items, 30 queries.

    All that is random are draws of :meth:`numpy.random.Generator.random`, in this order; sums are written
    out, so that no library decides on a last bit.
    """
    rng, n = np.random.default_rng(SEED), ITEMS + QUERIES
    image_centre, text_centre = rng.random((CLASSES, IMAGE)), rng.random((CLASSES, TEXT - WORDS))
    word_draw, label_draw = rng.random((CLASSES, WORDS)), rng.random((n, CLASSES))
    image_noise, text_noise = rng.random((4, n, IMAGE)), rng.random((4, n, TEXT - WORDS))
    word_noise, many_draw = rng.random((n, WORDS)), rng.random((n, 20))

    labels = some_labels(label_draw, 0.3)
    likely = np.minimum(summed(labels, (word_draw < 0.25).astype(float)), 1.0)
    words = word_noise < 0.05 + 0.45 * likely
    image, text = (
        np.floor((summed(labels, 2 * centre - 1) + (u[0] + u[1]) + (u[2] + u[3]) - 2.0 + 0.5) * GRID + 0.5)
        for centre, u in ((image_centre, image_noise), (text_centre, text_noise))
    )
    if case == "missing":  # the second chunk lacks the class with index 3
        second = slice(CHUNK, 2 * CHUNK)
        labels[second, 3] = False
        labels[second, 0] |= ~labels[second].any(axis=1)
    if case == "many":  # more classes than bits, which the features do not follow
        labels = some_labels(many_draw, 0.2)
    both = np.hstack([words.astype(float), text / GRID])
    return {"image": image / GRID, "text": both, "labels": labels.astype(np.uint8)}


def some_labels(draw: Array, share: float) -> Array:
    """Classes whose draw is below ``share``, or else the class of the smallest draw."""
    labels = draw < share
    nearest = draw == draw.min(axis=1, keepdims=True)
    return np.asarray(labels | (nearest & ~labels.any(axis=1, keepdims=True)))


def summed(labels: Array, rows: Array) -> Array:
    """The sum of the rows of each item's classes, class by class."""
    total = np.zeros((len(labels), rows.shape[1]))
    for label, row in zip(labels.T, rows, strict=True):
        total = total + label[:, None].astype(float) * row
    return total


class FixedDraws:
    """What took the place of the random draws: it depends on the shape asked for and on nothing before."""

    def standard_normal(self, shape: tuple[int, int]) -> Array:
        return (2 * self._wave(shape, 12.9898) - 1) * 1.7

    def random(self, shape: tuple[int, int]) -> Array:
        return self._wave(shape, 78.233)

    def permutation(self, n: int) -> Array:
        return np.argsort(np.sin(3.7 * np.arange(1, n + 1)), kind="stable")

    def _wave(self, shape: tuple[int, int], step: float) -> Array:
        """In [0, 1), column by column."""
        n, m = shape
        wave = 43758.5453 * np.sin(step * np.arange(1, n * m + 1) + 0.1 * n + 0.01 * m)
        return np.asarray((wave - np.floor(wave)).reshape(m, n).T)


def method_of(entry: str, data: dict[str, Array], *, authors: bool = True) -> Method:
    """The method of an entry like ``missing_LEMON_16``, with the settings and draws of its authors' run."""
    _, name, bits = entry.rsplit("_", 2)
    cls: type[Method] = registry.get("method", name.lower())
    settings = dict(cls.presets["authors"]) if authors else {}
    ours: dict[str, dict[str, Any]] = {"DOCH": {"anchors": 20}, "ROHLSE": {"anchors": 0, "signs": "fixed"}}
    settings |= ours.get(name, {})
    method: Any = cls(bits=int(bits), **settings)
    method.rng = FixedDraws()
    if name == "ROHLSE":  # its program subtracts the mean of all items, which a stream does not know
        method.maps_ = {m: Anchors("", None, 1.0, data[m][:ITEMS].mean(axis=0)) for m in MODALITIES}
    return method


def fitted(entry: str, **how: Any) -> tuple[Any, Array, dict[str, Array]]:
    """The method after three chunks, the codes it learned, and the inputs."""
    data = inputs(entry.partition("_")[0])
    method, codes = method_of(entry, data, **how), []
    for chunk in chunks(data):
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "image"))
    updated = method.update_database("image")
    return method, np.concatenate(codes) if updated is None else updated, data


def chunks(data: dict[str, Array]) -> Iterator[Chunk]:
    for t, rows in enumerate(np.arange(ITEMS).reshape(3, CHUNK)):
        image, text = (Batch(data[m][rows]) for m in MODALITIES)
        yield Chunk(round=t, image=image, text=text, labels=data["labels"][rows], ids=rows)


def query_codes(entry: str, method: Any, data: dict[str, Array]) -> list[Array]:
    """Of both modalities; the program of ROHLSE takes the mean over all queries for threshold."""
    queries = {m: data[m][ITEMS:] for m in MODALITIES}
    if "ROHLSE" not in entry:
        return [method.encode(Batch(queries[m]), m) for m in MODALITIES]
    scores = [method.maps_[m](queries[m]) @ method.w_[m] for m in MODALITIES]
    return [np.where(s >= s.mean(axis=0), 1, -1) for s in scores]


@pytest.mark.parametrize("case", INPUTS)
def test_the_seed_gives_the_inputs_that_the_authors_programs_were_given(case: str) -> None:
    data = inputs(case)
    parts = [(data[m] * GRID).astype("<i2") for m in MODALITIES] + [data["labels"]]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    assert digest.hexdigest() == INPUTS[case]


@pytest.mark.parametrize("entry", ENTRIES)
def test_codes_of_items_and_queries_are_those_of_the_authors_program(entry: str) -> None:
    method, learned, data = fitted(entry)
    np.testing.assert_array_equal(learned, GOLDEN[f"{entry}_B"])
    for m, codes in zip(MODALITIES, query_codes(entry, method, data), strict=True):
        np.testing.assert_array_equal(codes, GOLDEN[f"{entry}_query_{m}"])


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "DOCH" in e or "LEMON" in e or "OASIS" in e])
def test_codes_are_the_same_by_default(entry: str) -> None:
    np.testing.assert_array_equal(fitted(entry, authors=False)[1], GOLDEN[f"{entry}_B"])


@pytest.mark.parametrize("entry", REHASHED)
def test_re_hashed_codes_are_those_of_the_authors_program_after_every_round(entry: str) -> None:
    data = inputs(entry.partition("_")[0])
    method = method_of(entry, data)
    for chunk in chunks(data):
        method.fit_chunk(chunk)
        after = "" if chunk.round == 2 else f"_after_{chunk.round + 1}"
        np.testing.assert_array_equal(method.update_database("image"), GOLDEN[f"{entry}_B{after}"])


@pytest.mark.parametrize("entry", HASH_FUNCTIONS)
def test_hash_functions_are_those_of_the_authors_program(entry: str) -> None:
    method, _, _ = fitted(entry)
    weights = method.p_ if "OCMFH" in entry else method.w_
    for m in MODALITIES:
        np.testing.assert_allclose(weights[m], GOLDEN[f"{entry}_W_{m}"], atol=1e-10)
