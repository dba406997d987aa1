"""How the values of labels are read: as meant, or refused with the option that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from bench.contract.dataset import Dataset
from bench.datasets.files import Files
from bench.datasets.mirflickr25k import Mirflickr25k
from bench.errors import BenchError, DataError, ParameterError

Array = np.ndarray[Any, Any]
TRAIN, QUERY, CLASSES = 30, 8, 3
NUMBERS, ASKED = np.arange(TRAIN) % CLASSES, np.arange(QUERY) % CLASSES
HOT, ASKED_HOT = np.eye(CLASSES, dtype=np.uint8)[NUMBERS], np.eye(CLASSES, dtype=np.uint8)[ASKED]


def write(folder: Path, train: Any, query: Any) -> str:
    """A bundle with these labels; as many items as they have rows."""
    rng = np.random.default_rng(0)
    sizes = TRAIN, 1 if np.shape(query)[:1] in ((), (1,)) or np.shape(query) == (CLASSES,) else QUERY
    features = {
        f"{name}_{part}": rng.random((n, width))
        for part, n in zip(("tr", "te"), sizes, strict=True)
        for name, width in (("I", 5), ("T", 4))
    }
    np.savez(folder / "a.npz", **features, L_tr=train, L_te=query)  # type: ignore[arg-type]
    return str(folder / "a.npz")


def load(folder: Path, train: Any, query: Any, **options: Any) -> Dataset:
    return Files(path=write(folder, train, query), **options).load(Path("/nowhere"))


def fails(folder: Path, match: str, train: Any, query: Any, **options: Any) -> None:
    with pytest.raises(DataError, match=match):
        load(folder, train, query, **options)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.int8) * 2 - 1,
        lambda x: x.astype(np.float64) * 2 - 1,
        lambda x: x.astype(bool),
        lambda x: x.astype(np.float64),
        lambda x: x * np.uint8(255),
    ],
    ids=["-1/+1", "-1.0/+1.0", "booleans", "doubles", "0/255"],
)
def test_labels_that_mean_zero_and_one_are_read_as_such(tmp_path: Path, change: Any) -> None:
    data = load(tmp_path, change(HOT), change(ASKED_HOT))
    assert data.train.labels is not None and data.query.labels is not None
    assert data.train.labels.tolist() == HOT.tolist()
    assert data.query.labels.tolist() == ASKED_HOT.tolist()


def test_labels_of_minus_one_are_noted(tmp_path: Path) -> None:
    data = load(tmp_path, HOT * 2.0 - 1, ASKED_HOT * 2.0 - 1)
    assert "labels read as multi-hot, 3 columns; -1 read as no label" in data.notes


@pytest.mark.parametrize("query", [ASKED_HOT[:1], ASKED_HOT[0]], ids=["one row", "a vector"])
@pytest.mark.parametrize("how", ["auto", "multi-hot"])
def test_one_query_may_have_multi_hot_labels(tmp_path: Path, query: Array, how: str) -> None:
    data = load(tmp_path, HOT, query, labels=how)
    assert data.query.labels is not None
    assert data.query.labels.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("query", [np.array([[2]]), np.array([2]), np.array(2)])
def test_one_query_may_have_one_class_number(tmp_path: Path, query: Array) -> None:
    data = load(tmp_path, NUMBERS, query)
    assert data.query.labels is not None
    assert data.query.labels.tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("absent", "kind"), [(-1, np.int64), (-1, np.float64), (np.nan, np.float64)], ids=["-1", "-1.0", "NaN"]
)
def test_minus_one_and_nan_among_class_numbers_are_no_label(tmp_path: Path, absent: float, kind: Any) -> None:
    numbers = NUMBERS.astype(kind)
    numbers[:6] = absent
    data = load(tmp_path, numbers, ASKED, unlabelled="keep")
    assert data.train.labels is not None
    assert data.train.labels[:6].sum() == 0
    assert data.train.labels[6:].tolist() == HOT[6:].tolist()
    assert data.classes == ("0", "1", "2")


def test_unlabelled_class_numbers_are_refused_with_their_reason(tmp_path: Path) -> None:
    numbers = NUMBERS.copy()
    numbers[:6] = -1
    match = r"6 of 30 train rows .* have no label .*-1 read as no label.*unlabelled=drop"
    fails(tmp_path, match, numbers, ASKED)


def test_a_column_of_minus_one_and_one_holds_two_classes(tmp_path: Path) -> None:
    data = load(tmp_path, NUMBERS % 2 * 2 - 1, ASKED % 2 * 2 - 1)
    assert data.classes == ("-1", "1")
    assert "labels read as two classes, -1 and 1" in data.notes


@pytest.mark.parametrize("two", [(0, 1), (1, 2), (False, True), (0.0, 1.0)])
def test_a_column_of_two_values_holds_two_classes(tmp_path: Path, two: tuple[Any, Any]) -> None:
    data = load(tmp_path, np.array(two)[NUMBERS % 2], np.array(two)[ASKED % 2])
    assert data.classes == tuple(str(int(v)) for v in two)


def test_a_column_of_minus_one_zero_and_one_asks_whether_minus_one_is_a_class(tmp_path: Path) -> None:
    fails(tmp_path, "signed-class-number if -1 is a class, or labels=class-number", NUMBERS - 1, ASKED - 1)
    signed = load(tmp_path, NUMBERS - 1, ASKED - 1, labels="signed-class-number")
    assert signed.classes == ("-1", "0", "1")
    plain = load(tmp_path, NUMBERS - 1, ASKED - 1, labels="class-number", unlabelled="drop")
    assert plain.classes == ("0", "1")


def test_other_negative_class_numbers_ask(tmp_path: Path) -> None:
    fails(tmp_path, "holds class number -5; .* labels=signed-class-number", NUMBERS - 5, ASKED - 5)


def test_labels_of_minus_one_zero_and_one_ask_what_zero_means(tmp_path: Path) -> None:
    labels = HOT.astype(np.int8)
    labels[HOT == 0] = -1
    labels[::2, 0] = np.where(labels[::2, 0] == 1, 1, 0)
    fails(tmp_path, "holds -1, 0 and 1; .* labels=above:0, .* labels=above:-1", labels, ASKED_HOT)
    certain = load(tmp_path, labels, ASKED_HOT, labels="above:0")
    possible = load(tmp_path, labels, ASKED_HOT.astype(np.int8) * 2 - 1, labels="above:-1")
    assert certain.train.labels is not None and possible.train.labels is not None
    assert certain.train.labels.tolist() == HOT.tolist()
    assert possible.train.labels.tolist() == (labels >= 0).astype(int).tolist()


def test_soft_labels_ask_for_a_bound(tmp_path: Path) -> None:
    soft, asked = HOT * 0.8 + 0.1, ASKED_HOT * 0.8 + 0.1
    fails(tmp_path, "holds 0.1 and 0.9; .* labels=above:0.5", soft, asked)
    data = load(tmp_path, soft, asked, labels="above:0.5")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == HOT.tolist()
    assert "labels read as multi-hot, 3 columns, values above 0.5 taken as labels" in data.notes


def test_votes_ask_for_a_bound(tmp_path: Path) -> None:
    fails(tmp_path, "holds 0, 1, 2 and 3; .* labels=above:0", HOT * (1 + NUMBERS[:, None]), ASKED_HOT)


def test_nan_in_multi_hot_labels_is_refused_and_can_be_no_label(tmp_path: Path) -> None:
    labels = HOT.astype(np.float32)
    labels[0, 1] = np.nan
    fails(tmp_path, "holds 0, 1 and nan; .*labels=above:0.5", labels, ASKED_HOT)
    data = load(tmp_path, labels, ASKED_HOT, labels="above:0.5")
    assert data.train.labels is not None
    assert data.train.labels.tolist() == HOT.tolist()


def test_scores_of_one_class_ask_for_a_bound(tmp_path: Path) -> None:
    fails(tmp_path, "holds 0.25.* labels=above:0.5", NUMBERS / 4, ASKED / 4)


def test_matrix_and_column_do_not_go_together(tmp_path: Path) -> None:
    fails(tmp_path, "has 1 label columns; expected 3", HOT, ASKED % 2)


@pytest.mark.parametrize("how", ["onehot", "above", "above:x", "above:X"])
def test_an_unknown_way_to_read_labels_is_refused(tmp_path: Path, how: str) -> None:
    with pytest.raises(ParameterError, match=r"labels=.*Try labels="):
        load(tmp_path, HOT, ASKED_HOT, labels=how)


def test_the_option_works_for_the_bundle_of_a_named_dataset(tmp_path: Path) -> None:
    home = tmp_path / "mirflickr25k"
    home.mkdir()
    soft = np.eye(24)[np.arange(40) % 24] * 0.8 + 0.1
    variables = {"XAll": np.random.default_rng(0).random((40, 6)), "YAll": np.eye(40, 9), "LAll": soft}
    scipy.io.savemat(home / "a.mat", variables)
    with pytest.raises(BenchError, match=r"labels=above:0\.5"):
        Mirflickr25k(queries=5).load(tmp_path)
    assert len(Mirflickr25k(queries=5, labels="above:0.5").load(tmp_path).query) == 5
