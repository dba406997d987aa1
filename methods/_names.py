"""Vectors of class names, for methods that place classes by what they are called."""

from __future__ import annotations

import re

from bench.api import Chunk, DataError, Features, encode_texts


def class_vectors(owner: str, names: str, chunk: Chunk) -> Features:
    """The rows (c, t) of a view of texts, such as ``clip:small``, for the names of the classes.

    Raises DataError where the dataset names no classes, or the view cannot tell their names apart.
    """
    if not chunk.classes:
        raise DataError(f"{owner}[names={names}]: the dataset names no classes. Write names=none.")
    vectors = encode_texts(names, [re.sub(r"[_=+-]+", " ", name) for name in chunk.classes])
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        raise DataError(
            f"{owner}[names={names}]: the view gives all {len(vectors)} names of classes the same vector, so "
            "it knows none of their words. Choose another view, or write names=none."
        )
    return vectors
