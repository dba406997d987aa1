"""A method that reads pictures, texts and names, and says in its notes what it has seen of them."""

from __future__ import annotations

import numpy as np

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, sign


class Reads(Method):
    """Codes of the mean colours of pictures and of the letters of texts."""

    capabilities = Capabilities(pictures=True, texts=True, class_names=True, validation=0.25, partial=True)

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.image.pictures is not None and chunk.text.texts is not None
        assert chunk.text.pictures is None and chunk.image.texts is None
        learn, held = chunk.parts()
        self.first_ = chunk.image.pictures[0]
        self.seen_ = [
            f"{len(learn)} + {len(held)} items",
            f"classes {', '.join(chunk.classes)}",
            f"text {chunk.text.texts[0]}",
            f"reader has {len(getattr(chunk.image.pictures.reader, 'part', chunk))} pictures",
        ]

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        if modality == "image":
            assert batch.pictures is not None
            colours = [batch.pictures[i].mean(axis=(0, 1)) for i in range(len(batch))]
        else:
            assert batch.texts is not None
            colours = [np.array([len(text), text.count("e"), text.count("a")]) for text in batch.texts]
        means = np.array(colours) - 3
        return sign(means[:, [i % 3 for i in range(self.bits)]])

    def notes(self) -> list[str]:
        return [*self.seen_, f"first picture sums to {int(self.first_.sum())}"]
