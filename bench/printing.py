"""Output for every terminal, pipe and encoding: control characters as text, unknown characters replaced.

The trap: names and messages come from other people's files, and a terminal obeys the escapes in them.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

_ERRORS = "bench.printing"
_STEERING = re.compile(  # C0 but tab and newline, C1, marks of direction, separators, halves of characters
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_IN_JSON = re.compile(  # the same but halves, which make letters in pairs; two backslashes are one
    r"(\\\\)|\\u(00[018]\w|007f|009\w|061c|200[ef]|202[89a-e]|206[6-9])"
)
_NEAREST = dict(zip("→─–—−×·…≈≤≥±⋆◊∥†‡§¶Δ", ">----x..~<>~^o|+#$Pd", strict=True))  # as wide as they are


def shown(text: str) -> str:
    r"""Show what would steer a terminal, or turn the direction of writing, as text.

    >>> shown("red \x1b[31m")
    'red \\x1b[31m'
    """
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def json_text(content: Any, **options: Any) -> str:
    r"""JSON for a page: what would turn the direction of its text is shown as text.

    >>> json_text("\u202egnp")
    '"\\\\u202egnp"'
    """
    dumped = json.dumps(content, **options)
    return _IN_JSON.sub(lambda match: match[1] or f"\\\\u{match[2]}", dumped)


class Steering(str):
    """Text of our own that steers the terminal; it is written as it is."""

    __slots__ = ()


class Door:
    """A text stream that others write to; a failed write ends the output and not the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.fault: OSError | None = None
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)

    def write(self, text: str) -> int:
        self._attempt(lambda: self._stream.write(text if isinstance(text, Steering) else shown(text)))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, act: Callable[[], object]) -> None:
        if self.fault is not None:
            return
        try:
            act()
        except OSError as error:
            self.fault = error
            with suppress(OSError), Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())  # the interpreter flushes as it ends


class Doors:
    """Standard output and standard error of a command."""

    def __init__(self) -> None:
        self.out, self.err = Door(_open(sys.stdout)), Door(_open(sys.stderr))

    def complete(self) -> bool:
        """Flush, and report on standard error where the output is incomplete.

        A reader that has closed its pipe, `head` for instance, has seen enough.
        """
        self.out.flush()
        fault = self.out.fault
        if fault is None or fault.errno in (errno.EPIPE, errno.EINVAL):  # EINVAL: a closed pipe of Windows
            return True
        print(f"bench: the output is incomplete: {fault.strerror}. Write it to another place.", file=self.err)
        return False


@contextmanager
def guarded() -> Iterator[Doors]:
    """Let everything that is printed inside the block pass the doors."""
    doors, before = Doors(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, doors.out), cast(TextIO, doors.err)
    try:
        yield doors
    finally:
        sys.stdout, sys.stderr = before


def _open(stream: TextIO | None) -> TextIO:
    """The stream, or one that leads nowhere if it was closed before we started (``2>&-``)."""
    return Path(os.devnull).open("w", encoding="utf-8") if stream is None else stream


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """The sign nearest to every character that an encoding lacks, as `codecs.register_error` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_NEAREST.get(letter, "?") for letter in lacking), error.end


codecs.register_error(_ERRORS, _nearest)
