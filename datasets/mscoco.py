"""MS-COCO 2014 and 2017: photos with five captions each, and 80 kinds of objects as labels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Labels, Raw, param
from bench.datasets import _official, _pictures
from bench.datasets._bundle import BundledSource

SITE = "http://images.cocodataset.org"


def _zip(name: str, size: int, sha256: str, note: str) -> Expected:
    """A file of the owners; sizes and checksums come from TensorFlow Datasets."""
    year = name.removesuffix(".zip")[-4:]
    annotations = name.startswith("annotations")
    url = f"{SITE}/{'annotations' if annotations else 'zips'}/{name}"
    return Expected(
        path=name,
        url=url,
        bytes=size,
        sha256=sha256,
        unpack="." if annotations else "",
        variant=year,
        note=note,
    )


FILES = (
    _zip(
        "annotations_trainval2014.zip",
        252_872_794,
        "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
        "instances and captions",
    ),
    _zip(
        "train2014.zip",
        13_510_573_713,
        "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        "82,783 photos, read from the zip",
    ),
    _zip(
        "val2014.zip",
        6_645_013_297,
        "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        "40,504 photos, read from the zip",
    ),
    _zip(
        "annotations_trainval2017.zip",
        252_907_541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        "instances and captions",
    ),
    _zip(
        "train2017.zip",
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        "118,287 photos, read from the zip",
    ),
    _zip(
        "val2017.zip",
        815_585_330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        "5000 photos, read from the zip",
    ),
)
CARD = Card(
    name="mscoco",
    title="Microsoft COCO: Common Objects in Context",
    sources=("https://cocodataset.org/#download",),
    licence="annotations CC BY 4.0; photos under Flickr's terms and their own licences",
    citation=(
        "T.-Y. Lin, M. Maire, S. Belongie, J. Hays, P. Perona, D. Ramanan, P. Dollár and C. L. Zitnick. "
        "Microsoft COCO: Common Objects in Context. ECCV, 2014."
    ),
    files=FILES,
    variants={
        "2014": "train2014 and val2014 together; photos with a labelled object",
        "2017": "the same photos under the names and annotations of 2017",
    },
    counts={year: Counts(pairs=122_218, queries=5000, classes=80) for year in ("2014", "2017")},
)


class Mscoco(BundledSource):
    """Photos with their captions, and the kinds of objects that annotators outlined.

    Reads ``instances_*.json`` and ``captions_*.json`` of train and val, and the photos, from folders or
    directly from the zips in ``ROOT/mscoco``; or a bundle (docs/datasets.md). As in papers on hashing,
    train and val are joined, photos without a labelled object left out, and queries drawn at random.
    """

    variant: Literal["2014", "2017"] = param("2014", "edition of photos and annotations")
    captions: Literal["all", "first"] = param("all", "captions in a text: all of them, or the first")
    queries: int = param(5000, "number of random query items, if the files define none", least=1)
    owners_split: bool = param(False, "queries: the photos of the owners' val part")
    card = CARD
    aliases = ("coco",)
    mark = "instances_*.json"

    def official(self, root: Path) -> Raw:
        home = self.home(root)
        names: dict[int, str] = {}
        texts: dict[int, list[str]] = defaultdict(list)
        objects: set[tuple[int, int]] = set()
        kinds: dict[int, str] = {}
        for part in ("train", "val"):
            instances = _parse(home, f"instances_{part}{self.variant}.json", "categories")
            names |= dict(instances["images"])
            val = {image for image, _ in instances["images"]}  # of the second part, in the end
            objects |= set(instances["annotations"])
            kinds |= {kind["id"]: kind["name"] for kind in instances["categories"]}
            for image, _, caption in sorted(
                _parse(home, f"captions_{part}{self.variant}.json")["annotations"]
            ):
                if caption.strip():
                    texts[image].append(" ".join(caption.split()))
        ids = sorted(image for image in names if texts[image])
        pictures, rows, missing = _pictures.choose(
            home, _pictures.gather(home), [names[image] for image in ids]
        )
        columns = sorted(kinds)
        labels = _labels(home, objects, names.keys(), ids, columns)
        labelled = labels[rows].any(axis=1)
        kept = rows[labelled]
        if self.owners_split:
            asked = np.array([ids[i] in val for i in kept], dtype=bool)
            train, query, drawn = _official.by_owners(labels[kept], asked, f"val{self.variant}")
        else:
            train, query, drawn = _official.split(labels[kept], self.queries, self.seed, self.split)
        counts = Counts(pairs=len(kept), queries=len(query), classes=len(columns))
        notes = (
            f"dropped photos without a labelled object: {int((~labelled).sum())}",
            f"dropped photos without a caption: {len(names) - len(ids)}" if len(names) > len(ids) else "",
            missing,
            drawn,
            *counts.differences(CARD.counts[self.variant]),
        )
        return Raw(
            ids=np.array(ids, dtype=np.intp)[kept],
            image=pictures.take(np.flatnonzero(labelled)),
            texts=[" ".join(texts[ids[i]][: None if self.captions == "all" else 1]) for i in kept],
            labels=labels[kept],
            classes=tuple(kinds[c] for c in columns),
            train=train,
            query=query,
            notes=tuple(filter(None, notes)),
        )


def _labels(
    home: Path, objects: Iterable[tuple[int, int]], images: Container[int], ids: list[int], columns: list[int]
) -> Labels:
    """One row per entry of ``ids``, one column per kind; objects in other ``images`` are left out."""
    row, column = ({value: i for i, value in enumerate(order)} for order in (ids, columns))
    labels = np.zeros((len(ids), len(columns)), np.uint8)
    for image, kind in objects:
        if image not in images or kind not in column:
            raise DataError(
                f"{home}: an object has kind {kind} and image {image}, and one of them is not listed; "
                "expected files of one edition. Unpack the annotations again."
            )
        if image in row:
            labels[row[image], column[kind]] = 1
    return labels


def _parse(home: Path, name: str, *more: str) -> dict[str, Any]:
    """Parse a file of annotations, without the outlines that fill most of its half gigabyte.

    Images become (id, file name), objects (image, kind), captions (image, id, caption).
    """

    def shorten(entry: dict[str, Any]) -> Any:
        if "category_id" in entry:
            return entry["image_id"], entry["category_id"]
        if "caption" in entry:
            return entry["image_id"], entry["id"], entry["caption"]
        return (entry["id"], entry["file_name"]) if "file_name" in entry else entry

    path = _official.expect(home, name, "a file of COCO's annotations")
    try:
        parsed = json.loads(_official.text(path), object_hook=shorten)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}: holds no COCO annotations ({error}); expected JSON with images and annotations. It "
            "may be truncated: unpack it again."
        ) from error
    missing = [key for key in ("images", "annotations", *more) if key not in parsed]
    if missing:
        raise DataError(f"{path}: has no {missing[0]}; expected COCO's annotations. Unpack the file again.")
    annotations: dict[str, Any] = parsed
    return annotations
