"""Sixty pairs of three classes."""

from pathlib import Path

import numpy as np

from bench.api import Batch, Dataset, DatasetSource, Split


class Tiny(DatasetSource):
    """Sixty training pairs and twelve queries of three classes."""

    schedule = "shuffled:20"
    shift: float = 0.0

    def load(self, root: Path) -> Dataset:
        rng = np.random.default_rng(0)
        y = rng.integers(3, size=72)
        labels = np.eye(3, dtype=np.uint8)[y]

        def seen(width: int) -> np.ndarray:
            z = labels @ rng.standard_normal((3, width)) + 0.3 * rng.standard_normal((72, width)) + self.shift
            return z.astype(np.float32)

        image, text = Batch(seen(10)), Batch(seen(7))
        whole = Split(image=image, text=text, labels=labels, ids=np.arange(72))
        return Dataset(
            name="tiny",
            train=whole.take(slice(60)),
            query=whole.take(slice(60, 72)),
            classes=("a", "b", "c"),
            times={"year": np.repeat([2012.0, 2010.0, 2011.0], 20)},
        )
