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

from bench.api import MODALITIES, Batch, Dataset, DatasetSource, Features, Modality, Raw, Split, param
from bench.data.views import files
from bench.data.views.names import View, tidy
from bench.errors import DataError, ParameterError
from bench.plugins.params import parameters
from bench.records import selector

VIEWS = ("image", "text", "clip")  # the options that name views; all others say which items


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
    checkpoints: ClassVar[Mapping[str, Path]] = {}  # names of local checkpoints that the plugin ships

    @abstractmethod
    def raw(self, root: Path) -> Raw:
        """Parse the files below :meth:`home`; quick, since pictures are decoded one by one, later.

        A missing or damaged file is a :class:`bench.errors.DataError` that names it and says how to
        get it. What was dropped, repaired or assumed goes into ``notes``.
        """

    def home(self, root: Path) -> Path:
        """The folder of the dataset's files: ``ROOT/NAME``."""
        assert self.card is not None, f"{type(self).__name__} has no card"
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

        def split(rows: slice) -> Split:
            image, text = (batches[m].take(rows) for m in MODALITIES)
            return Split(image=image, text=text, labels=items.labels[rows], ids=items.ids[rows])

        assert self.card is not None
        return Dataset(
            name=self.card.name,
            train=split(slice(0, items.train)),
            query=split(slice(items.train, None)),
            classes=items.classes,
            notes=(*items.notes, *(f"{name} is the view {view}" for name, view in views.items())),
        )

    def _items(self, root: Path) -> files.Items:
        folder = self.items_folder(root)
        self._check_there(root, folder)
        items = files.open_items(folder)
        assert items is not None
        for name, (size, changed) in items.files.items():
            path = self.home(root) / name
            if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) != (size, changed):
                raise DataError(f"{path}: has changed since it was parsed. Run: {self.command(root)}")
        return items

    def _open(self, root: Path, modality: Modality, view: View, items: files.Items) -> Features:
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
        assert self.card is not None
        known = parameters(type(self), without=VIEWS)
        changed = {n: getattr(self, n) for n, p in known.items() if getattr(self, n) != p.default}
        views = ",".join(dict.fromkeys(str(view) for view in self.views().values()))
        words = ["bench", "data", "prepare", selector(self.card.name, changed)]
        return shlex.join([*words, "--views", views, "--data-root", str(root)])
