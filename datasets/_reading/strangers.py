"""Calls files that hold no arrays by what they are: pointers, web pages, archives, pictures, texts."""

from __future__ import annotations

import codecs
from pathlib import Path

from bench.api import DataError

TEXTS = (".txt", ".csv", ".tsv", ".lst", ".list")  # suffixes of tables and lists
POINTER = b"version https://"  # git-lfs.github.com/spec/v1, or hawser.github.com
JSON = (".json", ".jsonl", ".ndjson")
EXPECTED = "expected .npy, .npz, .mat, .h5, .txt, .csv, .parquet or .pt"

# First bytes of other files → their kind, and what to do.
STRANGERS: tuple[tuple[bytes, str], ...] = (
    (
        b"\x00\x05\x16\x07",
        (
            "is an AppleDouble file, which macOS writes beside a file for its attributes; expected the file "
            "whose name lacks the leading `._`. Give that one"
        ),
    ),
    *(
        (magic, f"is {kind}; expected the files in it. Unpack it, and give the folder")
        for magic, kind in (
            (b"\x1f\x8b", "a gzip archive"),
            (b"BZh", "a bzip2 archive"),
            (b"\xfd7zXZ", "an xz archive"),
            (b"\x28\xb5\x2f\xfd", "a zstd archive"),
            (b"7z\xbc\xaf", "a 7z archive"),
            (b"Rar!", "a rar archive"),
            (b"\x04\x22\x4d\x18", "an lz4 archive"),
        )
    ),
    *(
        (
            magic,
            "is a picture; expected features of all pictures. Extract them first (docs/datasets.md, Views)",
        )
        for magic in (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
    ),
    (b"SQLite format 3", f"is an SQLite database; {EXPECTED}. Save its tables as .csv"),
    (b"%PDF", f"is a PDF; {EXPECTED}. Download the data, not the paper"),
)
HTML = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<!--", b"<?xml", b"<title", b"<meta",
        b"<style", b"<div")  # fmt: skip


def refuse_stranger(path: Path, start: bytes) -> None:
    """Raise :class:`DataError` if a file that begins with ``start`` is none that may hold arrays."""
    fact = _not_complete(path, start) or _of_another_program(start)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start.decode("utf-16", "ignore").encode()
    if fact := fact or _text_instead(path, start.removeprefix(codecs.BOM_UTF8)):
        raise DataError(f"{path}: {fact}.")


def _not_complete(path: Path, start: bytes) -> str:
    if not start.strip() and path.stat().st_size == len(start):
        return f"is empty ({len(start)} bytes); {EXPECTED}. Its download or copy was truncated: get it again"
    if len(start) > 99 and not start.strip(b"\0"):
        return f"begins with {len(start)} zeros, like a download that broke off; {EXPECTED}. Get it again"
    return ""


def _of_another_program(start: bytes) -> str:
    for magic, fact in STRANGERS:
        if start.startswith(magic):
            return fact
    if start[257:262] == b"ustar":
        return "is a tar archive; expected the files in it. Unpack it, and give the folder"
    if start[16:20] == b"\xde\xc0\xef\xbe":
        return f"is an LMDB database; {EXPECTED}. Stack the values of its keys, and save the matrix"
    return ""


def _text_instead(path: Path, start: bytes) -> str:
    if start.startswith(POINTER):
        return (
            "is a Git LFS pointer, a text that stands for the file; expected the file itself. Run `git lfs "
            "pull` in its clone, or download the file from the repository's page"
        )
    if b"annex/objects/" in start[:200]:
        return (
            "is a git-annex pointer, a text that stands for the file; expected the file itself. Run `git "
            "annex get` in its clone"
        )
    if start.lstrip().lower().startswith(HTML):
        return (
            "is a web page (HTML), not data; expected the file that the page offers. Open the address in a "
            "browser and use its download link (on GitHub: Raw)"
        )
    suffix = path.suffix.lower()
    if suffix in JSON or (start.startswith((b"{", b"[{", b"[[")) and b'"' in start):
        lines = (
            "[json.loads(line) for line in open('{0}')]" if suffix in JSON[1:] else "json.load(open('{0}'))"
        )
        return (
            f"is JSON, which is not read; {EXPECTED}. Save the matrices in it, each under its name: import "
            f"json, numpy as np; data = {lines.format(path.name)}; np.save('NAME.npy', np.array(data))"
        )
    if suffix not in TEXTS and _is_prose(start):
        shown = start.decode("utf-8", "replace").splitlines()[0][:60]
        return (
            f"is a text that begins {shown!r}; {EXPECTED}. If it is a server's message, download the file "
            "again; if it is a table, name it .txt or .csv"
        )
    return ""


def _is_prose(start: bytes) -> bool:
    """Whether a file begins as text does, and not as a MATLAB file, whose header is text too."""
    text = codecs.getincrementaldecoder("utf-8")()
    try:
        shown = text.decode(start)  # a letter that is cut off at the end is none the less text
    except UnicodeDecodeError:
        return False
    return not start.startswith(b"MATLAB") and all(one.isprintable() or one in "\t\r\n" for one in shown)
