"""DJSRH: codes whose cosines reconstruct a joint affinity of image and text features, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api import MODALITIES, Capabilities, Chunk, Source, Variant, param, passes
from bench.methods._hash_network import HashNetworks, unit

if TYPE_CHECKING:
    from bench.methods._similarity_loss import LowRank


class DJSRH(HashNetworks):
    """Deep joint-semantics reconstructing hashing on fixed features; uses pairs only, no labels.

    The affinity uses the raw features, so their origin should be meaningful: with a large common offset all
    items look alike.
    """

    beta: float = param(0.5, "share of the image features in the joint affinity", least=0, most=1)
    eta: float = param(0.4, "share of the second-order affinity S̃S̃ᵀ / batch", least=0, most=1)
    mu: float = param(1.5, "factor on the affinity that the cosines of the codes reconstruct", above=0)
    within_image: float = param(0.1, "weight of the image-image loss; image-text has 1", least=0)
    within_text: float = param(0.1, "weight of the text-text loss; image-text has 1", least=0)
    epochs: int = param(20, "training epochs; in epoch e = 1, 2, … the slope of tanh is √e", least=0)
    rate: float = param(1e-3, "learning rate (Adam)", above=0)
    batch: int = param(32, "pairs per batch", least=2)
    max_train: int = param(5000, "train on a random sample of at most this many pairs", least=2)

    capabilities = Capabilities(offline=True)
    source = Source(
        paper="S. Su, Z. Zhong, C. Zhang. Deep joint-semantics reconstructing hashing for large-scale "
        "unsupervised cross-modal retrieval. ICCV 2019, 3027-3035",
        fidelity="adaptation",
        note="As in the released code: S of each modality is 2cos - 1, S̃ = βS_I + (1-β)S_T, "
        "S = μ[(1-η)S̃ + ηS̃S̃ᵀ/b] with η = 0.4 and μ = 1.5; mean squared errors of the cosines of "
        "tanh(√e · output) within and across modalities, weights 0.1, 1, 0.1; batches of 32; a text network "
        "with one hidden ReLU layer. Ours (theirs in brackets): fixed image features and the text network's "
        "form for both modalities (fine-tuned AlexNet; S_I from its pretrained fc7); β = 0.5 for all data "
        "(0.3, 0.6 or 0.9); 512 hidden units (4096); centred and scaled network inputs; Adam (SGD with "
        "momentum and weight decay); 20 epochs (80 or 200); the last, smaller batch is kept (dropped). None "
        "of their figures is reproduced.",
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Their MIRFlickr settings for the parameters that exist here.
        "authors": {"beta": 0.9, "hidden": 4096, "epochs": 80}
    }

    varies = ("beta", "eta", "mu", "within_image", "within_text", "epochs", "rate")
    variants: ClassVar[Mapping[str, Variant]] = {
        "no-second-order": Variant(isolates="S̃S̃ᵀ", params={"eta": 0.0}),
        "images-alone": Variant(isolates="texts in the affinity", params={"beta": 1.0}),
        "texts-alone": Variant(isolates="images in the affinity", params={"beta": 0.0}),
        "across-alone": Variant(
            isolates="losses within a modality", params={"within_image": 0.0, "within_text": 0.0}
        ),
        "mu-1": Variant(isolates="the factor that scales S beyond 1", params={"mu": 1.0}),
    }

    def _learn(self, chunk: Chunk) -> None:
        import torch

        from bench.methods._network import batches

        x, inputs = self._inputs(chunk, self.max_train)
        directions = {m: unit(self._place().tensor(x[m])) for m in MODALITIES}
        nets = self._networks(inputs)
        parameters = [p for net in nets.values() for p in net.parameters]
        optimizer = torch.optim.Adam(parameters, lr=self.rate, fused=True)
        for epoch in passes("training", self.epochs):
            for rows in batches(len(x["image"]), self.batch, self.rng):
                image, text = (torch.tanh((epoch + 1) ** 0.5 * nets[m](inputs[m][rows])) for m in MODALITIES)
                optimizer.zero_grad()
                reconstruction_loss(
                    image,
                    text,
                    self._target(*(directions[m][rows] for m in MODALITIES)),
                    within_image=self.within_image,
                    within_text=self.within_text,
                ).backward()
                optimizer.step()
        self._keep(nets)

    def _target(self, image: Any, text: Any) -> Any:
        """Return the affinity of a batch: a matrix, or thin factors if the batch exceeds their width."""
        thin = len(image) > image.shape[1] + text.shape[1] + self.bits
        return (factors if thin else affinity)(image, text, beta=self.beta, eta=self.eta, mu=self.mu)


def affinity(image: Any, text: Any, *, beta: float, eta: float, mu: float) -> Any:
    """Return the joint-semantics affinity S (b, b) of a batch, from the unit features (b, d) of its pairs.

    ``eta`` weighs the second-order part: items are alike if their similarities to the batch are alike.
    With μ > 1, S can leave [-1, 1], as in the authors' code.
    """
    joint = beta * (2 * image.matmul(image.T) - 1) + (1 - beta) * (2 * text.matmul(text.T) - 1)
    return mu * ((1 - eta) * joint + eta * joint.matmul(joint.T) / len(joint))


def factors(image: Any, text: Any, *, beta: float, eta: float, mu: float) -> LowRank:
    """Return :func:`affinity` as a product of thin factors, one column wider than both features together."""
    import torch

    from bench.methods._similarity_loss import LowRank

    ones = image.new_ones(len(image), 1)
    left = torch.cat([2 * beta * image, 2 * (1 - beta) * text, -ones], dim=1)  # S̃ = left rightᵀ, symmetric
    right = torch.cat([image, text, ones], dim=1)
    second = left @ (right.T @ right) / len(image)  # S̃S̃ᵀ / b = left secondᵀ
    return LowRank(left, mu * ((1 - eta) * right + eta * second))


def reconstruction_loss(
    image: Any, text: Any, target: Any, *, within_image: float, within_text: float
) -> Any:
    """Return the weighted mean squared errors between cosines of relaxed codes (b, k) and ``target``.

    ``target`` is (b, b), or a :class:`LowRank` target, which is never formed.
    """
    image, text = unit(image), unit(text)
    return (
        _mean_error(image, text, target)
        + within_image * _mean_error(image, image, target)
        + within_text * _mean_error(text, text, target)
    )


def _mean_error(a: Any, b: Any, target: Any) -> Any:
    from bench.methods._similarity_loss import LowRank

    if isinstance(target, LowRank):
        return target.error(a, b).to(a.dtype) / len(a) ** 2
    return (a.matmul(b.T) - target).square().mean()
