"""References of methods as BibTeX, from ``Source.paper``: ``A. Author, B. Author. Title. Venue, year``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bench.reporting.tex import latex, one_line

_INITIALS = r"(?:[A-Z]\.(?:-[A-Za-z]\.)?\s)+"
_NAME = rf"{_INITIALS}[^\s.,:]+(?:\s(?!et\s)[^\s.,:]+)?(?:\set\sal)?"
_FORMS = (
    re.compile(rf"(?P<authors>{_NAME}(?:,\s{_NAME})*)\.?\s(?P<title>.+?[.?!])\s(?P<venue>.+)"),
    re.compile(r"(?P<authors>[A-Z]\w+(?:,\s[A-Z]\w+)*):\s(?P<title>.+),\s(?P<venue>[A-Z].*\d{4}.*)"),
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A paper with its key, which is equal for equal papers: ``wang2020label``."""

    key: str
    authors: tuple[str, ...]
    title: str
    venue: str

    @classmethod
    def of(cls, paper: str) -> Reference:
        """Read the text of ``Source.paper``; one of another form becomes the title."""
        text = one_line(paper)
        read = next((m for form in _FORMS if (m := form.fullmatch(text))), None)
        if read is None:
            return cls(_key("", text, text), (), text, "")
        authors = tuple(read["authors"].split(", "))
        title = read["title"].removesuffix(".")
        return cls(_key(authors[0], read["venue"], title), authors, title, read["venue"])

    @property
    def year(self) -> str:
        return _year(self.venue)

    def _place(self) -> str:
        """The venue without its year, which has a field of its own."""
        if not self.year:
            return self.venue
        return re.sub(rf",?\s*\(?\b{self.year}\)?,?\s*", ", ", self.venue, count=1).strip(", ")

    def bibtex(self) -> str:
        """A ``@misc`` entry: it suits every kind of venue and every style."""
        names = " and ".join(latex(name.replace(" et al", "")) for name in self.authors)
        et_al = " and others" if any(name.endswith(" et al") for name in self.authors) else ""
        fields = {"author": names + et_al, "title": "{" + latex(self.title) + "}"}
        fields |= {"howpublished": latex(self._place()), "year": self.year}
        lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


def bibliography(references: Iterable[Reference]) -> str:
    """A ``.bib`` file of these papers, each once, in the order of their keys."""
    by_key = {reference.key: reference for reference in references}
    return "\n\n".join(by_key[key].bibtex() for key in sorted(by_key)) + "\n"


def _year(text: str) -> str:
    years = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)
    return years[0] if years else ""


def _key(author: str, venue: str, title: str) -> str:
    surname = author.removesuffix(" et al").rpartition(" ")[2]
    words = [word for word in re.findall(r"\w+", title) if len(word) > 3 or word.isupper()]
    return re.sub(r"[^a-z0-9]", "", f"{surname}{_year(venue)}{words[0] if words else ''}".lower())
