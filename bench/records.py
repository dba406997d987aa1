"""Specs and records of runs. Reports read these and nothing else.

May import: errors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from bench.errors import ParameterError

SCHEMA = 1  # of the stored record; a reader refuses a newer one

Database = Literal["reindexed", "frozen", "learned"]
Status = Literal["ok", "skipped", "failed"]
Direction = Literal["i2t", "t2i", "i2i", "t2t"]  # query modality, database modality
DIRECTIONS: tuple[Direction, ...] = ("i2t", "t2i", "i2i", "t2t")
ORDERS = {
    "shuffled": "chunks of SIZE items in random order",
    "class_incremental": "GROUPS rounds; an item arrives when the last of its classes has been introduced",
    "stored": "chunks of SIZE items in the order of the dataset, for data that come in a meaningful order",
    "drift": "chunks of SIZE items, sorted by a random projection of their labels",
    "timed": "one round for each value of a time column, in order; "
    "with SIZE, several values join until SIZE items arrive",
    "modal": "half of the items arrive in the first modality alone, then the others in the second; "
    "with SIZE, in chunks of SIZE",
    "runbook": "items arrive in random order and leave the database again, in the steps of a TOML file",
}
UNEVEN = ("class_incremental", "timed", "runbook")  # orders whose rounds differ in size
FORMS = {order: f"{order}:SIZE" for order in ORDERS} | {
    "class_incremental": "class_incremental:GROUPS",
    "timed": "timed:COLUMN[:SIZE]",
    "modal": "modal:image,text[:SIZE]",
    "runbook": "runbook:FILE",
}
_NUMBER = "[1-9][0-9]{0,17}"
_SCHEDULES = (  # order, column or modalities, size
    rf"(shuffled|class_incremental|stored|drift):()({_NUMBER})",
    rf"(timed):([^:]+)(?::({_NUMBER}))?",
    rf"(modal):(image,text|text,image)(?::({_NUMBER}))?",
)
# Newer fields: a key has them where they are set.
SINCE: dict[str, Any] = {
    "labelled": 1.0,
    "paired": 1.0,
    "train": "all",
    "noise": "none",
    "rehash": "always",
    "delay": 0,
    "unseen_classes": 0.0,
}
SHOWN = ("method_shown", "dataset_shown")  # fields of a spec that are no part of its key
AXES = ("schedule", "database", "pool", *SINCE)  # what a variant or a grid may set beside parameters
MEANINGS = {  # of the axes that disturb a stream
    "rehash": "says when old items are encoded again; new ones are encoded when they arrive",
    "unseen_classes": "share of classes kept out of training; queries are of these classes alone",
    "delay": "rounds that labels arrive after their items; supervised methods wait for them",
    "noise": "labels of training items are wrong; relevance follows from the true ones",
}
DATABASES = {
    "reindexed": "after every round the current hash functions encode all database items",
    "frozen": "an item is encoded when it arrives, and never again",
    "learned": "the codes that training gave the items, which saw their labels",
}
OFFLINE = -1  # the round of what a method logs in its offline stage
MOST_POINTS = 1000  # of a stored curve
MOST_STEPS = 8  # of a runbook, in a line
CONSTANT = "constant"  # the first word of a note on codes that are all equal
PARTS = {  # of a database, by what the method was shown
    "all": "all database items",
    "trained": "the database items that the methods were trained on",
    "unseen": "the database items that no method was trained on",
}
FIDELITIES = {  # how far a method is its authors'
    "authors' algorithm": "the authors' algorithm",
    "modified": "the authors' algorithm, modified",
    "adaptation": "an adaptation of the authors' algorithm",
    "reconstruction": "our reconstruction, not the authors' algorithm",
    "textbook": "textbook method",
    "new": "a new method",
}
REFERENCES = {  # kinds of methods that are no rivals of hashing methods
    "oracle": "a ceiling, which is shown the labels of queries and database",
    "fused": "an oracle, not cross-modal: image and text of queries and items are hashed together",
    "real-valued": "no hashing: real-valued vectors ranked by cosine, the same at any number of bits",
}
DISTANCES: dict[str, str] = {  # by which queries are compared with items, which are codes in any case
    "hamming": "the Hamming distance of two codes",
    "dot": "the dot product of a float32 query with the bits of a code",
    "scaled dot": "the dot product of a float32 query with a code, times a factor in its last bits",
    "codebook": "the sum of float32 values that a query has for the bytes of a code",
}


RUNBOOK = re.compile("runbook:([A-Za-z0-9_.-]+): (.+)")  # the name of a runbook, and its steps
_ENCODER = json.JSONEncoder(sort_keys=True)  # json.dumps() makes one every time


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the training items are cut into chunks: ``shuffled:2000``, ``class_incremental:8``.

    ``size`` is the items of a chunk, or the number of class groups; 0 where an order that may do without
    has none. ``by`` is the time column of ``timed``, the modalities of ``modal``, and the steps of a
    ``runbook`` (:mod:`bench.protocol.runbook`), whose ``name`` is that of the file that they came from and no
    part of a cell's key. ``last`` says what becomes of a remainder: it joins the last full chunk (``merge``)
    or is a short chunk of its own.
    """

    order: str
    size: int
    last: Literal["merge", "short"] = "merge"
    by: str = ""
    name: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, last: str = "merge") -> Schedule:
        """Read one of ``FORMS``, or a runbook as :attr:`form` has it.

        >>> Schedule.parse("drift:500")
        Schedule(order='drift', size=500, last='merge', by='')
        >>> print(Schedule.parse("timed:year:2000"), Schedule.parse("modal:image,text"))
        timed:year:2000 modal:image,text
        >>> print(Schedule.parse("runbook:mine.toml: insert 9; evaluate"))
        runbook:mine@b72391
        """
        if runbook := RUNBOOK.fullmatch(text):
            return cls("runbook", 0, by=runbook[2], name=runbook[1])
        match = next(filter(None, (re.fullmatch(form, text) for form in _SCHEDULES)), None)
        if match is None:
            raise ParameterError(
                f"schedule {text!r} is not one of {', '.join(FORMS.values())} with SIZE a positive whole "
                "number. Try shuffled:2000."
            )
        if last not in ("merge", "short"):
            raise ParameterError(f"last must be one of merge, short; got {last!r}.")
        return cls(match[1], int(match[3] or 0), last, match[2])  # type: ignore[arg-type]

    @staticmethod
    def split(text: str) -> list[str]:
        """Cut a list of schedules at the commas where another one begins; others belong to a path or a name.

        >>> Schedule.split("modal:image,text:500,runbook:a,b.toml")
        ['modal:image,text:500', 'runbook:a,b.toml']
        """
        begins = rf",(?=\s*(?:(?:{'|'.join(ORDERS)}):|$))"
        return [part.strip() for part in re.split(begins, text) if part.strip()]

    @property
    def form(self) -> str:
        """The schedule as it is selected on the command line, without ``last``."""
        if self.steps:
            return f"runbook:{self.name or 'steps'}: {self.steps}"
        parts = (self.order, self.by, str(self.size) if self.size else "")
        return ":".join(filter(None, parts))

    @property
    def meaning(self) -> str:
        """The meaning of the order, with the numbers and names of this schedule."""
        text, _, sized = ORDERS[self.order].partition("; with SIZE, ")
        text += f"; {sized}" if sized and self.size else ""
        for name, value in {"SIZE": self.size, "GROUPS": self.size, "a time column": self.by}.items():
            text = text.replace(name, str(value))
        return text

    @property
    def steps(self) -> str:
        """The steps of a runbook; "" of any other order."""
        return self.by if self.order == "runbook" else ""

    @property
    def brief(self) -> str:
        """The first steps of a runbook, repeated ones as ``5 × insert 400``, and how many follow."""
        runs = [(step, len(list(same))) for step, same in groupby(self.steps.split("; "))]
        first = [f"{count} × {step}" if count > 1 else step for step, count in runs[:MOST_STEPS]]
        left = sum(count for _, count in runs[MOST_STEPS:])
        return "; ".join([*first, *([f"and {left} more steps"] if left else [])])

    def __str__(self) -> str:
        if self.steps:
            digest = hashlib.sha256(self.steps.encode()).hexdigest()[:6]
            return f"runbook:{self.name.removesuffix('.toml') or 'steps'}@{digest}"
        return self.form + (":short" if self.last == "short" else "")


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One cell of the grid. Equal specs have equal keys, so a run can be resumed.

    Nothing here tells a date, a path or a machine, and nothing that does not change a number.
    ``params`` and ``dataset_params`` hold only what differs from the plugin's defaults.
    ``val`` > 0: that many training items serve as queries, and the test queries are not read.
    ``train`` says how many of the arriving items methods are trained on: ``all``, a share such as
    ``0.5``, or a number over the stream such as ``10000``; the others only enter the database.
    ``labelled`` and ``paired`` are the shares of training items whose labels, and whose two
    modalities, a method is shown. ``noise`` gives some of them wrong labels. Items of
    a share of ``unseen_classes`` are never trained on, and all queries are of these classes. With ``delay``
    labels arrive that many rounds after their items. ``rehash`` says when database items are encoded again
    where codes are reindexed, by :mod:`bench.protocol.rehash`.
    """

    method: str
    dataset: str
    bits: int
    schedule: Schedule
    seed: int = 0
    database: Database = "reindexed"
    pool: str = "first_chunk"  # none | first_chunk | separate:N | full
    val: int = 0
    evaluate: str = "last"  # last | all | every:K
    directions: tuple[Direction, ...] = ("i2t", "t2i")
    params: Mapping[str, Any] = field(default_factory=dict)
    dataset_params: Mapping[str, Any] = field(default_factory=dict)
    labelled: float = 1.0
    paired: float = 1.0
    train: str = "all"
    noise: str = "none"  # none | sym:RATE | swap:RATE | pair:RATE
    rehash: str = "always"  # always | every:K | budget:BITS | trigger:GAIN
    delay: int = 0  # rounds
    unseen_classes: float = 0.0
    method_shown: str = field(default="", compare=False)  # names that the user gave, no part of the key
    dataset_shown: str = field(default="", compare=False)

    @cached_property  # reports ask for it tens of thousands of times, as for the label
    def key(self) -> str:
        """Content address: the same for equal specs on any machine, in any process."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}  # asdict() copies deeply
        described = {k: v for k, v in values.items() if k not in SHOWN and (k not in SINCE or v != SINCE[k])}
        schedule = {name: getattr(self.schedule, name) for name in ("order", "size", "last", "by")}
        if not self.schedule.by:
            del schedule["by"]  # as in keys from before there was one
        text = _ENCODER.encode({**described, "schedule": schedule})
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def label(self) -> str:
        """The method as tables and figures show it: ``lcdh[lambda1=0.1]``, or the name that it was given."""
        return self.method_shown or heading(self.method, self.params)

    @cached_property
    def dataset_label(self) -> str:
        """The dataset as it is shown: ``wiki``, ``mine.npz``, or the name that it was given."""
        return self.dataset_shown or dataset_heading(self.dataset, self.dataset_params)

    @property
    def selectors(self) -> tuple[str, str]:
        """Method and dataset as they are selected on the command line, whatever they are shown as."""
        return selector(self.method, self.params), selector(self.dataset, self.dataset_params)

    @property
    def divided(self) -> bool:
        """Whether some items of the database are kept out of training, so that scores have parts."""
        return self.train != "all" or self.unseen_classes > 0

    @property
    def disturbed(self) -> dict[str, str]:
        """The axes that disturb the stream, where they are set, each with its value and meaning."""
        values = {name: getattr(self, name) for name in MEANINGS}
        return {k: f"{v}: {MEANINGS[k]}" for k, v in values.items() if v != SINCE[k]}

    @property
    def sees_future(self) -> bool:
        """Whether an offline teacher was shown the items of later rounds."""
        return self.pool == "full"

    def __str__(self) -> str:
        shares = "".join(f", {k} {getattr(self, k)}" for k in SINCE if getattr(self, k) != SINCE[k])
        pool = f", pool {self.pool}" if self.pool not in ("none", "first_chunk") else ""
        run = f"{self.label} on {self.dataset_label}, {self.bits} bits, seed {self.seed}"
        return f"{run}, {self.database}{pool}{shares}"

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunSpec:
        return cls(
            **{
                **stored,
                "schedule": Schedule(**stored["schedule"]),
                "directions": tuple(stored.get("directions", cls.directions)),
            }
        )


def selector(name: str, values: Mapping[str, Any]) -> str:
    """The text that selects a plugin with these parameters on the command line."""
    inside = ",".join(f"{k}={quoted(v)}" for k, v in sorted(values.items()))
    return f"{name}[{inside}]" if inside else name


def quoted(value: Any) -> str:
    """A value as a selector has it: in quotes where it would be cut otherwise.

    >>> print(quoted("v1,final.npz"), quoted(0.5), quoted("it's [1].npz"))
    'v1,final.npz' 0.5 "it's [1].npz"
    """
    text = str(value)
    if not re.search(r"[,\[\]'\"]|\sas\s", text) and text == text.strip():
        return text
    mark = "'" if "'" not in text or '"' in text else '"'
    return mark + text.replace(mark, mark * 2) + mark


def heading(name: str, values: Mapping[str, Any], parts: int = 1) -> str:
    """A selector as a heading, in which only the last ``parts`` of paths are left.

    >>> heading("ours", {"weights": "/data/clip/vitb32.npz", "seed": 1})
    'ours[seed=1,weights=vitb32.npz]'
    """
    return selector(name, {key: _ending(value, parts) for key, value in values.items()})


def dataset_heading(name: str, values: Mapping[str, Any], parts: int = 1) -> str:
    """The same of a dataset; one that reads a ``path`` is called by it.

    >>> dataset_heading("files", {"path": "/data/clip/vitb32.npz", "seed": 1})
    'vitb32.npz[seed=1]'
    """
    path = values.get("path")
    if not isinstance(path, str) or not path:
        return heading(name, values, parts)
    return heading(_ending(path, parts), {k: v for k, v in values.items() if k != "path"}, parts)


def _ending(value: Any, parts: int) -> Any:
    """The last parts of a path; any other value as it is."""
    if not isinstance(value, str):
        return value
    windows = re.match(r"[A-Za-z]:\\|\\\\", value)
    return "/".join(re.split(r"[/\\]+" if windows else "/+", value.rstrip("/"))[-parts:])


def origin(fidelity: str) -> str:
    """How close a method is to its authors', spelled out; an unknown fidelity is returned as it is."""
    kind = kind_of(fidelity)
    return FIDELITIES.get(kind, kind or "origin not recorded") + fidelity[len(kind) :]


def kind_of(fidelity: str) -> str:
    """The key of FIDELITIES in ``modified (anchors=300)``: what stands before the difference."""
    return fidelity.partition(" (")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One row of an ablation: ``pairs`` maps the key of a cell of the full method to the variant's."""

    name: str
    isolates: str
    setting: str  # what differs: "attention=0"
    pairs: Mapping[str, str]
    code: str = ""  # its number in a paper


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """The scores of one evaluated round over a part of the database, as in :class:`RoundRecord`."""

    items: int
    empty_queries: Mapping[str, int]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """One evaluated round.

    ``metrics`` maps ``name/direction`` to the mean over queries with a relevant item, for
    instance ``{"map/i2t": 0.71, "map:pessimistic/i2t": 0.69, "chance/i2t": 0.41}``.
    ``seconds`` holds wall-clock seconds of fit, encode_query, encode_database, rehash and search, CPU
    seconds under the same names with ``_cpu``, and with ``_gpu`` those of calls that used a GPU, until it
    was idle; fit adds up the rounds since the evaluation before. ``bits_rewritten`` counts stored bits that a
    rehash changed, and is None where there was no earlier index to compare with. ``parts`` has the same
    scores over the ``trained`` and the ``unseen`` items apart, where methods were not trained on all.
    ``deleted`` has mAP and chance over the items that have left the database, as the current hash functions
    encode them: over those that methods were ``trained`` on, and over the ``unseen`` ones.
    """

    round: int
    items: int  # in the database after this round
    queries: int
    empty_queries: Mapping[str, int]  # per direction: queries with no relevant item
    metrics: Mapping[str, float]
    seconds: Mapping[str, float]
    bits_rewritten: int | None
    state_bytes: int
    gpu_bytes: int | None = None  # at most in fits since the evaluation before; None: no GPU was used
    parts: Mapping[str, PartRecord] = field(default_factory=dict)
    deleted: Mapping[str, PartRecord] = field(default_factory=dict)

    def over(self, part: str, shown: str = "all") -> RoundRecord:
        """The same round with the scores over a part of the database instead of those over ``shown``.

        ``parts`` then has the latter, so that nothing is lost.
        """
        if part == shown:
            return self
        names = PartRecord.__dataclass_fields__
        parts = {**self.parts, shown: PartRecord(**{name: getattr(self, name) for name in names})}
        chosen = parts.pop(part)
        return replace(self, parts=parts, **{name: getattr(chosen, name) for name in names})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RoundRecord:
        parts = {
            field_: {name: PartRecord(**part) for name, part in stored.get(field_, {}).items()}
            for field_ in ("parts", "deleted")
        }
        return cls(**{**stored, **parts})


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveRecord:
    """A curve that a method logged; entry i of every field is one point, in order.

    ``rounds`` is ``OFFLINE`` for the offline stage; ``steps`` begin anew in every round.
    """

    rounds: tuple[int, ...]
    steps: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, rows: Any) -> CurveRecord:
        """A curve of rows (n, 3) of round, step and value, thinned to at most ``MOST_POINTS``."""
        columns = rows[:: max(1, -(-len(rows) // MOST_POINTS))].T.tolist()
        rounds, steps = (tuple(map(int, column)) for column in columns[:2])
        return cls(rounds=rounds, steps=steps, values=tuple(columns[2]))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> CurveRecord:
        return cls(**{name: tuple(values) for name, values in stored.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecord:
    """One index over the database codes of a cell, measured at one setting in one direction.

    ``recall`` and ``precision`` map k, as text, to a mean over queries: the share of the k returned items
    that are no farther than the k-th nearest, and the share that are relevant. Seconds are wall clock, on one
    thread; ``p50`` and ``p99`` are those of a query that is asked alone, for 100 items or all, and
    ``busy_p50`` and ``busy_p99`` the same while every core asks one query at a time.
    """

    direction: Direction
    index: str  # scan, flat, ivf, hnsw or multihash
    setting: str  # "nprobe=8"; "" for an exact search
    recall: Mapping[str, float]
    precision: Mapping[str, float]
    p50: float
    p99: float
    rates: Mapping[str, float]  # threads → queries per second, asked together
    bytes_per_item: float  # of the index, with ids
    build_seconds: float  # training, if any, and adding every item
    add_seconds: float  # adding the last chunk alone
    busy_p50: float | None = None
    busy_p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRecord:
    """The indexes of one cell, as ``bench index`` measured them on one machine."""

    arrays: str  # the file of the codes that were searched
    items: int
    queries: int
    chunk: int  # items that ``add_seconds`` are for
    clip_recall: Mapping[
        Direction, Mapping[str, float]
    ]  # direction → k → recall of the view clip's nearest k
    searches: tuple[SearchRecord, ...]
    environment: Mapping[str, str | int | float | bool | None]
    output_recall: Mapping[Direction, Mapping[str, float]] = field(
        default_factory=dict
    )  # the same of the nearest k by the real outputs whose signs are the codes; empty without a kept model
    schema: int = SCHEMA

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> IndexRecord:
        return cls(**{**stored, "searches": tuple(SearchRecord(**s) for s in stored["searches"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The outcome of a cell: its rounds, or the reason why it has none."""

    spec: RunSpec
    status: Status
    reason: str = ""  # why it was skipped or failed, one line
    traceback: str = ""
    rounds: tuple[RoundRecord, ...] = ()
    code: str = ""  # fingerprint of the method's and the protocol's source
    data: str = ""  # fingerprint of the arrays
    fidelity: str = ""  # one of FIDELITIES; modified is followed by the difference: modified (anchors=300)
    reference: str = ""  # one of REFERENCES, or "" for a rival
    distance: str = "hamming"  # one of DISTANCES: how queries are compared with codes
    environment: Mapping[str, Any] = field(default_factory=dict)  # versions, machine, threads, jobs
    fit_seconds: tuple[float, ...] = ()  # of every fit, also in rounds that were not evaluated
    curves: Mapping[str, CurveRecord] = field(default_factory=dict)  # what the method logged
    notes: tuple[str, ...] = ()  # what a reader must know, e.g. that a view was stood in for
    contract: tuple[str, ...] | None = ()  # the checks that its method failed; None where they did not run
    arrays: str = ""  # the file of histograms and codes beside the record
    schema: int = SCHEMA
    part: str = "all"  # the part of the database that the rounds' scores are over; not stored

    @property
    def word(self) -> str:
        """The word printed in place of a number: ``skipped``, ``failed``, or "" if there are numbers."""
        if self.status != "ok":
            return self.status
        return "" if self.rounds else "failed"

    @property
    def trouble(self) -> str:
        """The reason why the cell has no numbers, or ""."""
        if self.status != "ok":
            return self.reason or "no reason recorded"
        return "" if self.rounds else "no round was evaluated"

    @property
    def has_codes(self) -> bool:
        """Whether codes of queries and database are stored with it."""
        return self.status == "ok" and bool(self.arrays) and self.compares_codes

    @property
    def compares_codes(self) -> bool:
        return compares_codes(self.reference, self.distance)

    @property
    def constant(self) -> bool:
        """Whether all its codes of a modality are equal, so that its scores say nothing."""
        return any(note.startswith(f"{CONSTANT} ") for note in self.notes)

    def over(self, part: str) -> RunRecord:
        """The same record with its scores over a part of the database, a key of PARTS, if it has parts."""
        if not self.spec.divided or part == self.part:
            return self
        return replace(self, part=part, rounds=tuple(r.over(part, self.part) for r in self.rounds))

    @property
    def trained_items(self) -> int:
        """The items of the last round that methods were trained on."""
        last = self.over("all").rounds[-1]
        return last.parts["trained"].items if self.spec.divided else last.items

    @property
    def breach(self) -> str:
        """The checks of the contract that its method failed, or that none ran; "" where it passed."""
        if self.contract is None:
            return "not checked against the contract"
        checks = "; ".join(name.replace("_", " ") for name in self.contract)
        return f"fails checks of the contract ({checks})" if checks else ""

    def to_json(self) -> dict[str, Any]:
        values = asdict(self.over("all"))
        del values["part"]
        for name in ("by", "name"):
            if not values["spec"]["schedule"][name]:
                del values["spec"]["schedule"][name]
        for entry in values["rounds"]:
            if not entry["deleted"]:
                del entry["deleted"]  # as in records of streams that delete nothing
        for name in SHOWN:
            if not values["spec"][name]:
                del values["spec"][name]
        return values

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunRecord:
        contract = stored.get("contract", ())
        return cls(
            **{
                **stored,
                "spec": RunSpec.from_json(stored["spec"]),
                "rounds": tuple(RoundRecord.from_json(r) for r in stored.get("rounds", ())),
                "fit_seconds": tuple(stored.get("fit_seconds", ())),
                "curves": {k: CurveRecord.from_json(c) for k, c in stored.get("curves", {}).items()},
                "notes": tuple(stored.get("notes", ())),
                "contract": None if contract is None else tuple(contract),
            }
        )

    def shown_as(self, spec: RunSpec) -> RunRecord:
        """The same record under the names that ``spec`` was given; without one the old name stays."""
        names = {name: getattr(spec, name) or getattr(self.spec, name) for name in SHOWN}
        if all(getattr(self.spec, name) == value for name, value in names.items()):
            return self
        return replace(self, spec=replace(self.spec, **names))

    def with_arrays(self, name: str) -> RunRecord:
        return replace(self, arrays=name)


def compares_codes(reference: str, distance: str) -> bool:
    """Whether queries have codes as items do, so that distances are numbers of bits."""
    return reference != "real-valued" and distance == "hamming"


def no_codes(records: Iterable[RunRecord], verb: str) -> str:
    """The message where none of the records has codes to ``verb``."""
    own = sorted({r.spec.label for r in records if r.status == "ok" and not r.compares_codes})
    why = f": queries of {', '.join(own)} are float32 numbers, which are not stored" if own else ""
    return f"no cell with stored codes to {verb}{why}. Run `bench run` with hashing methods, or filter less."
