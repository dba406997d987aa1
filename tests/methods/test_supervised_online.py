"""What five supervised online methods have in common, where the contract suite asks for less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import metrics, state
from bench.api import MODALITIES, Chunk, Method, Modality
from bench.methods.ocean import OCEAN
from bench.methods.oh_els import OHELS
from bench.methods.olch import OLCH
from bench.methods.roh import ROH
from bench.methods.thor import THOR

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]
CodesOf = Callable[..., Array]
METHODS = [THOR, OCEAN, OHELS, OLCH, ROH]
pytestmark = pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.__name__)


def finite(method: Method) -> bool:
    return all(np.isfinite(w).all() for w in method.w_.values())  # type: ignore[attr-defined]


def test_equal_seeds_give_equal_codes_and_others_do_not(
    cls: type[Method], label_stream: Stream, codes_of: CodesOf
) -> None:
    one, same, other = (codes_of(cls(bits=16, seed=s), label_stream(40, 40)) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_saved_state_goes_on_as_if_never_interrupted(
    cls: type[Method], label_stream: Stream, codes_of: CodesOf, tmp_path: Path
) -> None:
    first, second = label_stream(40, 40)
    whole, resumed = cls(bits=16), cls(bits=16)
    whole.fit_chunk(first)
    state.save(tmp_path / "s.npz", whole.state_dict())
    resumed.load_state_dict(state.load(tmp_path / "s.npz"))
    np.testing.assert_array_equal(codes_of(resumed, [second]), codes_of(whole, [second]))
    for m in MODALITIES:
        np.testing.assert_array_equal(resumed.encode(second.batch(m), m), whole.encode(second.batch(m), m))


@pytest.mark.parametrize("modality", MODALITIES)
def test_codes_of_old_items_stay_as_they_were(
    cls: type[Method], modality: Modality, label_stream: Stream
) -> None:
    method, (first, second) = cls(bits=8), label_stream(40, 40)
    method.fit_chunk(first)
    given = method.encode_database(first, modality)
    kept = given.copy()
    method.fit_chunk(second)
    np.testing.assert_array_equal(given, kept)
    assert method.update_database(modality) is None


@pytest.mark.parametrize("sizes", [(1, 1, 1), (40, 1), (5, 3), (16, 16)])
def test_chunks_no_larger_than_the_bits_are_safe(
    cls: type[Method], sizes: tuple[int, ...], label_stream: Stream, codes_of: CodesOf
) -> None:
    method = cls(bits=16)
    codes = codes_of(method, label_stream(*sizes))
    assert codes.shape == (sum(sizes), 16) and codes.dtype == np.int8
    assert set(np.unique(codes)) <= {-1, 1} and finite(method)


@pytest.mark.parametrize("bits", [8, 64])
def test_unlabelled_items_and_missing_classes_are_safe_with_few_and_many_bits(
    cls: type[Method], bits: int, label_stream: Stream, codes_of: CodesOf
) -> None:
    chunks = label_stream(80, 80, 80)
    for chunk, missing in zip(chunks, ([0], [1, 2, 3], [0, 1, 2, 3]), strict=True):
        assert chunk.labels is not None
        chunk.labels[:, missing] = 0
        chunk.labels[:10] = 0
    method = cls(bits=bits)
    assert set(np.unique(codes_of(method, chunks))) <= {-1, 1} and finite(method)


def test_features_that_depend_on_each_other_are_safe(
    cls: type[Method], label_stream: Stream, codes_of: CodesOf
) -> None:
    method, chunks = cls(bits=8), label_stream(40, 40)
    for chunk in chunks:
        chunk.image.features[:, 1] = chunk.image.features[:, 0]
        chunk.text.features[:] = 0
    codes_of(method, chunks)
    assert finite(method)


def quality(method: Method, chunks: list[Chunk], query: Chunk) -> float:
    """mAP of image queries among the learned text codes of all chunks."""
    codes = []
    for chunk in chunks:
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "text"))
    labels = [c.labels for c in chunks if c.labels is not None]
    assert query.labels is not None
    found = metrics.evaluate(
        method.encode(query.image, "image"),
        np.concatenate(codes),
        query.labels,
        np.concatenate(labels),
        metrics=("map",),
    )
    return float(found["map"])


def test_labels_teach_and_shuffled_labels_teach_nothing(cls: type[Method], label_stream: Stream) -> None:
    """Where each of 8 classes has one code, a random order of classes has a mean AP of 0.25, not 1/8.

    Items of a class look alike, so that one shuffle decides on all its queries at once: a mean of ten.
    """
    *chunks, query = label_stream(200, 200, 100, classes=8, single=True)
    told = quality(cls(bits=32), chunks, query)
    shuffled = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for chunk in chunks:
            assert chunk.labels is not None
            rng.shuffle(chunk.labels)
        shuffled.append(quality(cls(bits=32), chunks, query))
    assert told > 0.8 and np.mean(shuffled) < 0.35


def test_the_state_does_not_grow_with_the_stream(cls: type[Method], label_stream: Stream) -> None:
    method, sizes = cls(bits=8), []
    for chunk in label_stream(150, 150, 150):
        method.fit_chunk(chunk)
        sizes.append(state.nbytes(method.state_dict()))
    assert sizes[0] == sizes[1] == sizes[2]
