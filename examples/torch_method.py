"""Two towers: an nn.Module with a training loop of its own, in batches, with early stopping."""

from typing import Any

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign


class TwoTowers(Method):
    """One small network per modality, trained chunk by chunk to bring pairs with a common label together."""

    hidden: int = param(128, "hidden units of a tower", least=1)
    epochs: int = param(30, "epochs on one chunk, at most", least=1)
    batch: int = param(100, "pairs of a mini-batch", least=1)
    patience: int = param(3, "epochs without a better held-out loss before training stops", least=1)
    rate: float = param(1e-3, "learning rate of Adam", above=0)
    capabilities = Capabilities(supervised=True)
    source = Source(fidelity="new", note="an example: supervised contrastive loss between the modalities")

    def fit_chunk(self, chunk: Chunk) -> None:
        import torch

        x = {m: torch.tensor(chunk.batch(m).features) for m in MODALITIES}
        y = torch.tensor(chunk.labels, dtype=torch.float32)
        if chunk.round == 0:
            with torch.random.fork_rng(devices=[]):  # every draw follows from self.rng, initial weights too
                torch.manual_seed(int(self.rng.integers(2**31)))
                net = _network({m: x[m].shape[1] for m in MODALITIES}, self.hidden, self.bits)
        else:
            net = self._loaded()
        adam = torch.optim.Adam(net.parameters(), lr=self.rate)
        order = torch.tensor(self.rng.permutation(len(chunk)))
        held_out, rest = order[: max(1, len(order) // 5)], order[len(order) // 5 :]
        best, waited = float("inf"), 0
        for _ in range(self.epochs):
            for rows in rest[torch.tensor(self.rng.permutation(len(rest)))].split(self.batch):
                adam.zero_grad()
                _loss(net, x, y, rows).backward()
                adam.step()
            with torch.no_grad():
                loss = float(_loss(net, x, y, held_out))
            if loss < best:  # arrays in an attribute that ends in _ are the state that is saved
                best, waited = loss, 0
                self.weights_ = {name: value.numpy().copy() for name, value in net.state_dict().items()}
            elif (waited := waited + 1) == self.patience:
                break

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        import torch

        with torch.no_grad():
            return sign(self._loaded()[modality](torch.tensor(batch.features)).numpy())

    def _loaded(self) -> Any:
        import torch

        widths = {m: len(self.weights_[f"{m}.0.weight"]) for m in MODALITIES}
        with torch.device("meta"):  # draws no initial weights, since they are given at once
            net = _network(widths, self.hidden, self.bits)
        net.load_state_dict({name: torch.tensor(value) for name, value in self.weights_.items()}, assign=True)
        return net.requires_grad_()


def _network(widths: dict[Modality, int], hidden: int, bits: int) -> Any:
    from torch import nn

    def tower(width: int) -> Any:
        first, last = nn.Linear(width, hidden), nn.Linear(hidden, bits)
        return nn.Sequential(nn.LayerNorm(width), first, nn.ReLU(), last, nn.Tanh())

    return nn.ModuleDict({modality: tower(width) for modality, width in widths.items()})


def _loss(net: Any, x: Any, y: Any, rows: Any) -> Any:
    """Cross-entropy between who is near whom and who shares a label with whom, in both directions."""
    from torch.nn.functional import cross_entropy

    image, text = (net[m](x[m][rows]) for m in MODALITIES)
    near = image @ text.T / image.shape[1] ** 0.5
    alike = (y[rows] @ y[rows].T > 0).float()
    alike /= alike.sum(dim=1, keepdim=True).clamp(min=1)
    return cross_entropy(near, alike) + cross_entropy(near.T, alike)
