"""Bring your own data: every layout, every kind of labels, and every mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from bench.api import Dataset
from bench.contract.validate import validate_dataset
from bench.datasets import _reading
from bench.datasets.files import Files
from bench.errors import DataError, ParameterError

Array = np.ndarray[Any, Any]


def arrays(n: int, *, seed: int = 0) -> tuple[Array, Array, Array]:
    """Image (n, 5), text (n, 4) and labels (n, 3) with at least one label each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < 0.4).astype(np.float64)
    labels[np.arange(n), rng.integers(3, size=n)] = 1
    return rng.random((n, 5)), rng.random((n, 4)), labels


def named(suffix: str, n: int, *, seed: int) -> dict[str, Any]:
    return dict(zip((f"I_{suffix}", f"T_{suffix}", f"L_{suffix}"), arrays(n, seed=seed), strict=True))


def bundle() -> dict[str, Any]:
    return named("tr", 30, seed=1) | named("te", 8, seed=2)


def write_v73(path: Path, variables: dict[str, Any]) -> None:
    """A file as MATLAB's save -v7.3 makes it: 512 bytes of text, then HDF5 with columns first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if scipy.sparse.issparse(value):
                group = file.create_group(name)
                group.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
                csc = value.tocsc()
                group["data"], group["ir"], group["jc"] = csc.data, csc.indices, csc.indptr
            else:
                file[name] = np.asarray(value).T
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))


def load(path: Path, **options: Any) -> Dataset:
    data = Files(path=str(path), **options).load(Path("/nowhere"))
    validate_dataset(data)
    return data


def fails(path: Path, match: str, **options: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def labels_of(data: Dataset, part: str = "train") -> Array:
    labels: Array = getattr(data, part).labels
    return labels


@pytest.mark.parametrize("form", ["v5", "v5 compressed", "v7.3", "npz", "npy folder"])
def test_every_file_form_gives_the_same_arrays(tmp_path: Path, form: str) -> None:
    variables = bundle()
    path = tmp_path / ("data.npz" if form == "npz" else "data" if form == "npy folder" else "data.mat")
    if form == "v7.3":
        write_v73(path, variables)
    elif form == "npz":
        np.savez_compressed(path, **variables)
    elif form == "npy folder":
        path.mkdir()
        for name, value in variables.items():
            np.save(path / f"{name}.npy", value)
    else:
        scipy.io.savemat(path, variables, do_compression=form.endswith("compressed"))
    data = load(path)
    np.testing.assert_array_equal(data.train.image.features, variables["I_tr"].astype(np.float32))
    np.testing.assert_array_equal(data.query.text.features, variables["T_te"].astype(np.float32))
    np.testing.assert_array_equal(labels_of(data, "query"), variables["L_te"])


@pytest.mark.parametrize("form", ["v5", "v7.3"])
def test_sparse_matlab_matrices_become_dense(tmp_path: Path, form: str) -> None:
    dense = (arrays(30)[1] > 0.7) * 2.0
    variables: dict[str, Any] = bundle() | {"T_tr": scipy.sparse.csc_matrix(dense)}
    if form == "v5":
        scipy.io.savemat(tmp_path / "data.mat", variables)
    else:
        write_v73(tmp_path / "data.mat", variables)
    np.testing.assert_array_equal(load(tmp_path / "data.mat").train.text.features, dense)


def test_a_database_in_the_bundle_becomes_the_stream(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **bundle(), **named("db", 50, seed=3))
    data = load(tmp_path / "data.npz")
    assert len(data.train) == 50
    assert any("not read: I_tr" in note for note in data.notes)


def test_the_notes_show_the_mapping(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "data.mat", bundle())
    assert "image ← I_tr of data.mat (30 × 5)" in load(tmp_path / "data.mat").notes


def test_the_mapping_can_be_overridden(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "data.mat", bundle() | {"V_tr": np.ones((30, 7)), "V_te": np.ones((8, 7))})
    data = load(tmp_path / "data.mat", mapping="image:V_tr; query_image:V_te")
    assert data.train.image.features.shape == (30, 7)


def test_a_matrix_with_items_in_columns_can_be_mapped_transposed(tmp_path: Path) -> None:
    variables = bundle()
    scipy.io.savemat(tmp_path / "data.mat", variables | {"I_tr": variables["I_tr"].T})
    fails(
        tmp_path / "data.mat", r"variable I_tr: has shape \(5, 30\); expected 30 rows.* mapping=image:I_tr\.T"
    )
    data = load(tmp_path / "data.mat", mapping="image:I_tr.T")
    np.testing.assert_array_equal(data.train.image.features, variables["I_tr"].astype(np.float32))


def test_a_bundle_without_queries_is_split_at_random_by_seed(tmp_path: Path) -> None:
    variables: dict[str, Any] = dict(zip(("XAll", "YAll", "LAll"), arrays(40), strict=True))
    np.savez(tmp_path / "data.npz", **variables)
    one, same, other = (load(tmp_path / "data.npz", queries=6, seed=s) for s in (0, 0, 1))
    assert (len(one.train), len(one.query)) == (34, 6)
    np.testing.assert_array_equal(one.query.ids, same.query.ids)
    assert set(one.query.ids) != set(other.query.ids)
    assert set(one.query.ids).isdisjoint(one.train.ids)
    np.testing.assert_array_equal(one.query.image.features, arrays(40)[0][one.query.ids].astype(np.float32))


def plain(n: int = 20, **more: Array) -> dict[str, Any]:
    return dict(zip(("image", "text", "labels"), arrays(n), strict=True)) | more


def test_index_variables_select_queries_and_database(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(query_index=np.array([3, 1]), retrieval_index=np.array([7, 5, 9])))
    data = load(tmp_path / "a.npz")
    assert (data.query.ids.tolist(), data.train.ids.tolist()) == ([3, 1], [7, 5, 9])
    np.testing.assert_array_equal(labels_of(data, "query"), plain()["labels"][[3, 1]])


def test_without_a_database_index_the_rest_is_the_database(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(query_index=np.array([3, 1])))
    assert load(tmp_path / "a.npz").train.ids.tolist() == [i for i in range(20) if i not in (1, 3)]


def test_an_index_of_a_matlab_file_counts_from_one(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", plain(query_index=np.array([[1, 20]])))
    assert load(tmp_path / "a.mat").query.ids.tolist() == [0, 19]


def test_an_index_out_of_range_names_its_bounds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(query_index=np.array([3, 20])))
    fails(
        tmp_path / "a.npz", "variable query_index: runs from 3 to 20; expected whole row numbers from 0 to 19"
    )


def test_clip_views_are_read_from_a_folder(tmp_path: Path) -> None:
    for name, value in plain(image_clip=np.ones((20, 6)), text_clip=np.zeros((20, 6))).items():
        np.save(tmp_path / f"{name}.npy", value)
    np.save(tmp_path / "query_index.npy", np.arange(4))
    data = load(tmp_path)
    assert data.train.image.views["clip"].shape == (16, 6)
    assert data.query.text.views["clip"].shape == (4, 6)


def test_any_other_view_can_be_mapped(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(query_index=np.arange(3), deep=np.ones((20, 9))))
    assert load(tmp_path / "a.npz", mapping="image_vgg:deep").train.image.views["vgg"].shape == (17, 9)


def test_text_as_csr_parts_is_as_wide_as_its_vocabulary(tmp_path: Path) -> None:
    variables = plain(3, query_index=np.array([0]))
    del variables["text"]
    variables |= {"text_indptr": np.array([0, 2, 2, 3]), "text_indices": np.array([1, 3, 0], np.int16)}
    np.savez(tmp_path / "a.npz", **variables, text_vocab=np.array(list("abcde")))
    data = load(tmp_path / "a.npz")
    assert data.query.text.features.tolist() == [[0, 1, 0, 1, 0]]
    assert data.train.text.features.tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_inconsistent_csr_parts_are_refused(tmp_path: Path) -> None:
    variables = plain(3, text_indptr=np.array([0, 2, 2, 9]), text_indices=np.array([1, 3, 0]))
    del variables["text"]
    np.savez(tmp_path / "a.npz", **variables)
    fails(tmp_path / "a.npz", "text_indptr must rise from 0 to the 3 entries of text_indices", queries=1)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
def test_one_column_or_row_or_vector_is_class_numbers(tmp_path: Path, shape: tuple[int, ...]) -> None:
    numbers = np.tile([4, 2, 9, 2], 5)
    np.savez(tmp_path / "a.npz", **plain() | {"labels": numbers.reshape(shape), "query_index": np.arange(4)})
    data = load(tmp_path / "a.npz")
    assert data.classes == ("2", "4", "9")
    assert labels_of(data, "query").tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_class_numbers_of_query_and_train_share_their_columns(tmp_path: Path) -> None:
    variables = bundle() | {"L_tr": np.tile([1, 3], 15), "L_te": np.tile([2, 3], 4)}
    np.savez(tmp_path / "a.npz", **variables)
    data = load(tmp_path / "a.npz")
    assert data.classes == ("1", "2", "3")
    assert labels_of(data, "query")[0].tolist() == [0, 1, 0]


def test_an_option_decides_how_labels_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain() | {"labels": np.ones((20, 1)), "query_index": np.arange(4)})
    assert load(tmp_path / "a.npz", labels="multi-hot").classes == ()


def test_labels_other_than_zero_and_one_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain() | {"labels": np.full((20, 3), 2)})
    fails(
        tmp_path / "a.npz",
        r"a\.npz, variable labels: shape \(20, 3\) holds 2; expected labels of 0 and 1",
        queries=3,
    )


def test_label_columns_can_be_chosen_by_the_beginning_of_their_name(tmp_path: Path) -> None:
    names = np.array(["colour=red", "kind=shoe", "kind=bag"])
    labels = np.tile([[1, 1, 0], [0, 0, 1]], (10, 1))
    np.savez(
        tmp_path / "a.npz", **plain() | {"labels": labels, "labels_names": names, "query_index": np.arange(2)}
    )
    data = load(tmp_path / "a.npz", label_prefix="kind")
    assert data.classes == ("kind=shoe", "kind=bag")
    assert labels_of(data, "query").tolist() == [[1, 0], [0, 1]]


def test_a_prefix_that_matches_no_column_is_refused_with_the_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(labels_names=np.array(["a", "b", "c"])))
    fails(
        tmp_path / "a.npz",
        "label_prefix='kind' matches no column .* names are a, b, c",
        label_prefix="kind",
        queries=3,
    )


def unlabelled(tmp_path: Path) -> Path:
    labels = arrays(20)[2]
    labels[[1, 10, 11]] = 0
    np.savez(tmp_path / "a.npz", **plain() | {"labels": labels, "query_index": np.arange(4)})
    return tmp_path / "a.npz"


def test_items_without_a_label_are_an_error_by_default(tmp_path: Path) -> None:
    fails(unlabelled(tmp_path), r"2 of 16 train rows of labels .* \(first: row 10\).*unlabelled=drop")


def test_items_without_a_label_can_be_dropped(tmp_path: Path) -> None:
    data = load(unlabelled(tmp_path), unlabelled="drop")
    assert data.query.ids.tolist() == [0, 2, 3]
    assert len(data.train) == len(data.train.image) == 14
    assert "dropped 2 unlabelled train items" in data.notes


def test_items_without_a_label_can_be_kept_in_train_but_never_as_queries(tmp_path: Path) -> None:
    data = load(unlabelled(tmp_path), unlabelled="keep")
    assert (len(data.train), len(data.query)) == (16, 3)


def test_a_missing_modality_is_named_with_what_was_found(tmp_path: Path) -> None:
    _, text, labels = arrays(10)
    scipy.io.savemat(tmp_path / "a.mat", {"YAll": text, "LAll": labels})
    fails(
        tmp_path / "a.mat",
        r"no variable for image \(such as .*\); found LAll 10×3, YAll 10×4; .*=image:VARIABLE",
    )


def test_mismatched_rows_name_file_variable_and_both_counts(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", bundle() | {"T_tr": np.zeros((29, 4))})
    fails(tmp_path / "a.mat", r"a\.mat, variable T_tr: has shape \(29, 4\); expected 30 rows, as I_tr has")


def test_queries_of_another_width_are_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", bundle() | {"T_te": np.zeros((8, 3))})
    fails(tmp_path / "a.mat", r"variable T_te: has shape \(8, 3\); expected 4 columns, as T_tr has")


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (1e300, "inf")])
def test_a_number_that_is_not_finite_is_located(tmp_path: Path, value: float, shown: str) -> None:
    variables = bundle()
    variables["I_te"][3, 2] = value
    scipy.io.savemat(tmp_path / "a.mat", variables)
    fails(tmp_path / "a.mat", f"variable I_te: row 3, column 2 is {shown}")


def test_raw_images_are_refused_as_features(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain() | {"image": np.zeros((20, 8, 8, 3))})
    fails(tmp_path / "a.npz", r"variable image: has shape \(20, 8, 8, 3\); expected 2-d features", queries=3)


def test_python_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain() | {"image": np.array([[{}, {}]] * 20, dtype=object)})
    fails(tmp_path / "a.npz", "variable image: is an array of Python objects", queries=3)


@pytest.mark.parametrize("form", ["v5", "v5 compressed", "v7.3", "npz", "npy"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 0.98])
def test_a_truncated_file_is_an_error_of_one_line(tmp_path: Path, form: str, part: float) -> None:
    big: dict[str, Any] = {n: np.tile(a, (20, 1)) for n, a in bundle().items()}
    path = tmp_path / {"npz": "a.npz", "npy": "I_tr.npy"}.get(form, "a.mat")
    if form == "v7.3":
        write_v73(path, big)
    elif form == "npz":
        np.savez(path, **big)
    elif form == "npy":
        for name, value in big.items():
            np.save(tmp_path / f"{name}.npy", value)
    else:
        scipy.io.savemat(path, big, do_compression=form.endswith("compressed"))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    fails(tmp_path if form == "npy" else path, rf"{path.name}.*truncated")


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    fails(tmp_path / "none.mat", r"none\.mat: no such file or folder")


def test_an_empty_path_is_refused_with_an_example() -> None:
    with pytest.raises(DataError, match=r"Write files\[path="):
        Files().load(Path())


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    fails(tmp_path, "no data files")


def test_an_unknown_role_in_the_mapping_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain())
    with pytest.raises(ParameterError, match="mapping entry 'picture:image' is not ROLE:VARIABLE"):
        load(tmp_path / "a.npz", mapping="picture:image")


def test_an_unknown_mapped_variable_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain())
    fails(
        tmp_path / "a.npz",
        "no variable 'Image' for the mapping's image; found image 20×5",
        mapping="image:Image",
    )


def test_more_queries_than_rows_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain())
    fails(tmp_path / "a.npz", "queries=2000 of the 20 rows")


def test_only_the_files_that_are_read_are_listed(tmp_path: Path) -> None:
    for name, value in plain().items():
        np.save(tmp_path / f"{name}.npy", value)
    np.save(tmp_path / "other.npy", np.zeros(3))
    found = Files(path=tmp_path.name).files(tmp_path.parent)
    assert [p.name for p in found] == ["image.npy", "labels.npy", "text.npy"]


def test_a_name_in_two_files_of_a_folder_needs_its_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **plain(query_index=np.arange(2)))
    np.savez(tmp_path / "b.npz", image=np.ones((20, 9)))
    fails(tmp_path, "no variable for image .*a.npz/image 20×5.*b.npz/image 20×9")
    assert load(tmp_path, mapping="image:b.npz/image").train.image.features.shape == (18, 9)


def test_shapes_come_from_headers_alone(tmp_path: Path) -> None:
    write_v73(tmp_path / "a.mat", {"I_tr": np.zeros((6, 2)), "T_tr": scipy.sparse.csc_matrix(np.eye(6, 3))})
    assert {n: v.shape for n, v in _reading.variables(tmp_path / "a.mat").items()} == {
        "I_tr": (6, 2),
        "T_tr": (6, 3),
    }


def test_the_wiki_bundle_loads_as_the_dataset_wiki_does(real: Callable[[str], Path]) -> None:
    from bench.datasets.wiki import Wiki

    root = real("wiki/wikiData.mat").parents[1]
    ours, wiki = Files(path="wiki/wikiData.mat").load(root), Wiki().load(root)
    np.testing.assert_array_equal(ours.train.text.features, wiki.train.text.features)
    np.testing.assert_array_equal(labels_of(ours, "query"), labels_of(wiki, "query"))


def test_the_fashion_features_load_with_the_subcategories_as_labels(real: Callable[[str], Path]) -> None:
    features = real("fashion/features.npz")
    source = Files(
        path=str(features),
        mapping="image:image_pca256;labels:multilabel",
        label_prefix="subCategory",
        unlabelled="drop",
    )
    data = source.load(Path())
    validate_dataset(data)
    assert len(data.classes) == 22
    assert (data.train.image.features.shape[1], data.train.text.features.shape[1]) == (256, 616)
    assert labels_of(data).sum(axis=1).max() == 1
    assert len(data.train) + len(data.query) + 557 == 24_000
    with np.load(features, allow_pickle=False) as stored:
        item = int(data.query.ids[10])
        words = stored["text_indices"][slice(*stored["text_indptr"][item : item + 2])]
    assert np.flatnonzero(data.query.text.features[10]).tolist() == sorted(set(words.tolist()))


def test_mirflickr_tags_and_labels_without_images_are_refused(real: Callable[[str], Path]) -> None:
    folder = real("mirflickr25k-tags-labels")
    with pytest.raises(
        DataError,
        match=r"no variable for image \(such as I_tr, XAll or image\); found LAll 20015×24, YAll 20015×1386",
    ):
        Files(path=str(folder)).load(Path())


def test_rows_chosen_of_a_mapped_file_are_not_held_in_memory(tmp_path: Path) -> None:
    image, text, labels = (x.astype(np.float32) for x in arrays(30))
    for name, array in {"image": image, "text": text, "labels": labels}.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "query_index.npy", np.arange(0, 30, 5))
    train = load(tmp_path).train
    assert isinstance(train.image.features, np.memmap)
    np.testing.assert_array_equal(train.image.features, np.delete(image, np.arange(0, 30, 5), axis=0))


def test_paths_and_captions_are_sent_to_a_dataset_with_a_name(tmp_path: Path) -> None:
    for name in ("index", "caption"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} {n}.jpg\n" for n in range(9)))
    np.save(tmp_path / "label.npy", np.arange(9) % 3)
    with pytest.raises(DataError, match=r"holds paths and captions of pictures.*bench data prepare"):
        Files(path=str(tmp_path)).load(tmp_path)
