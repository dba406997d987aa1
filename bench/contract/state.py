"""The learned state of a method as a tree of arrays and plain values, saved without pickle.

A file of state is a NumPy .npz whose entry ``tree`` is JSON and whose other entries are
the arrays it names. Loading runs no code: it makes arrays, plain values, and the
:class:`State` parts whose classes the method's own module has defined already.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, dataclass_transform

import numpy as np
import numpy.typing as npt

from bench.disk import reading, writing
from bench.errors import ContractError, FileError, StoreError

Tree = Any  # None, bool, int, float, str, ndarray, list, tuple, dict with str keys, State


@dataclass_transform(eq_default=False)
class State:
    """Base of the parts that a method's state is made of: running sums, scalers, factors.

    Subclasses are dataclasses without being decorated, and their fields are the state.
    """

    known: ClassVar[dict[str, type[State]]] = {}

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(eq=False)(cls)
        State.known[_name(cls)] = cls


def fields(part: State) -> dict[str, Tree]:
    """The fields of a part, by name."""
    declared = dataclasses.fields(part)  # type: ignore[arg-type]
    return {f.name: getattr(part, f.name) for f in declared}


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def nbytes(tree: Tree) -> int:
    """Bytes that the state takes: its arrays, the characters of strings, 8 for any other value."""
    if isinstance(tree, (np.ndarray, np.generic)):
        return int(tree.nbytes)
    if isinstance(tree, State):
        return sum(nbytes(value) for value in fields(tree).values())
    if isinstance(tree, Mapping):
        return sum(nbytes(v) for v in tree.values())
    if isinstance(tree, (list, tuple)):
        return sum(nbytes(v) for v in tree)
    return len(tree) if isinstance(tree, str) else 8


def copy(tree: Tree) -> Tree:
    """A deep copy that shares no array with ``tree``."""
    arrays: list[Any] = []
    described = _describe(tree, arrays, "state")
    return _build(described, lambda i: arrays[i].copy(order="K"))


def save(path: Path, tree: Tree) -> None:
    """Write ``tree`` to ``path``, completely or not at all; raises OSError."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            _write(stream, tree)

    writing.replace(path, write)


def load(path: Path, fix: str = "Save it again.") -> Tree:
    """Read what :func:`save` wrote; raises StoreError for anything else, with the ``fix``."""
    try:
        with reading.open_regular(path) as stream:
            return _read(stream)
    except Exception as error:  # what anybody wrote can raise anything
        reason = error.reason if isinstance(error, FileError) else error
        raise StoreError(f"{path}: not a file of saved state ({reason}). {fix}") from error


def packed(tree: Tree) -> npt.NDArray[np.uint8]:
    """The bytes of the file that :func:`save` would write."""
    stream = io.BytesIO()
    _write(stream, tree)
    return np.frombuffer(stream.getbuffer(), np.uint8)


def unpacked(content: npt.NDArray[np.uint8]) -> Tree:
    """The tree that :func:`packed` was given; raises StoreError for other bytes."""
    try:
        return _read(io.BytesIO(content.tobytes()))
    except Exception as error:  # what anybody wrote can raise anything
        raise StoreError(f"the state of a method cannot be read ({error}).") from error


def _write(stream: IO[bytes], tree: Tree) -> None:
    arrays: list[Any] = []
    text = json.dumps(_describe(tree, arrays, "state"))
    np.savez(stream, tree=np.array(text), **{f"a{i}": a for i, a in enumerate(arrays)})


def _read(stream: IO[bytes]) -> Tree:
    with zipfile.ZipFile(stream) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed")  # and may unpack to any size
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        return _build(json.loads(str(stored["tree"])), lambda i: stored[f"a{i}"])


def _describe(tree: Tree, arrays: list[Any], where: str) -> Any:
    """JSON for ``tree``; its arrays go to ``arrays`` and are named by their position."""
    if isinstance(tree, (np.ndarray, np.generic)) and not tree.dtype.hasobject:
        # A NumPy number keeps its type: as a plain float it would promote other arrays differently.
        arrays.append(np.asarray(tree))
        return {"array" if isinstance(tree, np.ndarray) else "scalar": len(arrays) - 1}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    if isinstance(tree, State):
        return {"state": _name(type(tree)), "fields": _describe(fields(tree), arrays, where)}
    if isinstance(tree, Mapping) and all(isinstance(k, str) for k in tree):
        return {"dict": {k: _describe(v, arrays, f"{where}[{k!r}]") for k, v in tree.items()}}
    if isinstance(tree, (list, tuple)):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_describe(v, arrays, f"{where}[{i}]") for i, v in enumerate(tree)]}
    kind = "array of objects" if isinstance(tree, np.ndarray) else type(tree).__name__
    raise ContractError(
        f"{where} is a {kind}; state must be arrays, numbers, strings, lists, dicts with "
        "string keys or bench.api.State parts. Keep anything else in an attribute that does not end in '_'."
    )


def _build(described: Any, array: Callable[[int], Any]) -> Tree:
    if not isinstance(described, dict):
        return described
    (kind, content), *rest = described.items()
    if kind == "array":
        return array(content)
    if kind == "scalar":
        return array(content)[()]
    if kind == "dict":
        return {k: _build(v, array) for k, v in content.items()}
    if kind in ("list", "tuple"):
        values = [_build(v, array) for v in content]
        return values if kind == "list" else tuple(values)
    cls = State.known.get(content)
    if kind != "state" or cls is None:
        raise StoreError(f"saved state names the part {content!r}, which no loaded method defines.")
    return cls(**_build(rest[0][1], array))
