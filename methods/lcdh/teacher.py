"""LCDH's offline teacher: CLIP features of a pair → fusion → attention → FC → real-valued code.

Our reconstruction of the outline in the paper's abstract (docs/lcdh.md). Attention runs over the tokens of
ONE item, or over channels of the vector that they form: over a single fused token it would be a linear map;
over a batch, codes would depend on the batch.
Only the functions that need torch import it; a stored teacher is numpy arrays.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from bench.api import Batch, Features, Rows, Split, State, passes
from bench.methods._online import Array, dot
from bench.methods._scaling import Scaling
from bench.methods.lcdh.linear import rotated_axes, unit_rows

Tensor = Any  # torch.Tensor; torch is not imported here
Weights = dict[str, Tensor]

BLOCK = 4096  # items encoded at a time; bounds memory
RATE = 1e-3  # Adam's learning rate
BATCH = 128  # pairs per step: small pools need more steps, not larger ones
QUANTISE = 0.05  # weight of ‖H - sign(H)‖²
ETA, MU = 0.4, 1.5  # affinity of unlabelled items: released settings of DJSRH (Su et al., ICCV 2019)

Fusion = Literal["product", "concat", "channels", "image", "text"]
Target = Literal["clip", "mixed", "labels"]
SHARES: dict[Target, float] = {"clip": 0.0, "mixed": 0.5, "labels": 1.0}  # of the labels in the target
TOKENS = {"product": 3, "concat": 2, "channels": 2, "image": 1, "text": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of a teacher and its training, from the parameters of the method."""

    bits: int
    width: int
    heads: int
    attention: int
    fusion: Fusion
    epochs: int
    contrastive: float
    tau: float
    target: Target
    device: str

    @property
    def contrasts(self) -> bool:
        """Whether the contrastive loss applies: it needs an image and a text token."""
        return self.contrastive > 0 and TOKENS[self.fusion] > 1


@dataclass(frozen=True, slots=True)
class Seen:
    """Input of a teacher: CLIP features (n, d_I), (n, d_T), and ``present`` (n, 2), None if all are."""

    image: npt.NDArray[Any]
    text: npt.NDArray[Any]
    present: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, items: Split) -> Self:
        """Take the ``clip`` views of some items."""
        known = np.column_stack([items.image.present, items.text.present])
        return cls(items.image.views["clip"], items.text.views["clip"], None if known.all() else known)

    def take(self, rows: Rows | slice) -> Seen:
        return Seen(self.image[rows], self.text[rows], None if self.present is None else self.present[rows])

    def __len__(self) -> int:
        return len(self.image)


class Teacher(State):
    """A frozen teacher; ``centre`` (k,) is its mean code on the pool it was fitted on.

    ``weights`` holds the float32 arrays of the network, or one float64 ``projection`` (d_I + d_T, k). A
    modality that no item of the pool had has no scaling, and counts as missing.
    """

    image: Scaling | None
    text: Scaling | None
    weights: dict[str, npt.NDArray[Any]]
    fusion: str
    heads: int
    device: str
    centre: Array | float = 0.0

    def codes(self, seen: Seen) -> Array:
        """Return H (n, k), each row on its own; modalities that an item lacks are ignored."""
        parts = [self._codes(seen.take(slice(i, i + BLOCK))) for i in range(0, len(seen), BLOCK)]
        return np.concatenate(parts)

    def signal(self, seen: Seen) -> Array:
        """Return Ĥ (n, k): centred codes scaled to norm √k, so that ``Ĥ Ĥᵀ`` has the range of ``B Bᵀ``.

        The rows of items without a modality that it reads are 0.
        """
        centred = unit_rows(self.codes(seen) - self.centre)
        centred[~self._read(seen).any(axis=1)] = 0.0
        return centred * math.sqrt(centred.shape[1])

    def _read(self, seen: Seen) -> npt.NDArray[np.bool_]:
        """The modalities (n, 2) of each item that enter its code."""
        present = np.ones((len(seen), 2), bool) if seen.present is None else seen.present
        known = [self.image is not None, self.text is not None]
        return present & known & [self.fusion != "text", self.fusion != "image"]

    def _codes(self, seen: Seen) -> Array:
        if self.image is None or self.text is None:
            seen = replace(seen, present=self._read(seen))
        image, text = standardised(seen, self.image, self.text)
        if "projection" in self.weights:
            upper, lower = np.split(self.weights["projection"], [image.shape[1]])
            return dot(image, upper) + dot(text, lower)
        import torch

        with torch.no_grad():
            weights = {name: torch.from_numpy(w).to(self.device) for name, w in self.weights.items()}
            inputs = (_tensor(image, self.device), _tensor(text, self.device))
            h, _ = forward(weights, *inputs, _mask(seen, self.device), fusion=self.fusion, heads=self.heads)
            return h.cpu().numpy().astype(np.float64)


def standardised(seen: Seen, image: Scaling | None, text: Scaling | None) -> tuple[Features, Features]:
    """Standardise both modalities; a missing modality becomes zeros, which is the mean."""
    scaled = [
        np.zeros(x.shape, np.float32) if scaling is None else scaling(x)
        for x, scaling in ((seen.image, image), (seen.text, text))
    ]
    if seen.present is not None:
        for x, present in zip(scaled, seen.present.T, strict=True):
            x[~present] = 0.0
    return scaled[0], scaled[1]


def fit_scalings(seen: Seen) -> tuple[Scaling | None, Scaling | None]:
    """Fit the scaling of each modality to the items that have it; None if no item has."""
    absent = (None, None) if seen.present is None else ~seen.present.T
    image, text = (Batch(x, absent=a) for x, a in zip((seen.image, seen.text), absent, strict=True))
    return Scaling.of(image, power=1.0), Scaling.of(text, power=1.0)


def project_teacher(seen: Seen, *, bits: int, rng: np.random.Generator) -> Teacher:
    """Build the untrained teacher: PCA and ITQ of both standardised CLIP features side by side."""
    scalings = fit_scalings(seen)
    both: Any = np.hstack(standardised(seen, *scalings))
    projection = rotated_axes(both, bits, iterations=50, rng=rng)
    return Teacher(*scalings, {"projection": projection}, fusion="concat", heads=0, device="cpu")


def train_teacher(seen: Seen, labels: Array, *, recipe: Recipe, seed: int) -> Teacher:
    """Train a teacher on pairs with unit label rows (n, c); unlabelled rows are zero.

    An interruption leaves no partial teacher.
    """
    import torch

    scalings = fit_scalings(seen)
    device = recipe.device
    f_image, f_text = (_tensor(x, device) for x in standardised(seen, *scalings))
    g, mask = _tensor(labels, device), _mask(seen, device)
    generator = torch.Generator().manual_seed(seed)
    weights = initial_weights(seen.image.shape[1], seen.text.shape[1], recipe, generator)
    weights = {name: w.to(device).requires_grad_() for name, w in weights.items()}
    adam = torch.optim.Adam(weights.values(), lr=RATE)
    batches = math.ceil(len(seen) / BATCH)
    for _ in passes("teacher", recipe.epochs):
        order = torch.randperm(len(seen), generator=generator).to(device)
        for rows in order.tensor_split(batches):  # equal parts: a short last batch would add noise
            adam.zero_grad()
            present = None if mask is None else mask[rows]
            value = loss(weights, f_image[rows], f_text[rows], g[rows], recipe, present)
            value.backward()
            adam.step()
    kept = {n: w.detach().cpu().numpy() for n, w in weights.items() if not n.startswith("contrast")}
    teacher = Teacher(*scalings, kept, fusion=recipe.fusion, heads=recipe.heads, device=device)
    teacher.centre = teacher.codes(seen).mean(axis=0)
    return teacher


def content(seen: Seen, labels: Array) -> str:
    """Hash the training data of a teacher."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (seen.image, seen.text, seen.present, labels):
        if array is not None:
            plain = np.ascontiguousarray(array)
            digest.update(f"{plain.dtype} {plain.shape}".encode())
            digest.update(plain.data)
    return digest.hexdigest()


def identity(data: str, recipe: Recipe, seed: int) -> str:
    """Hash everything that determines a trained teacher except code: data, recipe, seed and torch."""
    import torch

    made_by = f"torch {torch.__version__} on {torch.get_num_threads()} threads"
    text = f"{data} {recipe} {seed} {made_by}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def initial_weights(d_image: int, d_text: int, recipe: Recipe, generator: Any) -> Weights:
    """Draw the weights by name, float32 on the CPU: matrices uniform in ±1/√rows, gains 1, biases 0.

    A network with a single token has no attention: there is nothing to attend to.
    """
    import torch

    d, tokens = recipe.width, TOKENS[recipe.fusion]
    attended, coded = (d // recipe.heads, tokens * d) if recipe.fusion == "channels" else (d, d)
    shapes = {"image": (d_image, d), "text": (d_text, d), "code": (coded, recipe.bits)}
    if recipe.contrasts:
        shapes |= {"contrast.image": (d, 128), "contrast.text": (d, 128)}
    weights: Weights = {"type": 0.02 * torch.randn(tokens, d, generator=generator), **_norm("norm", d)}
    for layer in range(recipe.attention if tokens > 1 else 0):
        shapes |= {f"attention{layer}.in": (attended, 3 * attended)}
        shapes |= {f"attention{layer}.out": (attended, attended)}
        weights |= _norm(f"attention{layer}.norm", attended)
    for name, (rows, columns) in shapes.items():
        uniform = torch.rand(rows, columns, generator=generator)
        weights[f"{name}.weight"] = (2.0 * uniform - 1.0) / math.sqrt(rows)
        weights[f"{name}.bias"] = torch.zeros(columns)
    unused = {"image": "text.", "text": "image."}.get(recipe.fusion)
    return {n: w for n, w in weights.items() if unused is None or not n.startswith(unused)}


def forward(
    weights: Weights, image: Tensor, text: Tensor, present: Tensor | None, *, fusion: str, heads: int
) -> tuple[Tensor, Tensor]:
    """Return codes H (b, k) in (-1, 1) and tokens Y (b, t, d) for standardised features (b, d_I), (b, d_T).

    ``present`` (b, 2) marks the modalities of each item; None: all. Tokens of missing modalities, and the
    product token with them, are neither attended to nor averaged.

    With ``fusion="channels"`` the tokens of image and text are one vector. Cut into ``heads`` channels per
    modality, which attend to each other, and put together again, it is what the FC layer maps to the code.
    """
    import torch

    inputs = {"image": image, "text": text}
    own = [_linear(weights, m, x) for m, x in inputs.items() if fusion not in inputs or fusion == m]
    tokens = torch.stack([*own, own[0] * own[1]] if fusion == "product" else own, dim=1) + weights["type"]
    mask = None if present is None else _token_mask(present, fusion)
    if fusion == "channels":
        known = None if mask is None else mask.repeat_interleave(heads, dim=1)
        channels = tokens.reshape(len(tokens), 2 * heads, -1)
        tokens = _attended(weights, channels, known, 1).reshape(tokens.shape)
    else:
        tokens = _attended(weights, tokens, mask, heads)
    tokens = _normalise(weights, "norm", tokens)
    if mask is not None:
        tokens = tokens * mask[:, :, None]
    if fusion == "channels":
        item = tokens.flatten(1)
    elif mask is None:
        item = tokens.mean(dim=1)
    else:
        item = tokens.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)
    return torch.tanh(_linear(weights, "code", item)), tokens


def _attended(weights: Weights, tokens: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Tokens (b, t, d) after every layer of attention, each with a residual."""
    layer = 0
    while f"attention{layer}.in.weight" in weights:
        tokens = tokens + _attend(weights, f"attention{layer}", tokens, mask, heads)
        layer += 1
    return tokens


def _token_mask(present: Tensor, fusion: str) -> Tensor:
    """Mark the tokens (b, t) of each item, given its modalities (b, 2)."""
    import torch

    image, text = present[:, 0], present[:, 1]
    columns = {
        "product": [image, text, image & text],  # the product needs both
        "concat": [image, text],
        "channels": [image, text],
        "image": [image],
        "text": [text],
    }
    return torch.stack(columns[fusion], dim=1)


def loss(
    weights: Weights,
    image: Tensor,
    text: Tensor,
    labels: Tensor,
    recipe: Recipe,
    present: Tensor | None = None,
) -> Tensor:
    """Return ‖HHᵀ/k - S*‖²/b² + contrastive · InfoNCE(image, text) + 0.05 ‖H - sign H‖²/(bk) for a batch."""
    h, tokens = forward(weights, image, text, present, fusion=recipe.fusion, heads=recipe.heads)
    total = (
        (h @ h.T / recipe.bits - target(image, text, labels, present, SHARES[recipe.target])).square().mean()
    )
    total = total + QUANTISE * (h.abs() - 1.0).square().mean()
    pairs = tokens if present is None else tokens[present.all(dim=1)]
    if recipe.contrasts and len(pairs) > 1:
        total = total + recipe.contrastive * _contrast(weights, pairs, recipe.tau)
    return total


def target(
    image: Tensor, text: Tensor, labels: Tensor, present: Tensor | None = None, share: float = 1.0
) -> Tensor:
    """Return S* (b, b) in [-1, 1]: the affinity of features, mixed with the labels' 2GGᵀ - 1.

    ``share`` is the weight of the labels, where both items have some.

    The affinity is DJSRH's: clip(1.5 [0.6 S + 0.4 SSᵀ/b]), where S is the mean cosine over the modalities
    that both items have, or 0 if they have none in common.
    """
    import torch
    from torch.nn.functional import normalize

    known = labels.any(dim=1)
    supervised = 2.0 * labels @ labels.T - 1.0
    if known.all() and share == 1:
        return supervised
    cosines = sum(0.5 * f @ f.T for f in (normalize(image), normalize(text)))
    if present is not None:
        common = present.float() @ present.float().T
        cosines = cosines * 2.0 / common.clamp_min(1.0)
    affinity = MU * ((1.0 - ETA) * cosines + ETA * cosines @ cosines.T / len(image))
    affinity = affinity.clamp(-1.0, 1.0)
    supervised = share * supervised + (1.0 - share) * affinity
    return torch.where(known[:, None] & known[None, :], supervised, affinity)


def _contrast(weights: Weights, tokens: Tensor, tau: float) -> Tensor:
    """Return the symmetric InfoNCE loss between image and text tokens of the batch."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    image, text = (
        normalize(_linear(weights, f"contrast.{name}", tokens[:, i]))
        for i, name in enumerate(("image", "text"))
    )
    scores, own = image @ text.T / tau, torch.arange(len(tokens), device=tokens.device)
    return 0.5 * (cross_entropy(scores, own) + cross_entropy(scores.T, own))


def _attend(weights: Weights, name: str, tokens: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Apply multi-head self-attention over the tokens (b, t, d) of each item, after normalisation."""
    b, length, d = tokens.shape
    mixed = _linear(weights, f"{name}.in", _normalise(weights, f"{name}.norm", tokens))
    query, key, value = mixed.view(b, length, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(d // heads)
    if mask is not None:  # a large finite number, since an item may lack every token
        scores = scores.masked_fill(~mask[:, None, None, :], -1e9)
    attention = scores.softmax(dim=-1)
    return _linear(weights, f"{name}.out", (attention @ value).transpose(1, 2).reshape(b, length, d))


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _norm(name: str, width: int) -> Weights:
    import torch

    return {f"{name}.gain": torch.ones(width), f"{name}.shift": torch.zeros(width)}


def _normalise(weights: Weights, name: str, x: Tensor) -> Tensor:
    from torch.nn.functional import layer_norm

    return layer_norm(x, x.shape[-1:], weights[f"{name}.gain"], weights[f"{name}.shift"])


def _mask(seen: Seen, device: str) -> Tensor | None:
    import torch

    return None if seen.present is None else torch.from_numpy(seen.present).to(device)


def _tensor(x: npt.NDArray[Any], device: str) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).to(device)
