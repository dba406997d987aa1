"""Where the methods of one pass run: in a process of their own, or, for debugging, in this one."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from bench.contract import params, state
from bench.contract.items import Batch, Chunk, Features, Modality, Split
from bench.contract.method import Method
from bench.contract.state import Tree
from bench.contract.training import MOST_CURVES, MOST_POINTS, Curves
from bench.errors import ParameterError, account
from bench.isolation import declarations
from bench.isolation.channel import Arrays, Message
from bench.isolation.process import AVAILABLE, MODULES, Child, RaisedError
from bench.protocol.shown import Empty, Hasher, Output
from bench.running import fitting, parcels
from bench.running.fitting import Fitted, HandOn
from bench.running.gpu import Used

T = TypeVar("T")
Saved = npt.NDArray[np.uint8]  # the state of a method: bytes in which the harness reads nothing
_WIDEST = 1 << 16  # columns of real-valued vectors
_MOST_ROWS = 1 << 32  # of a database
_STATE = 1 << 36  # bytes of a saved state
_ANSWER = 1 << 20  # bytes of any other answer


def imports_of(cls: type[Method]) -> tuple[str, ...]:
    """The modules beyond those that a method needs and that take long to import."""
    return ("torch",) if "device" in params.parameters(cls) else ()


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether cells run in processes of their own, and the seconds and GB that each may take."""

    in_process: bool = False
    timeout: float | None = None
    memory: float | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "memory"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ParameterError(f"{name} must be a positive number; got {value}.")
            if value is not None and (self.in_process or not AVAILABLE):
                why = "in_process leaves them in this one" if self.in_process else "this system has no fork()"
                raise ParameterError(
                    f"{name} limits cells in processes of their own; {why}. Drop one of them."
                )

    @property
    def apart(self) -> bool:
        return AVAILABLE and not self.in_process


APART = Isolation()


class Hosting(Hasher, Protocol):
    """A method wherever it runs, as far as a run needs it.

    ``hand_on`` gets what a long training saves of itself, and ``inside`` is what it got before a kill.
    """

    def fit(self, items: Split, hand_on: HandOn, every: float, inside: Tree | None) -> Fitted: ...
    def forget(self, items: Split, place: int) -> None: ...
    def notes(self) -> Sequence[str]: ...
    def state_bytes(self) -> int: ...
    def save(self) -> Saved: ...
    def load(self, saved: Saved) -> None: ...


class Apart:
    """A process for the methods of one pass: each has the limit of time, and all together that of memory."""

    def __init__(self, cls: type[Method], limits: Isolation, thread_count: int) -> None:
        imports = imports_of(cls)
        self.cls, self.limits, self.gpu = cls, limits, Used()
        self.child = Child(
            "bench.running.hosted:Hosted",
            (*MODULES, *imports),
            memory=limits.memory,
            load=cls.__module__ if cls.__module__.startswith("bench.methods.") else "",
            module=cls.__module__,
            name=cls.__qualname__,
            thread_count=thread_count,
            imports=imports,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.child.close(at_once=kind is not None)

    def start(self) -> None:
        self.child.start()

    def cpu(self) -> float:
        return time.process_time() + self.child.cpu()

    @property
    def empty(self) -> Empty:
        """Makes arrays to show, in memory that the child can read."""
        return self.child.arena.empty

    def allow(self, spent: float) -> None:
        """Go on with a cell that has taken so many seconds already."""
        self.child.allow(self.limits.timeout, spent)

    def show(self, items: Split) -> None:
        """Send a pool or a chunk, once for all cells."""
        self._send("items", items)

    def show_leaving(self, place: int, items: Split) -> None:
        """Send items to be forgotten, once for all cells, to a place beside the chunk."""
        self._send("leaving", items, place=place)

    def _send(self, kind: str, items: Split, **more: Any) -> None:
        arrays, values = parcels.packed(items)
        kept = None if items.shared.folder is None else str(items.shared.folder)
        round_ = items.round if isinstance(items, Chunk) else None
        values |= {"kept": kept, "round": round_, "classes": items.classes, "parents": items.parents}
        self.child.ask(kind, arrays, **values, **more)

    def new(self, cell: int, bits: int, seed: int, params: Mapping[str, Any]) -> Hosting:
        self.child.ask("new", cell=cell, bits=bits, seed=seed, params=dict(params))
        return _Remote(self, cell, bits)


class _Remote:
    """A method in another process. What comes back is data, and is checked."""

    def __init__(self, host: Apart, cell: int, bits: int) -> None:
        self.host, self.cell, self.bits, self.empty = host, cell, bits, host.empty
        self.capabilities, self.owner = host.cls.capabilities, host.cls.__name__

    def fit(self, items: Split, hand_on: HandOn, every: float, inside: Tree | None) -> Fitted:
        values = {"pool": not isinstance(items, Chunk), "every": every}
        most = _STATE if self.capabilities.resumes else _ANSWER
        self.host.child.kept = lambda m: hand_on(m.arrays["before"], m.arrays["inside"])
        answer = self._ask("fit", None if inside is None else {"inside": inside}, most=most, **values)
        return Fitted(_seconds(answer), _curves(answer.values.get("curves")))

    def encode(self, batch: Batch, modality: Modality) -> Output:
        arrays, values = parcels.packed(batch)
        codes: Output = self._codes("encode", len(batch), arrays, **values, modality=modality)
        return codes

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        arrays, values = parcels.packed(batch)
        most = 1024 * -(-self.bits // 8) * len(batch)  # a table for each byte of a code
        answer = self._ask("encode_query", arrays, most=most, **values, modality=modality)
        return cast("Features", answer.arrays.get("codes"))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Output:
        codes: Output = self._codes("encode_database", len(chunk), modality=modality)
        return codes

    def update_database(self, modality: Modality) -> Output | None:
        codes: Output | None = self._codes("update_database", _MOST_ROWS, modality=modality)
        return codes

    def forget(self, items: Split, place: int) -> None:
        self._ask("forget", place=place)

    def notes(self) -> Sequence[str]:
        notes = self._ask("notes").values.get("notes")
        return [str(note) for note in notes] if isinstance(notes, list) else []

    def state_bytes(self) -> int:
        size = self._ask("state_bytes").values.get("bytes")
        return size if type(size) is int and size >= 0 else 0

    def save(self) -> Saved:
        return self._ask("save", most=_STATE).arrays["state"]

    def load(self, saved: Saved) -> None:
        self._ask("load", {"state": saved})

    def _codes(self, kind: str, rows: int, arrays: Arrays | None = None, **values: Any) -> Any:
        most = 4 * _WIDEST * rows if self.capabilities.reference == "real-valued" else rows * self.bits
        return self._ask(kind, arrays, most=most, **values).arrays.get("codes")

    def _ask(self, kind: str, arrays: Arrays | None = None, **values: Any) -> Message:
        answer = self.host.child.ask(kind, arrays, cell=self.cell, **values)
        self.host.gpu = _used(answer.values.get("gpu"), self.host.gpu)
        return answer


def _seconds(answer: Message) -> list[float]:
    """Wall and CPU seconds that a method says it was spared: they can only add to its cost."""
    borrowed = answer.values.get("borrowed")
    numbers = borrowed if isinstance(borrowed, list) and len(borrowed) == 2 else [0.0, 0.0]
    return [float(n) if type(n) is float and 0 <= n < math.inf else 0.0 for n in numbers]


def _curves(said: Any) -> Curves:
    """The curves that a method logged, as far as they have the form of curves."""
    curves: Curves = {}
    for name, points in said.items() if isinstance(said, dict) else ():
        if isinstance(points, list) and len(points) <= MOST_POINTS and len(curves) < MOST_CURVES:
            good = [p for p in points if isinstance(p, list) and list(map(type, p)) == [int, float]]
            curves[str(name)] = [point for point in good if math.isfinite(point[1])]
    return curves


def _used(said: Any, before: Used) -> Used:
    """What the child says of its GPU; seconds can only add up."""
    if not isinstance(said, dict):
        return Used(before.seconds, 0, before.about)
    seconds, size, about = said.get("seconds"), said.get("bytes"), said.get("about")
    return Used(
        seconds if type(seconds) is float and before.seconds <= seconds < math.inf else before.seconds,
        size if type(size) is int and size >= 0 else 0,
        {str(k): str(v)[:100] for k, v in about.items()} if isinstance(about, dict) else {},
    )


class InProcess:
    """This process hosts the methods, which can then be debugged; they reach everything."""

    def __init__(self, cls: type[Method]) -> None:
        self.cls, self.gpu = declarations.actual(cls), Used()
        self.empty: Empty = np.empty

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *how: object) -> None: ...

    def start(self) -> None:
        for needed in imports_of(self.cls):  # seconds that belong to no cell
            importlib.import_module(needed)

    def cpu(self) -> float:
        return time.process_time()

    def allow(self, spent: float) -> None: ...

    def show(self, items: Split) -> None: ...

    def show_leaving(self, place: int, items: Split) -> None: ...

    def new(self, cell: int, bits: int, seed: int, params: Mapping[str, Any]) -> Hosting:
        return _Local(_caught(lambda: self.cls(bits=bits, seed=seed, **params)), self.gpu)


class _Local:
    """A method in this process."""

    def __init__(self, method: Method, gpu: Used) -> None:
        self.method, self.bits, self.gpu = method, method.bits, gpu
        self.capabilities, self.owner = method.capabilities, type(method).__name__

    def fit(self, items: Split, hand_on: HandOn, every: float, inside: Tree | None) -> Fitted:
        def fit() -> Fitted:
            return fitting.fit(self.method, items, hand_on=keep, every=every, inside=inside)

        def keep(before: Tree, inside: Tree) -> None:
            hand_on(state.packed(before), inside)

        return _caught(lambda: self.gpu.during(fit))

    def encode(self, batch: Batch, modality: Modality) -> Output:
        return _caught(lambda: self.gpu.during(lambda: self.method.encode(batch, modality)))

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return _caught(lambda: self.gpu.during(lambda: self.method.encode_query(batch, modality)))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Output:
        return _caught(lambda: self.method.encode_database(chunk, modality))

    def update_database(self, modality: Modality) -> Output | None:
        return _caught(lambda: self.method.update_database(modality))

    def forget(self, items: Split, place: int) -> None:
        _caught(lambda: self.method.forget_items(items))

    def notes(self) -> Sequence[str]:
        return _caught(lambda: self.method.notes())

    def state_bytes(self) -> int:
        return state.nbytes(self.method.state_dict())

    def save(self) -> Saved:
        return state.packed(self.method.state_dict())

    def load(self, saved: Saved) -> None:
        self.method.load_state_dict(state.unpacked(saved))


def _caught(act: Callable[[], T]) -> T:
    """The value of ``act()``; whatever it raises, but for an interrupt, becomes a :class:`RaisedError`."""
    try:
        return act()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything; the sweep goes on
        raise RaisedError(*account(error)) from error


def host(cls: type[Method], limits: Isolation, thread_count: int) -> Apart | InProcess:
    """The host of one pass, to be used in a ``with`` block."""
    return Apart(cls, limits, thread_count) if limits.apart else InProcess(cls)
