"""FPO-CMH: an unsupervised stream of lone images and texts, tied together by anchors of pseudo-categories.

The trap: an anchor is the mean of itself and its newest item, so it remembers one or two items and is noisy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import (
    MODALITIES,
    Capabilities,
    Chunk,
    Features,
    Modality,
    Source,
    Split,
    Variant,
    param,
    passes,
)
from bench.methods._linear import unit_rows
from bench.methods._online import Array, dot
from bench.methods._stream_network import StreamNetworks

_SHARP = 100.0  # CLIP's factor on cosines
_MOMENTUM, _DECAY = 0.9, 5e-4  # of SGD
_ROUNDS = 20  # of k-means


class FPOCMH(StreamNetworks):
    """Fast partial-modal online hashing on CLIP features; needs neither labels nor, in the stream, pairs.

    Offline, on the pool: networks h of both modalities, trained on pairs with DJSRH's loss; a vocabulary T of
    ``vocabulary`` k-means centres of the pool's texts; and for every category that both modalities have, its
    anchors, the mean image and the mean text. An item x has the categories with softmax(100 cos(x, T)) >
    ``theta``. Online, with anchors K of its own modality and K' of the other, an item lowers

        w (alpha CE(cos(h(x), h(K)), softmax 100 cos(x, K))
            + beta CE(cos(h(x), h'(K')), softmax 100 cos(x, K')))

    where w is 0 without a category, 1 if both modalities know one of its categories, and 1 - phi else. After
    ``batch`` items of a modality, the distance of h(K⁰) to the codes of the offline anchors K⁰ joins the
    gradient, and that modality's network takes a step. Every item moves the anchors of its categories half of
    the way to itself; a category joins once both modalities have met it. A pool of images alone gives
    centres of images.
    """

    vocabulary: int = param(100, "k-means centres of the pool's texts that serve as categories", least=2)
    theta: float = param(0.3, "probability from which an item has a category", above=0, most=1)
    alpha: float = param(0.1, "weight of the anchors of an item's own modality", least=0)
    beta: float = param(1.0, "weight of the anchors of the other modality", least=0)
    phi: float = param(0.2, "reduction of the weight of items whose categories are new", least=0, most=1)
    pool_epochs: int = param(20, "epochs of the offline training on pairs", least=0)
    rate: float = param(1e-3, "learning rate of the stream (SGD)", above=0)
    batch: int = param(32, "items of a modality between two steps", least=1)

    capabilities = Capabilities(partial=True, pool=True, encodes="clip")
    source = Source(
        paper="FPO-CMH: fast partial-modal online cross-modal hashing. Code of 2024; no paper known to us",
        fidelity="adaptation",
        note="Follows the released code, DandelionWow/FPO-CMH (Apache-2.0); its two losses equal our "
        "transcription of them on fixed inputs, the program was not run. Ours (theirs in brackets): 512 "
        "hidden units in both networks (none for images, 4096 for texts); DJSRH's loss offline (any "
        "unsupervised model). Reconstructed: k-means centres of texts as categories (1000 names of "
        "ImageNet in CLIP's prompts); the items between two steps see the anchors of the last step (one "
        "by one); a chunk ends with a step on the items left, and its momentum starts anew. Fault not "
        "ported: its category 0 is never updated, since a test takes index 0 for none. It also prints "
        "mAP@50 for unsupervised and mAP for supervised models.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"authors": {"vocabulary": 1000, "hidden": 4096}}
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-other": Variant(isolates="anchors of the other modality", params={"beta": 0.0}),
        "no-own": Variant(isolates="anchors of an item's own modality", params={"alpha": 0.0}),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        self.words_: Array | None = None  # T, (v, d), rows of length 1
        self.paired_ = True  # whether the pool had pairs
        self.anchors_: dict[Modality, Array] = {}  # (v, d)
        self.met_: dict[Modality, npt.NDArray[np.bool_]] = {}  # (v,): categories that have an anchor
        self.first_: dict[Modality, Features] = {}  # K⁰, (k, d)
        self.targets_: dict[Modality, Features] = {}  # codes of K⁰ by the offline networks, (k, r)

    def fit_pool(self, pool: Split) -> None:
        with self._place().training():
            self._offline(pool)

    def _offline(self, pool: Split) -> None:
        import torch

        nets = self._nets(pool)
        pairs = np.flatnonzero(pool.image.present & pool.text.present)
        self.paired_ = len(pairs) > 1
        if self.paired_:
            self._train_pairs({m: pool.batch(m).features[pairs] for m in MODALITIES}, nets)
        self._keep(nets)
        x = {m: pool.batch(m).features[pool.batch(m).present] for m in MODALITIES}
        self.words_ = centres(unit_rows(x["text" if "text" in nets else "image"]), self.vocabulary, self.rng)
        found = {m: self._categories(x[m]) for m in MODALITIES}
        both = np.asarray(found["image"].any(axis=0) & found["text"].any(axis=0))
        for m in MODALITIES:
            total = dot(found[m].T, x[m])
            self.anchors_[m] = total / np.maximum(found[m].sum(axis=0), 1)[:, None]
            self.met_[m] = both
            self.first_[m] = self.anchors_[m][both].astype(np.float32)
            if both.any():
                with torch.no_grad():
                    out = nets[m](self._tensor(self.first_[m], m)).cpu().numpy()
                self.targets_[m] = np.where(out >= 0, 1, -1).astype(np.float32)

    def _nets(self, items: Split) -> dict[Modality, Any]:
        """The networks of all modalities met so far, new ones for those that these items are the first of."""
        nets = self._networks_of(self.weights_)
        for m in MODALITIES:
            batch = items.batch(m)
            if m not in nets and batch.present.any():
                nets[m] = self._network(self._tensor(batch.features[batch.present], m), m)
        return nets

    def _train_pairs(self, x: Mapping[Any, Features], nets: Mapping[Any, Any]) -> None:
        """Train the networks on the pairs of the pool with DJSRH's loss, at its default weights."""
        import torch

        from bench.methods._network import batches
        from bench.methods.djsrh import affinity, reconstruction_loss

        optimizer = torch.optim.Adam(
            [p for net in nets.values() for p in net.parameters], lr=1e-3, fused=True
        )
        unit = {m: self._place().tensor(unit_rows(x[m])) for m in MODALITIES}
        scaled = {m: self._tensor(x[m], m) for m in MODALITIES}
        for _ in passes("pool", self.pool_epochs):
            for rows in batches(len(x["image"]), self.batch, self.rng):
                image, text = (torch.tanh(nets[m](scaled[m][rows])) for m in MODALITIES)
                target = affinity(unit["image"][rows], unit["text"][rows], beta=0.5, eta=0.4, mu=1.5)
                optimizer.zero_grad()
                reconstruction_loss(image, text, target, within_image=0.1, within_text=0.1).backward()
                optimizer.step()

    def _categories(self, x: Features) -> npt.NDArray[np.bool_]:
        """Which categories (n, v) each item has."""
        assert self.words_ is not None
        likely: npt.NDArray[np.bool_] = softmax(_SHARP * dot(unit_rows(x), self.words_.T)) > self.theta
        return likely

    def _learn(self, chunk: Chunk) -> None:
        import torch

        if self.words_ is None:
            self._offline(chunk)
        nets = self._nets(chunk)
        steps = {
            m: torch.optim.SGD(net.parameters, lr=self.rate, momentum=_MOMENTUM, weight_decay=_DECAY)
            for m, net in nets.items()
        }
        for m, rows in self._arrivals(chunk):
            x = chunk.batch(m).features[rows]
            found = self._categories(x)
            known = self.met_["image"] & self.met_["text"]
            if known.any():
                weight = np.where((found & known).any(axis=1), 1.0, 1.0 - self.phi) * found.any(axis=1)
                (self._loss(m, x, weight, known, nets) + self._drift(m, nets[m])).backward()
                steps[m].step()
                steps[m].zero_grad()  # gradients of the other network wait for its own step
            self._move(m, x, found)
        self._keep(nets)

    def _arrivals(self, chunk: Chunk) -> Iterator[tuple[Modality, npt.NDArray[np.intp]]]:
        """The items of the chunk, one modality each, in groups of ``batch`` and in random order."""
        from bench.methods._network import batches

        groups: list[tuple[Modality, npt.NDArray[np.intp]]] = []
        for m in MODALITIES:
            rows = np.flatnonzero(chunk.batch(m).present)
            if len(rows):
                groups += [(m, rows[part]) for part in batches(len(rows), self.batch, self.rng)]
        return (groups[i] for i in self.rng.permutation(len(groups)))

    def _loss(
        self, m: Modality, x: Features, weight: Array, known: npt.NDArray[Any], nets: Mapping[Any, Any]
    ) -> Any:
        import torch

        hashed = torch.tanh(nets[m](self._tensor(x, m)))
        losses = []
        for other in (m, "image" if m == "text" else "text"):
            anchors = self.anchors_[other][known]
            wanted = softmax(_SHARP * dot(unit_rows(x), unit_rows(anchors).T))
            bank = torch.tanh(nets[other](self._tensor(anchors.astype(np.float32), other)))
            losses.append(towards(hashed, bank, self._place().tensor(wanted)))
        own, across = losses
        return (self._place().tensor(weight) * (self.alpha * own + self.beta * across)).sum() / self.batch

    def _drift(self, m: Modality, net: Any) -> Any:
        """Mean squared distance of the offline anchors' outputs to their offline codes."""
        import torch

        if not len(self.first_[m]):
            return 0.0
        out = torch.tanh(net(self._tensor(self.first_[m], m)))
        return (out - self._place().tensor(self.targets_[m])).square().mean()

    def _move(self, m: Modality, x: Features, found: npt.NDArray[np.bool_]) -> None:
        """Move the anchors of each item's categories half of the way to it, item by item."""
        anchors, met = self.anchors_[m].copy(), self.met_[m].copy()
        for row, category in zip(*np.nonzero(found), strict=True):
            anchors[category] = (x[row] + anchors[category]) / 2 if met[category] else x[row]
            met[category] = True
        self.anchors_[m], self.met_[m] = anchors, met

    def notes(self) -> list[str]:
        if self.paired_:
            return []
        return [
            "its offline stage saw no pair, so that its networks went into the stream untrained; "
            + "--pool separate:N shows it N pairs"
        ]


def towards(hashed: Any, bank: Any, wanted: Any) -> Any:
    """Cross-entropy (n,) of ``wanted`` (n, k) and the softmax of cosines of rows (n, r) and a bank (k, r)."""
    from bench.methods._hash_network import unit

    return -(wanted * (unit(hashed) @ unit(bank).T).log_softmax(dim=1)).sum(dim=1)


def softmax(x: Array) -> Array:
    """Softmax of each row."""
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def centres(x: Array, count: int, rng: np.random.Generator) -> Array:
    """K-means by cosine: at most ``count`` centres (v, d) of unit rows x (n, d), scaled to length 1."""
    found = x[rng.permutation(len(x))[:count]]
    for _ in range(_ROUNDS):
        nearest = dot(x, found.T).argmax(axis=1)
        total = np.zeros_like(found)
        np.add.at(total, nearest, x)
        filled = np.bincount(nearest, minlength=len(found)) > 0
        found = unit_rows(np.where(filled[:, None], total, found))
    return found
