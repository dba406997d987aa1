"""When database items are encoded again: a choice that the harness makes for every method alike.

The database policies ``reindexed`` and ``frozen`` always and never do. In between, an item is encoded when it
arrives, and again every K rounds, within a budget of rewritten bits per round, or when new codes tell more
about relevance than the stored ones do. The last is the trigger of MIHash (Cakir et al., ICCV 2017, "MIHash:
Online Hashing with Mutual Information"), here for two modalities.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bench.contract.items import Labels, Modality, Rows
from bench.protocol.index import Index
from bench.protocol.shown import Hasher, encode_packed
from bench.scoring import hamming

SAMPLE = 500  # items that decide whether a rehash pays; half of them are queries
SIDES: tuple[tuple[Modality, Modality], ...] = (("image", "text"), ("text", "image"))


def update(
    policy: str, method: Hasher, indexes: Mapping[str, Index], round_: int, since: int, gain: float
) -> None:
    """Encode old items of the ``indexes`` again, if and as far as the policy wants it after ``round_``.

    ``since`` is the first round after the update before, ``gain`` what :func:`gain` gives, for ``trigger``.
    """
    kind, _, amount = policy.partition(":")
    due = kind == "budget" or (kind == "trigger" and gain >= float(amount))
    due = due or (kind == "every" and (round_ + 1) // int(amount) > since // int(amount))
    total = max(sum(len(index.rows) for index in indexes.values()), 1)
    for index in indexes.values():
        index.rewritten = index.rewritten or 0
        if due:
            share = int(amount) * len(index.rows) // total if kind == "budget" else None
            index.rehash(method, round_, budget=share)


def gain(method: Hasher, index: Index, labels: Labels, order: Rows) -> float:
    """The mutual information that new codes of the items would add to their stored codes, in bits.

    It is that of Hamming distance and relevance, mean over the queries and over both directions. Queries and
    database are two halves of a sample: the first items in ``order`` (places in the index) that have
    ``labels`` (items of the index, classes).
    """
    places = order[labels[order].any(axis=1)][:SAMPLE]
    asked, held = places[::2], places[1::2]
    if not len(held):
        return 0.0
    codes = {
        m: [encode_packed(method, index.train, m, index.rows[p]) for p in (asked, held)] for m, _ in SIDES
    }
    relevance = [hamming.pack_labels(labels[p]) for p in (asked, held)]
    gains = []
    for query, database in SIDES:
        stored = np.ascontiguousarray(index.packed[database][:, held])
        old, new = (
            information(
                hamming.histograms(codes[query][0], kept, *relevance, bits=method.bits, threads=1).counts
            )
            for kept in (stored, codes[database][1])
        )
        gains.append(new - old)
    return float(np.mean(gains))


def information(counts: npt.NDArray[np.uint32]) -> float:
    """Mutual information of distance and relevance in bits, mean over queries.

    ``counts`` (Q, bits + 1, 2) has the items, and the relevant ones, at each distance.
    """
    joint = np.stack([counts[..., 1], counts[..., 0] - counts[..., 1]], axis=-1).astype(np.float64)
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=2, keepdims=True)
    ratio = np.divide(joint, apart, out=np.ones_like(joint), where=joint > 0)
    return float((joint * np.log2(ratio)).sum(axis=(1, 2)).mean())
