"""Open Clip Art: miniature Debian packages, made here, unpacked and parsed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import Raw
from bench.cli import main
from bench.data.unpack import unpack
from bench.datasets import openclipart
from bench.datasets.openclipart import Openclipart, Refused, metadata
from bench.errors import DataError
from bench.page import retrieval

PUBLIC = "http://web.resource.org/cc/PublicDomain"
SHARE = "./usr/share/openclipart"


def svg(title: str = "", keywords: str = "", licence: str = PUBLIC, about: str = "", head: str = "") -> bytes:
    items = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords.split())
    return (
        f'<?xml version="1.0"?>{head}<svg xmlns:rdf="r" xmlns:cc="c" xmlns:dc="d"><title>not this</title>'
        f"<metadata><rdf:RDF><cc:Work><dc:title>{title}</dc:title><dc:description>{about}</dc:description>"
        f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>"
        "<dc:creator><cc:Agent><dc:title>Jane</dc:title></cc:Agent></dc:creator>"
        f'<cc:license rdf:resource="{licence}"/></cc:Work></rdf:RDF></metadata><path/></svg>'
    ).encode()


def png(grey: int, opaque: bool = True, size: tuple[int, int] = (3, 2)) -> bytes:
    from PIL import Image

    stored = io.BytesIO()
    Image.new("LA", size, (grey, 255 if opaque else 0)).save(stored, "png")
    return stored.getvalue()


def deb(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """A package as dpkg-deb lays it out, with an odd member before the data."""
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w:xz") as taped:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            taped.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            taped.addfile(info)
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": tape.getvalue()}
    packed = b"!<arch>\n"
    for name, content in members.items():
        packed += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    return path


DRAWINGS = {
    "animals/cat_01": (svg("Cat", "animal cat", about="A cat. me@here.org"), png(1)),
    "animals/cat_02": (svg("Copy", "animal cat"), png(1)),
    "animals/dog_01": (svg("Dog", "animal dog"), png(2)),
    "animals/dog_02": (svg("Dog", "animal dog"), png(3)),
    "flags/flag_of_x": (svg("Flag", "flag"), png(4)),
    "flags/unfree": (svg("Flag", "flag", licence="http://creativecommons.org/licenses/GPL/2.0/"), png(5)),
    "shapes/star": (svg("Star", "magick shape"), png(6)),
    "odd/none": (svg("None", "unheard"), png(7)),
    "odd/broken": (b"<svg><metadata>", png(8)),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages of ``DRAWINGS``, with a link each, unpacked below ``ROOT/openclipart``."""
    home = tmp_path / "openclipart"
    for which, kind in enumerate(("svg", "png")):
        files = {f"{SHARE}/{kind}/{path}.{kind}": pair[which] for path, pair in DRAWINGS.items()}
        unpack(deb(home / f"{kind}.deb", files, {f"{SHARE}/{kind}/again.{kind}": f"animals/x.{kind}"}), home)
    return tmp_path


def parsed(root: Path, **options: Any) -> Raw:
    raw: Raw = Openclipart(**{"queries": 1} | options).raw(root)
    return raw


def test_labelled_public_drawings_with_pixels_of_their_own_are_kept(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.texts == ["Cat. cat. A cat.", "Dog. dog", "Dog. dog", "Flag. flag of x"]


def test_what_is_left_out_is_counted(copy: Path) -> None:
    assert [note for note in parsed(copy).notes if note.startswith("left out")] == [
        "left out, malformed XML: 1",
        "left out, not declared Public Domain: 1",
        "left out, star polygons made by a program: 1",
        "left out, with the pixels of another: 1",
    ]


def test_a_picture_of_many_pixels_is_left_out(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openclipart, "WIDEST", 5)
    for name in ("animals/cat_01", "flags/flag_of_x"):
        path = copy / "openclipart" / f"usr/share/openclipart/png/{name}.png"
        path.write_bytes(png(len(name), size=(1, 1)))
    assert parsed(copy).texts == ["Cat. cat. A cat.", "Flag. flag of x"]


def test_keywords_give_classes(copy: Path) -> None:
    raw = parsed(copy)
    rows = [[raw.classes[c] for c in np.flatnonzero(row)] for row in raw.labels]
    assert rows == [["animal", "mammal"]] * 3 + [["flag"]]


def test_a_drawing_with_the_text_of_another_is_no_query(copy: Path) -> None:
    asked = {parsed(copy, seed=seed).query.item() for seed in range(20)}
    assert asked == {0, 3}


def test_an_id_depends_on_the_path_alone(copy: Path) -> None:
    before = parsed(copy).ids
    (copy / "openclipart" / "usr/share/openclipart/svg/animals/cat_01.svg").unlink()
    after = parsed(copy).ids
    assert set(before[1:]) <= set(after)


def test_transparent_pixels_are_white(copy: Path) -> None:
    path = copy / "openclipart" / "usr/share/openclipart/png/animals/cat_01.png"
    path.write_bytes(png(0, opaque=False))
    assert parsed(copy).image(0).getpixel((0, 0)) == (255, 255, 255)


def test_a_damaged_picture_is_named(copy: Path) -> None:
    path = copy / "openclipart" / "usr/share/openclipart/png/animals/cat_01.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"cat_01\.png: cannot be read as a picture"):
        parsed(copy).image(0)


def test_installed_packages_do_instead(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openclipart, "INSTALLED", copy / "openclipart" / "usr/share/openclipart")
    assert len(parsed(tmp_path / "elsewhere").ids) == 4


def test_without_packages_the_message_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openclipart, "INSTALLED", tmp_path / "missing")
    with pytest.raises(DataError, match=r"missing/svg: no such folder.*bench data get openclipart"):
        parsed(tmp_path)


WORDS = {"animal": "a cat that sleeps", "flag": "a flag in the wind", "food": "an apple on a plate"}


def test_miniature_packages_reach_a_table_and_the_pictures_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    files: dict[str, dict[str, bytes]] = {"svg": {}, "png": {}}
    for number, (word, title) in enumerate([*WORDS.items()] * 20):
        files["svg"][f"{word}/{number}"] = svg(f"{title} {number}", word)
        files["png"][f"{word}/{number}"] = png(number)
    for kind, named in files.items():
        package = {f"{SHARE}/{kind}/{path}.{kind}": content for path, content in named.items()}
        unpack(deb(tmp_path / f"{kind}.deb", package), tmp_path / "openclipart")
    data = ["openclipart[queries=6]", "--data-root", str(tmp_path)]
    assert main(["data", "prepare", *data]) == 0
    results = bench.run(
        methods="cca", datasets=data[0], bits="8", seeds=1, schedule="shuffled:27", data_root=str(tmp_path),
        results=str(tmp_path / "runs"),
    )  # fmt: skip
    assert [record.status for record in results] == ["ok"]
    viewer = retrieval.collect(results, tmp_path, 10**6)[data[0]]
    assert len(viewer["queries"]) == 6 and viewer["pictures"]
    assert all(item["image"].startswith("data:image/") for item in viewer["items"].values())


@pytest.fixture
def packages(real: Callable[[str], Path]) -> Path:
    """A data root with Debian's packages: any, if they are installed; skips the test without them."""
    if (openclipart.INSTALLED / "svg").is_dir():
        return Path("nowhere")
    return real("openclipart/usr/share/openclipart/svg").parents[4]


def test_the_packages_of_debian_give_the_counts_of_the_card(packages: Path) -> None:
    raw = Openclipart().raw(packages)
    assert (len(raw.train), len(raw.query), raw.labels.shape[1]) == (4016, 800, 36)
    assert raw.image(0).mode == "RGB" and all(raw.texts)
    assert [note for note in raw.notes if not note.startswith("left out")] == []


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_version_that_newer_parsers_refuse_is_read_by_all(quote: str) -> None:
    plain = svg("a duck")
    assert metadata(plain.replace(b'version="1.0"', f"version={quote}1{quote}".encode())) == metadata(plain)


def test_entities_are_refused() -> None:
    bomb = '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(Refused, match="with XML entities"):
        metadata(svg("&b;", head=bomb))


def test_a_huge_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openclipart, "LARGEST", 100)
    with pytest.raises(Refused, match="larger than"):
        metadata(svg("x"))


def test_a_second_licence_keeps_a_drawing_out() -> None:
    stored = svg("x").replace(b"</cc:Work>", b'<cc:license rdf:resource="other"/></cc:Work>')
    assert metadata(stored).licences == {PUBLIC, "other"}


def test_a_package_without_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"!<arch>\n")
    with pytest.raises(DataError, match=r"x\.deb: has no member data\.tar"):
        unpack(path, tmp_path / "out")


def test_a_package_that_writes_outside_its_folder_is_refused(tmp_path: Path) -> None:
    path = deb(tmp_path / "x.deb", {"../outside": b"x"})
    with pytest.raises(DataError, match="lies outside the folder"):
        unpack(path, tmp_path / "out")


def test_links_of_a_package_are_not_made(tmp_path: Path) -> None:
    path = deb(tmp_path / "x.deb", {"./a": b"x"}, {"./b": "/etc/passwd"})
    assert unpack(path, tmp_path / "out") == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]


def test_a_truncated_package_is_refused(tmp_path: Path) -> None:
    path = deb(tmp_path / "x.deb", {"./a": bytes(range(256)) * 50})
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match="is damaged"):
        unpack(path, tmp_path / "out")
