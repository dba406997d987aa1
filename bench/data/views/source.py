"""Base class of datasets that begin with pictures and texts: a plugin parses, the harness extracts views.

A plugin defines ``card`` and ``raw(root)``. `bench data prepare NAME` parses once and extracts views;
``load(root)`` then only maps them. Only small generated datasets extract while they load.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.contract.card import Card
from bench.contract.dataset import Dataset, DatasetSource, Raw
from bench.contract.encoder import Setting
from bench.contract.items import MODALITIES, Batch, Features, Modality, Split
from bench.contract.params import param, parameters
from bench.data.views import files
from bench.data.views.files import Items
from bench.data.views.names import View, tidy
from bench.errors import DataError, FileError, ParameterError
from bench.progress import Task
from bench.records import selector

VIEWS = ("image", "text", "clip")  # the options that name views; all others select items
BLOCK = 256  # items extracted at a time


class RawSource(DatasetSource):
    """A dataset of pictures and texts: ``image`` and ``text`` name its features, ``clip`` its view ``clip``.

    A subclass sets ``card``, may declare the three options again with other defaults, and may add
    options of its own: those select items, and each selection is prepared separately. A subclass that
    also reads bundles of features overrides :meth:`files` and :meth:`load`, and falls back to these.
    """

    image: str = param("vgg16", "view to use as image features")
    text: str = param("bow", "view to use as text features")
    clip: str | None = param("ViT-B-32:openai", "CLIP to use as view clip: MODEL:WEIGHTS, FOLDER, or none")
    card: ClassVar[Card]
    checkpoints: ClassVar[Mapping[str, Path]] = {}  # names of local checkpoints that the plugin ships

    @abstractmethod
    def raw(self, root: Path) -> Raw:
        """Parse the files below :meth:`home`, without decoding pictures: that happens later, one by one.

        Raises :class:`bench.errors.DataError` if a file is missing or damaged: it names the file and
        says how to get it. ``notes`` tell what was dropped, repaired or assumed.
        """

    def home(self, root: Path) -> Path:
        """The folder of the dataset's files: ``ROOT/NAME``."""
        return root / self.card.name

    def views(self) -> dict[str, View]:
        """The views that the options name, under ``image``, ``text`` and ``clip``."""
        named = {"image": View.parse(self.image), "text": View.parse(self.text)}
        for modality, view in named.items():
            if modality not in view.modalities:
                raise ParameterError(
                    f"{type(self).__name__}: {modality}={view} is a view of {view.modalities[0]}s; expected "
                    f"one of {modality}s. Write {view.modalities[0]}={view}."
                )
        return named if self.clip is None else named | {"clip": View.parse(f"clip:{self.clip}")}

    def items_folder(self, root: Path) -> Path:
        """The folder of ids, labels and split under these options."""
        options = {name: getattr(self, name) for name in parameters(type(self), without=VIEWS)}
        said = {n: v for n, v in options.items() if v is not False and v not in ("", "auto")}
        words = ",".join(f"{name}={value}" for name, value in sorted(said.items()))
        return self.home(root) / "views" / "items" / tidy(words or "all")

    def view_folder(self, root: Path, modality: Modality, view: View, rows: Mapping[str, str]) -> Path:
        """The folder of one modality's view; ``rows`` are the digests in :class:`Items`."""
        key = "words" if view.reads_train else modality
        return self.home(root) / "views" / modality / view.folder / rows[key]

    def files(self, root: Path) -> list[Path]:
        """The manifests of the folders that :meth:`load` maps."""
        items = self._items(root)
        folders = [self.items_folder(root)]
        for m in MODALITIES:
            for view in dict.fromkeys(self.views()[name] for name in (m, "clip") if name in self.views()):
                folders.append(self.view_folder(root, m, view, items.rows))
        for folder in folders:
            self._require_prepared(root, folder)
        return [folder / "manifest.json" for folder in folders]

    def load(self, root: Path) -> Dataset:
        """Compose the prepared views; the arrays are mapped, which takes hardly any memory or time."""
        items, views = self._items(root), self.views()
        batches = {}
        for m in MODALITIES:
            features = self._open(root, m, views[m], items)
            extra = {"clip": self._open(root, m, views["clip"], items)} if "clip" in views else {}
            batches[m] = Batch(features, extra)
        return self._dataset(batches, items, items.train)

    def _dataset(self, batches: Mapping[Modality, Batch], items: Items | Raw, train: int) -> Dataset:
        """A dataset whose first ``train`` rows are the training split and whose others are the queries."""

        def split(rows: slice) -> Split:
            image, text = (batches[m].take(rows) for m in MODALITIES)
            return Split(image=image, text=text, labels=items.labels[rows], ids=items.ids[rows])

        return Dataset(
            name=self.card.name,
            train=split(slice(0, train)),
            query=split(slice(train, None)),
            classes=items.classes,
            parents=items.parents,
            notes=(*items.notes, *(f"{name} is the view {view}" for name, view in self.views().items())),
            times={name: column[:train] for name, column in items.times.items()},
        )

    def extract(self, raw: Raw, root: Path) -> Dataset:
        """Extract all views in memory: for small generated datasets, which need no preparation.

        The training items come first in ``raw``. Networks compute in float32 even where the CPU has
        bf16, so that features agree between machines.
        """
        batches = {modality: self._extract(raw, modality, root) for modality in MODALITIES}
        return self._dataset(batches, raw, len(raw.train))

    def view_sources(self, root: Path) -> list[Path]:
        """The files that decide the features of :meth:`extract`: our code and local checkpoints."""
        encoders = {file for view in self.views().values() for file in view.code()}
        code = sorted({*Path(__file__).parent.glob("*.py"), *encoders})
        paths = [self._setting(root).path(name) for view in self.views().values() for name in view.arguments]
        inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths]
        return code + [file for files_ in inside for file in files_ if file.is_file()]

    def _extract(self, raw: Raw, modality: Modality, root: Path) -> Batch:
        wanted = {name: view for name, view in self.views().items() if name in (modality, "clip")}
        made = {name: view.load(modality, raw, self._setting(root)) for name, view in wanted.items()}
        read = raw.image if modality == "image" else raw.texts.__getitem__
        extracted: dict[str, list[Features]] = {name: [] for name in made}
        label = f"{type(self).__name__.lower()}: {', '.join(map(str, wanted.values()))}"
        with Task(label, len(raw.ids), f"{modality}s") as task:
            for start in range(0, len(raw.ids), BLOCK):
                items = [read(row) for row in range(start, min(start + BLOCK, len(raw.ids)))]
                for name, extractor in made.items():
                    extracted[name].append(extractor.many([extractor.one(item) for item in items]))
                task.advance(len(items))
        views = {name: np.concatenate(blocks) for name, blocks in extracted.items()}
        return Batch(views.pop(modality), views)

    def _setting(self, root: Path) -> Setting:
        return Setting(root=root, checkpoints=self.checkpoints, precision="fp32")

    def _items(self, root: Path) -> Items:
        folder = self.items_folder(root)
        self._require_prepared(root, folder)
        try:
            items = files.open_items(folder)
        except FileError as error:
            raise self.damaged(root, error) from error
        assert items is not None
        for name, (size, changed) in items.files.items():
            path = self.home(root) / name
            if path.exists() and (path.stat().st_size, path.stat().st_mtime_ns) != (size, changed):
                raise DataError(f"{path}: has changed since it was parsed. Run: {self.command(root)}")
        return items

    def _open(self, root: Path, modality: Modality, view: View, items: Items) -> Features:
        folder = self.view_folder(root, modality, view, items.rows)
        self._require_prepared(root, folder)
        try:
            features = files.open_features(folder)
        except FileError as error:
            raise self.damaged(root, error) from error
        assert features is not None
        if len(features) != len(items.ids):
            raise DataError(
                f"{folder}: has {len(features)} rows; expected {len(items.ids)}, one for every item. Run: "
                f"{self.command(root)}"
            )
        return features

    def _require_prepared(self, root: Path, folder: Path) -> None:
        try:
            manifest = files.read_manifest(folder)
        except FileError as error:
            raise self.damaged(root, error) from error
        if manifest is None:
            raise DataError(f"{folder}: has not been prepared. Run: {self.command(root)}")

    def damaged(self, root: Path, error: FileError) -> DataError:
        """The error to raise for a damaged file of a view."""
        return DataError(f"{error}. It belongs to a prepared view. Run: {self.command(root)}")

    def command(self, root: Path) -> str:
        """The command that prepares all views under these options."""
        views = ",".join(dict.fromkeys(str(view) for view in self.views().values()))
        words = ["bench", "data", "prepare", self.selector(without=VIEWS), "--views", views]
        return shlex.join([*words, "--data-root", str(root)])

    def selector(self, *, without: Sequence[str] = ()) -> str:
        """The text that selects this dataset and its options on the command line."""
        known = parameters(type(self), without=without)
        changed = {n: getattr(self, n) for n, p in known.items() if getattr(self, n) != p.default}
        return selector(self.card.name, changed)
