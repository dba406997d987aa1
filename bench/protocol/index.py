"""The database: whose codes it holds, and how many of its bits an update rewrites."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bench.contract.items import MODALITIES, Chunk, Modality, Rows, Split
from bench.protocol.clock import Clock
from bench.protocol.shown import Hasher, Packed, checked, encode_packed, pack
from bench.records import Database


@dataclass
class Index:
    """Database codes of items, packed, for both modalities, in order of arrival.

    Items that methods are trained on and items that they never see have an index each. ``mode`` decides
    whose codes they are (:data:`bench.records.DATABASES`). ``rewritten`` counts the stored bits that
    changed since the evaluation before; None where nothing could change. ``written`` is the round in which
    the code of each item was made, where codes are ``frozen`` until :meth:`rehash`.
    """

    mode: Database
    train: Split
    clock: Clock
    packed: dict[Modality, Packed] = field(default_factory=dict)
    rewritten: int | None = None
    _rows: list[Rows] = field(default_factory=list)
    _written: list[Rows] = field(default_factory=list)

    @property
    def rows(self) -> Rows:
        """Rows of all items."""
        return _joined(self._rows)

    @rows.setter
    def rows(self, rows: Rows) -> None:
        self._rows = [rows]

    @property
    def written(self) -> Rows:
        """The round of every item's code."""
        return _joined(self._written)

    @written.setter
    def written(self, rounds: Rows) -> None:
        self._written = [rounds]

    def arrive(
        self, method: Hasher, arrived: Chunk | None, rows: Rows, round_: int, *, refit: bool = False
    ) -> None:
        """Take in the items of the chunk just fitted; after a ``refit`` the old ones come first.

        ``arrived`` is None where no method is trained on any of them.
        """
        known = len(self.rows) if refit else 0
        new = rows[known:]
        self._rows.append(new)
        self._written.append(np.full(len(new), round_, dtype=np.intp))
        if self.mode == "reindexed" or not len(new):
            return  # refresh() encodes them with everything else
        for modality in MODALITIES:
            with self.clock.measure("encode_database"):
                if self.mode == "learned" and arrived is not None:
                    codes = method.encode_database(arrived, modality)
                    packed = pack(method, checked(method, codes, len(rows), "encode_database"))
                else:
                    packed = encode_packed(method, self.train, modality, new)
            if self.mode == "learned" and known:
                self._replace(modality, packed)
            else:
                self._append(modality, packed)

    def drop(self, rows: Rows) -> None:
        """Take items out, with their codes; rows that are not in the index are ignored."""
        stay = ~np.isin(self.rows, rows)
        if stay.all():
            return
        for modality, codes in self.packed.items():  # of the items that have codes so far
            self.packed[modality] = np.ascontiguousarray(codes[:, stay[: codes.shape[1]]])
        self.rows, self.written = self.rows[stay], self.written[stay]

    def refresh(self, method: Hasher) -> None:
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
                    codes = checked(method, codes, len(self.rows), "update_database")
                    self._replace(modality, pack(method, codes))

    def _reindex(self, method: Hasher, modality: Modality, known: int) -> None:
        parts = []
        for stage, rows in (("rehash", self.rows[:known]), ("encode_database", self.rows[known:])):
            if len(rows):
                with self.clock.measure(stage):
                    parts.append(encode_packed(method, self.train, modality, rows))
        if parts:
            self._replace(modality, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))

    def rehash(self, method: Hasher, round_: int, *, budget: int | None = None) -> None:
        """Encode the items of earlier rounds again, and store their codes in both modalities.

        With a ``budget``, the oldest codes come first, in order of arrival, until the next item would
        rewrite more bits than that.
        """
        old = np.flatnonzero(self.written < round_)
        old = old[np.argsort(self.written[old], kind="stable")]
        if not len(old):
            return
        with self.clock.measure("rehash"):
            new = {m: encode_packed(method, self.train, m, self.rows[old]) for m in MODALITIES}
        if budget is not None:
            flips = sum(np.bitwise_count(new[m] ^ self.packed[m][:, old]).sum(axis=0) for m in MODALITIES)
            taken = int(np.searchsorted(np.cumsum(flips, dtype=np.int64), budget, side="right"))
            old, new = old[:taken], {m: codes[:, :taken] for m, codes in new.items()}
        for modality, codes in new.items():
            renewed = self.packed[modality].copy()
            renewed[:, old] = codes
            self._replace(modality, renewed)
        self.written[old] = round_

    def _append(self, modality: Modality, new: Packed) -> None:
        old = self.packed.get(modality)
        self.packed[modality] = new if old is None else np.concatenate([old, new], axis=1)

    def _replace(self, modality: Modality, new: Packed) -> None:
        """Store ``new`` and count the bits that changed of the items that were stored before."""
        old = self.packed.get(modality)
        self.packed[modality] = new
        if old is not None and new.dtype == np.uint64:
            changed = np.bitwise_count(old ^ new[:, : old.shape[1]]).sum(dtype=np.int64)
            self.rewritten = (self.rewritten or 0) + int(changed)


def _joined(parts: list[Rows]) -> Rows:
    """The parts as one, joined when they are read: joining at every chunk would copy all before it."""
    if len(parts) != 1:
        parts[:] = [np.concatenate([np.empty(0, dtype=np.intp), *parts])]
    return parts[0]
