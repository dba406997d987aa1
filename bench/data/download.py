"""Downloads the files of a card: resumes transfers, compares checksums, keeps only complete files."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.contract.card import Card, Expected
from bench.data import seen, unpack
from bench.disk import reading, writing
from bench.errors import DataError, FileError, StoreError
from bench.progress import Task, amount

BLOCK = 1 << 16  # bytes that a broken connection loses at most
TRIES = 4  # in a row without a single byte, then we give up
SHARE = 0.1  # of the free disk, for a file whose size neither the card nor the server states


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a server, in seconds."""

    stall: float = 30.0  # without a byte
    pause: float = 2.0  # before the next attempt


def get(card: Card, expected: Expected, home: Path, patience: Patience | None = None) -> str:
    """Make sure that a file is in ``home``, complete and unpacked; returns a note on what was done.

    Raises :class:`DataError` if the file cannot be downloaded or differs from the card.
    """
    patience = patience or Patience()
    target = home / expected.path
    if is_unpacked(expected, home):
        return "already unpacked"
    done = "already downloaded"
    if target.is_file():
        if problem := wrong(expected, home):
            raise DataError(f"{target}: {problem}. Delete it and download it again, or see {_pages(card)}.")
    elif not expected.url:
        raise DataError(f"{target}: cannot be downloaded: {expected.note or 'ask its owners'}.")
    else:
        transfer = _fetch(card, expected, home, patience)
        done = f"downloaded, {amount(target.stat().st_size, 'bytes')}{_trust(expected, home, transfer)}"
    if expected.unpack:
        limits = unpack.Limits(bytes=expected.unpacked_bytes, files=expected.unpacked_files)
        count = unpack.unpack(target, home / expected.unpack, limits)
        writing.flush_all()  # the files before the mark that says they are complete
        writing.replace_bytes(_mark(expected, home), json.dumps(_status(target)).encode())
        done += f", unpacked {count} files"
    return done


def is_unpacked(expected: Expected, home: Path) -> bool:
    """Whether the archive, which may have been deleted since, has been unpacked completely."""
    target = home / expected.path
    try:
        status = reading.read_json(_mark(expected, home))
    except FileError:
        return False
    return bool(expected.unpack) and (not target.exists() or status == _status(target))


def wrong(expected: Expected, home: Path) -> str:
    """How a file differs from the card or from its first download, or "" if it does not.

    Reads all of it if there is a checksum.
    """
    path = home / expected.path
    size = path.stat().st_size
    if expected.bytes is not None and size != expected.bytes:
        return f"has {size} bytes; expected {expected.bytes}"
    kind, value = seen.checksum(expected, home)
    if kind and (digest := _digest(path, kind)) != value:
        origin = "" if expected.checksum[0] else ", that of its first download"
        return f"has the {kind} {digest}; expected {value}{origin}"
    return ""


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _trust(expected: Expected, home: Path, transfer: _Transfer) -> str:
    """A note on a download that no published checksum vouches for."""
    if expected.checksum[0]:
        return ""
    http = "; unchecked: it came over http, where anybody on the way can alter it" if transfer.plain else ""
    return f"; its owners publish no checksum: {seen.path(expected, home).name} keeps its sha256{http}"


def _mark(expected: Expected, home: Path) -> Path:
    path = home / expected.path
    return path.with_name(f".{path.name}.unpacked")


def _status(path: Path) -> list[int]:
    return [path.stat().st_size, path.stat().st_mtime_ns]


def _pages(card: Card) -> str:
    return " or ".join(card.sources) or "its owners' page"


def _fetch(card: Card, expected: Expected, home: Path, patience: Patience) -> _Transfer:
    target, (kind, value) = home / expected.path, seen.checksum(expected, home)
    transfer = _Transfer(card, expected, target.with_name(f".{target.name}.part"), patience)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer.complete(expected.url)
        if kind and _digest(transfer.part, kind) != value:
            transfer.part.unlink()
            raise DataError(
                f"{expected.url}: the download does not match {kind} {value}{_changed(card, expected, home)}"
            )
        transfer.part.replace(target)
        writing.flush(target.parent)
        if not kind:
            seen.keep(expected, home)
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror or error}). Check --data-root."
        ) from error
    return transfer


def _changed(card: Card, expected: Expected, home: Path) -> str:
    """The end of the message on another checksum."""
    reason = "The owners may have changed the file, or a proxy altered it"
    if expected.checksum[0]:
        return f"; discarded. {reason}: see {_pages(card)}."
    return (
        f", that of the first download; discarded. {reason}: see {_pages(card)}. If they announce a new "
        f"version, delete {seen.path(expected, home)} and run the same command again."
    )


class _Again(Exception):
    """The reason why an attempt failed that may succeed when repeated."""


def _interruption(error: Exception) -> str:
    """Name what broke a connection."""
    said = str(error).lower()
    if "failed to establish" in said or "failed to resolve" in said:
        return "the server cannot be reached"
    return "the connection stalled" if "timed out" in said else "the connection was cut off"


@dataclass
class _Transfer:
    """Fills ``part`` and resumes where an earlier transfer stopped."""

    card: Card
    expected: Expected
    part: Path
    patience: Patience
    failures: list[str] = field(default_factory=list)
    plain: bool = False  # over http, at least in part

    def complete(self, url: str) -> None:
        """Receive the file; raises :class:`DataError` where that is not possible."""
        import requests

        while True:
            before = self._size()
            try:
                self._once(url)
                break
            except _Again as error:
                self._failed(str(error), gained=self._size() > before)
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                self._failed(_interruption(error), gained=self._size() > before)
            except requests.RequestException as error:  # too many redirects, an invalid address
                reason = " ".join(str(error).split())
                raise DataError(f"{url}: cannot be requested ({reason}). {self._by_hand()}") from error
        self._version_file().unlink(missing_ok=True)
        writing.flush(self.part)

    def _once(self, url: str) -> None:
        """Request the rest of the file once; :class:`DataError` if another attempt would be pointless."""
        import requests

        begin = self._size()
        with requests.get(
            url, headers=self._headers(begin), stream=True, timeout=self.patience.stall
        ) as answer:
            self.plain |= any(one.url.lower().startswith("http:") for one in (*answer.history, answer))
            if answer.status_code == 416:  # the part is as long as the file or longer
                if answer.headers.get("Content-Range", "").endswith(f"/{begin}"):
                    return
                self.part.unlink()
                raise _Again("the size of the file has changed")
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _Again(f"the server answered {answer.status_code} {answer.reason}")
            if answer.status_code not in (200, 206):
                said = f"the server answered {answer.status_code} {answer.reason}"
                raise DataError(f"{url}: {said}. {self._by_hand()}")
            begin = begin if answer.status_code == 206 else 0
            total = self._total(answer, begin)
            self._remember(answer.headers)
            self._receive(answer, begin, total)

    def _receive(self, answer: Any, begin: int, total: int | None) -> None:
        most = self._most(begin, total)
        with self.part.open("ab") as file, Task(f"get {self._target().name}", total, "bytes") as task:
            file.truncate(begin)
            task.skip(begin)
            for block in answer.iter_content(BLOCK):
                task.advance(len(block))
                if task.done > most:
                    self._discard()
                    raise DataError(f"{answer.url}: sends {self._excess(most, total)}. {self._by_hand()}")
                file.write(block)
            if total is not None and task.done != total:
                raise _Again("the connection was cut off")

    def _most(self, begin: int, total: int | None) -> int:
        """Bytes that the file may have: its size, or a share of the disk; StoreError if the disk is full."""
        room = shutil.disk_usage(self.part.parent).free + begin
        if total is not None and total > room:
            raise StoreError(
                f"{self._target()}: has {amount(total, 'bytes')}; {amount(room, 'bytes')} are free. Make "
                "room, or give another --data-root."
            )
        return int(room * SHARE) if total is None else total

    def _excess(self, most: int, total: int | None) -> str:
        if total is not None:
            return f"more than the {total} bytes of the file; discarded"
        return (
            f"a file of unknown size, more than {amount(most, 'bytes')}; expected at most {SHARE:.0%} of the "
            "free disk; discarded"
        )

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self._version_file().unlink(missing_ok=True)

    def _total(self, answer: Any, begin: int) -> int | None:
        """Bytes of the complete file as the server states them, which must agree with the card."""
        said, wanted = answer.headers.get("Content-Length", ""), self.expected.bytes
        total = begin + int(said) if said.isascii() and said.isdigit() else wanted
        if wanted is not None and total != wanted:
            self._discard()
            raise DataError(
                f"{answer.url}: the server has {total} bytes; expected {wanted}. The owners may have changed "
                f"the file: see {_pages(self.card)}."
            )
        if "text/html" in answer.headers.get("Content-Type", "") and ".htm" not in self.expected.path:
            raise DataError(f"{answer.url}: the server sent a web page; expected the file. {self._by_hand()}")
        return total

    def _headers(self, begin: int) -> dict[str, str]:
        """Request the rest alone, and only if the server still has the version that the part belongs to."""
        headers = {"Accept-Encoding": "identity"}  # compressed, Content-Length would count other bytes
        try:
            version = str(reading.read_json(self._version_file())["version"])
        except (FileError, KeyError, TypeError):
            version = ""
        if begin and version:
            headers |= {"Range": f"bytes={begin}-", "If-Range": version}
        return headers

    def _remember(self, headers: Mapping[str, str]) -> None:
        tag = headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        writing.replace_bytes(self._version_file(), json.dumps({"version": version}).encode())

    def _failed(self, reason: str, *, gained: bool) -> None:
        self.failures = [] if gained else [*self.failures, reason]
        if len(self.failures) >= TRIES:
            raise DataError(
                f"{self.expected.url}: {reason}, {TRIES} times in a row, after "
                f"{amount(self._size(), 'bytes')}. Run the same command again to resume."
            )
        time.sleep(self.patience.pause)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _version_file(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _by_hand(self) -> str:
        return (
            f"The owners may have moved the file: see {_pages(self.card)}, and save it as {self._target()}."
        )

    def _target(self) -> Path:
        return self.part.with_name(self.part.name[1:].removesuffix(".part"))
