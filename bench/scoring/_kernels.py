"""The loops over queries × database, compiled by numba. Import it through bench.scoring.hamming only.

The trap: what a kernel costs is decided by details. Words come first and items second, so that a
word of all items is contiguous; blocks are sliced first and indexed from 0, since `a[j0 + j]`
keeps numba's check for negative indices and stops the vectoriser; counters are spread over four
tables, since one counter incremented twice in a row waits for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

_BLOCK = 2048  # items whose keys are made at once, so that they stay in the first-level cache
_TILE = 4  # queries that look at a block before the next one is read


def _compiled(*, fastmath: Any = False) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, fastmath=fastmath)(function)
        except RuntimeError:  # no folder for the cache can be written: compile once per process
            return numba.njit(nogil=True, fastmath=fastmath)(function)

    return decorate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _popcount(_typing: Any, _word: Any) -> Any:
    """Set bits of a uint64; numba has no np.bitwise_count."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@_compiled()
def _keys(query, database, query_labels, database_labels, row, start, width, key, shared):  # type: ignore[no-untyped-def]
    """``distance * width + min(shared labels, width - 1)`` of one query and ``len(key)`` items."""
    size = key.shape[0]
    if database.shape[0] == 1 and database_labels.shape[0] == 1:  # the common cases, fused
        code, labels = query[0, row], query_labels[0, row]
        codes = database[0][start : start + size]
        masks = database_labels[0][start : start + size]
        if width == 2:
            for j in range(size):
                key[j] = 2 * _popcount(code ^ codes[j]) + ((labels & masks[j]) != 0)
        else:
            for j in range(size):
                both = min(np.uint32(_popcount(labels & masks[j])), width - np.uint32(1))
                key[j] = np.uint32(_popcount(code ^ codes[j])) * width + both
        return
    key[:] = 0
    for w in range(database.shape[0]):
        code = query[w, row]
        codes = database[w][start : start + size]
        for j in range(size):
            key[j] += _popcount(code ^ codes[j])
    shared[:] = 0
    for w in range(database_labels.shape[0]):
        labels = query_labels[w, row]
        masks = database_labels[w][start : start + size]
        for j in range(size):
            shared[j] += _popcount(labels & masks[j])
    for j in range(size):
        key[j] = key[j] * width + min(shared[j], width - np.uint32(1))


@_compiled()
def _count(key, table):  # type: ignore[no-untyped-def]
    """Count keys, in four tables in turn."""
    t0, t1, t2, t3 = table[0], table[1], table[2], table[3]
    whole = key.shape[0] // 4 * 4
    for j in range(0, whole, 4):
        t0[key[j]] += 1
        t1[key[j + 1]] += 1
        t2[key[j + 2]] += 1
        t3[key[j + 3]] += 1
    for j in range(whole, key.shape[0]):
        t0[key[j]] += 1


@_compiled()
def histograms(query, database, query_labels, database_labels, width, low, high, counts, gains, grades):  # type: ignore[no-untyped-def]
    """Fill rows ``low:high`` of counts, and of gains and grades where they have rows.

    Packed inputs are (words, items) uint64. ``width`` (uint32) is the number of grades told
    apart: 2 tells relevant from not, more counts shared labels.
    """
    items, distances = database.shape[1], counts.shape[1]
    keys, shares = np.empty(_BLOCK, np.uint32), np.empty(_BLOCK, np.uint32)
    tables = np.empty((_TILE, 4, distances * width), np.uint32)
    for row in range(low, high):
        place = (row - low) % _TILE
        if place == 0:
            tables[:] = 0
            for start in range(0, items, _BLOCK):
                size = min(_BLOCK, items - start)
                key, shared = keys[:size], shares[:size]
                for t in range(min(_TILE, high - row)):
                    _keys(query, database, query_labels, database_labels, row + t, start, width, key, shared)
                    _count(key, tables[t])
        table = tables[place]
        for d in range(distances):
            found, relevant, gain = np.uint32(0), np.uint32(0), np.uint64(0)
            for g in range(width):
                at = d * width + g
                here = table[0, at] + table[1, at] + table[2, at] + table[3, at]
                found += here
                if g > 0:
                    relevant += here
                if gains.shape[0] > 0:
                    gain += np.uint64(here) * np.uint64(g)
                    grades[row, g] += here
            counts[row, d, 0], counts[row, d, 1] = found, relevant
            if gains.shape[0] > 0:
                gains[row, d] = gain


@_compiled()
def asymmetric(added, least, steps, octets, factor, query_labels, database_labels, counts, gains, grades):  # type: ignore[no-untyped-def]
    """Fill counts, gains and grades of some queries from the values that each byte of a code adds.

    ``added`` is (queries, M, 256) float32, ``octets`` (M, items) uint8; an item at distance d, the sum times
    its ``factor``, is counted at step ``(d - least) * steps``.
    """
    items, last, most = octets.shape[1], counts.shape[1] - 1, grades.shape[1] - 1
    totals, shares = np.empty(_BLOCK, np.float64), np.empty(_BLOCK, np.uint32)
    for row in range(added.shape[0]):
        for start in range(0, items, _BLOCK):
            size = min(_BLOCK, items - start)
            total, shared = totals[:size], shares[:size]
            total[:] = 0
            for m in range(octets.shape[0]):
                table, block = added[row, m], octets[m][start : start + size]
                for j in range(size):
                    total[j] += table[block[j]]
            shared[:] = 0
            for w in range(database_labels.shape[0]):
                labels, masks = query_labels[w, row], database_labels[w][start : start + size]
                for j in range(size):
                    shared[j] += _popcount(labels & masks[j])
            for j in range(size):
                step = np.rint((total[j] * factor[start + j] - least[row]) * steps[row])
                at = np.int64(min(max(step, 0.0), np.float64(last)))
                both = min(np.int64(shared[j]), most)
                counts[row, at, 0] += 1
                counts[row, at, 1] += both > 0
                gains[row, at] += np.uint64(both)
                grades[row, both] += 1


@_compiled(fastmath={"reassoc"})
def _precisions(ranks):  # type: ignore[no-untyped-def]
    """Sum of the precision at hits; ``ranks`` are theirs, from 0, ascending."""
    total = 0.0
    for h in range(ranks.shape[0]):
        total += np.float64(h + 1) / np.float64(ranks[h] + 1)
    return total


@_compiled(fastmath={"reassoc"})
def _precisions_mirrored(ranks, hits_twice, items_twice):  # type: ignore[no-untyped-def]
    """The same for hits of one group of tied items that is read from its end."""
    total = 0.0
    for h in range(ranks.shape[0]):
        total += np.float64(hits_twice - h) / np.float64(items_twice - ranks[h])
    return total


@_compiled()
def _summarise(ranks, cuts, out):  # type: ignore[no-untyped-def]
    """Per cut: hits within it, precision summed over them, and over the first ``cut`` hits."""
    for k in range(cuts.shape[0]):
        hits = np.searchsorted(ranks, cuts[k])
        first = min(cuts[k], ranks.shape[0])
        out[k, 0] = hits
        out[k, 1] = _precisions(ranks[:hits])
        out[k, 2] = out[k, 1] if first == hits else _precisions(ranks[:first])


@_compiled()
def _summarise_backward(ranks, ends, stops, cuts, out):  # type: ignore[no-untyped-def]
    """Per cut: hits and summed precision when every group of tied items is read from its end.

    Group d ends before rank ``ends[d]`` and before hit ``stops[d]``.
    """
    for k in range(cuts.shape[0]):
        begin, first, hits, total = 0, 0, 0, 0.0
        for d in range(ends.shape[0]):
            end, stop, low = ends[d], stops[d], first
            if end > cuts[k]:  # only the last items of this group are within the cut
                low += np.searchsorted(ranks[first:stop], begin + end - cuts[k])
            total += _precisions_mirrored(ranks[low:stop], first + stop - low, begin + end)
            hits += stop - low
            if end >= cuts[k]:
                break
            begin, first = end, stop
        out[k, 0], out[k, 1] = hits, total


@_compiled()
def _place(key, table, relevant):  # type: ignore[no-untyped-def]
    rank = table[key >> 1]
    table[key >> 1] = rank + 1
    relevant[rank] = key & 1


@_compiled()
def orders(query, database, query_labels, database_labels, cuts, low, high, counts, stable, backward):  # type: ignore[no-untyped-def]
    """Fill rows ``low:high`` of counts and ``stable``, and of ``backward`` where it has rows.

    The last two are (queries, cuts, 3). A counting sort by distance: tied items stay in database
    order, or in the reverse of it. Four segments of the database are sorted at once, each with its
    own counters; what fills up the last one is farther away than any distance, and ranks last.
    """
    items, distances = database.shape[1], counts.shape[1]
    segment = (items + 3) // 4
    keys, shares = np.full((_TILE, 4 * segment), 2 * distances, np.uint16), np.empty(_BLOCK, np.uint16)
    table = np.empty((4, distances + 1), np.uint32)
    t0, t1, t2, t3 = table[0], table[1], table[2], table[3]
    relevant = np.empty(4 * segment, np.uint8)
    ranks = np.empty(items + 1, np.uint32)
    two = np.uint32(2)
    ends, stops = np.empty(distances, np.int64), np.empty(distances, np.int64)
    for row in range(low, high):
        place = (row - low) % _TILE
        if place == 0:
            for start in range(0, items, _BLOCK):
                size = min(_BLOCK, items - start)
                for t in range(min(_TILE, high - row)):
                    key, shared = keys[t, start : start + size], shares[:size]
                    _keys(query, database, query_labels, database_labels, row + t, start, two, key, shared)
        key = keys[place]
        k0, k1 = key[:segment], key[segment : 2 * segment]
        k2, k3 = key[2 * segment : 3 * segment], key[3 * segment :]
        table[:] = 0
        for j in range(segment):
            t0[k0[j] >> 1] += 1
            t1[k1[j] >> 1] += 1
            t2[k2[j] >> 1] += 1
            t3[k3[j] >> 1] += 1
        begin = np.uint32(0)
        for d in range(distances + 1):
            for s in range(4):
                here = table[s, d]
                table[s, d] = begin
                begin += here
        for d in range(distances):
            ends[d] = table[0, d + 1]
        for j in range(segment):
            _place(k0[j], t0, relevant)
            _place(k1[j], t1, relevant)
            _place(k2[j], t2, relevant)
            _place(k3[j], t3, relevant)
        hits = np.uint64(0)
        for d in range(distances):
            before, found = ends[d - 1] if d > 0 else 0, hits
            for j in range(before, ends[d]):  # no branch: what a miss writes is overwritten
                ranks[hits] = j
                hits += relevant[j]
            stops[d] = hits
            counts[row, d, 0], counts[row, d, 1] = ends[d] - before, hits - found
        _summarise(ranks[:hits], cuts, stable[row])
        if backward.shape[0] > 0:
            _summarise_backward(ranks[:hits], ends, stops, cuts, backward[row])
