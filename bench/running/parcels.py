"""Items as named arrays, to hand them to another process, and back.

Pictures go as a reader of these items alone, pickled: only a child unpickles, which runs foreign code anyway,
and nothing that a child sends is unpickled.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract.items import MODALITIES, Batch, Chunk, Split
from bench.contract.shared import Shared
from bench.isolation.channel import Arrays, Message
from bench.plugins import registry

Parcel = tuple[Arrays, dict[str, Any]]  # arrays, and values for JSON


def packed(items: Split | Batch) -> Parcel:
    """The arrays of items; one that stands in several places, as a view's stand-in does, goes once."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    same: dict[str, str] = {}
    known: dict[int, str] = {}
    for name, array in _named(items).items():
        if id(array) in known:
            same[name] = known[id(array)]
        else:
            arrays[name] = array
            known[id(array)] = name
    return arrays, {"same": same}


def batch(message: Message) -> Batch:
    """The items of one modality."""
    return _batch(_read_only(message), "batch")


def split(message: Message) -> Split:
    """A pool, or the chunk of a round."""
    arrays, kept, round_ = _read_only(message), message.values["kept"], message.values["round"]
    image, text = (_batch(arrays, m) for m in MODALITIES)
    shared = Shared(None if kept is None else Path(kept))
    parts: dict[str, Any] = {"image": image, "text": text, "shared": shared, "ids": arrays["ids"]}
    parts |= {"labels": arrays.get("labels"), "validation": arrays.get("validation")}
    parts |= {name: tuple(message.values[name]) for name in ("classes", "parents")}
    return Split(**parts) if round_ is None else Chunk(**parts, round=round_)


def _named(items: Split | Batch) -> dict[str, npt.NDArray[Any]]:
    if isinstance(items, Split):
        own = {name: getattr(items, name) for name in ("ids", "labels", "validation")}
        own = {name: array for name, array in own.items() if array is not None}
        return {**own, **{k: a for m in MODALITIES for k, a in _of_batch(items.batch(m), m).items()}}
    return _of_batch(items, "batch")


def _of_batch(items: Batch, owner: str) -> dict[str, npt.NDArray[Any]]:
    named: dict[str, npt.NDArray[Any]] = {f"{owner}/features": items.features}
    if items.absent is not None:
        named[f"{owner}/absent"] = items.absent
    if items.pictures is not None:
        named[f"{owner}/pictures"] = np.frombuffer(pickle.dumps(items.pictures), dtype=np.uint8)
    if items.texts is not None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in items.texts]
        named[f"{owner}/texts"] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        named[f"{owner}/ends"] = np.cumsum([0, *map(len, encoded)])
    return named | {f"{owner}/view/{name}": view for name, view in items.views.items()}


def _batch(arrays: Arrays, owner: str) -> Batch:
    head = f"{owner}/view/"
    views = {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}
    pictures = arrays.get(f"{owner}/pictures")
    return Batch(
        arrays[f"{owner}/features"],
        views,
        arrays.get(f"{owner}/absent"),
        None if pictures is None else _Unpickler(io.BytesIO(pictures.tobytes())).load(),
        _texts(arrays, owner),
    )


def _texts(arrays: Arrays, owner: str) -> tuple[str, ...] | None:
    ends = arrays.get(f"{owner}/ends")
    if ends is None:
        return None
    joined = arrays[f"{owner}/texts"].tobytes()
    return tuple(joined[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(ends.tolist()))


class _Unpickler(pickle.Unpickler):
    """Finds classes of --plugin files too, whose modules nobody can import by name."""

    def find_class(self, module: str, name: str) -> Any:
        return registry.member(module, name)


def _read_only(message: Message) -> dict[str, npt.NDArray[Any]]:
    arrays = dict(message.arrays)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays | {name: arrays[of] for name, of in _same(message).items()}


def _same(message: Message) -> Mapping[str, str]:
    same: Mapping[str, str] = message.values["same"]
    return same
