"""Bag of words weighted by tf-idf, rows of norm 1; tfidf:5 drops words of fewer than 5 training texts."""

from __future__ import annotations

from bench.api import Encoder, Extractor, Modality, Raw, Setting, param
from bench.encoders import _words


class Tfidf(Encoder):
    """Counts of the words of a text, weighted by their rarity among the training texts.

    The vocabulary is the one that the dataset fixes, else the words of the training texts.
    """

    modalities = ("text",)
    reads_train = True
    least: int = param(5, "training texts that a word must occur in", least=1)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        return _words.extractor("tfidf", self.least, raw)
