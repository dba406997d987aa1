"""An archive by `bench publish` is checked against its manifest and unpacked.

The trap: it comes from a stranger. Its names lead nowhere but below the folder that it is unpacked to, it
takes no more room there than it has itself, and the sources in it are never run.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.disk.form import mismatch
from bench.disk.reading import open_regular, parse_json
from bench.errors import FileError, StoreError

FORMAT = 1  # of the archive; a reader refuses a newer one
MANIFEST, RESULTS = "manifest.json", "results"

_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")  # no absolute, empty or hidden part, and no ..
_LARGEST = 1 << 26  # bytes of a manifest: half a million files
_UNREADABLE = (
    OSError, RuntimeError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file in the manifest."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Every file of an archive but the manifest itself."""

    format: int
    hashbench: str  # the version that wrote it
    files: Mapping[str, Member]
    by: str = ""  # who publishes it, as they call themselves


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """A results folder: ``path`` itself, or that of an archive, unpacked for as long as the block runs."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="hashbench-") as scratch:
        yield unpack(path, Path(scratch))


def unpack(path: Path, folder: Path) -> Path:
    """Unpack an archive into ``folder``, which is empty, and return its results folder.

    Raises StoreError for an archive that does not match its manifest, has a name that leads elsewhere, or
    would take more room than it has itself; names and sizes are checked before anything is written.
    """
    with _archive(path) as archive:
        for name, member in _manifest(archive, path).files.items():
            content = archive.read(name)
            if hashlib.sha256(content).hexdigest() != member.sha256:
                raise StoreError(f"{path}: {name} does not match the manifest. Get the archive again.")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    (folder / RESULTS).mkdir(exist_ok=True)
    return folder / RESULTS


def manifest(path: Path) -> Manifest:
    """The manifest of an archive. Raises StoreError where its names or sizes are not those of the files."""
    with _archive(path) as archive:
        return _manifest(archive, path)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An open archive; every way in which it cannot be read is a StoreError."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except FileError as error:
        raise StoreError(f"{error}. Give a results folder, or an archive by `bench publish`.") from error
    except _UNREADABLE as error:
        raise StoreError(
            f"{path} cannot be read: {error}. Give a results folder, or an archive by `bench publish`."
        ) from error


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """The manifest of an archive, whose members have the names and sizes that it lists."""
    sizes = {info.filename: info.file_size for info in archive.infolist()}
    if len(sizes) != len(archive.infolist()) or not 0 < sizes.get(MANIFEST, 0) <= _LARGEST:
        raise StoreError(
            f"{path} is no archive by `bench publish`: expected {MANIFEST}, and every name once."
        )
    if sum(sizes.values()) > path.stat().st_size:
        raise StoreError(
            f"{path} would unpack to {sum(sizes.values())} bytes and has {path.stat().st_size}; expected "
            "uncompressed files, as `bench publish` writes them."
        )
    stored = parse_json(path, archive.read(MANIFEST))
    if problem := mismatch(stored, Manifest, "manifest"):
        raise StoreError(f"{path}: {problem}. Get the archive again.")
    manifest = Manifest(**{**stored, "files": {n: Member(**m) for n, m in stored["files"].items()}})
    if manifest.format > FORMAT:
        raise StoreError(
            f"{path} was written by a newer hashbench ({manifest.hashbench}). Upgrade to read it."
        )
    listed = {MANIFEST: sizes[MANIFEST], **{name: member.bytes for name, member in manifest.files.items()}}
    for name in sizes.keys() | listed.keys():
        if not _NAME.fullmatch(name):
            raise StoreError(f"{path}: {name!r} leads out of its folder; expected a plain relative name.")
        if sizes.get(name) != listed.get(name):
            raise StoreError(
                f"{path}: {name} has {sizes.get(name, 'no')} bytes, and the manifest lists "
                f"{listed.get(name, 'no')}. Get the archive again."
            )
    return manifest
