"""Fashion Product Images: a shop's product photos and titles, with kinds and colours as labels."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Labels, Raw, RawSource, param, time_column
from bench.datasets import _official, _pictures

# fmt: off
COLUMNS = [
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage",
]
# fmt: on
TIMES = ("year", "season")
CARD = Card(
    name="fashion",
    title="Fashion Product Images (Small)",
    sources=("https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",),
    licence="MIT according to Kaggle; the photos belong to a shop",
    citation="P. Aggarwal. Fashion Product Images (Small). Kaggle, 2019.",
    files=(
        Expected(
            path="styles.csv",
            note="needs a Kaggle account; put the photos ID.jpg beside it, in a folder or a zip",
        ),
    ),
    counts={"": Counts(queries=2000)},
)


class Fashion(RawSource):
    """Photos of 60 × 80 pixels with the products' titles.

    Reads ``styles.csv`` and the photos ``ID.jpg`` below ``ROOT/fashion``, from folders or directly from
    zips. Labels come from the column ``subCategory`` (one per product), or also from ``baseColour`` (two:
    products of one colour are then relevant to each other, whatever they are). A value that fewer than
    ``least`` products share is no label, and a product without a label is left out. Time columns are
    ``year`` and ``season``: --schedule timed:year or timed:year+season. The parent of a kind is its
    ``masterCategory``.
    """

    labels: Literal["subCategory", "subCategory+baseColour"] = param(
        "subCategory", "columns that give labels"
    )
    least: int = param(100, "how many products must share a value to make it a label", least=1)
    queries: int = param(2000, "number of random query products", least=1)
    seed: int = param(0, "random seed of the query products", least=0)
    image: str = param("hog", "view to use as image features")
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        path = _official.expect(home, "styles.csv", "the product table of Kaggle's Fashion Product Images")
        table, dropped = _table(path)
        names = [f"{row['id']}.jpg" for row in table]
        pictures, rows, missing = _pictures.choose(home, _pictures.gather(home), names)
        table = [table[i] for i in rows]
        labels, classes = _labels(table, self.labels.split("+"), self.least)
        kept = np.flatnonzero(labels.any(axis=1))
        train, query, drawn = _official.split(labels[kept], self.queries, self.seed)
        rare = f"dropped products without a label of {self.least} products: {len(table) - len(kept)}"
        return Raw(
            ids=np.array([int(table[i]["id"]) for i in kept], dtype=np.intp),
            image=pictures.take(kept),
            texts=[table[i]["title"] for i in kept],
            labels=labels[kept],
            classes=classes,
            parents=_parents(table, classes),
            train=train,
            query=query,
            notes=tuple(filter(None, (*dropped, missing, drawn, rare if len(kept) < len(table) else ""))),
            times={
                name: time_column(f"{path}, column {name}", [table[i].get(name, "") for i in kept])
                for name in TIMES
            },
        )


def _table(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The usable rows, and notes. Some copies do not quote commas: the title is all that remains."""
    try:  # line by line: an unclosed quote would swallow all later lines
        stored = [row for line in _official.lines(path) for row in csv.reader([line])]
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV ({error}); expected Kaggle's table. Copy it again.") from error
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
    note = f"dropped rows of styles.csv without a number or a title, or repeated: {lost}"
    return titled, [note] if lost else []


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


def _parents(table: list[dict[str, str]], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The usual ``masterCategory`` of every kind; none for a colour."""
    usual: dict[str, Counter[str]] = {}
    for row in table:
        usual.setdefault(f"subCategory={row.get('subCategory', '')}", Counter())[row["masterCategory"]] += 1
    return tuple(usual[name].most_common(1)[0][0] if name in usual else "" for name in classes)
