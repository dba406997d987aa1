"""An exact search by a plain loop over packed codes: the limit that indexes are compared with.

The trap: distances are kept for one query at a time, since those of all queries do not fit in memory.
"""

from __future__ import annotations

import numpy as np

from bench.scoring._kernels import _compiled, _popcount

_LANES = 4  # counts of a distance: equal ones in a row would wait for each other


@_compiled()
def nearest(query, database, low, high, distances, rows):  # type: ignore[no-untyped-def]
    """Fill rows ``low:high`` with the nearest items in order; items at equal distance by their number.

    Packed codes are (words, items) uint64; ``distances`` and ``rows`` are (queries, k) int64.
    """
    items, k = database.shape[1], rows.shape[1]
    far = np.empty(items, np.uint32)
    counts = np.empty((_LANES, 64 * database.shape[0] + 1), np.int64)
    for q in range(low, high):
        far[:] = 0
        for w in range(database.shape[0]):
            code, codes = query[w, q], database[w]
            for j in range(items):
                far[j] += _popcount(code ^ codes[j])
        counts[:] = 0
        for j in range(items):
            counts[j % _LANES, far[j]] += 1
        begin, last, nearer = counts[0], 0, 0
        for d in range(begin.shape[0]):
            here = counts[:, d].sum()
            begin[d] = nearer  # the rank of the first item at this distance
            if nearer < k:
                last = d
            nearer += here
        left = k
        for j in range(items):
            d = far[j]
            if d <= last and begin[d] < k:
                rows[q, begin[d]], distances[q, begin[d]] = j, d
                begin[d] += 1
                left -= 1
                if left == 0:
                    break
