"""A method that notes which items it is trained on, and which ones it is to forget."""

from __future__ import annotations

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Split, sign

KNOWN: set[int] = set()  # ids of the items in its state
CALLS: list[tuple[str, tuple[int, ...]]] = []


class Forgets(Method):
    """Codes of the first features."""

    capabilities = Capabilities(supervised=True, forgets=True)

    def fit_chunk(self, chunk: Chunk) -> None:
        CALLS.append(("fit", tuple(map(int, chunk.ids))))
        KNOWN.update(map(int, chunk.ids))

    def forget_items(self, items: Split) -> None:
        assert items.labels is not None and items.labels.any()
        CALLS.append(("forget", tuple(map(int, items.ids))))
        assert set(map(int, items.ids)) <= KNOWN
        KNOWN.difference_update(map(int, items.ids))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, [i % batch.features.shape[1] for i in range(self.bits)]])
