"""The base class of methods, and their declarations: capabilities, source, variants."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, dataclass_transform

import numpy as np
import numpy.typing as npt

from bench.contract import params
from bench.contract.items import Batch, Chunk, Codes, Features, Modality, Split
from bench.contract.params import param
from bench.contract.state import Tree
from bench.contract.training import Training
from bench.errors import DataError, StoreError
from bench.progress import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The needs and promises of a method; a cell that cannot run is skipped with a reason."""

    supervised: bool = False  # reads chunk.labels
    label_free: bool = False  # supervised, and also runs where all or some rows have no label
    partial: bool = False  # also learns from items that lack one modality: reads batch.present
    views: tuple[str, ...] = ()  # reads these extra features in training, e.g. ("clip",)
    pictures: bool = False  # reads the pictures of its items: batch.pictures, in encode() as well
    texts: bool = False  # reads the texts of its items: batch.texts, in encode() as well
    class_names: bool = False  # reads chunk.classes, which is () where the dataset names none
    parents: bool = False  # reads chunk.parents, which is () where the dataset has no hierarchy of classes
    validation: float = 0.0  # share of each chunk that chunk.validation sets aside
    encodes: str = ""  # is given this view as batch.features everywhere, in encode() as well
    offline: bool = False  # a fresh instance gets everything seen so far, as one chunk
    learned_codes: bool = False  # training assigns database codes: encode_database() is its own
    pool: bool = False  # has an offline stage: fit_pool() is its own
    forgets: bool = False  # takes deleted items out of its state: forget_items() is its own
    resumes: bool = False  # a killed training goes on where it was: self.passes(..., save=, load=)
    scaled: bool = False  # loses where features are small: its weights and kernels have fixed sizes
    lengths: bool = False  # loses where the rows of features were normalised to one length
    # How a query is compared with database items, which are codes in any case. hamming: by the query's code.
    # The others: by the numbers that encode_query() gives, as a rival of hashing methods has them.
    distance: Literal["hamming", "dot", "scaled dot", "codebook"] = "hamming"
    # Set for a method that is no rival of hashing methods. encode() of an oracle is shown the labels of its
    # items, as batch.views["labels"]; of a fused one, the view "clip" of BOTH modalities, as batch.views;
    # of a real-valued one, nothing more: it returns float32 (n, k) vectors, which are ranked by cosine.
    reference: Literal["", "oracle", "fused", "real-valued"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The origin of an algorithm, and how close ours is to the authors'."""

    paper: str = ""
    fidelity: Literal["authors' algorithm", "adaptation", "reconstruction", "textbook", "new"] = "textbook"
    note: str = ""  # what differs, what is checked, what is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of an ablation: what differs from the full method, and what the difference shows.

    ``params`` are parameters of the method; ``run`` are fields of a study with one value each,
    for instance ``{"pool": "full"}``.
    """

    isolates: str
    code: str = ""  # its number in a paper, a second column of the table
    params: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """The differences from the full method: ``attention=0, pool=full``."""
        return ", ".join(f"{name}={value}" for name, value in {**self.params, **self.run}.items())

    def __str__(self) -> str:
        code = f"{self.code}, " if self.code else ""
        return f"{self.isolates} ({code}{self.setting or 'nothing changed'})"


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False)
class Method(ABC):
    """Base class of hashing methods, one per file or folder of ``methods/``.

    Annotated class attributes are hyperparameters: a subclass is a dataclass without being
    decorated, and :func:`bench.contract.params.param` adds a description and bounds to a field. What
    :meth:`fit_chunk` learns goes into attributes whose names end in ``_`` and hold arrays,
    numbers, strings, lists, dicts or :class:`bench.contract.state.State` parts: they are the state
    that is saved, loaded and measured. Draw random numbers from ``self.rng`` only.
    """

    bits: int = param(dataclasses.MISSING, "code length", least=1)
    seed: int = param(0, "seed of the method's random draws", least=0)
    capabilities: ClassVar[Capabilities] = Capabilities()
    source: ClassVar[Source] = Source()
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # named settings; authors…: see fidelity()
    variants: ClassVar[Mapping[str, Variant]] = {}  # of the ablation, in the order of its table
    varies: ClassVar[tuple[str, ...]] = ()  # parameters in which the cells of one pass may differ: Shared

    def __init_subclass__(cls) -> None:
        params.refuse_annotated(cls)
        dataclass(kw_only=True, eq=False)(cls)

    def __post_init__(self) -> None:
        params.check_instance(self)
        self.rng: np.random.Generator = np.random.default_rng(self.seed)
        self.training = Training()

    def fit_pool(self, pool: Split) -> None:  # noqa: B027  # optional, so not abstract
        """Learn offline, before round 0, from what the run's ``pool`` allows; may be left out.

        It is not called where ``pool=none``; a method that has it must run without it.
        """

    @abstractmethod
    def fit_chunk(self, chunk: Chunk) -> None:
        """Learn from the items of this round. The arrays are read-only."""

    def forget_items(self, items: Split) -> None:  # noqa: B027  # optional, so not abstract
        """Take items out of the state that have been deleted from the database; may be left out.

        Override it, with ``forgets``. ``items`` are some of those that it was trained on, of any rounds, with
        the same features, views and labels as then, so that a method with running sums can subtract them.
        """

    @abstractmethod
    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """Hash items of one modality with the functions learned so far.

        An item's code may depend on nothing but the item and the learned state: neither on
        the other items of the batch nor on how often it is called. Views are not given, but
        for the one that ``encodes`` names, which takes the place of the features.
        """

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        """The float32 numbers by which queries are compared with codes, for a ``distance`` but ``hamming``.

        ``dot``: s (n, bits); the items with the greatest Σ_j s_j b_j come first, where b_j is -1 or +1.
        ``scaled dot``: s (n, bits - f); the same, times a factor of the item in the last f bits of its code,
        f = ``factor_bits(bits)``: a whole number, the highest bit first, as a share of 2^f - 1.
        ``codebook``: t (n, M, 256) with M = ⌈bits / 8⌉; the items with the least Σ_m t[m, v_m] come first,
        where v_m is byte m of the code: its bits 8m to 8m + 7, the first highest, and 0 beyond ``bits``.

        By default the query's code, whose dot product ranks as Hamming distance does.
        """
        return self.encode(batch, modality).astype(np.float32)

    def outputs(self, batch: Batch, modality: Modality) -> npt.NDArray[np.floating[Any]] | None:
        """The real values (n, bits) whose signs are the codes of :meth:`encode`; None where there are none.

        ``bench index`` compares the search by codes with the exact search by these.
        """
        return None

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

    def notes(self) -> Sequence[str]:
        """Sentences that every reader of this run's numbers must know; they stand below its tables.

        Called once, after the last evaluation.
        """
        return ()

    def require_met(self, modality: Modality, met: Container[Modality]) -> None:
        """Raise DataError unless ``met`` has the modality; for the ``encode`` of ``partial`` methods.

        While no item of a modality has come, the method has no hash function for it.
        """
        if modality not in met:
            raise DataError(
                f"{type(self).__name__} has met no {modality} yet; it hashes one after a chunk that has "
                "items of it. Evaluate later."
            )

    def log(self, step: int, **values: float) -> None:
        """Add a point to curves that are stored with the cell: ``self.log(epoch, loss=0.3)``.

        ``step`` counts from 0 in every call to :meth:`fit_pool` or :meth:`fit_chunk`. The report ``learning``
        draws a curve with the option ``logged=loss``. At most 16 names, and 512 points of each in a call.
        """
        self.training.log(step, values)

    def passes(
        self, stage: str, count: int, *, save: Callable[[], Tree], load: Callable[[Tree], None]
    ) -> Iterator[int]:
        """``range(count)``, for the passes of a training that a kill shall not undo; needs ``resumes``.

        After a pass, every 30 seconds or more rarely, ``save()`` gives all that the next one needs (weights,
        optimizer) but ``self.rng``, which is saved too. When the cell runs again, the method has the state
        that it had before the call, and ``load`` gets what ``save`` gave. ``stage`` names the training; a
        call may have several.
        """
        kept = self.training.stages.get(stage)
        done = 0
        if kept is not None:
            done = int(kept["done"])
            load(kept["state"])
            self.rng.bit_generator.state = kept["rng"]
        with Task(stage, count, each="epoch") as task:
            task.skip(done)
            for number in range(done, count):
                yield number
                task.advance()
                if self.training.due:
                    self.training.keep(stage, number + 1, save(), self.rng.bit_generator.state)

    def state_dict(self) -> dict[str, Tree]:
        """The learned state and the position of the random generator."""
        learned = {k: v for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}
        return {**learned, "rng": dict(self.rng.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, Tree]) -> None:
        """Go on from a state that :meth:`state_dict` gave, with the same parameters.

        Raises StoreError for a name that is no part of a state: the file may come from a stranger.
        """
        for name, value in state.items():
            if name == "rng":
                self.rng.bit_generator.state = value
            elif name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)
            else:
                raise StoreError(f"{name!r} is no part of the state of {type(self).__name__}")


def fidelity(cls: type[Method], values: Mapping[str, Any]) -> str:
    """How far a method is its authors' with these parameters: a key of ``bench.records.FIDELITIES``.

    A preset whose name begins with ``authors`` holds every parameter that makes the algorithm theirs; the
    others are free. A setting that differs from all of these presets is ``modified``, followed by what
    differs from the nearest: ``modified (accumulate=once, anchors=300)``.
    """
    theirs = [preset for name, preset in cls.presets.items() if name.startswith("authors")]
    if cls.source.fidelity != "authors' algorithm" or not theirs:
        return cls.source.fidelity
    ours = {name: known.default for name, known in params.parameters(cls).items()} | dict(values)
    differences = ([f"{k}={ours[k]}" for k in sorted(preset) if ours[k] != preset[k]] for preset in theirs)
    nearest = min(differences, key=len)
    return f"modified ({', '.join(nearest)})" if nearest else cls.source.fidelity


def factor_bits(bits: int) -> int:
    """Bits of a code that hold the factor of the distance ``scaled dot``: 8, or half of a short code."""
    return min(8, bits // 2)
