"""Recognises a file by its first bytes, whatever its suffix: a container of arrays, or no data file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from bench.api import DataError
from bench.datasets._reading import arrow, hdf5, matlab, npy, tensors, text
from bench.datasets._reading.strangers import EXPECTED, refuse_stranger
from bench.datasets._reading.variable import Array, Container

NPY = Container(".npy", npy.npy_shapes, npy.npy_read, npy.npy_stream)
NPZ = Container(".npz", npy.npz_shapes, npy.npz_read)
MATLAB = Container(".mat", matlab.shapes, matlab.read, counts_from=1)
MATLAB73 = Container(".mat v7.3", hdf5.shapes_matlab, hdf5.read_matlab, hdf5.stream_matlab, counts_from=1)
HDF5 = Container(".h5", hdf5.shapes_plain, hdf5.read_plain, hdf5.stream_plain)
TEXT = Container("text", text.shapes, text.read)
ARROW = Container(".parquet", arrow.shapes, arrow.read)
TENSORS = Container(".pt", tensors.shapes, tensors.read)
SAFE = Container(".safetensors", tensors.safe_shapes, tensors.safe_read)

HDF5_SUFFIXES = (".h5", ".hdf5", ".h5py", ".hdf", ".he5", ".hd5")
BY_SUFFIX = {  # for a file whose first bytes say nothing
    ".npy": NPY,
    ".npz": NPZ,
    ".mat": MATLAB,
    **dict.fromkeys(HDF5_SUFFIXES, HDF5),
    **dict.fromkeys(text.SUFFIXES, TEXT),
    **dict.fromkeys(arrow.SUFFIXES, ARROW),
    **dict.fromkeys(tensors.SUFFIXES, TENSORS),
    ".safetensors": SAFE,
}
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first bytes of torch's files before 1.6
PICKLES = (".pkl", ".pickle", ".p", ".joblib")
SUFFIXES = (*BY_SUFFIX, *PICKLES)
RAW = (".dat", ".bin", ".raw", ".memmap", ".mmap")  # of numpy.memmap and tofile, without a header


def container(path: Path) -> Container:
    """How to read a file, by its content; :class:`DataError` for what holds no arrays."""
    with path.open("rb") as stream:
        start = stream.read(512)
    refuse_stranger(path, start)
    if start.startswith(b"PK"):
        return _of_zip(path)
    known = _of_magic(path, start)
    if known is not None:
        return known
    suffix = path.suffix.lower()
    protocol = start[:1] == b"\x80" and start[1:2] in (b"\2", b"\3", b"\4", b"\5")
    if suffix in PICKLES or (protocol and suffix not in tensors.SUFFIXES):
        raise _pickled(path)
    if suffix not in BY_SUFFIX:
        raise DataError(f"{path}: cannot read this kind of file; {EXPECTED}. {_conversion(path)}")
    return BY_SUFFIX[suffix]


def is_container(path: Path) -> bool:
    """Whether the first bytes are those of a container, for files with an unusual suffix or none."""
    with path.open("rb") as stream:
        return _of_magic(path, stream.read(512)) is not None


def _of_magic(path: Path, start: bytes) -> Container | None:
    if start.startswith(b"\x93NUMPY"):
        return NPY
    if start.startswith(b"MATLAB 5"):
        return MATLAB
    if start.startswith((b"MATLAB 7", b"\x89HDF")) or hdf5.is_hdf5(path):
        return MATLAB73 if hdf5.is_matlab(path) else HDF5
    if start.startswith(LEGACY):
        return TENSORS
    return ARROW if start.startswith((b"PAR1", b"ARROW1")) else None


def _conversion(path: Path) -> str:
    if path.suffix.lower() in RAW:
        return (
            f"If it holds bare numbers, save them with their shape: np.save('{path.stem}.npy', "
            f"np.fromfile('{path.name}', np.float32).reshape(-1, COLUMNS))"
        )
    return "Convert it."


def _of_zip(path: Path) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return BY_SUFFIX.get(path.suffix.lower(), NPZ)  # whose reader says that it is truncated
    if any(name.endswith("data.pkl") for name in names):
        return TENSORS
    if names and all(name.endswith(".npy") for name in names):
        return NPZ
    if "xl/workbook.xml" in names:
        raise DataError(f"{path}: is an Excel workbook; {EXPECTED}. Save its sheet as .csv.")
    raise DataError(f"{path}: is a zip archive; expected the files in it. Unpack it, and give the folder.")


def _refuse_pickle(path: Path, name: str) -> Array:
    with path.open("rb") as stream:
        refuse_stranger(path, stream.read(512))
    raise _pickled(path)


def _pickled(path: Path) -> DataError:
    if path.suffix.lower() == ".joblib":
        module, load = "joblib", f"joblib.load('{path.name}')"
    else:  # latin1 reads the arrays of Python 2, and changes nothing else
        module, load = "pickle", f"pickle.load(open('{path.name}', 'rb'), encoding='latin1')"
    return DataError(
        f"{path}: is a Python pickle, which may run code when it is loaded and is never unpickled here; "
        f"{EXPECTED}. If you trust the file, convert it: import {module}, numpy as np; data = {load}; "
        f"np.savez('{path.stem}.npz', **(data if isinstance(data, dict) else {{'{path.stem}': data}}))"
    )


def _refuse_settings(path: Path, name: str) -> Array:
    module, load = ("json", "json.load") if path.suffix.lower() == ".json" else ("yaml", "yaml.safe_load")
    raise DataError(
        f"{path}: may define the queries, and is not read; expected their rows or names as .npy or .txt. "
        f"Save the list in it: import {module}, numpy as np; data = {load}(open('{path.name}')); "
        "np.save('query_index.npy', data['test'] if isinstance(data, dict) else data)"
    )


CLOSED = Container("pickle", lambda path: {path.stem: ()}, _refuse_pickle)  # listed, and never opened
SETTINGS = Container("settings", lambda path: {path.stem: ()}, _refuse_settings)
