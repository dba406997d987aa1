"""CASH: a prompt and a discriminator per chunk, and codes mixed from fine and coarse heads by a mask.

The trap: a query does not know its chunk. The discriminators choose its prompt, and they have seen positives
only, so that the choice is nearly arbitrary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Modality,
    Source,
    Variant,
    param,
    passes,
    sign,
)
from bench.methods._codes import normalise_labels
from bench.methods._online import Array
from bench.methods._stream_network import StreamNetworks

_PROMPTS, _HEADS = 10, 8  # vectors of a prompt; heads of the attention
_TAU = 0.07  # temperature of InfoNCE
_SLOWER = 0.1  # factor on the learning rate after the first chunk
_PARTS = ("fine", "coarse", "hash")


class CASH(StreamNetworks):
    """Capacity-aware selective hashing on CLIP features; every chunk is a task with a prompt P_t of its own.

    An item x attends to the prompt, p = attention(x, P_t), and becomes x' = x + d_t(x) p in training, by the
    discriminator d_t of its chunk. With heads of its modality F = fine(x'), C = coarse(x') and the mask
    m = tanh(mask(p)), all of rows of length 1 before the tanh, the output is

        h = tanh(F) (1 - m) / 2 + tanh(C) (1 + m) / 2

    Training lowers, over both modalities, the distance of h and m to signs and the imbalance of their bits;
    ``fine`` InfoNCE of F and of h between modalities; ``coarse`` (relu⟨c_i, c_j⟩ - cos(l_i, l_j))² of C and
    of h to the latest outputs for the chunk; 1 - d_t; ``distil`` the distance to what the heads of the other
    modality give for the same x'; and ``exclude`` (⟨h_i, h_j⟩ - r [share a label])² to the outputs for the
    previous chunk.
    A query has the prompt of the largest d_t(x), and x' = x + p.
    """

    fine: float = param(0.01, "weight of InfoNCE between the modalities", least=0)
    coarse: float = param(10.0, "weight of similarities by labels", least=0)
    distil: float = param(10.0, "weight of agreement with the heads of the other modality", least=0)
    exclude: float = param(1.0, "weight of similarities to the previous chunk's outputs", least=0)
    negatives: bool = param(False, "discriminators also learn to reject the previous chunk's items; ours")
    epochs: int = param(20, "training epochs per chunk", least=0)
    rate: float = param(1e-3, "learning rate (AdamW) on the first chunk; a tenth of it later", above=0)
    batch: int = param(64, "pairs per step", least=2)

    capabilities = Capabilities(supervised=True, learned_codes=True, encodes="clip")
    source = Source(
        paper="CASH: capacity-aware selective hashing. Code of 2026, of a submission that we have not read",
        fidelity="adaptation",
        note="Written anew from a description of the released code, Liuwwhh/CASH (no licence); the coarse "
        "loss equals our transcription on fixed inputs, the program was not run. Ours (theirs in brackets): "
        "512 hidden units (4096), 20 epochs (100), AdamW at 1e-3 (1e-5), features centred and scaled on the "
        "first chunk, chunks of any stream as tasks (groups of classes). Not ported: the oracle that gives "
        "a query its task, and the choice of the epoch by test queries. As released, discriminators see no "
        "negatives, and masks are near 0, so that codes are a soft mixture.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"hidden": 4096, "epochs": 100, "rate": 1e-5, "negatives": False}
    }
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-coarse": Variant(isolates="similarities by labels", params={"coarse": 0.0}),
        "no-exclude": Variant(isolates="similarities to the previous chunk", params={"exclude": 0.0}),
        "negatives": Variant(isolates="discriminators without negatives", params={"negatives": True}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.nets_: dict[str, list[Array]] = {}  # W₁, b₁, W₂, b₂ of each head and of the mask
        self.attention_: dict[str, Array] = {}
        self.tasks_: list[dict[str, Array]] = []  # prompt (10, d), and discriminator (d,), () of each chunk
        self.previous_: dict[str, npt.NDArray[Any]] = {}  # outputs, labels and inputs of the last chunk

    def _learn(self, chunk: Chunk) -> None:
        import torch

        assert chunk.labels is not None, "supervised methods always receive labels"
        x = {m: self._tensor(chunk.batch(m).features, m) for m in MODALITIES}
        model = self._model(x["image"])
        optimizer = torch.optim.AdamW(
            model.parameters, lr=self.rate * (_SLOWER if len(self.tasks_) else 1.0), fused=True
        )
        slower = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
        like = self._place().tensor(normalise_labels(chunk.labels))
        with torch.no_grad():
            latest = model.trained(x)
        old = {k: self._place().tensor(v) for k, v in self.previous_.items()}
        marked = self._place().tensor(chunk.labels)
        from bench.methods._network import batches

        for _ in passes("training", self.epochs):
            for rows in batches(len(like), self.batch, self.rng):
                out = model.trained({m: x[m][rows] for m in MODALITIES})
                for m in MODALITIES:
                    for part in ("coarse", "hash"):
                        latest[m][part][rows] = out[m][part].detach()
                near = like[rows] @ like.T
                loss = self._loss(model, out, latest, near) + self._earlier(model, out, old, marked[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            slower.step()
        self._store(model, x, chunk.labels)

    def _model(self, x: Any) -> Model:
        """The networks of the last round, or new ones for inputs x, with a new prompt and discriminator."""
        draw, width = self.rng.standard_normal, x.shape[1]
        if not self.nets_:
            for name in (*(f"{m} {part}" for m in MODALITIES for part in _PARTS[:2]), "mask"):
                self.nets_[name] = self._networks({"image": x})["image"].arrays()
            for name in ("query", "key", "value", "out"):
                self.attention_[name] = draw((width, width)) / width**0.5
        task = {
            "prompt": draw((_PROMPTS, width)), "weight": draw(width) / width**0.5, "bias": np.zeros(())
        }  # fmt: skip
        return Model(self._place(), self.nets_, self.attention_, task)

    def _loss(self, model: Model, out: Any, latest: Any, near: Any) -> Any:
        image, text = out["image"], out["text"]
        total = signed(image["hash"]) + signed(text["hash"]) + signed(image["mask"])
        total = total + self.fine * (nce(image["fine"], text["fine"]) + nce(image["hash"], text["hash"]))
        for m in MODALITIES:
            for part in ("coarse", "hash"):
                total = total + self.coarse * coarse_error(out[m][part], latest[m][part], near)
            total = total + 0.5 * (1 - out[m]["known"]).mean()
            other = model.heads("text" if m == "image" else "image", out[m]["seen"], out[m]["mask"])
            total = total + self.distil * sum((out[m][k] - other[k]).square().mean() for k in _PARTS)
        return total

    def _earlier(self, model: Model, out: Any, old: Mapping[str, Any], labels: Any) -> Any:
        """What ties outputs to those of the previous chunk, 0 in the first."""
        if not old:
            return 0.0
        share = self.bits * ((labels @ old["labels"].T) > 0)
        total = self.exclude * sum((out[m]["hash"] @ old[m].T - share).square().mean() for m in MODALITIES)
        if self.negatives:
            total = total + 0.5 * sum(model.known(old[f"{m} seen"]).mean() for m in MODALITIES)
        return total

    def _store(self, model: Model, x: Mapping[Modality, Any], labels: npt.NDArray[Any]) -> None:
        import torch

        with torch.no_grad():
            out = model.trained(x)
        self.nets_, self.attention_, task = model.arrays()
        self.tasks_ = [*self.tasks_, task]
        self.previous_ = {m: out[m]["hash"].cpu().numpy() for m in MODALITIES} | {"labels": labels.copy()}
        if self.negatives:
            self.previous_ |= {f"{m} seen": x[m].cpu().numpy() for m in MODALITIES}

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        """Outputs (n, r) by the prompt of each item's most likely chunk."""
        return self._outputs_of(batch, modality, None)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.outputs(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return sign(self._outputs_of(chunk.batch(modality), modality, len(self.tasks_) - 1))

    def _outputs_of(self, batch: Batch, modality: Modality, task: int | None) -> Array:
        """Outputs by the prompt of a chunk; None: the one whose discriminator is surest of an item."""
        import torch

        from bench.methods._network import Place

        place = Place("cpu", "float64")  # in float64, no bit depends on how rows are batched
        x = place.tensor((batch.features - self.mean_[modality]) / self.scale_[modality])
        models = [Model(place, self.nets_, self.attention_, one) for one in self.tasks_]
        with torch.no_grad():
            sure = torch.stack([model.known(x) for model in models])
            chosen = sure.argmax(dim=0) if task is None else torch.full((len(x),), task)
            out = torch.empty((len(x), self.bits), dtype=x.dtype)
            for t, model in enumerate(models):
                rows = chosen == t
                if rows.any():
                    p = model.attended(x[rows])
                    out[rows] = model.heads(modality, x[rows] + p, model.mask(p))["hash"]
        return out.numpy()


class Model:
    """The networks as tensors, for one chunk's prompt and discriminator."""

    def __init__(
        self,
        place: Any,
        nets: Mapping[str, Any],
        attention: Mapping[str, Array],
        task: Mapping[str, Array],
    ) -> None:
        import torch

        from bench.methods._network import Network

        def tensor(array: Any) -> Any:
            return place.tensor(array).requires_grad_()

        self.nets = {name: Network.of(arrays, torch.relu, place=place) for name, arrays in nets.items()}
        self.attention = {name: tensor(a) for name, a in attention.items()}
        self.task = {name: tensor(a) for name, a in task.items()}

    @property
    def parameters(self) -> list[Any]:
        heads = [tensor for net in self.nets.values() for tensor in net.parameters]
        return [*heads, *self.attention.values(), *self.task.values()]

    def arrays(self) -> tuple[dict[str, list[Array]], dict[str, Array], dict[str, Array]]:
        """Networks, attention and task as arrays."""
        plain = [
            {name: tensor.detach().cpu().numpy() for name, tensor in part.items()}
            for part in (self.attention, self.task)
        ]
        return {name: net.arrays() for name, net in self.nets.items()}, plain[0], plain[1]

    def known(self, x: Any) -> Any:
        """How likely items (n, d) belong to the chunk, (n,)."""
        return (x @ self.task["weight"] + self.task["bias"]).sigmoid()

    def attended(self, x: Any) -> Any:
        """The prompt as items (n, d) see it, (n, d); each item on its own."""
        n, d = x.shape
        heads = _HEADS if d % _HEADS == 0 else 1
        query = (x @ self.attention["query"]).view(n, heads, d // heads)
        key, value = (
            (self.task["prompt"] @ self.attention[name]).view(_PROMPTS, heads, d // heads)
            for name in ("key", "value")
        )
        scores = (query[:, None] * key).sum(dim=3) / (d // heads) ** 0.5  # (n, prompts, heads)
        mixed = (scores.softmax(dim=1)[..., None] * value).sum(dim=1).reshape(n, d)
        return mixed @ self.attention["out"]

    def mask(self, p: Any) -> Any:
        return self._head("mask", p).tanh()

    def heads(self, modality: Modality, seen: Any, mask: Any) -> dict[str, Any]:
        """Fine, coarse and mixed outputs (n, r) of the heads of a modality."""
        fine, coarse = (self._head(f"{modality} {part}", seen) for part in _PARTS[:2])
        mixed = fine.tanh() * (1 - mask) / 2 + coarse.tanh() * (1 + mask) / 2
        return {"fine": fine, "coarse": coarse, "hash": mixed}

    def trained(self, x: Mapping[Modality, Any]) -> dict[str, dict[str, Any]]:
        """All outputs for pairs of the chunk; both items of a pair have one mask."""
        p = {m: self.attended(x[m]) for m in MODALITIES}
        mask = self.mask((p["image"] + p["text"]) / 2)
        out: dict[str, dict[str, Any]] = {}
        for m in MODALITIES:
            known = self.known(x[m])
            seen = x[m] + known[:, None] * p[m]
            out[m] = {**self.heads(m, seen, mask), "known": known, "seen": seen, "mask": mask}
        return out

    def _head(self, name: str, x: Any) -> Any:
        from bench.methods._hash_network import unit

        return unit(self.nets[name](x))


def coarse_error(outputs: Any, latest: Any, near: Any) -> Any:
    """Mean squared difference of relu⟨outputs (n, r), latest (k, r)⟩ and the cosines of labels (n, k)."""
    return ((outputs @ latest.T).relu() - near).square().mean()


def signed(outputs: Any) -> Any:
    """Mean squared distance of outputs (n, r) to their signs, and squared means of the bits."""
    return (outputs.sign() - outputs).square().mean() + outputs.tanh().mean(dim=0).square().mean()


def nce(image: Any, text: Any) -> Any:
    """InfoNCE of rows (n, r) of length 1 that belong together, mean of both directions."""

    from bench.methods._hash_network import unit

    scores = unit(image) @ unit(text).T / _TAU
    return -0.5 * (scores.log_softmax(dim=1).diagonal() + scores.log_softmax(dim=0).diagonal()).mean()
