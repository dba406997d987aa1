"""Findings on a dataset and its stream: what would make results misleading, before anything is trained.

A finding is advice, not an error; :mod:`bench.contract.validate` refuses arrays that no run could use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bench.contract.dataset import Dataset
from bench.contract.items import MODALITIES, Features, Labels
from bench.contract.method import Capabilities
from bench.contract.validate import validate_dataset
from bench.data import leaks
from bench.data.describe import DatasetStatistics, blocks, constant_columns, describe, moments
from bench.data.finding import Finding
from bench.errors import DataError
from bench.records import UNEVEN, Schedule

__all__ = ["Finding", "examine"]

Floats = npt.NDArray[np.float64]
Moments = tuple[Floats, Floats]

SAMPLE = 500  # queries whose nearest training image is searched
NEAR = 0.999  # cosine of centred image features from which two items count as near-duplicates
PAIRS = 100_000  # random pairs that estimate how often two training items share a label
SHORT = 0.3  # root mean square length of rows below which methods with fixed weights collapse
EXACT = 1e-4  # a column mean below this share of its sd was set to zero: chance leaves about 1/sqrt(n)


def examine(
    dataset: Dataset,
    chunk_sizes: Sequence[int] = (),
    *,
    bits: int | None = None,
    schedule: Schedule | None = None,
    statistics: DatasetStatistics | None = None,
    methods: Mapping[str, Capabilities] | None = None,
) -> list[Finding]:
    """List the findings on a dataset and, if ``chunk_sizes`` are given, on the stream made of it.

    ``bits`` is the longest code that will be learned from a chunk, ``methods`` are those that will learn.
    ``statistics`` saves computing them again. Equal arguments give equal findings.
    """
    try:
        validate_dataset(dataset)
    except DataError as error:
        return [Finding("FAIL", "arrays", str(error))]
    known = statistics or describe(dataset)
    assert dataset.train.labels is not None
    train = {m: moments(dataset.train.batch(m).features) for m in MODALITIES}
    query = {m: moments(dataset.query.batch(m).features) for m in MODALITIES}
    findings = [
        Finding("PASS", "query in database", "no query id is in train"),
        _exact_duplicates(known),
        _near_duplicates(dataset, train["image"][0]),
        _unlabelled(known),
        _empty_queries(known),
        _classes(known),
        _base_rate(known),
        _order(dataset.train.labels, schedule),
        *(
            _normalised(m, train[m], query[m], len(dataset.train) / (len(dataset.train) + len(dataset.query)))
            for m in MODALITIES
        ),
        _constant(known),
        *(_scale(m, train[m], methods or {}) for m in MODALITIES),
        *(leaks.lengths(m, dataset.train.batch(m).features, methods or {}) for m in MODALITIES),
        *leaks.of_labels(dataset.train),
    ]
    return [*findings, *_chunks(chunk_sizes, bits, schedule)]


def _exact_duplicates(known: DatasetStatistics) -> Finding:
    topic = "duplicates"
    pair, image = known.duplicates["pair"].query_in_train, known.duplicates["image"].query_in_train
    if pair:
        return Finding(
            "FAIL" if pair > known.query / 100 else "WARN",
            topic,
            f"{pair} of {known.query} queries have the image and text features of a training item: they are "
            "copies, whose labels are known before the search, or the features are too coarse to tell items "
            "apart. Remove the copies from train, or use finer features.",
        )
    if image:
        return Finding(
            "WARN",
            topic,
            f"{image} of {known.query} queries have the image of a training item, with another text: the "
            "same picture is in query and train. Split by picture, or remove these queries.",
        )
    return Finding("PASS", topic, "no query equals a training item")


def _near_duplicates(dataset: Dataset, centre: Floats) -> Finding:
    topic = "near-duplicates"
    queries = dataset.query.image.features
    rows = np.random.default_rng(0).permutation(len(queries))[:SAMPLE]
    cosines = _nearest_cosines(np.asarray(queries[np.sort(rows)]), dataset.train.image.features, centre)
    near, n = int((cosines >= NEAR).sum()), len(cosines)
    if near > n / 100:
        return Finding(
            "WARN",
            topic,
            f"{near} of {n} sampled queries have a training image with a centred cosine of {NEAR} or more: "
            "copies and bursts of one scene inflate mAP. Split by source, or remove these queries.",
        )
    return Finding(
        "PASS", topic, f"{near} of {n} sampled queries have a training image with a cosine of {NEAR} or more"
    )


def _nearest_cosines(queries: Features, train: Features, centre: Floats) -> Floats:
    """Cosine of each query and its nearest training row, all centred.

    The nearest row is searched among random projections to 64 dimensions, where near-duplicates
    stay near; its cosine is then computed exactly.
    """
    d = train.shape[1]
    project: Features = np.eye(d, dtype=np.float32)
    if d > 64:
        project = np.random.default_rng(0).standard_normal((d, 64), dtype=np.float32) / np.float32(8)
    shift = centre.astype(np.float32)
    unit = _unit(queries - shift)
    short = unit @ project
    best, nearest = np.full(len(queries), np.inf, np.float32), np.zeros(len(queries), np.intp)
    start = 0
    for block in blocks(train):
        other = _unit(block - shift) @ project
        distance = (other**2).sum(axis=1) - 2 * short @ other.T  # up to the query's norm
        closest = distance.argmin(axis=1)
        least = distance[np.arange(len(queries)), closest]
        better = least < best
        best[better], nearest[better] = least[better], start + closest[better]
        start += len(block)
    cosines: Floats = np.einsum("ij,ij->i", unit, _unit(train[nearest] - shift), dtype=np.float64)
    return cosines


def _unit(x: Features) -> Features:
    norms: Features = np.linalg.norm(x, axis=1, keepdims=True)
    norms[norms == 0] = 1
    return x / norms


def _unlabelled(known: DatasetStatistics) -> Finding:
    topic = "unlabelled items"
    if known.unlabelled:
        return Finding(
            "WARN",
            topic,
            f"{known.unlabelled} of {known.train} training items have no label: they are relevant to no "
            "query and teach supervised methods nothing. Drop them, or state that they are part of the task.",
        )
    return Finding("PASS", topic, "every training item has a label")


def _empty_queries(known: DatasetStatistics) -> Finding:
    topic = "empty queries"
    if known.empty_queries:
        return Finding(
            "FAIL" if known.empty_queries == known.query else "WARN",
            topic,
            f"{known.empty_queries} of {known.query} queries share no label with any training item: every "
            "mean leaves them out, and other code counts them as zero. Remove them from the dataset.",
        )
    return Finding("PASS", topic, "every query has a relevant item in the full database")


def _classes(known: DatasetStatistics) -> Finding:
    topic = "classes"
    empty = [name for name, count in known.class_counts.items() if count == 0]
    if empty:
        return Finding(
            "WARN",
            topic,
            f"{len(empty)} of {len(known.class_counts)} label columns have no training item (first: "
            f"{empty[0]}): methods fit them in vain. Remove these columns.",
        )
    return Finding("PASS", topic, f"each of {len(known.class_counts)} label columns has training items")


def _base_rate(known: DatasetStatistics) -> Finding:
    topic = "base rate"
    rate = known.base_rate.mean
    meaning = f"{rate:.1%} of all pairs are relevant, so random codes score mAP {rate:.3f}"
    if rate > 0.9:
        return Finding(
            "FAIL", topic, f"{meaning}: too little is left to tell methods apart. Use finer labels."
        )
    if rate > 0.5:
        return Finding(
            "WARN",
            topic,
            f"{meaning}: read mAP as the gain over this level, and show the level in the table.",
        )
    return Finding("PASS", topic, meaning)


def _order(labels: Labels, schedule: Schedule | None) -> Finding:
    """Stored neighbours that share labels far more often than random pairs reveal a grouped file."""
    topic = "storage order"
    n = len(labels)
    if n < 100:
        return Finding("PASS", topic, f"not tested: {n} items are too few")
    rng = np.random.default_rng(0)
    expected = _sharing(labels, rng.integers(n, size=PAIRS), rng.integers(n, size=PAIRS))
    first = np.arange(n - 1) if n <= PAIRS else np.sort(rng.integers(n - 1, size=PAIRS))
    neighbours = _sharing(labels, first, first + 1)
    rates = f"{neighbours:.0%} of neighbours share a label, {expected:.0%} of random pairs"
    sd = np.sqrt(expected * (1 - expected) * (1 / len(first) + 1 / PAIRS))
    if neighbours <= expected + max(0.05, 5 * sd):
        return Finding("PASS", topic, f"not grouped by label: {rates}")
    if schedule is not None and schedule.order == "shuffled":
        return Finding("PASS", topic, f"grouped by label ({rates}), and the schedule shuffles it")
    return Finding(
        "WARN",
        topic,
        f"grouped by label: {rates}. Ranking ties in stored order then changes mAP, and chunks in stored "
        "order hold few classes. Use a shuffled schedule, and no code that ranks ties as stored.",
    )


def _sharing(labels: Labels, a: npt.NDArray[np.intp], b: npt.NDArray[np.intp]) -> float:
    return float((labels[a] & labels[b]).any(axis=1).mean())


def _normalised(modality: str, train: Moments, query: Moments, share: float) -> Finding:
    """Exact moments reveal what normalised the features; ``share`` is the share of train among all items."""
    topic = f"{modality} normalisation"
    joint = _joint(train, query, share)
    varies = np.ones(len(train[0]), dtype=np.bool_)
    varies[constant_columns(*joint)] = False
    if not varies.any():
        return Finding("PASS", topic, "not tested: no column varies")
    off = {name: _offsets(m, varies) for name, m in (("train", train), ("joint", joint))}
    for i, moment in enumerate(("mean 0", "standard deviation 1")):
        alone, together = off["train"][i], off["joint"][i]
        if together < EXACT and alone > 10 * together:
            return Finding(
                "WARN",
                topic,
                f"train and query together have {moment} in every column, train alone does not: the queries "
                "took part in the normalisation. Normalise by train or, better, by the first chunk.",
            )
        if alone < EXACT:
            return Finding(
                "WARN",
                topic,
                f"train has {moment} in every column: the full stream took part in the normalisation, so "
                "round 0 knows of later rounds. Supply raw features; methods normalise as items arrive.",
            )
    return Finding("PASS", topic, "neither mean 0 nor standard deviation 1 over the full stream")


def _joint(train: Moments, query: Moments, share: float) -> Moments:
    mean = share * train[0] + (1 - share) * query[0]
    square = share * (train[1] ** 2 + train[0] ** 2) + (1 - share) * (query[1] ** 2 + query[0] ** 2)
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def _offsets(of: Moments, varies: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """How far the median column is from mean 0, in units of its sd, and from sd 1."""
    mean, sd = of[0][varies], of[1][varies]
    return float(np.median(np.abs(mean) / np.maximum(sd, 1e-30))), float(np.median(np.abs(sd - 1)))


def _constant(known: DatasetStatistics) -> Finding:
    topic = "constant columns"
    counts = {name: count for name, count in known.constant_columns.items() if count}
    if counts:
        shown = ", ".join(f"{count} of {known.dimensions[name]} in {name}" for name, count in counts.items())
        return Finding(
            "WARN",
            topic,
            f"{shown}: they hardly vary in train, and dividing by their standard deviation blows them up. "
            "Remove them.",
        )
    return Finding("PASS", topic, "every column varies in train")


def _scale(modality: str, train: Moments, methods: Mapping[str, Capabilities]) -> Finding:
    topic = f"{modality} scale"
    varying = np.setdiff1d(np.arange(len(train[1])), constant_columns(*train))
    if not len(varying):
        return Finding("PASS", topic, "not tested: no column varies")
    sd, squares = train[1][varying], train[0] ** 2 + train[1] ** 2
    rms, ratio = float(np.sqrt(np.mean(squares))), float(sd.max() / sd.min())
    size = f"root mean square {rms:.3g}, standard deviations of columns differ by a factor of {ratio:.3g}"
    if (length := float(np.sqrt(squares.sum()))) < SHORT:
        named = ", ".join(name for name, needs in methods.items() if needs.scaled)
        return Finding(
            "WARN",
            topic,
            f"rows are only {length:.2g} long: {named or 'methods with fixed weights'} may collapse to equal "
            "codes on features this small. Multiply the features until rows are 1 long or longer.",
        )
    if 1e-3 <= rms <= 1e2 and ratio <= 1e3:
        return Finding("PASS", topic, size)
    return Finding(
        "WARN",
        topic,
        f"{size}: fixed ridge weights and kernel widths lose their meaning at this scale. Let the method "
        "standardise (if it has the option), or rescale by the first chunk.",
    )


def _chunks(sizes: Sequence[int], bits: int | None, schedule: Schedule | None) -> Iterator[Finding]:
    if not sizes:
        return
    last = "" if schedule is None else f" (last={schedule.last})"
    shape = f"{len(sizes)} rounds of {min(sizes)} to {max(sizes)} items, the last of {sizes[-1]}{last}"
    typical = float(np.median(sizes))
    if len(sizes) == 1:
        yield Finding("WARN", "rounds", f"{shape}: with one round nothing is online. Use smaller chunks.")
    elif sizes[-1] < typical / 2 and (schedule is None or schedule.order not in UNEVEN):
        yield Finding(
            "WARN",
            "rounds",
            f"{shape}: the last chunk is a remainder, and curves end on it. Merge it (last=merge), and state "
            "the rule with the results: papers differ.",
        )
    else:
        yield Finding("PASS", "rounds", shape)
    if bits is None:
        return
    small = [number for number, size in enumerate(sizes) if size <= bits]
    if small:
        yield Finding(
            "WARN",
            "chunk size",
            f"{len(small)} rounds (first: {small[0]}) have no more items than the {bits} bits: methods that "
            "orthogonalise codes within a chunk need more. Use larger chunks or last=merge.",
        )
    else:
        yield Finding("PASS", "chunk size", f"every round has more items than the {bits} bits")
