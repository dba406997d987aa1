"""Everything a plugin author needs: the data types and the two base classes.

A method learns from chunks (:meth:`Method.fit_chunk`) and hashes items of one modality
(:meth:`Method.encode`). The harness does the rest: order, split, packing, search, timing.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, dataclass_transform

import numpy as np
import numpy.typing as npt

from bench.plugins import params
from bench.plugins.card import Card, Counts, Expected
from bench.plugins.params import param
from bench.plugins.shared import Shared
from bench.plugins.state import Tree
from bench.progress import passes

if TYPE_CHECKING:
    from PIL.Image import Image

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, Modality] = ("image", "text")
Features = npt.NDArray[np.float32]  # (n, d)
Labels = npt.NDArray[np.uint8]  # (n, classes), 0 or 1; a row of zeros is an unlabelled item
Codes = npt.NDArray[np.int8]  # (n, bits), every value -1 or +1
Rows = npt.NDArray[np.intp]

__all__ = [
    "MODALITIES",
    "Batch",
    "Capabilities",
    "Card",
    "Chunk",
    "Codes",
    "Counts",
    "Dataset",
    "DatasetSource",
    "Expected",
    "Features",
    "Labels",
    "Method",
    "Modality",
    "Raw",
    "Rows",
    "Shared",
    "Source",
    "Split",
    "Variant",
    "param",
    "passes",
    "sign",
]


def sign(x: npt.NDArray[Any]) -> Codes:
    """Binarise: +1 where ``x >= 0``, else -1, so that a zero is never a third symbol.

    >>> sign(np.array([[-0.5, 0.0, 2.0]]))
    array([[-1,  1,  1]], dtype=int8)
    """
    return np.where(x >= 0, 1, -1).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Batch:
    """n items seen through ONE modality: all that :meth:`Method.encode` may look at.

    ``features`` is (n, d) float32. ``views`` holds other features of the same items, for
    instance ``{"clip": (n, 512) float32}``; a method is given the views that it declares.
    ``absent`` (n,) is True where an item lacks this modality (zeros stand in its rows); None: nowhere.
    """

    features: Features
    views: Mapping[str, Features] = field(default_factory=dict)
    absent: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Rows | slice) -> Batch:
        absent = None if self.absent is None else self.absent[rows]
        return Batch(self.features[rows], {name: view[rows] for name, view in self.views.items()}, absent)

    def with_views(self, names: tuple[str, ...]) -> Batch:
        """The same items with only the views in ``names``."""
        return Batch(self.features, {name: self.views[name] for name in names}, self.absent)

    def seen_as(self, view: str) -> Batch:
        """The same items with this view in place of the features; as they are where it is ""."""
        return Batch(self.views[view], self.views, self.absent) if view else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Aligned rows of one part of a dataset: row i of every field is the same item.

    ``shared`` holds what cells that are shown the same items compute once.
    """

    image: Batch
    text: Batch
    labels: Labels | None
    ids: Rows
    shared: Shared = field(default_factory=Shared, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, modality: Modality) -> Batch:
        return self.image if modality == "image" else self.text

    def take(self, rows: Rows | slice) -> Split:
        labels = None if self.labels is None else self.labels[rows]
        return Split(
            image=self.image.take(rows), text=self.text.take(rows), labels=labels, ids=self.ids[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk(Split):
    """The items of one round. ``labels`` is None unless the method is supervised."""

    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """``train`` is streamed and becomes the database; ``query`` is never trained on.

    ``classes`` names the columns of the labels. Two items are relevant to each other when
    they share at least one label.
    """

    name: str
    train: Split
    query: Split
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was mapped, dropped or assumed while loading


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A dataset before any features: row i of every field is the same item.

    ``image(row)`` decodes one picture (RGB) and is picklable; a file that is missing or broken is a
    :class:`bench.errors.DataError` that names it. ``ids`` (n,) are what a ``Split`` calls its items.
    ``train`` and ``query`` are rows: the split that the field uses.
    """

    ids: Rows
    image: Callable[[int], Image]
    texts: Sequence[str]  # captions, or tags with spaces between them
    labels: Labels  # (n, classes)
    classes: tuple[str, ...]
    train: Rows
    query: Rows
    vocabulary: tuple[str, ...] = ()  # of the bag of words, where the dataset fixes one
    notes: tuple[str, ...] = ()  # what was dropped, repaired or assumed while parsing


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a method needs and promises; a cell that cannot run is skipped with a reason."""

    supervised: bool = False  # reads chunk.labels
    label_free: bool = False  # supervised, and also runs where all or some rows have no label
    partial: bool = False  # also learns from items that lack one modality: reads batch.absent
    views: tuple[str, ...] = ()  # reads these extra features in training, e.g. ("clip",)
    encodes: str = ""  # is given this view as batch.features everywhere, in encode() as well
    offline: bool = False  # a fresh instance gets everything seen so far, as one chunk
    learned_codes: bool = False  # training assigns database codes: encode_database() is its own
    pool: bool = False  # has an offline stage: fit_pool() is its own
    real_valued: bool = False  # encode() gives float32 (n, k) vectors, ranked by cosine: no hashing
    oracle: bool = False  # encode() is shown the items' labels, as batch.views["labels"]: a ceiling
    fused: bool = False  # encode() is shown the "clip" view of BOTH modalities, as batch.views: no rival


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an algorithm comes from, and how far ours is the authors'."""

    paper: str = ""
    fidelity: Literal["authors' algorithm", "adaptation", "reconstruction", "textbook"] = "textbook"
    note: str = ""  # what differs, what is checked, what is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of an ablation: what differs from the full method, and what the difference shows.

    ``params`` are parameters of the method; ``run`` are fields of a study with one value each,
    for instance ``{"pool": "full"}``.
    """

    isolates: str
    params: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """What differs from the full method: ``attention=0, pool=full``."""
        return ", ".join(f"{name}={value}" for name, value in {**self.params, **self.run}.items())

    def __str__(self) -> str:
        return f"{self.isolates} ({self.setting or 'nothing changed'})"


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False)
class Method(ABC):
    """Base class of hashing methods, one per file or folder of ``methods/``.

    Annotated class attributes are hyperparameters: a subclass is a dataclass without being
    decorated, and :func:`bench.plugins.params.param` adds a description and bounds to a field. What
    :meth:`fit_chunk` learns goes into attributes whose names end in ``_`` and hold arrays,
    numbers, strings, lists, dicts or :class:`bench.plugins.state.State` parts: they are the state
    that is saved, loaded and measured. Draw random numbers from ``self.rng`` only.
    """

    bits: int = param(dataclasses.MISSING, "code length", least=1)
    seed: int = param(0, "of the method's random draws", least=0)
    capabilities: ClassVar[Capabilities] = Capabilities()
    source: ClassVar[Source] = Source()
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # named settings: name[preset=authors]
    variants: ClassVar[Mapping[str, Variant]] = {}  # of the ablation, in the order of its table
    varies: ClassVar[tuple[str, ...]] = ()  # parameters in which the cells of one pass may differ: Shared

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        params.check_instance(self)
        self.rng: np.random.Generator = np.random.default_rng(self.seed)

    def fit_pool(self, pool: Split) -> None:  # noqa: B027  # optional, so not abstract
        """Learn offline, before round 0, from what the run's ``pool`` allows; may be left out.

        It is not called where ``pool=none``; a method that has it must run without it.
        """

    @abstractmethod
    def fit_chunk(self, chunk: Chunk) -> None:
        """Learn from the items of this round. The arrays are read-only."""

    @abstractmethod
    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """Hash items of one modality with the functions learned so far.

        An item's code may depend on nothing but the item and the learned state: neither on
        the other items of the batch nor on how often it is called. Views are not given, but
        for the one that ``encodes`` names, which takes the place of the features.
        """

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        """Codes that training gave to the items of the chunk just fitted.

        Override it, with ``learned_codes``, where training assigns database codes.
        """
        return self.encode(chunk.batch(modality), modality)

    def update_database(self, modality: Modality) -> Codes | None:
        """All learned codes so far, in order of arrival, where the method itself re-hashes them.

        Called before an evaluation under ``database=learned``. None: old codes stand.
        """
        return None

    def state_dict(self) -> dict[str, Tree]:
        """The learned state and the position of the random generator."""
        learned = {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        return {**learned, "rng": dict(self.rng.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, Tree]) -> None:
        """Go on from a state that :meth:`state_dict` gave, with the same parameters."""
        for name, value in state.items():
            if name == "rng":
                self.rng.bit_generator.state = value
            else:
                setattr(self, name, value)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False)
class DatasetSource(ABC):
    """Base class of datasets, one per file or folder of ``datasets/``; fields are options.

    A dataset that is somebody's has a ``card``, which gives its ``citation`` and ``licence`` too.
    """

    schedule: ClassVar[str] = "shuffled:2000"  # the default stream of this dataset
    card: ClassVar[Card | None] = None
    citation: ClassVar[str] = ""
    licence: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False)(cls)
        if cls.card is not None:
            cls.citation, cls.licence = cls.card.citation, cls.card.licence

    def __post_init__(self) -> None:
        params.check_instance(self)

    def files(self, root: Path) -> list[Path]:
        """The files below ``root`` that :meth:`load` reads; none for a generated dataset."""
        return []

    def raw(self, root: Path) -> Raw | None:
        """Pictures and texts below ``root``; None for a dataset that only has features."""
        return None

    @abstractmethod
    def load(self, root: Path) -> Dataset:
        """Return the arrays: always the same ones for the same options and files.

        A file that is missing or cannot be used is a :class:`bench.errors.DataError` that
        names the file, the variable, the shape found and the shape expected.
        """
