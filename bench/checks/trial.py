"""A method driven as the harness drives it, on small seeded data made here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from bench.contract import state
from bench.contract.items import MODALITIES, Batch, Chunk, Labels, Modality, Rows, Split
from bench.contract.method import Method
from bench.contract.pictures import Pictures, Reader
from bench.protocol import shown
from bench.protocol.stream import Withheld

if TYPE_CHECKING:
    from PIL.Image import Image

    from bench.checks.passage import Passage

BITS, SEED, ROWS = 16, 1, 48
CLASSES = 4
NAMES = ("red ball", "blue box", "green tree", "white moon")
_QUARTER = 16  # pixels
_WIDTH: Mapping[Modality, int] = {"image": 24, "text": 40}  # different, so that mixing them up fails
_VIEW_WIDTH = 20  # the same for both modalities, as CLIP's
_NOISE = 0.5
_Items = TypeVar("_Items", bound=Split)


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
    image = replace(
        sides["image"], pictures=Pictures(Painted(labels.copy(), np.arange(rows)), np.arange(rows))
    )
    text = replace(
        sides["text"], features=np.maximum(sides["text"].features, 0), texts=tuple(map(_sentence, labels))
    )
    ids = 1000 * seed + np.arange(rows)
    return Split(image=image, text=text, labels=labels, ids=ids, classes=NAMES)


@dataclass(frozen=True, slots=True)
class Painted:
    """A picture of each row of labels: a bright quarter for each class."""

    labels: Labels
    shades: Rows  # (n,): of the blue, so that pictures differ

    def __call__(self, row: int) -> Image:
        from PIL import Image as Pillow

        quarters = 60 + 180 * self.labels[row].reshape(2, 2)
        pixels = np.repeat(np.repeat(quarters, _QUARTER, axis=0), _QUARTER, axis=1)
        pixels = np.stack(
            [pixels, pixels[::-1], np.full_like(pixels, 8 * int(self.shades[row] % 16))], axis=2
        )
        return Pillow.fromarray(pixels.astype(np.uint8))

    def take(self, rows: Rows) -> Painted:
        return Painted(self.labels[rows], self.shades[rows])


def _sentence(labels: npt.NDArray[np.uint8]) -> str:
    return " and ".join(np.asarray(NAMES)[labels > 0])


def _seen(labels: Labels, what: str, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Labels through a fixed random map that belongs to ``what``, with noise."""
    world = np.random.default_rng(list(what.encode())).standard_normal((CLASSES, width))
    return (labels @ world + _NOISE * rng.standard_normal((len(labels), width))).astype(np.float32)


def without(split: _Items, **absent: npt.NDArray[np.bool_]) -> _Items:
    """The same items, without their ``image`` or ``text`` where these (n,) are True; zeros stand for it."""
    sides = {}
    for m in MODALITIES:
        seen, kept = split.batch(m), ~absent[m][:, None]
        views = {name: view * kept for name, view in seen.views.items()}
        sides[m] = replace(seen, features=seen.features * kept, views=views, absent=absent[m])
    return replace(split, image=sides["image"], text=sides["text"])


def only(split: _Items, modality: Modality) -> _Items:
    """The same items in one modality."""
    return without(split, **{m: np.full(len(split), m != modality) for m in MODALITIES})


def join(splits: Sequence[Split]) -> Split:
    """The rows of all splits, in order."""
    image, text = (_join_batches([s.batch(m) for s in splits]) for m in MODALITIES)
    labels = [s.labels for s in splits if s.labels is not None]
    ids = np.concatenate([s.ids for s in splits])
    joined = np.concatenate(labels) if labels else None
    return Split(image=image, text=text, labels=joined, ids=ids, classes=splits[0].classes)


def _join_batches(batches: Sequence[Batch]) -> Batch:
    views = {v: np.concatenate([b.views[v] for b in batches]) for v in batches[0].views}
    lacking = [np.zeros(len(b), dtype=bool) if b.absent is None else b.absent for b in batches]
    absent = np.concatenate(lacking) if any(b.absent is not None for b in batches) else None
    texts = tuple(itertools.chain.from_iterable(b.texts or () for b in batches))
    pictures = _join_pictures([b.pictures.alone().reader for b in batches if b.pictures is not None])
    return Batch(np.concatenate([b.features for b in batches]), views, absent, pictures, texts or None)


def _join_pictures(readers: Sequence[Reader]) -> Pictures | None:
    painted = [reader for reader in readers if isinstance(reader, Painted)]
    if not painted:
        return None
    labels, shades = (np.concatenate([getattr(p, name) for p in painted]) for name in ("labels", "shades"))
    return Pictures(Painted(labels, shades), np.arange(len(labels)))


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
        needs, image, text = self.cls.capabilities, self._seen(split.image), self._seen(split.text)
        lacking = {
            m: b.absent for m, b in zip(MODALITIES, (image, text), strict=True) if b.absent is not None
        }
        seen = replace(split, image=image, text=text)
        rows = np.arange(len(split))
        return shown.shown(seen, rows, replace(needs, encodes=""), Withheld(absent=lacking or None))

    def asked(self, split: Split, modality: Modality) -> Batch:
        """The batch that encode() gets, as :func:`bench.protocol.shown.encode` gives it."""
        shows = self.cls.capabilities.reference == "oracle" and split.labels is not None
        views = {"labels": _frozen(np.asarray(split.labels, dtype=np.float32))} if shows else {}
        if self.cls.capabilities.reference == "fused":
            views |= {m: _frozen(shown.clip_or_plain(split.batch(m))) for m in MODALITIES}
        seen = self._seen(split.batch(modality))
        raw = shown.raw(seen, slice(None), self.cls.capabilities)
        return Batch(_frozen(seen.features), views, None, *raw)

    def _seen(self, batch: Batch) -> Batch:
        """With the view that the method encodes for features; the items made here have but one, "clip"."""
        view = self.cls.capabilities.encodes
        return batch.seen_as(view if view in batch.views or not view else next(iter(batch.views)))

    def chunks(self, *splits: Split) -> list[Chunk]:
        """One chunk per split, or one with everything where the method is offline."""
        parts = [join(splits)] if self.cls.capabilities.offline else splits
        seen = [self.shown(part) for part in parts]
        return [shown.as_chunk(split, number) for number, split in enumerate(seen)]

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
