"""The split as the field gives it: every name and form of the queries, and what is not understood."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from bench.api import Dataset
from bench.contract.validate import validate_dataset
from bench.datasets.files import Files
from bench.errors import DataError

Array = np.ndarray[Any, Any]
N = 30
QUERIES = [3, 1, 7]


def arrays(n: int = N, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.random((n, 5)),
        "text": rng.random((n, 4)),
        "labels": np.eye(3, dtype=np.uint8)[rng.integers(3, size=n)],
    }


def all_named() -> dict[str, Array]:
    return dict(zip(("XAll", "YAll", "LAll"), arrays().values(), strict=True))


def load(path: Path, **options: Any) -> Dataset:
    data = Files(path=str(path), **({"queries": 4} | options)).load(Path("/nowhere"))
    validate_dataset(data)
    return data


def npz(path: Path, **variables: Any) -> Path:
    np.savez(path / "a.npz", **variables)
    return path / "a.npz"


def fails(path: Path, match: str, **options: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["indexTest", "indexQuery", "ind_test", "testIdx"])
@pytest.mark.parametrize("form", ["v5", "v7.3"])
def test_a_field_of_a_struct_gives_the_queries_alike_in_every_version(
    tmp_path: Path, field: str, form: str
) -> None:
    path = tmp_path / "a.mat"
    numbers = np.array([QUERIES]) + 1.0
    if form == "v5":
        scipy.io.savemat(path, all_named() | {"param": {field: numbers}})
    else:
        with h5py.File(path, "w") as file:
            for name, value in (all_named() | {f"param/{field}": numbers}).items():
                file[name] = value.T
    assert load(path).query.ids.tolist() == QUERIES


@pytest.mark.parametrize("query", ["idx_test", "test_index", "idx_query", "queryIdx", "test", "test_ids"])
@pytest.mark.parametrize("rest", ["", "idx_ret", "database_index", "idx_train", "indexDatabase"])
def test_an_index_is_known_by_the_words_of_its_name(tmp_path: Path, query: str, rest: str) -> None:
    for name, value in (arrays() | {query: np.array(QUERIES)}).items():
        np.save(tmp_path / f"{name}.npy", value)
    if rest:
        np.save(tmp_path / f"{rest}.npy", np.array([0, 2, 9]))
    data = load(tmp_path)
    assert data.query.ids.tolist() == QUERIES
    assert len(data.train) == (3 if rest else N - len(QUERIES))


@pytest.mark.parametrize("query", ["te", "test", "qu", "query"])
@pytest.mark.parametrize("stream", ["tr", "db", "train", "ret"])
def test_query_arrays_are_known_beside_a_stream(tmp_path: Path, query: str, stream: str) -> None:
    parts = {stream: arrays(), query: arrays(6, seed=1)}
    letters = {f"{role[0].upper()}_{part}": a for part, own in parts.items() for role, a in own.items()}
    data = load(npz(tmp_path, **letters))
    np.testing.assert_array_equal(data.query.image.features, letters[f"I_{query}"].astype(np.float32))
    assert len(data.train) == N


@pytest.mark.parametrize("kind", ["bool", "0 and 1", "logical of MATLAB"])
def test_a_mask_gives_the_rows_where_it_is_true(tmp_path: Path, kind: str) -> None:
    mask = np.isin(np.arange(N), QUERIES)
    if kind == "logical of MATLAB":
        path = tmp_path / "a.mat"
        scipy.io.savemat(path, arrays() | {"test_mask": mask[None]})
    else:
        path = npz(tmp_path, **arrays(), test_mask=mask if kind == "bool" else mask.astype(int))
    assert load(path).query.ids.tolist() == sorted(QUERIES)


def test_a_mask_of_another_length_is_called_a_mask(tmp_path: Path) -> None:
    fails(npz(tmp_path, **arrays(), query_index=np.ones(9, bool)), "is a boolean mask of 9 rows; expected 30")


def test_a_zero_in_a_matlab_index_means_that_it_counts_from_zero(tmp_path: Path) -> None:
    index = {"query_index": np.array([[3, 1]]), "database_index": np.array([[0, 2]])}
    scipy.io.savemat(tmp_path / "a.mat", arrays() | index)
    data = load(tmp_path / "a.mat")
    assert (data.query.ids.tolist(), data.train.ids.tolist()) == ([3, 1], [0, 2])


def test_a_column_with_the_part_of_each_item_gives_the_split(tmp_path: Path) -> None:
    parts = np.array(["train"] * (N - 8) + ["val"] * 3 + ["test"] * 5)
    data = load(npz(tmp_path, **arrays(), split=parts))
    assert (len(data.train), len(data.query)) == (N - 8, 5)
    assert "queries: 5 rows by split; train: 22; left out: 3 rows of val" in data.notes


def test_a_list_of_names_gives_the_queries(tmp_path: Path) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    (tmp_path / "names.txt").write_text("".join(f"photos/im{i}.jpg\n" for i in range(N)))
    (tmp_path / "test_list.txt").write_text("".join(f"im{i}.jpg\n" for i in QUERIES))
    assert load(tmp_path).query.ids.tolist() == QUERIES


def test_the_owners_lists_beside_features_give_the_split(tmp_path: Path) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    for name, rows in {"": range(N), "Test": QUERIES, "Train": range(10, N)}.items():
        (tmp_path / f"{name}Imagelist.txt").write_text("".join(f"actor\\{i}.jpg\r\n" for i in rows))
    data = load(tmp_path)
    assert (data.query.ids.tolist(), data.train.ids.tolist()) == (QUERIES, list(range(10, N)))


def test_a_list_of_unknown_names_is_refused(tmp_path: Path) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    (tmp_path / "test_list.txt").write_text("a.jpg\nb.jpg\n")
    fails(tmp_path, r"test_list: lists names \(first: 'a.jpg'\).*Put names.txt beside it")


@pytest.mark.parametrize(("split", "first"), [("first", 0), ("last", N - 4)])
def test_an_option_makes_the_first_or_last_rows_the_queries(tmp_path: Path, split: str, first: int) -> None:
    data = load(npz(tmp_path, **arrays()), split=split)
    assert data.query.ids.tolist() == list(range(first, first + 4))
    assert f"queries: the {split} 4 of 30 rows, by split={split}" in data.notes


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"query_stuff": np.ones((6, 5))}, r"query_stuff \(6×5\), which may define the queries"),
        ({"image_val": np.ones((6, 5))}, r"image_val \(6×5\), which may define the queries"),
        ({"folds": np.arange(N) % 5}, "folds: says '0'; expected train, test"),
        ({"idx_train": np.arange(20)}, "idx_train of a.npz .* but no query_index"),
        ({"image_test": np.ones((6, 5))}, r"query_image \(image_test\) without query_text"),
        ({"unseen_idx": np.arange(6)}, r"unseen_idx \(6\).*mapping=query_index:unseen_idx, or"),
        ({"holdout": np.arange(N) < 6}, r"holdout \(30\), which may .* Save them as query_index\.npy"),
        ({"n_query": 6}, r"has n_query, which may .* write split=last,queries=6, or"),
        ({"numTrain": [[26.0]]}, r"numTrain \(1×1\).* write split=last,queries=4, or"),
        ({"test_start": 26}, r"has test_start, which may .* write split=last,queries=4, or"),
        ({"masks": np.ones((N, 3), bool)}, r"masks \(30×3\), which may define the queries"),
        ({"set_id": np.arange(N) % 2 * 2 + 1}, r"set_id \(30\), which may define the queries"),
        ({"part": np.array(["train", "test"] * 15)}, r"Map it, mapping=split:part, or"),
        ({"R": np.arange(N)[::-1]}, r"R \(30\), which may define .* Save them as query_index\.npy"),
        (
            {"val_img": np.ones((6, 5)), "val_txt": np.ones((6, 4)), "val_lab": np.ones((6, 3))},
            "mapping=query_image:val_img;query_text:val_txt;query_labels:val_lab, or",
        ),
        ({"test_idx": np.ones((2, 3), int)}, r"test_idx: has shape \(2, 3\); expected one list of rows"),
    ],
)
def test_what_may_be_a_split_and_is_not_understood_stops_the_run(
    tmp_path: Path, extra: dict[str, Array], says: str
) -> None:
    path = npz(tmp_path, **arrays(), **extra)
    fails(path, says)
    assert len(load(path, split="random").query) == 4


@pytest.mark.parametrize("name", ["test_idx.json", "split.yaml", "my_test_split.pkl"])
def test_a_file_that_may_define_the_queries_and_is_never_opened_stops_the_run(
    tmp_path: Path, name: str
) -> None:
    for role, array in arrays().items():
        np.save(tmp_path / f"{role}.npy", array)
    (tmp_path / "settings.json").write_text("{}")
    load(tmp_path)
    (tmp_path / name).write_text("[3, 1, 7]")
    fails(tmp_path, f"{name.partition('.')[0]}.*may define the queries")
    np.save(tmp_path / "query_index.npy", QUERIES)
    assert load(tmp_path).query.ids.tolist() == QUERIES


@pytest.mark.parametrize("prefix", ["mir_", "coco-", "NUS_", "exp."])
@pytest.mark.parametrize(
    "names", ["img txt label", "image_300d text_20d L", "Xv Xt Y", "visual textual anno"]
)
def test_names_may_begin_with_that_of_a_dataset(tmp_path: Path, prefix: str, names: str) -> None:
    parts = {"train": arrays(), "query": arrays(6, seed=1)}
    named = {f"{prefix}{name}_{part}": array for part, own in parts.items()
             for name, array in zip(names.split(), own.values(), strict=True)}  # fmt: skip
    assert len(load(npz(tmp_path, **named)).query) == 6


def test_a_y_is_labels_beside_texts_of_a_longer_name(tmp_path: Path) -> None:
    parts = {"train": arrays(), "test": arrays(6, seed=1)}
    named = {f"{name}_{part}": array for part, own in parts.items()
             for name, array in zip(("X_img", "X_txt", "y"), own.values(), strict=True)}  # fmt: skip
    np.testing.assert_array_equal(load(npz(tmp_path, **named)).query.labels, named["y_test"])


@pytest.mark.parametrize("name", ["class_counts", "word_index", "bits", "nbits", "ids"])
def test_other_vectors_do_not_stop_the_run(tmp_path: Path, name: str) -> None:
    assert len(load(npz(tmp_path, **arrays(), **{name: np.array([4, 5, 9])})).query) == 4
    load(npz(tmp_path, **arrays(), item_numbers=np.arange(N)))


def test_a_row_in_both_indexes_is_refused_by_name_and_number(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, all_named() | {"indexTest": [[4.0, 2.0]], "indexTrain": [np.arange(2.0, 31.0)]})
    fails(path, r"indexTrain: has 2 rows of indexTest too \(first: row 2\).*np\.setdiff1d")


def test_equal_indexes_are_refused_with_a_split_that_works(tmp_path: Path) -> None:
    path = npz(tmp_path, **arrays(), query_index=np.arange(N), database_index=np.arange(N))
    fails(path, r"has the same 30 rows as query_index.*split=random,queries=3\.")
    assert len(load(path, split="random", queries=3).query) == 3


@pytest.mark.parametrize("ids", [np.arange(N)[::-1], np.arange(N) * 7 + 1000], ids=["small", "large"])
def test_ids_of_queries_are_looked_up_among_the_ids_of_all_items(tmp_path: Path, ids: Array) -> None:
    path = npz(tmp_path, **arrays(), image_ids=ids, test_ids=ids[QUERIES])
    assert load(path).query.ids.tolist() == QUERIES


@pytest.mark.parametrize("head", [",0", ",index", "index", ""], ids=["series", "frame", "column", "none"])
def test_an_index_that_pandas_wrote_gives_the_queries(tmp_path: Path, head: str) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    lines = [f"{n},{row}" if "," in head else str(row) for n, row in enumerate(QUERIES)]
    (tmp_path / "query_idx.csv").write_text("\n".join(filter(None, [head, *lines])))
    assert load(tmp_path).query.ids.tolist() == QUERIES


@pytest.mark.parametrize("item", ["{}", "im{}.jpg"])
def test_a_table_of_the_split_in_another_order_than_the_items_is_refused(tmp_path: Path, item: str) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    (tmp_path / "names.txt").write_text("".join(f"im{n}.png\n" for n in range(N)))
    rows = [f"{item.format(n)},{'test' if n in QUERIES else 'train'}\n" for n in range(N)]
    (tmp_path / "split.csv").write_text("image,split\n" + "".join(rows))
    assert load(tmp_path).query.ids.tolist() == sorted(QUERIES)
    (tmp_path / "split.csv").write_text("image,split\n" + "".join(rows[::-1]))
    fails(tmp_path, "split.csv: (lists the items in another order than names.txt|numbers its rows 29, 28)")


def test_names_in_a_list_may_lack_their_suffixes(tmp_path: Path) -> None:
    for name, value in arrays().items():
        np.save(tmp_path / f"{name}.npy", value)
    (tmp_path / "names.txt").write_text("".join(f"photos/im{n}.jpg\n" for n in range(N)))
    (tmp_path / "testset.txt").write_text("".join(f"im{n}\n" for n in QUERIES))
    assert load(tmp_path).query.ids.tolist() == QUERIES


def test_a_repeated_row_is_refused_with_the_fix(tmp_path: Path) -> None:
    fails(npz(tmp_path, **arrays(), query_index=[3, 1, 3]), r"repeats 1 of 3 rows.*np\.unique")


@pytest.mark.parametrize("labels", [" 0 1 0", " 2", ""], ids=["multi-hot", "class number", "path alone"])
def test_a_list_of_paths_gives_the_queries_whatever_follows_the_path(tmp_path: Path, labels: str) -> None:
    for role, array in arrays().items():
        np.save(tmp_path / f"{role}.npy", array)
    (tmp_path / "names.txt").write_text("".join(f"pictures/im{n}.jpg\n" for n in range(N)))
    for part, rows in (("test", QUERIES), ("database", [0, 2, 4])):
        (tmp_path / f"{part}.txt").write_text("".join(f"im{n}.jpg{labels}\n" for n in rows))
    data = load(tmp_path)
    assert (data.query.ids.tolist(), data.train.ids.tolist()) == (QUERIES, [0, 2, 4])


def test_a_list_as_python_prints_it_gives_the_queries(tmp_path: Path) -> None:
    for role, array in arrays().items():
        np.save(tmp_path / f"{role}.npy", array)
    (tmp_path / "test_idx.txt").write_text(str(QUERIES))
    assert load(tmp_path).query.ids.tolist() == QUERIES


def test_digits_as_text_give_the_queries(tmp_path: Path) -> None:
    path = npz(tmp_path, **arrays(), query_index=np.array(QUERIES).astype(str))
    assert load(path).query.ids.tolist() == QUERIES


def test_the_sets_of_matconvnet_give_the_queries(tmp_path: Path) -> None:
    parts = np.ones((1, N))
    parts[0, QUERIES], parts[0, 5] = 3, 2
    image, text, labels = arrays().values()
    images = {"data": image, "labels": labels, "set": parts}
    scipy.io.savemat(tmp_path / "a.mat", {"imdb": {"images": images, "tags": text}})
    data = load(tmp_path / "a.mat")
    assert data.query.ids.tolist() == sorted(QUERIES)
    assert len(data.train) == N - 4


def test_a_random_split_is_noted_for_the_records(tmp_path: Path) -> None:
    notes = load(npz(tmp_path, **arrays())).notes
    assert "queries drawn at random: 4 of 30 rows, seed 0; the data define none" in notes


def test_a_run_on_a_random_split_says_so_below_its_table(
    tmp_path: Path, python: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    npz(tmp_path, **arrays(200))
    words = ["run", "--datasets", "files[path=a.npz,queries=20]", "--methods", "random_projection"]
    words += ["--bits", "8", "--seeds", "1", "--schedule", "shuffled:90", "--results", "runs"]
    shown = python(f"from bench.cli import main; main({words!r})")
    assert "queries drawn at random: 20" in " ".join(shown.split())


@pytest.mark.parametrize("name", ["anno", "concept", "labels_multi", "class_labels", "semantic_labels"])
def test_labels_are_known_by_the_words_of_published_code(tmp_path: Path, name: str) -> None:
    image, text, labels = arrays().values()
    assert load(npz(tmp_path, image=image, BoW=text, **{name: labels})).train.labels is not None


@pytest.mark.parametrize("name", ["image_embeds", "image_fea_4096", "img_feature_vgg"])
def test_image_features_are_known_by_the_words_of_published_code(tmp_path: Path, name: str) -> None:
    image, text, labels = arrays().values()
    data = load(npz(tmp_path, text_embeds=text, labels=labels, **{name: image}))
    assert data.train.image.features.shape[1] == 5
