"""Flickr8k: photos with five captions each; relevance by pair, or also by people's judgement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Raw, RawSource, param
from bench.datasets import _captions, _official

DESCRIBES = 3.0  # mean of three experts' scores of 1 to 4; 3 is "almost describes the image"
CARD = Card(
    name="flickr8k",
    title="Flickr8k",
    sources=("https://hockenmaier.cs.illinois.edu/8k-pictures.html",),
    licence="for research and teaching, on request; the photos belong to their owners on Flickr",
    citation=(
        "M. Hodosh, P. Young and J. Hockenmaier. Framing Image Description as a Ranking Task: Data, Models "
        "and Evaluation Metrics. Journal of Artificial Intelligence Research 47, 2013."
    ),
    files=(
        Expected(
            path="Flickr8k_Dataset.zip",
            note="8091 photos, read from the zip; request it with the owners' form",
        ),
        Expected(
            path="Flickr8k_text.zip", unpack=".", note="captions, splits and judgements, by the same form"
        ),
    ),
    counts={"": Counts(pairs=8000, queries=1000, classes=1000)},
)


class Flickr8k(RawSource):
    """6000 training photos and 1000 test photos; the 1000 of dev are left out.

    Reads ``Flickr8k.token.txt``, ``Flickr_8k.trainImages.txt``, ``Flickr_8k.testImages.txt`` and the photos
    below ``ROOT/flickr8k``. A query is a test photo with its first caption. The database has the training
    photos and, for each query, the photo with its other captions. That entry is relevant to the query
    (``pair``); if experts or the crowd judged that a caption of one test photo describes another, so is the
    other's entry. A judgement holds for all captions of the photo and in both directions.

    Kaggle's copy (``captions.txt`` and ``Images``) has no split: A. Karpathy's ``dataset_flickr8k.json`` or
    the owners' two lists give it, or else ``queries`` photos are drawn at random.
    """

    relevance: Literal["pair", "expert", "crowd"] = param(
        "pair", "relevance by pair alone, or also by ExpertAnnotations.txt or CrowdFlowerAnnotations.txt"
    )
    queries: int = param(1000, "number of test photos, if the files define no split", least=1)
    seed: int = param(0, "random seed of these test photos", least=0)
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        kaggle = _official.find(home, "captions.txt")
        karpathy = _official.find(home, "dataset_flickr8k.json")
        if kaggle is not None and _official.find(home, "Flickr8k.token.txt") is None:
            captions = _captions.of_kaggle(kaggle)
        else:
            captions = _captions.of_tokens(_official.expect(home, "Flickr8k.token.txt", "the captions"))
        listed = any(_official.find(home, f"Flickr_8k.{part}Images.txt") for part in ("train", "test"))
        drawn = ""
        if karpathy is not None and not listed:
            _, parts = _captions.of_karpathy(karpathy)
            train, test = parts["train"], parts["test"]
        elif kaggle is not None and not listed:
            train, test, drawn = _captions.draw(captions, self.queries, self.seed)
        else:
            train, test = (
                _official.lines(_official.expect(home, f"Flickr_8k.{part}Images.txt", "the owners' split"))
                for part in ("train", "test")
            )
        judged = () if self.relevance == "pair" else _judged(home, self.relevance)
        return _captions.raw(home, CARD, captions, train, test, related=judged, drawn=drawn)


def _judged(home: Path, who: str) -> Iterator[tuple[str, str]]:
    """Pairs of photos where people judged that a caption of one describes the other."""
    name = "ExpertAnnotations.txt" if who == "expert" else "CrowdFlowerAnnotations.txt"
    path = _official.expect(home, name, "the judgements of Flickr8k_text.zip")
    for number, line in enumerate(_official.lines(path), start=1):
        photo, caption, *scores = line.split("\t")
        try:
            values = [float(score) for score in scores]
            describes = np.mean(values) >= DESCRIBES if who == "expert" else values[1] > values[2]
        except (ValueError, IndexError):
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; expected a photo, a caption and three numbers, "
                "separated by tabs. Copy the file again."
            ) from None
        if describes:
            yield photo, caption.rpartition("#")[0]
