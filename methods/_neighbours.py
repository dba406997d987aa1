"""Nearest-neighbour similarity between items, computed row by row; UKD and SKDCH distil it.

The trap: the similarity is n × n. Only one threshold per item and space is stored; the rows of a batch
are recomputed whenever they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_BLOCK = 1 << 23  # scores computed at a time for the thresholds: 32 MiB
_ROUNDING = 1e-6  # slack per dimension: float32 products round differently for other shapes


class Similarity:
    """``S[i, j] = 1`` if j is among the K nearest neighbours of i in at least one space.

    ``spaces`` are tensors (n, k) with values in [0, 1]: the teacher's sigmoids for the n items, one tensor
    per modality. Distance is Euclidean. An item is its own neighbour, items tied with the K-th count, and
    S need not be symmetric, as in the authors' code.
    """

    def __init__(self, spaces: Sequence[Any], neighbours: int) -> None:
        self._spaces = [_Space(points, neighbours) for points in spaces]

    def rows(self, index: Any) -> Any:
        """Return ``S[index]`` as a bool tensor (b, n), for ``index`` (b,) or a slice."""
        first, *others = self._spaces
        similar = first.near(index)
        for space in others:
            similar |= space.near(index)
        return similar


class _Space:
    """The K nearest neighbours in one space: items whose score reaches the row's threshold.

    The score of j in row i, ``xᵢ·xⱼ - ½‖xⱼ‖²``, falls as ``‖xᵢ - xⱼ‖`` grows.
    """

    def __init__(self, points: Any, neighbours: int) -> None:
        n, dimensions = points.shape
        self._x = points - points.mean(dim=0)  # small norms mean little cancellation in the scores
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
