"""CKDH's student: two networks on plain features that imitate the teacher's similarities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from bench.api import MODALITIES, Modality
from bench.methods._network import Network, batches
from bench.methods.ckdh.teacher import quantisation


def learn(
    items: Mapping[str, Any],
    taught: tuple[Any, Any],
    *,
    hidden: int,
    epochs: int,
    rate: float,
    gamma: float,
    batch: int,
    rng: np.random.Generator,
) -> dict[Modality, list[npt.NDArray[np.float32]]]:
    """Train on the ``image`` and ``text`` features of n pairs and the teacher's outputs F^I, F^T (n, k).

    Gives W₁, b₁, W₂, b₂ for each modality. The similarity of a batch is made when it is needed: b × b.
    """
    device, bits = taught[0].device, taught[0].shape[1]
    nets = {
        m: Network((items[m].shape[1], hidden, bits), torch.relu, gain=1.0, rng=rng, device=device)
        for m in MODALITIES
    }
    parameters = [p for net in nets.values() for p in net.parameters]
    optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
    for _ in range(epochs):
        for rows in batches(len(taught[0]), batch, rng):
            image, text = (torch.tanh(nets[m](items[m][rows])) for m in MODALITIES)
            target = knowledge(taught[0][rows], taught[1][rows])
            optimizer.zero_grad()
            loss(image, text, target, gamma).backward()
            optimizer.step()
    return {m: nets[m].arrays() for m in MODALITIES}


def knowledge(image: Any, text: Any) -> Any:
    """The teacher's similarity (b, b) in [-1, 1] of its outputs (b, k).

    The mean of three views: ``2σ(θ) - 1`` with ``θ = ½ F^I F^Tᵀ``, the cosines within the modalities
    and those across them, each averaged over its two matrices. Our reconstruction.
    """
    u, v = F.normalize(image), F.normalize(text)
    across = u @ v.T
    within = (u @ u.T + v @ v.T) / 2
    return (2 * torch.sigmoid(image @ text.T / 2) - 1 + within + (across + across.T) / 2) / 3


def loss(image: Any, text: Any, target: Any, gamma: float) -> Any:
    """``‖cos(f^I, f^T) - S‖²/b² + ½ Σ_m ‖cos(f^m, f^m) - S‖²/b² + γ L_q`` of outputs (b, k)."""
    u, v = F.normalize(image), F.normalize(text)
    across = (u @ v.T - target).square().mean()
    within = (u @ u.T - target).square().mean() + (v @ v.T - target).square().mean()
    return across + within / 2 + gamma * quantisation(image, text)
