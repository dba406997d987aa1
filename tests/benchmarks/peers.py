"""How the field's code evaluates: loops over queries with a full sort each, written for comparison.

The shapes are those of the evaluators that travel from repository to repository: float codes, one
matrix-vector product, one argsort and one masked sum per query (numpy), or the same in torch with
a precision-recall curve over radii and one over ranks. Nothing here is used by the harness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
CUTS = (1, 5, 10, 20, 50, 100, 200, 300, 400, 500, 750, 1000)


def numpy_loop(query: Array, database: Array, query_labels: Array, database_labels: Array) -> float:
    """mAP over the whole database: one argsort per query, in the pattern of DCMH."""
    bits, total = database.shape[1], 0.0
    for i in range(len(query)):
        relevant = (query_labels[i] @ database_labels.T > 0).astype(np.float32)
        if relevant.sum() == 0:
            continue
        distance = 0.5 * (bits - query[i] @ database.T)
        relevant = relevant[np.argsort(distance)]
        count = np.arange(1, int(relevant.sum()) + 1)
        rank = np.flatnonzero(relevant) + 1.0
        total += float(np.mean(count / rank))
    return total / len(query)


def peer_bundle(query: Array, database: Array, query_labels: Array, database_labels: Array) -> list[float]:
    """Three mAP calls, a PR curve over radii and precision at CUTS, as a peer's test script calls them."""
    codes = torch.from_numpy(query), torch.from_numpy(database)
    tensors = *codes, torch.from_numpy(query_labels), torch.from_numpy(database_labels)
    scores = [_map(*tensors, k) for k in (None, 50, 100)]
    precision, recall = _radius_curve(*tensors)
    return [*scores, *precision, *recall, *_precision_at(*tensors)]


def _distance(code: torch.Tensor, database: torch.Tensor) -> torch.Tensor:
    return 0.5 * (database.shape[1] - code.unsqueeze(0) @ database.t()).squeeze(0)


def _relevant(labels: torch.Tensor, database_labels: torch.Tensor) -> torch.Tensor:
    return (labels.unsqueeze(0) @ database_labels.t() > 0).float().squeeze(0)


def _map(
    query: torch.Tensor,
    database: torch.Tensor,
    query_labels: torch.Tensor,
    database_labels: torch.Tensor,
    k: int | None,
) -> float:
    """``calc_map_k``: the mean precision at the first k relevant items."""
    total = 0.0
    for i in range(len(query)):
        relevant = _relevant(query_labels[i], database_labels)
        found = int(relevant.sum())
        if found == 0:
            continue
        relevant = relevant[torch.sort(_distance(query[i], database))[1]]
        wanted = found if k is None else min(k, found)
        count = torch.arange(1, wanted + 1, dtype=torch.float32)
        rank = torch.nonzero(relevant)[:wanted].squeeze(1).float() + 1.0
        total += float((count / rank).mean())
    return total / len(query)


def _radius_curve(
    query: torch.Tensor, database: torch.Tensor, query_labels: torch.Tensor, database_labels: torch.Tensor
) -> tuple[list[float], list[float]]:
    """Precision and recall within each radius, all radii of a query compared at once."""
    bits = database.shape[1]
    radii = torch.arange(bits + 1, dtype=torch.float32).unsqueeze(1)
    precision, recall = torch.zeros(bits + 1), torch.zeros(bits + 1)
    for i in range(len(query)):
        relevant = _relevant(query_labels[i], database_labels)
        found = relevant.sum()
        if found == 0:
            continue
        within = (_distance(query[i], database) <= radii).float()
        hits = (within * relevant).sum(dim=1)
        precision += hits / within.sum(dim=1).clamp(min=1)
        recall += hits / found
    return (precision / len(query)).tolist(), (recall / len(query)).tolist()


def _precision_at(
    query: torch.Tensor, database: torch.Tensor, query_labels: torch.Tensor, database_labels: torch.Tensor
) -> list[float]:
    total = torch.zeros(len(CUTS))
    for i in range(len(query)):
        relevant = _relevant(query_labels[i], database_labels)
        ranked = relevant[torch.sort(_distance(query[i], database))[1]]
        total += torch.stack([ranked[:cut].mean() for cut in CUTS])
    mean: list[float] = (total / len(query)).tolist()
    return mean
