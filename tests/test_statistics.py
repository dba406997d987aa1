"""Statistics against counts by hand, and the validation that refuses a dataset."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.api import Batch, Dataset, Split, blocks
from bench.contract.blocks import gather
from bench.contract.validate import validate_dataset
from bench.data import describe as module
from bench.data.describe import base_rates, constant_columns, describe, moments, row_digests
from bench.datasets.synthetic import Synthetic
from bench.errors import DataError

Array = np.ndarray[Any, Any]
LABELS = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]


def make(labels: list[list[int]], queries: list[list[int]], **changed: Array) -> Dataset:
    """Random features under the given labels; ``changed`` replaces train_image, query_text ..."""
    rng = np.random.default_rng(0)

    def split(part: str, rows: list[list[int]], first_id: int) -> Split:
        n = len(rows)
        image, text = rng.random((n, 4), np.float32), rng.random((n, 3), np.float32)
        return Split(
            image=Batch(changed.get(f"{part}_image", image), {"clip": changed.get(f"{part}_clip", image)}),
            text=Batch(changed.get(f"{part}_text", text)),
            labels=changed.get(f"{part}_labels", np.array(rows, np.uint8)),
            ids=changed.get(f"{part}_ids", np.arange(first_id, first_id + n)),
        )

    return Dataset(name="tiny", train=split("train", labels, 0), query=split("query", queries, 100))


def tiny(**changed: Array) -> Dataset:
    return make(LABELS, [[1, 0, 0], [0, 0, 1]], **changed)


def test_labels_and_base_rate_are_counted() -> None:
    found = describe(tiny())
    assert (found.train, found.query, found.unlabelled, found.empty_queries) == (4, 2, 1, 1)
    assert (found.labels_per_item.mean, found.labels_per_item.min, found.labels_per_item.max) == (1, 0, 2)
    assert (found.base_rate.mean, found.base_rate.min, found.base_rate.max) == (0.25, 0, 0.5)
    assert found.class_counts == {"0": 2, "1": 2, "2": 0}


def test_dimensions_include_the_views() -> None:
    assert describe(tiny()).dimensions == {"image": 4, "image view clip": 4, "text": 3}


def test_labels_per_item_do_not_overflow_a_byte() -> None:
    found = describe(make([[1] * 300, [1] * 300], [[1] * 300]))
    assert found.labels_per_item.mean == 300


def test_class_counts_do_not_overflow_a_byte() -> None:
    assert describe(make([[1]] * 300, [[1]])).class_counts == {"0": 300}


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(11)), elements=st.integers(0, 1)),
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(11)), elements=st.integers(0, 1)),
)
def test_base_rates_agree_with_the_full_relevance_matrix(query: Array, train: Array) -> None:
    expected = (query.astype(int) @ train.T.astype(int) > 0).mean(axis=1)
    np.testing.assert_allclose(base_rates(query, train), expected, rtol=1e-12)


def test_base_rates_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Synthetic(n=300, queries=50).load(Path())
    assert data.train.labels is not None and data.query.labels is not None
    whole = base_rates(data.query.labels, data.train.labels)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    np.testing.assert_array_equal(base_rates(data.query.labels, data.train.labels), whole)


def test_duplicates_are_counted_by_modality_and_split() -> None:
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    image[2] = image[0]  # the same image twice in train, and again in a query, each with another text
    data = tiny(train_image=image, query_image=np.stack([image[0], image[3] + 100]))
    found = describe(data).duplicates
    assert (found["image"].train, found["image"].query, found["image"].query_in_train) == (1, 0, 1)
    assert (found["pair"].train, found["pair"].query_in_train, found["text"].query_in_train) == (0, 0, 0)


def test_a_query_that_equals_a_training_item_in_both_modalities_is_a_pair() -> None:
    data = tiny()
    same = dataclasses.replace(data.train.take(np.array([1, 2])), ids=data.query.ids)
    assert describe(dataclasses.replace(data, query=same)).duplicates["pair"].query_in_train == 2


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 20), st.just(2)), elements=st.sampled_from([0.0, 1.0, 2.0]))
)
def test_digests_are_equal_exactly_where_rows_are(x: Array) -> None:
    digests = row_digests(x)
    equal = (x[:, None] == x[None]).all(axis=2)
    np.testing.assert_array_equal(digests[:, None] == digests[None], equal)


def test_moments_are_exact_far_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 200)
    x = (1e4 + np.random.default_rng(0).standard_normal((1000, 3))).astype(np.float32)
    mean, sd = moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(sd, x.std(axis=0, dtype=np.float64), rtol=1e-9)


def test_constant_columns_are_found_at_any_level() -> None:
    x = np.random.default_rng(0).random((50, 4), np.float32)
    x[:, 1], x[:, 3] = 0, 7
    assert constant_columns(*moments(x)).tolist() == [1, 3]


def test_the_printed_form_has_a_line_for_every_statistic() -> None:
    lines = str(describe(tiny())).splitlines()
    titles = [line.partition(":")[0] for line in lines]
    assert titles[:8] == [
        "pairs",
        "features",
        "constant columns",
        "labels per item",
        "classes",
        "base rate",
        "empty queries",
        "unlabelled",
    ]
    assert "4 train, 2 query" in lines[0]


def test_a_sound_dataset_is_valid() -> None:
    validate_dataset(make(LABELS, [[1, 0, 0]]))


IMAGE = np.ones((4, 4), np.float32)


def spoilt(value: float) -> Array:
    image = IMAGE.copy()
    image[2, 1] = value
    return image


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_image": spoilt(np.nan)}, "train image features: row 2, column 1 is nan; expected finite"),
        ({"train_clip": spoilt(-np.inf)}, "train image view clip: row 2, column 1 is -inf; expected finite"),
        ({"train_image": IMAGE[:3]}, "train image features: 3 rows; expected 4, one for every id"),
        ({"train_image": IMAGE.astype(np.float64)}, r"float64 of shape \(4, 4\); expected float32"),
        ({"train_image": IMAGE[0]}, r"float32 of shape \(4,\); expected float32 of shape \(4, d\)"),
        ({"train_image": IMAGE[:, :0]}, "expected at least one column"),
        ({"train_image": np.ones((4, 5), np.float32)}, "image features: 5 columns in train and 4 in query"),
        ({"train_labels": np.array(LABELS)}, "train labels: int64 of shape .* expected uint8"),
        (
            {"train_labels": np.array(LABELS, np.uint8) * 2},
            "train labels: the largest value is 2; expected 0 and 1",
        ),
        ({"train_labels": None}, "train labels: missing"),
        (
            {"query_labels": np.zeros((1, 3), np.uint8)},
            r"query labels: 1 of 1 rows are all zero \(first: row 0\)",
        ),
        ({"train_ids": np.array([0, 1, 1, 2])}, "train ids: 1 are repeated"),
        ({"query_ids": np.array([3])}, r"1 query items are in the database as well \(first id: 3\)"),
        ({"train_ids": np.arange(4.0)}, "train ids: float64 .* expected whole numbers"),
    ],
)
def test_an_invalid_dataset_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        validate_dataset(make(LABELS, [[1, 0, 0]], **changed))
    assert "\n" not in str(caught.value)


def test_a_nan_in_a_late_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.contract.validate.BLOCK", 4)
    with pytest.raises(DataError, match="row 2, column 1"):
        validate_dataset(make(LABELS, [[1, 0, 0]], train_image=spoilt(np.nan)))


def test_no_items_is_refused() -> None:
    data = make(LABELS, [[1, 0, 0]])
    with pytest.raises(DataError, match="query: no items"):
        validate_dataset(dataclasses.replace(data, query=data.query.take(slice(0))))


def test_class_names_must_be_as_many_as_label_columns() -> None:
    with pytest.raises(DataError, match="2 names for 3 label columns"):
        validate_dataset(dataclasses.replace(make(LABELS, [[1, 0, 0]]), classes=("a", "b")))


def test_views_must_be_the_same_in_both_parts() -> None:
    data = make(LABELS, [[1, 0, 0]])
    bare = dataclasses.replace(data.query, image=dataclasses.replace(data.query.image, views={}))
    with pytest.raises(DataError, match=r"image views: \['clip'\] in train and \[\] in query"):
        validate_dataset(dataclasses.replace(data, query=bare))


def test_blocks_are_runs_of_rows_or_of_chosen_rows() -> None:
    x = np.arange(20).reshape(10, 2)
    assert [len(block) for block in blocks(x, 6)] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([*blocks(x, 6)]), x)
    rows = np.array([7, 1, 1], np.intp)
    np.testing.assert_array_equal(np.concatenate([*blocks(x, 1, rows)]), x[rows])


def mapped_megabytes() -> int:
    return int(Path("/proc/self/status").read_text().partition("RssFile:")[2].split()[0]) // 1024


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_rows_gathered_from_a_large_map_are_right_and_leave_none_of_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.contract.blocks._SMALL", 0)
    kept = np.random.default_rng(0).random((1 << 14, 1 << 10), np.float32)  # 64 MB
    np.save(tmp_path / "x.npy", kept)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")[5:]
    rows = np.random.default_rng(1).integers(0, len(x), 2000)
    before = mapped_megabytes()
    gathered = gather(x, rows, np.empty((2000, 1 << 10), np.float32))
    assert mapped_megabytes() - before < 8
    np.testing.assert_array_equal(gathered, kept[5:][rows])


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_a_pass_over_a_mapped_file_lets_go_of_its_pages(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((64, 1 << 18), np.float32))  # 64 MB
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    before = mapped_megabytes()
    total, most = 0.0, 0
    for block in blocks(x, 1 << 20):
        total += float(block.sum())
        most = max(most, mapped_megabytes() - before)
    assert (total, most < 16) == (x.size, True)
