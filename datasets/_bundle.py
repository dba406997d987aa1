"""Base class of datasets that also come as bundles: features, pixels or paths that published code shares.

The content of a bundle decides its use: an image matrix is features, ready to run; pixels and paths are
raw pictures, and their views are extracted as from the owners' files.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import Counts, DataError, Dataset, Labels, Raw, RawSource, Rows, param, variant_of
from bench.datasets import _labels, _mapping, _official, _pictures, _reading, _splitting
from bench.datasets._assembly import Assembly
from bench.datasets._mapping import Mapped
from bench.datasets._pictures import Pictures
from bench.datasets._splitting import SplitKind
from bench.datasets._words import speaks_of_split

if TYPE_CHECKING:
    from PIL.Image import Image

NAMES = ("common_tags.txt", "TagList1k.txt")  # owners' files that name the text columns of a bundle


class BundledSource(RawSource):
    """A dataset read from the owners' files if :attr:`mark` exists, else from a bundle.

    A bundle lies in ``ROOT/NAME``, or in ``ROOT`` under a name that begins with the dataset's name or one
    of :attr:`aliases`. If it defines no queries, they are drawn as from the owners' files.
    """

    queries: int = param(2000, "number of query items, if the files define none", least=1)
    seed: int = param(0, "random seed of the query items", least=0)
    split: SplitKind = param(
        "auto", "queries: as the files say, or at random; random, first or last ignore what the files say"
    )
    bundle: str = param("", "file or folder below the data root to read as a bundle, if there are several")
    mapping: str = param("", "ROLE:VARIABLE;... for unusual names in a bundle; VARIABLE.T is transposed")
    labels: str = param("auto", _labels.OPTION + " (of a bundle)")
    aliases: ClassVar[tuple[str, ...]] = ()  # other beginnings of the names of bundles: lower case, joined
    mark: ClassVar[str] = ""  # a file or folder (a glob) that every copy of the owners' files has

    @abstractmethod
    def official(self, root: Path) -> Raw:
        """Parse the owners' files; see :meth:`raw`."""

    def raw(self, root: Path) -> Raw:
        bundle = self.chosen_bundle(root)
        if bundle is None:
            return self.official(root)
        if bundle.pixels:
            raw = self._of_pixels(bundle)
        elif bundle.paths:
            home, own = self.home(root), bundle.where
            raw = self._of_paths(bundle, own if own.is_dir() and not _pictures.listing(home) else home)
        else:
            raise DataError(
                f"{bundle.where}: holds features and no pictures, and needs no preparation. Run: bench run "
                f"--datasets {self.home(root).name}"
            )
        counts = Counts(
            pairs=len(raw.ids), queries=len(raw.query), classes=raw.labels.shape[1], words=len(raw.vocabulary)
        )
        notes = (f"read the bundle {bundle.name}", *raw.notes, *self._differences(counts))
        return replace(raw, notes=notes)

    def files(self, root: Path) -> list[Path]:
        bundle = self._features(root)
        return super().files(root) if bundle is None else self._assembly(bundle).files()

    def load(self, root: Path) -> Dataset:
        bundle = self._features(root)
        if bundle is None:
            return super().load(root)
        data = self._assembly(bundle).load()
        assert data.train.labels is not None
        counts = Counts(
            pairs=len(data.train) + len(data.query),
            queries=len(data.query),
            classes=data.train.labels.shape[1],
            words=data.train.text.features.shape[1],
        )
        notes = (f"read the bundle {bundle.name}", *data.notes, *self._differences(counts))
        return replace(data, name=self.home(root).name, notes=notes)

    def chosen_bundle(self, root: Path) -> Bundle | None:
        """The bundle to read; None if the owners' files exist, or no bundle does."""
        home = self.home(root)
        if self.bundle:
            return Bundle.read(next((p for p in (home / self.bundle,) if p.exists()), root / self.bundle))
        if _official.find(home, self.mark) is not None:
            return None
        inside = Bundle.read(home) if home.is_dir() and _reading.data_files(home) else None
        several = _mapping.complete_files(inside.available) if inside is not None else []
        if len(several) < 2 and inside is not None and inside.usable(self.mapping):
            return inside
        candidates = [Bundle.read(path) for path in several or self._named_below(root)]
        bundle = self._one(root, candidates, inside)
        if bundle is None and not (home / "views").is_dir():
            self._refuse_parts(root, [*([inside] if inside else []), *candidates])
            if not home.is_dir():
                _reading.refuse_strangers(self._called(root))
        return bundle

    def _named_below(self, root: Path) -> list[Path]:
        """Files and folders of the data root that bear the dataset's name."""
        named = [p for p in self._called(root) if p != self.home(root)]
        return [p for p in named if (_reading.data_files(p) if p.is_dir() else _reading.is_data(p))]

    def _called(self, root: Path) -> list[Path]:
        """What lies in the data root and begins with a name of the dataset, whatever joins its words."""
        names = (self.card.name, *self.aliases)
        joined = tuple(name for name in names if len(name) > 3)
        word = re.compile("|".join(f"{name}(?![a-z])" for name in names))
        return [
            path
            for path in (sorted(root.iterdir()) if root.is_dir() else [])
            if word.match(path.name.lower()) or re.sub("[-_ ]", "", path.name.lower()).startswith(joined)
        ]

    def _one(self, root: Path, candidates: list[Bundle], inside: Bundle | None) -> Bundle | None:
        """The only usable bundle; or the files of one, put side by side; or a file that has the images."""
        usable = [bundle for bundle in candidates if bundle.usable(self.mapping)]
        if len(usable) > 1:
            names = [bundle.where.name for bundle in usable]
            raise DataError(
                f"{root}: holds {len(usable)} bundles of {self.card.name}: {', '.join(names)}; expected one. "
                f'Choose it: "{self.card.name}[bundle={names[0]}]".'
            )
        if usable:
            return self._with_split(root, usable[0], candidates)
        together = Bundle.of_files(root, [b.where for b in candidates if not b.where.is_dir()])
        if together is not None and together.usable(self.mapping):
            return together
        parts = [*([inside] if inside else []), *candidates]
        return next((bundle for bundle in parts if "image" in bundle.roles or bundle.paths), None)

    @staticmethod
    def _with_split(root: Path, usable: Bundle, candidates: list[Bundle]) -> Bundle:
        """A bundle without queries together with the files beside it that speak of a split."""
        others = [b.where for b in candidates if b is not usable and any(map(speaks_of_split, b.available))]
        if not others or usable.where.is_dir() or any(role.startswith("query_") for role in usable.roles):
            return usable
        return Bundle.of_files(root, [usable.where, *others]) or usable

    def _refuse_parts(self, root: Path, parts: list[Bundle]) -> None:
        """Name files that bear the dataset's name, or lie in its folder, and hold only parts of a bundle."""
        if any(bundle.roles for bundle in parts):
            shown = "; ".join(bundle.described for bundle in parts[:5])
            raise DataError(
                f"{root}: has no images of {self.card.name}: {shown}; expected features or pictures, texts "
                f"and labels. Put the file of the images beside them, or name a variable, "
                f"mapping=image:VARIABLE, or put the owners' files into {self.home(root)}; "
                f"`bench data info {self.card.name}` says where to get them."
            )

    def _assembly(self, bundle: Bundle) -> Assembly:
        return Assembly(
            where=bundle.where,
            available=bundle.available,
            mapping=self.mapping,
            split=self.split,
            queries=self.queries,
            seed=self.seed,
            labels=self.labels,
            unlabelled="drop",
        )

    def _features(self, root: Path) -> Bundle | None:
        bundle = self.chosen_bundle(root)
        return bundle if bundle is not None and not bundle.pixels and not bundle.paths else None

    def _differences(self, counts: Counts) -> tuple[str, ...]:
        assert self.card is not None
        return counts.differences(self.card.counts[variant_of(self)])

    def _of_pixels(self, bundle: Bundle) -> Raw:
        roles = _mapping.resolve(
            str(bundle.where), bundle.available, self.mapping, ignore_split=self.split != "auto"
        )
        image, text = roles["image"], roles["text"].numbers()
        labels, classes, _ = _labels.read([roles["labels"]], self.labels, [len(text)])
        assert isinstance(image.variable, _reading.Variable)
        if image.variable.container.stream is None or image.variable.path.suffix == ".npy":
            raise DataError(
                f"{image.where}: holds pixels, but can only be read in one piece; expected HDF5. Save it "
                "with MATLAB's -v7.3, or as .h5."
            )
        _require_equal(
            image.where, {"pictures": image.shape[0], "texts": len(text), "labels": len(labels[0])}
        )
        words, note = _column_names(bundle.where, text.shape[1])
        kept = np.flatnonzero(labels[0].any(axis=1))
        train, query, drawn = self._split(bundle, roles, kept, labels[0][kept])
        return Raw(
            ids=kept,
            image=Stack(image.variable.path, image.variable.name, kept, image.counts_from == 1),
            texts=[" ".join(words[c] for c in np.flatnonzero(text[row])) for row in kept],
            labels=labels[0][kept],
            classes=classes or tuple(f"label {c + 1}" for c in range(labels[0].shape[1])),
            train=train,
            query=query,
            vocabulary=words,
            notes=(f"pictures: {image}; texts: {roles['text']}; labels: {roles['labels']}", drawn, *note),
        )

    def _split(
        self, bundle: Bundle, roles: Mapping[str, Mapped], kept: Rows, labels: Labels
    ) -> tuple[Rows, Rows, str]:
        """Train and query as rows among those kept, by the bundle's index if it has one, and a note."""
        if self.split != "auto" or not {"query_index", "split"} & roles.keys():
            return _official.split(labels, self.queries, self.seed, self.split)
        rows = roles["image"].shape[0]
        chosen = _splitting.choose(
            roles, bundle.available, rows, split="auto", queries=self.queries, seed=self.seed
        )
        train, query = (np.flatnonzero(np.isin(kept, part)) for part in (chosen.train, chosen.query))
        return train, query, chosen.note

    def _of_paths(self, bundle: Bundle, home: Path) -> Raw:
        """Parse a bundle of CLIP hashing code: index.mat, caption.mat (or .txt) and label.mat."""
        index = _reading.strings(bundle.available["index"])
        caption = bundle.available.get("caption")
        if caption is None:
            raise DataError(
                f"{bundle.where}: has an index and no captions; expected `caption` in caption.mat, or "
                "caption.txt. Put it beside index.mat."
            )
        texts = _reading.strings(caption)
        labelled = bundle.roles.get("labels")
        if labelled is None:
            raise DataError(
                f"{bundle.where}: has an index and no labels; expected `category` in label.mat. Put it "
                "beside index.mat."
            )
        matrices, _, _ = _labels.read([labelled], self.labels, [len(index)])
        labels = matrices[0]
        _require_equal(bundle.where, {"paths": len(index), "captions": len(texts), "labels": len(labels)})
        pictures, present = _resolve(index, home)
        if not present.any():
            raise DataError(
                f"{home}: has none of the {len(index)} pictures that index.mat lists (first: {index[0]}); "
                f"expected a file of that name in a folder there. Put the pictures below {home}."
            )
        kept = np.flatnonzero(present & labels.any(axis=1))
        train, query, drawn = _official.split(labels[kept], self.queries, self.seed, self.split)
        lost = len(index) - len(kept)
        note = f"dropped {lost} of {len(index)} items, which lack a picture or a label" if lost else ""
        return Raw(
            ids=kept,
            image=pictures.take(kept),
            texts=[texts[i] for i in kept],
            labels=labels[kept],
            classes=tuple(f"label {c + 1}" for c in range(labels.shape[1])),
            train=train,
            query=query,
            notes=tuple(filter(None, (note, drawn))),
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file, a folder or several files of arrays, and their variables by name."""

    where: Path
    available: Mapping[str, _reading.AnyVariable]

    @classmethod
    def read(cls, where: Path) -> Bundle:
        """Read the headers of ``where``."""
        return cls(where, _reading.variables(where))

    @classmethod
    def of_files(cls, root: Path, files: list[Path]) -> Bundle | None:
        """Files of one bundle that lie side by side in ``root``."""
        return cls(root, _reading.side_by_side(root, files)) if len(files) > 1 else None

    @property
    def name(self) -> str:
        """The file or folder; or the files that are read together."""
        files = sorted({m.variable.path.name for m in self.roles.values()})
        return self.where.name if self.where.name in files or len(files) < 2 else " + ".join(files)

    @property
    def described(self) -> str:
        """Its name and variables, for a message."""
        return f"{self.where.name} has {_mapping.listed(self.available, most=8)}"

    @property
    def roles(self) -> dict[str, Mapped]:
        return _mapping.find(self.available)

    @property
    def paths(self) -> bool:
        return "index" in self.available and "image" not in self.roles

    @property
    def pixels(self) -> bool:
        return "image" in self.roles and len(self.roles["image"].shape) == 4

    def usable(self, mapping: str) -> bool:
        """Whether it has pictures or image features, texts and labels, by name or by ``mapping``."""
        named = self.roles.keys() | _mapping.parse(mapping).keys()
        return self.paths or named >= set(_mapping.REQUIRED)


@dataclass(frozen=True, slots=True)
class Stack:
    """``stack(row)`` reads one picture of a 4-d array in an HDF5 file, and never the full array.

    MATLAB's height × width × 3 × items lies in the file as items × 3 × width × height.
    """

    path: Path
    name: str
    kept: Rows
    by_columns: bool  # as MATLAB stores it

    def __call__(self, row: int) -> Image:
        from PIL import Image as Pillow

        item = int(self.kept[row])
        where = f"{self.path}, variable {self.name}, item {item}"
        try:
            pixels = np.asarray(_hdf5(self.path, os.getpid())[self.name][item])
        except OSError as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{where}: cannot be read ({reason}); expected a complete HDF5 file. Copy it again."
            ) from error
        if 3 not in pixels.shape or pixels.ndim != 3 or pixels.min() < 0 or pixels.max() > 255:
            raise DataError(
                f"{where}: has shape {pixels.shape} and values from {pixels.min()} to {pixels.max()}; "
                "expected three channels from 0 to 255. Get another copy."
            )
        if pixels.shape[-1] != 3:
            pixels = pixels.transpose((2, 1, 0) if self.by_columns else (1, 2, 0))
        return Pillow.fromarray(np.ascontiguousarray(pixels).astype(np.uint8))

    def take(self, rows: Rows) -> Stack:
        """The pictures of these rows, renumbered from 0."""
        return Stack(self.path, self.name, self.kept[rows], self.by_columns)


@lru_cache(maxsize=4)
def _hdf5(path: Path, process: int) -> Any:
    """One handle per process: HDF5 must not be used through a handle from before a fork."""
    import h5py

    return h5py.File(path, "r")


def _column_names(where: Path, columns: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a bundle's text columns, from an owners' file beside it if there is one, and a note."""
    for name in NAMES:
        path = _official.find(where if where.is_dir() else where.parent, name)
        words = tuple(line.split()[0] for line in _official.lines(path)) if path else ()
        if len(words) == columns:
            return words, (f"text columns have their names from {name}",)
    words = tuple(f"word{c + 1}" for c in range(columns))
    note = (
        f"text columns have no names: texts consist of word1 to word{columns}, which suits a bag of words "
        f"and means nothing to CLIP. Put {' or '.join(NAMES)} of the owners beside the bundle"
    )
    return words, (note,)


def _require_equal(where: object, counts: Mapping[str, int]) -> None:
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} {what}" for what, count in counts.items())
        raise DataError(f"{where}: {shown}; expected equal numbers. Use files of one copy.")


def _resolve(index: list[str], home: Path) -> tuple[Pictures, npt.NDArray[np.bool_]]:
    """Find each path, which another machine wrote, by its longest ending below ``home``; else as written."""
    by_name: dict[str, list[str]] = {}
    for name in sorted(_pictures.listing(home)):
        by_name.setdefault(name.rpartition("/")[2], []).append(name)

    def locate(written: str) -> str:
        wanted = written.replace("\\", "/").split("/")
        here = by_name.get(wanted[-1], [])
        if here:
            return max(here, key=lambda name: _common_ending(name.split("/"), wanted))
        return written if (home / written).is_file() else ""

    names = [locate(written) for written in index]
    return Pictures([home] * len(names), names), np.array([bool(name) for name in names])


def _common_ending(a: list[str], b: list[str]) -> int:
    """How many parts two paths share, counted from their ends."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(a), reversed(b), strict=False))
    return sum(1 for _ in same)
