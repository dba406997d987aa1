"""Relevance for SKDCH's student: labels, completed by a vote of the nearest neighbours.

The trap: relevance is n × n. It is computed for the rows of a batch only.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from bench.methods._neighbours import Similarity

_BLOCK = 512  # unlabelled items per vote


def completed(
    labels: Any, similarity: Similarity, vote: Literal["majority", "class_mean"] = "majority"
) -> Any:
    """Fill the zero rows of ``labels`` (n, c), float, by votes; returns a float tensor of the same shape.

    The labelled neighbours of an item (its row of ``similarity``) vote on each class. majority: the item gets
    every class that more than half of them have, and always the most frequent ones. class_mean: every class
    that is more frequent among them than among all labelled items. Without a labelled neighbour the row
    stays zero.
    """
    labelled = labels.any(dim=1)
    filled = labels.clone()
    if labels.shape[1] == 0 or not labelled.any():
        return filled
    usual = labels[labelled].mean(dim=0)
    for rows in (~labelled).nonzero()[:, 0].split(_BLOCK):
        voters = similarity.rows(rows) & labelled
        votes, count = voters.to(labels.dtype) @ labels, voters.sum(dim=1, keepdim=True)
        if vote == "class_mean":
            won = votes > count * usual
        else:
            won = ((votes > count / 2) | (votes == votes.max(dim=1, keepdim=True).values)) & (votes > 0)
        filled[rows] = won.to(labels.dtype)
    return filled


class Relevance:
    """Items are relevant to each other if they share a label; every item is relevant to itself.

    With ``neighbours``, an unlabelled item is similar to its neighbours; otherwise only to itself.
    """

    def __init__(self, labels: Any, neighbours: Similarity | None = None) -> None:
        self._labels = labels
        self._bare = ~labels.any(dim=1)
        self._neighbours = neighbours

    def rows(self, index: Any) -> Any:
        """Return the relevance of items ``index`` (b,) to all n items, bool (b, n)."""
        similar = self._labels[index] @ self._labels.T > 0
        bare = self._bare[index]
        if self._neighbours is not None and bare.any():
            similar[bare] = self._neighbours.rows(index[bare])
        similar[torch.arange(len(index)), index] = True
        return similar
