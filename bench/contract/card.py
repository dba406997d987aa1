"""The card of a dataset: its source, terms and expected files, known before any file is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One file that the owners distribute, at ``path`` below ``ROOT/NAME``.

    A size or checksum that nobody has published stays empty: a wrong one is worse than none.
    """

    path: str
    url: str = ""  # the official address; "" if the file must be requested, for instance by a form
    bytes: int | None = None
    sha256: str = ""
    md5: str = ""  # if the owners publish this instead
    unpack: str = ""  # the folder below ROOT/NAME that an archive is unpacked into ("." is NAME itself)
    unpacked_bytes: int | None = None  # at most; else 100 times the archive, or 1 GB if that is more
    unpacked_files: int = 1_000_000  # at most, with folders
    optional: bool = False  # the dataset can be used without it
    variant: str = ""  # the variant that needs it; "" if all do
    note: str = ""  # its content, or how to request it

    @property
    def checksum(self) -> tuple[str, str]:
        """Name and value of the published checksum, in lower case; both empty if there is none."""
        return (
            ("sha256", self.sha256.lower()) if self.sha256 else ("md5" if self.md5 else "", self.md5.lower())
        )

    def needed(self, variant: str) -> bool:
        """Whether ``variant`` of the dataset ("" if it has none) requires this file."""
        return not self.optional and self.variant in ("", variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The published counts of a variant, or those of a copy; 0 is unknown."""

    pairs: int = 0  # train and query together
    queries: int = 0
    classes: int = 0
    words: int = 0  # of the bag of words

    def differences(self, expected: Counts) -> tuple[str, ...]:
        """One line for each count that differs from the published one.

        >>> Counts(pairs=20000, words=1386).differences(Counts(pairs=20015, words=1386))
        ('pairs: found 20000, expected 20015',)
        """
        both = {name: (getattr(self, name), getattr(expected, name)) for name in self.__slots__}
        return tuple(
            f"{name}: found {a}, expected {b}" for name, (a, b) in both.items() if a and b and a != b
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Where a dataset comes from, under which terms, and what a complete copy holds.

    ``name`` is the plugin's name and the folder of its files below the data root. ``variants`` explains
    each value of the option ``variant``; ``counts`` has their published counts, under "" if there is
    only one.
    """

    name: str
    title: str
    sources: tuple[str, ...]  # official pages
    licence: str
    citation: str
    files: tuple[Expected, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, Counts] = field(default_factory=dict)


def variant_of(source: object) -> str:
    """The value of a dataset's option ``variant``, "" if it has none: the key of its card's counts."""
    return str(getattr(source, "variant", ""))
