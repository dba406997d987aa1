"""DCMH: two networks trained on label similarity, on fixed features; a deep offline baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bench.api import MODALITIES, Capabilities, Chunk, Modality, Rows, Source, Variant, param, passes
from bench.methods._hash_network import HashNetworks, scaled_inputs
from bench.methods._online import Array


class DCMH(HashNetworks):
    """Deep cross-modal hashing on fixed features, sized for a CPU; supervised.

    With S = 1 for pairs that share a label and 0 otherwise, outputs F of the image network and G of the text
    network (n, bits), Θ = ½FGᵀ and B = sign(F + G), it lowers

        Σ (log(1 + e^Θ) - SΘ) + γ(‖B - F‖² + ‖B - G‖²) + η(‖Fᵀ1‖² + ‖Gᵀ1‖²)

    over the image network, the text network and B in turn. F and G are stored for all items, as last
    computed; S is computed for the rows of a batch only. Unlabelled items are skipped. B serves only the
    loss: the network of each modality encodes the database.

    The paper has η = 1. With Adam's large steps and few epochs, the sums Fᵀ1 of the stored outputs lag
    behind the network, which then overshoots; hence the default η = 0.
    """

    epochs: int = param(20, "training epochs of each network", least=0)
    rate: float = param(3e-3, "learning rate (Adam)", above=0)
    gamma: float = param(1.0, "weight γ of ‖B - F‖²", least=0)
    balance: float = param(0.0, "weight η of ‖Fᵀ1‖²; the paper's 1 ends near chance here", least=0)
    batch: int = param(128, "items per batch", least=2)
    max_train: int = param(10_000, "train on a random sample of at most this many items", least=2)

    capabilities = Capabilities(supervised=True, offline=True)
    source = Source(
        paper="Q.-Y. Jiang, W.-J. Li. Deep cross-modal hashing. CVPR 2017, 3270-3278, arXiv 1602.02255",
        fidelity="adaptation",
        note="As the authors do: the loss with γ = 1, linear outputs kept in two buffers, B = sign(F + G) "
        "once per epoch, batches of 128, 10,000 training pairs on MIRFlickr, and a database encoded by the "
        "network of its modality. Ours (theirs in brackets): fixed features, centred and divided by one "
        "number, and one hidden layer in both networks (CNN-F trained from pixels; 8192 hidden units for "
        "text); Adam (SGD with a falling rate); 20 epochs (500); η = 0 (1); the gradient of log(1 + e^Θ) in "
        "closed form, because e^Θ overflows for long codes. The equations come from the paper via public "
        "re-implementations. Checked: the gradient against automatic differentiation of the loss (softplus).",
    )

    varies = ("gamma", "balance", "epochs", "rate", "hidden")
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-quantisation": Variant(isolates="‖B - F‖² + ‖B - G‖²", params={"gamma": 0.0}),
        "paper-balance": Variant(isolates="‖Fᵀ1‖² + ‖Gᵀ1‖², η = 1", params={"balance": 1.0}),
        "untrained": Variant(isolates="all training: the networks stay random", params={"epochs": 0}),
    }

    def _learn(self, chunk: Chunk) -> None:
        key = ("dcmh", self.seed, self.max_train, self._place())
        self.mean_, self.scale_, x, labels = chunk.shared.once(key, lambda: self._labelled(chunk))
        nets = self._networks(x)
        self._train(x, labels, nets)
        self._keep(nets)

    def _labelled(self, chunk: Chunk) -> tuple[dict[Modality, Array], dict[Modality, float], Any, Any]:
        """Prepare mean and scale, features and labels (tensors); the same for every code length."""
        assert chunk.labels is not None, "supervised methods always receive labels"
        rows = self._sample(chunk.labels.any(axis=1))
        mean, scale, x = scaled_inputs(chunk, rows, self._place())
        return mean, scale, x, self._place().tensor(chunk.labels[rows])

    def _sample(self, labelled: Any) -> Rows:
        """Pick at most ``max_train`` labelled rows (any rows if none is labelled), from its own generator."""
        rows = np.flatnonzero(labelled) if labelled.any() else np.arange(len(labelled))
        if len(rows) <= self.max_train:
            return rows
        return np.random.default_rng([self.seed, len(rows)]).choice(rows, self.max_train, replace=False)

    def _train(self, x: Mapping[Modality, Any], labels: Any, nets: Mapping[Modality, Any]) -> None:
        """Train on the rows of ``x`` and ``labels``."""
        import torch

        from bench.methods._network import batches

        n = len(labels)
        adam = {m: torch.optim.Adam(nets[m].parameters, lr=self.rate, fused=True) for m in MODALITIES}
        outputs = {m: self._place().tensor(self.rng.standard_normal((n, self.bits))) for m in MODALITIES}
        for _ in passes("training", self.epochs):
            codes = torch.where(outputs["image"] + outputs["text"] >= 0, 1.0, -1.0)
            for m, other in (MODALITIES, MODALITIES[::-1]):
                for rows in batches(n, self.batch, self.rng):
                    out = nets[m](x[m][rows])
                    outputs[m][rows] = out.detach()
                    similar = labels[rows].matmul(labels.T) > 0
                    slope = slope_of_loss(
                        outputs[m],
                        outputs[other],
                        rows,
                        similar,
                        codes,
                        gamma=self.gamma,
                        balance=self.balance,
                    )
                    adam[m].zero_grad()
                    out.backward(slope / (n * len(rows)))
                    adam[m].step()


def slope_of_loss(
    outputs: Any, others: Any, rows: Rows, similar: Any, codes: Any, *, gamma: float, balance: float
) -> Any:
    """Return the gradient of the loss in ``outputs[rows]`` (b, k), in closed form.

    ``outputs``, ``others`` (the other modality's) and ``codes`` B are (n, k); ``similar`` is ``S[rows]``,
    (b, n) bool. The likelihood sums over the pairs of these rows with all items.
    """
    from bench.methods._similarity_loss import nll_slope

    out = outputs[rows]
    return (
        nll_slope(out, others, similar) + 2 * gamma * (out - codes[rows]) + 2 * balance * outputs.sum(dim=0)
    )
