"""Print the table in docs/metrics.md: the same codes, scored by many definitions, stored in two orders."""

import sys

import numpy as np

from bench.metrics import evaluate

rng = np.random.default_rng(0)
towards = rng.standard_normal((24, 16))  # a direction in code space for every class


def side(n):
    """Codes (n, 16) of -1 and +1 that follow the labels (n, 24), with noise."""
    labels = (rng.random((n, 24)) < 0.12).astype(np.uint8)
    labels[np.arange(n), rng.integers(0, 24, n)] = 1
    labels[: n // 100] = 0  # some items have no label
    return np.where(labels @ towards + 2 * rng.standard_normal((n, 16)) >= 0, 1, -1), labels


(query, mine), (database, theirs) = side(500), side(10_000)
shuffled, sorted_ = rng.permutation(10_000), np.lexsort(theirs.T)
names = ["map", "map:pessimistic", "map:optimistic", "chance", "map@50", "map@50:hits"]
names += ["map:dcmh", "map:trec", "map:perf_metric4label", "map@50:lemon", "map@50:calc_map_k", "map@50:trec"]
one, other = (evaluate(query, database[o], mine, theirs[o], names) for o in (shuffled, sorted_))
sys.stdout.write("| metric | random order | by label |\n|---|---|---|\n")
for name in names:
    sys.stdout.write(f"| `{name}` | {one[name]:.4f} | {other[name]:.4f} |\n")
