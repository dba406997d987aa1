"""What UKD's teacher hands to its student: who is a neighbour of whom, computed row by row.

The trap: the similarity is n × n. Only one threshold per item and modality is kept, and the
rows of a batch are computed again whenever they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

BLOCK = 1 << 23  # floats of one block of distances while thresholds are found: 32 MiB
ROUNDING = 1e-6  # of a squared distance in [0, k]: products of other shapes round otherwise


class Similarity:
    """``S[i, j] = 1`` where j is one of the K nearest items of i in any of the ``spaces``.

    ``spaces`` are tensors of n rows each. An item is its own neighbour, S is not symmetric,
    and all items at the distance of the K-th count as neighbours.
    """

    def __init__(self, spaces: Sequence[Any], neighbours: int) -> None:
        self._spaces = [_Space(s, neighbours) for s in spaces]

    def rows(self, index: Any) -> Any:
        """``S[index]`` as a (b, n) bool tensor, for ``index`` (b,)."""
        first, *others = self._spaces
        found = first.near(index)
        for space in others:
            found |= space.near(index)
        return found


class _Space:
    """K nearest neighbours in one space. The score of j for i is ``xᵢ·xⱼ - ½‖xⱼ‖²``, which
    falls as the distance grows and needs one matrix product.
    """

    def __init__(self, points: Any, neighbours: int) -> None:
        self._x = points - points.mean(dim=0)  # small norms: less cancellation in the scores
        self._half = self._x.square().sum(dim=1).div_(2)
        self._least = self._half.new_empty(len(points))
        place = len(points) - neighbours
        for block in _blocks(len(points), BLOCK):
            scores = self._scores(block).cpu().numpy()
            kth = np.partition(scores, place, axis=1)[:, place] - ROUNDING * points.shape[1]
            self._least[block] = self._least.new_tensor(kth)

    def _scores(self, index: Any) -> Any:
        return self._x[index].matmul(self._x.T).sub_(self._half)

    def near(self, index: Any) -> Any:
        return self._scores(index) >= self._least[index, None]


def _blocks(n: int, floats: int) -> Iterator[slice]:
    size = max(1, floats // n)
    return (slice(i, i + size) for i in range(0, n, size))
