"""Shared by quantisers: the vectors that they quantise, k-means, and numbers as the bits of a code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    DataError,
    Features,
    Method,
    Modality,
    Source,
    State,
    Variant,
    param,
)
from bench.methods._linear import leading, spread, unit_rows
from bench.methods._online import Array, blocks, dot
from bench.methods.cca import CCA

Bytes = npt.NDArray[np.uint8]

MOST = 10_000  # pairs that train a quantiser


class Space(State):
    """Maps features of both modalities to unit vectors of one space, whose dot products compare them."""

    mean: dict[Modality, Array]
    w: dict[Modality, Array]  # empty where the features are in one space already

    @classmethod
    def of(cls, chunk: Chunk, view: str) -> Space:
        """The space of a ``view`` that both modalities share; without one, that of CCA.

        Vectors of a view are scaled to length 1 and centred per modality, as in clip_hash. CCA's variates are
        weighted by their correlations, as in cca_itq. Raises DataError where a view has different widths.
        """
        if not view:
            cca = _AllVariates(bits=1)
            cca.fit_chunk(chunk)
            return cls(mean=cca.mean_, w=cca.w_)
        x = {m: chunk.batch(m).features for m in MODALITIES}
        if x["image"].shape[1] != x["text"].shape[1]:
            raise DataError(
                f"the {view!r} views have {x['image'].shape[1]} columns for images and "
                f"{x['text'].shape[1]} for texts; expected the same number. Use projected features."
            )
        total = {
            m: sum((unit_rows(rows).sum(axis=0) for (rows,) in blocks(v)), np.zeros(v.shape[1]))
            for m, v in x.items()
        }
        return cls(mean={m: v / len(chunk) for m, v in total.items()}, w={})

    def vectors(self, features: Features, modality: Modality) -> Array:
        """Unit vectors (n, k) of features (n, d)."""
        mean, w = self.mean[modality], self.w.get(modality)
        if w is None:
            return unit_rows(unit_rows(features) - mean)
        return unit_rows(np.concatenate([dot(rows - mean, w) for (rows,) in blocks(features)]))


class Part(State):
    """A quantiser that has been fitted to vectors (n, d) of one space."""

    def codes(self, vectors: Array) -> Codes:
        """Codes (n, bits) of -1 and +1."""
        raise NotImplementedError

    def numbers(self, vectors: Array) -> Features:
        """The float32 numbers of queries, as the distance of the method has them."""
        raise NotImplementedError


class Vectors(Method):
    """A method whose codes are those of a quantiser, fitted to the vectors that the method has for items."""

    @abstractmethod
    def _vectors(self, batch: Batch, modality: Modality) -> Array:
        """The vectors (n, d) of a batch, of length 1."""

    @abstractmethod
    def _part(self, x: Array, rng: np.random.Generator) -> Part:
        """Fit a quantiser to vectors x (n, d)."""

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return self.part_.codes(self._vectors(batch, modality))

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return self.part_.numbers(self._vectors(batch, modality))

    def _fit(self, chunk: Chunk, most: int, rng: np.random.Generator) -> None:
        """Fit the quantiser to the vectors of at most ``most`` items, which are drawn, in what they have."""
        n = len(chunk)
        rows = rng.choice(n, most, replace=False) if n > most else np.arange(n)
        drawn = {m: chunk.batch(m).take(rows) for m in MODALITIES}
        x = [self._vectors(b.take(np.flatnonzero(b.present)), m) for m, b in drawn.items() if b.present.any()]
        self.part_ = self._part(np.concatenate(x), rng)


class Quantiser(Vectors):
    """A quantiser of vectors in one space: CCA's variates, or the view that the method ``encodes``."""

    max_train: int = param(MOST, "train on a random sample of at most this many pairs", least=1)

    def fit_chunk(self, chunk: Chunk) -> None:
        self.space_ = Space.of(chunk, self.capabilities.encodes)
        self._fit(chunk, self.max_train, self.rng)

    def _vectors(self, batch: Batch, modality: Modality) -> Array:
        return self.space_.vectors(batch.features, modality)


class OfOutputs(Vectors):
    """A quantiser of the outputs of a hashing method, which is the next base class, at as many bits.

    The method learns chunk by chunk as it does alone. For every chunk, a quantiser is fitted anew to the
    outputs for its items, scaled to length 1.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # those of the method are not this algorithm's
    variants: ClassVar[Mapping[str, Variant]] = {}
    encode_database = Method.encode_database  # its codes are not those of training

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)  # type: ignore[safe-super]
        rng = np.random.default_rng((self.seed, chunk.round))  # the method's own draws stay as they are
        self._fit(chunk, MOST, rng)

    def outputs(self, batch: Batch, modality: Modality) -> Any:
        """None: its codes are no signs."""
        return None

    def _vectors(self, batch: Batch, modality: Modality) -> Array:
        values = super().outputs(batch, modality)
        assert values is not None, "a method whose codes are signs of real values"
        return unit_rows(values)


def quantised(hashes: type[Method], quantiser: type[Method]) -> Capabilities:
    """The capabilities of a quantiser of a method's outputs: it trains as the one and ranks as the other."""
    return replace(hashes.capabilities, learned_codes=False, distance=quantiser.capabilities.distance)


def combination(hashes: type[Method], quantiser: type[Method]) -> Source:
    """The origin of a quantiser of a method's outputs."""
    return Source(
        paper=quantiser.source.paper,
        fidelity="new",
        note=f"{quantiser.__name__} on outputs of {hashes.__name__}: our combination, a rival at equal bits.",
    )


def components(x: Array, count: int, rng: np.random.Generator) -> Array:
    """The leading ``count`` principal components of rows x (n, k) under a random rotation: (k, count).

    If there are more components than columns, a random matrix with orthonormal rows spreads the columns.
    """
    leads = leading(dot(x.T, x), count)
    return dot(leads, spread(leads.shape[1], count, rng))


class _AllVariates(CCA):
    """CCA with all variates in place of signs."""

    def _mix(self, correlations: Array) -> Array:
        return np.diag(correlations)


def kmeans(x: Array, start: Array, updates: int) -> Array:
    """Lloyd's algorithm: centres (k, d) of x (n, d) from ``start``; an empty cluster keeps its centre."""
    centres = start
    for _ in range(updates):
        cell = nearest(x, centres)
        size = np.bincount(cell, minlength=len(centres))[:, None]
        total = np.zeros_like(centres)
        for j, column in enumerate(x.T):
            total[:, j] = np.bincount(cell, column, len(centres))
        centres = np.where(size > 0, total / np.maximum(size, 1), centres)
    return centres


def nearest(x: Array, centres: Array) -> npt.NDArray[np.intp]:
    """The number of the nearest centre (k, d) of each row of x (n, d), the first of equals."""
    norms = np.square(centres).sum(axis=1)
    return np.concatenate([(norms - 2 * dot(rows, centres.T)).argmin(axis=1) for (rows,) in blocks(x)])


def code(octets: Bytes, bits: int) -> Codes:
    """Codes (n, bits) of -1 and +1 whose bytes are ``octets`` (n, ⌈bits / 8⌉)."""
    return np.where(np.unpackbits(octets, axis=1, count=bits), 1, -1).astype(np.int8)
