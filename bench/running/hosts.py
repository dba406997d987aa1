"""Where the methods of one pass run: in a process of their own, or, for debugging, in this one."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from bench.contract import params, state
from bench.contract.items import Batch, Chunk, Modality, Split
from bench.contract.method import Method
from bench.contract.state import Tree
from bench.errors import ParameterError, account
from bench.isolation.channel import Arrays, Message
from bench.isolation.process import AVAILABLE, Child, RaisedError
from bench.protocol.shown import Hasher, Output
from bench.running import parcels

T = TypeVar("T")
_WIDEST = 1 << 16  # columns of real-valued vectors
_MOST_ROWS = 1 << 32  # of a database
_STATE = 1 << 36  # bytes of a saved state
MODULES = (  # what a child has imported when it starts
    *("threadpoolctl", "scipy.linalg", "scipy.special"),
    *("bench.api", "bench.running.hosted", "bench.running.checked"),
)


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
    """A method wherever it runs, as far as a run needs it. Fitting returns the seconds that it borrowed."""

    def fit_pool(self, pool: Split) -> list[float]: ...
    def fit_chunk(self, chunk: Chunk) -> list[float]: ...
    def notes(self) -> Sequence[str]: ...
    def state_bytes(self) -> int: ...
    def save(self) -> Tree: ...
    def load(self, saved: Tree) -> None: ...


class Apart:
    """A process for the methods of one pass: each has the limit of time, and all together that of memory."""

    def __init__(self, cls: type[Method], limits: Isolation, thread_count: int) -> None:
        imports = imports_of(cls)
        self.cls, self.limits = cls, limits
        self.child = Child(
            "bench.running.hosted:Hosted",
            (*MODULES, *imports),
            memory=limits.memory,
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

    def allow(self, spent: float) -> None:
        """Go on with a cell that has taken so many seconds already."""
        self.child.allow(self.limits.timeout, spent)

    def show(self, items: Split) -> None:
        """Send a pool or a chunk, once for all cells."""
        arrays, values = parcels.packed(items)
        kept = None if items.shared.folder is None else str(items.shared.folder)
        round_ = items.round if isinstance(items, Chunk) else None
        self.child.ask("items", arrays, **values, kept=kept, round=round_, classes=items.classes)

    def new(self, cell: int, bits: int, seed: int, params: Mapping[str, Any]) -> Hosting:
        self.child.ask("new", cell=cell, bits=bits, seed=seed, params=dict(params))
        return _Remote(self, cell, bits)


class _Remote:
    """A method in another process. What comes back is data, and is checked."""

    def __init__(self, host: Apart, cell: int, bits: int) -> None:
        self.host, self.cell, self.bits = host, cell, bits
        self.capabilities, self.owner = host.cls.capabilities, host.cls.__name__

    def fit_pool(self, pool: Split) -> list[float]:
        return _seconds(self._ask("fit_pool"))

    def fit_chunk(self, chunk: Chunk) -> list[float]:
        return _seconds(self._ask("fit_chunk"))

    def encode(self, batch: Batch, modality: Modality) -> Output:
        arrays, values = parcels.packed(batch)
        codes: Output = self._codes("encode", len(batch), arrays, **values, modality=modality)
        return codes

    def encode_database(self, chunk: Chunk, modality: Modality) -> Output:
        codes: Output = self._codes("encode_database", len(chunk), modality=modality)
        return codes

    def update_database(self, modality: Modality) -> Output | None:
        codes: Output | None = self._codes("update_database", _MOST_ROWS, modality=modality)
        return codes

    def notes(self) -> Sequence[str]:
        notes = self._ask("notes").values.get("notes")
        return [str(note) for note in notes] if isinstance(notes, list) else []

    def state_bytes(self) -> int:
        size = self._ask("state_bytes").values.get("bytes")
        return size if type(size) is int and size >= 0 else 0

    def save(self) -> Tree:
        return self._ask("save", most=_STATE).arrays["state"]

    def load(self, saved: Tree) -> None:
        self._ask("load", {"state": saved})

    def _codes(self, kind: str, rows: int, arrays: Arrays | None = None, **values: Any) -> Any:
        most = 4 * _WIDEST * rows if self.capabilities.reference == "real-valued" else rows * self.bits
        return self._ask(kind, arrays, most=most, **values).arrays.get("codes")

    def _ask(self, kind: str, arrays: Arrays | None = None, **values: Any) -> Message:
        return self.host.child.ask(kind, arrays, cell=self.cell, **values)


def _seconds(answer: Message) -> list[float]:
    """Wall and CPU seconds that a method says it was spared: they can only add to its cost."""
    borrowed = answer.values.get("borrowed")
    numbers = borrowed if isinstance(borrowed, list) and len(borrowed) == 2 else [0.0, 0.0]
    return [float(n) if type(n) is float and 0 <= n < math.inf else 0.0 for n in numbers]


class InProcess:
    """This process hosts the methods, which can then be debugged; they reach everything."""

    def __init__(self, cls: type[Method]) -> None:
        self.cls = cls

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

    def new(self, cell: int, bits: int, seed: int, params: Mapping[str, Any]) -> Hosting:
        return _Local(_caught(lambda: self.cls(bits=bits, seed=seed, **params)))


class _Local:
    """A method in this process."""

    def __init__(self, method: Method) -> None:
        self.method, self.bits = method, method.bits
        self.capabilities, self.owner = method.capabilities, type(method).__name__

    def fit_pool(self, pool: Split) -> list[float]:
        pool.shared.borrowed = [0.0, 0.0]
        _caught(lambda: self.method.fit_pool(pool))
        return pool.shared.borrowed

    def fit_chunk(self, chunk: Chunk) -> list[float]:
        chunk.shared.borrowed = [0.0, 0.0]
        _caught(lambda: self.method.fit_chunk(chunk))
        return chunk.shared.borrowed

    def encode(self, batch: Batch, modality: Modality) -> Output:
        return _caught(lambda: self.method.encode(batch, modality))

    def encode_database(self, chunk: Chunk, modality: Modality) -> Output:
        return _caught(lambda: self.method.encode_database(chunk, modality))

    def update_database(self, modality: Modality) -> Output | None:
        return _caught(lambda: self.method.update_database(modality))

    def notes(self) -> Sequence[str]:
        return _caught(lambda: self.method.notes())

    def state_bytes(self) -> int:
        return state.nbytes(self.method.state_dict())

    def save(self) -> Tree:
        return self.method.state_dict()

    def load(self, saved: Tree) -> None:
        self.method.load_state_dict(saved)


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
