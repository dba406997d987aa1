"""Open Clip Art: public-domain drawings from Debian's packages, with titles, descriptions and keywords.

Traps: the drawings are transparent, and without a white background black lines vanish; 1375 generated stars
would be a fifth of all pictures; keywords are free text, so classes are our own groups of them.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Labels, Raw, RawSource, Rows, param
from bench.datasets import _official

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALLED = Path("/usr/share/openclipart")  # where the packages put their files
LARGEST = 4 << 20  # bytes of an SVG that is read; the largest of the package has 1.7 MB
WIDEST = 4_000_000  # pixels of a picture; 18 have more, up to 623 million
PUBLIC_DOMAIN = {
    "http://web.resource.org/cc/PublicDomain",
    "http://creativecommons.org/licenses/publicdomain/",
    "http://creativecommons.org/publicdomain/zero/1.0/",
}
NOISE = re.compile(r"\S+@\S+|\([^)]*\d\d:\d\d:\d\d \d{4}\)")  # e-mail addresses and dates of files
VERSION = re.compile(rb"""^<\?xml version=(["'])1\1""")  # one drawing; new versions of expat refuse it
GENERATED = "magick"  # the keyword of a program's 1375 star polygons
CLASSES = {  # class → the keywords, in lower case, of which any one gives it
    "animal": "animal mammal bird insect fish dinosaur dog cat bear feline penguin horse bug reptile cow pig",
    "mammal": "mammal dog cat bear feline horse cow pig",
    "bird": "bird penguin duck chicken",
    "insect": "insect bug bee butterfly spider",
    "plant": "plant flower tree leaf garden evergreen",
    "food": "food fruit dessert desserts vegetable vegitable beverage protein icecream pizza candy",
    "fruit": "fruit apple",
    "drink": "beverage alcohol juice",
    "person": "people person man woman baby human face stickmen bodypart",
    "clothing": "clothing hat",
    "building": "building house home hotel city",
    "transport": "transport transportation vehicle car boat sailing airtravel roadtravel",
    "tool": "tool tools equipment work",
    "office": "office book education",
    "computer": "computer hardware desktop network internet pc tux linux button buttons webpage",
    "application": "application",
    "action": "action",
    "file": "filesystem mimetypes mime-types folder",
    "device": "device led lightbulb tv telephone phone voip electronic electricity clock satellite",
    "music": "music musicstuff musicsym trumpet drum",
    "sport": "sports sport ball baseball",
    "game": "game card cards chess dice toy jigsaw",
    "holiday": "holiday festive xmas christmas halloween valentine valentines party easter",
    "flag": "flag flags signalflag",
    "europe": "europe france spain united_kingdom germany denmark",
    "america": "america north_america south_america latin_america caribbean canada unitedstates northamerica",
    "asia": "asia arab",
    "africa": "africa",
    "oceania": "oceania australia polynesia micronesia",
    "map": "map mapsym map_symbol coastline geography",
    "weather": "weather weathersym cloud lightning sun",
    "sign": "sign roadsign warning caution signs_and_symbols",
    "symbol": "symbol symbols logo callout smiley",
    "arrow": "arrow arrowshape",
    "shape": "shape shapes geometry",
    "pattern": "pattern decoration ornamental flourish",
}
ARCHIVE = "https://snapshot.debian.org/archive/debian/20250520T000000Z/pool/main/o/openclipart"


def _package(kind: str, size: int, sha256: str) -> Expected:
    """One of Debian's packages; size and SHA-256 come from Debian's index of bookworm."""
    name = f"openclipart-{kind}_0.18+dfsg-19_all.deb"
    note = f"the {kind.upper()} files; `apt-get install openclipart-{kind}` does as well"
    return Expected(path=name, url=f"{ARCHIVE}/{name}", bytes=size, sha256=sha256, unpack=".", note=note)


CARD = Card(
    name="openclipart",
    title="Open Clip Art Library, release 0.18",
    sources=("https://packages.debian.org/bookworm/openclipart-png", "https://openclipart.org"),
    licence="Public Domain, as the metadata of every drawing that is kept say",
    citation="Open Clip Art Library, release 0.18, as packaged by Debian (1:0.18+dfsg-19).",
    files=(
        _package("png", 130_910_028, "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02"),
        _package("svg", 24_919_068, "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5"),
    ),
    counts={"": Counts(pairs=4816, queries=800, classes=len(CLASSES))},
)


class Openclipart(RawSource):
    """Drawings of animals, food, flags, icons, signs, ..., each with a short text.

    Reads the pictures ``png/.../NAME.png`` and the metadata in ``svg/.../NAME.svg``, from the unpacked
    packages below ``ROOT/openclipart`` or else from ``/usr/share/openclipart``. Keeps drawings whose
    metadata say Public Domain and nothing else; of drawings with equal pixels, the first by path. A text is
    title, file name and description. Labels are groups of keywords (``CLASSES`` in this file); a drawing
    without a label is left out. No query has the text of another drawing.
    """

    queries: int = param(800, "number of random query drawings", least=1)
    seed: int = param(0, "random seed of the query drawings", least=0)
    image: str = param("hog", "view to use as image features")
    clip: str | None = param(None, "CLIP to use as view clip: MODEL:WEIGHTS, FOLDER, or none")
    card = CARD

    def raw(self, root: Path) -> Raw:
        folder = _folder(self.home(root))
        drawings, notes = _drawings(folder)
        labels = _labels(drawings)
        kept = np.flatnonzero(labels.any(axis=1))
        drawings, labels = [drawings[i] for i in kept], labels[kept]
        texts = [drawing.text for drawing in drawings]
        train, query = _split(texts, labels, self.queries, self.seed)
        counts = Counts(pairs=len(kept), queries=len(query), classes=len(CLASSES))
        return Raw(
            ids=np.array([_number(drawing.path) for drawing in drawings], dtype=np.intp),
            image=Pictures(folder / "png", [f"{drawing.path}.png" for drawing in drawings]),
            texts=texts,
            labels=labels,
            classes=tuple(CLASSES),
            train=train,
            query=query,
            notes=(*notes, *counts.differences(CARD.counts[""])),
        )


@dataclass(frozen=True, slots=True)
class Pictures:
    """``pictures(row)`` decodes a drawing on a white background. Picklable."""

    folder: Path
    names: Sequence[str]

    def __call__(self, row: int) -> Image:
        from PIL import Image as Pillow

        path = self.folder / self.names[row]
        try:
            with Pillow.open(io.BytesIO(path.read_bytes())) as image:
                drawn = image.convert("RGBA")
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(
                f"{path}: cannot be read as a picture ({error}); expected a PNG. Unpack the package again."
            ) from error
        white = Pillow.new("RGBA", drawn.size, "white")
        return Pillow.alpha_composite(white, drawn).convert("RGB")

    def take(self, rows: Rows) -> Pictures:
        """The pictures of these rows, renumbered from 0."""
        return Pictures(self.folder, [self.names[row] for row in rows])


@dataclass(slots=True)
class Work:
    """The metadata of one SVG, as RDF of Dublin Core and Creative Commons."""

    title: str = ""
    description: str = ""
    keywords: set[str] = field(default_factory=set)
    licences: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Drawing:
    path: str  # below png and svg, without suffix
    text: str
    keywords: set[str]


class Refused(Exception):
    """The reason why an SVG is not read."""


class _Done(Exception):
    """The metadata are complete; the drawing itself need not be parsed."""


def metadata(stored: bytes) -> Work:
    """Read the first ``metadata`` element of an SVG; :class:`Refused` if that cannot be done safely.

    Declared entities are refused, expanded or not, and nothing outside the file is read.
    """
    if len(stored) > LARGEST:
        raise Refused(f"larger than {LARGEST >> 20} MB")
    reader, work = _Reader(), Work()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.EntityDeclHandler = _refuse_entity
    parser.StartElementHandler = reader.start
    parser.CharacterDataHandler = reader.characters
    parser.EndElementHandler = lambda name: reader.end(work)
    try:
        parser.Parse(VERSION.sub(rb"<?xml version=\g<1>1.0\g<1>", stored), True)
    except _Done:
        return work
    except (expat.ExpatError, UnicodeError, LookupError) as error:
        raise Refused("malformed XML") from error
    raise Refused("without metadata")


def _refuse_entity(*_: object) -> None:
    raise Refused("with XML entities")


@dataclass(slots=True)
class _Reader:
    """The elements that are open, without prefixes, and the text since the last tag."""

    path: list[str] = field(default_factory=list)
    text: str = ""
    licence: str = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name.rpartition(":")[2])
        self.text = ""
        self.licence = attributes.get("rdf:resource", "")

    def characters(self, text: str) -> None:
        self.text += text

    def end(self, work: Work) -> None:
        said, self.text = " ".join(NOISE.sub(" ", self.text).split()), ""
        match self.path:
            case [*_, "Work", "title"]:
                work.title = said
            case [*_, "Work", "description"]:
                work.description = said
            case [*_, "Work", "subject", "Bag", "li"] if said:
                work.keywords.add(said.lower())
            case [*_, "Work", "license"]:
                work.licences.add(self.licence)
            case [*_, "metadata"]:
                raise _Done
        self.path.pop()


def _folder(home: Path) -> Path:
    """The folder that holds png and svg: the unpacked packages, or else the installed ones."""
    unpacked = _official.find(home, "openclipart/svg")
    folder = INSTALLED if unpacked is None else unpacked.parent
    for kind in ("svg", "png"):
        if not (folder / kind).is_dir():
            raise DataError(
                f"{folder / kind}: no such folder; expected the files of openclipart-{kind}. Run: "
                "`bench data get openclipart`, or `apt-get install openclipart-png openclipart-svg`."
            )
    return folder


def _drawings(folder: Path) -> tuple[list[_Drawing], list[str]]:
    """The usable drawings by path, and notes that count the others."""
    drawings, left_out, seen = [], Counter[str](), set()
    for path in _paths(folder):
        png = folder / "png" / f"{path}.png"
        try:
            work = metadata((folder / "svg" / f"{path}.svg").read_bytes())
            if not work.licences or not work.licences <= PUBLIC_DOMAIN:
                raise Refused("not declared Public Domain")
            if GENERATED in work.keywords:
                raise Refused("star polygons made by a program")
            if not png.is_file() or png.is_symlink():
                raise Refused("without a PNG")
            stored = png.read_bytes()
            if math.prod(struct.unpack(">II", stored[16:24].ljust(8, b"\0"))) > WIDEST:
                raise Refused(f"of more than {WIDEST // 10**6} million pixels")
            if (pixels := _pixels(stored)) in seen:
                raise Refused("with the pixels of another")
        except Refused as reason:
            left_out[str(reason)] += 1
            continue
        seen.add(pixels)
        words = re.sub(r"[\d_]+", " ", path.rpartition("/")[2]).split()
        parts = filter(None, (work.title, " ".join(words), work.description))
        drawings.append(_Drawing(path, ". ".join(parts), work.keywords))
    return drawings, [f"left out, {reason}: {n}" for reason, n in sorted(left_out.items())]


def _paths(folder: Path) -> Iterator[str]:
    """Paths of all SVGs, without suffix; links name drawings a second time."""
    svg = folder / "svg"
    for path in sorted(svg.rglob("*.svg")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(svg).with_suffix("").as_posix()


def _pixels(png: bytes) -> bytes:
    """A digest of the chunks of a PNG that decide its pixels; dates and comments do not."""
    digest, at = hashlib.sha256(), 8
    while at + 8 <= len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT"):
            digest.update(png[at + 8 : at + 8 + size])
        at += size + 12
    return digest.digest()


def _labels(drawings: Sequence[_Drawing]) -> Labels:
    groups = [set(keywords.split()) for keywords in CLASSES.values()]
    rows = [[bool(group & drawing.keywords) for group in groups] for drawing in drawings]
    return np.array(rows, dtype=np.uint8).reshape(len(drawings), len(groups))


def _split(texts: Sequence[str], labels: Labels, queries: int, seed: int) -> tuple[Rows, Rows]:
    """Rows of train and of random queries; a drawing whose text another has is no query."""
    repeated = Counter(text.lower() for text in texts)
    single = np.array([repeated[text.lower()] == 1 for text in texts], dtype=bool)
    _, query, _ = _official.split(labels * single[:, None], queries, seed)
    return np.setdiff1d(np.arange(len(texts), dtype=np.intp), query), query


def _number(path: str) -> int:
    """An id that depends on the path alone."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:7], "big")
