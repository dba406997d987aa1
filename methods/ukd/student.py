"""UKD's student: two networks that learn codes from the teacher's similarity (DCMH's loss)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bench.api import MODALITIES, Modality
from bench.methods.ukd.network import Network, batches
from bench.methods.ukd.similarity import Similarity


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
    device: str,
) -> dict[Modality, list[Any]]:
    """Train both networks in turn and return their weights.

    F and G hold the outputs of the image and the text network for all n items. The image
    step takes a batch of rows b and minimises, over its network only, the sum over b × n of
    ``log(1 + e^Θ) - SΘ`` with ``Θ = ½ F_b Gᵀ``, plus ``gamma ‖B_b - F_b‖²`` with
    ``B = sign(F + G)``; the text step is the same with F and G exchanged.
    """
    n = len(x["image"])
    nets = {
        m: Network((x[m].shape[1], hidden, bits), torch.relu, gain=2**0.5, rng=rng, device=device)
        for m in MODALITIES
    }
    optimizers = {m: nets[m].optimizer(rate, 0.0) for m in MODALITIES}
    outputs = {
        m: torch.from_numpy(rng.standard_normal((n, bits), dtype=np.float32)).to(device) for m in MODALITIES
    }
    for _ in range(epochs):
        codes = torch.where(outputs["image"] + outputs["text"] >= 0, 1.0, -1.0)
        for modality, other in (MODALITIES, MODALITIES[::-1]):
            for rows in batches(n, batch, rng):
                out = torch.tanh(nets[modality](x[modality][rows]))
                now = out.detach()
                outputs[modality][rows] = now
                pull = slope(now, outputs[other], similarity.rows(rows)) + 2 * gamma * (now - codes[rows])
                optimizers[modality].zero_grad()
                out.backward(pull / (n * len(rows)))
                optimizers[modality].step()
    return {m: nets[m].arrays() for m in MODALITIES}


def slope(out: Any, others: Any, similar: Any) -> Any:
    """Derivative by ``out`` (b, k) of the sum of ``log(1 + e^Θ) - SΘ``, ``Θ = ½ out othersᵀ``.

    ``others`` is (n, k) and ``similar`` (b, n). In closed form, so that nothing of size b × n
    is kept for a backward pass.
    """
    error = out.matmul(others.T).mul_(0.5).sigmoid_().sub_(similar.to(out.dtype))
    return error.matmul(others).mul_(0.5)
