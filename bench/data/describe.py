"""Statistics of a dataset: sizes, labels, base rate, empty queries, duplicates, constant columns.

Memory does not grow with queries × items; 190,000 pairs take seconds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contract import times
from bench.contract.blocks import blocks as cut
from bench.contract.dataset import Dataset
from bench.contract.items import MODALITIES, Batch, Features, Labels, Split
from bench.contract.times import Times
from bench.errors import DataError

Floats = npt.NDArray[np.float64]
BLOCK_BYTES = 1 << 25
CONSTANT = 1e-6  # a column whose sd is below this share of the matrix's root mean square


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, minimum and maximum of some values."""

    mean: float
    min: float
    max: float

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Spread:
        return cls(float(values.mean(dtype=np.float64)), float(values.min()), float(values.max()))

    def __str__(self) -> str:
        return f"mean {self.mean:.4g}, min {self.min:.4g}, max {self.max:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Counts of items that equal an earlier one bit for bit, in both modalities or in one.

    ``query_in_train`` counts queries that equal a training item.
    """

    train: int
    query: int
    query_in_train: int

    def __str__(self) -> str:
        return (
            f"{self.train} in train, {self.query} in query, {self.query_in_train} queries equal a train item"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """Counts and rates of one dataset; ``str()`` gives the lines that `bench info` prints."""

    name: str
    train: int  # pairs
    query: int
    dimensions: dict[str, int]  # "image", "text", "image view clip", ... → columns
    constant_columns: dict[str, int]  # the same keys → columns of train that hardly vary
    labels_per_item: Spread  # in train
    class_counts: dict[str, int]  # class → training items
    base_rate: Spread  # per query: share of training items that are relevant
    empty_queries: int  # with no relevant training item
    unlabelled: int  # training items without a label
    duplicates: dict[str, Duplicates]  # "pair", "image", "text"
    parents: dict[str, int] = field(default_factory=dict)  # parent of classes → its classes
    times: dict[str, str] = field(default_factory=dict)  # time column → its values, in a few words

    def __str__(self) -> str:
        ordered = sorted(self.class_counts.items(), key=lambda item: -item[1])
        classes = [f"{name} {count}" for name, count in ordered]
        if len(classes) > 12:
            classes[6:-5] = ["..."]
        constant = ", ".join(f"{count} in {name}" for name, count in self.constant_columns.items() if count)
        rows = [
            ("pairs", f"{self.train} train, {self.query} query"),
            ("features", ", ".join(f"{name} {d}" for name, d in self.dimensions.items())),
            ("constant columns", constant or "none"),
            ("labels per item", str(self.labels_per_item)),
            ("classes", f"{len(ordered)}: {', '.join(classes)}"),
            ("base rate", f"{self.base_rate} (per query; the mAP of random codes)"),
            ("empty queries", f"{self.empty_queries} of {self.query}"),
            ("unlabelled", f"{self.unlabelled} of {self.train} train items"),
            *self._parents(),
            *(("times", f"{name}: {text} (--schedule timed:{name})") for name, text in self.times.items()),
            *((f"equal {kind}s", str(counts)) for kind, counts in self.duplicates.items()),
        ]
        return "\n".join(f"{title + ':':18} {text}" for title, text in rows)

    def _parents(self) -> Iterator[tuple[str, str]]:
        if self.parents:
            named = ", ".join(f"{name} {count}" for name, count in self.parents.items())
            yield "parents", f"{len(self.parents)}, with the number of their classes: {named}"


def describe(dataset: Dataset) -> DatasetStatistics:
    """Compute the statistics of a dataset that :func:`bench.contract.validate.validate_dataset` accepts."""
    labels, asked = _labels(dataset.train, dataset), _labels(dataset.query, dataset)
    per_item = np.concatenate([b.sum(axis=1) for b in blocks(labels)])
    names = dataset.classes or tuple(str(c) for c in range(labels.shape[1]))
    rate = base_rates(asked, labels)
    matrices = dict(_matrices(dataset.train))
    return DatasetStatistics(
        name=dataset.name,
        train=len(dataset.train),
        query=len(dataset.query),
        dimensions={name: x.shape[1] for name, x in matrices.items()},
        constant_columns={name: len(constant_columns(*moments(x))) for name, x in matrices.items()},
        labels_per_item=Spread.of(per_item),
        class_counts=dict(zip(names, (int(c) for c in labels.sum(axis=0, dtype=np.int64)), strict=True)),
        base_rate=Spread.of(rate),
        empty_queries=int((rate == 0).sum()),
        unlabelled=int((per_item == 0).sum()),
        duplicates=_duplicates(dataset),
        parents=dict(Counter(filter(None, dataset.parents)).most_common()),
        times={name: _span(column) for name, column in dataset.times.items()},
    )


def _span(column: Times) -> str:
    """The number of distinct times, the first and the last, and how many items have none."""
    places, names = times.order(column)
    if not names:
        return "unknown for all items"
    unknown = int((places < 0).sum())
    lacking = f"; unknown for {unknown} items" if unknown else ""
    return f"{len(names)} values, {names[0]} to {names[-1]}{lacking}"


def blocks(x: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Cut ``x`` into runs of rows of at most 32 MB in float64: a memory map never fills the memory."""
    return cut(x, BLOCK_BYTES // 8)


def moments(x: Features) -> tuple[Floats, Floats]:
    """Mean and standard deviation of every column, in float64, without cancellation."""
    shift = x[0].astype(np.float64)
    total, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for block in blocks(x):
        centred = block - shift
        total += centred.sum(axis=0)
        squares += np.einsum("ij,ij->j", centred, centred)
    mean = total / len(x)
    return mean + shift, np.sqrt(np.maximum(squares / len(x) - mean**2, 0))


def constant_columns(mean: Floats, sd: Floats) -> npt.NDArray[np.intp]:
    """Numbers of the columns that hardly vary, from the moments of all columns."""
    scale = np.sqrt(np.mean(sd**2 + mean**2))
    return np.flatnonzero(sd <= CONSTANT * scale)


def base_rates(query: Labels, train: Labels) -> Floats:
    """Share of training items that share a label with each query (n,); exact.

    Equal label rows are compared once, since real data have far fewer label sets than items.
    """
    sets, _, counts = _label_sets(train)
    asked, which, _ = _label_sets(query)
    rates = np.empty(len(asked))
    step = max(1, BLOCK_BYTES // (4 * len(sets)))
    for start in range(0, len(asked), step):
        shared = asked[start : start + step] @ sets.T
        rates[start : start + step] = (shared > 0) @ counts.astype(np.float64) / len(train)
    return rates[which]


def row_digests(x: Features) -> npt.NDArray[np.void]:
    """A digest of 16 bytes per row; rows that are equal bit for bit have equal digests."""
    digests = bytearray()
    for block in blocks(x):
        for row in np.ascontiguousarray(block):
            digests += hashlib.blake2b(row.data, digest_size=16).digest()
    return np.frombuffer(bytes(digests), dtype="V16")


def _label_sets(labels: Labels) -> tuple[Features, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The distinct rows as float32, the set number of every row, and how often each set occurs."""
    packed = np.packbits(labels, axis=1)
    keys = packed.view(f"V{packed.shape[1]}").ravel()
    _, first, which, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return labels[first].astype(np.float32), which, counts


def _duplicates(dataset: Dataset) -> dict[str, Duplicates]:
    digests = {
        m: [row_digests(split.batch(m).features) for split in (dataset.train, dataset.query)]
        for m in MODALITIES
    }
    pairs = [
        np.column_stack([digests[m][part].view("u8").reshape(-1, 2) for m in MODALITIES]).view("V32").ravel()
        for part in (0, 1)
    ]
    duplicates = {}
    kinds: list[tuple[str, list[npt.NDArray[np.void]]]] = [("pair", pairs), *digests.items()]
    for kind, (train, query) in kinds:
        duplicates[kind] = Duplicates(
            train=len(train) - len(np.unique(train)),
            query=len(query) - len(np.unique(query)),
            query_in_train=int(np.isin(query, train).sum()),
        )
    return duplicates


def _matrices(split: Split) -> Iterator[tuple[str, Features]]:
    for modality in MODALITIES:
        batch: Batch = split.batch(modality)
        yield modality, batch.features
        for view in sorted(batch.views):
            yield f"{modality} view {view}", batch.views[view]


def _labels(split: Split, dataset: Dataset) -> Labels:
    if split.labels is None:
        raise DataError(
            f"dataset {dataset.name!r}: has no labels; expected uint8 (n, classes), which decide what is "
            "relevant. Add them in load()."
        )
    return split.labels
