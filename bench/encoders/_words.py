"""Bags of words: the vocabulary that the dataset fixes, else the words of the training texts.

Queries never decide which words count, nor what a word weighs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.api import DataError, Extractor, Features, Raw

EDGES = ".,;:!?\"'()[]"


def extractor(kind: str, least: int, raw: Raw) -> Extractor:
    """Fit the vocabulary, and the weights of tf-idf, on the training texts.

    ``least`` is the number of those that a word must occur in.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

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
            f"view {kind}: no word is in {least} training texts ({error}). Lower the number: {kind}:1."
        ) from error
    weigh = TfidfTransformer().fit(counts) if kind == "tfidf" else None
    words = [str(word) for word in counter.get_feature_names_out()]
    about = {"model": f"{kind}: {rule}", "words": words}
    return Extractor(str, _Rows(counter, weigh), about)


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
