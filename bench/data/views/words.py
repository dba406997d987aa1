"""Bags of words: the vocabulary that the dataset fixes, else the words of the training texts.

Queries never decide which words count, nor what a word weighs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.contract.dataset import Raw
from bench.contract.items import Features
from bench.data.views.extractor import Extractor
from bench.data.views.names import View
from bench.errors import DataError, ParameterError

LEAST = 5  # training texts that a word must occur in, where neither dataset nor view say
EDGES = ".,;:!?\"'()[]"


def extractor(view: View, raw: Raw) -> Extractor:
    """Fit the vocabulary, and the weights of tf-idf, on the training texts."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    least = _least(view)
    train = [raw.texts[row] for row in raw.train]
    if raw.vocabulary:
        names = tuple(word.lower() for word in raw.vocabulary)
        counter = CountVectorizer(vocabulary=list(raw.vocabulary), analyzer=_Known(names))
        rule = f"{len(names)} words that the dataset fixes"
    else:
        counter = CountVectorizer(min_df=min(least, max(1, len(train))))
        rule = f"words of at least {least} training texts"
    try:
        counts = counter.fit_transform(train)
    except ValueError as error:
        raise DataError(
            f"view {view}: no word is left ({error}). Lower its number: {view.kind}:1."
        ) from error
    weigh = TfidfTransformer().fit(counts) if view.kind == "tfidf" else None
    words = [str(word) for word in counter.get_feature_names_out()]
    about = {"model": f"{view.kind}: {rule}", "words": words}
    return Extractor(str, _Rows(counter, weigh), about)


def _least(view: View) -> int:
    text = view.arguments[0] if view.arguments else str(LEAST)
    if not text.isdecimal() or not int(text):
        raise ParameterError(
            f"view {view}: {text!r}; expected the number of texts that a word must occur in, at least 1."
        )
    return int(text)


class _Known:
    """Cuts at white space; a word counts as it stands, or without the punctuation at its ends."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self.spelled = dict(zip((w.lower() for w in vocabulary), vocabulary, strict=True))

    def __call__(self, text: str) -> Iterator[str]:
        for word in text.lower().split():
            found = self.spelled.get(word) or self.spelled.get(word.strip(EDGES))
            if found is not None:
                yield found


class _Rows:
    def __init__(self, counter: Any, weigh: Any) -> None:
        self.counter, self.weigh = counter, weigh

    def __call__(self, texts: Sequence[str]) -> Features:
        counts = self.counter.transform(texts)
        rows = (counts > 0) if self.weigh is None else self.weigh.transform(counts)
        return np.asarray(rows.toarray(), np.float32)
