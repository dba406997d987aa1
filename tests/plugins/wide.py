"""Twenty thousand pairs with 512 features each."""

from pathlib import Path

import numpy as np

from bench.api import Batch, Dataset, DatasetSource, Split

CLASSES, QUERIES = 24, 500


class Wide(DatasetSource):
    """Pairs of 24 classes, and five hundred queries."""

    schedule = "stored:2000"
    n: int = 20000

    def load(self, root: Path) -> Dataset:
        rng = np.random.default_rng(0)
        labels = np.eye(CLASSES, dtype=np.uint8)[rng.integers(CLASSES, size=self.n + QUERIES)]

        def seen() -> Batch:
            noise = rng.standard_normal((len(labels), 512))
            return Batch((labels @ rng.standard_normal((CLASSES, 512)) + noise).astype(np.float32))

        items = Split(image=seen(), text=seen(), labels=labels, ids=np.arange(len(labels)))
        return Dataset(
            name="wide",
            train=items.take(slice(self.n)),
            query=items.take(slice(self.n, None)),
            classes=tuple(f"c{i}" for i in range(CLASSES)),
        )
