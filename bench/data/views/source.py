"""Base of datasets that begin with pictures and texts: what a plugin parses becomes prepared views.

A plugin writes ``card`` and ``raw(root)``. `bench data prepare NAME` parses once and extracts views;
``load(root)`` then only maps them. Nothing is extracted while a run loads its data.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.contract.card import Card
from bench.contract.dataset import Dataset, DatasetSource, Raw
from bench.contract.items import MODALITIES, Batch, Features, Modality, Split
from bench.contract.params import param, parameters
from bench.data.views import files
from bench.data.views.extractor import Setting
from bench.data.views.files import Items
from bench.data.views.kinds import make
from bench.data.views.names import View, tidy
from bench.errors import DataError, ParameterError
from bench.progress import Task
from bench.records import selector

VIEWS = ("image", "text", "clip")  # the options that name views; all others say which items
BLOCK = 256  # items extracted at a time


class RawSource(DatasetSource):
    """A dataset of pictures and texts, with ``image`` and ``text`` views and CLIP as the view ``clip``.

    A subclass sets ``card``, may give the three options other defaults by declaring them again, and
    may add options of its own: those change which items there are, and so what is prepared.
    Where it also reads the field's feature bundles, it overrides :meth:`files` and :meth:`load` and
    calls these where there is no bundle.
    """

    image: str = param("vgg16", "view of the pictures that is their features")
    text: str = param("bow", "view of the texts that is their features")
    clip: str | None = param("ViT-B-32:openai", "CLIP as MODEL:WEIGHTS or FOLDER, in the views clip")
    card: ClassVar[Card]
    checkpoints: ClassVar[Mapping[str, Path]] = {}  # names of local checkpoints that the plugin ships

    @abstractmethod
    def raw(self, root: Path) -> Raw:
        """Parse the files below :meth:`home`; quick, since pictures are decoded one by one, later.

        A missing or damaged file is a :class:`bench.errors.DataError` that names it and says how to
        get it. What was dropped, repaired or assumed goes into ``notes``.
        """

    def home(self, root: Path) -> Path:
        """The folder of the dataset's files: ``ROOT/NAME``."""
        return root / self.card.name

    def views(self) -> dict[str, View]:
        """The views that the options ask for, under ``image``, ``text`` and ``clip``."""
        found = {"image": View.parse(self.image), "text": View.parse(self.text)}
        for modality, view in found.items():
            if modality not in view.modalities:
                raise ParameterError(
                    f"{type(self).__name__}: {modality}={view}; expected a view of {modality}s. "
                    f"That is one of {view.modalities[0]}s: write {view.modalities[0]}={view}."
                )
        return found if self.clip is None else found | {"clip": View.parse(f"clip:{self.clip}")}

    def items_folder(self, root: Path) -> Path:
        """Where ids, labels and split of these options are prepared."""
        own = {name: getattr(self, name) for name in parameters(type(self), without=VIEWS)}
        words = ",".join(f"{name}={value}" for name, value in sorted(own.items()))
        return self.home(root) / "views" / "items" / tidy(words or "all")

    def view_folder(self, root: Path, modality: Modality, view: View, rows: Mapping[str, str]) -> Path:
        """Where a view of one modality is prepared; ``rows`` are the digests in the items."""
        key = "words" if view.kind in ("bow", "tfidf") else modality
        return self.home(root) / "views" / modality / view.folder / rows[key]

    def files(self, root: Path) -> list[Path]:
        """The manifests of what :meth:`load` maps."""
        items = self._items(root)
        folders = [self.items_folder(root)]
        for m in MODALITIES:
            for view in dict.fromkeys(self.views()[name] for name in (m, "clip") if name in self.views()):
                folders.append(self.view_folder(root, m, view, items.rows))
        for folder in folders:
            self._check_there(root, folder)
        return [folder / "manifest.json" for folder in folders]

    def load(self, root: Path) -> Dataset:
        """Compose the prepared views; the arrays are mapped, so this takes no memory and no time."""
        items, views = self._items(root), self.views()
        batches = {}
        for m in MODALITIES:
            features = self._open(root, m, views[m], items)
            extra = {"clip": self._open(root, m, views["clip"], items)} if "clip" in views else {}
            batches[m] = Batch(features, extra)
        return self._dataset(batches, items, items.train)

    def _dataset(self, batches: Mapping[Modality, Batch], items: Items | Raw, train: int) -> Dataset:
        """The first ``train`` rows are the training split, the others the queries."""

        def split(rows: slice) -> Split:
            image, text = (batches[m].take(rows) for m in MODALITIES)
            return Split(image=image, text=text, labels=items.labels[rows], ids=items.ids[rows])

        return Dataset(
            name=self.card.name,
            train=split(slice(0, train)),
            query=split(slice(train, None)),
            classes=items.classes,
            notes=(*items.notes, *(f"{name} is the view {view}" for name, view in self.views().items())),
        )

    def extract(self, raw: Raw, root: Path) -> Dataset:
        """Extract all views in memory: for small generated datasets, for which nothing is prepared.

        The training items come first in ``raw``. Networks compute in float32, which gives the same
        features on any CPU.
        """
        batches = {modality: self._extract(raw, modality, root) for modality in MODALITIES}
        return self._dataset(batches, raw, len(raw.train))

    def view_sources(self, root: Path) -> list[Path]:
        """What decides the features of :meth:`extract` beside the items: our code and local checkpoints."""
        code = sorted(Path(__file__).parent.glob("*.py"))
        paths = [self._setting(root).path(name) for view in self.views().values() for name in view.arguments]
        inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths]
        return code + [file for files_ in inside for file in files_ if file.is_file()]

    def _extract(self, raw: Raw, modality: Modality, root: Path) -> Batch:
        wanted = {name: view for name, view in self.views().items() if name in (modality, "clip")}
        made = {name: make(view, modality, raw, self._setting(root)) for name, view in wanted.items()}
        read = raw.image if modality == "image" else raw.texts.__getitem__
        found: dict[str, list[Features]] = {name: [] for name in made}
        label = f"{type(self).__name__.lower()}: {', '.join(map(str, wanted.values()))}"
        with Task(label, len(raw.ids), f"{modality}s") as task:
            for start in range(0, len(raw.ids), BLOCK):
                items = [read(row) for row in range(start, min(start + BLOCK, len(raw.ids)))]
                for name, extractor in made.items():
                    found[name].append(extractor.many([extractor.one(item) for item in items]))
                task.advance(len(items))
        views = {name: np.concatenate(blocks) for name, blocks in found.items()}
        return Batch(views.pop(modality), views)

    def _setting(self, root: Path) -> Setting:
        return Setting(root=root, checkpoints=self.checkpoints, precision="fp32")

    def _items(self, root: Path) -> Items:
        folder = self.items_folder(root)
        self._check_there(root, folder)
        items = files.open_items(folder)
        assert items is not None
        for name, (size, changed) in items.files.items():
            path = self.home(root) / name
            if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) != (size, changed):
                raise DataError(f"{path}: has changed since it was parsed. Run: {self.command(root)}")
        return items

    def _open(self, root: Path, modality: Modality, view: View, items: Items) -> Features:
        folder = self.view_folder(root, modality, view, items.rows)
        self._check_there(root, folder)
        features = files.open_features(folder)
        assert features is not None
        if len(features) != len(items.ids):
            raise DataError(
                f"{folder}: has {len(features)} rows; expected {len(items.ids)}, one for every item. Delete "
                "the folder and prepare the view again."
            )
        return features

    def _check_there(self, root: Path, folder: Path) -> None:
        if files.read_manifest(folder) is None:
            raise DataError(f"{folder}: has not been prepared. Run: {self.command(root)}")

    def command(self, root: Path) -> str:
        """What to type to prepare all that these options ask for."""
        known = parameters(type(self), without=VIEWS)
        changed = {n: getattr(self, n) for n, p in known.items() if getattr(self, n) != p.default}
        views = ",".join(dict.fromkeys(str(view) for view in self.views().values()))
        words = ["bench", "data", "prepare", selector(self.card.name, changed)]
        return shlex.join([*words, "--views", views, "--data-root", str(root)])
