"""What a method is shown, and whose codes the database holds. No plugin can get around this file.

The guards are absences: a chunk has no labels for a method that did not declare them, a batch
holds one modality and no views, the rows of later rounds are never in memory that a method is
handed, and query rows come only to :meth:`Method.encode`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Features, Method, Modality, Rows, Split
from bench.clock import Clock
from bench.outputs import validate_codes, validate_vectors
from bench.plugins.shared import Shared
from bench.records import Database, RunSpec
from bench.scoring import hamming
from bench.scoring.cosine import pack_vectors
from bench.stream import Withheld

Output = npt.NDArray[Any]  # what encode() gives: Codes, or float32 (n, k) of a real-valued method
Stored = npt.NDArray[Any]  # packed codes, uint64 (words, items), or vectors, float32 (k, items)
_NOTHING = Withheld()
_BLOCK = 4096  # rows encoded at a time: bounds memory whatever the size of the database


def shown(
    train: Split, rows: Rows, needs: Capabilities, withheld: Withheld = _NOTHING, kept: Path | None = None
) -> Split:
    """Rows of the training split as a method may see them: read-only copies, labels if declared.

    A view that the dataset lacks is stood in for by the plain features of the modality. A label
    that is withheld is a row of zeros; so is a modality, and ``absent`` says where. ``kept`` is the
    folder for what other runs can use again.
    """
    labels = None
    if needs.supervised and train.labels is not None:
        labels = _frozen(train.labels[rows], None if withheld.labels is None else withheld.labels[rows])
    image, text = (
        _visible(
            train.batch(m).seen_as(needs.encodes),
            rows,
            needs.views,
            None if withheld.absent is None else _frozen(withheld.absent[m][rows]),
        )
        for m in MODALITIES
    )
    ids = _frozen(train.ids[rows])
    return Split(image=image, text=text, labels=labels, ids=ids, shared=Shared(kept))


def chunk(
    train: Split,
    rows: Rows,
    needs: Capabilities,
    round_: int,
    withheld: Withheld = _NOTHING,
    kept: Path | None = None,
) -> Chunk:
    """The chunk of one round, as :func:`shown`."""
    split = shown(train, rows, needs, withheld, kept)
    return Chunk(**{f.name: getattr(split, f.name) for f in fields(split)}, round=round_)


def stand_ins(train: Split, needs: Capabilities) -> list[str]:
    """Which features take the place of others, in words for the record."""
    notes = [f"hashes {needs.encodes!r} features at query time"] if needs.encodes else []
    for view in needs.views:
        lacking = [m for m in MODALITIES if view not in train.batch(m).views]
        if lacking:
            notes.append(f"no {view!r} view of {' and '.join(lacking)}: the plain features stand in")
    return notes


def encode(method: Method, items: Split, modality: Modality, rows: Rows | None = None) -> Output:
    """Codes (n, bits) of items through one modality, in blocks, checked; views are withheld.

    An oracle is shown the labels as well, a fused one both modalities, and a method that ``encodes`` a
    view is shown that view as the features: all of it is said in every table.
    """
    seen = items.batch(modality).seen_as(method.capabilities.encodes)
    total = len(items) if rows is None else len(rows)
    parts = []
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        block = slice(start, stop) if rows is None else rows[start:stop]
        views: dict[str, Features] = {}
        if method.capabilities.oracle and items.labels is not None:
            views["labels"] = _frozen(items.labels[block].astype(np.float32))
        if method.capabilities.fused:
            views |= {m: _frozen(clip_or_plain(items.batch(m))[block]) for m in MODALITIES}
        batch = Batch(_frozen(seen.features[block]), views)
        parts.append(_checked(method, method.encode(batch, modality), stop - start, "encode"))
    return np.concatenate(parts)


def clip_or_plain(batch: Batch) -> Features:
    """The view ``clip``, or the features that stand in for it."""
    return batch.views.get("clip", batch.features)


def pack(method: Method, codes: Output) -> Stored:
    """Checked output of a method as the index stores it: a column for every item."""
    return pack_vectors(codes) if method.capabilities.real_valued else hamming.pack_codes(codes)


def _visible(items: Batch, rows: Rows, views: tuple[str, ...], absent: npt.NDArray[np.bool_] | None) -> Batch:
    features = _frozen(items.features[rows], absent)
    seen = {v: _frozen(items.views[v][rows], absent) if v in items.views else features for v in views}
    return Batch(features, seen, absent)


def _frozen(array: npt.NDArray[Any], blank: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
    """A read-only copy in memory, never the memory map, with zeros in the rows that are ``blank``."""
    plain = np.array(array)
    if blank is not None:
        plain[blank] = 0
    plain.setflags(write=False)
    return plain


def _checked(method: Method, codes: Any, rows: int, call: str) -> Output:
    owner = type(method).__name__
    if method.capabilities.real_valued:
        return validate_vectors(codes, rows=rows, owner=owner, call=call)
    return validate_codes(codes, rows=rows, bits=method.bits, owner=owner, call=call)


@dataclass
class Index:
    """Database codes of all items so far, packed, for both modalities, in order of arrival.

    ``mode`` decides whose codes they are (:data:`bench.records.DATABASES`). ``rewritten`` counts
    the stored bits that changed since the evaluation before; None where nothing could change.
    """

    mode: Database
    train: Split
    clock: Clock
    rows: Rows = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    packed: dict[Modality, Stored] = field(default_factory=dict)
    rewritten: int | None = None

    def arrive(self, method: Method, arrived: Chunk, rows: Rows, *, refit: bool = False) -> None:
        """Take in the items of the chunk just fitted; after a ``refit`` the old ones come first."""
        known = len(self.rows) if refit else 0
        new = rows[known:]
        self.rows = np.concatenate([self.rows, new])
        if self.mode == "reindexed":
            return  # refresh() encodes them with everything else
        for modality in MODALITIES:
            with self.clock.measure("encode_database"):
                if self.mode == "learned":
                    codes = method.encode_database(arrived, modality)
                    codes = _checked(method, codes, len(rows), "encode_database")
                else:
                    codes = encode(method, self.train, modality, new)
            if self.mode == "learned" and known:
                self._replace(modality, pack(method, codes))
            else:
                self._append(modality, pack(method, codes))

    def refresh(self, method: Method) -> None:
        """Bring the index up to date before an evaluation; its cost is the rehash cost."""
        if self.mode == "reindexed":
            known = next(iter(self.packed.values())).shape[1] if self.packed else 0
            for modality in MODALITIES:
                self._reindex(method, modality, known)
        elif self.mode == "learned":
            for modality in MODALITIES:
                with self.clock.measure("rehash"):
                    codes = method.update_database(modality)
                if codes is not None:
                    codes = _checked(method, codes, len(self.rows), "update_database")
                    self._replace(modality, pack(method, codes))

    def _reindex(self, method: Method, modality: Modality, known: int) -> None:
        with self.clock.measure("rehash"):
            old = encode(method, self.train, modality, self.rows[:known]) if known else None
        with self.clock.measure("encode_database"):
            new = encode(method, self.train, modality, self.rows[known:])
        self._replace(modality, pack(method, new if old is None else np.concatenate([old, new])))

    def _append(self, modality: Modality, new: Stored) -> None:
        old = self.packed.get(modality)
        self.packed[modality] = new if old is None else np.concatenate([old, new], axis=1)

    def _replace(self, modality: Modality, new: Stored) -> None:
        """Store ``new`` and count the bits that changed of the items that were stored before."""
        old = self.packed.get(modality)
        self.packed[modality] = new
        if old is not None and new.dtype == np.uint64:
            changed = np.bitwise_count(old ^ new[:, : old.shape[1]]).sum(dtype=np.int64)
            self.rewritten = (self.rewritten or 0) + int(changed)


def skip_reason(cls: type[Method], train: Split, spec: RunSpec) -> str:
    """Why this cell cannot run, or "". The reason is stored, shown and counted."""
    needs = cls.capabilities
    if train.labels is None:
        return "the dataset has no labels, so nothing says what is relevant to a query"
    if spec.labelled < 1 and needs.supervised and not needs.label_free:
        return "it needs the label of every item, and labelled is below 1"
    if spec.paired < 1 and not needs.partial:
        return "it needs both modalities of every item, and paired is below 1"
    if spec.database == "learned" and not needs.learned_codes:
        return "training assigns it no database codes, so database=learned does not apply"
    lacking = [m for m in MODALITIES if needs.encodes and needs.encodes not in train.batch(m).views]
    if lacking:
        return f"the dataset has no {needs.encodes!r} view of {' and '.join(lacking)} for it to hash"
    return ""
