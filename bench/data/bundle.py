"""Exports a dataset to one file with the usual names: I_tr, T_tr, L_tr, I_te, T_te, L_te, and its views.

`files[path=...]` reads all three formats back, including the view ``clip``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.dataset import Dataset
from bench.disk import writing
from bench.errors import DataError, ParameterError, StoreError

Content = Mapping[str, npt.NDArray[Any]]
LARGEST = 2**31  # bytes of one variable in a v5 .mat


def write(dataset: Dataset, path: Path, kind: str) -> dict[str, tuple[int, ...]]:
    """Write ``dataset`` to ``path`` as ``npz``, ``mat`` or ``h5``; returns the shape of every variable."""
    if path.suffix.lower() != f".{kind}":
        raise ParameterError(f"{path}: has another suffix; expected .{kind}. Change --out or --to.")
    arrays = variables(dataset)
    too_large = [name for name, x in arrays.items() if x.nbytes >= LARGEST]
    if kind == "mat" and too_large:
        raise DataError(f"{path}: {too_large[0]} exceeds the 2 GB that a .mat variable holds. Use --to h5.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.replace(path, lambda temporary: _WRITERS[kind](temporary, arrays))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}). Choose another --out."
        ) from error
    return {name: x.shape for name, x in arrays.items()}


def variables(dataset: Dataset) -> dict[str, npt.NDArray[Any]]:
    """The arrays under their usual names; the view ``clip`` of the training images is ``I_tr_clip``.

    A time column, of the training items, has its own name: ``files[path=...,times=year]`` reads it.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for part, split in (("tr", dataset.train), ("te", dataset.query)):
        for letter, batch in (("I", split.image), ("T", split.text)):
            arrays[f"{letter}_{part}"] = batch.features
            arrays |= {f"{letter}_{part}_{view}": x for view, x in sorted(batch.views.items())}
        assert split.labels is not None
        arrays[f"L_{part}"] = split.labels
        arrays[f"ids_{part}"] = split.ids
    names = {"classes": dataset.classes, "parents": dataset.parents}
    return arrays | {k: np.array(v) for k, v in names.items() if v} | dict(dataset.times)


def _npz(path: Path, arrays: Content) -> None:
    with path.open("wb") as file:  # given a path that ends with .NPZ, savez would append .npz
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _mat(path: Path, arrays: Content) -> None:
    import scipy.io

    scipy.io.savemat(path, dict(arrays), appendmat=False)


def _h5(path: Path, arrays: Content) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, x in arrays.items():
            text = x.dtype.kind == "U"
            file.create_dataset(
                name, data=x.astype(object) if text else x, dtype=h5py.string_dtype() if text else None
            )


_WRITERS: dict[str, Callable[[Path, Content], None]] = {"npz": _npz, "mat": _mat, "h5": _h5}
