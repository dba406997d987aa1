"""Findings on features that give labels away, and on rows that were normalised to one length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from bench.contract.items import MODALITIES, Features, Labels, Split
from bench.contract.method import Capabilities
from bench.data.finding import Finding

Floats = npt.NDArray[np.float64]

SAMPLE = 2000  # training items that are looked at
EQUAL = 0.999  # correlation from which a feature column is a label column
FEW = 10  # items with, and without, a label below which an equal column may be chance
SAME = 1e-6  # share of the variance among items with equal labels, below which labels decide the features


def of_labels(train: Split) -> Iterator[Finding]:
    """A finding for the features of each modality, and for a view that gives labels away."""
    assert train.labels is not None
    rows = np.sort(np.random.default_rng(0).permutation(len(train))[:SAMPLE])
    labels = train.labels[rows]
    for modality in MODALITIES:
        batch = train.batch(modality)
        yield _of_features(modality, batch.features[rows], labels)
        for view, features in sorted(batch.views.items()):
            found = _of_features(f"{modality} view {view}", features[rows], labels)
            if found.level != "PASS":
                yield found


def _of_features(name: str, features: Features, labels: Labels) -> Finding:
    topic = f"labels in {name}"
    x = features.astype(np.float64)
    decided, share = _decided(x, labels)
    if share <= SAME:
        return Finding(
            "FAIL",
            topic,
            "items with the same labels have the same features: these are the labels in another form, and "
            "retrieval with them says nothing. Map another variable.",
        )
    given = labels.sum(axis=0, dtype=np.int64)
    tested = np.flatnonzero((given >= FEW) & (len(labels) - given >= FEW))
    alike = np.abs(_standard(x).T @ _standard(labels[:, tested].astype(np.float64))) / len(x)
    held = alike.max(axis=0) > EQUAL
    if held.any():
        column, label = int(alike[:, held][:, 0].argmax()), int(tested[held][0])
        return Finding(
            "FAIL" if held.all() else "WARN",
            topic,
            f"{int(held.sum())} of {len(tested)} label columns are columns of the features too (first: label "
            f"{label} is feature {column}): methods see the labels of queries. Remove these columns.",
        )
    if len(decided):
        return Finding(
            "WARN",
            topic,
            f"{len(decided)} features are equal wherever the labels are (first: {decided[0]}), "
            "as class numbers would be: methods see the labels of queries. Remove them.",
        )
    if not len(tested):
        return Finding("PASS", topic, "not tested: no label has enough items")
    return Finding("PASS", topic, "no feature column is a label column")


def _decided(x: Floats, labels: Labels) -> tuple[npt.NDArray[np.intp], float]:
    """The columns that are equal for items with equal labels, and differ between others; and the share of
    the variance of all columns that is left among items with equal labels."""
    _, which, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    several = counts[which] > 1
    if several.sum() < 5 * FEW or (counts > 1).sum() < 2:
        return np.zeros(0, np.intp), 1.0
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, which, x)
    rest = ((x - (sums / counts[:, None])[which])[several] ** 2).sum(axis=0)
    spread = ((x - x[several].mean(axis=0))[several] ** 2).sum(axis=0)
    columns = [c for c in np.flatnonzero((spread > 0) & (rest <= SAME * spread)) if _varies(x[several, c])]
    return np.array(columns, np.intp), float(rest.sum() / spread.sum()) if spread.sum() else 1.0


def _varies(column: Floats) -> bool:
    """Whether enough values differ from the most frequent one: a rare word may be equal by chance."""
    return len(column) - int(np.unique(column.round(9), return_counts=True)[1].max()) >= 5 * FEW


def _standard(x: Floats) -> Floats:
    """Columns of mean 0 and standard deviation 1; a constant one is 0."""
    centred = x - x.mean(axis=0)
    sd = np.sqrt((centred**2).mean(axis=0))
    standard: Floats = centred / np.where(sd > 0, sd, 1)
    return standard


def lengths(modality: str, features: Features, methods: Mapping[str, Capabilities]) -> Finding:
    """Whether all rows have one length; a warning where a method loses by that."""
    topic = f"{modality} row lengths"
    rows = np.sort(np.random.default_rng(0).permutation(len(features))[:SAMPLE])
    norms = np.linalg.norm(features[rows].astype(np.float64), axis=1)
    filled = norms[norms > 0]  # a text without a word is a row of zeros
    if not len(filled) or filled.std() > 1e-3 * filled.mean():
        return Finding("PASS", topic, f"from {norms.min():.3g} to {norms.max():.3g}")
    same = f"every row is {filled.mean():.3g} long: features were L2-normalised"
    named = [name for name, needs in methods.items() if needs.lengths]
    if not named:
        return Finding("PASS", topic, same)
    return Finding(
        "WARN",
        topic,
        f"{same}, and such rows lower the scores of {', '.join(named)}. Supply the features as they were "
        "extracted, or compare without it.",
    )
