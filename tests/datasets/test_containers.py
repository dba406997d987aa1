"""Every container gives the same arrays, and a file that holds none is called by its name."""

from __future__ import annotations

import errno
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from bench.contract.validate import validate_dataset
from bench.datasets import _reading
from bench.datasets._reading import scratch
from bench.datasets._reading import variable as reading_variable
from bench.datasets.files import Files
from bench.errors import DataError

Array = np.ndarray[Any, Any]
Make = Callable[[Path], Path]
N = 24


def arrays() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.uint8)[rng.integers(3, size=N)]
    text = (rng.random((N, 4)) < 0.5).astype(np.float32)
    return {"image": rng.random((N, 5), dtype=np.float32), "text": text, "labels": labels}


INDEX = np.arange(6)
IMAGE, TEXT, LABELS = arrays().values()


def cell(*values: Any) -> Array:
    row = np.empty((1, len(values)), dtype=object)
    row[0] = [None] * len(values)
    for i, value in enumerate(values):
        row[0, i] = value
    return row


def folder(path: Path, without: str = "") -> Path:
    for name, value in (arrays() | {"query_index": INDEX}).items():
        if name != without:
            np.save(path / f"{name}.npy", value)
    return path


def struct(path: Path) -> Path:
    data = {"X1": IMAGE.T, "X2": TEXT.T, "Y": LABELS.T}
    split = {"ind_train": np.arange(7, N + 1)[None], "ind_test": INDEX[None] + 1}
    scipy.io.savemat(path / "a.mat", {"data": data, "split": split})
    return path / "a.mat"


def nested_struct(path: Path) -> Path:
    test = {"image": IMAGE[:6], "text": TEXT[:6], "label": LABELS[:6]}
    train = {"image": IMAGE[6:], "text": TEXT[6:], "label": LABELS[6:]}
    scipy.io.savemat(path / "a.mat", {"data": {"train": train, "test": test}})
    return path / "a.mat"


def cells(path: Path) -> Path:
    scipy.io.savemat(path / "a.mat", {"X": cell(IMAGE, TEXT), "L": LABELS, "indexTest": INDEX + 1})
    return path / "a.mat"


def cells_of_rows(path: Path) -> Path:
    variables = arrays() | {"image": cell(*IMAGE[:, None]).T, "query_index": INDEX + 1}
    scipy.io.savemat(path / "a.mat", variables)
    return path / "a.mat"


def cells73(path: Path) -> Path:
    with h5py.File(path / "a.mat", "w") as file:
        for name, value in (("a", IMAGE), ("b", TEXT)):
            file[f"#refs#/{name}"] = value.T
        references = [[file[f"#refs#/{name}"].ref] for name in "ab"]
        file.create_dataset("X", data=np.array(references, dtype=h5py.ref_dtype))
        file["L"], file["indexTest"] = LABELS.T, INDEX[:, None] + 1.0
    return path / "a.mat"


def struct73(path: Path) -> Path:
    with h5py.File(path / "a.mat", "w") as file:
        for name, value in arrays().items():
            file[f"data/{name}"] = value.T
        file["data/param/indexTest"] = INDEX[:, None] + 1.0
    return path / "a.mat"


def hdf5_of(name: str) -> Make:
    def make(path: Path) -> Path:
        with h5py.File(path / name, "w") as file:
            for variable, value in (arrays() | {"query_index": INDEX}).items():
                file[variable] = value
        return path / name

    return make


def sparse_of(form: str) -> Make:
    def make(path: Path) -> Path:
        folder(path, without="text")
        scipy.sparse.save_npz(path / "text.npz", scipy.sparse.csr_matrix(TEXT).asformat(form))
        return path

    return make


def labels_of(name: str, lines: list[str]) -> Make:
    def make(path: Path) -> Path:
        folder(path, without="labels")
        (path / name).write_text("\n".join(lines) + "\n")
        return path

    return make


def joined(separator: str) -> list[str]:
    return [separator.join(map(str, row)) for row in LABELS]


def renamed(path: Path) -> Path:
    np.savez(path / "a.npz", **arrays(), query_index=INDEX)  # type: ignore[arg-type]
    return (path / "a.npz").rename(path / "features.bin")


def tensors(path: Path) -> Path:
    import torch

    torch.save(
        {n: torch.from_numpy(a) for n, a in (arrays() | {"query_index": INDEX}).items()}, path / "a.pth"
    )
    return path / "a.pth"


def halves(path: Path) -> Path:
    for name, rows in (("test", slice(0, 6)), ("train", slice(6, None))):
        np.savez(path / f"{name}.npz", **{n: a[rows] for n, a in arrays().items()})  # type: ignore[arg-type]
    return path


def from_a_mac(path: Path) -> Path:
    for file in list(folder(path).iterdir()):
        (path / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(200))
    (path / ".DS_Store").write_bytes(bytes(99))
    return path


FORMS: dict[str, Make] = {
    "a struct, items in columns": struct,
    "a struct of structs": nested_struct,
    "a cell array of matrices": cells,
    "a cell array of rows": cells_of_rows,
    "a cell array in v7.3": cells73,
    "a struct in v7.3": struct73,
    **{f"HDF5 named {name}": hdf5_of(name) for name in ("a.h5py", "a.hdf5", "a.bin", "a.mat")},
    **{f"scipy's sparse {form}": sparse_of(form) for form in ("csr", "csc", "coo", "bsr")},
    "labels.txt": labels_of("labels.txt", joined(" ")),
    "labels.csv": labels_of("labels.csv", joined(",")),
    "labels.csv with a header": labels_of("labels.csv", ["sea,sky,sun", *joined(",")]),
    "labels.csv of pandas": labels_of(
        "labels.csv", [",sea,sky,sun", *(f"{i},{line}" for i, line in enumerate(joined(",")))]
    ),
    "labels.txt after paths": labels_of(
        "labels.txt", [f"im/{i}.jpg {line}" for i, line in enumerate(joined(" "))]
    ),
    "an .npz under another suffix": renamed,
    "a dictionary of tensors": tensors,
    "train.npz and test.npz": halves,
    "a folder that came from a Mac": from_a_mac,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(tmp_path: Path, form: str) -> None:
    path = FORMS[form](tmp_path)
    data = Files(path=str(path)).load(Path("/nowhere"))
    validate_dataset(data)
    for part, rows in ((data.query, slice(0, 6)), (data.train, slice(6, None))):
        np.testing.assert_array_equal(part.image.features, IMAGE[rows])
        np.testing.assert_array_equal(part.text.features, TEXT[rows])
        np.testing.assert_array_equal(part.labels, LABELS[rows])


def test_the_header_of_a_table_names_its_classes(tmp_path: Path) -> None:
    path = FORMS["labels.csv of pandas"](tmp_path)
    assert Files(path=str(path)).load(tmp_path).classes == ("sea", "sky", "sun")


def table(rows: slice) -> Any:
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow, the extra parquet")
    return pa.table({name: [row.tolist() for row in a[rows]] for name, a in arrays().items()})


def test_a_parquet_file_with_a_column_of_parts_is_read(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow, the extra parquet")
    pa = pytest.importorskip("pyarrow")
    parts = pa.array(["test"] * 6 + ["train"] * (N - 6))
    pq.write_table(table(slice(None)).append_column("split", parts), tmp_path / "a.parquet")
    data = Files(path=str(tmp_path / "a.parquet")).load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:6])


@pytest.mark.parametrize("form", ["hub", "saved to disk"])
def test_a_hugging_face_folder_is_read_with_its_shards(tmp_path: Path, form: str) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow, the extra parquet")
    pa = pytest.importorskip("pyarrow")
    rows = {("test", 0, 1): slice(0, 6), ("train", 0, 2): slice(6, 15), ("train", 1, 2): slice(15, None)}
    for (part, shard, shards), own in rows.items():
        stem = f"{shard:05}-of-{shards:05}"
        if form == "hub":
            (tmp_path / "data").mkdir(exist_ok=True)
            pq.write_table(table(own), tmp_path / "data" / f"{part}-{stem}.parquet")
            continue
        (tmp_path / part).mkdir(exist_ok=True)
        with pa.ipc.new_stream(tmp_path / part / f"data-{stem}.arrow", table(own).schema) as sink:
            sink.write_table(table(own))
    data = Files(path=str(tmp_path)).load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:6])
    np.testing.assert_array_equal(data.train.text.features, TEXT[6:])


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(9))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow, which .* 'hashbench\[parquet\]'"):
        Files(path=str(tmp_path / "a.parquet")).load(tmp_path)


def test_a_float32_npy_is_mapped_and_not_copied(tmp_path: Path) -> None:
    variable = _reading.variables(folder(tmp_path))["image"]
    assert isinstance(variable, _reading.Variable)
    assert isinstance(variable.stream(), np.memmap)


@pytest.mark.parametrize(
    "container", ["float64.npy", "columns.npy", "plain.h5", "chunks.h5", "v73.mat", "wide.mat"]
)
def test_a_large_matrix_is_converted_into_a_temporary_file(
    tmp_path: Path, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, path = np.random.default_rng(0).random((90, 7)), tmp_path / container
    if path.suffix == ".npy":
        np.save(path, np.asfortranarray(x) if container == "columns.npy" else x)
    else:
        stored = x.T if path.suffix == ".mat" else x
        chunks = {"chunks.h5": (4, 3), "wide.mat": (2, 90)}.get(container)
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=stored, chunks=chunks)
    monkeypatch.setattr(reading_variable, "STEP", 50)
    variable = _reading.variables(path)[path.stem if path.suffix == ".npy" else "x"]
    assert isinstance(variable, _reading.Variable)
    streamed = variable.stream()
    assert isinstance(streamed, np.memmap)
    assert streamed.flags.c_contiguous and not streamed.flags.writeable
    np.testing.assert_array_equal(streamed, x.astype(np.float32))


def test_a_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Iterator[Any]:
        yield np.ones((1, 2))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"temporary folder .*: cannot hold 2 rows of 2 columns \(No space"):
        scratch.written((2, 2), full())


class Opened:
    """Fails the test if it is unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was opened",)


def pickled(name: str) -> Make:
    def make(path: Path) -> Path:
        (path / name).write_bytes(pickle.dumps(Opened()))
        return path / name

    return make


def written(name: str, content: bytes) -> Make:
    def make(path: Path) -> Path:
        (path / name).write_bytes(content)
        return path / name

    return make


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path / "a.zip", "w") as archive:
        archive.writestr("image.csv", "1,2")
    return path / "a.zip"


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 50402256\n"
STRANGERS: dict[str, tuple[Make, str]] = {
    **{f"a pointer .{s}": (written(f"a.{s}", LFS), "is a Git LFS pointer") for s in ("mat", "npy", "h5")},
    "a pointer with a mark": (written("a.mat", b"\xef\xbb\xbf" + LFS), "is a Git LFS pointer"),
    "a pointer of git-annex": (written("a.npy", b"/annex/objects/MD5E-s9--a.npy\n"), "git annex get"),
    "a title alone": (written("a.mat", b"<title>Sign in</title>"), r"is a web page \(HTML\)"),
    "a web page in UTF-16": (written("a.mat", "<!DOCTYPE html>".encode("utf-16")), r"is a web page \(HTML\)"),
    "zeros": (written("a.h5", bytes(5000)), "begins with 512 zeros, like a download that broke off"),
    "lz4": (written("a.npy", b"\x04\x22\x4d\x18" + bytes(99)), "is an lz4 archive"),
    "SQLite": (written("a.db", b"SQLite format 3\0" + bytes(99)), "is an SQLite database"),
    "LMDB": (written("data.mdb", bytes(16) + b"\xde\xc0\xef\xbe" + bytes(99)), "is an LMDB database"),
    "JSON": (written("a.json", b'{"image": [[1]]}'), r"is JSON.* json\.load\(open\('a\.json'\)\)"),
    "a web page": (written("a.mat", b"\n<!DOCTYPE html><html>"), r"is a web page \(HTML\), not data"),
    "a web page .csv": (written("a.csv", b"<html><head>"), r"is a web page \(HTML\), not data"),
    "an error message": (written("a.npz", b"404: Not Found"), "is a text that begins '404: Not Found'"),
    "AppleDouble": (written("._a.mat", b"\x00\x05\x16\x07" + bytes(99)), "is an AppleDouble file"),
    "nothing": (written("a.mat", b""), r"is empty \(0 bytes\)"),
    "gzip": (written("a.mat.gz", b"\x1f\x8b\x08" + bytes(99)), "is a gzip archive"),
    "tar": (written("a.tar", b"a" + bytes(256) + b"ustar" + bytes(300)), "is a tar archive"),
    "zip": (zipped, "is a zip archive"),
    "a pickle": (
        pickled("a.pkl"),
        r"pickle\.load\(open\('a\.pkl', 'rb'\), encoding='latin1'\); np\.savez\('a\.npz'",
    ),
    "a pickle named .npy": (pickled("a.npy"), "is a Python pickle"),
    "a web page with a mark": (written("a.pt", b"\xef\xbb\xbf<!doctype html>"), r"is a web page \(HTML\)"),
    "a message in French": (written("a.mat", "Page non trouvée".encode()), "a text that begins 'Page non"),
    "empty lines": (written("a.txt", b"\n \n"), r"is empty \(3 bytes\)"),
    "a picture named .mat": (written("a.mat", b"\x89PNG\r\n\x1a\n" + bytes(99)), "is a picture; .* Views"),
    "fvecs": (written("a.fvecs", b"\x80\0\0\0" + bytes(512)), "cannot read this kind of file"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_file_without_arrays_is_called_by_its_name(tmp_path: Path, kind: str) -> None:
    make, says = STRANGERS[kind]
    with pytest.raises(DataError, match=says) as caught:
        Files(path=str(make(tmp_path))).load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pointer_to_a_pickle_is_called_a_pointer(tmp_path: Path) -> None:
    (folder(tmp_path, without="labels") / "labels.pkl").write_bytes(LFS)
    with pytest.raises(DataError, match=r"labels\.pkl: is a Git LFS pointer"):
        Files(path=str(tmp_path)).load(tmp_path)


def test_a_folder_of_programs_holds_no_data(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A repository\n")
    with pytest.raises(DataError, match="holds no data files"):
        Files(path=str(tmp_path)).load(tmp_path)


def test_a_pickle_of_the_labels_is_named_with_its_conversion(tmp_path: Path) -> None:
    pickled("labels.pkl")(folder(tmp_path, without="labels"))
    with pytest.raises(DataError, match=r"labels\.pkl: is a Python pickle"):
        Files(path=str(tmp_path)).load(tmp_path)


def test_a_pickle_that_nobody_needs_is_left_alone(tmp_path: Path) -> None:
    pickled("model.pkl")(folder(tmp_path))
    assert len(Files(path=str(tmp_path)).load(tmp_path).query) == 6


def test_objects_in_a_pt_are_not_loaded(tmp_path: Path) -> None:
    import torch

    torch.save({"image": Opened()}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="holds Python objects besides tensors"):
        Files(path=str(tmp_path / "a.pt")).load(tmp_path)


def ragged(rows: Array) -> Array:
    values = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        values[i] = row
    return values


PACKED = np.random.default_rng(0).integers(0, 256, (N, 16)).astype(np.uint8)
WRONG: dict[str, tuple[Any, str]] = {
    "objects": (IMAGE.astype(object), r"np\.load\('image\.npy', allow_pickle=True\)\.astype"),
    "objects of rows": (ragged(IMAGE), r"np\.stack\(np\.load\('image\.npy', allow_pickle=True\)\)"),
    "strings": (IMAGE.astype(str), r"image: is text \(first: .*x\.astype\(np\.float32\)"),
    "bytes": (IMAGE.astype("S"), r"image: is text \(first: "),
    "items in columns": (IMAGE.T.copy(), "mapping=image:image.T"),
    "tokens": (np.zeros((N, 7, 5)), r"x\.mean\(axis=1\)"),
    "maps": (np.zeros((N, 8, 7, 7)), r"a network's maps.*x\.mean\(axis=\(2, 3\)\)"),
    "packed codes": (PACKED, r"packed hash codes of 128 bits do.* np\.unpackbits\(x, axis=1\)"),
    "packed words": (PACKED.view(np.uint64), r"hash codes of 128 bits do.*x\.view\(np\.uint8\), axis=1"),
    "complex numbers": (IMAGE * 1j, r"holds complex numbers .* x\.real"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_array_is_refused_with_a_fix(tmp_path: Path, kind: str) -> None:
    array, says = WRONG[kind]
    np.save(folder(tmp_path) / "image.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=says):
        Files(path=str(tmp_path)).load(tmp_path)


def test_packed_codes_of_unequal_bits_are_recognised_on_both_sides(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    packed = {name: np.packbits(rng.random((N, 64)) < 0.8, axis=1) for name in ("image", "text")}
    with pytest.raises(DataError, match="packed hash codes of 64 bits"):
        Files(path=str(stored(tmp_path, **packed))).load(tmp_path)


def test_token_numbers_are_no_text_features(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(1, 49000, (N, 77))
    tokens[:, 0], tokens[:, 20:] = 49406, 0
    with pytest.raises(DataError, match=r"text: holds whole numbers up to \d+, and 49406 first in each row"):
        Files(path=str(stored(tmp_path, text=tokens))).load(tmp_path)


@pytest.mark.parametrize("columns", [8, 16, 32, 64])
def test_histograms_and_counts_in_bytes_are_features(tmp_path: Path, columns: int) -> None:
    rng = np.random.default_rng(0)
    counts = [rng.multinomial(200, rng.dirichlet(np.full(columns, 0.5)), N).clip(0, 255) for _ in range(2)]
    image, text = (x.astype(np.uint8) for x in counts)
    path = stored(tmp_path, image=image, text=text)
    data = Files(path=str(path), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, image[:4])


@pytest.mark.parametrize("shape", [(N, 1, 5), (N, 5, 1, 1), (1, N, 5)])
def test_axes_of_length_one_are_left_out(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(folder(tmp_path) / "image.npy", IMAGE.reshape(shape))
    data = Files(path=str(tmp_path)).load(tmp_path)
    np.testing.assert_array_equal(data.train.image.features, IMAGE[6:])


@pytest.mark.parametrize("form", ["v5", "v7.3", "txt"])
def test_features_of_different_lengths_are_refused_as_such(tmp_path: Path, form: str) -> None:
    lists = [np.arange(1 + i % 3)[None] for i in range(N)]
    folder(tmp_path, without="text")
    if form == "v5":
        scipy.io.savemat(tmp_path / "text.mat", {"text": cell(*lists).T})
    elif form == "v7.3":
        with h5py.File(tmp_path / "text.mat", "w") as file:
            for i, row in enumerate(lists):
                file[f"#refs#/{i}"] = row.T
            references = [[file[f"#refs#/{i}"].ref for i in range(N)]]
            file.create_dataset("text", data=np.array(references, dtype=h5py.ref_dtype))
    else:
        (tmp_path / "text.txt").write_text("\n".join(" ".join(map(str, row[0])) for row in lists))
    with pytest.raises(DataError, match=r"text: (holds lists of different lengths|has shape \(24,)"):
        Files(path=str(tmp_path)).load(tmp_path)


def test_a_cell_array_of_matrices_of_different_sizes_is_refused_as_such(tmp_path: Path) -> None:
    matrices = [np.ones((2, 1 + i % 3)) for i in range(N)]
    scipy.io.savemat(folder(tmp_path, without="labels") / "labels.mat", {"labels": cell(*matrices).T})
    with pytest.raises(DataError, match=r"cells of different sizes.* as 0 and 1"):
        Files(path=str(tmp_path)).load(tmp_path)


def test_the_fix_for_columns_covers_the_queries_too(tmp_path: Path) -> None:
    parts = {"tr": slice(6, None), "te": slice(0, 6)}
    variables = {f"{r[0].upper()}_{p}": a[rows] for p, rows in parts.items() for r, a in arrays().items()}
    for name in ("I_tr", "I_te"):
        variables[name] = variables[name].T
    np.savez(tmp_path / "a.npz", **variables)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"write mapping=image:I_tr\.T;query_image:I_te\.T\."):
        Files(path=str(tmp_path / "a.npz")).load(tmp_path)
    fixed = Files(path=str(tmp_path / "a.npz"), mapping="image:I_tr.T;query_image:I_te.T").load(tmp_path)
    np.testing.assert_array_equal(fixed.query.image.features, IMAGE[:6])


def stored(path: Path, **changed: Any) -> Path:
    np.savez(path / "a.npz", **(arrays() | changed))
    return path / "a.npz"


@pytest.mark.parametrize(
    ("changed", "fix"),
    [
        ({"text": np.repeat(TEXT, 5, axis=0)}, r"each item has 5 rows.*x\[::5\].*np\.repeat\(x, 5, axis=0\)"),
        ({"text": TEXT[1:]}, "the rows of the same items, in the same order"),
        ({"image": IMAGE[:, 0]}, r"has shape \(24,\).*as a column, x\[:, None\]"),
        ({"image": IMAGE.T}, r"mapping=image:image\.T"),
        ({name: x[:0] for name, x in arrays().items()}, "expected at least one item"),
    ],
    ids=["five captions each", "one row less", "a vector", "one matrix across", "no rows"],
)
def test_the_advice_on_rows_fits_the_shape(tmp_path: Path, changed: Any, fix: str) -> None:
    with pytest.raises(DataError, match=fix):
        Files(path=str(stored(tmp_path, **changed)), queries=4).load(tmp_path)


def test_features_with_items_in_columns_are_turned_beside_labels_in_rows(tmp_path: Path) -> None:
    data = Files(path=str(stored(tmp_path, image=IMAGE.T, text=TEXT.T)), queries=4, split="first").load(
        tmp_path
    )
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:4])
    np.testing.assert_array_equal(data.query.text.features, TEXT[:4])


def test_csr_parts_in_a_group_are_a_matrix(tmp_path: Path) -> None:
    rows = scipy.sparse.csr_matrix(TEXT)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"], file["labels"] = IMAGE, LABELS
        for part in ("indptr", "indices", "data", "shape"):
            file[f"text/{part}"] = getattr(rows, part)
    data = Files(path=str(tmp_path / "a.h5"), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.text.features, TEXT[:4])


def safe(path: Path) -> Path:
    from safetensors.numpy import save_file

    save_file(arrays(), path / "a.safetensors")
    return path / "a.safetensors"


def before_torch_1_6(path: Path) -> Path:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(x) for name, x in arrays().items()}
    torch.save(tensors, path / "model_best.tar", _use_new_zipfile_serialization=False)
    return path / "model_best.tar"


def lists_of_numbers(path: Path) -> Path:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(x) for name, x in arrays().items()}
    torch.save(tensors | {"labels": LABELS.argmax(axis=1).tolist()}, path / "a.pt")
    return path / "a.pt"


@pytest.mark.parametrize("make", [safe, before_torch_1_6, lists_of_numbers])
def test_tensors_are_read_from_every_form_that_runs_no_code(tmp_path: Path, make: Make) -> None:
    data = Files(path=str(make(tmp_path)), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:4])
    assert data.query.labels is not None
    np.testing.assert_array_equal(data.query.labels.argmax(axis=1), LABELS[:4].argmax(axis=1))


def test_the_lines_for_joblib_use_joblib(tmp_path: Path) -> None:
    (tmp_path / "a.joblib").write_bytes(pickle.dumps(arrays()))
    with pytest.raises(DataError, match=r"import joblib, numpy as np; data = joblib\.load\('a\.joblib'\)"):
        Files(path=str(tmp_path / "a.joblib")).load(tmp_path)


def test_a_converted_pickle_is_read_although_the_pickle_lies_beside_it(tmp_path: Path) -> None:
    folder(tmp_path, without="image")
    (tmp_path / "image.pkl").write_bytes(pickle.dumps(IMAGE))
    np.savez(tmp_path / "image.npz", image=IMAGE)
    data = Files(path=str(tmp_path)).load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[INDEX])


FRAMES: dict[str, dict[str, Any]] = {
    "index and numbered columns": {},
    "numbered columns": {"index": False},
    "index alone": {"header": False},
    "quoted": {"index": False, "quoting": 1},
    "decimal commas": {"index": False, "header": False, "sep": ";", "decimal": ","},
    "decimal commas and tabs": {"header": False, "sep": "\t", "decimal": ","},
    "UTF-16": {"sep": "\t", "encoding": "utf-16"},
}


@pytest.mark.parametrize("form", FRAMES)
def test_a_table_is_read_in_every_form_that_pandas_writes(tmp_path: Path, form: str) -> None:
    pandas = pytest.importorskip("pandas")
    for name, array in arrays().items():
        pandas.DataFrame(array).to_csv(tmp_path / f"{name}.csv", **FRAMES[form])
    data = Files(path=str(tmp_path), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:4])
    np.testing.assert_array_equal(data.query.labels, LABELS[:4])
    assert len(data.train) == N - 4


@pytest.mark.parametrize(
    "head", ["img_id,a,b,c,d,e\n", "ID,a,b,c,d,e\n", "file_name,a,b,c,d,e\n", ",a,b,c,d,e\n", ""]
)
def test_a_column_that_numbers_the_items_is_no_feature(tmp_path: Path, head: str) -> None:
    rows = "".join(f"{1000 + 3 * n},{','.join(map(str, row))}\n" for n, row in enumerate(IMAGE))
    (folder(tmp_path, without="image") / "image.csv").write_text(head + rows)
    data = Files(path=str(tmp_path)).load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[INDEX])


@pytest.mark.parametrize("word", ["name", "image", "key"])
def test_a_word_of_a_vocabulary_heads_a_feature(tmp_path: Path, word: str) -> None:
    rows = "".join(",".join(f"{value:g}" for value in row) + "\n" for row in TEXT)
    (folder(tmp_path, without="text") / "text.csv").write_text(f"{word},sea,sky,dog\n{rows}")
    data = Files(path=str(tmp_path)).load(tmp_path)
    np.testing.assert_array_equal(data.query.text.features, TEXT[INDEX])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "pq", "feather"])
def test_numbered_columns_of_images_and_texts_form_matrices(tmp_path: Path, suffix: str) -> None:
    pandas, path = pytest.importorskip("pandas"), tmp_path / f"a.{suffix}"
    views = {f"{view}_{c}": x[:, c] for view, x in (("img", IMAGE), ("txt", TEXT)) for c in range(x.shape[1])}
    frame = pandas.DataFrame(views | {"label": [f"class {c}" for c in LABELS.argmax(axis=1)]})
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_feather(path) if suffix == "feather" else frame.to_parquet(path)
    data = Files(path=str(path), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.image.features, IMAGE[:4])
    np.testing.assert_array_equal(data.query.text.features, TEXT[:4])
    np.testing.assert_array_equal(data.query.labels, LABELS[:4])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("labels.json", b"[[1, 0]]", r"labels\.json: is JSON.*json\.load\(open\('labels\.json'\)\)"),
        ("annotations.jsonl", b'{"a": 1}', r"annotations\.jsonl: is JSON.*json\.loads\(line\)"),
        ("labels.npy.gz", b"\x1f\x8b" + bytes(40), r"labels\.npy\.gz: is a gzip archive"),
        ("labels.bin", bytes(range(200, 255)), r"np\.fromfile\('labels\.bin', np\.float32\)"),
        ("labels.xlsx", b"PK\3\4", r"labels\.xlsx"),
    ],
)
def test_a_file_that_is_needed_and_not_read_is_named(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (folder(tmp_path, without="labels") / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        Files(path=str(tmp_path)).load(tmp_path)


def test_a_link_to_nothing_is_called_so(tmp_path: Path) -> None:
    (folder(tmp_path, without="labels") / "labels.npy").symlink_to("/nowhere/labels.npy")
    for path in (tmp_path, tmp_path / "labels.npy"):
        with pytest.raises(DataError, match=r"is a link to /nowhere/labels\.npy, which does not exist"):
            Files(path=str(path)).load(tmp_path)


def test_tensors_of_single_items_are_stacked(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    rows = [dict(zip(("img", "txt", "label"), map(torch.tensor, row), strict=True))
            for row in zip(*arrays().values(), strict=True)]  # fmt: skip
    torch.save(rows, tmp_path / "a.pt")
    torch.save({f"im{n}": row["img"] for n, row in enumerate(rows)}, tmp_path / "image.pt")
    data = Files(path=str(tmp_path / "a.pt"), queries=4, split="first").load(tmp_path)
    np.testing.assert_array_equal(data.query.labels, LABELS[:4])
    np.testing.assert_array_equal(_reading.variables(tmp_path / "image.pt")["image"].read(), IMAGE)


def test_files_that_name_their_items_in_different_orders_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    folder(tmp_path, without="image")
    order = list(range(N))[::-1]
    torch.save({f"im{n}.jpg": torch.tensor(IMAGE[n]) for n in order}, tmp_path / "image.pt")
    (tmp_path / "names.txt").write_text("".join(f"im{n}\n" for n in range(N)))
    with pytest.raises(DataError, match=r"image\.pt: lists the items in another order than names\.txt"):
        Files(path=str(tmp_path)).load(tmp_path)


TABLES = {
    "lists in brackets": "id,labels\n"
    + "".join(f'{n},"{row.nonzero()[0].tolist()}"\n' for n, row in enumerate(LABELS)),
    "rows as numpy prints them": "id,labels\n" + "".join(f"{n},{row}\n" for n, row in enumerate(LABELS)),
    "names in brackets": "labels\n" + "".join(f"['class {row.argmax()}']\n" for row in LABELS),
    "booleans": "a,b,c\n" + "".join(",".join(str(bool(x)) for x in row) + "\n" for row in LABELS),
    "two columns of names": "id,file,a,b,c\n"
    + "".join(f"{n},im {n}.jpg,{','.join(map(str, row))}\n" for n, row in enumerate(LABELS)),
    "a comment above": "# labels\n" + "".join(" ".join(map(str, row)) + "\n" for row in LABELS) + "\n\n",
    "no separators": "".join("".join(map(str, row)) + "\n" for row in LABELS),
    "items and class numbers": "image,label\n"
    + "".join(f"im{n}.jpg,{row.argmax()}\n" for n, row in enumerate(LABELS)),
    "items and names of classes": "image,label\n"
    + "".join(f"im{n}.jpg,class {row.argmax()}\n" for n, row in enumerate(LABELS)),
}


@pytest.mark.parametrize("table", TABLES)
def test_tables_of_labels_are_read_as_they_are_written(tmp_path: Path, table: str) -> None:
    (folder(tmp_path, without="labels") / "labels.csv").write_text(TABLES[table])
    data = Files(path=str(tmp_path)).load(tmp_path)
    assert data.query.labels is not None
    np.testing.assert_array_equal(data.query.labels, LABELS[INDEX])
