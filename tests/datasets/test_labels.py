"""How the values of labels are read: as meant, or refused with the option that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
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
    fails(tmp_path, "has 1 label columns; expected 3", HOT, ASKED % 2, labels="multi-hot")


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


NAMES = np.array([f"class {n}" for n in NUMBERS])
ASKED_NAMES = np.array([f"class {n}" for n in ASKED])


@pytest.mark.parametrize(
    "change",
    [lambda x: x, lambda x: x[:, None], lambda x: x.astype("S")],
    ids=["a vector", "a column", "bytes"],
)
def test_names_of_classes_are_read_as_a_column_each(tmp_path: Path, change: Any) -> None:
    data = load(tmp_path, change(NAMES), change(ASKED_NAMES))
    assert data.classes == ("class 0", "class 1", "class 2")
    assert data.train.labels is not None and data.query.labels is not None
    assert data.train.labels.tolist() == HOT.tolist()
    assert data.query.labels.tolist() == ASKED_HOT.tolist()


def test_a_name_of_several_classes_is_refused_with_the_conversion(tmp_path: Path) -> None:
    pairs = np.where(NUMBERS == 0, "cat;dog", "cat")
    fails(tmp_path, r"'cat;dog', which seems .*str\.get_dummies", pairs, pairs[:QUERY])
    words = np.array(["cat", "dog", "cat dog"])[NUMBERS]
    fails(tmp_path, "'cat dog', which seems to name several", words, words[:QUERY])


def test_names_of_items_are_no_labels(tmp_path: Path) -> None:
    names = np.array([f"{n}.jpg" for n in range(TRAIN)])
    fails(tmp_path, r"L_tr: is text \(first: '0.jpg'\)", names, names[:QUERY])


def test_digits_in_several_columns_are_no_names(tmp_path: Path) -> None:
    fails(tmp_path, r"L_tr: is text .*digits by x\.astype", HOT.astype(str), ASKED_HOT.astype(str))


def ragged_mat(folder: Path) -> Path:
    cells = np.empty((TRAIN, 1), dtype=object)
    for row, number in enumerate(NUMBERS):
        cells[row, 0] = np.array([[number + 1.0, 9.0]] if row % 2 else [[number + 1.0]])
    scipy.io.savemat(folder / "a.mat", {"XAll": np.eye(TRAIN), "YAll": np.eye(TRAIN), "LAll": cells})
    return folder / "a.mat"


def ragged_mat73(folder: Path) -> Path:
    with h5py.File(folder / "a.mat", "w") as file:
        file["XAll"], file["YAll"] = np.eye(TRAIN), np.eye(TRAIN)
        cells = file.create_dataset("LAll", (1, TRAIN), dtype=h5py.ref_dtype)
        for row, number in enumerate(NUMBERS):
            one = [[number + 1.0], [9.0]] if row % 2 else [[number + 1.0]]
            cells[0, row] = file.create_dataset(f"#refs#/{row}", data=one).ref
    return folder / "a.mat"


def ragged_h5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["image"], file["text"] = np.eye(TRAIN), np.eye(TRAIN)
        lists = file.create_dataset("labels", (TRAIN,), dtype=h5py.vlen_dtype(np.int32))
        for row, number in enumerate(NUMBERS):
            lists[row] = [number + 1, 9] if row % 2 else [number + 1]
    return folder / "a.h5"


def ragged_parquet(folder: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    lists = [[int(n) + 1, 9] if row % 2 else [int(n) + 1] for row, n in enumerate(NUMBERS)]
    features = [row.tolist() for row in np.eye(TRAIN)]
    parquet.write_table(
        pa.table({"image": features, "text": features, "labels": lists}), folder / "a.parquet"
    )
    return folder / "a.parquet"


def ragged_txt(folder: Path) -> Path:
    for name in ("image", "text"):
        np.save(folder / f"{name}.npy", np.eye(TRAIN))
    lines = [f"{n + 1},9" if row % 2 else f"{n + 1}" for row, n in enumerate(NUMBERS)]
    (folder / "labels.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("make", [ragged_mat, ragged_mat73, ragged_h5, ragged_parquet, ragged_txt])
def test_lists_of_class_numbers_are_read_from_every_container(tmp_path: Path, make: Any) -> None:
    data = Files(path=str(make(tmp_path)), split="last", queries=QUERY).load(Path("/nowhere"))
    assert data.classes == ("1", "2", "3", "9")
    assert data.train.labels is not None
    expected = [[*row, at % 2] for at, row in enumerate(HOT[: TRAIN - QUERY].tolist())]
    assert data.train.labels.tolist() == expected


def test_a_query_in_another_form_than_train_is_refused_with_the_conversion(tmp_path: Path) -> None:
    fails(tmp_path, r"L_te: holds one class number .*L_tr a column per class.*np\.eye\(3\)", HOT, ASKED)
    fails(tmp_path, r"L_tr: holds one class number .*L_te a column per class", NUMBERS, ASKED_HOT)


def test_two_unusual_values_name_the_bound_that_reads_them(tmp_path: Path) -> None:
    fails(tmp_path, "labels=above:1;", HOT + 1, ASKED_HOT + 1)
    data = load(tmp_path, HOT + 1, ASKED_HOT + 1, labels="above:1")
    assert data.train.labels is not None and data.train.labels.tolist() == HOT.tolist()


def test_a_bound_may_have_an_exponent(tmp_path: Path) -> None:
    data = load(tmp_path, HOT * 1e-3, ASKED_HOT * 1e-3, labels="above:5e-4")
    assert data.train.labels is not None and data.train.labels.tolist() == HOT.tolist()


def test_labels_without_columns_are_empty(tmp_path: Path) -> None:
    fails(tmp_path, "is empty; expected a label per item", HOT[:, :0], ASKED_HOT[:, :0])


def test_a_truncated_table_of_zero_and_one_is_no_list_of_class_numbers(tmp_path: Path) -> None:
    path = ragged_txt(tmp_path)
    rows = [" ".join(map(str, row)) for row in HOT.tolist()]
    (path / "labels.txt").write_text("\n".join([*rows[:-1], rows[-1][:-2]]) + "\n")
    with pytest.raises(DataError, match="not every line has 3 numbers"):
        Files(path=str(path), queries=QUERY).load(Path("/nowhere"))


def test_a_class_whose_name_may_head_a_table_is_no_head(tmp_path: Path) -> None:
    path = ragged_txt(tmp_path)
    (path / "labels.txt").write_text("".join(f"{('cat', 'dog', 'cow')[n]}\n" for n in NUMBERS))
    data = Files(path=str(path), split="last", queries=QUERY).load(Path("/nowhere"))
    assert data.classes == ("cat", "cow", "dog")
    assert len(data.train) == TRAIN - QUERY


@pytest.mark.parametrize("separator", [";", ", ", "|", " ", "/", "+", "_", "-"])
def test_several_names_in_one_are_refused(tmp_path: Path, separator: str) -> None:
    names = np.array([f"sky{separator}sea", "sky", "sea"])
    fails(tmp_path, "seems to name several classes", names[NUMBERS], names[ASKED])


def test_rows_of_class_numbers_are_asked_about_and_read_by_an_option(tmp_path: Path) -> None:
    padded = [np.stack([x, np.where(x, -1, 2)], axis=1) for x in (NUMBERS, ASKED)]
    fails(tmp_path, "each row lists class numbers.*labels=class-number", *padded)
    labels = load(tmp_path, *padded, labels="class-number").query.labels
    assert labels is not None
    assert labels.tolist() == [[[1, 0, 1], [0, 1, 0], [0, 0, 1]][c] for c in ASKED]


def test_words_for_true_and_false_are_multi_hot(tmp_path: Path) -> None:
    labels = load(tmp_path, np.where(HOT, "True", "False"), np.where(ASKED_HOT, "True", "False")).query.labels
    assert labels is not None
    assert labels.tolist() == ASKED_HOT.tolist()


def test_an_empty_line_among_lists_is_an_item_without_a_class(tmp_path: Path) -> None:
    features = {"image": np.eye(TRAIN), "text": np.eye(TRAIN)}
    for name, matrix in features.items():
        np.save(tmp_path / f"{name}.npy", matrix)
    lists = [" ".join(map(str, range(1 + n % 2))) for n in range(TRAIN)]
    (tmp_path / "labels.txt").write_text("\n".join([*lists[:4], "", *lists[5:]]) + "\n")
    data = Files(path=str(tmp_path), split="last", queries=3, unlabelled="keep").load(tmp_path)
    assert data.train.labels is not None
    assert data.train.labels[3:6].tolist() == [[1, 1], [0, 0], [1, 1]]


def test_two_variables_for_labels_are_listed(tmp_path: Path) -> None:
    features = {"image": np.ones((TRAIN, 5)), "text": np.ones((TRAIN, 4))}
    np.savez(tmp_path / "a.npz", **features, label24=HOT, label38=np.hstack([HOT, HOT]))  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match=r"several variables for labels: label24, label38.*mapping=labels:label24"
    ):
        Files(path=str(tmp_path / "a.npz")).load(tmp_path)
