"""SCBCH's losses for pairs whose labels may be wrong, and its estimate of which labels are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.methods._online import Array, dot

_BLOCK = 1024  # rows of the similarity processed at a time


def pair_contrast(image: Any, text: Any, labels: Any, *, margin: float, shift: float) -> Any:
    """Contrast of unit outputs (n, r) with labels (n, c), as a scalar.

    With S = image · textᵀ, T the overlap (Jaccard) of label sets, and R and K equal to S but lowered by
    ``shift`` where S is more than ``margin`` below the pair of the row (R) or the column (K), it is

        mean e^{R (1 - T)} + mean e^{K (1 - T)} + mean_{i≠j} 1[T > 0] e^{shift - S} - mean_i S_ii
    """
    import torch

    s = image @ text.T
    own = s.diagonal()
    total, both = labels.sum(dim=1), labels @ labels.T
    overlap = both / (total[:, None] + total - both).clamp_min(1)
    pairs = torch.eye(len(s), dtype=torch.bool, device=s.device)
    loss = -own.mean()
    for bound in (own[:, None], own):
        lowered = s.where(s >= bound - margin, s - shift)
        lowered = lowered.where(~pairs, lowered.clamp_min(0))
        loss = loss + (lowered * (1 - overlap)).exp().mean()
    alike = (overlap > 0) & ~pairs
    return loss + ((shift - s).exp() * alike).mean()


def quantisation(image: Any, text: Any) -> Any:
    """Return mean ``|z - sign z|`` of both modalities, (n, r) each."""
    return sum((z - (z >= 0).to(z.dtype) * 2 + 1).abs().mean() for z in (image, text))


def classification(image: Any, text: Any, labels: Any, weights: Any, heads: list[Any]) -> Any:
    """Return the binary cross-entropy of both classifiers ``heads`` (r, c), by ``weights`` (n,) of items."""
    from torch.nn.functional import binary_cross_entropy_with_logits as entropy

    total = 0.0
    for z, head in zip((image, text), heads, strict=True):
        total = total + entropy(z @ head, labels, reduction="none").mean(dim=1)
    return (weights * total / 2).mean()


def trust(image: Array, text: Array, labels: npt.NDArray[Any], neighbours: int) -> Array:
    """Return weights (n,): ½ + ½ cosine of an item's labels (n, c) and the mean labels of its neighbours.

    Neighbours are nearest by the mean cosine of both modalities' unit outputs (n, r), and weighted by it. The
    n × n similarities are never held at once.
    """
    n, wide = len(image), labels.astype(np.float64)
    k, weights = min(neighbours, n - 1), np.ones(n)
    if k < 1:
        return weights
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        alike = (dot(image[rows], image.T) + dot(text[rows], text.T)) / 2
        alike[np.arange(len(rows)), rows] = 0
        near = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        share = np.take_along_axis(alike, near, axis=1)
        total = share.sum(axis=1, keepdims=True)
        mean = np.einsum("nk,nkc->nc", share / np.where(total == 0, 1, total), wide[near])
        norms = np.linalg.norm(mean, axis=1) * np.linalg.norm(wide[rows], axis=1)
        weights[rows] = 0.5 + 0.5 * (mean * wide[rows]).sum(axis=1) / np.where(norms == 0, 1, norms)
    return weights
