"""Items as named arrays, to hand them to another process, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from bench.contract.items import MODALITIES, Batch, Chunk, Split
from bench.contract.shared import Shared
from bench.isolation.channel import Arrays, Message

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
    parts = {"image": image, "text": text, "labels": arrays.get("labels"), "ids": arrays["ids"]}
    if round_ is None:
        return Split(**parts, shared=shared)  # type: ignore[arg-type]
    return Chunk(**parts, shared=shared, round=round_)  # type: ignore[arg-type]


def _named(items: Split | Batch) -> dict[str, npt.NDArray[Any]]:
    if isinstance(items, Split):
        own = {"ids": items.ids} | ({} if items.labels is None else {"labels": items.labels})
        return {**own, **{k: a for m in MODALITIES for k, a in _of_batch(items.batch(m), m).items()}}
    return _of_batch(items, "batch")


def _of_batch(items: Batch, owner: str) -> dict[str, npt.NDArray[Any]]:
    named: dict[str, npt.NDArray[Any]] = {f"{owner}/features": items.features}
    if items.absent is not None:
        named[f"{owner}/absent"] = items.absent
    return named | {f"{owner}/view/{name}": view for name, view in items.views.items()}


def _batch(arrays: Arrays, owner: str) -> Batch:
    head = f"{owner}/view/"
    views = {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}
    return Batch(arrays[f"{owner}/features"], views, arrays.get(f"{owner}/absent"))


def _read_only(message: Message) -> dict[str, npt.NDArray[Any]]:
    arrays = dict(message.arrays)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays | {name: arrays[of] for name, of in _same(message).items()}


def _same(message: Message) -> Mapping[str, str]:
    same: Mapping[str, str] = message.values["same"]
    return same
