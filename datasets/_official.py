"""What the loaders of official distributions share: finding folders, reading old text files, counting.

Trap: these files come from many hands: CRLF, a byte order mark, and Latin-1 where UTF-8 is expected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bench.api import DataError, Labels, Rows

EDGES = ".,;:!?\"'()[]"  # punctuation at the ends of a word, which does not belong to it
DEPTH = 3  # a distribution may have been unpacked so many folders below ROOT/NAME


def find(home: Path, mark: str) -> Path | None:
    """The file or folder ``mark`` (a glob) in ``home`` or up to three folders below, the nearest first."""
    for level in range(DEPTH + 1):
        for path in sorted(home.glob("*/" * level + mark)):
            return path
    return None


def expect(home: Path, mark: str, what: str) -> Path:
    """As :func:`find`; where there is none, a :class:`DataError` that says ``what`` it is."""
    path = find(home, mark)
    if path is None:
        raise DataError(
            f"{home}: no {mark}, here or in a folder below; expected {what}. Unpack the distribution there; "
            f"`bench data info {home.name}` says where it comes from."
        )
    return path


def text(path: Path) -> str:
    """The whole file as UTF-8 or, where it is not that, as Latin-1; line ends become newlines."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected a text file. Copy it again."
        ) from error
    try:
        decoded = stored.decode("utf-8-sig")
    except UnicodeDecodeError:
        decoded = stored.decode("latin-1")
    return decoded.replace("\r\n", "\n").replace("\r", "\n")


def lines(path: Path) -> list[str]:
    """The lines of :func:`text` that are not empty, without the blanks around them."""
    return [line.strip() for line in text(path).split("\n") if line.strip()]


def whole_numbers(path: Path) -> Rows:
    """One whole number per line; a :class:`DataError` names the line that is none."""
    found = lines(path)
    try:
        return np.array(found, dtype=np.intp)
    except ValueError:
        wrong = next(i for i, line in enumerate(found) if not re.fullmatch(r"[+-]?\d+", line))
        raise DataError(
            f"{path}: line {wrong + 1} is {found[wrong][:40]!r}; expected one whole number per line. "
            "Copy the file again."
        ) from None


def words(sentence: str) -> list[str]:
    """The words of a sentence, as the view ``bow`` cuts it: at white space, without punctuation at the ends.

    >>> words("A man's dark-skinned dogs, running.")
    ['a', "man's", 'dark-skinned', 'dogs', 'running']
    """
    return [part.strip(EDGES) for part in sentence.lower().split() if any(map(str.isalnum, part))]


def most_frequent(documents: Iterable[Iterable[str]], *, least: int = 1, most: int = 0) -> tuple[str, ...]:
    """Words of at least ``least`` documents, frequent ones first, then by name; only the first ``most``."""
    counts = Counter(word for document in documents for word in set(document))
    ordered = sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))
    return tuple(ordered[:most] if most else ordered)


def split_at_random(labels: Labels, queries: int, seed: int) -> tuple[Rows, Rows]:
    """Rows of train and of ``queries`` random labelled items, both in rising order."""
    labelled = np.flatnonzero(labels.any(axis=1))
    if queries >= len(labelled):
        raise DataError(
            f"queries={queries} of {len(labelled)} labelled items; expected fewer, since the rest is the "
            "database. Lower queries, or complete the files."
        )
    query = np.sort(np.random.default_rng(seed).choice(labelled, queries, replace=False))
    return np.setdiff1d(np.arange(len(labels), dtype=np.intp), query), query
