"""CLIP and two heads trained end to end on pictures and texts, with all that a long training needs."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.api import (
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Method,
    Modality,
    Source,
    Split,
    clip_model,
    param,
    sign,
)


class DeepMethod(Method):
    """Signs of a head per modality on CLIP; pairs with a common label are brought together."""

    clip: str = param("small", "MODEL:WEIGHTS of open_clip, the folder of a checkpoint, or small (shipped)")
    epochs: int = param(5, "passes over the pairs", least=1)
    batch: int = param(64, "pairs of a mini-batch", least=1)
    rate: float = param(1e-3, "learning rate of Adam", above=0)
    device: str = param("cpu", "torch device")
    capabilities = Capabilities(
        supervised=True, offline=True, pictures=True, texts=True, validation=0.1, resumes=True
    )
    source = Source(fidelity="new", note="an example: cross-entropy between the modalities")

    def fit_chunk(self, chunk: Chunk) -> None:
        import torch

        net = self._network()
        adam = torch.optim.Adam(net.parameters(), lr=self.rate)
        learn, held = chunk.parts()  # the harness draws the validation part
        training = self.passes(  # a kill costs at most half a minute
            "training",
            self.epochs,
            save=lambda: _stored(net, adam),
            load=lambda kept: _restore(kept, net, adam),
        )
        for epoch in training:
            for loss in self._losses(net, learn.take(self.rng.permutation(len(learn)))):
                adam.zero_grad()
                loss.backward()
                adam.step()
            with torch.no_grad():
                losses = [float(loss) for loss in self._losses(net, held)]
            self.log(epoch, held_out=sum(losses) / max(len(losses), 1))  # stored with the cell, and drawn
        self.weights_ = _stored(net)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        import torch

        net = self._trained()
        with torch.no_grad():
            return sign(torch.cat(list(self._outputs(net, batch))).cpu().numpy())

    def _losses(self, net: Any, items: Split) -> Iterator[Any]:
        import torch
        from torch.nn.functional import cross_entropy

        labels = torch.tensor(items.labels, dtype=torch.float32, device=self.device).split(self.batch)
        outputs = self._outputs(net, items.image), self._outputs(net, items.text)
        for image, text, y in zip(*outputs, labels, strict=False):  # no items: split() gives an empty part
            alike = (y @ y.T > 0).float()
            alike /= alike.sum(dim=1, keepdim=True).clamp(min=1)
            near = image @ text.T / self.bits**0.5
            yield cross_entropy(near, alike) + cross_entropy(near.T, alike)

    def _outputs(self, net: Any, batch: Batch) -> Iterator[Any]:
        """The outputs of a batch of items, mini-batch by mini-batch; pictures are decoded when needed."""
        import torch
        from torch.utils.data import DataLoader

        if batch.pictures is not None:
            own = torch.Generator()  # else the loader draws from torch's global one
            pictures = batch.pictures.mapped(self._preprocess)
            for pixels in DataLoader(pictures, batch_size=self.batch, generator=own):
                yield net["image"](net["clip"].encode_image(pixels.to(self.device)))
        else:
            for tokens in self._tokenizer(list(batch.texts or ())).split(self.batch):
                yield net["text"](net["clip"].encode_text(tokens.to(self.device)))

    def _trained(self) -> Any:
        """The trained network; it is built again only where training or a loaded state gave other weights."""
        weights, net = getattr(self, "_live", (None, None))
        if weights is not self.weights_:
            net = self._network()
            _restore(self.weights_, net)
            self._live = self.weights_, net
        return net

    def _network(self) -> Any:
        import torch
        from torch import nn

        model, self._preprocess, self._tokenizer = clip_model(self.clip, self.device)
        width = model.encode_text(self._tokenizer(["a"]).to(self.device)).shape[1]
        with torch.random.fork_rng(devices=[]):  # initial weights follow from the seed
            torch.manual_seed(self.seed)
            heads = {m: _head(width, self.bits) for m in ("image", "text")}
        return nn.ModuleDict({"clip": model, **heads}).to(self.device).eval()


def _head(width: int, bits: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, bits), nn.Tanh())


def _stored(*parts: Any) -> Any:
    """Networks and optimizers as one array of bytes."""
    import torch

    buffer = io.BytesIO()
    torch.save([part.state_dict() for part in parts], buffer)
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


def _restore(stored: Any, *parts: Any) -> None:
    import torch

    kept = torch.load(io.BytesIO(stored.tobytes()), weights_only=True)
    for part, state in zip(parts, kept, strict=True):
        part.load_state_dict(state)
