"""Values of the axes that disturb a stream: read, checked, and written one way.

A value is a part of a cell's key, so every way to write it gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bench.errors import ParameterError

NOISES = {
    "sym:RATE": "a label set drawn at random, of the same size; it may be the true one",
    "swap:RATE": "one true label is removed and one false label added",
    "pair:RATE": "every class is mistaken for another, always the same one",
}
REHASHES = {
    "every:K": "every K rounds, all old items",
    "budget:BITS": "every round, the oldest codes first, while at most BITS stored bits change",
    "trigger:GAIN": "all old items, when new codes tell GAIN bits more about relevance than the stored ones",
}
DELAYS = {"K": "labels arrive K rounds after their items; supervised methods learn from items once labelled"}
UNSEEN = {"SHARE": "a share of the classes is kept out of training; their items are queries and database"}
_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]-?[0-9]{1,2})?"


def noise(text: str) -> str:
    """The one way to write ``none``, ``sym:RATE``, ``swap:RATE`` or ``pair:RATE``; rate 0 is ``none``.

    >>> noise("sym:.20")
    'sym:0.2'
    """
    kind, _, rate = text.partition(":")
    if text == "none":
        return text
    if f"{kind}:RATE" not in NOISES or not re.fullmatch(_NUMBER, rate) or float(rate) > 1:
        raise ParameterError(
            f"noise must be none or one of {', '.join(NOISES)} with RATE from 0 to 1; got {text!r}. "
            "Try sym:0.2."
        )
    return f"{kind}:{float(rate):g}" if float(rate) else "none"


def rehash(text: str) -> str:
    """The one way to write ``always``, ``every:K``, ``budget:BITS`` or ``trigger:GAIN``."""
    kind, _, amount = text.partition(":")
    if text == "always":
        return text
    if text == "never":
        raise ParameterError("rehash=never is database=frozen. Use --database frozen.")
    if kind in ("every", "budget") and re.fullmatch("[1-9][0-9]{0,17}", amount):
        return text
    if kind == "trigger" and re.fullmatch(_NUMBER, amount):
        return f"trigger:{float(amount):g}"
    raise ParameterError(
        f"rehash must be always or one of {', '.join(REHASHES)}, with K and BITS from 1 and GAIN from 0; "
        f"got {text!r}. Try every:4."
    )


CANONICAL: dict[str, Callable[[str], str]] = {"noise": noise, "rehash": rehash}
