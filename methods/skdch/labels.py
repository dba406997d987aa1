"""What SKDCH's student takes for similar: labels, completed by a vote of the teacher's neighbours.

The trap: all of it is n × n. It is computed for the rows of a batch only.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from bench.methods._neighbours import Similarity

_BLOCK = 512  # unlabelled items that are voted on at a time


def completed(
    labels: Any, similarity: Similarity, vote: Literal["majority", "class_mean"] = "majority"
) -> Any:
    """``labels`` (n, c), float, with votes in the rows of zeros, as a float tensor of the same shape.

    The labelled among an item's neighbours, its own row of ``similarity``, vote class by class. majority: the
    item gets every class that more than half of them have, and in any case the classes that most of them
    have. class_mean: every class that a larger share of them has than of all the labelled.
    Without a labelled neighbour its row stays zero.
    """
    labelled = labels.any(dim=1)
    found = labels.clone()
    if labels.shape[1] == 0 or not labelled.any():
        return found
    usual = labels[labelled].mean(dim=0)
    for rows in (~labelled).nonzero()[:, 0].split(_BLOCK):
        voters = similarity.rows(rows) & labelled
        votes, count = voters.to(labels.dtype) @ labels, voters.sum(dim=1, keepdim=True)
        if vote == "class_mean":
            won = votes > count * usual
        else:
            won = ((votes > count / 2) | (votes == votes.max(dim=1, keepdim=True).values)) & (votes > 0)
        found[rows] = won.to(labels.dtype)
    return found


class Relevance:
    """Who counts as similar to whom: items that share a label, and every item and itself.

    With ``neighbours``, an item without labels is similar to them; without, only to itself.
    """

    def __init__(self, labels: Any, neighbours: Similarity | None = None) -> None:
        self._labels = labels
        self._bare = ~labels.any(dim=1)
        self._neighbours = neighbours

    def rows(self, index: Any) -> Any:
        """Bool (b, n) for ``index`` (b,) of the n items."""
        similar = self._labels[index] @ self._labels.T > 0
        bare = self._bare[index]
        if self._neighbours is not None and bare.any():
            similar[bare] = self._neighbours.rows(index[bare])
        similar[torch.arange(len(index)), index] = True
        return similar
