"""Helpers for the owners' distributions: find folders, read old text files, count words, draw queries.

Trap: these files have many authors: expect CRLF, byte order marks, and Latin-1 in place of UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.api import RANDOM_QUERIES, DataError, Labels, Rows

EDGES = ".,;:!?\"'()[]"  # punctuation to strip from the ends of a word
DEPTH = 3  # how many folders below ROOT/NAME a distribution may lie


def find(home: Path, mark: str) -> Path | None:
    """The file or folder ``mark`` (a glob) nearest to ``home``, at most three folders below; else None."""
    for level in range(DEPTH + 1):
        for path in sorted(home.glob("*/" * level + mark)):
            return path
    return None


def expect(home: Path, mark: str, what: str) -> Path:
    """As :func:`find`, but raises :class:`DataError` if there is none; ``what`` describes the file."""
    path = find(home, mark)
    if path is None:
        raise DataError(
            f"{home}: no {mark}, here or in a folder below; expected {what}. Unpack the distribution there; "
            f"`bench data info {home.name}` says where to get it."
        )
    return path


def text(path: Path) -> str:
    """The content of a file as UTF-8, as UTF-16 if marked, or else as Latin-1; line ends become newlines."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected a text file. Copy it again."
        ) from error
    wide = stored.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    try:
        decoded = stored.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        decoded = stored.decode("latin-1")
    return decoded.replace("\r\n", "\n").replace("\r", "\n")


def lines(path: Path) -> list[str]:
    """The lines of :func:`text` that are not empty, stripped."""
    return [line.strip() for line in text(path).split("\n") if line.strip()]


def whole_numbers(path: Path) -> Rows:
    """Read one whole number per line; a :class:`DataError` names the first other line."""
    stored = lines(path)
    try:
        return np.array(stored, dtype=np.intp)
    except ValueError:
        wrong = next(i for i, line in enumerate(stored) if not re.fullmatch(r"[+-]?\d+", line))
        raise DataError(
            f"{path}: line {wrong + 1} is {stored[wrong][:40]!r}; expected one whole number per line. "
            "Copy the file again."
        ) from None


def words(sentence: str) -> list[str]:
    """Split a sentence as the view ``bow`` does: at white space, without punctuation at the ends of words.

    >>> words("A man's dark-skinned dogs, running.")
    ['a', "man's", 'dark-skinned', 'dogs', 'running']
    """
    return [part.strip(EDGES) for part in sentence.lower().split() if any(map(str.isalnum, part))]


def most_frequent(documents: Iterable[Iterable[str]], *, least: int = 1, most: int = 0) -> tuple[str, ...]:
    """Words of at least ``least`` documents, frequent ones first, then by name; at most ``most``, 0: all."""
    counts = Counter(word for document in documents for word in set(document))
    ordered = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
    return tuple(ordered[:most] if most else ordered)


def by_owners(labels: Labels, asked: npt.NDArray[np.bool_], source: str) -> tuple[Rows, Rows, str]:
    """Make the labelled items that are ``asked`` the queries; returns the rows of both splits, and a note."""
    query = np.flatnonzero(asked & labels.any(axis=1))
    train = np.flatnonzero(~asked)
    if not len(query) or not len(train):
        raise DataError(
            f"{source}: splits {len(asked)} items into {len(train)} and {len(query)}; expected both."
        )
    return train, query, f"queries: the {len(query)} labelled items of {source}"


def split(labels: Labels, queries: int, seed: int, kind: str = "random") -> tuple[Rows, Rows, str]:
    """Choose ``queries`` labelled items; returns the rows of train and query, in rising order, and a note.

    ``first`` and ``last`` take the first and the last of them, any other ``kind`` random ones.
    """
    labelled = np.flatnonzero(labels.any(axis=1))
    if queries >= len(labelled):
        raise DataError(
            f"queries={queries} of {len(labelled)} labelled items; expected fewer, since the rest is the "
            "database. Lower queries, or complete the files."
        )
    note = f"queries: the {kind} {queries} of {len(labelled)} labelled items, by split={kind}"
    if kind == "first":
        query = labelled[:queries]
    elif kind == "last":
        query = labelled[len(labelled) - queries :]
    else:
        query = np.sort(np.random.default_rng(seed).choice(labelled, queries, replace=False))
        note = f"{RANDOM_QUERIES}: {queries} of {len(labelled)} labelled items, seed {seed}"
    return np.setdiff1d(np.arange(len(labels), dtype=np.intp), query), query, note
