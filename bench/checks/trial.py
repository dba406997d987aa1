"""A method driven as the harness drives it, on small seeded data made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contract import state
from bench.contract.items import MODALITIES, Batch, Chunk, Labels, Modality, Split
from bench.contract.method import Method
from bench.protocol.shown import clip_or_plain

if TYPE_CHECKING:
    from bench.checks.passage import Passage

BITS, SEED, ROWS = 16, 1, 48
CLASSES = 4
_WIDTH: Mapping[Modality, int] = {"image": 24, "text": 40}  # different, so that mixing them up fails
_VIEW_WIDTH = 20  # the same for both modalities, as CLIP's
_NOISE = 0.5


def items(
    rows: int = ROWS, *, seed: int = 0, classes: Sequence[int] = range(CLASSES), view: str = "clip"
) -> Split:
    """Items of a few classes, some in two: dense image features, non-negative text features, one view."""
    rng = np.random.default_rng([7, seed])
    labels = np.zeros((rows, CLASSES), dtype=np.uint8)
    labels[np.arange(rows), rng.choice(np.asarray(classes), rows)] = 1
    labels[np.arange(rows), rng.choice(np.asarray(classes), rows)] |= rng.random(rows) < 0.2
    sides = {
        m: Batch(_seen(labels, m, _WIDTH[m], rng), {view: _seen(labels, view, _VIEW_WIDTH, rng)})
        for m in MODALITIES
    }
    sides["text"] = Batch(np.maximum(sides["text"].features, 0), sides["text"].views)
    return Split(image=sides["image"], text=sides["text"], labels=labels, ids=1000 * seed + np.arange(rows))


def _seen(labels: Labels, what: str, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Labels through a fixed random map that belongs to ``what``, with noise."""
    world = np.random.default_rng(list(what.encode())).standard_normal((CLASSES, width))
    return (labels @ world + _NOISE * rng.standard_normal((len(labels), width))).astype(np.float32)


def join(splits: Sequence[Split]) -> Split:
    """The rows of all splits, in order."""
    image, text = (_join_batches([s.batch(m) for s in splits]) for m in MODALITIES)
    labels = [s.labels for s in splits if s.labels is not None]
    ids = np.concatenate([s.ids for s in splits])
    return Split(image=image, text=text, labels=np.concatenate(labels) if labels else None, ids=ids)


def _join_batches(batches: Sequence[Batch]) -> Batch:
    views = {v: np.concatenate([b.views[v] for b in batches]) for v in batches[0].views}
    lacking = [np.zeros(len(b), dtype=bool) if b.absent is None else b.absent for b in batches]
    absent = np.concatenate(lacking) if any(b.absent is not None for b in batches) else None
    return Batch(np.concatenate([b.features for b in batches]), views, absent)


def arrays(split: Split) -> list[npt.NDArray[Any]]:
    """Every array of a split."""
    found: list[npt.NDArray[Any]] = [split.ids] if split.labels is None else [split.ids, split.labels]
    for m in MODALITIES:
        found += [split.batch(m).features, *split.batch(m).views.values()]
    return found


def equal(a: Any, b: Any) -> bool:
    """Whether two state trees hold the same values."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))
    if isinstance(a, state.State):
        return type(a) is type(b) and equal(vars(a), vars(b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@dataclass(frozen=True)
class Trial:
    """A method class with parameters, and how the harness would feed it."""

    cls: type[Method]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.cls.__name__

    @cached_property
    def passage(self) -> Passage:
        """Its way through a few hundred items, which controls share."""
        from bench.checks.passage import Passage

        return Passage(self)

    def new(self, *, bits: int = BITS, seed: int = SEED) -> Method:
        return self.cls(bits=bits, seed=seed, **self.params)

    def shown(self, split: Split) -> Split:
        """Read-only copies of what the method declared: a view that is lacking is stood in for."""
        needs = self.cls.capabilities
        labels = _frozen(split.labels) if needs.supervised and split.labels is not None else None
        image, text = (self._visible(split.batch(m)) for m in MODALITIES)
        return Split(image=image, text=text, labels=labels, ids=_frozen(split.ids))

    def _visible(self, batch: Batch) -> Batch:
        plain = _frozen(self._seen(batch).features)
        names = self.cls.capabilities.views
        views = {v: _frozen(batch.views[v]) if v in batch.views else plain for v in names}
        return Batch(plain, views, None if batch.absent is None else _frozen(batch.absent))

    def asked(self, split: Split, modality: Modality) -> Batch:
        """The batch that encode() gets, as :func:`bench.protocol.shown.encode` gives it."""
        shows = self.cls.capabilities.reference == "oracle" and split.labels is not None
        views = {"labels": _frozen(np.asarray(split.labels, dtype=np.float32))} if shows else {}
        if self.cls.capabilities.reference == "fused":
            views |= {m: _frozen(clip_or_plain(split.batch(m))) for m in MODALITIES}
        return Batch(_frozen(self._seen(split.batch(modality)).features), views)

    def _seen(self, batch: Batch) -> Batch:
        """With the view that the method encodes for features; the items made here have but one, "clip"."""
        view = self.cls.capabilities.encodes
        return batch.seen_as(view if view in batch.views or not view else next(iter(batch.views)))

    def chunks(self, *splits: Split) -> list[Chunk]:
        """One chunk per split, or one with everything where the method is offline."""
        parts = [join(splits)] if self.cls.capabilities.offline else splits
        seen = [self.shown(part) for part in parts]
        return [
            Chunk(image=s.image, text=s.text, labels=s.labels, ids=s.ids, round=i) for i, s in enumerate(seen)
        ]

    def fit(self, *splits: Split, bits: int = BITS, seed: int = SEED, pool: bool = True) -> Method:
        """A new instance, shown the pool (the items of round 0) and then every chunk."""
        method = self.new(bits=bits, seed=seed)
        self.start(method, splits[0], pool=pool)
        for chunk in self.chunks(*splits):
            method.fit_chunk(chunk)
        return method

    def start(self, method: Method, first: Split, *, pool: bool = True) -> None:
        """Show the pool to a method that has an offline stage of its own before an online one."""
        offered = self.pool(first)
        if pool and offered is not None:
            method.fit_pool(offered)

    def pool(self, first: Split) -> Split | None:
        """The items of round 0 as an offline stage gets them, or None for a method without one."""
        can = self.cls.capabilities
        return self.shown(first) if can.pool and not can.offline else None


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    copy = np.array(array)
    copy.setflags(write=False)
    return copy
