"""Vectors of class names, for methods that place classes by what they are called."""

from __future__ import annotations

import re

from bench.api import Chunk, DataError, Features, encode_texts


def class_vectors(owner: str, names: str, chunk: Chunk) -> Features:
    """The rows (c, t) of a view of texts, such as ``clip:small``, for the names of the classes.

    Raises DataError where the dataset names no classes.
    """
    if not chunk.classes:
        raise DataError(f"{owner}[names={names}]: the dataset names no classes. Write names=none.")
    return encode_texts(names, [re.sub(r"[_=+-]+", " ", name) for name in chunk.classes])
