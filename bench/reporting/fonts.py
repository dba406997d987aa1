"""Fonts for letters that the usual one lacks: another installed font, or a code in place of the letter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from bench.progress import say

_BOXES = "Last Resort"  # matplotlib's own: it has a box for every letter


def fit(canvas: Any) -> None:
    """Let every text of a figure be drawn without missing letters.

    Installed fonts that have them follow the usual one. A letter that no font has becomes its code,
    ``(U+6570)``, and one line for each set of such letters says so.
    """
    from matplotlib.text import Text

    absent: dict[str, None] = {}
    for text in canvas.findobj(Text):
        words, family = text.get_text(), text.get_fontfamily()
        if words.isascii():
            continue
        missing = frozenset(filter(str.isprintable, words)) - _letters(*family)
        if missing:
            more, nowhere = _fonts_for(missing)
            text.set_fontfamily([*family, *more])
            text.set_text("".join(f"(U+{ord(c):04X})" if c in nowhere else c for c in words))
            absent |= dict.fromkeys(c for c in words if c in nowhere)
    if absent:
        _report("".join(absent))


@cache
def _report(letters: str) -> None:
    """Say once which letters have no font."""
    shown = letters if len(letters) <= 12 else letters[:12] + "…"
    say(
        f"figures: no installed font has {shown}; codes such as (U+{ord(letters[0]):04X}) stand in for "
        "them. Install one (for Chinese, Japanese and Korean: fonts-noto-cjk), or give the dataset or "
        "method a name in Latin letters: 'files[path=...] as mine'."
    )


@cache
def _letters(*families: str) -> frozenset[str]:
    """The letters that fonts of these families have."""
    from matplotlib import font_manager

    files = (font_manager.findfont(font_manager.FontProperties(family=[name])) for name in families)
    return frozenset[str]().union(*map(_letters_of, files))


@cache
def _letters_of(path: str) -> frozenset[str]:
    from matplotlib import font_manager

    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # a font of pictures, or a broken file
        return frozenset()


@cache
def _fonts_for(missing: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that have these letters, as few as possible, and the letters that none has."""
    chosen: list[str] = []
    letters = {name: _letters_of(path) for name, path in _upright()}
    while missing:
        name = max(letters, key=lambda name: len(letters[name] & missing), default="")
        if not name or not letters[name] & missing:
            break
        chosen.append(name)
        missing -= letters[name]
    return tuple(chosen), missing


def _upright() -> Iterable[tuple[str, str]]:
    """Name and file of every upright font of normal weight, those without serifs first."""
    from matplotlib import font_manager

    fonts = {
        f.name: f.fname for f in font_manager.fontManager.ttflist if (f.style, f.weight) == ("normal", 400)
    }
    names = sorted(fonts, key=lambda name: ("Sans" not in name, name))
    return [(name, fonts[name]) for name in names if not name.startswith(_BOXES)]
