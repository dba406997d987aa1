"""Triplet losses of SKDCH's teacher and student, and the training loop that both share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from bench.api import MODALITIES, Modality, passes
from bench.methods._network import Network, batches
from bench.methods.skdch.labels import Relevance

TEACHER_BITS = 64  # the only length that the authors release
MARGIN = 5 / 64  # margin per bit
PULL_MARGIN = 0.1  # margin of the student's second hinge


def learn(
    x: Mapping[Modality, Any],
    relevance: Relevance,
    nets: Mapping[Modality, Network],
    *,
    stage: Literal["teacher", "student"],
    weights: tuple[float, float, float],
    epochs: int,
    rate: float,
    decay: float,
    batch: int,
    candidates: float,
    negatives: Literal["lite", "random"],
    rng: np.random.Generator,
    given: Any | None = None,
) -> None:
    """Train on the paired rows of ``x``, in both directions, by :func:`loss` with these ``weights``.

    Each query of a batch gets one random similar item as its positive, and a negative from a random sample of
    the items that the batch shares. Queries without a dissimilar item in the sample are skipped.

    ``given`` (f, k) holds fixed codes of the first f rows, as sigmoids 0 or 1. As positives and negatives
    these rows keep their codes, so that the codes of the others fit them.
    """
    n, device = len(x["image"]), x["image"].device
    parameters = [p for net in nets.values() for p in net.parameters]
    optimizer = torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    count = max(1, round(candidates * n))
    for _ in passes(stage, epochs):
        for rows in batches(n, batch, rng):
            index = torch.as_tensor(rows, device=device)
            similar = relevance.rows(index)
            positives = one_of(similar, rng)
            sample = torch.as_tensor(rng.choice(n, count, replace=False), device=device)
            allowed = ~similar[:, sample]
            paired = positives == index
            use = allowed.any(dim=1)
            queries, partners, pool = (
                {m: torch.sigmoid(nets[m](x[m][i])) for m in MODALITIES} for i in (index, positives, sample)
            )
            if given is not None:
                partners, pool = (
                    {m: with_codes(out, i, given) for m, out in outputs.items()}
                    for outputs, i in ((partners, positives), (pool, sample))
                )
            losses = []
            for m, other in (MODALITIES, MODALITIES[::-1]):
                q, p = queries[m][use], partners[other][use]
                chosen = choose(q, p, pool[other], allowed[use], kind=negatives, rng=rng)
                losses.append(loss(q, p, pool[other][chosen], paired[use], *weights) / max(1, len(q)))
            optimizer.zero_grad()
            sum(losses).backward()
            optimizer.step()


def with_codes(out: Any, index: Any, given: Any) -> Any:
    """Replace row j of ``out`` (b, k) by ``given[index[j]]`` if ``index[j]`` < len(given)."""
    known = index < len(given)
    return torch.where(known[:, None], given[index.clamp(max=len(given) - 1)], out)


def choose(
    q: Any, p: Any, pool: Any, allowed: Any, *, kind: Literal["lite", "random"], rng: np.random.Generator
) -> Any:
    """Choose a negative from the pool (s, k) for each query q (b, k) with positive p (b, k): indices (b,).

    ``lite`` takes the nearest item farther away than the positive or, if all are nearer, the farthest;
    ``random`` takes any. Only items marked in ``allowed`` (b, s) qualify; every row must have one.
    """
    if kind == "random":
        return one_of(allowed, rng)
    with torch.no_grad():
        far = torch.cdist(q, pool).square()
        semihard = allowed & (far > distance(q, p)[:, None])
        nearest = far.masked_fill(~semihard, torch.inf).argmin(dim=1)
        farthest = far.masked_fill(~allowed, -torch.inf).argmax(dim=1)
        return torch.where(semihard.any(dim=1), nearest, farthest)


def one_of(mask: Any, rng: np.random.Generator) -> Any:
    """Draw, for each row of ``mask`` (b, s), a random column where it is true: (b,)."""
    drawn = torch.as_tensor(rng.random(mask.shape, dtype=np.float32), device=mask.device)
    return drawn.add_(1).mul_(mask).argmax(dim=1)


def loss(q: Any, p: Any, n: Any, paired: Any, gamma: float, intra: float, pull: float) -> Any:
    """Sum the loss of teacher or student over queries q, positives p and negatives n, (b, k) each.

    ``[m + d(q,p) - (1 - intra) d(q,n) - intra d(p,n)]₊ + pull [0.1 + d(q,p)]₊``, with d the squared distance
    and m the margin, 5 at 64 bits; p and n share a modality. The teacher has intra = pull = 0, the student
    ½ and 0.02. On top come γ times the cross-entropies of ``σ(-d(q,p))`` against ``paired`` (b,), which marks
    true pairs (q, p), and of ``σ(-d(q,n))`` against 0.
    """
    near, far = distance(q, p), distance(q, n)
    push = (1 - intra) * far + intra * distance(p, n) if intra else far
    total = torch.relu(MARGIN * q.shape[1] + near - push).sum()
    if pull:
        total = total + pull * torch.relu(PULL_MARGIN + near).sum()
    entropy = F.softplus(torch.where(paired, near, -near)) + F.softplus(-far)
    return total + gamma * entropy.sum()


def distance(a: Any, b: Any) -> Any:
    """Return the squared Euclidean distances (n,) between rows of a and b (n, k)."""
    return (a - b).square().sum(dim=1)


def sigmoids(net: Network, x: Any) -> Any:
    """Run a trained network on the rows of x: sigmoids (n, k) in [0, 1]."""
    with torch.no_grad():
        return torch.cat([torch.sigmoid(net(part)) for part in x.split(4096)])
