"""Fashion Product Images: product photos of a shop, their titles, and kinds and colours as labels."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Labels, Raw, RawSource, param
from bench.datasets import _official, _pictures

# fmt: off
COLUMNS = [
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage",
]
# fmt: on
CARD = Card(
    name="fashion",
    title="Fashion Product Images (Small)",
    sources=("https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",),
    licence="MIT, as Kaggle states it; the photos are a shop's",
    citation="P. Aggarwal. Fashion Product Images (Small). Kaggle, 2019.",
    files=(
        Expected(
            path="styles.csv",
            note="download it with an account of Kaggle; the photos ID.jpg beside it, in a folder or a zip",
        ),
    ),
    counts={"": Counts(queries=2000)},
)


class Fashion(RawSource):
    """Photos of 60 × 80 pixels with the products' titles.

    Reads ``styles.csv`` and the photos ``ID.jpg`` below ``ROOT/fashion``, from folders or straight out of
    zips there. Labels are the columns ``subCategory`` (one per product) or that and ``baseColour`` (two:
    products of one colour are then relevant to each other, whatever they are). Values of fewer than
    ``least`` products are no labels, and a product that has none is left out.
    """

    labels: Literal["subCategory", "subCategory+baseColour"] = param("subCategory", "columns that are labels")
    least: int = param(100, "products that a value must have to be a label", least=1)
    queries: int = param(2000, "random query products", least=1)
    seed: int = param(0, "of the random query products", least=0)
    image: str = param("hog", "view of the pictures that is their features")
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        path = _official.expect(
            home, "styles.csv", "the table of products of Kaggle's Fashion Product Images"
        )
        table, dropped = _table(path)
        names = [f"{row['id']}.jpg" for row in table]
        pictures, rows, missing = _pictures.choose(home, _pictures.gather(home), names)
        table = [table[i] for i in rows]
        labels, classes = _labels(table, self.labels.split("+"), self.least)
        kept = np.flatnonzero(labels.any(axis=1))
        train, query = _official.split_at_random(labels[kept], self.queries, self.seed)
        rare = f"{len(table) - len(kept)} products have no label with {self.least} products: left out"
        return Raw(
            ids=np.array([int(table[i]["id"]) for i in kept], dtype=np.intp),
            image=pictures.take(kept),
            texts=[table[i]["title"] for i in kept],
            labels=labels[kept],
            classes=classes,
            train=train,
            query=query,
            notes=tuple(filter(None, (*dropped, missing, rare if len(kept) < len(table) else ""))),
        )


def _table(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The rows that can be used; a comma in a title is not quoted in every copy, so the rest is the title."""
    try:  # line by line: a quote that is never closed would swallow all that follows
        stored = [row for line in _official.lines(path) for row in csv.reader([line])]
    except csv.Error as error:
        raise DataError(f"{path}: is no table ({error}); expected Kaggle's. Copy it again.") from error
    if not stored or stored[0][: len(COLUMNS)] != COLUMNS:
        raise DataError(
            f"{path}: begins with {','.join(stored[0]) if stored else 'nothing'}; expected the columns "
            f"{', '.join(COLUMNS)} and a title. Copy styles.csv again."
        )
    table = [
        dict(zip(COLUMNS, row, strict=False)) | {"title": ",".join(row[len(COLUMNS) :]).strip()}
        for row in stored[1:]
        if row[0].isdigit()
    ]
    titled = list({row["id"]: row for row in table if row["title"]}.values())
    lost = len(stored) - 1 - len(titled)
    return titled, [
        f"{lost} rows of styles.csv without a number or a title, or repeated: dropped"
    ] if lost else []


def _labels(table: list[dict[str, str]], columns: list[str], least: int) -> tuple[Labels, tuple[str, ...]]:
    """Multi-hot labels of the frequent values, by column and then by name."""
    values = [(column, value) for row in table for column in columns if (value := row.get(column, ""))]
    frequent = sorted(pair for pair, n in Counter(values).items() if n >= least and pair[1] != "NA")
    frequent.sort(key=lambda pair: columns.index(pair[0]))
    column_of = {pair: c for c, pair in enumerate(frequent)}
    labels = np.zeros((len(table), len(frequent)), np.uint8)
    for i, row in enumerate(table):
        chosen = [column_of.get((column, row.get(column, ""))) for column in columns]
        labels[i, [c for c in chosen if c is not None]] = 1
    return labels, tuple(f"{column}={value}" for column, value in frequent)
