"""Photos with several captions and no labels: every photo is relevant to its own captions only.

Relevance is a common label, so each query photo has a label of its own, which its entry in the database has
too. Trap: that entry, the photo with its other captions, is in the stream, so methods train on query photos,
and what they find from a photo is partly what they remember of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.api import Card, Counts, DataError, Labels, Raw
from bench.datasets import _official, _pictures

Captions = Mapping[str, Sequence[str]]  # photo → its captions, in the order of their numbers


def of_tokens(path: Path) -> Captions:
    """Captions of a file of lines ``photo.jpg#0`` TAB ``caption``; empty ones are skipped."""
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
    return {photo: [found[k] for k in sorted(found)] for photo, found in numbered.items()}


def of_karpathy(path: Path) -> tuple[Captions, dict[str, list[str]]]:
    """Captions and the photos of ``train``, ``val`` and ``test`` of a dataset_NAME.json."""
    captions: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    try:
        for image in json.loads(_official.text(path))["images"]:
            found = [" ".join(sentence["raw"].split()) for sentence in image["sentences"]]
            captions[image["filename"]] = [caption for caption in found if caption]
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
) -> Raw:
    """Queries are test photos with their first caption; the database, all photos with their other ones.

    ``related`` are further pairs of photos whose captions go with each other's pictures.
    """
    usable = {photo for photo, found in captions.items() if len(found) > 1}
    asked = [photo for photo in test if photo in usable]
    stream = [photo for photo in train if captions.get(photo)]
    found = _pictures.gather(home)
    names = [*stream, *asked, *asked]
    pictures, rows, missing = _pictures.choose(home, found, names)
    database = len(stream) + len(asked)
    texts = [
        *(" ".join(captions[photo]) for photo in stream),
        *(" ".join(captions[photo][1:]) for photo in asked),
        *(captions[photo][0] for photo in asked),
    ]
    labels = _relevance(stream, asked, related)
    queries = np.flatnonzero(rows >= database)
    if not len(queries):
        raise DataError(f"{home}: none of the test photos is there; expected some. Unpack the photos there.")
    shown = np.flatnonzero(labels[rows[queries]].any(axis=0))  # a missing photo has no column
    counts = Counts(pairs=len(rows), queries=len(queries), classes=len(shown))
    notes = (
        "relevance by pair: each test photo is a label, which only its own entry in the database has",
        "test photos are in the stream too, with their other captions: image to text is partly remembered",
        f"{len(texts) - len(rows)} entries of {missing}" if missing else "",
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
    """A column for each query photo, which its query has, its entry and those of related photos."""
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
