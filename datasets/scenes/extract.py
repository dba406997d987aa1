"""Extracts the shipped views from the pictures and captions: ``python -m bench.datasets.scenes.extract``.

The trap: they are out of date after a change to painting, captions, the small CLIP or an encoder. Tests
extract them again and compare.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bench.api import MODALITIES, Features
from bench.datasets.scenes import Scenes, shipped


def main() -> None:
    import torch

    torch.set_num_threads(1)
    source = Scenes()
    dataset = source.extract(source.raw(Path()), Path())
    arrays: dict[str, Features] = {}
    for m in MODALITIES:
        parts = [split.batch(m) for split in (dataset.train, dataset.query)]
        arrays[m] = np.concatenate([part.features for part in parts])
        arrays[f"{m}.clip"] = np.concatenate([part.views["clip"] for part in parts])
    np.savez_compressed(shipped.VIEWS, **arrays)  # type: ignore[arg-type]  # the stub takes it for an option
    packages = ("numpy", "pillow", "scikit-image", "torch", "open_clip_torch")
    origin = {
        "command": "python -m bench.datasets.scenes.extract",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "sha256": shipped.digest(),
    }
    shipped.ORIGIN.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{shipped.VIEWS}: {shipped.VIEWS.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
