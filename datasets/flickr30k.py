"""Flickr30k: photos with five captions each, in A. Karpathy's split; relevance by pair."""

from __future__ import annotations

from pathlib import Path

from bench.api import Card, Counts, Expected, Raw, RawSource, param
from bench.datasets import _captions, _official

CARD = Card(
    name="flickr30k",
    title="Flickr30k",
    sources=("https://shannon.cs.illinois.edu/DenotationGraph/",),
    licence="for research and teaching, on request; the photos belong to their owners on Flickr",
    citation=(
        "P. Young, A. Lai, M. Hodosh and J. Hockenmaier. From image descriptions to visual denotations: New "
        "similarity metrics for semantic inference over event descriptions. Transactions of the ACL 2, 2014."
    ),
    files=(
        Expected(
            path="flickr30k-images.tar.gz",
            unpack=".",
            note="31,783 photos; request them with the owners' form",
        ),
        Expected(
            path="dataset_flickr30k.json", note="captions and split by A. Karpathy and L. Fei-Fei, 2015"
        ),
        Expected(path="results_20130124.token", optional=True, note="the owners' captions, used if present"),
    ),
    counts={"": Counts(pairs=31_000, queries=1000, classes=1000)},
)


class Flickr30k(RawSource):
    """29,000 training photos and 1000 test photos; the 1014 of val are left out.

    Reads ``dataset_flickr30k.json`` (captions and split) and the photos below ``ROOT/flickr30k``; captions
    in ``results_20130124.token`` take precedence, if it exists. A query is a test photo with its first
    caption; its one relevant item is the photo's entry in the database, which has the other captions.
    Kaggle's copy (``results.csv`` and ``flickr30k_images``) has no split: ``dataset_flickr30k.json`` gives
    it, or else ``queries`` photos are drawn at random.
    """

    queries: int = param(1000, "number of test photos, if the files define no split", least=1)
    seed: int = param(0, "random seed of these test photos", least=0)
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        kaggle = _official.find(home, "results.csv")
        if kaggle is not None and _official.find(home, "dataset_flickr30k.json") is None:
            captions = _captions.of_kaggle(kaggle)
            train, test, drawn = _captions.draw(captions, self.queries, self.seed)
            return _captions.raw(home, CARD, captions, train, test, drawn=drawn)
        what = "captions and split of A. Karpathy's caption_datasets.zip"
        captions, parts = _captions.of_karpathy(_official.expect(home, "dataset_flickr30k.json", what))
        tokens = _official.find(home, "results_20130124.token")
        if tokens is not None:
            captions = {**captions, **_captions.of_tokens(tokens)}
        return _captions.raw(home, CARD, captions, parts["train"], parts["test"])
