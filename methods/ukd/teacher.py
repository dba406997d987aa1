"""UKD's teacher: learns, without labels, to tell the partner of an item from other items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bench.api import MODALITIES, Modality, passes
from bench.methods._network import Network, Place, batches

OUTPUTS = 128  # independent of the student's code length
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
    place: Place,
) -> dict[Modality, Network]:
    """Train one network per modality on the paired rows of ``x``; each outputs 128 logits.

    The loss is the one the authors pre-train their discriminator with: the triplet loss in both directions
    plus ``decay · ½‖θ‖²``. They use gradient descent at rate 0.01 for 200 epochs, where this uses Adam, and
    then train against a generator of negatives, which is omitted here.
    """
    nets = {
        m: Network((x[m].shape[1], hidden, OUTPUTS), torch.tanh, gain=1.0, rng=rng, place=place)
        for m in MODALITIES
    }
    parameters = [p for net in nets.values() for p in net.parameters]
    optimizer = torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
    for _ in passes("teacher", epochs):
        for rows in batches(len(x["image"]), batch, rng):
            image, text = (torch.sigmoid(nets[m](x[m][rows])) for m in MODALITIES)
            optimizer.zero_grad()
            triplet_loss(image, text).backward()
            optimizer.step()
    return nets


def of(arrays: Sequence[Any], place: Place) -> Network:
    """Recreate a trained network from its arrays."""
    return Network.of(arrays, torch.tanh, place=place)


def space(net: Network, x: Any) -> Any:
    """Return the position of each row of x in the teacher's space: sigmoids (n, 128) in [0, 1]."""
    with torch.no_grad():
        return torch.cat([torch.sigmoid(net(part)) for part in x.split(4096)])


def triplet_loss(image: Any, text: Any) -> Any:
    """Return the mean of ``[margin + ‖q - p‖² - ‖q - n‖²]₊``, summed over directions, for pairs (b, 128).

    q is a query in one modality, p its partner in the other, and n any item there. The authors draw one n
    per query; here n runs over the full batch (n = p adds a constant and no gradient).
    """
    squares = image.square().sum(dim=1)[:, None] + text.square().sum(dim=1)
    distance = squares - 2 * image.matmul(text.T)
    positive = distance.diagonal()[:, None]
    return torch.relu(MARGIN + positive - distance).mean() + torch.relu(MARGIN + positive - distance.T).mean()
