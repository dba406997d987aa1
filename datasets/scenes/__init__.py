"""Pictures of simple scenes, painted by our own code, with captions: the raw path without a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bench.api import MODALITIES, Batch, Card, Dataset, Features, Modality, Raw, Split, param
from bench.data import views
from bench.data.views.extractor import Setting
from bench.data.views.kinds import make
from bench.datasets._raw import RawSource
from bench.datasets.scenes import world
from bench.datasets.scenes.items import Items
from bench.progress import Meter

if TYPE_CHECKING:
    from PIL.Image import Image

CLIP = Path(__file__).parent / "clip"
BLOCK = 256  # items painted and extracted together; bounds memory


class Scenes(RawSource):
    """One to four things of twelve kinds and eight colours, in six places or on plain paper, and a caption.

    Labels are the kinds of the things and the place. A caption names some of it, in varied words. Item i
    of train and of the queries is the same whatever the sizes. The view ``clip`` is a small CLIP trained on
    other scenes (``clip/`` beside this file, `python -m bench.datasets.scenes.train_clip`).
    """

    n: int = param(2600, "training pairs; they become the database", least=1)
    queries: int = param(400, "query pairs", least=1)
    size: int = param(64, "width and height of the pictures, in pixels", least=32, most=512)
    seed: int = param(0, "of all items", least=0)
    image: str = param("colour", "view of the pictures that is their features")
    clip: str | None = param("small", "CLIP as MODEL:WEIGHTS or FOLDER, in the views clip; small is shipped")
    schedule: ClassVar[str] = "shuffled:400"
    checkpoints: ClassVar[Mapping[str, Path]] = {"small": CLIP}
    card: ClassVar[Card] = Card(
        name="scenes",
        title="Scenes: painted pictures with captions",
        sources=(),
        licence="generated; no restriction",
        citation="none; name hashbench and its version",
    )

    def raw(self, root: Path) -> Raw:
        """All items, whatever ``root`` is; a picture is painted when it is asked for."""
        train, query = (
            Items.of(self.seed, part, n) for part, n in ((world.TRAIN, self.n), (world.QUERY, self.queries))
        )
        rows = np.arange(self.n + self.queries)
        return Raw(
            ids=rows,
            image=Pictures(train, query, self.size),
            texts=[items.caption(row) for items in (train, query) for row in range(len(items))],
            labels=np.concatenate([train.labels(), query.labels()]),
            classes=world.CLASSES,
            train=rows[: self.n],
            query=rows[self.n :],
        )

    def files(self, root: Path) -> list[Path]:
        """What the views are extracted with, since nothing else tells another version: our code of views, and
        local checkpoints; no data.
        """
        code = sorted(Path(views.__path__[0]).glob("*.py"))
        paths = [self._setting(root).path(name) for view in self.views().values() for name in view.arguments]
        inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths]
        return code + [file for files in inside for file in files if file.is_file()]

    def load(self, root: Path) -> Dataset:
        """Paint the pictures, say the captions and extract their views; nothing has to be prepared."""
        raw = self.raw(root)
        batches = {m: self._extract(raw, m, root) for m in MODALITIES}

        def split(rows: slice) -> Split:
            image, text = (batches[m].take(rows) for m in MODALITIES)
            return Split(image=image, text=text, labels=raw.labels[rows], ids=raw.ids[rows])

        return Dataset(
            name="scenes",
            train=split(slice(0, self.n)),
            query=split(slice(self.n, None)),
            classes=raw.classes,
            notes=tuple(f"{name} is the view {view}" for name, view in self.views().items()),
        )

    def _extract(self, raw: Raw, modality: Modality, root: Path) -> Batch:
        """The views of one modality of all items, its own as the features."""
        wanted = {name: view for name, view in self.views().items() if name in (modality, "clip")}
        made = {name: make(view, modality, raw, self._setting(root)) for name, view in wanted.items()}
        read = raw.image if modality == "image" else raw.texts.__getitem__
        found: dict[str, list[Features]] = {name: [] for name in made}
        with Meter(f"scenes: {', '.join(map(str, wanted.values()))}", len(raw.ids), f"{modality}s") as meter:
            for start in range(0, len(raw.ids), BLOCK):
                items = [read(row) for row in range(start, min(start + BLOCK, len(raw.ids)))]
                for name, extractor in made.items():
                    found[name].append(extractor.many([extractor.one(item) for item in items]))
                meter.advance(len(items))
        views = {name: np.concatenate(blocks) for name, blocks in found.items()}
        return Batch(views.pop(modality), views)

    def _setting(self, root: Path) -> Setting:
        return Setting(root=root, checkpoints=self.checkpoints, precision="fp32")  # the same on any CPU


@dataclass(frozen=True, slots=True)
class Pictures:
    """The picture of a row, as :class:`bench.api.Raw` wants it."""

    train: Items
    query: Items
    size: int

    def __call__(self, row: int) -> Image:
        from PIL import Image

        known = len(self.train)
        items, own = (self.train, row) if row < known else (self.query, row - known)
        return Image.fromarray(items.picture(own, self.size))
