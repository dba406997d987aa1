"""UKD's teacher: it learns without labels to tell an item's own partner from other items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bench.api import MODALITIES, Modality
from bench.methods.ukd.network import Network, batches

OUTPUTS = 128  # the authors' width, whatever the length of the student's codes
MARGIN = OUTPUTS / 8


def learn(
    x: Mapping[Modality, Any],
    *,
    hidden: int,
    epochs: int,
    rate: float,
    decay: float,
    batch: int,
    rng: np.random.Generator,
    device: str,
) -> list[Any]:
    """Train on the paired rows of ``x`` and return the sigmoids of all rows, (n, 128) each.

    The loss is that of the authors' discriminator in pre-training: the mean of
    ``[margin + ‖q - p‖² - ‖q - n‖²]₊`` over triplets of a query q, its partner p and another
    item n of the partner's modality, in both directions, plus ``decay · ½‖θ‖²``.
    They draw one n per query; here n runs over the whole batch.
    """
    n = len(x["image"])
    nets = [
        Network((x[m].shape[1], hidden, OUTPUTS), torch.tanh, gain=1.0, rng=rng, device=device)
        for m in MODALITIES
    ]
    optimizer = nets[0].optimizer(rate, decay, nets[1])
    for _ in range(epochs):
        for rows in batches(n, batch, rng):
            image, text = (torch.sigmoid(net(x[m][rows])) for net, m in zip(nets, MODALITIES, strict=True))
            loss = triplet_loss(image, text)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return [
            torch.cat([torch.sigmoid(net(part)) for part in x[m].split(4096)])
            for net, m in zip(nets, MODALITIES, strict=True)
        ]


def triplet_loss(image: Any, text: Any) -> Any:
    """Mean hinge over all triplets of a batch, both directions: (b, k) and (b, k) to a scalar."""
    distance = torch.cdist(image, text, compute_mode="use_mm_for_euclid_dist").square()
    gap = MARGIN + distance.diagonal()[:, None]
    return torch.relu(gap - distance).mean() + torch.relu(gap - distance.T).mean()
