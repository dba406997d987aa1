"""Reads ``lcdh[lambda1=0.1,1],olsh``: names of plugins with values, or lists of values, of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from bench.contract import params
from bench.errors import ParameterError, UnknownNameError
from bench.plugins import registry


@dataclass(frozen=True)
class Plugin:
    """A method or a dataset by name; its class is looked up when it is first needed, once."""

    kind: str
    name: str

    @cached_property
    def cls(self) -> Any:
        return registry.get(self.kind, self.name)

    @cached_property
    def parameters(self) -> Mapping[str, params.Parameter]:
        """The parameters that a selector may set."""
        return params.parameters(self.cls, without=("bits", "seed") if self.kind == "method" else ())

    def differing(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the values that differ from the defaults, checked; a whole number becomes a float
        where a float is declared, since 1 and 1.0 are one setting and one key."""
        params.check(self.name, values, self.parameters)
        declared = {name: self.parameters[name] for name in values}
        return {
            name: float(value) if declared[name].type is float else value
            for name, value in values.items()
            if value != declared[name].default
        }

    def __getstate__(self) -> dict[str, str]:
        """Without the class: another process cannot import that of a --plugin file by its module."""
        return {"kind": self.kind, "name": self.name}


class Selected(NamedTuple):
    """A plugin and the parameters that differ from its defaults."""

    plugin: Plugin
    params: dict[str, Any]


def split(text: str) -> list[str]:
    """Cut at the commas that stand outside brackets.

    >>> split("lcdh[lambda1=0.1,1],olsh")
    ['lcdh[lambda1=0.1,1]', 'olsh']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts if p.strip()]


def expand(kind: str, texts: Iterable[str], plugin: Callable[[str, str], Plugin] = Plugin) -> list[Selected]:
    """Every combination of parameters that the selectors ask for, each checked and once.

    ``plugin`` gives the plugin of a kind and a name.
    """
    selected: dict[str, Selected] = {}
    for text in texts:
        for one in _expand_one(kind, text, plugin):
            selected.setdefault(f"{one.plugin.name}{sorted(one.params.items())}", one)
    return list(selected.values())


def _expand_one(kind: str, text: str, plugin: Callable[[str, str], Plugin]) -> Iterator[Selected]:
    name, bracket, inside = text.partition("[")
    if bracket and not inside.endswith("]"):
        raise ParameterError(f"selector {text!r} has no closing bracket. Write {name}[parameter=value].")
    chosen = plugin(kind, name.strip())
    choices = _choices(name, inside[:-1]) if bracket else {}
    for values in itertools.product(*choices.values()):
        yield Selected(chosen, _resolve(chosen, dict(zip(choices, values, strict=True))))


def _choices(owner: str, inside: str) -> dict[str, list[str]]:
    """``lambda1=0.1,1,mode=x`` as ``{"lambda1": ["0.1", "1"], "mode": ["x"]}``."""
    choices: dict[str, list[str]] = {}
    current = ""
    for part in inside.split(","):
        name, equals, value = part.partition("=")
        if equals:
            current = name.strip()
            if current in choices:
                raise ParameterError(
                    f"{owner}[{inside}]: {current} is given twice. List all its values once: {current}=A,B."
                )
            choices[current] = [value.strip()]
        elif current:
            choices[current].append(part.strip())
        else:
            raise ParameterError(f"{owner}[{inside}]: {part!r} is not parameter=value.")
    return choices


def _resolve(plugin: Plugin, texts: Mapping[str, str]) -> dict[str, Any]:
    """Typed values that differ from the defaults; a preset first, single values over it."""
    known, owner = plugin.parameters, plugin.name
    values: dict[str, Any] = {}
    if "preset" in texts and "preset" not in known:
        presets = getattr(plugin.cls, "presets", {})
        if texts["preset"] not in presets:
            raise UnknownNameError(f"preset of {owner}", texts["preset"], presets)
        values.update(presets[texts["preset"]])
    for name, text in texts.items():
        if name in known:
            values[name] = params.parse(owner, known[name], text)
        elif name != "preset":
            raise UnknownNameError(f"parameter of {owner}", name, known)
    return plugin.differing(values)
