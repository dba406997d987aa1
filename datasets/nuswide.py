"""NUS-WIDE: Flickr photos with 1000 tags and, as in papers on hashing, the 21 or 10 main concepts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.api import (
    Batch,
    Card,
    Counts,
    DataError,
    Dataset,
    Expected,
    Features,
    Labels,
    Raw,
    Rows,
    Split,
    finite,
    param,
)
from bench.datasets import _official, _pictures
from bench.datasets._bundle import BundledSource

# fmt: off
TC21 = (
    "animal", "beach", "buildings", "clouds", "flowers", "grass", "lake", "mountain", "ocean", "person",
    "plants", "reflection", "road", "rocks", "sky", "snow", "sunset", "tree", "vehicle", "water", "window",
)
TC10 = (
    "animal", "buildings", "clouds", "grass", "lake", "person", "plants", "sky", "water", "window",
)
# fmt: on
TAGS, SIFT = 1000, 500
OWNERS = (  # files that features=owners reads, besides labels
    "Imagelist.txt",
    "TrainImagelist.txt",
    "TestImagelist.txt",
    "AllTags1k.txt",
    "TagList1k.txt",
    "BoW_Train_int.dat",
    "BoW_Test_int.dat",
)
BLOCK = 1 << 26  # bytes of a matrix of digits that are read at a time
CARD = Card(
    name="nuswide",
    title="NUS-WIDE",
    sources=("https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html",),
    licence="for research; the photos belong to their owners on Flickr, where many no longer exist",
    citation=(
        "T.-S. Chua, J. Tang, R. Hong, H. Li, Z. Luo and Y. Zheng. NUS-WIDE: A Real-World Web Image "
        "Database from National University of Singapore. ACM International Conference on Image and Video "
        "Retrieval, 2009."
    ),
    files=(
        Expected(path="ImageList/Imagelist.txt", note="269,648 names; the owners send links on request"),
        Expected(path="Groundtruth/AllLabels/Labels_sky.txt", note="one such file for each of 81 concepts"),
        Expected(path="NUS_WID_Tags/AllTags1k.txt", note="269,648 rows of 1000 digits"),
        Expected(path="NUS_WID_Tags/TagList1k.txt", note="1000 tags; some copies have it in ConceptsList"),
        Expected(path="Low_Level_Features/BoW_Train_int.dat", optional=True, note="for features=owners"),
        Expected(path="Low_Level_Features/BoW_Test_int.dat", optional=True, note="for features=owners"),
    ),
    variants={
        "tc21": "photos with one of the 21 concepts and one of the 1000 tags",
        "tc21-195834": "photos with one of the 21 concepts, with or without a tag",
        "tc10": "photos with one of the 10 concepts, with or without a tag",
    },
    counts={
        "tc21": Counts(pairs=190_421, queries=2000, classes=21, words=TAGS),
        "tc21-195834": Counts(pairs=195_834, queries=2000, classes=21, words=TAGS),
        "tc10": Counts(pairs=186_577, queries=2000, classes=10, words=TAGS),
    },
)


class Nuswide(BundledSource):
    """Photos, their tags among the 1000 most frequent ones, and concepts.

    Reads ``Imagelist.txt``, ``AllLabels/Labels_*.txt``, ``AllTags1k.txt`` and ``TagList1k.txt`` below
    ``ROOT/nuswide``; or a bundle (docs/datasets.md). ``features=views`` needs the photos, named as in
    the list or just by their number on Flickr; missing ones are left out.
    ``features=owners`` needs none: images are the owners' 500-d SIFT bags of words, texts the 1000 tags.
    """

    variant: Literal["tc21", "tc21-195834", "tc10"] = param(
        "tc21", "selection of pairs; see `bench data info`"
    )
    features: Literal["views", "owners"] = param(
        "views", "features: prepared views, or the owners' SIFT words and tags"
    )
    owners_split: bool = param(False, "queries: the photos of the owners' TestImagelist.txt")
    schedule = "shuffled:10000"
    card = CARD
    aliases = ("nus",)
    mark = "Imagelist.txt"

    def official(self, root: Path) -> Raw:
        chosen = self._chosen(root)
        home = self.home(root)
        places = _pictures.gather(home)
        by_number = {Path(name).stem.rpartition("_")[2]: place for name, place in places.items()}
        numbers = [Path(name).stem.rpartition("_")[2] for name in chosen.names]
        pictures, rows, missing = _pictures.choose(home, by_number, numbers)
        labels = chosen.labels[rows]
        train, query, drawn = self._split_photos(home, [chosen.names[i] for i in rows], labels)
        return Raw(
            ids=chosen.rows[rows],
            image=pictures,
            texts=[" ".join(chosen.words[c] for c in chosen.tags[i]) for i in rows],
            labels=labels,
            classes=chosen.concepts,
            train=train,
            query=query,
            vocabulary=chosen.words,
            notes=tuple(filter(None, (missing, drawn, *self._notes(chosen, len(rows), len(query))))),
        )

    def files(self, root: Path) -> list[Path]:
        home = self.home(root)
        if self.features == "views" or self.chosen_bundle(root) is not None:
            return super().files(root)
        names = [*OWNERS, *(f"Labels_{concept}.txt" for concept in self._concepts())]
        return [_official.expect(home, name, "a file of the owners") for name in names]

    def load(self, root: Path) -> Dataset:
        if self.features == "views" or self.chosen_bundle(root) is not None:
            return super().load(root)
        chosen = self._chosen(root)
        image = _sift(self.home(root), chosen)
        text = np.zeros((len(chosen.rows), TAGS), np.float32)
        for i, tags in enumerate(chosen.tags):
            text[i, tags] = 1
        train, query, drawn = self._split_photos(self.home(root), chosen.names, chosen.labels)

        def split(rows: Rows) -> Split:
            return Split(
                image=Batch(image[rows]),
                text=Batch(text[rows]),
                labels=chosen.labels[rows],
                ids=chosen.rows[rows],
            )

        return Dataset(
            name="nuswide",
            train=split(train),
            query=split(query),
            classes=chosen.concepts,
            notes=(
                "read the owners' SIFT words and tags",
                drawn,
                *self._notes(chosen, len(image), len(query)),
            ),
        )

    def _split_photos(self, home: Path, names: list[str], labels: Labels) -> tuple[Rows, Rows, str]:
        if not self.owners_split:
            return _official.split(labels, self.queries, self.seed, self.split)
        path = _official.expect(home, "TestImagelist.txt", "the owners' list of test photos")
        listed = {line.replace("\\", "/") for line in _official.lines(path)}
        return _official.by_owners(labels, np.array([name in listed for name in names]), path.name)

    def _concepts(self) -> tuple[str, ...]:
        return TC10 if self.variant == "tc10" else TC21

    def _notes(self, chosen: _Items, pairs: int, queries: int) -> tuple[str, ...]:
        counts = Counts(pairs=pairs, queries=queries, classes=len(chosen.concepts), words=len(chosen.words))
        return (f"variant {self.variant}: {CARD.variants[self.variant]}", *self._differences(counts))

    def _chosen(self, root: Path) -> _Items:
        home = self.home(root)
        listed = _official.lines(_official.expect(home, "Imagelist.txt", "the list of all photos"))
        names = [name.replace("\\", "/") for name in listed]
        labels = np.zeros((len(names), len(self._concepts())), np.uint8)
        for column, concept in enumerate(self._concepts()):
            path = _official.expect(home, f"Labels_{concept}.txt", "the labels of all photos, AllLabels")
            labels[:, column] = _digits(path, len(names), 1)[:, 0]
        tags_path = _official.expect(home, "AllTags1k.txt", "the 1000 tags of all photos")
        tags = _tags(tags_path, len(names))
        words = tuple(_official.lines(_official.expect(home, "TagList1k.txt", "the names of the 1000 tags")))
        if len(words) != TAGS:
            raise DataError(f"{home}: TagList1k.txt has {len(words)} tags; expected {TAGS}. Copy it again.")
        keep = labels.any(axis=1)
        if self.variant == "tc21":
            keep &= np.array([len(columns) > 0 for columns in tags])
        rows = np.flatnonzero(keep)
        return _Items(
            rows=rows,
            names=[names[i] for i in rows],
            labels=labels[rows],
            concepts=self._concepts(),
            tags=[tags[i] for i in rows],
            words=words,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """The photos of a variant."""

    rows: Rows  # in the list of all photos
    names: list[str]
    labels: Labels
    concepts: tuple[str, ...]
    tags: list[Rows]  # columns of the 1000 tags
    words: tuple[str, ...]


def _digits(path: Path, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Read a matrix of the digits 0 and 1, whatever separates them."""
    return np.concatenate(list(_blocks(path, rows, columns)))


def _tags(path: Path, rows: int) -> list[Rows]:
    """The columns that are 1 for every photo; reads the matrix of half a gigabyte in blocks."""
    return [np.flatnonzero(row) for block in _blocks(path, rows, TAGS) for row in block]


def _blocks(path: Path, rows: int, columns: int) -> Any:
    seen, rest = 0, np.empty(0, np.uint8)
    with path.open("rb") as stream:
        while stored := stream.read(BLOCK):
            digits = np.frombuffer(stored, np.uint8)
            rest = np.concatenate([rest, digits[(digits == ord("0")) | (digits == ord("1"))] - ord("0")])
            complete = len(rest) // columns
            seen += complete
            yield rest[: complete * columns].reshape(complete, columns)
            rest = rest[complete * columns :]
    if seen != rows or len(rest):
        raise DataError(
            f"{path}: has {seen} rows of {columns} digits and {len(rest)} more; expected {rows} rows, one "
            "for each photo of Imagelist.txt. Copy the file again."
        )


def _sift(home: Path, chosen: _Items) -> Features:
    """The owners' SIFT bags of words, which are stored in the order of their train and test lists."""
    place: dict[str, int] = {}
    parts = []
    for part in ("Train", "Test"):
        names = _official.lines(_official.expect(home, f"{part}Imagelist.txt", "the list of that part"))
        path = _official.expect(home, f"BoW_{part}_int.dat", "SIFT bags of words, of Low_Level_Features")
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy's sign that it stopped early
            try:
                numbers = np.fromfile(path, dtype=np.float32, sep=" ")
            except (DeprecationWarning, ValueError):
                raise DataError(
                    f"{path}: holds more than numbers; expected {SIFT} per row. Copy the file again."
                ) from None
        if len(numbers) != len(names) * SIFT:
            raise DataError(
                f"{path}: holds {len(numbers)} numbers; expected {len(names)} × {SIFT}, a row for each photo "
                f"of {part}Imagelist.txt. Copy the file again."
            )
        start = len(place)
        place.update({name.replace("\\", "/"): start + i for i, name in enumerate(names)})
        parts.append(numbers.reshape(len(names), SIFT))
    missing = [name for name in chosen.names if name not in place]
    if missing:
        raise DataError(
            f"{home}: {missing[0]} is in neither TrainImagelist.txt nor TestImagelist.txt; expected it in "
            "one of them. Copy the lists again."
        )
    features = np.concatenate(parts)[[place[name] for name in chosen.names]]
    finite(f"{home}, SIFT bags of words", features)
    return features
