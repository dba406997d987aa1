"""DLCH: networks that go on learning while the codes of earlier items stay as they are.

The trap: a new class has no code to learn, so its codes come from the outputs and from labels, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import MODALITIES, Capabilities, Chunk, Codes, Modality, Source, Variant, param, passes, sign
from bench.methods._codes import normalise_labels, signs
from bench.methods._likeness import likeness_error
from bench.methods._online import Array, dot
from bench.methods._rehearsal import Memory, Rows, features_of
from bench.methods._stream_network import StreamNetworks

Pair = dict[Modality, Array]  # (n, r) each
_FIRST = {  # weights of the likeness of two networks' outputs: of the left one, trained, and a buffer
    ("label", "label"): 10.0,
    ("label", "image"): 1.0,
    ("label", "text"): 10.0,
    ("image", "image"): 10.0,
    ("image", "label"): 1.0,
    ("text", "text"): 10.0,
    ("text", "label"): 1.0,
}


class DLCH(StreamNetworks):
    """Deep lifelong cross-modal hashing of Xu et al. on fixed features.

    f, g and h are outputs tanh(·) (n, r) of networks for images, texts and label rows, and S the cosines of
    label rows. The first chunk lowers weighted means of ``(relu cos(a_i, b_j) - S_ij)²`` over pairs of the
    three networks, and of ``(code - output)²``, with codes sign(2f + h) of images and sign(2g + h) of texts.

    Later chunks leave the codes B_o of earlier items alone, of which a memory keeps a sample. Over the n
    sampled and new items the image network lowers (the text network alike)

        ‖r S_o - f B_oᵀ‖² + fresh ‖r S_n - f B_nᵀ‖² + alpha ‖code - f‖² + beta ‖fᵀ1‖² / n

    and after every epoch the codes B_n of new items are renewed, bit k in turn, from the other bits -k:

        B_n,k = sign(r S_nᵀ f_k + alpha f_n,k - B_n,-k f_-kᵀ f_k)

    The database holds the sign of the sum of both codes; the outputs decide bits in which they differ.
    """

    across: float = param(10.0, "factor of weights between different networks in the first chunk", least=0)
    alpha: float = param(10.0, "weight of codes near the outputs", least=0)
    beta: float = param(100.0, "weight of balanced bits", least=0)
    fresh: float = param(0.1, "weight of similarities to the codes of new items", least=0)
    memory: int = param(1000, "earlier items, with their codes, that every chunk is trained with", least=0)
    epochs: int = param(40, "training epochs per chunk", least=0)
    rate: float = param(1e-3, "learning rate (Adam)", above=0)
    batch: int = param(128, "items per batch", least=2)

    capabilities = Capabilities(supervised=True, learned_codes=True)
    source = Source(
        paper="L. Xu, H. Li, B. Zheng, W. Li, J. Lv. Deep lifelong cross-modal hashing (DLCH). IEEE TCSVT "
        "2024, arXiv 2304.13357",
        fidelity="reconstruction",
        note="The first phase's loss and the update of new codes equal those of the authors' functions on "
        "fixed inputs (HqiLi/DLCH; no licence, so only described and written anew); the rest is "
        "reconstructed from its code, and only the paper's abstract was read. Faults of the release that "
        "are not ported: similarities among new items are computed but not used (ours have weight "
        "fresh=0.1, which its successor, HqiLi/MCDLCH, gives them); outputs of new items never reach "
        "their codes; quantisation compares outputs with codes of other items; bits on which both "
        "modalities disagree are 0 in the database; the balance is a plain sum, which falls without "
        "bound, where ours is squared; earlier items are sampled without limit (ours: a memory); the "
        "epoch is chosen by its score on test queries. Ours (theirs in brackets): one hidden layer of "
        "512 on fixed features (CNN-F on pixels), tanh outputs in both phases, Adam at 1e-3 (SGD at "
        "1e-3, later Adam at 1e-7), 40 epochs (200), ten times the weight between networks in the first "
        "phase, without which so few epochs leave the modalities apart, and a second phase for every "
        "chunk (for new classes).",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "authors": {"across": 1.0, "fresh": 0.0, "epochs": 200}
    }
    varies = ("across", "alpha", "beta", "fresh", "memory", "epochs", "hidden", "rate")
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-across": Variant(isolates="likeness between networks in the first chunk", params={"across": 0.0}),
        "no-fresh": Variant(isolates="similarities to the codes of new items", params={"fresh": 0.0}),
        "no-memory": Variant(isolates="earlier items and their codes", params={"memory": 0}),
        "no-balance": Variant(isolates="balanced bits", params={"beta": 0.0}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.memory_ = Memory.empty(self.memory)

    def _learn(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "supervised methods always receive labels"
        new = {**features_of(chunk), "labels": chunk.labels}
        codes, outputs = self._later(new) if self.weights_ else self._first(new)
        image, text = (codes[m] + outputs[m] / 2 for m in MODALITIES)
        self._codes = sign(image + text)
        kept = {f"{m} code": codes[m].astype(np.int8) for m in MODALITIES}
        self.memory_.add({**new, **kept}, self.rng)

    def _first(self, new: Rows) -> tuple[Pair, Pair]:
        """Train on the first chunk; return codes and outputs of its items."""
        import torch

        from bench.methods._network import batches

        like = self._place().tensor(normalise_labels(new["labels"]))
        x: dict[str, Any] = {m: self._tensor(new[m], m) for m in MODALITIES}
        nets: dict[str, Any] = {m: self._network(x[m], m) for m in MODALITIES}
        x["label"] = self._place().tensor(new["labels"])
        nets["label"] = self._networks({"image": x["label"]})["image"]
        optimizer = self._optimizer(nets)
        out = _outputs(nets, x)
        for _ in passes("first phase", self.epochs):
            code = _first_codes(out)
            for rows in batches(len(like), self.batch, self.rng):
                z = {k: torch.tanh(net(x[k][rows])) for k, net in nets.items()}
                for k in nets:
                    out[k][rows] = z[k].detach()
                near = like[rows] @ like.T
                loss = sum(
                    w * (1 if a == b else self.across) * likeness_error(z[a], out[b], near)
                    for (a, b), w in _FIRST.items()
                )
                loss = loss + sum((code[k][rows] - z[k]).square().mean() for k in nets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self._keep({m: nets[m] for m in MODALITIES})
        out = _outputs(nets, x)
        code = _first_codes(out)
        return {m: _array(code[m]) for m in MODALITIES}, {m: _array(out[m]) for m in MODALITIES}

    def _later(self, new: Rows) -> tuple[Pair, Pair]:
        """Train on remembered and new items; return codes and outputs of the new ones."""
        items, old = self.memory_.before(new), len(self.memory_)
        like = normalise_labels(items["labels"])
        codes: Pair = {}
        outputs: Pair = {}
        for m in MODALITIES:
            kept = self.memory_.rows[f"{m} code"] if old else np.zeros((0, self.bits))
            codes[m], outputs[m] = self._continue(m, items[m], like, kept.astype(np.float64))
        return codes, outputs

    def _continue(
        self, m: Modality, features: npt.NDArray[Any], like: Array, kept: Array
    ) -> tuple[Array, Array]:
        """Train one network: ``kept`` (o, r) are the codes of the first o items, ``like`` unit label rows."""
        import torch

        from bench.methods._network import batches

        place, old = self._place(), len(kept)
        x, labels = self._tensor(features, m), place.tensor(like)
        net = self._network(x, m)
        optimizer = self._optimizer({m: net})
        out = _array(_outputs({m: net}, {m: x})[m])
        fresh = signs(out[old:])
        for _ in passes(m, self.epochs):
            code = place.tensor(np.concatenate([kept, fresh]))
            weight = place.tensor(np.where(np.arange(len(x)) < old, 1.0, self.fresh))
            for rows in batches(len(x), self.batch, self.rng):
                f = torch.tanh(net(x[rows]))
                error = self.bits * (labels[rows] @ labels.T) - f @ code.T
                loss = (error.square() * weight).sum() + self.alpha * (code[rows] - f).square().sum()
                loss = loss + self.beta * f.sum(dim=0).square().sum() / len(rows)
                optimizer.zero_grad()
                (loss / error.numel()).backward()
                optimizer.step()
            out = _array(_outputs({m: net}, {m: x})[m])
            pull = self.bits * dot(like[old:], dot(like.T, out)) + self.alpha * out[old:]
            fresh = renewed(fresh, out, pull)
        self.weights_[m] = net.arrays()
        return fresh, out[old:]

    def _optimizer(self, nets: Mapping[Any, Any]) -> Any:
        import torch

        return torch.optim.Adam([p for net in nets.values() for p in net.parameters], self.rate, fused=True)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def _outputs(nets: Mapping[str, Any], x: Mapping[str, Any]) -> dict[str, Any]:
    import torch

    with torch.no_grad():
        return {k: torch.tanh(net(x[k])) for k, net in nets.items()}


def _first_codes(out: Mapping[str, Any]) -> dict[str, Any]:
    """Codes of images and texts lean on the label network; its own are its signs."""
    sums = {k: z if k == "label" else 2 * z + out["label"] for k, z in out.items()}
    return {k: (total >= 0).to(total.dtype) * 2 - 1 for k, total in sums.items()}


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


def renewed(codes: Array, outputs: Array, pull: Array) -> Array:
    """Renew ``codes`` (m, r) bit by bit, given the outputs (n, r) of all items and their pull (m, r).

    ``pull`` is r Sᵀ outputs, for the similarities S (n, m) of all items to these, and what else draws them.
    """
    codes, gram = codes.copy(), dot(outputs.T, outputs)
    np.fill_diagonal(gram, 0.0)
    for k in range(codes.shape[1]):
        codes[:, [k]] = signs(pull[:, [k]] - dot(codes, gram[:, [k]]))
    return codes
