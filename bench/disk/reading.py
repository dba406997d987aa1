"""Reads files that may come from a stranger: regular ones, of a bounded size, in UTF-8, not nested deeply.

Every function raises :class:`bench.errors.FileError`, whose ``reason`` leaves out the name of the file. The
trap: opening a named pipe waits for a writer, and opening a device may do something.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.errors import FileError

if TYPE_CHECKING:
    import numpy.typing as npt

MOST = 1 << 26  # bytes of a file that is read at once
DEPTH = 64  # objects and lists inside each other
_MOST_TOML, _MOST_DOTS = 1 << 18, 500  # bytes, and dots in a line: a dotted key takes quadratic time
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """The content of a regular file of at most ``most`` bytes."""
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(min(size, most) + 1)  # takes as much memory before it reads
        except OSError as error:
            raise FileError(path, f"it cannot be read: {error.strerror or error}") from error
    if len(content) > most:
        raise FileError(path, f"it is longer than {most} bytes")
    return content


def open_regular(path: Path) -> IO[bytes]:
    """A regular file, opened to be read."""
    try:
        _require_regular(path, path.stat())
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file = os.fdopen(descriptor, "rb")
        try:
            _require_regular(path, os.fstat(descriptor))  # it may have been replaced meanwhile
        except FileError:
            file.close()
            raise
        return file
    except OSError as error:
        raise FileError(path, f"it cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a name with a null character or one that is no text
        raise FileError(path, f"it cannot be read: {error}") from error


def read_text(path: Path, most: int = MOST) -> str:
    """The text of a file in UTF-8."""
    return _decoded(path, read_bytes(path, most))


def read_json(path: Path, most: int = MOST) -> Any:
    """The value in a JSON file."""
    return parse_json(path, read_bytes(path, most))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    text = read_text(path, _MOST_TOML)
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise FileError(path, f"it has a line with more than {_MOST_DOTS} dots")
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"it is not TOML ({error})") from error
    _require_shallow(path, content)
    return content


def parse_json(path: Path, content: bytes) -> Any:
    """The value of JSON that was read from ``path``, for instance out of an archive."""
    text = _decoded(path, content)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"it is cut short or not JSON ({error})") from error
    if text.count("[") + text.count("{") > DEPTH:  # else it cannot be that deep
        _require_shallow(path, value)
    if "\\u" in text:  # only an escape can spell half a character
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise FileError(path, f"it has text that cannot be printed ({error.reason})") from error
    return value


def map_array(path: Path) -> npt.NDArray[Any]:
    """The array in an .npy file, mapped read-only; its header must fit the size of the file."""
    import numpy as np

    try:
        _require_regular(path, path.stat())
        array = np.lib.format.open_memmap(path, mode="r")
    except FileError:
        raise
    except OSError as error:
        raise FileError(path, f"it cannot be read: {error.strerror or error}") from error
    except Exception as error:  # the parser of the header raises whatever a text of Python can cause
        raise FileError(path, f"it cannot be read: {error}") from error
    size, described = path.stat().st_size, array.offset + array.nbytes
    if size != described:
        raise FileError(path, f"it has {size} bytes; its header describes {described}")
    return array


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise FileError(path, f"it is {kind}; expected a file")


def _require_shallow(path: Path, value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEPTH):
        nested = [inner.values() if isinstance(inner, dict) else inner for inner in level]
        level = [inner for outer in nested for inner in outer if isinstance(inner, (dict, list))]
        if not level:
            return
    raise FileError(path, f"it is nested more than {DEPTH} levels deep")


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FileError(path, f"it is not UTF-8 ({error})") from error
