"""DLCH: networks that go on learning while the codes of earlier items stay as they are.

The trap: a new class has no code to learn, so its codes come from the outputs and from labels, bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bench.api import MODALITIES, Capabilities, Chunk, Codes, Modality, Source, Variant, param, passes
from bench.methods._codes import normalise_labels, signs
from bench.methods._likeness import likeness_error
from bench.methods._online import Array, dot
from bench.methods._rehearsal import Memory, Rows, features_of
from bench.methods._stream_network import StreamNetworks

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
    three networks, and of ``(B - output)²``, with the codes B = sign(f + g + h).

    Later chunks leave the codes B_o of earlier items alone, of which a memory keeps a sample. Over the n
    sampled and new items both networks lower (here for images)

        ‖r S_o - f B_oᵀ‖² + fresh ‖r S_n - f B_nᵀ‖² + alpha ‖B - f‖² + beta ‖fᵀ1‖² / n

    and after every epoch the codes B_n of new items are renewed, bit k in turn, from the other bits -k:

        B_n,k = sign(Σ r S_nᵀ f_k + alpha f_n,k - B_n,-k f_-kᵀ f_k)          summed over both modalities
    """

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
        "their codes; quantisation compares outputs with codes of other items; images and texts have codes "
        "of their own, and the database is 0 where these differ (ours: one code, from both); the balance "
        "is a plain sum, which falls without bound, where ours is squared; earlier items are sampled "
        "without limit (ours: a memory); the epoch is chosen by its score on test queries. Ours (theirs in "
        "brackets): one hidden layer of 512 on fixed features (CNN-F on pixels), tanh outputs in both "
        "phases, Adam at 1e-3 (SGD at 1e-3, later Adam at 1e-7), 40 epochs (200), and a second phase for "
        "every chunk (for new classes).",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"authors": {"fresh": 0.0, "epochs": 200}}
    varies = ("alpha", "beta", "fresh", "memory", "epochs", "hidden", "rate")
    variants: ClassVar[Mapping[str, Variant]] = {
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
        self._codes = (self._later(new) if self.weights_ else self._first(new)).astype(np.int8)
        self.memory_.add({**new, "codes": self._codes}, self.rng)

    def _first(self, new: Rows) -> Array:
        """Train on the first chunk; return the codes (n, r) of its items."""
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
            code = torch.from_numpy(signs(_total(out))).to(like)
            for rows in batches(len(like), self.batch, self.rng):
                z = {k: torch.tanh(net(x[k][rows])) for k, net in nets.items()}
                for k in nets:
                    out[k][rows] = z[k].detach()
                near = like[rows] @ like.T
                loss = sum(w * likeness_error(z[a], out[b], near) for (a, b), w in _FIRST.items())
                loss = loss + sum((code[rows] - z[k]).square().mean() for k in nets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self._keep({m: nets[m] for m in MODALITIES})
        return signs(_total(_outputs(nets, x)))

    def _later(self, new: Rows) -> Array:
        """Train on remembered and new items; return the codes (n, r) of the new ones."""
        import torch

        from bench.methods._network import batches

        items, old, place = self.memory_.before(new), len(self.memory_), self._place()
        kept = self.memory_.rows["codes"] if old else np.zeros((0, self.bits), np.int8)
        like = normalise_labels(items["labels"])
        labels, n = place.tensor(like), len(like)
        weight = place.tensor(np.where(np.arange(n) < old, 1.0, self.fresh))
        x = {m: self._tensor(items[m], m) for m in MODALITIES}
        nets = {m: self._network(x[m], m) for m in MODALITIES}
        optimizer = self._optimizer(nets)
        fresh = signs(_total(_outputs(nets, x))[old:])
        for _ in passes("training", self.epochs):
            code = place.tensor(np.concatenate([kept, fresh]))
            for rows in batches(n, self.batch, self.rng):
                wanted, loss = self.bits * (labels[rows] @ labels.T), 0.0
                for m in MODALITIES:
                    f = torch.tanh(nets[m](x[m][rows]))
                    loss = loss + ((wanted - f @ code.T).square() * weight).sum()
                    loss = loss + self.alpha * (code[rows] - f).square().sum()
                    loss = loss + self.beta * f.sum(dim=0).square().sum() / len(rows)
                optimizer.zero_grad()
                (loss / wanted.numel()).backward()
                optimizer.step()
            out = _outputs(nets, x)
            total = _total(out)
            pull = self.bits * dot(like[old:], dot(like.T, total)) + self.alpha * total[old:]
            fresh = renewed(fresh, np.concatenate([_array(out[m]) for m in MODALITIES]), pull)
        self._keep(nets)
        return fresh

    def _optimizer(self, nets: Mapping[Any, Any]) -> Any:
        import torch

        return torch.optim.Adam([p for net in nets.values() for p in net.parameters], self.rate, fused=True)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self._codes


def _outputs(nets: Mapping[Any, Any], x: Mapping[Any, Any]) -> dict[Any, Any]:
    import torch

    with torch.no_grad():
        return {k: torch.tanh(net(x[k])) for k, net in nets.items()}


def _total(out: Mapping[Any, Any]) -> Array:
    return np.asarray(sum(_array(z) for z in out.values()))


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


def renewed(codes: Array, outputs: Array, pull: Array) -> Array:
    """Renew ``codes`` (m, r) bit by bit, given the outputs (n, r) of all networks and items.

    ``pull`` (m, r) is r Sᵀ outputs, for the similarities S (n, m), and what else draws the codes.
    """
    codes, gram = codes.copy(), dot(outputs.T, outputs)
    np.fill_diagonal(gram, 0.0)
    for k in range(codes.shape[1]):
        codes[:, [k]] = signs(pull[:, [k]] - dot(codes, gram[:, [k]]))
    return codes
