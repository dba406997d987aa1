"""MIRFLICKR-25000: Flickr photos, their tags and 24 topics; the usual 20,015 pairs, 16,738 or all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Labels, Raw, Rows, param
from bench.datasets import _official
from bench.datasets._bundle import BundledSource
from bench.datasets._pictures import Pictures

# fmt: off
TOPICS = (
    "animals", "baby", "bird", "car", "clouds", "dog", "female", "flower", "food", "indoor", "lake", "male",
    "night", "people", "plant_life", "portrait", "river", "sea", "sky", "structures", "sunset", "transport",
    "tree", "water",
)
RELEVANT = (
    "baby_r1", "bird_r1", "car_r1", "clouds_r1", "dog_r1", "female_r1", "flower_r1", "male_r1", "night_r1",
    "people_r1", "portrait_r1", "river_r1", "sea_r1", "tree_r1",
)
# fmt: on
COMMON = 20  # photos that a common tag has at least; 1386 tags are common
CARD = Card(
    name="mirflickr25k",
    title="MIRFLICKR-25000",
    sources=("https://press.liacs.nl/mirflickr/mirdownload.html",),
    licence="each photo under its own Creative Commons licence (meta/license); annotations for research",
    citation=(
        "M. J. Huiskes and M. S. Lew. The MIR Flickr Retrieval Evaluation. ACM International Conference on "
        "Multimedia Information Retrieval, 2008."
    ),
    files=(
        Expected(
            path="mirflickr25k.zip",
            url="https://press.liacs.nl/mirflickr/mirflickr25k.v3b/mirflickr25k.zip",
            unpack=".",
            md5="a23d0a8564ee84cda5622a6c2f947785",
            note="photos, tags, licences: the folder mirflickr",
        ),
        Expected(
            path="mirflickr25k_annotations_v080.zip",
            url="https://press.liacs.nl/mirflickr/mirflickr25k.v3b/mirflickr25k_annotations_v080.zip",
            unpack="mirflickr25k_annotations_v080",
            note="24 files of potential and 14 of relevant (_r1) photos",
        ),
    ),
    variants={
        "20015": "photos with a common tag (one of at least 20 photos) and a topic",
        "16738": "of these, photos with at least two common tags, as in CMFH, SePH and their successors",
        "25000": "all photos; those without a topic are never queries",
    },
    counts={
        "20015": Counts(pairs=20015, queries=2000, classes=24, words=1386),
        "16738": Counts(pairs=16738, queries=2000, classes=24, words=1386),
        "25000": Counts(pairs=25000, queries=2000, classes=24, words=1386),
    },
)


class Mirflickr25k(BundledSource):
    """Photos, Flickr tags as texts, and the topics that annotators saw in the photos.

    Reads ``mirflickr/`` (``imN.jpg``, ``meta/tags/tagsN.txt``, ``doc/common_tags.txt``) and the annotation
    files of v080 below ``ROOT/mirflickr25k``; or a bundle (docs/datasets.md). Common tags and potential
    topics select the pairs of a variant, whichever ``topics`` become the labels.
    """

    variant: Literal["20015", "16738", "25000"] = param("20015", "selection of pairs; see `bench data info`")
    topics: Literal["potential", "relevant", "both"] = param(
        "potential", "labels: the 24 topics seen at all, the 14 judged relevant (_r1), or both"
    )
    card = CARD
    aliases = ("mirflickr", "flickr25k", "mir")
    mark = "meta/tags"

    def official(self, root: Path) -> Raw:
        home = self.home(root)
        folder = _official.expect(home, "meta/tags", "the folder of tags of mirflickr25k.zip").parent.parent
        numbers, missing = _photos(folder)
        tags, note = _tags(folder / "meta" / "tags", numbers)
        words, rule = _common_tags(folder, tags)
        annotations = _official.expect(home, "sky.txt", "the annotations v080, sky.txt among them").parent
        topics = _topics(annotations, TOPICS, numbers)
        chosen = {"potential": TOPICS, "relevant": RELEVANT, "both": TOPICS + RELEVANT}[self.topics]
        labels = topics if self.topics == "potential" else _topics(annotations, chosen, numbers)

        known = set(words)
        common = np.array([sum(tag in known for tag in set(own)) for own in tags])
        keep = np.ones(len(numbers), bool)
        if self.variant != "25000":
            keep = (common >= (1 if self.variant == "20015" else 2)) & topics.any(axis=1)
            if self.topics == "relevant":
                keep &= labels.any(axis=1)
        rows = np.flatnonzero(keep)
        train, query, drawn = _official.split(labels[rows], self.queries, self.seed, self.split)
        expected = CARD.counts[self.variant]
        counts = Counts(pairs=len(rows), queries=len(query), classes=len(TOPICS), words=len(words))
        return Raw(
            ids=numbers[rows],
            image=Pictures([folder] * len(rows), [f"im{n}.jpg" for n in numbers[rows]]),
            texts=[" ".join(tags[i]) for i in rows],
            labels=labels[rows],
            classes=chosen,
            train=train,
            query=query,
            vocabulary=words,
            notes=(
                f"variant {self.variant}: {CARD.variants[self.variant]}",
                rule,
                drawn,
                *missing,
                *note,
                *counts.differences(expected),
            ),
        )


def _photos(folder: Path) -> tuple[Rows, tuple[str, ...]]:
    """The numbers of the photos on disk, in rising order, and a note on gaps."""
    stems = {path.stem[2:] for path in folder.glob("im*.jpg")}
    numbers = np.array(sorted(int(n) for n in stems if n.isdigit()), dtype=np.intp)
    if not len(numbers):
        raise DataError(
            f"{folder}: no photos; expected im1.jpg to im25000.jpg. Unpack mirflickr25k.zip there."
        )
    gaps = int(numbers[-1]) - len(numbers)
    return numbers, (f"missing photos before im{numbers[-1]}.jpg: {gaps}",) if gaps else ()


def _tags(folder: Path, numbers: Rows) -> tuple[list[list[str]], tuple[str, ...]]:
    """The tags of every photo, one per line of its file, and a note on photos without a file."""
    present = {path.name for path in folder.iterdir()}
    files = [f"tags{n}.txt" for n in numbers]
    stored = [_official.lines(folder / name) if name in present else [] for name in files]
    tags = [[tag.replace(" ", "") for tag in lines] for lines in stored]  # texts separate tags by spaces
    missing = sum(name not in present for name in files)
    return tags, (f"photos without a tag file, read as untagged: {missing}",) if missing else ()


def _common_tags(folder: Path, tags: list[list[str]]) -> tuple[tuple[str, ...], str]:
    """The vocabulary, from the owners' list or else counted in the photos on disk, and a note."""
    path = folder / "doc" / "common_tags.txt"
    if path.is_file():
        listed = (line.split() for line in _official.lines(path))
        words = tuple(w[0] for w in listed if len(w) == 2 and w[1].isdigit() and int(w[1]) >= COMMON)
        return words, f"vocabulary: the {len(words)} tags of doc/common_tags.txt"
    words = _official.most_frequent(tags, least=COMMON)
    return words, f"vocabulary: the {len(words)} tags of at least {COMMON} photos, counted in this copy"


def _topics(folder: Path, names: tuple[str, ...], numbers: Rows) -> Labels:
    """One column per annotation file, which lists the numbers of its photos."""
    labels = np.zeros((len(numbers), len(names)), np.uint8)
    for column, name in enumerate(names):
        path = folder / f"{name}.txt"
        if not path.is_file():
            raise DataError(
                f"{path}: no such file; expected one for each of the {len(names)} topics. Unpack "
                "mirflickr25k_annotations_v080.zip there."
            )
        labels[:, column] = np.isin(numbers, _official.whole_numbers(path))
    return labels
