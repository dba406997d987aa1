"""The arrays of a file, or of all files of a folder, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bench.api import DataError
from bench.datasets import _pictures
from bench.datasets._reading import arrow, content, strangers, text
from bench.datasets._reading.variable import AnyVariable, SparseRows, Variable, reading, strings
from bench.datasets._words import meaning, speaks_of_split

SETTINGS = (".json", ".yaml", ".yml")
PROGRAMS = (".py", ".m", ".md", ".sh", ".log", ".ipynb", *SETTINGS)
OTHERS = (  # suffixes of files that a folder may hold besides arrays
    *_pictures.SUFFIXES,
    *PROGRAMS,
    *(".zip", ".tar", ".gz", ".tgz", ".rar", ".7z", ".html", ".xml", ".pdf", ".eng"),
)


def variables(path: Path) -> dict[str, AnyVariable]:
    """The arrays of a file, or of all files in a folder, by name; reads only headers.

    An .npy or text file holds one array, named like the file. In a folder each array is also called
    ``file/name``, and has its bare name only if no other file uses it.
    """
    if path.is_dir():
        return _of_folder(path)
    refuse_broken_link(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file or folder; expected a folder of .npy files, an .npz or a .mat. "
            "Give the path relative to --data-root, or an absolute one."
        )
    return _of_file(path)


def data_files(folder: Path) -> list[Path]:
    """The files of a folder that hold arrays or, if it has none, those of its subfolders.

    Hidden files are left out, and of the shards of a split all but the first.
    """

    def among(paths: Iterable[Path]) -> list[Path]:
        files = sorted(path for path in paths if is_data(path))
        beside = {path.parent for path in files}
        files += sorted(path for folder in beside for path in folder.iterdir() if _is_closed_split(path))
        return [p for p in files if p.suffix not in arrow.SUFFIXES or arrow.shards(p)[0] == p]

    return among(folder.iterdir()) or among(folder.glob("*/*"))


def refuse_left_out(folder: Path, roles: Iterable[str]) -> None:
    """Raise the reason why a file that bears the name of one of these roles is not read: labels.json."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        said = meaning(path.name.partition(".")[0]).role
        if said not in roles or path.is_dir() or is_data(path) or path.suffix.lower() in _pictures.SUFFIXES:
            continue
        refuse_broken_link(path)
        with reading(path):
            content.container(path)
        raise DataError(f"{path}: is not read, by its name; {strangers.EXPECTED}. Name it so.")


def refuse_broken_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise DataError(
            f"{path}: is a link to {path.readlink()}, which does not exist; expected a file or folder. "
            "Correct the link, or copy the file in its place."
        )


def is_data(path: Path) -> bool:
    """Whether a file may hold arrays, by its suffix or else its first bytes."""
    hidden = path.name.startswith(".") or path.parent.name in ("__MACOSX", "views")
    suffix = path.suffix.lower()
    if hidden or suffix in OTHERS or not path.is_file():
        return False
    return suffix in content.SUFFIXES or content.is_container(path)


def item_names(variable: AnyVariable) -> list[str] | None:
    """The names that a list of items holds, in a vector of text or in the first column; None for numbers."""
    if isinstance(variable, Variable) and variable.container is content.TEXT:
        return text.names(variable.path)
    stored = variable.read() if max(variable.shape, default=0) == np.prod(variable.shape) else None
    return strings(variable) if stored is not None and stored.dtype.kind in "UO" else None


def item_column(variable: AnyVariable) -> list[str] | None:
    """The names or numbers of items in a column of a text table; None for anything else."""
    is_table = isinstance(variable, Variable) and variable.container is content.TEXT
    return text.items(variable.path) if is_table else None


def _is_closed_split(path: Path) -> bool:
    """Whether a text that is not read may define the queries, by its name: test_idx.json, split.yaml."""
    return path.suffix.lower() in SETTINGS and not path.name.startswith(".") and speaks_of_split(path.stem)


def _of_file(path: Path) -> dict[str, AnyVariable]:
    with reading(path):
        kind = content.container(path)
        shapes = kind.shapes(path)
    dense: dict[str, AnyVariable] = {name: Variable(path, name, s, kind) for name, s in shapes.items()}
    return {**dense, **_sparse(path, dense)}


def _of_folder(folder: Path) -> dict[str, AnyVariable]:
    files = data_files(folder)
    if not files:
        refuse_strangers(folder.iterdir())
        raise DataError(f"{folder}: holds no data files; {strangers.EXPECTED}. Put them there.")
    return side_by_side(folder, files)


def side_by_side(folder: Path, files: list[Path]) -> dict[str, AnyVariable]:
    """The arrays of several files below ``folder``; a text file leaves its name to another container."""
    by_file = {file: _listed(file) for file in files}
    binary = Counter(n for file, named in by_file.items() if not _is_text(file) for n in named)
    texts = Counter(n for file, named in by_file.items() if _is_text(file) for n in named)
    bare = {
        name: variable
        for file, named in by_file.items()
        for name, variable in named.items()
        if (texts[name] == 1 and not binary[name] if _is_text(file) else binary[name] == 1)
    }
    bare.update(_sparse(folder, {n: v for n, v in bare.items() if isinstance(v, Variable)}))
    qualified = {
        f"{_label(folder, file)}/{n}": v for file, named in by_file.items() for n, v in named.items()
    }
    return {**qualified, **bare}


def _label(folder: Path, file: Path) -> str:
    """The file's name; the split of a shard, or the file's path below the folder."""
    split = arrow.split_of(file) if file.suffix in arrow.SUFFIXES else ""
    if split:
        return file.parent.name if split == "data" else split
    return file.relative_to(folder).as_posix()


def _listed(file: Path) -> dict[str, AnyVariable]:
    """The arrays of a file of a folder; a pickle or a split in JSON is refused only if it is needed."""
    if file.suffix.lower() in (*content.PICKLES, *SETTINGS):
        kind = content.CLOSED if file.suffix.lower() in content.PICKLES else content.SETTINGS
        return {file.stem: Variable(file, file.stem, (), kind)}
    return _of_file(file)


def _is_text(file: Path) -> bool:
    return file.suffix.lower() in text.SUFFIXES


def refuse_strangers(paths: Iterable[Path]) -> None:
    """Raise the reason why the first of these files is not read, such as an archive."""
    for path in sorted(paths):
        others = (*_pictures.SUFFIXES, *PROGRAMS)
        if path.is_file() and not path.name.startswith(".") and path.suffix.lower() not in others:
            content.container(path)


def _sparse(path: Path, named: Mapping[str, AnyVariable]) -> dict[str, AnyVariable]:
    """The matrices whose CSR parts are among ``named``; as wide as their vocabulary, if that is known."""
    sparse: dict[str, AnyVariable] = {}
    for full in (n for n in named if n.endswith(("_indptr", "/indptr"))):
        name, mark = full[: -len("_indptr")], full[-len("_indptr")]
        parts = {p: named.get(f"{name}{mark}{p}") for p in ("indptr", "indices", "data")}
        plain = {p: v for p, v in parts.items() if isinstance(v, Variable)}
        if name in named or "indices" not in plain:
            continue
        vocabulary, shape = named.get(f"{name}_vocab"), named.get(f"{name}{mark}shape")
        if shape is not None:
            width = int(shape.read().ravel()[-1])
        elif vocabulary is not None:
            width = int(np.prod(vocabulary.shape))
        else:
            width = int(plain["indices"].read().max(initial=-1)) + 1
        rows = int(np.prod(plain["indptr"].shape)) - 1
        sparse[name] = SparseRows(plain["indptr"].path if path.is_dir() else path, name, (rows, width), plain)
    return sparse
