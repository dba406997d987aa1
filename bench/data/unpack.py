"""Unpacks zip, tar and deb archives: only plain files and folders, below one folder, all or none."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from bench.data import deb
from bench.disk import owners
from bench.errors import DataError, StoreError
from bench.progress import Task

BLOCK = 1 << 20
RATIO, LEAST = 100, 10**9  # unpacked bytes for one of the archive, and what any archive may unpack to
DEPTH = 100  # folders in one another
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not support
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Most bytes and members that an archive unpacks to, so that a bomb fills no disk.

    Without ``bytes`` they follow from the archive's own size.
    """

    bytes: int | None = None
    files: int = 1_000_000  # folders included


@dataclass(frozen=True, slots=True)
class _Entry:
    """One plain file in an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, into: Path, limits: Limits | None = None) -> int:
    """Unpack ``archive`` below ``into`` once all of it has been read; returns the number of files.

    A member that would land outside ``into``, a link, a device, an encrypted or damaged member, and more
    than ``limits`` allow raise :class:`DataError`; then no file is put in place.
    """
    owners.sweep(into)
    aside = owners.temporary(into / "unpacking")
    try:
        with _opened(archive, limits or Limits()) as entries:
            total, free = sum(entry.size for entry in entries), shutil.disk_usage(archive.parent).free
            if total > free:
                raise StoreError(
                    f"{archive}: unpacks to {total / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Make room."
                )
            with Task(f"unpack {archive.name}", total, "bytes") as task:
                for entry in entries:
                    _copy(archive, entry, aside / entry.name, task)
        if entries:
            _merge(aside, into)
        return len(entries)
    except OSError as error:
        raise StoreError(
            f"{into}: cannot unpack {archive.name} here ({error}). Check the folder and its free space."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _opened(archive: Path, limits: Limits) -> Iterator[list[_Entry]]:
    """Open the plain files of an archive after a look at every member; names damage met while reading."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                yield list(_within(limits, archive, _of_zip(archive, packed)))
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as taped:
                yield list(_within(limits, archive, _of_tar(archive, taped)))
        elif deb.is_deb(archive):
            with deb.opened(archive) as taped:  # its links name duplicates, which we leave out
                yield list(_within(limits, archive, _of_tar(archive, taped, links=True)))
        else:
            raise DataError(f"{archive}: is no zip, tar or deb archive, or is truncated. Download it again.")
    except _DAMAGE as error:
        raise DataError(f"{archive}: is damaged ({error}). Delete it and download it again.") from error


def _within(limits: Limits, archive: Path, entries: Iterator[_Entry | None]) -> Iterator[_Entry]:
    """The files among the members; ends at the first one too many, before anything is written."""
    most = limits.bytes or max(RATIO * archive.stat().st_size, LEAST)
    total = 0
    for count, entry in enumerate(entries, 1):
        total += entry.size if entry else 0
        if count > limits.files or total > most:
            allowed = f"{limits.files} files" if count > limits.files else f"{most / 1e9:.3g} GB"
            raise DataError(
                f"{archive}: unpacks to more than {allowed}, as a bomb would. If you trust it, "
                "unpack it by hand."
            )
        if entry and not PurePosixPath(entry.name).parts:
            raise DataError(f"{archive}: member {entry.name!r} is a file without a name. Do not trust it.")
        if entry:
            yield entry


def _of_zip(archive: Path, packed: zipfile.ZipFile) -> Iterator[_Entry | None]:
    """The members; None is a folder."""
    for info in packed.infolist():
        name = _safe_name(archive, info.filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{archive}: member {info.filename!r} is a link or device; expected plain files.")
        if info.flag_bits & 1:
            raise DataError(f"{archive}: is encrypted. Unpack it by hand with the owners' password.")
        yield None if info.is_dir() else _Entry(name, info.file_size, _later(packed.open, info))


def _of_tar(archive: Path, taped: tarfile.TarFile, *, links: bool = False) -> Iterator[_Entry | None]:
    """The members; None is a folder. ``links``: symbolic links are left out instead of refused."""
    for member in taped:
        name = _safe_name(archive, member.name)
        if links and member.issym():
            continue
        if not (member.isreg() or member.isdir()):
            raise DataError(f"{archive}: member {member.name!r} is a link or device; expected plain files.")
        yield None if member.isdir() else _Entry(name, member.size, _later(taped.extractfile, member))


def _later(opener: Callable[[Any], Any], member: Any) -> Callable[[], Any]:
    return lambda: opener(member)


def _safe_name(archive: Path, name: str) -> str:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts):
        raise DataError(f"{archive}: member {name!r} lies outside the folder. Do not trust this archive.")
    if len(posix.parts) > DEPTH:
        raise DataError(
            f"{archive}: member {name[:40]!r}… lies {len(posix.parts)} folders deep. Do not trust it."
        )
    return name


def _copy(archive: Path, entry: _Entry, target: Path, task: Task) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = entry.open()
    assert source is not None
    with source, target.open("wb") as file:
        while block := source.read(BLOCK):
            file.write(block)
            task.advance(len(block))
    if target.stat().st_size != entry.size:
        raise DataError(f"{archive}: member {entry.name!r} is truncated. Delete it and download it again.")


def _merge(source: Path, target: Path) -> None:
    """Move the content of one folder into another, folder by folder; existing files are replaced."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        existing = target / path.name
        if path.is_dir() and existing.is_dir():
            _merge(path, existing)
        else:
            path.replace(existing)
