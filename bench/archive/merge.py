"""Merges the cells of several results folders; never replaces a result by different numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.errors import StoreError
from bench.records import RunRecord
from bench.storing.store import Store, stale_reason


def merge(sources: Sequence[Store], target: Store) -> int:
    """Copy every cell that ``target`` lacks; return how many were copied.

    Of two records of one cell a result wins over a failure, and a current one over a stale one. Two
    current results must have the same histograms and codes (their timings may differ, the first one
    stays): otherwise :class:`StoreError` names the cell, before anything is written.
    """
    chosen: dict[str, tuple[RunRecord, Store]] = {r.spec.key: (r, target) for r in target.records()}
    for store in sources:
        for record in store.records():
            known = chosen.get(record.spec.key)
            if known is None or _better(record, store, *known):
                chosen[record.spec.key] = record, store
    if not chosen:
        folders = ", ".join(str(store.folder) for store in sources)
        raise StoreError(f"{folders}: no cells to merge. Give folders that `bench run` has written.")
    target.check_writable()
    copies = [(record, store) for record, store in chosen.values() if store is not target]
    for record, store in copies:
        target.copy(record, store)
    return len(copies)


def stores(folders: Sequence[Path]) -> list[Store]:
    """The stores in these folders, all of which must exist."""
    for folder in folders:
        if not folder.is_dir():
            raise StoreError(
                f"results folder {folder} does not exist. Give folders that `bench run` has written."
            )
    return [Store(folder) for folder in folders]


def _better(new: RunRecord, store: Store, old: RunRecord, kept: Store) -> bool:
    """Whether ``new`` takes the place of ``old``; the same result does not."""
    ranks = [(r.status == "ok", not stale_reason(r)) for r in (new, old)]
    if ranks[0] != ranks[1]:
        return ranks[0] > ranks[1]
    if new.status != "ok" or (new.arrays and new.arrays == old.arrays):
        return False
    parts = differing(store, new, kept, old)
    if new.code == old.code and new.data == old.data and not parts:
        return False
    fact = f"differ in {', '.join(parts[:3])}" if parts else "were made by different code or data"
    raise StoreError(
        f"{new.spec}: the results in {store.folder} and {kept.folder} {fact}; expected the same. Run `bench "
        "verify` on both folders, delete the cell in the wrong one, and merge again."
    )


def differing(store: Store, record: RunRecord, other_store: Store, other: RunRecord) -> list[str]:
    """Names of the stored arrays in which two records of one cell differ, or that only one has."""
    one, two = store.arrays(record), other_store.arrays(other)
    return [
        name
        for name in sorted({*one, *two})
        if name not in one or name not in two or not np.array_equal(one[name], two[name])
    ]
