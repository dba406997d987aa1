"""What our online methods hold beyond the contract, by default and by their authors' settings.

test_contract.py holds them to the contract; what is particular to a method is in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.api import MODALITIES, Chunk, Method, Split
from bench.checks.trial import Trial
from bench.contract import state
from bench.plugins import registry

Array = np.ndarray[Any, Any]
Stream = Callable[..., list[Chunk]]

CHEAP: dict[str, dict[str, Any]] = {  # what these tests show does not depend on the width of networks
    "lcdh": {"teacher": "zero"},  # its own tests train the teacher
    "dlch": {"hidden": 64, "rate": 5e-3},
    "nhl": {"hidden": 64, "longest": 64, "rate": 5e-3},
    "she": {"epochs": 100},  # its rate, as those above, is for more items than these
    "dlch-authors": {"hidden": 64, "epochs": 50, "rate": 5e-3},
    "fpo_cmh-authors": {"hidden": 512},
    "rshnl-authors": {"hidden": 512},
    "she-authors": {"hidden": 512},
}


BOUNDS = ("float_features", "lcdh_clip", "lcdh_fused")  # not hashed, or from more than a query has
SIBLINGS = ("ckdh_online", "skdch_online", "ukd_online")  # of offline methods: test_rehearsal.py
NAMES = [
    name
    for name in registry.names("method")
    if not (needs := registry.get("method", name).capabilities).offline
    and not needs.encodes  # a view, which these items lack
    and needs.distance == "hamming"  # codes of quantisers are no nearer for being alike
    and name not in (*BOUNDS, *SIBLINGS)
]


def trials() -> dict[str, Trial]:
    """Every method with its defaults, and with its authors' settings where it has them."""
    found = {}
    for name in NAMES:
        cls: type[Method] = registry.get("method", name)
        found[name] = Trial(cls, CHEAP.get(name, {}))
        if "authors" in cls.presets:
            found[f"{name}-authors"] = Trial(
                cls, {**cls.presets["authors"], **CHEAP.get(f"{name}-authors", {})}
            )
    return found


TRIALS = trials()
DEFAULTS = [name for name in TRIALS if not name.endswith("-authors")]
SUPERVISED = [name for name, trial in TRIALS.items() if trial.cls.capabilities.supervised]


def of(names: Iterable[str], *, but: Iterable[str] = ()) -> pytest.MarkDecorator:
    """One test for each name that ``but`` does not name, with or without its authors' settings."""
    return pytest.mark.parametrize("name", [n for n in names if n not in but and plain(n) not in but])


def plain(name: str) -> str:
    return name.removesuffix("-authors")


# Exceptions, each with its reason
STARTS_FROM_COMPONENTS = ("ohpkl", "rohlse")  # not from random draws
OWN_CODES = (  # a code for each modality: none is learned for both
    *("crovca", "hcfw", "nhl", "ocmh", "random_projection", "roh", "rshnl", "she"),
)
RE_HASHED = [n for n, trial in TRIALS.items() if trial.cls.update_database is not Method.update_database]
CHANGES_MORE = {"ocmfh-authors": 0.4, "oscmfh": 0.5, "oscmfh-authors": 0.5}  # share of bits; others: 0.3
LEARNS_NOTHING = ("random_projection",)
FINDS_LESS = {"doch": 0.6, "docmh": 0.45}  # mAP on these data, where the others reach 0.8
KEPT = {  # bytes that an item of 4 classes adds at 8 bits
    "doch": 1 + 1,  # anchors are drawn from all old codes and their labels, packed
    "ocmfh": 8 * 8,  # latent vectors, which are re-hashed
    "ocmh": 8 * 8,  # latent codes, which are re-hashed
    "oscmfh": 4,  # labels, of which the latent vectors are a function
}
FULL = {
    "dlch": {"memory": 100},
    "lcdh": {"memory": 100},
}  # a sample of earlier items that the first chunk fills
STEP = {"ocmfh": 8 * 8 * 8}  # bytes of the small matrix with which a chunk re-hashes older ones


def learn(method: Method, chunks: list[Chunk]) -> Array:
    """The learned codes (2, n, bits) of both modalities, as they are after the last chunk."""
    given = []
    for chunk in chunks:
        method.fit_chunk(chunk)
        given.append(given_codes(method, chunk))
    updated = [method.update_database(m) for m in MODALITIES]
    found = [codes for codes in updated if codes is not None]
    return np.stack(found) if found else np.concatenate(given, axis=1)


def given_codes(method: Method, chunk: Chunk) -> Array:
    return np.stack([method.encode_database(chunk, m) for m in MODALITIES])


def hashed(trial: Trial, method: Method, split: Split) -> Array:
    """The codes (2, n, bits) that the two hash functions give."""
    return np.stack([method.encode(trial.asked(split, m), m) for m in MODALITIES])


def labels_of(*splits: Split) -> Array:
    return np.concatenate([s.labels for s in splits if s.labels is not None])


def finite(tree: Any) -> bool:
    """Whether a state holds neither NaN nor infinity, which sign() would hide."""
    if isinstance(tree, state.State):
        tree = vars(tree)
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return all(map(finite, tree))
    return np.asarray(tree).dtype.kind != "f" or bool(np.isfinite(tree).all())


def require_signs(codes: Array, n: int, bits: int) -> None:
    assert codes.shape == (2, n, bits) and codes.dtype == np.int8
    assert set(np.unique(codes)) <= {-1, 1}


def require_safe(name: str, splits: list[Chunk], *, bits: int) -> None:
    """After every chunk all learned codes are signs and the state is finite; so are codes of all items."""
    trial, seen = TRIALS[name], 0
    method = trial.new(bits=bits, seed=0)
    for chunk in trial.chunks(*splits):
        learned = learn(method, [chunk])
        seen = seen + len(chunk) if name in RE_HASHED else len(chunk)
        require_signs(learned, seen, bits)
        assert finite(method.state_dict()), f"after chunk {chunk.round}"
    for split in splits:
        require_signs(hashed(trial, method, split), len(split), bits)


def contrast(trial: Trial, method: Method, queries: Split) -> float:
    """Mean Hamming distance of image-text pairs that share no label, less that of pairs that do."""
    image, text = hashed(trial, method, queries).astype(float)
    labels = labels_of(queries).astype(int)
    near, distance = labels @ labels.T > 0, (method.bits - image @ text.T) / 2
    return float(distance[~near].mean() - distance[near].mean())


def contrast_of_30(name: str, stream: Stream) -> float:
    trial, (query,) = TRIALS[name], stream(30, first=7)
    return contrast(trial, trial.fit(*stream(60, 60), bits=32, seed=0, pool=False), query)


def quality(trial: Trial, chunks: list[Chunk], query: Chunk) -> list[float]:
    """mAP (image to text, text to image) of hashed queries in the learned database."""
    method = trial.new(bits=32, seed=0)
    image, text = learn(method, trial.chunks(*chunks))
    labels = labels_of(query), labels_of(*chunks)
    return [
        metrics.evaluate(codes, database, *labels, metrics=("map",))["map"]
        for codes, database in zip(hashed(trial, method, query), (text, image), strict=True)
    ]


def hollow(chunks: list[Chunk]) -> None:
    """Take a class from the first chunk, all but that from the second, all from the third, and ten items'."""
    for chunk, missing in zip(chunks, ([0], [1, 2, 3], [0, 1, 2, 3]), strict=False):
        assert chunk.labels is not None
        chunk.labels[:, missing] = 0
        chunk.labels[:10] = 0


def without(split: Split, classes: list[int]) -> Split:
    """The items that have no label of these classes."""
    return split.take(np.flatnonzero(~labels_of(split)[:, classes].any(axis=1)))


def shuffle_labels(chunks: list[Chunk], rng: np.random.Generator) -> None:
    for chunk in chunks:
        assert chunk.labels is not None
        rng.shuffle(chunk.labels)


@of(TRIALS, but=STARTS_FROM_COMPONENTS)
def test_other_seeds_give_other_codes(name: str, shifted_stream: Stream) -> None:
    trial, splits = TRIALS[name], shifted_stream(40, 40)
    one, other = (learn(trial.new(seed=s), trial.chunks(*splits)) for s in (3, 4))
    assert all((one[m] != other[m]).any() for m in (0, 1))


@of(RE_HASHED)
def test_re_hashing_changes_old_codes_and_keeps_the_order_of_arrival(
    name: str, shifted_stream: Stream
) -> None:
    trial, sizes = TRIALS[name], (40, 30, 20)
    method = trial.new(seed=0)
    given: list[Array] = []
    kept: list[Array] = []
    for t, chunk in enumerate(trial.chunks(*shifted_stream(*sizes))):
        now = learn(method, [chunk])
        given.append(given_codes(method, chunk))
        kept.append(given[-1].copy())
        assert now.shape == (2, sum(sizes[: t + 1]), 16)
        np.testing.assert_array_equal(now[:, -sizes[t] :], given[-1])
        for part, then, copy in zip(np.split(now, [40, 70][:t], axis=1)[:-1], given, kept, strict=False):
            np.testing.assert_array_equal(then, copy)
            assert 0 < (part != then).mean() < CHANGES_MORE.get(name, 0.3)


@of(TRIALS, but=OWN_CODES)
def test_both_modalities_of_a_learned_item_have_one_code(name: str, shifted_stream: Stream) -> None:
    trial = TRIALS[name]
    image, text = learn(trial.new(seed=0), trial.chunks(*shifted_stream(40, 30)))
    np.testing.assert_array_equal(image, text)


@of(SUPERVISED)
@pytest.mark.parametrize("bits", [8, 64])
def test_unlabelled_items_and_missing_classes_are_safe(name: str, bits: int, label_stream: Stream) -> None:
    splits = label_stream(80, 80, 80)
    hollow(splits)
    require_safe(name, splits, bits=bits)


@of(SUPERVISED)
def test_a_first_chunk_without_any_label_is_safe(name: str, label_stream: Stream) -> None:
    first, second = label_stream(20, 40)
    assert first.labels is not None
    first.labels[:] = 0
    require_safe(name, [first, second], bits=8)


@of(DEFAULTS, but=LEARNS_NOTHING)
@pytest.mark.parametrize("bits", [32, 64])
def test_bits_part_items_where_there_are_more_than_features_or_classes(
    name: str, bits: int, labelled_stream: Stream
) -> None:
    trial, (query,) = TRIALS[name], labelled_stream(40, first=7)
    method = trial.new(bits=bits, seed=0)
    codes = learn(method, trial.chunks(*labelled_stream(100, 100)))
    assert all((codes[m].std(axis=0) > 0).mean() > 0.5 for m in (0, 1))  # not most bits are constant
    assert contrast(trial, method, query) > 3


@of(TRIALS, but=LEARNS_NOTHING)
def test_items_that_share_labels_are_nearer_in_hamming_distance(name: str, label_stream: Stream) -> None:
    assert contrast_of_30(name, label_stream) > 4


@of(DEFAULTS, but=LEARNS_NOTHING)  # the authors of OCMFH and OSCMFH do not centre queries
def test_items_that_share_labels_are_nearer_where_features_are_off_centre(
    name: str, shifted_stream: Stream
) -> None:
    assert contrast_of_30(name, shifted_stream) > 4


@of(name for name in DEFAULTS if name in SUPERVISED)
def test_labels_teach_to_find_items_and_shuffled_labels_teach_nothing(
    name: str, label_stream: Stream
) -> None:
    """Where each of 8 classes has one code, a random order of classes has a mean AP of 0.25, not 1/8.

    Items of a class look alike, so that one shuffle decides on all its queries at once: a mean of ten.
    """
    *chunks, query = label_stream(200, 200, 100, classes=8, single=True)
    assert min(quality(TRIALS[name], chunks, query)) > FINDS_LESS.get(name, 0.8)
    shuffled = []
    for seed in range(10):
        shuffle_labels(chunks, np.random.default_rng(seed))
        shuffled.append(quality(TRIALS[name], chunks, query))
    assert np.mean(shuffled, axis=0).max() < 0.35


@of(SUPERVISED)
def test_classes_that_come_later_are_learned(name: str, labelled_stream: Stream) -> None:
    trial, (query,) = TRIALS[name], labelled_stream(120, first=7)
    first, second = labelled_stream(160, 160)
    splits = without(first, [2, 3]), without(second, [0, 1])
    method = trial.fit(*splits, bits=32, seed=0, pool=False)
    assert contrast(trial, method, without(query, [0, 1])) > 1


@of(TRIALS)
def test_the_state_does_not_grow_but_by_what_is_named_here(name: str, label_stream: Stream) -> None:
    trial, sizes = TRIALS[name], []
    method = Trial(trial.cls, {**trial.params, **FULL.get(plain(name), {})}).new(bits=8)
    for chunk in trial.chunks(*label_stream(150, 150, 150, 150)):
        method.fit_chunk(chunk)
        sizes.append(state.nbytes(method.state_dict()))
    if plain(name) in STEP:  # the first chunk has none to re-hash
        del sizes[0]
    assert set(np.diff(sizes)) == {150 * KEPT.get(plain(name), 0) + STEP.get(plain(name), 0)}
