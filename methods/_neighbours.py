"""What UKD's teacher hands to its student: which items are near each other, row by row.

The trap: the similarity is n × n. Only one threshold per item and space is kept, and the
rows of a batch are computed again whenever they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_BLOCK = 1 << 23  # scores computed at a time while thresholds are found: 32 MiB
_ROUNDING = 1e-6  # per dimension of the space: float32 products of other shapes round otherwise


class Similarity:
    """``S[i, j] = 1`` where j is one of the K nearest items of i in at least one space.

    ``spaces`` are tensors (n, k) with values in [0, 1]: the teacher's sigmoids of the n items in
    each modality. Distance is Euclidean, an item is its own neighbour, all items as far away as
    the K-th count, and S need not be symmetric, as in the authors' code.
    """

    def __init__(self, spaces: Sequence[Any], neighbours: int) -> None:
        self._spaces = [_Space(points, neighbours) for points in spaces]

    def rows(self, index: Any) -> Any:
        """``S[index]`` as a bool tensor (b, n), for ``index`` (b,) or a slice."""
        first, *others = self._spaces
        similar = first.near(index)
        for space in others:
            similar |= space.near(index)
        return similar


class _Space:
    """The K nearest in one space: those whose score reaches a threshold of the row.

    The score of j in row i, ``xᵢ·xⱼ - ½‖xⱼ‖²``, falls as ``‖xᵢ - xⱼ‖`` grows.
    """

    def __init__(self, points: Any, neighbours: int) -> None:
        n, dimensions = points.shape
        self._x = points - points.mean(dim=0)  # small norms: little cancellation in the scores
        self._half = self._x.square().sum(dim=1) / 2
        self._least = self._half.new_empty(n)
        size = max(1, _BLOCK // n)
        for start in range(0, n, size):
            block = slice(start, start + size)
            scores = self._scores(block).cpu().numpy()
            kth = np.partition(scores, n - neighbours, axis=1)[:, n - neighbours]
            self._least[block] = self._half.new_tensor(kth - _ROUNDING * dimensions)

    def _scores(self, index: Any) -> Any:
        return self._x[index].matmul(self._x.T).sub_(self._half)

    def near(self, index: Any) -> Any:
        return self._scores(index) >= self._least[index, None]
