"""The offline teacher of LCDH: CLIP features of a pair → fusion → attention → FC → real-valued code.

Our reconstruction of the outline in the paper's abstract (see README.md). Attention runs over the three
tokens of ONE item: over a single fused token it would be a linear map, over a batch codes would depend on it.
torch is imported by the functions that need it only, and what is kept of a teacher is numpy arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.methods._online import Array
from bench.methods.lcdh.linear import Scaling, rotated_axes, unit_rows
from bench.state import State

Tensor = Any  # torch.Tensor; torch is not imported here
Weights = dict[str, Tensor]

BLOCK = 4096  # items encoded at once; bounds memory
RATE = 1e-3  # of Adam
BATCH = (
    128  # pairs per step: their similarity matrix is the target. Small pools want more steps, not larger ones
)
QUANTISE = 0.05  # weight of ‖H - sign(H)‖²
ETA, MU = (
    0.4,
    1.5,
)  # of the affinity without labels, as in the released settings of DJSRH (Su et al., ICCV 2019)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a teacher is built and trained; the fields are the parameters of the method."""

    bits: int
    width: int
    heads: int
    attention: int
    epochs: int
    contrastive: float
    tau: float
    device: str


class Teacher(State):
    """A frozen teacher. ``centre`` (k,) is the mean code of the pool that it was fitted on.

    ``weights`` holds float32 arrays of the network, or one float64 ``projection`` (d_I + d_T, k).
    """

    image: Scaling
    text: Scaling
    weights: dict[str, npt.NDArray[Any]]
    heads: int
    device: str
    centre: Array | float = 0.0

    def codes(self, image: npt.NDArray[Any], text: npt.NDArray[Any]) -> Array:
        """H (n, k) of the pairs with these CLIP features (n, d_I), (n, d_T); row by row."""
        parts = [
            self._codes(self.image(image[i : i + BLOCK]), self.text(text[i : i + BLOCK]))
            for i in range(0, len(image), BLOCK)
        ]
        return np.concatenate(parts)

    def signal(self, image: npt.NDArray[Any], text: npt.NDArray[Any]) -> Array:
        """Ĥ (n, k): centred codes scaled to norm √k, so that ``Ĥ Ĥᵀ`` has the range of ``B Bᵀ``."""
        centred = unit_rows(self.codes(image, text) - self.centre)
        return centred * math.sqrt(centred.shape[1])

    def _codes(self, image: Array, text: Array) -> Array:
        if "projection" in self.weights:
            return np.hstack([image, text]) @ self.weights["projection"]
        import torch

        with torch.no_grad():
            weights = {name: torch.from_numpy(w).to(self.device) for name, w in self.weights.items()}
            h, _ = forward(weights, _tensor(image, self.device), _tensor(text, self.device), heads=self.heads)
            return h.cpu().numpy().astype(np.float64)


def project_teacher(
    image: npt.NDArray[Any], text: npt.NDArray[Any], *, bits: int, rng: np.random.Generator
) -> Teacher:
    """The untrained teacher: PCA and ITQ of both standardised CLIP features side by side."""
    scale_image, scale_text = Scaling.fit(image), Scaling.fit(text)
    both = np.hstack([scale_image(image), scale_text(text)])
    projection = rotated_axes(both, bits, iterations=50, rng=rng)
    return Teacher(scale_image, scale_text, {"projection": projection}, heads=0, device="cpu")


def train_teacher(
    image: npt.NDArray[Any],
    text: npt.NDArray[Any],
    labels: Array,
    *,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Teacher:
    """Train on pairs with CLIP features (n, d_I), (n, d_T) and unit label rows (n, c), zero if unlabelled."""
    import torch

    scale_image, scale_text = Scaling.fit(image), Scaling.fit(text)
    device = recipe.device
    f_image, f_text = _tensor(scale_image(image), device), _tensor(scale_text(text), device)
    g = _tensor(labels, device)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    weights = initial_weights(image.shape[1], text.shape[1], recipe, generator)
    weights = {name: w.to(device).requires_grad_() for name, w in weights.items()}
    adam = torch.optim.Adam(weights.values(), lr=RATE)
    batches = math.ceil(len(image) / BATCH)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(image), generator=generator).to(device)
        for rows in order.tensor_split(batches):  # equal parts: a short last batch would be noise
            adam.zero_grad()
            loss(weights, f_image[rows], f_text[rows], g[rows], recipe).backward()
            adam.step()
    kept = {n: w.detach().cpu().numpy() for n, w in weights.items() if not n.startswith("contrast")}
    teacher = Teacher(scale_image, scale_text, kept, heads=recipe.heads, device=device)
    teacher.centre = teacher.codes(image, text).mean(axis=0)
    return teacher


def initial_weights(d_image: int, d_text: int, recipe: Recipe, generator: Any) -> Weights:
    """Weights by name, float32 on the CPU: matrices uniform in ±1/√rows, gains 1, biases 0."""
    import torch

    d = recipe.width
    shapes = {"image": (d_image, d), "text": (d_text, d), "code": (d, recipe.bits)}
    shapes |= {"contrast.image": (d, 128), "contrast.text": (d, 128)}
    weights: Weights = {"type": 0.02 * torch.randn(3, d, generator=generator), **_norm("norm", d)}
    for layer in range(recipe.attention):
        shapes |= {f"attention{layer}.in": (d, 3 * d), f"attention{layer}.out": (d, d)}
        weights |= _norm(f"attention{layer}.norm", d)
    for name, (rows, columns) in shapes.items():
        uniform = torch.rand(rows, columns, generator=generator)
        weights[f"{name}.weight"] = (2.0 * uniform - 1.0) / math.sqrt(rows)
        weights[f"{name}.bias"] = torch.zeros(columns)
    return weights


def forward(weights: Weights, image: Tensor, text: Tensor, *, heads: int) -> tuple[Tensor, Tensor]:
    """Codes H (b, k) in (-1, 1) and tokens Y (b, 3, d) of standardised features (b, d_I), (b, d_T)."""
    import torch

    a, e = _linear(weights, "image", image), _linear(weights, "text", text)
    tokens = torch.stack([a, e, a * e], dim=1) + weights["type"]  # the product: what both say at once
    layer = 0
    while f"attention{layer}.in.weight" in weights:
        tokens = tokens + _attend(weights, f"attention{layer}", tokens, heads)
        layer += 1
    tokens = _normalise(weights, "norm", tokens)
    return torch.tanh(_linear(weights, "code", tokens.mean(dim=1))), tokens


def loss(weights: Weights, image: Tensor, text: Tensor, labels: Tensor, recipe: Recipe) -> Tensor:
    """‖HHᵀ/k - S*‖²/b² + contrastive · InfoNCE(image, text) + 0.05 ‖H - sign H‖²/(bk) of one batch."""
    h, tokens = forward(weights, image, text, heads=recipe.heads)
    total = (h @ h.T / recipe.bits - target(image, text, labels)).square().mean()
    total = total + QUANTISE * (h.abs() - 1.0).square().mean()
    if recipe.contrastive:
        total = total + recipe.contrastive * _contrast(weights, tokens, recipe.tau)
    return total


def target(image: Tensor, text: Tensor, labels: Tensor) -> Tensor:
    """S* (b, b) in [-1, 1]: 2GGᵀ - 1 where both items have labels, else the affinity of their features.

    The affinity is DJSRH's: clip(1.5 [0.6 S + 0.4 SSᵀ/b]), S the mean of both modalities' cosines.
    """
    import torch
    from torch.nn.functional import normalize

    known = labels.any(dim=1)
    supervised = 2.0 * labels @ labels.T - 1.0
    if known.all():
        return supervised
    cosines = sum(0.5 * f @ f.T for f in (normalize(image), normalize(text)))
    affinity = MU * ((1.0 - ETA) * cosines + ETA * cosines @ cosines.T / len(image))
    return torch.where(known[:, None] & known[None, :], supervised, affinity.clamp(-1.0, 1.0))


def _contrast(weights: Weights, tokens: Tensor, tau: float) -> Tensor:
    """Symmetric InfoNCE between the image and the text tokens of the batch."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    image, text = (
        normalize(_linear(weights, f"contrast.{name}", tokens[:, i]))
        for i, name in enumerate(("image", "text"))
    )
    scores, own = image @ text.T / tau, torch.arange(len(tokens), device=tokens.device)
    return 0.5 * (cross_entropy(scores, own) + cross_entropy(scores.T, own))


def _attend(weights: Weights, name: str, tokens: Tensor, heads: int) -> Tensor:
    """Multi-head self-attention over the tokens (b, 3, d) of each item, normalised first."""
    b, length, d = tokens.shape
    mixed = _linear(weights, f"{name}.in", _normalise(weights, f"{name}.norm", tokens))
    query, key, value = mixed.view(b, length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    attention = (query @ key.transpose(-1, -2) / math.sqrt(d // heads)).softmax(dim=-1)
    return _linear(weights, f"{name}.out", (attention @ value).transpose(1, 2).reshape(b, length, d))


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _norm(name: str, width: int) -> Weights:
    import torch

    return {f"{name}.gain": torch.ones(width), f"{name}.shift": torch.zeros(width)}


def _normalise(weights: Weights, name: str, x: Tensor) -> Tensor:
    from torch.nn.functional import layer_norm

    return layer_norm(x, x.shape[-1:], weights[f"{name}.gain"], weights[f"{name}.shift"])


def _tensor(x: Array, device: str) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(device)
