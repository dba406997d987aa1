"""Photos with several captions and no labels: a photo is relevant only to its own captions.

Items are relevant if they share a label, so each query photo becomes a label, which its entry in the
database shares. Trap: that entry, the photo with its other captions, is in the stream, so methods train on
query photos, and image to text partly measures memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.api import RANDOM_QUERIES, Card, Counts, DataError, Labels, Raw
from bench.datasets import _official, _pictures

Captions = Mapping[str, Sequence[str]]  # photo → its captions, in the order of their numbers


def of_tokens(path: Path) -> Captions:
    """Read captions from lines ``photo.jpg#0`` TAB ``caption``; empty captions are skipped."""
    numbered: dict[str, dict[int, str]] = {}
    for number, line in enumerate(_official.lines(path), start=1):
        name, tab, caption = line.partition("\t")
        photo, _, which = name.rpartition("#")
        if not which.isdigit():
            raise DataError(
                f"{path}: line {number} is {line[:40]!r}; expected photo.jpg#0, a tab and a caption. "
                "Copy the file again."
            )
        if tab and caption.strip():
            numbered.setdefault(photo, {})[int(which)] = caption.strip()
    return {photo: [by_number[k] for k in sorted(by_number)] for photo, by_number in numbered.items()}


def of_kaggle(path: Path) -> Captions:
    """Read captions from Kaggle's table: ``image,caption``, or ``image_name| comment_number| comment``.

    Captions keep the order of the lines. Trap: one line of results.csv lacks its second separator.
    """
    head, *rows = _official.lines(path) or [""]
    separator = "|" if "|" in head else ","
    names = [name.strip().lower() for name in head.split(separator)]
    if len(names) not in (2, 3) or not names[0].startswith("image"):
        raise DataError(
            f"{path}: begins {head[:60]!r}; expected the header image,caption or image_name|comment_number|"
            "comment of Kaggle's copy. Copy the file again."
        )
    captions: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=2):
        photo, cut, rest = row.partition(separator)
        if not cut:
            raise DataError(
                f"{path}: line {number} is {row[:40]!r}; expected {' and '.join(names)}, separated by "
                f"{separator!r}. Copy the file again."
            )
        if len(names) == 3:
            rest = re.sub(r"^\s*\d+\s*[|,]?", "", rest)  # the number of the caption
        caption = rest.strip()
        if len(caption) > 1 and caption[0] == caption[-1] == '"':
            caption = caption[1:-1].replace('""', '"')
        if caption:
            captions.setdefault(photo.strip(), []).append(caption)
    return captions


def draw(captions: Captions, queries: int, seed: int) -> tuple[list[str], list[str], str]:
    """Photos of train and test for a copy without a split, in the order of their names, and a note."""
    photos = sorted(captions)
    if queries >= len(photos):
        raise DataError(f"queries={queries} of {len(photos)} photos; expected fewer. Lower queries.")
    test = set(np.random.default_rng(seed).choice(photos, queries, replace=False).tolist())
    note = f"{RANDOM_QUERIES}: {queries} of {len(photos)} photos, seed {seed}; the files define no split"
    return [p for p in photos if p not in test], [p for p in photos if p in test], note


def of_karpathy(path: Path) -> tuple[Captions, dict[str, list[str]]]:
    """Read captions, and the photos of ``train``, ``val`` and ``test``, from a dataset_NAME.json."""
    captions: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    try:
        for image in json.loads(_official.text(path))["images"]:
            sentences = [" ".join(sentence["raw"].split()) for sentence in image["sentences"]]
            captions[image["filename"]] = [sentence for sentence in sentences if sentence]
            parts[image["split"]].append(image["filename"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: is not A. Karpathy's list of captions and splits ({error!r}); expected images with "
            "filename, sentences and split. Copy the file again."
        ) from error
    return captions, parts


def raw(
    home: Path,
    card: Card,
    captions: Captions,
    train: Iterable[str],
    test: Iterable[str],
    related: Iterable[tuple[str, str]] = (),
    drawn: str = "",
) -> Raw:
    """Pair test photos with their first caption as queries, and all photos with the others as database.

    ``related`` are further pairs of photos whose captions fit each other's pictures; ``drawn`` is a note.
    """
    usable = {photo for photo, sentences in captions.items() if len(sentences) > 1}
    asked = [photo for photo in test if photo in usable]
    stream = [photo for photo in train if captions.get(photo)]
    names = [*stream, *asked, *asked]
    pictures, rows, missing = _pictures.choose(home, _pictures.gather(home), names)
    database = len(stream) + len(asked)
    texts = [
        *(" ".join(captions[photo]) for photo in stream),
        *(" ".join(captions[photo][1:]) for photo in asked),
        *(captions[photo][0] for photo in asked),
    ]
    labels = _relevance(stream, asked, related)
    queries = np.flatnonzero(rows >= database)
    if not len(queries):
        raise DataError(
            f"{home}: has none of the test photos; expected at least one. Unpack the photos there."
        )
    shown = np.flatnonzero(labels[rows[queries]].any(axis=0))  # a missing photo has no column
    counts = Counts(pairs=len(rows), queries=len(queries), classes=len(shown))
    notes = (
        "relevance by pair: each test photo is a label, which its entry in the database shares",
        "test photos are in the stream too, with their other captions: I→T partly measures memory",
        drawn,
        missing,
        *counts.differences(card.counts[""]),
    )
    return Raw(
        ids=rows,
        image=pictures,
        texts=[texts[i] for i in rows],
        labels=labels[np.ix_(rows, shown)],
        classes=tuple(asked[c] for c in shown),
        train=np.flatnonzero(rows < database),
        query=queries,
        notes=tuple(filter(None, notes)),
    )


def _relevance(stream: list[str], asked: list[str], related: Iterable[tuple[str, str]]) -> Labels:
    """One column per query photo, set for its query, its entry, and the entries of related photos."""
    database = len(stream) + len(asked)
    labels = np.zeros((database + len(asked), len(asked)), np.uint8)
    column = {photo: c for c, photo in enumerate(asked)}
    row = {photo: i for i, photo in enumerate([*stream, *asked])}
    for c in range(len(asked)):
        labels[[len(stream) + c, database + c], c] = 1
    for one, other in related:
        for here, there in ((one, other), (other, one)):
            if here in row and there in column:
                labels[row[here], column[there]] = 1
    return labels
