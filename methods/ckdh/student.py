"""CKDH's student: two networks on plain features that imitate the teacher's similarities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from bench.api import MODALITIES, Modality, passes
from bench.methods._network import Network, batches
from bench.methods._similarity_loss import BLOCK, error_by_rows
from bench.methods.ckdh.teacher import quantisation

Weights = tuple[float, float, float]  # log-likelihood, within modalities, across modalities


def learn(
    x: Mapping[Modality, Any],
    taught: tuple[Any, Any],
    nets: Mapping[Modality, Network],
    *,
    views: Weights,
    epochs: int,
    rate: float,
    gamma: float,
    batch: int,
    rng: np.random.Generator,
    given: Any | None = None,
) -> None:
    """Train on the features ``x`` of n pairs and the teacher's outputs F^I, F^T (n, k) for them.

    Similarities are computed per batch. ``given`` (f, k) holds fixed codes of the first f pairs. Every batch
    is compared with a random part of them: the similarity of its outputs to these codes must match the
    teacher's.
    """
    parameters = [p for net in nets.values() for p in net.parameters]
    optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
    for _ in passes("student", epochs):
        for rows in batches(len(taught[0]), batch, rng):
            image, text = (torch.tanh(nets[m](x[m][rows])) for m in MODALITIES)
            own = taught[0][rows], taught[1][rows]
            total = loss(image, text, by_rows(own, own, views), gamma)
            if given is not None:
                drawn = rng.choice(len(given), min(batch, len(given)), replace=False)
                others = taught[0][drawn], taught[1][drawn]
                total = total + pin(image, text, given[drawn], by_rows(own, others, views))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


def knowledge(own: tuple[Any, Any], others: tuple[Any, Any], views: Weights) -> Any:
    """Return the teacher's similarity (b, c), in [-1, 1], from its outputs F^I, F^T (b, k) and (c, k).

    It is the weighted mean of three views: ``2σ(θ) - 1`` with ``θ = ½ F^I F^Tᵀ``, cosines within the
    modalities, and cosines across them, the latter two averaged over two matrices each. Our reconstruction.
    """
    u, v, other_u, other_v = (F.normalize(f) for f in (*own, *others))
    likely = 2 * torch.sigmoid(own[0] @ others[1].T / 2) - 1
    within = (u @ other_u.T + v @ other_v.T) / 2
    across = (u @ other_v.T + v @ other_u.T) / 2
    return (views[0] * likely + views[1] * within + views[2] * across) / sum(views)


def by_rows(own: tuple[Any, Any], others: tuple[Any, Any], views: Weights) -> Callable[[slice], Any]:
    """Return a function for rows of :func:`knowledge`: precomputed if small, else computed block by block."""
    if len(own[0]) <= BLOCK:
        return knowledge(own, others, views).__getitem__
    return lambda rows: knowledge((own[0][rows], own[1][rows]), others, views)


def loss(image: Any, text: Any, target: Callable[[slice], Any], gamma: float) -> Any:
    """Return ``‖cos(f^I, f^T) - S‖²/b² + ½ Σ_m ‖cos(f^m, f^m) - S‖²/b² + γ L_q`` for outputs (b, k)."""
    u, v = F.normalize(image), F.normalize(text)
    count = len(image) ** 2
    across = error_by_rows(u, v, target) / count
    within = error_by_rows(u, u, target) / count + error_by_rows(v, v, target) / count
    return across + within / 2 + gamma * quantisation(image, text)


def pin(image: Any, text: Any, codes: Any, target: Callable[[slice], Any]) -> Any:
    """Return ``½ Σ_m ‖cos(f^m, B) - S‖²/(b c)`` for outputs (b, k) and codes B (c, k). Our reconstruction."""
    fixed, count = F.normalize(codes), len(image) * len(codes)
    errors = [error_by_rows(F.normalize(f), fixed, target) / count for f in (image, text)]
    return (errors[0] + errors[1]) / 2
