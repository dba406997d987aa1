"""Archives: their files land below one folder, all of them or none."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.data import unpack
from bench.errors import DataError


def zipped(path: Path, *members: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.writestr(member, b"content " * 100)
    return path


def taped(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            member.size = 800 if member.isreg() else 0
            archive.addfile(member, io.BytesIO(b"content " * 100))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def zip_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    return info


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_the_files_of_an_archive_land_below_the_folder(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        zipped(path, "one.txt", "deep/er/two.txt", "empty/")
    else:
        taped(path, member("one.txt"), member("deep", tarfile.DIRTYPE), member("deep/er/two.txt"))
    assert unpack.unpack(path, tmp_path / "out") == 2
    assert left(tmp_path / "out") == ["deep/er/two.txt", "one.txt"]
    assert (tmp_path / "out" / "one.txt").read_bytes() == b"content " * 100


def test_unpacking_again_replaces_files_and_keeps_others(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "deep/one.txt")
    unpack.unpack(path, tmp_path)
    (tmp_path / "deep" / "mine.txt").touch()
    (tmp_path / "deep" / "one.txt").write_text("changed")
    unpack.unpack(path, tmp_path)
    assert left(tmp_path) == ["a.zip", "deep/mine.txt", "deep/one.txt"]
    assert (tmp_path / "deep" / "one.txt").stat().st_size == 800


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: zipped(p, "good.txt", "../evil.txt"), "'../evil.txt' lies outside"),
        (lambda p: zipped(p, "good.txt", "/evil.txt"), "lies outside"),
        (lambda p: zipped(p, "good.txt", "C:\\evil.txt"), "lies outside"),
        (lambda p: zipped(p, "good.txt", "a\\..\\..\\evil.txt"), "lies outside"),
        (lambda p: zipped(p, "good.txt", zip_link()), "'link' is a link or device"),
        (lambda p: taped(p, member("good.txt"), member("a/../../evil.txt")), "lies outside"),
        (lambda p: taped(p, member("good.txt"), member("l", tarfile.SYMTYPE, "/etc")), "is a link or device"),
        (
            lambda p: taped(p, member("good.txt"), member("l", tarfile.LNKTYPE, "good.txt")),
            "is a link or device",
        ),
        (lambda p: taped(p, member("good.txt"), member("d", tarfile.CHRTYPE)), "is a link or device"),
    ],
)
def test_a_member_outside_the_folder_or_not_a_plain_file_stops_the_unpacking(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    path = make(tmp_path / "archive")
    with pytest.raises(DataError, match=says):
        unpack.unpack(path, tmp_path / "out" / "deep")
    assert left(tmp_path) == ["archive"]


@pytest.mark.parametrize("make", [zipped, lambda p, n: taped(p, member(n))])
def test_a_truncated_archive_is_an_error_and_leaves_no_file(
    tmp_path: Path, make: Callable[[Path, str], Path]
) -> None:
    path = make(tmp_path / "archive", "one.txt")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"archive: is (damaged|no zip)"):
        unpack.unpack(path, tmp_path / "out")
    assert left(tmp_path) == ["archive"]


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "archive", "one.txt")
    content = bytearray(path.read_bytes())
    content[45] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is damaged"):
        unpack.unpack(path, tmp_path / "out")
    assert left(tmp_path) == ["archive"]


def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("<html>")
    with pytest.raises(DataError, match="no zip, tar or deb archive"):
        unpack.unpack(tmp_path / "archive", tmp_path / "out")


def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    with pytest.raises(DataError, match=r"more than 0\.002 GB, as a bomb would\. If you trust it"):
        unpack.unpack(path, tmp_path / "out", unpack.Limits(bytes=2_000_000))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [zipped, lambda p, *names: taped(p, *map(member, names))])
def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, make: Callable[..., Path]) -> None:
    path = make(tmp_path / "archive", "one", "two", "three")
    with pytest.raises(DataError, match="more than 2 files"):
        unpack.unpack(path, tmp_path / "out", unpack.Limits(files=2))


def test_folders_count_as_files_of_an_archive(tmp_path: Path) -> None:
    path = taped(tmp_path / "archive", *(member(f"d{i}", tarfile.DIRTYPE) for i in range(3)))
    with pytest.raises(DataError, match="more than 2 files"):
        unpack.unpack(path, tmp_path / "out", unpack.Limits(files=2))


def test_a_small_archive_may_unpack_to_a_gigabyte_without_a_limit_of_its_card(tmp_path: Path) -> None:
    path = tmp_path / "zeros.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    assert path.stat().st_size * unpack.RATIO < 3_000_000
    assert unpack.unpack(path, tmp_path / "out") == 1


@pytest.mark.parametrize("make", [zipped, lambda p, n: taped(p, member(n))])
def test_a_file_without_a_name_is_refused_and_leaves_nothing(
    tmp_path: Path, make: Callable[[Path, str], Path]
) -> None:
    path = make(tmp_path / "archive", ".")
    with pytest.raises(DataError, match="is a file without a name"):
        unpack.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_the_archive_itself_is_passed_over(tmp_path: Path) -> None:
    path = taped(tmp_path / "archive", member(".", tarfile.DIRTYPE), member("./one.txt"))
    assert unpack.unpack(path, tmp_path / "out") == 1
    assert left(tmp_path / "out") == ["one.txt"]


def test_a_member_below_a_thousand_folders_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "archive", "d/" * 1000 + "f")
    with pytest.raises(DataError, match="lies 1001 folders deep"):
        unpack.unpack(path, tmp_path / "out")
