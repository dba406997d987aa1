"""The items as a method sees them: only those that have arrived, and only what the method declared.

The guards are absences: a chunk has no labels for a method that did not declare them, a batch
holds one modality and no views, the rows of later rounds are never in memory that a method is
handed, and query rows come only to :meth:`Method.encode`. A method runs in a process of its own, to
which nothing else is sent (:mod:`bench.running.hosts`), unless ``--in-process`` leaves it in this one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bench.contract.blocks import gather
from bench.contract.items import MODALITIES, Batch, Chunk, Features, Labels, Modality, Rows, Split
from bench.contract.method import Capabilities, Method
from bench.contract.pictures import Pictures
from bench.contract.shared import Shared
from bench.protocol.outputs import validate_codes, validate_query, validate_vectors
from bench.protocol.stream import Withheld
from bench.records import RunSpec
from bench.scoring import hamming
from bench.scoring.cosine import pack_vectors

Output = npt.NDArray[Any]  # what encode() gives: Codes, or float32 (n, k) of a real-valued method
Packed = npt.NDArray[Any]  # packed codes, uint64 (words, items), or vectors, float32 (k, items)
Empty = Callable[[tuple[int, ...], np.dtype[Any]], npt.NDArray[Any]]  # a new array of a shape and type
_NOTHING = Withheld()
_BLOCK = 4096  # rows encoded at a time: bounds memory whatever the size of the database
_ASKED = 512  # queries at a time: one may be 32 kB of tables at 256 bits


class Hasher(Protocol):
    """A method, in this process or another, as far as an index needs it."""

    bits: int

    @property
    def capabilities(self) -> Capabilities: ...
    def encode(self, batch: Batch, modality: Modality) -> Output: ...
    def encode_query(self, batch: Batch, modality: Modality) -> Features: ...
    def encode_database(self, chunk: Chunk, modality: Modality) -> Output: ...
    def update_database(self, modality: Modality) -> Output | None: ...


def shown(
    train: Split,
    rows: Rows,
    needs: Capabilities,
    withheld: Withheld = _NOTHING,
    kept: Path | None = None,
    empty: Empty = np.empty,
) -> Split:
    """Rows of the training split as a method may see them: read-only copies, labels if declared.

    The plain features of the modality stand in for a view that the dataset lacks. A withheld label
    is a row of zeros; so is a withheld modality, and ``absent`` says where. ``kept`` is the folder
    for values that other runs can use again. ``empty`` gives the memory of the copies.
    """
    labels, ids = None, _frozen(train.ids, rows)
    if needs.supervised and train.labels is not None:
        labels = seen_labels(train.labels, rows, withheld, empty)
    image, text = (
        _visible(
            train.batch(m).seen_as(needs.encodes),
            rows,
            needs,
            None if withheld.absent is None else _frozen(withheld.absent[m], rows),
            empty,
        )
        for m in MODALITIES
    )
    return Split(
        image=image,
        text=text,
        labels=labels,
        ids=ids,
        classes=train.classes if needs.class_names else (),
        parents=train.parents if needs.parents else (),
        validation=_validation(ids, needs.validation),
        shared=Shared(kept),
    )


def chunk(
    train: Split,
    rows: Rows,
    needs: Capabilities,
    round_: int,
    withheld: Withheld = _NOTHING,
    kept: Path | None = None,
    empty: Empty = np.empty,
) -> Chunk:
    """The chunk of one round, as :func:`shown`."""
    return as_chunk(shown(train, rows, needs, withheld, kept, empty), round_)


def as_chunk(split: Split, round_: int) -> Chunk:
    """The items as the chunk of a round."""
    return Chunk(**{f.name: getattr(split, f.name) for f in fields(split)}, round=round_)


def stand_ins(train: Split, needs: Capabilities) -> list[str]:
    """Notes for the record on features that take the place of others."""
    notes = [f"hashes {needs.encodes!r} features at query time"] if needs.encodes else []
    for view in needs.views:
        lacking = [m for m in MODALITIES if view not in train.batch(m).views]
        if lacking:
            notes.append(f"no {view!r} view of {' and '.join(lacking)}: the plain features stand in")
    return notes


def encode(method: Hasher, items: Split, modality: Modality, rows: Rows | None = None) -> Output:
    """Codes (n, bits) of items through one modality, checked; views are withheld.

    An oracle sees the labels as well, a fused method both modalities, and a method that ``encodes`` a
    view sees that view as the features; every table says so.
    """
    return np.concatenate(list(_encoded(method, items, modality, rows)))


def encode_packed(method: Hasher, items: Split, modality: Modality, rows: Rows | None = None) -> Packed:
    """The same as the index stores it; packed block by block, since codes of one byte a bit fill memory."""
    parts = [pack(method, codes) for codes in _encoded(method, items, modality, rows)]
    return np.concatenate(parts, axis=1)


def _encoded(method: Hasher, items: Split, modality: Modality, rows: Rows | None) -> Iterator[Output]:
    for batch in batches(method, items, modality, rows):
        yield checked(method, method.encode(batch, modality), len(batch), "encode")


def encode_query(method: Hasher, items: Split, modality: Modality, rows: Rows | None = None) -> Features:
    """The numbers of queries for a method with a distance of its own, in blocks, checked; views as above."""
    asked = batches(method, items, modality, rows, most=_ASKED)
    return np.concatenate([checked_query(method, method.encode_query(b, modality), len(b)) for b in asked])


def batches(
    method: Hasher, items: Split, modality: Modality, rows: Rows | None = None, *, most: int = _BLOCK
) -> Iterator[Batch]:
    """Items as ``encode`` gets them, ``most`` at a time."""
    seen = items.batch(modality).seen_as(method.capabilities.encodes)
    empty: Empty = getattr(method, "empty", np.empty)
    total = len(items) if rows is None else len(rows)
    for start in range(0, total, most):
        stop = min(start + most, total)
        block = slice(start, stop) if rows is None else rows[start:stop]
        views: dict[str, Features] = {}
        if method.capabilities.reference == "oracle" and items.labels is not None:
            views["labels"] = _frozen(items.labels[block].astype(np.float32))
        if method.capabilities.reference == "fused":
            views |= {m: _frozen(clip_or_plain(items.batch(m)), block, empty=empty) for m in MODALITIES}
        features = _frozen(seen.features, block, empty=empty)
        yield Batch(features, views, None, *raw(seen, block, method.capabilities))


def clip_or_plain(batch: Batch) -> Features:
    """The view ``clip``, or the features that stand in for it."""
    return batch.views.get("clip", batch.features)


def pack(method: Hasher, codes: Output) -> Packed:
    """Checked output of a method as the index stores it: a column for every item."""
    real_valued = method.capabilities.reference == "real-valued"
    return pack_vectors(codes) if real_valued else hamming.pack_codes(codes)


def _visible(
    items: Batch,
    rows: Rows,
    needs: Capabilities,
    absent: npt.NDArray[np.bool_] | None,
    empty: Empty,
) -> Batch:
    features = _frozen(items.features, rows, absent, empty)
    seen = {
        v: _frozen(items.views[v], rows, absent, empty) if v in items.views else features for v in needs.views
    }
    return Batch(features, seen, absent, *raw(items, rows, needs, absent))


def raw(
    items: Batch,
    rows: Rows | slice,
    needs: Capabilities,
    absent: npt.NDArray[np.bool_] | None = None,
) -> tuple[Pictures | None, tuple[str, ...] | None]:
    """The pictures and texts of rows, where declared and not ``absent``; nothing leads to those of others."""
    if not (needs.pictures or needs.texts):
        return None, None
    chosen = np.arange(len(items))[rows]
    lacking = np.zeros(len(chosen), dtype=bool) if absent is None else absent
    pictures, texts = None, None
    if needs.pictures and items.pictures is not None:
        pictures = items.pictures.take(chosen).without(lacking).alone()
    if needs.texts and items.texts is not None:
        texts = tuple("" if lacks else items.texts[i] for i, lacks in zip(chosen, lacking, strict=True))
    return pictures, texts


def seen_labels(labels: Labels, rows: Rows, withheld: Withheld, empty: Empty = np.empty) -> Labels:
    """The labels of rows as a supervised method sees them: wrong ones put in, withheld ones blanked."""
    blank = None if withheld.labels is None else withheld.labels[rows]
    if withheld.wrong is None:
        return _frozen(labels, rows, blank, empty)
    plain = _copied(np.asarray(labels), rows, np.empty)  # in memory that no method reads yet
    withheld.wrong.put(plain, rows)
    return _frozen(plain, blank=blank, empty=empty)


def _validation(ids: Rows, share: float) -> Rows | None:
    """Rows of a share of the items, in order; drawn by the items alone, so that all cells have the same."""
    if not share:
        return None
    rng = np.random.default_rng(zlib.crc32(ids.tobytes()))
    return _frozen(np.sort(rng.permutation(len(ids))[: round(share * len(ids))]))


def _frozen(
    array: npt.NDArray[Any],
    rows: Rows | slice = slice(None),
    blank: npt.NDArray[np.bool_] | None = None,
    empty: Empty = np.empty,
) -> npt.NDArray[Any]:
    """A read-only copy of rows in memory, never the memory map, with zeros in those that are ``blank``.

    The method's process may be able to read what ``empty`` gives, so that nothing is blanked there.
    """
    plain = _copied(np.asarray(array), rows, empty if blank is None else np.empty)
    if blank is not None:
        plain[blank] = 0
    plain.setflags(write=False)
    return plain


def _copied(array: npt.NDArray[Any], rows: Rows | slice, empty: Empty) -> npt.NDArray[Any]:
    if isinstance(rows, slice):
        part = array[rows]
        if not part.flags.c_contiguous:
            return np.array(part)  # in the same order
        copy = empty(part.shape, part.dtype)
        copy[...] = part
        return copy
    return gather(array, rows, empty((len(rows), *array.shape[1:]), array.dtype))


def checked(method: Hasher, codes: Any, rows: int, call: str) -> Output:
    """The output of a call to a method, which must be (rows, bits) codes or (rows, k) vectors."""
    owner = getattr(method, "owner", type(method).__name__)
    if method.capabilities.reference == "real-valued":
        return validate_vectors(codes, rows=rows, owner=owner, call=call)
    return validate_codes(codes, rows=rows, bits=method.bits, owner=owner, call=call)


def checked_query(method: Hasher, values: Any, rows: int) -> Features:
    """The output of ``encode_query()``, which must have the shape that the method's distance needs."""
    owner, distance = getattr(method, "owner", type(method).__name__), method.capabilities.distance
    return validate_query(values, rows=rows, bits=method.bits, distance=distance, owner=owner)


def skip_reason(cls: type[Method], train: Split, spec: RunSpec, *, no_pictures: str = "") -> str:
    """Why this cell cannot run, or ""; the reason is stored and shown.

    ``no_pictures`` is why the dataset has no pictures and texts at hand.
    """
    needs = cls.capabilities
    if train.labels is None:
        return "the dataset has no labels, so nothing says what is relevant to a query"
    if spec.labelled < 1 and needs.supervised and not needs.label_free:
        return "it needs the label of every item, and labelled is below 1"
    if spec.paired < 1 and not needs.partial:
        return "it needs both modalities of every item, and paired is below 1"
    if spec.schedule.order == "modal" and (reason := _alone(needs, spec)):
        return reason
    if spec.database == "learned" and not needs.learned_codes:
        return "training assigns it no database codes, so database=learned does not apply"
    rehashes = cls.update_database is not Method.update_database
    if spec.database == "learned" and spec.schedule.steps and rehashes:
        return "it re-hashes the learned codes of all items itself, and a runbook deletes some"
    if spec.rehash.startswith("trigger") and needs.distance != "hamming":
        return f"it compares by {needs.distance}, and rehash={spec.rehash} weighs Hamming distances"
    if spec.rehash.startswith(("budget", "trigger")) and needs.reference == "real-valued":
        return f"its real-valued vectors have no bits that rehash={spec.rehash} could count"
    lacking = [m for m in MODALITIES if needs.encodes and needs.encodes not in train.batch(m).views]
    if lacking:
        return f"the dataset has no {needs.encodes!r} view of {' and '.join(lacking)} for it to hash"
    if (needs.pictures and train.image.pictures is None) or (needs.texts and train.text.texts is None):
        reads = " and ".join(name for name in ("pictures", "texts") if getattr(needs, name))
        return f"it reads {reads}; {no_pictures or 'the dataset has features alone'}"
    return ""


def _alone(needs: Capabilities, spec: RunSpec) -> str:
    """Why a cell cannot run on a stream whose modalities arrive in turn, or ""."""
    if not needs.partial:
        return f"it needs both modalities of every item, and schedule={spec.schedule} shows one"
    if spec.paired < 1:
        return f"no item of schedule={spec.schedule} has both modalities, so paired below 1 does not apply"
    if spec.database == "learned":
        return (
            f"training on one modality assigns no codes to the other, and schedule={spec.schedule} shows one"
        )
    return ""
