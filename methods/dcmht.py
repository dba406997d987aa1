"""DCMHT, re-implemented: CLIP and two hash heads trained end to end on pictures and texts; offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Features, Method, Modality, Source, param, sign

if TYPE_CHECKING:
    from bench.methods._clip import Clip
    from bench.methods._network import Place

_HEADS: tuple[Modality, Modality] = ("image", "text")


class DCMHT(Method):
    """Differentiable hashing with transformers: a bit is a choice between two units.

    CLIP gives unit vectors x (n, d). A head per modality gives two values per bit, ``relu(LN(x A) B)`` with
    A (d, d) and B (d, 2r), and their softmax p (n, r, 2) is the relaxed code; the code is +1 where the second
    is larger. With D the Euclidean distances between the relaxed codes of a batch and m = √(2 r margin),
    within and across modalities,

        loss = mean over relevant pairs of D², over others of max(m - D, 0)², + quantise (1 - (2p - 1)²)

    where a mean is over all pairs. Pictures and texts are read; features are not.
    """

    clip: str = param("small", "MODEL:WEIGHTS of open_clip, the folder of a checkpoint, or small (shipped)")
    epochs: int = param(20, "passes over the pairs", least=0)
    rate: float = param(3e-3, "learning rate of the heads (Adam)", above=0)
    clip_rate: float = param(3e-4, "learning rate of CLIP (Adam); 0 leaves it as it is", least=0)
    margin: float = param(0.75, "share of the largest distance that unrelated codes must have", above=0)
    quantise: float = param(1e-3, "weight of the quantisation loss", least=0)
    batch: int = param(128, "pairs per batch", least=2)
    max_train: int = param(15_000, "train on a random sample of at most this many pairs", least=2)
    memory: float = param(2.0, "GB of pictures kept in memory; more are decoded in every pass", least=0)
    device: str = param("cpu", "torch device, for training and encoding")
    dtype: Literal["float32", "bfloat16"] = param("float32", "bfloat16 applies to products only (autocast)")

    capabilities = Capabilities(supervised=True, offline=True, pictures=True, texts=True, resumes=True)
    source = Source(
        paper="J. Tu, X. Liu, Z. Lin, R. Hong, M. Wang. Differentiable cross-modal hashing via multimodal "
        "transformers. ACM MM 2022, 453-461",
        fidelity="reconstruction",
        note="Follows the outline and the Euclidean loss of the released code (models/DCMHT in "
        "kalenforn/clip-based-cross-modal-hash), which we read but never ran. Ours: attention over the one "
        "token of an item, which is a linear map, is written as one; layer normalisation in both heads; "
        "CLIP's outputs have length 1; batch normalisation inside CLIP keeps its statistics; plain Adam "
        "without warm-up; rates and epochs for the small CLIP; the last pass is used, where the code keeps "
        "the pass that is best on the queries.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Rates of the released code, for a CLIP of the usual size
        "large": {"clip": "ViT-B-32:openai", "rate": 1e-3, "clip_rate": 1e-5, "epochs": 50}
    }

    def fit_chunk(self, chunk: Chunk) -> None:
        import torch

        from bench.methods import _clip

        assert chunk.labels is not None and chunk.image.pictures is not None and chunk.text.texts is not None
        rows = self.rng.permutation(len(chunk))[: self.max_train]
        clip = _clip.Clip(self.clip, self._place())
        heads = self._new_heads(clip.width)
        groups = [
            {"params": heads.parameters(), "lr": self.rate},
            {"params": clip.model.parameters(), "lr": self.clip_rate},
        ]
        optimizer = torch.optim.Adam(groups)
        pixels = _clip.Inputs(chunk.image.pictures.take(rows), clip.transform, clip.place, self.memory)
        tokens = clip.tokens([chunk.text.texts[row] for row in rows])
        labels = torch.tensor(chunk.labels[rows], dtype=torch.float32, device=self.device)
        self._train(clip, heads, optimizer, (pixels, tokens, labels))
        self.clip_, self.heads_ = _clip.arrays(clip.model), _clip.arrays(heads)
        self._live = (self.clip_, clip, heads)

    def _train(self, clip: Clip, heads: Any, optimizer: Any, items: tuple[Any, Any, Any]) -> None:
        from bench.methods import _clip
        from bench.methods._network import batches

        pixels, tokens, labels = items
        modules = (clip.model, heads)
        passes = self.passes(
            "fine-tuning",
            self.epochs,
            save=lambda: _clip.saved(modules, optimizer),
            load=lambda stored: _clip.resume(modules, optimizer, stored),
        )
        for epoch in passes:
            losses = []
            for rows in batches(len(labels), min(self.batch, len(labels)), self.rng):
                image = _relaxed(heads["image"](clip.images(pixels[rows])))
                text = _relaxed(heads["text"](clip.texts(tokens[rows])))
                loss = self._loss(image, text, labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
            self.log(epoch, loss=float(np.mean(losses)))

    def _loss(self, image: Any, text: Any, labels: Any) -> Any:
        """The loss of a batch from its relaxed codes, (n, 2r) each."""
        relevant = (labels @ labels.T > 0).float()
        far = (2 * self.bits * self.margin) ** 0.5
        total = 0.0
        for a, b in ((image, text), (image, image), (text, text)):
            squared = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=1e-6)
            missing = (far - squared.sqrt()).clamp(min=0).square()
            total = total + (relevant * squared + (1 - relevant) * missing).mean()
        unsure = sum(1 - (2 * code - 1).square().mean() for code in (image, text)) / 2
        return total + self.quantise * unsure

    def outputs(self, batch: Batch, modality: Modality) -> Features:
        clip, heads = self._networks()
        pairs: Features = clip.in_blocks(batch, heads[modality]).reshape(len(batch), self.bits, 2)
        return pairs[:, :, 1] - pairs[:, :, 0]

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def _networks(self) -> tuple[Clip, Any]:
        """The trained networks, made again where the state has been loaded."""
        from bench.methods import _clip

        live = getattr(self, "_live", None)
        if live is None or live[0] is not self.clip_:
            clip = _clip.Clip(self.clip, self._place())
            heads = self._new_heads(clip.width, np.random.default_rng(0))
            _clip.restore(clip.model, self.clip_)
            _clip.restore(heads, self.heads_)
            self._live = live = (self.clip_, clip, heads)
        return live[1], live[2]

    def _new_heads(self, width: int, rng: np.random.Generator | None = None) -> Any:
        """Two heads with weights from the method's generator; torch's own would depend on the device."""
        import torch
        from torch import nn

        def head() -> Any:
            middle, last = nn.Linear(width, width), nn.Linear(width, 2 * self.bits)
            return nn.Sequential(middle, nn.LayerNorm(width), last, nn.ReLU())

        draws = self.rng if rng is None else rng
        with torch.random.fork_rng(devices=[]):
            heads = nn.ModuleDict({m: head() for m in _HEADS})
        with torch.no_grad():
            for layer in (layer for m in _HEADS for layer in heads[m] if isinstance(layer, nn.Linear)):
                gain = (2 / layer.in_features) ** 0.5
                drawn = gain * draws.standard_normal(tuple(layer.weight.shape))
                layer.weight.copy_(torch.tensor(drawn))
                layer.bias.zero_()
        return heads.to(self.device)

    def _place(self) -> Place:
        from bench.methods._network import Place

        return Place(self.device, self.dtype)


def _relaxed(values: Any) -> Any:
    """The softmax of each pair of values (n, 2r), as (n, 2r)."""
    return values.unflatten(1, (-1, 2)).softmax(dim=2).flatten(1)
