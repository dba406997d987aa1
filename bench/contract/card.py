"""The card of a dataset: what it is, whose it is, and which files to expect, before any is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One file that the owners distribute; ``path`` is where it lies below ``ROOT/NAME``.

    What nobody has published stays empty: a wrong checksum is worse than none.
    """

    path: str
    url: str = ""  # the official address, https; "" where the owners want to be asked, by a form for instance
    bytes: int | None = None
    sha256: str = ""
    md5: str = ""  # where the owners publish this instead
    unpack: str = ""  # the folder below ROOT/NAME that an archive is unpacked into ("." is NAME itself)
    optional: bool = False  # the dataset can be used without it
    variant: str = ""  # the one that needs it; "" where all do
    note: str = ""  # what is in it, or how to ask for it

    @property
    def checksum(self) -> tuple[str, str]:
        """Name and value of the published checksum, in lower case; two empty texts where there is none."""
        return (
            ("sha256", self.sha256.lower()) if self.sha256 else ("md5" if self.md5 else "", self.md5.lower())
        )

    def needed(self, variant: str) -> bool:
        """Whether ``variant`` of the dataset, "" where it has none, cannot be used without this file."""
        return not self.optional and self.variant in ("", variant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the field counts in a variant; 0 is unknown."""

    pairs: int = 0  # train and query together
    queries: int = 0
    classes: int = 0
    words: int = 0  # of the bag of words

    def differences(self, expected: Counts) -> tuple[str, ...]:
        """What the field knows and is another here, one sentence each.

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

    ``name`` is the plugin's name and the folder of its files below the data root. ``variants`` says
    what each value of the option ``variant`` means; ``counts`` has their numbers, under "" where
    there is only one.
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
    """What a dataset's option ``variant`` says, "" where it has none: the key of its card's counts."""
    return str(getattr(source, "variant", ""))
