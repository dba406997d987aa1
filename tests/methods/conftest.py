"""What tests of methods share: small streams, generated pairs, and the Wiki stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.api import MODALITIES, Batch, Chunk, Codes, Dataset, Method, Modality
from bench.checks.trial import Trial
from bench.datasets.synthetic import Synthetic
from bench.datasets.wiki import Wiki
from bench.scoring import cosine, hamming

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def wiki(real: Callable[[str], Path]) -> Dataset:
    """Wiki with the features of its owners; `bench data info wiki` says where they offer it."""
    return Wiki().load(real("wiki").parent)


@pytest.fixture
def wiki_map(wiki: Dataset) -> Callable[..., Mapping[str, float]]:
    """Mean mAP (I→T, T→I) on the Wiki stream over seeds, last round.

    ``wiki_map(make, database="learned", seeds=5)``: ``make(seed)`` gives a method. Shuffled training items,
    chunks of 400 (the remainder joins the last; an offline method gets all at once), raw features.
    """
    train, query = wiki.train, wiki.query
    assert train.labels is not None and query.labels is not None
    labels = train.labels, query.labels

    def one(method: Method, seed: int, database: str) -> tuple[float, float]:
        order = np.random.default_rng(seed).permutation(len(train))
        learned: dict[Modality, list[Codes]] = {"image": [], "text": []}
        cuts = [] if method.capabilities.offline else [400, 800, 1200, 1600]
        for t, rows in enumerate(np.split(order, cuts)):
            part = train.take(rows)
            chunk = Chunk(round=t, image=part.image, text=part.text, labels=part.labels, ids=rows)
            method.fit_chunk(chunk)
            if database == "learned":
                for m in MODALITIES:
                    learned[m].append(method.encode_database(chunk, m))
        stored = {}
        for m in MODALITIES:
            if database == "learned":
                updated = method.update_database(m)
                stored[m] = updated if updated is not None else np.concatenate(learned[m])
            else:
                stored[m] = method.encode(train.batch(m).take(order), m)

        def score(a: Modality, b: Modality) -> float:
            codes = method.encode(query.batch(a), a)
            return metrics.evaluate(codes, stored[b], labels[1], labels[0][order], metrics=("map",))["map"]

        return score("image", "text"), score("text", "image")

    def mean(
        make: Callable[[int], Method], *, database: str = "learned", seeds: int = 5
    ) -> Mapping[str, float]:
        scores = np.array([one(make(seed), seed, database) for seed in range(seeds)])
        return {"i2t": float(scores[:, 0].mean()), "t2i": float(scores[:, 1].mean())}

    return mean


@pytest.fixture(scope="session")
def synthetic() -> Dataset:
    return Synthetic(n=800, queries=150).load(Path())


@pytest.fixture
def synthetic_map(synthetic: Dataset) -> Callable[..., float]:
    """Mean mAP of both directions on generated pairs, the database encoded: ``synthetic_map(method)``.

    With ``shuffled``, training sees the labels of other items. Chance is 0.4.
    """

    def score(method: Method, *, shuffled: bool = False) -> float:
        trial = Trial(type(method))
        train = synthetic.train
        assert synthetic.train.labels is not None and synthetic.query.labels is not None
        if shuffled:
            shuffle = np.random.default_rng(5).permutation(len(train))
            train = dataclasses.replace(train, labels=synthetic.train.labels[shuffle])
        for chunk in trial.chunks(train.take(slice(0, 400)), train.take(slice(400, None))):
            method.fit_chunk(chunk)
        pack: Callable[[Array], Array] = hamming.pack_codes
        histograms: Callable[..., hamming.Histograms]
        histograms = partial(hamming.histograms, bits=method.bits, graded=True)
        if method.capabilities.reference == "real-valued":
            pack, histograms = cosine.pack_vectors, cosine.histograms
        masks = hamming.pack_labels(synthetic.query.labels), hamming.pack_labels(synthetic.train.labels)
        scores = []
        for a, b in (MODALITIES, MODALITIES[::-1]):
            query, database = (
                pack(method.encode(trial.asked(part, m), m))
                for part, m in ((synthetic.query, a), (synthetic.train, b))
            )
            scores.append(metrics.mean("map", histograms(query, database, *masks)))
        return float(np.mean(scores))

    return score


@pytest.fixture
def label_stream() -> Callable[..., list[Chunk]]:
    """``label_stream(40, 30)``: chunks of these sizes whose features are noisy linear images of the labels.

    ``first`` is the round of the first, and its seed; ``labelled`` items have at least one label.
    """

    def make(
        n: int,
        round: int,
        *,
        classes: int = 4,
        single: bool = False,
        labelled: bool = False,
        density: float = 0.4,
        widths: tuple[int, int] = (6, 5),
        noise: float = 0.1,
        offset: float = 0.0,
    ) -> Chunk:
        rng, maps = np.random.default_rng(round), np.random.default_rng(99)
        draws = rng.random((n, classes))
        labels = draws == draws.min(axis=1, keepdims=True) if single else draws < density
        if labelled:
            labels[np.arange(n), rng.integers(classes, size=n)] = True
        image, text = (
            labels @ maps.standard_normal((classes, d)) + noise * rng.standard_normal((n, d)) + offset
            for d in widths
        )
        return Chunk(
            round=round,
            image=Batch(image.astype(np.float32)),
            text=Batch(text.astype(np.float32)),
            labels=labels.astype(np.uint8),
            ids=np.arange(n),
        )

    return lambda *sizes, first=0, **how: [make(n, t, **how) for t, n in enumerate(sizes, first)]


@pytest.fixture
def shifted_stream(label_stream: Callable[..., list[Chunk]]) -> Callable[..., list[Chunk]]:
    """``label_stream`` with features whose means are not zero."""
    return partial(label_stream, offset=2.0)


@pytest.fixture
def labelled_stream(label_stream: Callable[..., list[Chunk]]) -> Callable[..., list[Chunk]]:
    """``label_stream`` with more noise, where every item has a label."""
    return partial(label_stream, labelled=True, density=0.3, widths=(12, 9), noise=0.3)


@pytest.fixture
def codes_of() -> Callable[..., Array]:
    """``codes_of(method, chunks, "image")``: the codes that fitting chunks in turn gives to their items."""

    def fit(method: Method, chunks: list[Chunk], modality: Modality = "image") -> Array:
        codes = []
        for chunk in chunks:
            method.fit_chunk(chunk)
            codes.append(method.encode_database(chunk, modality))
        return np.concatenate(codes)

    return fit


@pytest.fixture
def pairs() -> Callable[..., Chunk]:
    """``pairs(n, seed=1)`` around the centres of four classes: image (n, 12), text (n, 9), clip (n, 10)."""

    def make(n: int, *, seed: int = 0) -> Chunk:
        rng, centres = np.random.default_rng(seed), np.random.default_rng(99)
        classes = rng.integers(4, size=n)
        image, text, clip = (
            (centres.standard_normal((4, d))[classes] + 0.5 * rng.standard_normal((n, d))).astype(np.float32)
            for d in (12, 9, 10)
        )
        return Chunk(
            round=0,
            image=Batch(image, {"clip": clip}),
            text=Batch(text, {"clip": clip[:, ::-1]}),
            labels=np.eye(4, dtype=np.uint8)[classes],
            ids=np.arange(n),
        )

    return make


@pytest.fixture
def quality(pairs: Callable[..., Chunk]) -> Callable[[Method], tuple[float, float, float]]:
    """mAP of a method that learned from ``pairs``, image to text and back on others, and chance."""

    def score(method: Method) -> tuple[float, float, float]:
        database, queries = pairs(300, seed=1), pairs(100, seed=2)
        assert database.labels is not None and queries.labels is not None
        labels = queries.labels, database.labels
        i2t, t2i = (
            metrics.evaluate(
                method.encode(queries.batch(a), a), method.encode(database.batch(b), b), *labels, ["map"]
            )["map"]
            for a, b in (MODALITIES, MODALITIES[::-1])
        )
        return i2t, t2i, float((labels[0] @ labels[1].T).mean())

    return score


@pytest.fixture
def largest_tensor() -> Callable[[Callable[[], object]], int]:
    """``largest_tensor(work)``: the numbers in the largest tensor that ``work()`` makes."""
    mode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode
    import torch

    class Largest(mode):  # type: ignore[misc, valid-type]
        numbers = 0

        def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = call(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.numbers = max(self.numbers, result.numel())
            return result

    def measure(work: Callable[[], object]) -> int:
        with Largest() as found:
            work()
        return int(found.numbers)

    return measure


class Golden:
    """Inputs of the golden values of methods: draws of a formula, filled column by column."""

    @staticmethod
    def normal(n: int, m: int) -> Array:
        wave = 43758.5453 * np.sin(12.9898 * np.arange(1, n * m + 1) + 0.1 * n + 0.01 * m)
        return np.asarray((2 * (wave - np.floor(wave)) - 1) * 1.7).reshape(m, n).T

    def standard_normal(self, shape: tuple[int, int]) -> Array:
        """The draws in the shape of a generator's, to stand in for a method's ``rng``."""
        return self.normal(*shape)

    def unit(self, n: int, m: int, *, transposed: bool = False) -> Array:
        """Rows of length 1: of tanh of the draws (n, m), or of their transpose."""
        x = np.tanh(self.normal(n, m).T if transposed else self.normal(n, m))
        return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))

    @property
    def labels(self) -> Array:
        rows = "10000 01011 00001 10000 10100 01110 01100 00110"
        return np.array([[int(bit) for bit in row] for row in rows.split()], dtype=np.uint8)


@pytest.fixture
def golden() -> Golden:
    return Golden()


@pytest.fixture
def wiki_chunks(real: Callable[[str], Path]) -> list[Chunk]:
    """The first 600 training items of Wiki in three chunks of 200, in float64."""
    from scipy.io import loadmat

    data = loadmat(real("wiki/wikiData.mat"))
    labels = np.eye(10, dtype=np.uint8)[np.asarray(data["L_tr"]).ravel().astype(int)[:600] - 1]
    return [
        Chunk(
            round=t,
            image=Batch(data["I_tr"][rows]),
            text=Batch(data["T_tr"][rows]),
            labels=labels[rows],
            ids=rows,
        )
        for t, rows in enumerate(np.arange(600).reshape(3, 200))
    ]


@pytest.fixture
def bitstrings() -> Callable[[Array], list[str]]:
    """Rows of codes as text, 1 for +1 and 0 for -1."""
    return lambda codes: ["".join("1" if bit > 0 else "0" for bit in row) for row in codes]
