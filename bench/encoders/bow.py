"""Binary bag of words; bow:5 drops words of fewer than 5 training texts."""

from __future__ import annotations

from bench.api import Encoder, Extractor, Modality, Raw, Setting, param
from bench.encoders import _words


class BagOfWords(Encoder):
    """Which words of the vocabulary a text has: 0 or 1 for each.

    The vocabulary is the one that the dataset fixes, else the words of the training texts.
    """

    modalities = ("text",)
    reads_train = True
    least: int = param(5, "training texts that a word must occur in", least=1)

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        return _words.extractor("bow", self.least, raw)
