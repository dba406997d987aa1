"""The declarations of a method that is not built in, read in a process of its own.

Its module is imported there, never in the process that scores. What comes back is plain data, from which a
stand-in is made: a class with the same parameters and declarations that cannot learn.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache, reduce
from keyword import iskeyword
from types import NoneType, new_class
from typing import Any, ClassVar, Literal, NoReturn, get_args, get_origin

from bench.contract import params
from bench.contract.items import Batch, Chunk, Modality
from bench.contract.method import Capabilities, Method, Source, Variant
from bench.disk.form import mismatch
from bench.errors import BenchError, ContractError, ParameterError
from bench.isolation.channel import Channel, Message
from bench.isolation.child import Answer
from bench.isolation.process import AVAILABLE, MODULES, Child, DiedError, RaisedError
from bench.plugins import registry

_TYPES = {kind.__name__: kind for kind in (bool, int, float, str, NoneType)}
_Plain = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter as JSON: each of its types is a name, or the list of values that it allows."""

    name: str
    types: tuple[str | tuple[_Plain, ...], ...]
    required: bool
    default: _Plain
    doc: str
    above: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class _Declarations:
    module: str
    name: str
    doc: str
    fields: tuple[_Field, ...]
    capabilities: Capabilities
    source: Source
    presets: Mapping[str, Mapping[str, _Plain]]
    variants: Mapping[str, Variant]
    varies: tuple[str, ...]
    constructs: bool  # whether its constructor does more than the contract's


class StandIn(Method):
    """A method with the declarations of another, whose code is not in this process."""

    plugin_: ClassVar[str] = ""
    constructs_: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Also raise what the method's own constructor raises."""
        super().__post_init__()
        if self.constructs_:
            _asked(self.plugin_, values={f.name: getattr(self, f.name) for f in fields(self)})

    def fit_chunk(self, chunk: Chunk) -> NoReturn:
        self._refuse()

    def encode(self, batch: Batch, modality: Modality) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ContractError(
            f"{type(self).__name__} holds only the declarations of a method. Get the method itself with "
            "bench.isolation.declarations.actual()."
        )


def method(name: str) -> type[Method]:
    """The class of a built-in method; for another method a :class:`StandIn`, whose module is not imported."""
    if registry.is_built_in("method", name) or not AVAILABLE:
        cls: type[Method] = registry.get("method", name)
        return cls
    return _stand_in(name, registry.version(name))


def actual(cls: type[Method]) -> type[Method]:
    """The class that a stand-in stands for, imported into this process; any other class as it is."""
    if not issubclass(cls, StandIn):
        return cls
    imported: type[Method] = registry.member(cls.__module__, cls.__qualname__)
    return imported


@cache
def _stand_in(name: str, version: str) -> type[Method]:  # the version is a part of the cache's key
    sent = _asked(name)
    problem = mismatch(sent, _Declarations, "it") or _odd_names(sent)
    if problem:
        raise ContractError(
            f"method {name!r} has no proper declarations: {problem}. See {registry.path_of('method', name)}."
        )
    parts = {
        "__module__": sent["module"],
        "__qualname__": sent["name"],
        "__doc__": sent["doc"],
        "__annotations__": {f["name"]: _type(f["types"]) for f in sent["fields"]},
        **{f["name"]: _field(f) for f in sent["fields"]},
        "capabilities": Capabilities(
            **sent["capabilities"] | {"views": tuple(sent["capabilities"]["views"])}
        ),
        "source": Source(**sent["source"]),
        "presets": sent["presets"],
        "variants": {key: Variant(**variant) for key, variant in sent["variants"].items()},
        "varies": tuple(sent["varies"]),
        "constructs_": sent["constructs"],
        "plugin_": name,
    }
    return new_class(sent["name"].rpartition(".")[2], (StandIn,), exec_body=lambda body: body.update(parts))


def _odd_names(sent: Mapping[str, Any]) -> str:
    """Why names are unfit for a class: a dataclass compiles those of its fields as a part of its code."""
    names = [*sent["name"].split("."), *(field["name"] for field in sent["fields"])]
    odd = [name for name in names if not name.isidentifier() or iskeyword(name) or name.startswith("__")]
    return f"{odd[0]!r} is no name of a class or a parameter" if odd else ""


def _type(types: list[str | list[Any]]) -> Any:
    return reduce(operator.or_, (_TYPES[t] if isinstance(t, str) else Literal[tuple(t)] for t in types))


def _field(stored: Mapping[str, Any]) -> Any:
    default = MISSING if stored["required"] else stored["default"]
    return params.param(default, stored["doc"], **{k: stored[k] for k in ("above", "least", "most")})


def _asked(name: str, values: Mapping[str, Any] | None = None) -> Any:
    """The declarations of a method, or None where ``values`` are given and its constructor accepts them.

    Raises ContractError or ParameterError with the reason why not.
    """
    child = Child("bench.isolation.declarations:Declaring", MODULES)
    try:
        child.start()
        answer = child.ask("method", name=name, values=values).values
    except (DiedError, RaisedError) as error:
        act = "cannot be imported" if values is None else "cannot be constructed"
        place = registry.path_of("method", name)
        raise ContractError(f"method {name!r} {act}: {error.reason}. See {place}.") from None
    finally:
        child.close(at_once=True)
    if "refused" in answer:
        kind = ParameterError if answer.get("error") == ParameterError.__name__ else ContractError
        raise kind(str(answer["refused"]))
    return answer.get("declarations")


class Declaring:
    """Answers :func:`_asked`, in the child."""

    def __call__(self, message: Message, channel: Channel) -> Answer:
        values = message.values["values"]
        try:
            cls: type[Method] = registry.get("method", message.values["name"])
            if values is None:
                return {}, {"declarations": asdict(_declarations(cls))}
            cls(**values)
        except BenchError as error:
            return {}, {"refused": str(error), "error": type(error).__name__}
        return {}, {}


def _declarations(cls: type[Method]) -> _Declarations:
    known = params.parameters(cls, without=())
    required = {f.name for f in fields(cls) if f.default is MISSING}
    return _Declarations(
        cls.__module__,
        cls.__qualname__,
        registry.docstring(cls),
        tuple(_as_field(parameter, required=name in required) for name, parameter in known.items()),
        cls.capabilities,
        cls.source,
        {key: dict(preset) for key, preset in cls.presets.items()},
        dict(cls.variants),
        tuple(cls.varies),
        cls.__post_init__ is not Method.__post_init__,
    )


def _as_field(known: params.Parameter, *, required: bool) -> _Field:
    types = tuple(get_args(t) if get_origin(t) is Literal else t.__name__ for t in known.types)
    return _Field(known.name, types, required, known.default, known.doc, known.above, known.least, known.most)
