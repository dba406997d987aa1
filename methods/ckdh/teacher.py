"""CKDH's teacher: CLIP features through a residual adapter, texts through graph attention.

Our reconstruction. A text attends to the texts nearest to it: within the batch while the teacher learns, and
among all items that the student is trained on when it hands its knowledge on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from bench.api import passes
from bench.methods._network import Network, Place, batches

SLOPE = 0.2  # LeakyReLU's slope, as in graph attention networks (Veličković et al., ICLR 2018)
ROWS = 2048  # items at a time, where all are compared with all
ADAPTER = 0.3  # gain of the adapter's initial weights: small, so that it starts near the identity


def learn(
    items: Mapping[str, Any],
    image_net: Any,
    *,
    bits: int,
    neighbours: int,
    heads: int,
    width: int,
    epochs: int,
    rate: float,
    weights: tuple[float, float, float],
    batch: int,
    rng: np.random.Generator,
    place: Place,
) -> tuple[Any, GraphAttention]:
    """Train on ``clip``, ``text``, ``words`` and ``labels`` of n pairs; returns both trained networks.

    ``image_net`` is an :class:`Adapter`, or a network like it on what ``clip`` holds.
    """
    clip, text, words, labels = (items[name] for name in ("clip", "text", "words", "labels"))
    text_net = GraphAttention((text.shape[1], heads, width, bits), rng=rng, place=place)
    groups: list[dict[str, Any]] = [{"params": [*image_net.parameters, *text_net.parameters]}]
    optimizer = torch.optim.Adam(groups + image_net.slower(rate), lr=rate, fused=True)
    for _ in passes("teacher", epochs):
        for rows in batches(len(text), batch, rng):
            image = image_net(clip[rows])
            graph = text_net(text[rows], nearest(words[rows], neighbours))
            optimizer.zero_grad()
            loss(image, graph, similar(labels[rows]), weights).backward()
            optimizer.step()
    return image_net, text_net


def of_images(net: Any, clip: Any) -> Any:
    """The trained network's outputs F^I (n, k) for CLIP features (n, d)."""
    with torch.no_grad():
        return torch.cat([net(part) for part in clip.split(ROWS)])


def of_texts(net: GraphAttention, text: Any, words: Any, neighbours: int) -> Any:
    """The trained network's outputs F^T (n, k) for texts (n, d), each with the graph over all of them."""
    near = nearest(words, neighbours)
    with torch.no_grad():
        parts = zip(text.split(ROWS), near.split(ROWS), strict=True)
        return torch.cat([net(part, others, among=text) for part, others in parts])


class Adapter:
    """``tanh((x + adapter(x)) W + b)`` for CLIP features x (n, d), in place of fine-tuning CLIP."""

    def __init__(
        self, inputs: int, outputs: int, *, adapts: bool, rng: np.random.Generator, place: Place
    ) -> None:
        self.adapter, self._place = None, place
        if adapts:
            self.adapter = Network((inputs, inputs, inputs), torch.relu, gain=ADAPTER, rng=rng, place=place)
        weights = rng.standard_normal((inputs, outputs)) / inputs**0.5
        self.parameters = [place.tensor(w).requires_grad_() for w in (weights, np.zeros(outputs))]

    def __call__(self, x: Any) -> Any:
        w, b = self.parameters
        adapted = x if self.adapter is None else x + self.adapter(x)
        with self._place.products():
            out = adapted @ w + b
        return torch.tanh(out.to(self._place.dtype))

    def slower(self, rate: float) -> list[dict[str, Any]]:
        """The parameters that learn more slowly, as groups of an optimizer."""
        return [] if self.adapter is None else [{"params": self.adapter.parameters, "lr": rate / 10}]

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return W, b and the adapter's four arrays, if it has one."""
        inner = [] if self.adapter is None else self.adapter.arrays()
        return [*(p.detach().cpu().numpy() for p in self.parameters), *inner]

    @classmethod
    def of(cls, arrays: Sequence[npt.NDArray[Any]], *, place: Place) -> Self:
        """Recreate a network from its :meth:`arrays`."""
        net = cls.__new__(cls)
        net._place = place
        net.parameters = [place.tensor(a) for a in arrays[:2]]
        net.adapter = Network.of(arrays[2:], torch.relu, place=place) if arrays[2:] else None
        return net


class GraphAttention:
    """One layer of graph attention, then ``tanh(· W + b)``; sizes: inputs, heads, width, outputs.

    Each head computes ``ELU(Σ_j att_ij V x_j)``, where ``att`` is the softmax of
    ``LeakyReLU(a₁·V x_i + a₂·V x_j)`` over the neighbours j of i, of which i itself is one.
    """

    def __init__(self, sizes: tuple[int, int, int, int], *, rng: np.random.Generator, place: Place) -> None:
        inputs, heads, width, outputs = sizes
        self._place = place
        starts = [
            rng.standard_normal((inputs, heads * width)) / inputs**0.5,
            rng.standard_normal((heads, width)) / width**0.5,
            rng.standard_normal((heads, width)) / width**0.5,
            rng.standard_normal((heads * width, outputs)) / (heads * width) ** 0.5,
            np.zeros(outputs),
        ]
        self.parameters = [place.tensor(start).requires_grad_() for start in starts]

    def __call__(self, x: Any, near: Any, *, among: Any | None = None) -> Any:
        """Return outputs (n, k) for texts x (n, d); ``near`` (n, m) are the rows of ``among`` they attend to.

        ``among`` (c, d) is x itself if it is not given.
        """
        v, a1, a2, w, b = self.parameters
        with self._place.products():
            y = (x @ v).view(len(x), *a1.shape)
            others = y if among is None else (among @ v).view(len(among), *a1.shape)
            weights = self.attention(y, others, a1, a2, near)
            out = F.elu(torch.einsum("nmh,nmhd->nhd", weights, others[near])).flatten(1) @ w + b
        return torch.tanh(out.to(self._place.dtype))

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return V, a₁, a₂, W, b as arrays."""
        return [p.detach().cpu().numpy() for p in self.parameters]

    @classmethod
    def of(cls, arrays: Sequence[npt.NDArray[Any]], *, place: Place) -> Self:
        """Recreate a network from its :meth:`arrays`."""
        net = cls.__new__(cls)
        net._place, net.parameters = place, [place.tensor(a) for a in arrays]
        return net

    @staticmethod
    def attention(y: Any, others: Any, a1: Any, a2: Any, near: Any) -> Any:
        """Return attention weights (n, m, heads), which sum to 1 over m; y (n, heads, width)."""
        own, other = (y * a1).sum(dim=2), (others * a2).sum(dim=2)
        return F.leaky_relu(own[:, None, :] + other[near], SLOPE).softmax(dim=1)


def nearest(words: Any, neighbours: int) -> Any:
    """The rows of the nearest other bags of words (n, d) by cosine, after the row itself: (n, m)."""
    unit, found = F.normalize(words), []
    for start in range(0, len(words), ROWS):
        cosines = unit[start : start + ROWS] @ unit.T
        cosines.diagonal(start).fill_(torch.inf)
        found.append(cosines.topk(min(neighbours + 1, len(words)), dim=1).indices)
    return torch.cat(found)


def similar(labels: Any) -> Any:
    """Return S (b, b): 1 if two items share a label, and on the diagonal; else 0."""
    return (labels @ labels.T > 0).to(labels.dtype).fill_diagonal_(1.0)


def loss(image: Any, text: Any, similarity: Any, weights: tuple[float, float, float]) -> Any:
    """Return ``L_nll + λ₁ L_intra + λ₂ L_inter + γ L_q`` for outputs (b, k) and S (b, b).

    L_nll is the mean of ``log(1 + e^θ) - S θ`` with ``θ = ½ F^I F^Tᵀ``. L_intra and L_inter are mean squared
    differences between cosines and ``2S - 1``, L_q between outputs and ``sign(F^I + F^T)``.
    """
    theta = image @ text.T / 2
    nll = (F.softplus(theta) - similarity * theta).mean()
    target = 2 * similarity - 1
    u, v = F.normalize(image), F.normalize(text)
    intra = (u @ u.T - target).square().mean() + (v @ v.T - target).square().mean()
    inter = (u @ v.T - target).square().mean()
    lambda1, lambda2, gamma = weights
    return nll + lambda1 * intra + lambda2 * inter + gamma * quantisation(image, text)


def quantisation(image: Any, text: Any) -> Any:
    """Return the mean of ``(F - sign(F^I + F^T))²``, summed over both modalities."""
    codes = torch.where((image + text).detach() >= 0, 1.0, -1.0)
    return (image - codes).square().mean() + (text - codes).square().mean()
