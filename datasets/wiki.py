"""Wikipedia featured articles: 2866 image–text pairs of ten classes, as the owners' features or raw."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bench.api import (
    Batch,
    Card,
    Counts,
    DataError,
    Dataset,
    Expected,
    Labels,
    Raw,
    Split,
    finite,
    param,
)
from bench.datasets import _official, _pictures, _reading
from bench.datasets._bundle import BundledSource

SHAPES = {
    "I_tr": (2173, 128),
    "T_tr": (2173, 10),
    "L_tr": (2173, 1),
    "I_te": (693, 128),
    "T_te": (693, 10),
    "L_te": (693, 1),
}
CLASSES = (
    "art",
    "biology",
    "geography",
    "history",
    "literature",
    "media",
    "music",
    "royalty",
    "sport",
    "warfare",
)
CLASS_NUMBERS = {str(number + 1) for number in range(len(CLASSES))}
LISTS = {"tr": "trainset_txt_img_cat.list", "te": "testset_txt_img_cat.list"}
CARD = Card(
    name="wiki",
    title="Wikipedia featured articles (the Wikipedia dataset of cross-modal retrieval)",
    sources=("http://www.svcl.ucsd.edu/projects/crossmodal/",),
    licence=(
        "none stated for the features; Wikipedia's texts are CC BY-SA, its images have their own licences"
    ),
    citation=(
        "N. Rasiwasia, J. Costa Pereira, E. Coviello, G. Doyle, G. R. G. Lanckriet, R. Levy and "
        "N. Vasconcelos. A New Approach to Cross-Modal Multimedia Retrieval. ACM Multimedia, 2010."
    ),
    files=(
        Expected(
            path="wikipedia_dataset.zip",
            url="http://www.svcl.ucsd.edu/projects/crossmodal/wikipedia_dataset.zip",
            unpack=".",
            note="articles, pictures, both lists of pairs, and raw_features.mat with I_tr, T_tr, I_te, T_te",
        ),
        Expected(
            path="wikiData.mat", optional=True, note="the features with labels, as published code shares them"
        ),
    ),
    counts={"": Counts(pairs=2866, queries=693, classes=10)},
)


class Wiki(BundledSource):
    """2173 train and 693 query pairs; images 128-d SIFT bags of words, texts 10-d LDA topics, or views.

    The split is the authors'. ``features=owners`` reads ``wikiData.mat`` (in any case) in the data root or
    its folder ``wiki``, with I_tr, T_tr, L_tr, I_te, T_te and L_te (classes 1 to 10); or, below
    ``ROOT/wiki``, the owners' ``raw_features.mat`` and lists of pairs. ``features=views`` reads the views
    that `bench data prepare` extracted from the owners' pictures and articles. Without these files, a
    bundle is read (docs/datasets.md).
    """

    features: Literal["owners", "views"] = param("owners", "features: the owners', or prepared views")
    queries: int = param(693, "number of query items, if the files define none", least=1)
    schedule = "shuffled:400"
    card = CARD
    mark = LISTS["tr"]

    def files(self, root: Path) -> list[Path]:
        path = self._usual(root)
        if self.features == "views" or (path is None and self.chosen_bundle(root) is not None):
            return super().files(root)
        return [path] if path else [_owners(self.home(root)), *_lists(self.home(root)).values()]

    def load(self, root: Path) -> Dataset:
        path = self._usual(root)
        if self.features == "views" or (path is None and self.chosen_bundle(root) is not None):
            return super().load(root)
        if path is None:
            path = _owners(self.home(root))
            numbers = {f"L_{part}": _pairs(listed)[2] for part, listed in _lists(self.home(root)).items()}
            labels_from = "classes come from the owners' lists"
        else:
            numbers, labels_from = {}, "class numbers 1 to 10 became ten label columns"
        arrays = _read(path, without=tuple(numbers)) | numbers
        return Dataset(
            name="wiki",
            train=_split(path, arrays, "tr", first_id=0),
            query=_split(path, arrays, "te", first_id=SHAPES["I_tr"][0]),
            classes=CLASSES,
            notes=(f"read {path.name}: {', '.join(n for n in SHAPES if n not in numbers)}", labels_from),
        )

    def _usual(self, root: Path) -> Path | None:
        """``wikiData.mat``, unless an option asks for another bundle or another use of it."""
        chosen = self.bundle or self.mapping or self.split != "auto"
        return None if chosen else _bundle(root)

    def official(self, root: Path) -> Raw:
        home = self.home(root)
        lists = _lists(home)
        texts, images, numbers = (
            np.concatenate(column)
            for column in zip(*(_pairs(lists[part]) for part in ("tr", "te")), strict=True)
        )
        folder = _official.expect(home, "texts", "the folder of articles of wikipedia_dataset.zip")
        names = [name if name.lower().endswith(".jpg") else f"{name}.jpg" for name in images]
        pictures, rows, missing = _pictures.choose(home, _pictures.gather(home), names)
        train = len(_pairs(lists["tr"])[0])
        counts = Counts(pairs=len(rows), queries=int((rows >= train).sum()), classes=len(CLASSES))
        return Raw(
            ids=rows,
            image=pictures,
            texts=[_article(folder / f"{texts[i].removesuffix('.xml')}.xml") for i in rows],
            labels=_one_hot(numbers[rows]),
            classes=CLASSES,
            train=np.flatnonzero(rows < train),
            query=np.flatnonzero(rows >= train),
            notes=tuple(filter(None, (missing, *counts.differences(CARD.counts[""])))),
        )


def _bundle(root: Path) -> Path | None:
    """``wikiData.mat``, in any case, in the root or its folder ``wiki``; None if there is none."""
    for folder in (root, root / "wiki"):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.name.lower() == "wikidata.mat":
                    return path
    return None


def _owners(home: Path) -> Path:
    path = _official.find(home, "raw_features.mat")
    if path is None:
        raise DataError(
            f"{home.parent}: no wikiData.mat, nor wiki/wikiData.mat, nor wiki/raw_features.mat; expected "
            "the bundle that published code shares, with I_tr, T_tr, L_tr, I_te, T_te, L_te (for example in "
            "github.com/starxliu/FDDH), or the owners' distribution. Download it, name it wikiData.mat and "
            "give its folder as --data-root; or run `bench data get wiki`."
        )
    return path


def _lists(home: Path) -> dict[str, Path]:
    what = "the list of pairs of wikipedia_dataset.zip"
    return {part: _official.expect(home, name, what) for part, name in LISTS.items()}


def _pairs(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_], npt.NDArray[np.intp]]:
    """Article names, picture names and class numbers, in the order of the list."""
    rows = [re.split(r"\s+", line) for line in _official.lines(path)]
    good = [len(row) == 3 and row[2] in CLASS_NUMBERS and Path(row[0]).name == row[0] for row in rows]
    wrong = next((i for i, is_good in enumerate(good) if not is_good), None)
    if wrong is not None:
        raise DataError(
            f"{path}: line {wrong + 1} is {' '.join(rows[wrong])[:60]!r}; expected an article, a picture and "
            f"a class from 1 to {len(CLASSES)}. Copy the file again."
        )
    texts, images, numbers = zip(*rows, strict=True)
    return np.array(texts), np.array(images), np.array(numbers, dtype=np.intp)


def _article(path: Path) -> str:
    """The words of an article; its XML is often malformed, so tags are removed, not parsed."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", _official.text(path))).split())


def _read(path: Path, without: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """The variables of a bundle, with their usual shapes."""
    available = _reading.variables(path)
    wanted = {name: shape for name, shape in SHAPES.items() if name not in without}
    for name, shape in wanted.items():
        known = available.get(name)
        if known is None or known.shape != shape:
            fact = (
                f"missing among {', '.join(sorted(available))}" if known is None else f"shape {known.shape}"
            )
            raise DataError(
                f"{path}: variable {name}: {fact}; expected shape {shape}. Get the usual {path.name}, or "
                "read another split with the dataset 'files'."
            )
    return {name: available[name].read() for name in wanted}


def _split(path: Path, arrays: dict[str, npt.NDArray[Any]], part: str, *, first_id: int) -> Split:
    features = {}
    for name in (f"I_{part}", f"T_{part}"):
        features[name[0]] = arrays[name].astype(np.float32)
        finite(f"{path}, variable {name}", features[name[0]])
    numbers = arrays[f"L_{part}"].ravel()
    wrong = ~np.isin(numbers, np.arange(1, len(CLASSES) + 1))
    if wrong.any():
        raise DataError(
            f"{path}: variable L_{part}: row {int(wrong.argmax())} is class {numbers[wrong][0]}; expected 1 "
            f"to {len(CLASSES)}. Get the usual wikiData.mat."
        )
    if len(numbers) != len(features["I"]):
        raise DataError(
            f"{path}: {len(features['I'])} rows and a list of {len(numbers)} pairs; expected equal numbers. "
            "Use files of one copy."
        )
    ids = np.arange(first_id, first_id + len(numbers), dtype=np.intp)
    return Split(
        image=Batch(features["I"]),
        text=Batch(features["T"]),
        labels=_one_hot(numbers.astype(np.intp)),
        ids=ids,
    )


def _one_hot(numbers: npt.NDArray[np.intp]) -> Labels:
    labels = np.zeros((len(numbers), len(CLASSES)), np.uint8)
    labels[np.arange(len(numbers)), numbers - 1] = 1
    return labels
