"""What five discrete online methods have in common: DOCH, OASIS, ROHLSE, OHPKL and DOCMH."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import check_method, registry, state
from bench.api import MODALITIES, Batch, Chunk, Method, Shared

Array = np.ndarray[Any, Any]
NAMES = ("doch", "oasis", "rohlse", "ohpkl", "docmh")
every_method = pytest.mark.parametrize("name", NAMES)


def new(name: str, *, bits: int = 16, seed: int = 0, authors: bool = False) -> Method:
    cls = registry.get("method", name)
    made: Method = cls(bits=bits, seed=seed, **(cls.presets["authors"] if authors else {}))
    return made


def make(n: int = 60, *, seed: int = 0, classes: int = 4, round: int = 0) -> Chunk:
    """Pairs whose two feature vectors are noisy linear images of their labels, at least one each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, classes)) < 0.3).astype(np.uint8)
    labels[np.arange(n), rng.integers(classes, size=n)] = 1
    maps = np.random.default_rng(99)
    image, text = (
        (labels @ maps.standard_normal((classes, d)) + 0.3 * rng.standard_normal((n, d))).astype(np.float32)
        for d in (12, 9)
    )
    return Chunk(round=round, image=Batch(image), text=Batch(text), labels=labels, ids=np.arange(n))


def stream(*sizes: int) -> list[Chunk]:
    return [make(n, seed=t, round=t) for t, n in enumerate(sizes)]


def relabelled(chunk: Chunk, labels: Array) -> Chunk:
    return replace(chunk, labels=labels, shared=Shared())


def of_classes(chunk: Chunk, *classes: int) -> Chunk:
    """The items that have labels of these classes and of no other."""
    assert chunk.labels is not None
    others = np.setdiff1d(np.arange(chunk.labels.shape[1]), classes)
    part = chunk.take(np.flatnonzero(chunk.labels[:, others].sum(axis=1) == 0))
    return Chunk(round=chunk.round, image=part.image, text=part.text, labels=part.labels, ids=part.ids)


def codes_of(method: Method, chunks: list[Chunk]) -> Array:
    codes = []
    for chunk in chunks:
        method.fit_chunk(replace(chunk, shared=Shared()))
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


def contrast(method: Method, queries: Chunk) -> float:
    """Mean Hamming distance of image-text pairs that share no label, less that of pairs that do."""
    assert queries.labels is not None
    image, text = (method.encode(queries.batch(m), m).astype(float) for m in MODALITIES)
    near = queries.labels.astype(int) @ queries.labels.T.astype(int) > 0
    distance = (method.bits - image @ text.T) / 2
    return float(distance[~near].mean() - distance[near].mean())


@every_method
@pytest.mark.parametrize("authors", [False, True], ids=["default", "authors"])
def test_the_contract_holds(name: str, authors: bool) -> None:
    cls = registry.get("method", name)
    check_method(cls, raising=True, **(cls.presets["authors"] if authors else {}))


@every_method
def test_equal_seeds_give_equal_codes_and_others_do_not(name: str) -> None:
    one, same, other = (codes_of(new(name, seed=s), stream(60, 60)) for s in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    if name != "rohlse" and name != "ohpkl":  # which start from principal components, not from draws
        assert (one != other).any()


@every_method
def test_a_saved_state_goes_on_as_if_never_interrupted(name: str, tmp_path: Path) -> None:
    first, second, third = stream(60, 50, 40)
    whole, resumed = new(name), new(name)
    codes_of(whole, [first, second])
    state.save(tmp_path / "s.npz", whole.state_dict())
    resumed.load_state_dict(state.load(tmp_path / "s.npz"))
    np.testing.assert_array_equal(codes_of(resumed, [third]), codes_of(whole, [third]))
    for m in MODALITIES:
        np.testing.assert_array_equal(resumed.encode(third.batch(m), m), whole.encode(third.batch(m), m))


@every_method
def test_codes_of_old_items_stay_as_they_were(name: str) -> None:
    method, (first, second) = new(name), stream(60, 60)
    method.fit_chunk(first)
    given = method.encode_database(first, "image")
    kept = given.copy()
    method.fit_chunk(second)
    np.testing.assert_array_equal(given, kept)
    assert method.update_database("image") is None


@every_method
def test_items_that_share_labels_are_nearer_in_hamming_distance(name: str) -> None:
    method = new(name, bits=32)
    codes_of(method, stream(120, 120))
    assert contrast(method, make(40, seed=7)) > 3


@every_method
def test_labels_of_other_items_teach_nothing(name: str) -> None:
    rng = np.random.default_rng(0)
    shuffled = [relabelled(c, rng.permutation(c.labels)) for c in stream(200, 200) if c.labels is not None]
    true, chance = new(name, bits=32), new(name, bits=32)
    codes_of(true, stream(200, 200))
    codes_of(chance, shuffled)
    queries = make(60, seed=7)
    assert contrast(chance, queries) < 0.4 * contrast(true, queries)


@every_method
@pytest.mark.parametrize("authors", [False, True], ids=["default", "authors"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (40, 1), (5, 3), (16, 16)])
def test_chunks_no_larger_than_the_bits_are_safe(name: str, sizes: tuple[int, ...], authors: bool) -> None:
    method = new(name, authors=authors)
    codes = codes_of(method, stream(*sizes))
    assert codes.shape == (sum(sizes), 16) and codes.dtype == np.int8
    assert set(np.unique(codes)) <= {-1, 1}
    assert all(np.isfinite(w).all() for w in method.w_.values())  # type: ignore[attr-defined]


@every_method
def test_more_bits_than_features_or_classes_are_safe(name: str) -> None:
    method = new(name, bits=64)
    codes = codes_of(method, stream(100, 100))
    assert (codes.std(axis=0) > 0).mean() > 0.5  # not most bits are constant
    assert contrast(method, make(40, seed=7)) > 3


@every_method
def test_single_labels_with_more_bits_than_classes_are_safe(name: str) -> None:
    chunks = [relabelled(c, np.eye(4, dtype=np.uint8)[np.arange(len(c)) % 4]) for c in stream(60, 60)]
    assert set(np.unique(codes_of(new(name, bits=32), chunks))) <= {-1, 1}


@every_method
def test_unlabelled_items_and_classes_missing_from_a_chunk_are_safe(name: str) -> None:
    method, (first, second, third) = new(name), stream(60, 60, 60)
    assert first.labels is not None and second.labels is not None and third.labels is not None
    first.labels[:, 0] = 0
    second.labels[:, 1:] = 0
    second.labels[:10] = 0
    third.labels[:] = 0
    assert set(np.unique(codes_of(method, [first, second, third]))) <= {-1, 1}
    assert all(np.isfinite(w).all() for w in method.w_.values())  # type: ignore[attr-defined]


@every_method
def test_classes_that_come_later_are_learned(name: str) -> None:
    method = new(name, bits=32)
    codes_of(method, [of_classes(make(160, seed=0), 0, 1), of_classes(make(160, seed=1, round=1), 2, 3)])
    assert contrast(method, of_classes(make(120, seed=7), 2, 3)) > 1


@every_method
def test_a_row_of_the_batch_decides_its_own_code_alone(name: str) -> None:
    method, chunk = new(name), make()
    method.fit_chunk(chunk)
    whole = method.encode(chunk.image, "image")
    single = [method.encode(chunk.image.take(slice(i, i + 1)), "image") for i in range(len(chunk))]
    np.testing.assert_array_equal(np.concatenate(single), whole)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "doch"])
def test_the_state_does_not_grow_with_the_stream(name: str) -> None:
    method, sizes = new(name), []
    for chunk in stream(60, 60, 60):
        method.fit_chunk(chunk)
        sizes.append(state.nbytes(method.state_dict()))
    assert sizes[0] == sizes[1] == sizes[2]


@every_method
def test_an_empty_batch_has_no_codes(name: str) -> None:
    method, chunk = new(name), make()
    method.fit_chunk(chunk)
    assert method.encode(chunk.image.take(slice(0, 0)), "image").shape == (0, 16)
