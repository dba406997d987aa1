"""bench.protocol.shown: what a method is shown, and whose codes the database holds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Split, sign
from bench.checks.trial import Trial, items
from bench.errors import ContractError
from bench.protocol.clock import Clock
from bench.protocol.index import Index
from bench.protocol.shown import chunk, encode, encode_packed, skip_reason, stand_ins
from bench.protocol.stream import Withheld
from bench.records import Database, RunSpec, Schedule
from bench.scoring import hamming


def split(n: int = 12, *, labels: bool = True, views: tuple[str, ...] = ("clip", "vgg")) -> Split:
    rng = np.random.default_rng(0)

    def batch(width: int) -> Batch:
        return Batch(
            rng.standard_normal((n, width), dtype=np.float32),
            {v: rng.standard_normal((n, 5), dtype=np.float32) for v in views},
        )

    return Split(
        image=batch(8),
        text=batch(6),
        labels=np.eye(3, dtype=np.uint8)[np.arange(n) % 3] if labels else None,
        ids=np.arange(n),
    )


def cell(**changes: Any) -> RunSpec:
    return RunSpec(method="m", dataset="d", bits=4, schedule=Schedule("shuffled", 6), **changes)


class Turning(Method):
    """Codes flip with every chunk: whoever keeps an old code keeps the old sign."""

    capabilities = Capabilities(learned_codes=True)

    def fit_chunk(self, chunk: Chunk) -> None:
        self.flip_ = -getattr(self, "flip_", -1)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, : self.bits]) * np.int8(self.flip_)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return np.full((len(chunk), self.bits), 1, dtype=np.int8)


def stored(index: Index, modality: Modality = "image") -> Codes:
    return hamming.unpack_codes(index.packed[modality], 4)


def stream_two_chunks(mode: Database, train: Split, method: Method | None = None) -> Index:
    method = method or Turning(bits=4)
    index = Index(mode, train, Clock())
    for t, rows in enumerate((np.arange(6), np.arange(6, 12))):
        arrived = chunk(train, rows, method.capabilities, t)
        method.fit_chunk(arrived)
        index.arrive(method, arrived, rows, t)
        index.refresh(method)
    return index


def test_reindexed_codes_all_come_from_the_last_hash_functions() -> None:
    train = split()
    index = stream_two_chunks("reindexed", train)
    np.testing.assert_array_equal(stored(index), -sign(train.image.features[:, :4]))


def test_frozen_codes_keep_the_hash_functions_of_their_arrival() -> None:
    train = split()
    plain = sign(train.image.features[:, :4])
    np.testing.assert_array_equal(
        stored(stream_two_chunks("frozen", train)), np.concatenate([plain[:6], -plain[6:]])
    )


def test_learned_codes_are_those_that_training_gave() -> None:
    assert (stored(stream_two_chunks("learned", split())) == 1).all()


def test_each_modality_is_encoded_from_its_own_features() -> None:
    train = split()
    index = stream_two_chunks("reindexed", train)
    np.testing.assert_array_equal(stored(index, "text"), -sign(train.text.features[:, :4]))


def test_a_rehash_counts_the_bits_it_rewrote() -> None:
    assert (
        stream_two_chunks("reindexed", split()).rewritten == 6 * 4 * 2
    )  # every bit of 6 items, both modalities
    assert stream_two_chunks("frozen", split()).rewritten is None


def test_a_learned_index_follows_the_methods_own_rehash() -> None:
    class Rehashing(Turning):
        def update_database(self, modality: Modality) -> Codes | None:
            self.seen_ = getattr(self, "seen_", 0)
            return np.full((6 if self.flip_ == 1 else 12, self.bits), -1, dtype=np.int8)

    index = stream_two_chunks("learned", split(), Rehashing(bits=4))
    assert (stored(index) == -1).all()
    assert index.rewritten == 2 * (6 * 4) + 2 * (6 * 4)  # each round its new items, in both modalities


def test_a_refit_encodes_only_new_items_where_codes_are_frozen() -> None:
    train, method = split(), Turning(bits=4)
    index = Index("frozen", train, Clock())
    for rows in (np.arange(6), np.arange(12)):
        everything = chunk(train, rows, method.capabilities, 0)
        method.fit_chunk(everything)
        index.arrive(method, everything, rows, 0, refit=True)
    plain = sign(train.image.features[:, :4])
    np.testing.assert_array_equal(stored(index), np.concatenate([plain[:6], -plain[6:]]))


def test_only_what_was_declared_is_shown() -> None:
    train, rows = split(), np.arange(4)
    nothing = chunk(train, rows, Capabilities(), 0)
    assert nothing.labels is None and not nothing.image.views
    both = chunk(train, rows, Capabilities(supervised=True, views=("clip",)), 0)
    assert both.labels is not None and set(both.image.views) == {"clip"}


def test_a_view_that_is_missing_is_stood_in_for_and_said() -> None:
    train, needs = split(views=()), Capabilities(views=("clip",))
    shown = chunk(train, np.arange(4), needs, 0)
    np.testing.assert_array_equal(shown.text.views["clip"], shown.text.features)
    assert stand_ins(train, needs) == ["no 'clip' view of image and text: the plain features stand in"]


def test_a_method_can_change_neither_the_data_nor_the_chunk() -> None:
    train = split()
    shown = chunk(train, np.arange(4), Capabilities(supervised=True), 0)
    for array in (shown.image.features, shown.text.features, shown.labels, shown.ids):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
        assert not np.shares_memory(array, train.image.features)


def test_encode_sees_one_modality_without_views_or_other_rows() -> None:
    seen: list[Batch] = []

    class Spy(Turning):
        def encode(self, batch: Batch, modality: Modality) -> Codes:
            seen.append(batch)
            return sign(batch.features[:, : self.bits])

    train = split()
    encode(Spy(bits=4), train, "image", np.array([3, 5]))
    np.testing.assert_array_equal(seen[0].features, train.image.features[[3, 5]])
    assert not seen[0].views


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda x: np.zeros((len(x), 4), np.int8), "zeros"),
        (lambda x: x[:, :4], "float32"),
        (lambda x: sign(x[:-1, :4]), r"\(11, 4\)"),
        (lambda x: sign(x[:, :3]), r"\(12, 3\)"),
        (lambda x: None, "NoneType"),
    ],
)
def test_wrong_codes_are_refused_with_what_was_expected(wrong: object, says: str) -> None:
    class Wrong(Turning):
        def encode(self, batch: Batch, modality: Modality) -> Codes:
            return wrong(batch.features)  # type: ignore[operator, no-any-return]

    with pytest.raises(ContractError, match=rf"Wrong.encode\(\) returned .*{says}.*expected int8"):
        encode(Wrong(bits=4), split(), "image")


def test_encoding_in_blocks_gives_the_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    method, rows = Turning(bits=4), np.array([9, 1, 4, 4, 7], dtype=np.intp)
    method.flip_ = 1
    whole = encode(method, split(), "text", rows)
    monkeypatch.setattr("bench.protocol.shown._BLOCK", 2)
    np.testing.assert_array_equal(encode(method, split(), "text", rows), whole)


def test_skip_reasons() -> None:
    class Supervised(Turning):
        capabilities = Capabilities(supervised=True)

    assert skip_reason(Turning, split(), cell(database="learned")) == ""
    assert "database=learned does not apply" in skip_reason(Supervised, split(), cell(database="learned"))
    assert "has no labels" in skip_reason(Supervised, split(labels=False), cell())
    assert "labelled is below 1" in skip_reason(Supervised, split(), cell(labelled=0.5))
    assert "paired is below 1" in skip_reason(Turning, split(), cell(paired=0.5))


def test_a_method_that_says_so_runs_where_labels_or_modalities_are_withheld() -> None:
    class Robust(Turning):
        capabilities = Capabilities(supervised=True, label_free=True, partial=True)

    assert skip_reason(Robust, split(), cell(labelled=0.0, paired=0.5)) == ""
    assert skip_reason(Turning, split(), cell(labelled=0.0)) == ""  # it reads no labels


def test_withheld_labels_are_rows_of_zeros() -> None:
    train, hidden = split(), Withheld(labels=np.arange(12) >= 3)
    rows = np.array([5, 1, 11])
    seen = chunk(train, rows, Capabilities(supervised=True), 0, hidden)
    assert seen.labels is not None and train.labels is not None
    np.testing.assert_array_equal(seen.labels, train.labels[rows] * [[0], [1], [0]])


def test_a_withheld_modality_is_zeros_in_features_and_views_and_said() -> None:
    train, rows = split(), np.array([5, 1])
    gone = np.arange(12) == 5
    seen = chunk(
        train, rows, Capabilities(views=("clip",)), 0, Withheld(absent={"image": gone, "text": gone & False})
    )
    assert seen.image.absent is not None and seen.image.absent.tolist() == [True, False]
    for array, kept in (
        (seen.image.features, train.image.features),
        (seen.image.views["clip"], train.image.views["clip"]),
    ):
        np.testing.assert_array_equal(array, kept[rows] * np.array([[0], [1]], dtype=np.float32))
    np.testing.assert_array_equal(seen.text.features, train.text.features[rows])


def test_nothing_withheld_is_no_mask() -> None:
    assert chunk(split(), np.arange(3), Capabilities(), 0).image.absent is None


def test_only_an_oracle_is_shown_labels_in_encode() -> None:
    class Oracle(Turning):
        capabilities = Capabilities(reference="oracle")

        def encode(self, batch: Batch, modality: Modality) -> Codes:
            return sign(batch.views["labels"][:, :1] * np.ones(self.bits) - 0.5)

    labels = split().labels
    assert labels is not None
    codes = encode(Oracle(bits=4), split(), "image")
    np.testing.assert_array_equal(codes[:, 0] == 1, labels[:, 0] == 1)


class OfClip(Turning):
    """Hashes the clip view, and keeps what it was shown."""

    capabilities = Capabilities(encodes="clip", learned_codes=True)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        self.seen = batch
        return sign(batch.features[:, : self.bits])


def test_the_view_that_a_method_encodes_takes_the_place_of_the_features_in_training() -> None:
    train = split()
    shown = chunk(train, np.arange(4), OfClip.capabilities, 0)
    np.testing.assert_array_equal(shown.text.features, train.text.views["clip"][:4])
    assert not shown.text.views and not shown.text.features.flags.writeable


def test_the_view_that_a_method_encodes_takes_the_place_of_the_features_in_encode() -> None:
    train, method = split(), OfClip(bits=4)
    codes = encode(method, train, "image", np.array([3, 5]))
    np.testing.assert_array_equal(codes, sign(train.image.views["clip"][[3, 5], :4]))
    np.testing.assert_array_equal(method.seen.features, train.image.views["clip"][[3, 5]])
    assert not method.seen.views and not method.seen.features.flags.writeable


def test_a_method_that_encodes_a_view_is_shown_others_beside_it() -> None:
    train, needs = split(), Capabilities(encodes="clip", views=("vgg",))
    shown = chunk(train, np.arange(4), needs, 0)
    np.testing.assert_array_equal(shown.image.features, train.image.views["clip"][:4])
    np.testing.assert_array_equal(shown.image.views["vgg"], train.image.views["vgg"][:4])


def test_a_method_that_encodes_a_view_is_said_to_at_query_time() -> None:
    assert stand_ins(split(), OfClip.capabilities) == ["hashes 'clip' features at query time"]
    assert stand_ins(split(), Turning.capabilities) == []


def test_without_the_view_that_it_encodes_a_method_is_skipped() -> None:
    assert skip_reason(OfClip, split(), cell()) == ""
    reason = skip_reason(OfClip, split(views=("vgg",)), cell())
    assert reason == "the dataset has no 'clip' view of image and text for it to hash"


@pytest.mark.parametrize("view", ["clip", "another"])
def test_the_checks_show_the_view_that_a_method_encodes(view: str) -> None:
    class Other(OfClip):
        capabilities = Capabilities(encodes=view)

    made = items(6)
    trial = Trial(Other)
    clip = made.image.views["clip"]
    np.testing.assert_array_equal(trial.shown(made).image.features, clip)
    np.testing.assert_array_equal(trial.asked(made, "image").features, clip)


def test_real_valued_vectors_are_stored_and_never_counted_as_bits() -> None:
    class Real(Turning):
        capabilities = Capabilities(reference="real-valued")

        def encode(self, batch: Batch, modality: Modality) -> Any:
            return batch.features[:, : self.bits]

    train = split()
    index = stream_two_chunks("reindexed", train, Real(bits=4))
    unit = train.image.features[:, :4] / np.linalg.norm(train.image.features[:, :4], axis=1, keepdims=True)
    np.testing.assert_allclose(index.packed["image"].T, unit, rtol=1e-6)
    assert index.rewritten is None


class _Ones(Method):
    """Gives every item the same code."""

    def fit_chunk(self, chunk: Chunk) -> None: ...

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return np.ones((len(batch), self.bits), dtype=np.int8)


def test_encoding_some_rows_takes_no_memory_for_the_others(tmp_path: Path) -> None:
    n = 10**7
    features = np.memmap(tmp_path / "x", np.float32, "w+", shape=(n, 4))  # a file without content
    batch = Batch(features)
    data = Split(image=batch, text=batch, labels=None, ids=np.broadcast_to(np.intp(0), (n,)))
    tracemalloc.start()
    encode_packed(_Ones(bits=64), data, "image", np.arange(5000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n


def test_packed_codes_are_those_that_are_encoded() -> None:
    data, method, rows = split(5000), Turning(bits=4), np.arange(4999, -1, -1)  # more than a block
    method.flip_ = 1
    packed = encode_packed(method, data, "text", rows)
    np.testing.assert_array_equal(packed, hamming.pack_codes(encode(method, data, "text", rows)))
