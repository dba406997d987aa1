"""IAPR TC-12: photos with descriptions, and the 255 labels of its segmented and annotated extension."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Raw, param
from bench.datasets import _official, _pictures
from bench.datasets._bundle import BundledSource

CARD = Card(
    name="iaprtc12",
    title="IAPR TC-12 with the segmented and annotated extension (SAIAPR TC-12)",
    sources=("https://www.imageclef.org/photodata", "https://www.imageclef.org/SIAPRdata"),
    licence="free of charge and of copyright restrictions, according to ImageCLEF",
    citation=(
        "M. Grubinger, P. Clough, H. Müller and T. Deselaers. The IAPR TC-12 Benchmark: A New Evaluation "
        "Resource for Visual Information Systems. OntoImage, 2006. H. J. Escalante et al. The segmented and "
        "annotated IAPR TC-12 benchmark. Computer Vision and Image Understanding 114, 2010."
    ),
    files=(
        Expected(
            path="iaprtc12.tgz",
            url="http://www-i6.informatik.rwth-aachen.de/imageclef/resources/iaprtc12.tgz",
            unpack=".",
            note="images and annotations_complete_eng",
        ),
        Expected(
            path="wlist.txt",
            note="the extension's words, on ImageCLEF's SAIAPR page; put its folder saiapr_tc-12 beside it",
        ),
    ),
    counts={"": Counts(pairs=20_000, queries=2000, classes=255, words=2912)},
)


class Iaprtc12(BundledSource):
    """Photos with their English descriptions, and the labels of their regions.

    Reads ``images/NN/N.jpg``, ``annotations_complete_eng/NN/N.eng`` and, from the extension, every
    ``labels.txt`` (photo, region, label) and ``wlist.txt`` (label, word) below ``ROOT/iaprtc12``; or a
    bundle (docs/datasets.md). Nobody has published the list of 2912 words that papers use: here they are
    the 2912 words that occur in most training descriptions.
    """

    words: int = param(2912, "size of the vocabulary, the most frequent words", least=1)
    card = CARD
    aliases = ("iapr",)
    mark = "annotations_complete_eng"

    def official(self, root: Path) -> Raw:
        home = self.home(root)
        folder = _official.expect(home, "annotations_complete_eng", "the descriptions of iaprtc12.tgz")
        texts = {int(path.stem): _description(path) for path in folder.rglob("*.eng") if path.stem.isdigit()}
        regions, names = _labels(home)
        described = sorted(number for number, text in texts.items() if text and number in regions)
        photos = folder.parent / "images"  # thumbnails beside it have the same names
        places = {name.rpartition("/")[2]: (photos, name) for name in _pictures.listing(photos)}
        pictures, rows, missing = _pictures.choose(home, places, [f"{number}.jpg" for number in described])
        numbers = [described[i] for i in rows]
        columns = sorted({label for number in numbers for label in regions[number]})
        labels = np.zeros((len(numbers), len(columns)), np.uint8)
        for i, number in enumerate(numbers):
            labels[i, np.searchsorted(columns, sorted(regions[number]))] = 1
        train, query, drawn = _official.split(labels, self.queries, self.seed, self.split)
        vocabulary = _official.most_frequent(
            (_official.words(texts[numbers[row]]) for row in train), most=self.words
        )
        counts = Counts(pairs=len(numbers), queries=len(query), classes=len(columns), words=len(vocabulary))
        lost = len(texts.keys() | regions.keys()) - len(described)
        left_out = f"dropped photos without a description or a labelled region: {lost}" if lost else ""
        return Raw(
            ids=np.array(numbers, dtype=np.intp),
            image=pictures,
            texts=[texts[number] for number in numbers],
            labels=labels,
            classes=tuple(names.get(label, f"label {label}") for label in columns),
            train=train,
            query=query,
            vocabulary=vocabulary,
            notes=tuple(filter(None, (left_out, missing, drawn, *counts.differences(CARD.counts[""])))),
        )


def _description(path: Path) -> str:
    """The text in DESCRIPTION; the files look like XML, but contain bare & and <."""
    match = re.search(r"<DESCRIPTION>(.*?)</DESCRIPTION>", _official.text(path), re.DOTALL | re.IGNORECASE)
    return " ".join(html.unescape(match[1]).split()) if match else ""


def _labels(home: Path) -> tuple[dict[int, set[int]], dict[int, str]]:
    """The labels of every photo with regions, and the words of the labels."""
    words = _official.expect(home, "wlist.txt", "the words of the labels of SAIAPR TC-12")
    names = {}
    for line in _official.lines(words):
        number, _, word = line.partition("\t") if "\t" in line else line.partition(" ")
        if number.isdigit():
            names[int(number)] = word.strip()
    regions: dict[int, set[int]] = {}
    for path in sorted(words.parent.rglob("labels.txt")):
        for at, line in enumerate(_official.lines(path), start=1):
            fields = line.split()
            if len(fields) != 3 or not all(field.isdigit() for field in fields):
                raise DataError(
                    f"{path}: line {at} is {line[:40]!r}; expected the numbers of a photo, a region and "
                    "a label. Copy the file again."
                )
            regions.setdefault(int(fields[0]), set()).add(int(fields[2]))
    if not regions:
        raise DataError(f"{words.parent}: no labels.txt below; expected one per folder. Unpack SAIAPR TC-12.")
    return regions, names
