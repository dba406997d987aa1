"""Base class of datasets that also come as bundles: features, pixels or paths that published code shares.

The content of a bundle decides its use: an image matrix is features, ready to run; pixels and paths are
raw pictures, and their views are extracted as from the owners' files.
"""

from __future__ import annotations

import os
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
from bench.datasets import _labels, _mapping, _mat, _official, _pictures
from bench.datasets._mapping import Mapped
from bench.datasets._pictures import Pictures
from bench.datasets.files import Files

if TYPE_CHECKING:
    from PIL.Image import Image

NAMES = ("common_tags.txt", "TagList1k.txt")  # owners' files that name the text columns of a bundle


class BundledSource(RawSource):
    """A dataset read from the owners' files if :attr:`mark` exists, else from a bundle.

    A bundle lies in ``ROOT/NAME``, or in ``ROOT`` under a name that begins with the dataset's name or one
    of :attr:`aliases`. If it defines no queries, they are drawn as from the owners' files.
    """

    queries: int = param(2000, "number of random query items, if the files define none", least=1)
    seed: int = param(0, "random seed of the query items", least=0)
    labels: str = param("auto", _labels.OPTION + " (of a bundle)")
    aliases: ClassVar[tuple[str, ...]] = ()  # other prefixes of the names of bundles, in lower case
    mark: ClassVar[str] = ""  # a file or folder (a glob) that every copy of the owners' files has

    @abstractmethod
    def official(self, root: Path) -> Raw:
        """Parse the owners' files; see :meth:`raw`."""

    def raw(self, root: Path) -> Raw:
        bundle = self.bundle(root)
        if bundle is None:
            return self.official(root)
        if bundle.pixels:
            raw = _of_pixels(bundle, self.labels, self.queries, self.seed)
        elif bundle.paths:
            raw = _of_paths(bundle, self.home(root), self.labels, self.queries, self.seed)
        else:
            raise DataError(
                f"{bundle.where}: holds features and no pictures, and needs no preparation. Run: bench run "
                f"--datasets {self.home(root).name}"
            )
        counts = Counts(
            pairs=len(raw.ids), queries=len(raw.query), classes=raw.labels.shape[1], words=len(raw.vocabulary)
        )
        notes = (f"read the bundle {bundle.where.name}", *raw.notes, *self._differences(counts))
        return replace(raw, notes=notes)

    def files(self, root: Path) -> list[Path]:
        bundle = self._features(root)
        return super().files(root) if bundle is None else bundle.reader(self).files(root)

    def load(self, root: Path) -> Dataset:
        bundle = self._features(root)
        if bundle is None:
            return super().load(root)
        data = bundle.reader(self).load(root)
        assert data.train.labels is not None
        counts = Counts(
            pairs=len(data.train) + len(data.query),
            queries=len(data.query),
            classes=data.train.labels.shape[1],
            words=data.train.text.features.shape[1],
        )
        notes = (f"read the bundle {bundle.where.name}", *data.notes, *self._differences(counts))
        return replace(data, name=self.home(root).name, notes=notes)

    def bundle(self, root: Path) -> Bundle | None:
        """The bundle to read; None if the owners' files exist, or no bundle does."""
        home = self.home(root)
        if _official.find(home, self.mark) is not None:
            return None
        names = (home.name, *self.aliases)
        below = sorted(root.iterdir()) if root.is_dir() else []
        for path in [home, *(p for p in below if p.name.lower().startswith(names) and p != home)]:
            bundle = Bundle.read(path)
            if bundle is not None:
                return bundle
        return None

    def _features(self, root: Path) -> Bundle | None:
        bundle = self.bundle(root)
        return bundle if bundle is not None and not bundle.pixels and not bundle.paths else None

    def _differences(self, counts: Counts) -> tuple[str, ...]:
        assert self.card is not None
        return counts.differences(self.card.counts[variant_of(self)])


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file or folder of arrays, images among them, and its variables by name."""

    where: Path
    available: Mapping[str, _mat.AnyVariable]

    @classmethod
    def read(cls, where: Path) -> Bundle | None:
        """Read the headers of ``where``; None if it holds no arrays, or none for images."""
        if not where.is_dir() and where.suffix.lower() not in _mat.SUFFIXES:
            return None
        if where.is_dir() and not _mat.data_files(where):
            return None
        bundle = cls(where, _mat.variables(where))
        return bundle if bundle.paths or "image" in bundle.roles else None

    @property
    def roles(self) -> dict[str, Mapped]:
        return _mapping.find(self.available)

    @property
    def paths(self) -> bool:
        return "index" in self.available and "image" not in self.roles

    @property
    def pixels(self) -> bool:
        return "image" in self.roles and len(self.roles["image"].shape) == 4

    def reader(self, source: BundledSource) -> Files:
        """The dataset `files`, set to read these arrays."""
        path = str(self.where.absolute())
        options = {name: getattr(source, name) for name in ("queries", "seed", "labels")}
        return Files(path=path, unlabelled="drop", **options)


@dataclass(frozen=True, slots=True)
class Stack:
    """``stack(row)`` reads one picture of a 4-d array in an HDF5 file, and never the full array.

    MATLAB's height × width × 3 × items lies in the file as items × 3 × width × height.
    """

    path: Path
    name: str
    kept: Rows

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
            pixels = pixels.transpose((2, 1, 0) if self.path.suffix.lower() == ".mat" else (1, 2, 0))
        return Pillow.fromarray(np.ascontiguousarray(pixels).astype(np.uint8))


@lru_cache(maxsize=4)
def _hdf5(path: Path, process: int) -> Any:
    """One handle per process: HDF5 must not be used through a handle from before a fork."""
    import h5py

    return h5py.File(path, "r")


def _of_pixels(bundle: Bundle, how: str, queries: int, seed: int) -> Raw:
    roles = _mapping.resolve(str(bundle.where), bundle.available, "")
    image, text = roles["image"], roles["text"].numbers()
    labels, classes, _ = _labels.read([roles["labels"]], how, [len(text)])
    path = image.variable.path
    if not _mat.is_hdf5(path):
        raise DataError(
            f"{image.where}: holds pixels, but can only be read in one piece; expected HDF5. Save it with "
            "MATLAB's -v7.3, or as .h5."
        )
    _require_equal(image.where, {"pictures": image.shape[0], "texts": len(text), "labels": len(labels[0])})
    words, note = _column_names(bundle.where, text.shape[1])
    kept = np.flatnonzero(labels[0].any(axis=1))
    train, query = _split(roles, kept, labels[0][kept], queries, seed)
    return Raw(
        ids=kept,
        image=Stack(path, image.variable.name, kept),
        texts=[" ".join(words[c] for c in np.flatnonzero(text[row])) for row in kept],
        labels=labels[0][kept],
        classes=classes or tuple(f"label {c + 1}" for c in range(labels[0].shape[1])),
        train=train,
        query=query,
        vocabulary=words,
        notes=(f"pictures: {image}; texts: {roles['text']}; labels: {roles['labels']}", *note),
    )


def _split(
    roles: Mapping[str, Mapped], kept: Rows, labels: Labels, queries: int, seed: int
) -> tuple[Rows, Rows]:
    """Train and query as rows among those kept, by the bundle's index if it has one."""
    if "query_index" not in roles:
        return _official.split_at_random(labels, queries, seed)
    asked = _mapping.as_index(roles["query_index"], roles["image"].shape[0])
    query = np.flatnonzero(np.isin(kept, asked))
    return np.setdiff1d(np.arange(len(kept), dtype=np.intp), query), query


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


def _of_paths(bundle: Bundle, home: Path, how: str, queries: int, seed: int) -> Raw:
    """Parse a bundle of CLIP hashing code: index.mat, caption.mat (or .txt) and label.mat."""
    index = _mat.strings(bundle.available["index"])
    caption = bundle.available.get("caption")
    texts = _caption_lines(bundle.where) if caption is None else _mat.strings(caption)
    role = next((n for n in ("category", "label", "labels") if n in bundle.available), None)
    if role is None:
        raise DataError(
            f"{bundle.where}: has an index and no labels; expected `category` in label.mat. Put it beside "
            "index.mat."
        )
    labels = _labels.read([Mapped(bundle.available[role])], how, [len(index)])[0][0]
    _require_equal(bundle.where, {"paths": len(index), "captions": len(texts), "labels": len(labels)})
    pictures, present = _resolve(index, home)
    kept = np.flatnonzero(present & labels.any(axis=1))
    train, query = _official.split_at_random(labels[kept], queries, seed)
    note = f"dropped {len(index) - len(kept)} of {len(index)} items, which lack a picture or a label"
    return Raw(
        ids=kept,
        image=pictures.take(kept),
        texts=[texts[i] for i in kept],
        labels=labels[kept],
        classes=tuple(f"label {c + 1}" for c in range(labels.shape[1])),
        train=train,
        query=query,
        notes=(note,) if len(kept) < len(index) else (),
    )


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


def _caption_lines(where: Path) -> list[str]:
    path = _official.expect(where, "caption.txt", "caption.mat or caption.txt beside index.mat")
    return _official.text(path).removesuffix("\n").split("\n")
