"""UKD's student: two networks that learn codes from the teacher's similarity by the loss of DCMH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.api import MODALITIES, Modality
from bench.methods._neighbours import Similarity
from bench.methods._network import Network, batches, tensor


def learn(
    x: Mapping[Modality, Any],
    similarity: Similarity,
    *,
    bits: int,
    hidden: int,
    epochs: int,
    rate: float,
    gamma: float,
    batch: int,
    rng: np.random.Generator,
) -> dict[Modality, list[npt.NDArray[np.float32]]]:
    """Train both networks in turn on the rows of ``x``; W₁, b₁, W₂, b₂ for each modality.

    F and G (n, bits) hold the tanh outputs of the image and the text network for all n items, as of
    the last time each was computed. An image step takes a batch of rows b and lowers, over the image
    network only, ``Σ log(1 + e^Θ) - SΘ`` with ``Θ = ½ F_b Gᵀ``, summed over b × n, plus
    ``gamma ‖B_b - F_b‖²`` with ``B = sign(F + G)``. A text step is the same with F and G exchanged.
    """
    n, device = len(x["image"]), x["image"].device
    nets = {
        m: Network((x[m].shape[1], hidden, bits), torch.relu, gain=2**0.5, rng=rng, device=device)
        for m in MODALITIES
    }
    optimizers = {m: torch.optim.Adam(nets[m].parameters, lr=rate, fused=True) for m in MODALITIES}
    outputs = {m: tensor(rng.standard_normal((n, bits)), device) for m in MODALITIES}
    for _ in range(epochs):
        codes = torch.where(outputs["image"] + outputs["text"] >= 0, 1.0, -1.0)
        for modality, other in (MODALITIES, MODALITIES[::-1]):
            for rows in batches(n, batch, rng):
                out = torch.tanh(nets[modality](x[modality][rows]))
                now = out.detach()
                outputs[modality][rows] = now
                slope = nll_slope(now, outputs[other], similarity.rows(rows)) + 2 * gamma * (
                    now - codes[rows]
                )
                optimizers[modality].zero_grad()
                out.backward(slope / (n * len(rows)))
                optimizers[modality].step()
    return {m: nets[m].arrays() for m in MODALITIES}


def nll_slope(out: Any, others: Any, similar: Any) -> Any:
    """The derivative by ``out`` (b, k) of the sum of ``log(1 + e^Θ) - SΘ``, ``Θ = ½ out othersᵀ``.

    ``others`` is (n, k) and ``similar``, S, (b, n) bool. In closed form, so that no b × n block is
    kept for a backward pass and no exponential overflows.
    """
    error = out.matmul(others.T).mul_(0.5).sigmoid_().sub_(similar.view(torch.uint8))
    return error.matmul(others).mul_(0.5)
