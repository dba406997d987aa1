"""UKD's student: two networks that learn codes from the teacher's similarity as if from labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch

from bench.api import MODALITIES, Modality, passes
from bench.methods._neighbours import Similarity
from bench.methods._network import Network, Place, batches
from bench.methods._similarity_loss import nll_slope, squared_nll_slope

LIKENESS = 0.999  # similarity of similar items in the released S; 0 for others


def learn(
    x: Mapping[Modality, Any],
    similarity: Similarity,
    nets: Mapping[Modality, Network],
    *,
    bits: int,
    epochs: int,
    rate: float,
    loss: Literal["paper", "released"],
    gamma: float,
    batch: int,
    rng: np.random.Generator,
    place: Place,
    given: Any | None = None,
) -> None:
    """Train both networks in turn on the rows of ``x``.

    F and G (n, bits) hold the tanh outputs of the image and the text network for all n items, as last
    computed. An image step takes a batch of rows b and follows :func:`slope_of_loss` for the image network
    only, with ``Θ = ½ F_b Gᵀ``. A text step is the same with F and G exchanged.

    ``given`` (f, bits) holds fixed codes of the first f rows: they replace those rows of F and G throughout,
    so that the codes of the others fit them.
    """
    n, fixed = len(x["image"]), 0 if given is None else len(given)
    optimizers = {m: torch.optim.Adam(nets[m].parameters, lr=rate, fused=True) for m in MODALITIES}
    outputs = {m: place.tensor(rng.standard_normal((n, bits))) for m in MODALITIES}
    for buffer in outputs.values():
        if given is not None:
            buffer[:fixed] = given
    for _ in passes("student", epochs):
        codes = torch.where(outputs["image"] + outputs["text"] >= 0, 1.0, -1.0)
        for modality, other in (MODALITIES, MODALITIES[::-1]):
            for rows in batches(n, batch, rng):
                out = torch.tanh(nets[modality](x[modality][rows]))
                now = out.detach()
                free = rows >= fixed
                outputs[modality][rows[free]] = now[free] if fixed else now
                slope = slope_of_loss(now, outputs[other], similarity.rows(rows), codes[rows], loss, gamma)
                optimizers[modality].zero_grad()
                out.backward(slope / (n * len(rows)))
                optimizers[modality].step()


def slope_of_loss(
    out: Any, others: Any, similar: Any, codes: Any, loss: Literal["paper", "released"], gamma: float
) -> Any:
    """Return the gradient of a batch's loss in the outputs ``out`` (b, k) of one modality.

    ``others`` (n, k) are the other modality's outputs, ``similar`` is S (b, n) bool, ``codes`` is B (b, k),
    and ``Θ = ½ out othersᵀ``. paper: ``Σ log(1 + e^Θ) - SΘ + γ‖B - out‖²`` with B = sign(F + G). released,
    as in the authors' code: ``½ Σ (SΘ - log(1 + e^Θ))² + γ ½‖sign(out) - out‖²`` with S in {0, 0.999}.
    """
    if loss == "paper":
        return nll_slope(out, others, similar) + 2 * gamma * (out - codes)
    own = torch.where(out >= 0, 1.0, -1.0)
    return squared_nll_slope(out, others, similar, LIKENESS) + gamma * (out - own)
