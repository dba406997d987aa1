"""Bundles under the names of their datasets: features, pixels and paths."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from bench.contract.validate import validate_dataset
from bench.datasets import _reading
from bench.datasets._reading import variable as reading_variable
from bench.datasets.files import Files
from bench.datasets.iaprtc12 import Iaprtc12
from bench.datasets.mirflickr25k import Mirflickr25k
from bench.datasets.mscoco import Mscoco
from bench.datasets.nuswide import Nuswide
from bench.datasets.wiki import Wiki
from bench.errors import DataError

Array = np.ndarray[Any, Any]
Write = Callable[..., Path]
N = 12


def arrays(n: int = N, *, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 3)) < 0.4).astype(np.float64)
    labels[np.arange(n), rng.integers(3, size=n)] = 1
    return {"image": rng.random((n, 5)), "text": (rng.random((n, 4)) < 0.5) * 1.0, "labels": labels}


def pixels(n: int = N) -> Array:
    """n pictures (n, height 6, width 8, 3): red is the item's number, green its row, blue its column."""
    stack = np.empty((n, 6, 8, 3), np.uint8)
    stack[..., 0] = np.arange(n)[:, None, None]
    stack[..., 1] = np.arange(6)[None, :, None]
    stack[..., 2] = np.arange(8)[None, None, :]
    return stack


def write_h5(path: Path, variables: dict[str, Array], *, matlab: bool) -> None:
    """As MATLAB's -v7.3 stores variables, or as h5py does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
        for name, value in variables.items():
            file[name] = value.T if matlab else value
    if matlab:
        with path.open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))


def split_bundle() -> dict[str, Array]:
    """As LEMON, OASIS and the ports of BMC store a split."""
    train, test = arrays(seed=1), arrays(5, seed=2)
    return {f"{r[0].upper()}_tr": a for r, a in train.items()} | {
        f"{r[0].upper()}_te": a for r, a in test.items()
    }


@pytest.mark.parametrize("place", ["mirflickr25k/features.mat", "MIRFLICKR.mat", "mirflickr25k_cnn.mat"])
def test_a_split_bundle_is_found_below_the_name_or_beside_it(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    scipy.io.savemat(path, split_bundle())
    data = Mirflickr25k().load(tmp_path)
    validate_dataset(data)
    assert (data.name, len(data.train), len(data.query)) == ("mirflickr25k", N, 5)
    assert Mirflickr25k().files(tmp_path) == [path]


def test_the_notes_name_counts_that_differ_from_the_published_ones(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "mirflickr.mat", split_bundle())
    notes = Mirflickr25k().load(tmp_path).notes
    assert any(note.startswith("pairs: found 17, expected 20015") for note in notes)
    assert any(note.startswith("words: found 4, expected 1386") for note in notes)


@pytest.mark.parametrize("form", [".h5", ".hdf5", ".mat"])
def test_a_bundle_in_hdf5_gives_the_same_arrays(tmp_path: Path, form: str) -> None:
    stored = arrays()
    write_h5(tmp_path / f"nus-wide{form}", stored, matlab=form == ".mat")
    data = Nuswide(queries=3).load(tmp_path)
    validate_dataset(data)
    np.testing.assert_array_equal(
        data.query.image.features, stored["image"].astype(np.float32)[data.query.ids]
    )
    np.testing.assert_array_equal(data.train.labels, stored["labels"][data.train.ids])


def test_a_mat_that_h5py_wrote_is_transposed(tmp_path: Path) -> None:
    names = {"image": "XAll", "text": "YAll", "labels": "LAll"}
    stored = {names[role]: a for role, a in arrays().items()}
    write_h5(tmp_path / "nuswide.mat", stored, matlab=False)
    data = Nuswide(queries=3).load(tmp_path)
    np.testing.assert_array_equal(data.train.text.features, stored["YAll"][data.train.ids].astype(np.float32))
    assert any("text ← YAll of nuswide.mat, transposed (12 × 4)" in note for note in data.notes)


def test_the_queries_of_an_index_are_used(tmp_path: Path) -> None:
    names = {"image": "XAll", "text": "YAll", "labels": "LAll"}
    stored = {names[role]: a for role, a in arrays().items()} | {"param/indexTest": np.array([[2.0, 12.0]])}
    write_h5(tmp_path / "nuswide.mat", stored, matlab=True)
    data = Nuswide().load(tmp_path)
    assert data.query.ids.tolist() == [1, 11]
    assert len(data.train) == 10


def test_a_matrix_in_hdf5_is_converted_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc

    write_h5(tmp_path / "a.mat", {"I_tr": np.ones((4000, 500))}, matlab=True)
    monkeypatch.setattr(reading_variable, "STEP", 10_000)
    variable = _reading.variables(tmp_path / "a.mat")["I_tr"]
    assert isinstance(variable, _reading.Variable)
    tracemalloc.start()
    streamed = variable.stream()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert streamed is not None
    assert (streamed.shape, float(streamed.sum())) == ((4000, 500), 2e6)
    assert peak < streamed.nbytes * 1.1


@pytest.mark.parametrize("name", ["IAll/mirflickr25k-iall.mat", "FLICKR-25K.mat"])
def test_pixels_of_a_bundle_are_raw_pictures(tmp_path: Path, name: str) -> None:
    """MATLAB's arrays are height × width × 3 × items; text and labels may be in files of their own."""
    stored = arrays()
    home = tmp_path / "mirflickr25k"
    images = {"IAll": pixels().transpose(1, 2, 3, 0)}
    text_and_labels = {"YAll": stored["text"], "LAll": stored["labels"]}
    if name.startswith("IAll"):
        write_h5(home / name, images, matlab=True)
        for folder, variable in (("YAll", "YAll"), ("LAll", "LAll")):
            (home / folder).mkdir()
            path = home / folder / f"mirflickr25k-{folder.lower()}.mat"
            scipy.io.savemat(path, {variable: text_and_labels[variable]})
    else:
        across = {n: a.T for n, a in text_and_labels.items()}
        write_h5(home / name, {"images": images["IAll"], **across}, matlab=True)
    raw = Mirflickr25k(queries=2).raw(tmp_path)
    image = np.asarray(pickle.loads(pickle.dumps(raw.image))(3))
    np.testing.assert_array_equal(image, pixels()[raw.ids[3]])
    np.testing.assert_array_equal(raw.labels, stored["labels"])
    assert raw.texts[0] == " ".join(f"word{c + 1}" for c in np.flatnonzero(stored["text"][0]))
    assert any("text columns have no names" in note for note in raw.notes)


def test_the_owners_list_beside_a_bundle_names_its_words(tmp_path: Path, write: Write) -> None:
    stored = arrays()
    home = tmp_path / "mirflickr25k"
    variables = {"IAll": pixels().transpose(1, 2, 3, 0), "YAll": stored["text"], "LAll": stored["labels"]}
    write_h5(home / "all.mat", variables, matlab=True)
    write(home / "common_tags.txt", "sky 9\nsea 8\nsun 7\ndog 6\n")
    raw = Mirflickr25k(queries=2).raw(tmp_path)
    assert raw.vocabulary == ("sky", "sea", "sun", "dog")


def test_pixels_of_an_h5_have_their_items_first(tmp_path: Path) -> None:
    stored = arrays()
    variables = {"images": pixels().transpose(0, 3, 1, 2), "text": stored["text"], "labels": stored["labels"]}
    write_h5(tmp_path / "mirflickr25k" / "all.h5", variables, matlab=False)
    raw = Mirflickr25k(queries=2).raw(tmp_path)
    np.testing.assert_array_equal(np.asarray(raw.image(4)), pixels()[4])


def test_a_bundle_of_pixels_must_be_prepared(tmp_path: Path) -> None:
    stored = arrays()
    variables = {"IAll": pixels().transpose(1, 2, 3, 0), "YAll": stored["text"], "LAll": stored["labels"]}
    write_h5(tmp_path / "mirflickr25k" / "all.mat", variables, matlab=True)
    with pytest.raises(DataError, match=r"has not been prepared\. Run: bench data prepare mirflickr25k"):
        Mirflickr25k().load(tmp_path)


def test_preparing_a_bundle_of_features_is_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "mirflickr.mat", split_bundle())
    with pytest.raises(DataError, match="holds features and no pictures, and needs no preparation"):
        Mirflickr25k().raw(tmp_path)


def paths_bundle(home: Path, photo: Write, captions: Any) -> None:
    """As the preparation scripts of CLIP hashing code write it: absolute paths of another machine."""
    home.mkdir(parents=True, exist_ok=True)
    index = [f"/data/somebody/coco/{part}/{i:03d}.jpg" for i, part in enumerate(["train", "val"] * (N // 2))]
    scipy.io.savemat(home / "index.mat", {"index": index})
    scipy.io.savemat(home / "label.mat", {"category": arrays()["labels"].astype(np.int64)})
    if captions is not None:
        scipy.io.savemat(home / "caption.mat", {"caption": captions})
    for path in index:
        name = Path(path)
        if name.stem != "005":
            photo(home / "images" / name.parent.name / name.name, colour=(0, int(name.stem) * 9, 0))


def cells(rows: list[list[str]]) -> Array:
    found = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        found[i, :] = row
    return found


@pytest.mark.parametrize("form", ["chars", "cells", "lines"])
def test_a_bundle_of_paths_finds_the_photos_on_this_machine(
    tmp_path: Path, photo: Write, write: Write, form: str
) -> None:
    home = tmp_path / "mscoco"
    if form == "cells":
        captions: Any = cells([[f"first {i}", f"second {i}"] for i in range(N)])
    else:
        captions = [f"text {i}" for i in range(N)] if form == "chars" else None
    paths_bundle(home, photo, captions)
    if form == "lines":
        write(home / "caption.txt", "".join(f"text {i}\n" for i in range(N)))
    raw = Mscoco(queries=2).raw(tmp_path)
    assert raw.ids.tolist() == [i for i in range(N) if i != 5]
    assert raw.texts[-1] == ("first 11 second 11" if form == "cells" else "text 11")
    pixel = raw.image(10).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[1] - 99) < 5
    assert "dropped 1 of 12 items, which lack a picture or a label" in raw.notes


def test_a_bundle_of_paths_with_too_few_captions_is_refused(tmp_path: Path, photo: Write) -> None:
    paths_bundle(tmp_path / "mscoco", photo, ["one", "two"])
    with pytest.raises(DataError, match="12 paths, 2 captions, 12 labels; expected equal numbers"):
        Mscoco(queries=2).raw(tmp_path)


def test_the_owners_files_take_precedence_over_a_bundle(tmp_path: Path, write: Write) -> None:
    scipy.io.savemat(tmp_path / "mirflickr.mat", split_bundle())
    write(tmp_path / "mirflickr25k" / "mirflickr" / "meta" / "tags" / "tags1.txt", "sky\n")
    with pytest.raises(DataError, match="no photos; expected im1"):
        Mirflickr25k().raw(tmp_path)


def test_text_in_an_h5_is_text(tmp_path: Path) -> None:
    write_h5(tmp_path / "a.h5", arrays(), matlab=False)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["classes"] = ["x", "y", "é"]
    assert Files(path=str(tmp_path / "a.h5"), queries=2).load(tmp_path).classes == ("x", "y", "é")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_truncated_h5_is_an_error_of_one_line(tmp_path: Path, part: float) -> None:
    path = tmp_path / "a.h5"
    write_h5(path, arrays(500), matlab=False)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match=r"a\.h5.*truncated") as caught:
        Files(path=str(path), queries=2).load(tmp_path)
    assert "\n" not in str(caught.value)


def published(rows: dict[str, Array], asked: dict[str, Array], names: str) -> dict[str, Array]:
    """Arrays under the names of a layout: six words for images, texts and labels, and for their queries."""
    return dict(zip(names.split(), [*rows.values(), *asked.values()], strict=True))


DLFH = "VDatabase YDatabase databaseL VTest YTest testL"
SEHA = "img_train text_train label_train img_test text_test label_test"
HASHING = "XTrain YTrain LTrain XTest YTest LTest"


@pytest.mark.parametrize(
    ("source", "name", "names"),
    [
        (Iaprtc12, "iapr-tc12-rand.mat", DLFH),
        (Mirflickr25k, "flickr-25k.mat", DLFH.replace("V", "X")),
        (Nuswide, "NUSWIDE10.mat", HASHING),
        (Wiki, "wiki.mat", SEHA),
        (Wiki, "wiki/wiki.mat", SEHA),
        (Mscoco, "coco_cnn.mat", "I_ret T_ret L_ret I_qu T_qu L_qu"),
        (Mirflickr25k, "Flickr_25k.mat", SEHA),
        (Mirflickr25k, "mir_cnn.mat", SEHA),
        (Nuswide, "NUS_WIDE_deep.mat", SEHA),
        (Nuswide, "nus21.mat", SEHA),
        (Iaprtc12, "iapr_tc_12.mat", SEHA),
    ],
)
def test_the_layouts_that_code_passes_around_are_known(
    tmp_path: Path, source: Any, name: str, names: str
) -> None:
    rows, asked = arrays(seed=1), arrays(5, seed=2)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    scipy.io.savemat(tmp_path / name, published(rows, asked, names))
    data = source().load(tmp_path)
    validate_dataset(data)
    np.testing.assert_array_equal(data.query.image.features, asked["image"].astype(np.float32))
    np.testing.assert_array_equal(data.train.labels, rows["labels"])


def test_a_struct_with_items_in_columns_is_the_wiki_of_roph(tmp_path: Path) -> None:
    rows = dict(zip(("X1", "X2", "Y"), (a.T for a in arrays().values()), strict=True))
    scipy.io.savemat(tmp_path / "wiki.mat", {"data": rows})
    data = Wiki(queries=3).load(tmp_path)
    assert (len(data.train), len(data.query)) == (N - 3, 3)


@pytest.mark.parametrize("folder", ["", "NUS-WIDE-TC10"])
def test_files_of_one_bundle_lie_side_by_side(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    for variable, (part, value) in zip(("XAll", "YAll", "LAll"), arrays().items(), strict=True):
        scipy.io.savemat(tmp_path / folder / f"nus-wide-tc10-{part}.mat", {variable: value})
    data = Nuswide(queries=3, split="last").load(tmp_path)
    assert data.query.ids.tolist() == [N - 3, N - 2, N - 1]
    assert data.notes[0].startswith("read the bundle nus-wide-tc10-image.mat + ")


@pytest.mark.parametrize("home", ["", "mirflickr25k"])
def test_several_bundles_are_listed_and_an_option_chooses_one(tmp_path: Path, home: str) -> None:
    (tmp_path / home).mkdir(exist_ok=True)
    scipy.io.savemat(tmp_path / home / "mirflickr_a.mat", split_bundle())
    scipy.io.savemat(tmp_path / home / "mirflickr_b.mat", published(arrays(), arrays(4), DLFH))
    with pytest.raises(DataError, match=r"2 bundles of mirflickr25k: mirflickr_a\.mat, mirflickr_b\.mat"):
        Mirflickr25k().load(tmp_path)
    assert len(Mirflickr25k(bundle="mirflickr_b.mat").load(tmp_path).query) == 4


@pytest.mark.parametrize("parts", [["image", "text", "labels"], ["all"]])
def test_a_split_in_a_file_beside_the_bundle_is_used(tmp_path: Path, parts: list[str]) -> None:
    variables = dict(zip(("XAll", "YAll", "LAll"), arrays().values(), strict=True))
    for part, name in zip(["all"] * 3 if parts == ["all"] else parts, variables, strict=True):
        own = variables if part == "all" else {name: variables[name]}
        scipy.io.savemat(tmp_path / f"mirflickr_{part}.mat", own)
    scipy.io.savemat(tmp_path / "mirflickr_split.mat", {"param": {"indexTest": np.array([[2, 5]])}})
    assert Mirflickr25k().load(tmp_path).query.ids.tolist() == [1, 4]


def test_a_mapping_names_the_variables_of_a_bundle(tmp_path: Path) -> None:
    stored = split_bundle()
    stored["odd"] = stored.pop("I_tr")
    scipy.io.savemat(tmp_path / "mirflickr.mat", stored)
    with pytest.raises(DataError, match=r"has no images of mirflickr25k: .*odd 12×5.*mapping=image:VARIABLE"):
        Mirflickr25k().load(tmp_path)
    assert len(Mirflickr25k(mapping="image:odd").load(tmp_path).train) == N


def test_tags_and_labels_without_images_are_named_and_not_prepared(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "mirflickr25k-yall.mat", {"YAll": arrays()["text"]})
    scipy.io.savemat(tmp_path / "mirflickr25k-lall.mat", {"LAll": arrays()["labels"]})
    with pytest.raises(DataError, match=r"has no images of mirflickr25k: .*LAll 12×3.*YAll 12×4"):
        Mirflickr25k().load(tmp_path)


def test_an_archive_under_the_name_of_a_bundle_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "NUS-WIDE-TC21.rar").write_bytes(b"Rar!" + bytes(99))
    with pytest.raises(DataError, match=r"NUS-WIDE-TC21\.rar: is a rar archive; .*Unpack it"):
        Nuswide().load(tmp_path)


def test_pictures_may_lie_beside_the_index_in_a_folder_of_another_name(tmp_path: Path, photo: Write) -> None:
    paths_bundle(tmp_path / "flickr25k", photo, [f"text {i}" for i in range(N)])
    assert len(Mirflickr25k(queries=2).raw(tmp_path).ids) == N - 1


def test_pictures_that_are_not_on_this_machine_are_named(tmp_path: Path, photo: Write) -> None:
    paths_bundle(tmp_path / "mscoco", photo, [f"text {i}" for i in range(N)])
    for path in (tmp_path / "mscoco").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"none of the 12 pictures .* \(first: /data/somebody/coco/train/000"):
        Mscoco(queries=2).raw(tmp_path)


def test_cell_arrays_of_strings_in_v73_are_paths_and_captions(tmp_path: Path, photo: Write) -> None:
    home = tmp_path / "mscoco"
    paths_bundle(home, photo, [f"text {i}" for i in range(N)])
    expected = Mscoco(queries=2).raw(tmp_path)
    for name in ("index", "caption"):
        rows = _reading.strings(_reading.variables(home / f"{name}.mat")[name])
        with h5py.File(home / f"{name}.mat", "w") as file:
            for i, text in enumerate(rows):
                file[f"#refs#/{i}"] = np.array([[ord(letter)] for letter in text], np.uint16)
            references = [file[f"#refs#/{i}"].ref for i in range(N)]
            file.create_dataset(name, data=np.array([references], dtype=h5py.ref_dtype))
    raw = Mscoco(queries=2).raw(tmp_path)
    assert (list(raw.texts), raw.ids.tolist()) == (list(expected.texts), expected.ids.tolist())


def test_info_exits_with_2_where_one_of_several_bundles_must_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.cli import main

    root = ["--data-root", str(tmp_path)]
    assert main(["info", "mirflickr25k", *root]) == 0  # described before its files exist
    for name in ("mirflickr_cnn.mat", "MIRFlickr-bow.mat"):
        scipy.io.savemat(tmp_path / name, split_bundle())
    assert main(["info", "mirflickr25k", *root]) == 2
    assert "holds 2 bundles of mirflickr25k" in capsys.readouterr().out
    assert main(["info", "mirflickr25k[bundle=nope.mat]", *root]) == 2


def test_labels_beside_an_index_may_have_any_name(tmp_path: Path, photo: Write) -> None:
    home = tmp_path / "mscoco"
    paths_bundle(home, photo, [f"text {i}" for i in range(N)])
    labels = scipy.io.loadmat(home / "label.mat")
    scipy.io.savemat(home / "label.mat", {"LAll": next(v for k, v in labels.items() if k[0] != "_")})
    assert len(Mscoco(queries=2).raw(tmp_path).ids) == N - 1
