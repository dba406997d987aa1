"""CASH: continual hashing with a prompt per chunk; codes of old chunks stay as they are.

The trap: a query does not know its chunk. It takes the prompt whose discriminator claims it most, and never
the chunk it belongs to, as columns of the authors' tables do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    DataError,
    Features,
    Modality,
    Source,
    Variant,
    param,
    passes,
    sign,
)
from bench.methods._codes import normalise_labels
from bench.methods._hash_network import unit
from bench.methods._stream_network import StreamNetworks

_FADE = 0.99  # of the learning rate in an epoch
_TEMPERATURE = 0.07
_PROMPTS = 10  # rows of a prompt
Weights = dict[str, list[Any]]  # networks, attention and discriminator by name, as tensors
NETWORKS = ("image fine", "image coarse", "text fine", "text coarse", "mask")


class CASH(StreamNetworks):
    """Capacity-aware selective hashing on CLIP features: a chunk is a task with a prompt of its own.

    An item x attends to the prompt, p, and with the discriminator d in (0, 1) of its task is x + d p. Two
    heads per modality give unit outputs F (fine) and C (coarse), (n, r), and a mask m (n, r) joins them:

        hash = tanh(F) (1 - m) / 2 + tanh(C) (1 + m) / 2

    It lowers the sum of quantisation and balance of hash and m; ``fine`` · InfoNCE of pairs, for F and hash;
    ``coarse`` · (relu⟨h, buffer⟩ - cosine of labels)² for C and hash, against the other modality's latest
    values on the entire chunk; 1 - d; ``distil`` · the distance to what the other modality's heads make of
    the same input; and, after the first chunk, ``exclude`` · (⟨hash, old⟩ - r · 1[share a label])² with the
    items of the chunk before.
    """

    fine: float = param(0.01, "weight of the contrast of pairs", least=0)
    coarse: float = param(10.0, "weight of label similarities", least=0)
    distil: float = param(10.0, "weight of the agreement of both modalities' heads", least=0)
    exclude: float = param(1.0, "weight of similarities to the chunk before", least=0)
    epochs: int = param(20, "training epochs per chunk", least=0)
    rate: float = param(1e-3, "learning rate of the first chunk (AdamW); later ones have a tenth", above=0)
    batch: int = param(64, "pairs per batch", least=2)
    heads: int = param(8, "attention heads; fewer if they do not divide the width", least=1)

    capabilities = Capabilities(supervised=True, learned_codes=True, encodes="clip")
    source = Source(
        paper="CASH: capacity-aware selective hashing. Code of 2026; manuscript, not published",
        fidelity="adaptation",
        note="Follows the released code, Liuwwhh/CASH (no licence, so only described and written anew); its "
        "similarity loss equals our transcription of it on fixed inputs, the program was not run. Ours "
        "(theirs in brackets): 512 hidden units (4096); centred and scaled features; 20 epochs (100); "
        "rate 1e-3, then 1e-4 (1e-5, 1e-6); every item once an epoch (drawn anew); buffers start with "
        "the first outputs. A buffer holds the same output of the other modality, which is our reading: "
        "with the own modality's, only CLIP would align the two. Not ported: tables that use the true "
        "task of a query; the epoch chosen by mAP of test queries; mAP@1000 over the relevant items "
        "within 1000. Kept, though weak: discriminators see no negatives, so which one claims a query "
        "is nearly arbitrary; the mask stays near 1/√r; ⟨hash, old⟩ cannot reach r. A chunk of a "
        "shuffled stream is no task with classes of its own, which the method was made for.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"hidden": 4096, "epochs": 100, "rate": 1e-5}
    }
    varies = ("fine", "coarse", "distil", "exclude", "epochs", "rate", "hidden")
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-labels": Variant(isolates="label similarities", params={"coarse": 0.0}),
        "no-distillation": Variant(isolates="the agreement of heads", params={"distil": 0.0}),
        "no-exclusion": Variant(isolates="the chunk before", params={"exclude": 0.0}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.nets_: dict[str, list[Features]] = {}  # NETWORKS and "attention"
        self.prompts_: list[Features] = []  # (10, d) of each chunk
        self.claims_: list[list[Features]] = []  # discriminator of each chunk: (d, 1) and (1,)
        self.old_: dict[Modality, Features] = {}  # hash (n, r) of the chunk before
        self.old_labels_: Any = None  # (n, c), rows of length 1

    def _learn(self, chunk: Chunk) -> None:
        import torch

        from bench.methods._network import batches

        assert chunk.labels is not None, "supervised methods always receive labels"
        place, x = self._place(), {m: self._tensor(chunk.batch(m).features, m) for m in MODALITIES}
        w, later = self._begin([v.shape[1] for v in x.values()]), bool(self.prompts_)
        rate = self.rate / 10 if later else self.rate
        optimizer = torch.optim.AdamW([p for parts in w.values() for p in parts], lr=rate, fused=True)
        slope = torch.optim.lr_scheduler.ExponentialLR(optimizer, _FADE)
        g = place.tensor(normalise_labels(chunk.labels))
        old = {m: place.tensor(self.old_[m]) for m in self.old_}
        kin = (g @ place.tensor(self.old_labels_).T > 0).to(g.dtype) * self.bits if later else None
        with torch.no_grad():
            buffers = [out.clone() for out in self._outputs(w, x)[1]]
        for _ in passes("training", self.epochs):
            for rows in batches(len(chunk), self.batch, self.rng):
                part = {m: x[m][rows] for m in MODALITIES}
                loss, outputs = self._outputs(w, part)
                for out, buffer in zip(outputs, buffers, strict=True):
                    buffer[rows] = out.detach()
                for out, other in zip(outputs, (1, 0, 3, 2), strict=True):  # the other modality's
                    loss = loss + self.coarse * similarity_loss(out, buffers[other], g[rows] @ g.T)
                if kin is not None:
                    for m, out in zip(MODALITIES, outputs[2:], strict=True):
                        loss = loss + self.exclude * (out @ old[m].T - kin[rows]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            slope.step()
        self._finish(w, chunk, x, g)

    def _begin(self, widths: Sequence[int]) -> Weights:
        """All weights as tensors in training: the last ones, and a new prompt and discriminator."""
        d = widths[0]
        if d != widths[1]:
            raise DataError(
                f"the 'clip' views have {d} columns for images and {widths[1]} for texts; expected the same "
                "number. Use CLIP's projected features."
            )
        if not self.nets_:
            made = self._networks({name: np.empty((0, d)) for name in NETWORKS})
            self.nets_ = {name: net.arrays() for name, net in made.items()}
            square = [self.rng.standard_normal((d, d)) / d**0.5 for _ in range(4)]
            self.nets_["attention"] = [a.astype(np.float32) for s in square for a in (s, np.zeros(d))]
        claim = [self.rng.standard_normal((d, 1)) / d**0.5, np.zeros(1)]
        parts = {**self.nets_, "prompt": [self.rng.standard_normal((_PROMPTS, d))], "claim": claim}
        tensor = self._place().tensor
        return {name: [tensor(array).requires_grad_() for array in arrays] for name, arrays in parts.items()}

    def _outputs(self, w: Weights, x: Mapping[Modality, Any]) -> tuple[Any, list[Any]]:
        """The losses of one batch that need no labels, and C and hash of image and text, (n, r) each."""
        prompted = {m: attend(x[m], w["prompt"][0], w["attention"], self.heads) for m in MODALITIES}
        mask = selection(w, (prompted["image"] + prompted["text"]) / 2)
        loss = rough(mask)
        fine: list[Any] = []
        coarse: list[Any] = []
        hashes: list[Any] = []
        for m, other in zip(MODALITIES, MODALITIES[::-1], strict=True):
            claimed = claims(x[m], w["claim"])
            inside = x[m] + claimed * prompted[m]
            own, strange = joined(w, m, inside, mask), joined(w, other, inside, mask)
            loss = loss + (1 - claimed).mean() + rough(own[2])
            loss = loss + self.distil * sum(
                (a - b).square().mean() for a, b in zip(own, strange, strict=True)
            )
            for kept, out in zip((fine, coarse, hashes), own, strict=True):
                kept.append(out)
        loss = loss + self.fine * (contrast(*fine) + contrast(*(unit(h) for h in hashes)))
        return loss, [*coarse, *hashes]

    def _finish(self, w: Weights, chunk: Chunk, x: Mapping[Modality, Any], g: Any) -> None:
        """Keep the weights, the codes of the chunk, and its outputs for the next one."""
        import torch

        with torch.no_grad():
            outputs = self._outputs(w, x)[1]
        self.old_ = {m: out.cpu().numpy() for m, out in zip(MODALITIES, outputs[2:], strict=True)}
        self.old_labels_ = g.cpu().numpy()
        arrays = {name: [p.detach().cpu().numpy() for p in parts] for name, parts in w.items()}
        [prompt], claim = arrays.pop("prompt"), arrays.pop("claim")
        self.nets_, self.prompts_, self.claims_ = arrays, [*self.prompts_, prompt], [*self.claims_, claim]
        self._codes = {m: self._hash(chunk.batch(m), m, len(self.prompts_) - 1) for m in MODALITIES}

    def _hash(self, batch: Batch, m: Modality, task: int | None) -> Codes:
        """Hash items of a known task, or of an unknown one, which the discriminators choose; in float64."""
        import torch

        x = torch.tensor((batch.features - self.mean_[m]) / self.scale_[m], dtype=torch.float64)
        w = {name: [_wide(part) for part in parts] for name, parts in self.nets_.items()}
        scores = torch.cat([claims(x, [_wide(part) for part in claim]) for claim in self.claims_], dim=1)
        chosen = scores.argmax(dim=1) if task is None else torch.full((len(x),), task)
        codes = np.empty((len(x), self.bits), np.int8)
        for t, prompt in enumerate(self.prompts_):
            rows = chosen == t
            if rows.any():
                prompted = attend(x[rows], _wide(prompt), w["attention"], self.heads)
                inside = x[rows] + (prompted if task is None else scores[rows, t : t + 1] * prompted)
                codes[rows.numpy()] = sign(joined(w, m, inside, selection(w, prompted))[2].numpy())
        return codes

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return self._hash(batch, modality, None)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes[modality]


def _wide(array: Features) -> Any:
    import torch

    return torch.tensor(array, dtype=torch.float64)


def attend(x: Any, prompt: Any, weights: Sequence[Any], heads: int) -> Any:
    """Attention (n, d) of every item x (n, d) to the rows of a prompt (k, d), each item on its own."""
    (n, d), k = x.shape, len(prompt)
    count = math.gcd(heads, d)
    wq, bq, wk, bk, wv, bv, wo, bo = weights
    query = (x @ wq + bq).reshape(n, count, -1)
    key, value = ((prompt @ w + b).reshape(k, count, -1) for w, b in ((wk, bk), (wv, bv)))
    shares = ((query[:, None] * key).sum(dim=3) / (d // count) ** 0.5).softmax(dim=1)  # (n, k, heads)
    return (shares[..., None] * value).sum(dim=1).reshape(n, d) @ wo + bo


def claims(x: Any, claim: Sequence[Any]) -> Any:
    """Probability (n, 1) by which a task's discriminator claims each item."""
    return (x @ claim[0] + claim[1]).sigmoid()


def selection(w: Weights, prompted: Any) -> Any:
    """The mask m (n, r): tanh of unit rows."""
    return unit(_layers(w["mask"], prompted)).tanh()


def joined(w: Weights, m: Modality, x: Any, mask: Any) -> tuple[Any, Any, Any]:
    """F, C and hash (n, r) by the heads of a modality."""
    fine, coarse = (unit(_layers(w[f"{m} {kind}"], x)) for kind in ("fine", "coarse"))
    return fine, coarse, fine.tanh() * (1 - mask) / 2 + coarse.tanh() * (1 + mask) / 2


def _layers(weights: Sequence[Any], x: Any) -> Any:
    w1, b1, w2, b2 = weights
    return (x @ w1 + b1).relu() @ w2 + b2


def rough(h: Any) -> Any:
    """Quantisation and balance of outputs (n, r): mean (sign h - h)² + mean over bits of (mean tanh h)²."""
    return ((h >= 0).to(h.dtype) * 2 - 1 - h).square().mean() + h.tanh().mean(dim=0).square().mean()


def contrast(image: Any, text: Any) -> Any:
    """InfoNCE of unit rows (n, r), mean of both directions."""
    scores = image @ text.T / _TEMPERATURE
    own = scores.diagonal()
    return ((scores.logsumexp(dim=1) - own).mean() + (scores.logsumexp(dim=0) - own).mean()) / 2


def similarity_loss(h: Any, buffer: Any, cosines: Any) -> Any:
    """Mean (relu⟨h_i, buffer_j⟩ - cosine of labels)² for h (b, r), a buffer (n, r) and cosines (b, n)."""
    return ((h @ buffer.T).relu() - cosines).square().mean()
