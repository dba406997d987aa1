"""Plain text as LaTeX source, and how wide it will be printed."""

from __future__ import annotations

import re

from bench.printing import shown

_CHARACTERS = {
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "-": "-{}",  # only before another one, which would make a dash of the two
    **{c: "\\" + c for c in "_%&#{}$"},
    **{c: f"${c}$" for c in "<>|"},
    **{c: f"{{{c}}}" for c in "[]*"},  # at the start of a row \\ would take them as its argument
    "→": "$\\to$",
    "±": "$\\pm$",
    "×": "$\\times$",
    "≤": "$\\leq$",
    "≥": "$\\geq$",
    "·": "$\\cdot$",
    "⋆": "$^\\star$",
    "†": "$^\\dagger$",
    "‡": "$^\\ddagger$",
    "◊": "$^\\diamond$",
    "∅": "$^\\emptyset$",
    "Δ": "$^\\Delta$",
    "∥": "$^\\parallel$",
    "§": "\\S{}",
    "¶": "\\P{}",
    "¤": "$^\\circ$",
    "–": "--",
    "—": "---",
    "…": "\\dots{}",
    "≈": "$\\approx$",
    "λ": "$\\lambda$",
    "µ": "$\\mu$",
    "−": "$-$",
}
_EM = 8.0  # points, of the font of tables
_NARROW, _WIDE = set(".,:;!'|ijl()[] "), set("mwMW±→≈≤≥×–—…%@")


def latex(text: str) -> str:
    """Escape plain text for LaTeX; a character that needs more than its default fonts is named.

    >>> latex("50 % of lcdh_a & I→T")
    '50 \\\\% of lcdh\\\\_a \\\\& I$\\\\to$T'
    """
    return re.sub(r"-(?=-)|[^-\w\s.,:;!?'\"()/=+@`]|_|[^\x00-\x7f]", _escaped, one_line(text))


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char in _CHARACTERS:
        return _CHARACTERS[char]
    return char if char.isalpha() and "À" <= char <= "ÿ" else f"(U+{ord(char):04X})"


def breakable(text: str) -> str:
    """The same, for a narrow column: words may break after punctuation, and very long ones anywhere."""
    pieces = re.findall(r"[^\s,/=_.:;\])-]{1,14}[\s,/=_.:;\])-]*|[\s,/=_.:;\])-]+", one_line(text))
    return "\\allowbreak{}".join(map(latex, pieces))


def width(text: str) -> float:
    """Points that a text takes in 8 pt Times; other fonts differ by a tenth.

    >>> width(".712")
    14.4
    """
    return round(_EM * sum(0.3 if c in _NARROW else 0.8 if c in _WIDE else _other(c) for c in text), 1)


def _other(char: str) -> float:
    return 0.7 if char.isupper() else 0.5


def one_line(text: str) -> str:
    return shown(re.sub(r"[\t-\r]+", " ", text))
