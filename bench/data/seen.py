"""The checksum of a first download, for a file whose owners publish none: every later one must match it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from bench.contract.card import Expected
from bench.disk import reading, writing
from bench.errors import FileError


def checksum(expected: Expected, home: Path) -> tuple[str, str]:
    """Name and value of the checksum: as published, else of the first download from this address."""
    digest = first(expected, home)
    return ("sha256", digest) if digest else expected.checksum


def first(expected: Expected, home: Path) -> str:
    """The SHA-256 of the first download from this address; "" if the owners publish one, or none is kept."""
    if expected.checksum[0]:
        return ""
    file = path(expected, home)
    if not file.exists():  # not downloaded here
        return ""
    kept = reading.read_json(file)
    if not isinstance(kept, dict):
        raise FileError(file, "it holds no checksum; expected url and sha256. Delete it to download anew")
    return str(kept.get("sha256", "")) if kept.get("url") == expected.url else ""


def keep(expected: Expected, home: Path) -> None:
    """Keep the SHA-256 of a file that has just been downloaded."""
    with (home / expected.path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    content = json.dumps({"url": expected.url, "sha256": digest})
    writing.replace_bytes(path(expected, home), content.encode())


def path(expected: Expected, home: Path) -> Path:
    """The file that keeps it, beside the download."""
    beside = home / expected.path
    return beside.with_name(f".{beside.name}.first.json")
