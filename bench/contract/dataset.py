"""The base class of datasets, and what a dataset is before and after its features are extracted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, dataclass_transform

from bench.contract import params
from bench.contract.card import Card
from bench.contract.items import Labels, Rows, Split
from bench.contract.times import Times

if TYPE_CHECKING:
    from PIL.Image import Image

RANDOM_QUERIES = "queries drawn at random"  # begins a note that the records of a run repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """``train`` is streamed and becomes the database; ``query`` is never trained on.

    ``classes`` names the columns of the labels. Two items are relevant to each other when
    they share at least one label. ``parents`` has the name of each class's parent, "" where it has none;
    () for flat classes. ``times`` says when each training item came, by one or several columns
    that :func:`bench.contract.times.time_column` gives.
    """

    name: str
    train: Split
    query: Split
    classes: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what was mapped, dropped or assumed while loading
    times: Mapping[str, Times] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A dataset before any features: row i of every field is the same item.

    ``image(row)`` decodes one picture (RGB) and is picklable; where it has ``take(rows)``, as a
    :class:`bench.contract.pictures.Reader`, methods may read the pictures too. A file that is missing or
    broken is a :class:`bench.errors.DataError` that names it. ``ids`` (n,) are what a ``Split`` calls its
    items.
    ``train`` and ``query`` are rows: the split that the field uses.
    """

    ids: Rows
    image: Callable[[int], Image]
    texts: Sequence[str]  # captions, or tags with spaces between them
    labels: Labels  # (n, classes)
    classes: tuple[str, ...]
    train: Rows
    query: Rows
    parents: tuple[str, ...] = ()  # of the classes, as in Dataset
    vocabulary: tuple[str, ...] = ()  # of the bag of words, where the dataset fixes one
    notes: tuple[str, ...] = ()  # what was dropped, repaired or assumed while parsing
    times: Mapping[str, Times] = field(default_factory=dict)  # time columns of all items


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
        params.refuse_annotated(cls)
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
