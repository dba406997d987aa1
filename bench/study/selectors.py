"""Reads ``lcdh[lambda1=0.1,1],olsh as ours``: names of plugins, values of their parameters, names to show.

A value with a comma or a bracket stands in quotes: ``files[path='v1,final.npz']``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from bench.contract import params
from bench.errors import ParameterError, UnknownNameError
from bench.isolation import declarations
from bench.plugins import registry
from bench.records import quoted

MOST_LETTERS = 60  # of a name to show


@dataclass(frozen=True)
class Plugin:
    """A method or a dataset by name; its class is looked up when it is first needed, once.

    That of a method may be a stand-in: see :func:`bench.isolation.declarations.method`.
    """

    kind: str
    name: str

    @cached_property
    def cls(self) -> Any:
        return declarations.method(self.name) if self.kind == "method" else registry.get(self.kind, self.name)

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
    """A plugin, the parameters that differ from its defaults, and the name to show, or ""."""

    plugin: Plugin
    params: dict[str, Any]
    shown: str = ""


def split(text: str) -> list[str]:
    """Cut at the commas that stand outside brackets and quotes.

    >>> split("lcdh[lambda1=0.1,1],files[path='a],b.npz'] as mine")
    ['lcdh[lambda1=0.1,1]', "files[path='a],b.npz'] as mine"]
    """
    return [part.strip() for part in _cut(text) if part.strip()]


def named(text: str, shown: str) -> str:
    """A selector with a name to show, if there is one.

    >>> named("lemon[beta=2]", "ours, [v2]")
    "lemon[beta=2] as 'ours, [v2]'"
    """
    return f"{text} as {quoted(shown)}" if shown else text


def expand(kind: str, texts: Iterable[str], plugin: Callable[[str, str], Plugin] = Plugin) -> list[Selected]:
    """Every combination of parameters that the selectors ask for, each checked and once.

    ``plugin`` gives the plugin of a kind and a name. Raises ParameterError where two settings are to be
    shown under one name, or one under two.
    """
    selected: dict[str, Selected] = {}
    names: dict[str, str] = {}
    for text in texts:
        for one in _expand_one(kind, text, plugin):
            key = f"{one.plugin.name}{sorted(one.params.items())}"
            before = selected.setdefault(key, one)
            if one.shown and before.shown != one.shown:
                if before.shown:
                    raise ParameterError(
                        f"{text}: this {kind} is already shown as {before.shown!r}. Name it once."
                    )
                selected[key] = one
            if one.shown and names.setdefault(one.shown, key) != key:
                raise ParameterError(
                    f"{text}: another {kind} is already shown as {one.shown!r}. Give each its own name."
                )
    return list(selected.values())


def _expand_one(kind: str, text: str, plugin: Callable[[str, str], Plugin]) -> Iterator[Selected]:
    chosen_text, shown = _named(text)
    name, bracket, inside = chosen_text.partition("[")
    if bracket and not inside.endswith("]"):
        raise ParameterError(f"selector {text!r} has no closing bracket. Write {name}[parameter=value].")
    chosen = plugin(kind, name.strip())
    choices = _choices(name, inside[:-1]) if bracket else {}
    for values in itertools.product(*choices.values()):
        yield Selected(chosen, _resolve(chosen, dict(zip(choices, values, strict=True))), shown)


def _named(text: str) -> tuple[str, str]:
    """``files[path=x] as mine`` as the selector and the name to show."""
    match = re.fullmatch(rf"(.*?\S)\s+as\s+({_QUOTED}|[^\[\]]+)", text.strip(), re.DOTALL)
    if match is None:
        return text.strip(), ""
    shown = _unquoted(match[2])
    if not shown.isprintable() or len(shown) > MOST_LETTERS or not shown.strip():
        raise ParameterError(
            f"{match[1]}: the name {shown!r} cannot be shown; expected 1 to {MOST_LETTERS} printable "
            "letters. Choose another after `as`."
        )
    return match[1], shown


def _choices(owner: str, inside: str) -> dict[str, list[str]]:
    """``lambda1=0.1,1,mode=x`` as ``{"lambda1": ["0.1", "1"], "mode": ["x"]}``."""
    choices: dict[str, list[str]] = {}
    current = ""
    for part in _cut(inside):
        name, equals, value = part.partition("=")
        if equals and name.strip()[:1] not in ("'", '"'):
            current = name.strip()
            if current in choices:
                raise ParameterError(
                    f"{owner}[{inside}]: {current} is given twice. List all its values once: {current}=A,B."
                )
            choices[current] = [_unquoted(value)]
        elif current:
            choices[current].append(_unquoted(part))
        else:
            raise ParameterError(f"{owner}[{inside}]: {part!r} is not parameter=value.")
    return choices


_QUOTED = r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*")"""  # a quote inside is doubled
_OPENS = re.compile(r"(?:^|[=,\[]|\sas)\s*$")  # what stands before a quoted value: elsewhere ' is a letter


def _cut(text: str) -> list[str]:
    """Cut at the commas that stand outside brackets and quotes; nothing is stripped or unquoted."""
    parts, start, depth, i = [], 0, 0, 0
    while i < len(text):
        if text[i] in "'\"" and _OPENS.search(text[start:i]):
            quoted = re.compile(_QUOTED).match(text, i)
            if quoted is None:
                raise ParameterError(
                    f"{text}: a quote is not closed. Write '...' around a value, and a quote inside it twice."
                )
            i = quoted.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[i], 0)
        if text[i] == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
        i += 1
    return [*parts, text[start:]]


def _unquoted(text: str) -> str:
    text = text.strip()
    if re.fullmatch(_QUOTED, text, re.DOTALL):
        return text[1:-1].replace(text[0] * 2, text[0])
    return text


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
