"""Reads a grid over parameters of a method and axes of a study: ``lambda1=0.1,1 labelled=0.1,1``."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import ParameterError, UnknownNameError
from bench.records import AXES, heading, quoted, selector
from bench.study.planner import Planner
from bench.study.selectors import Selected, named
from bench.study.study import Study

MOST_AXES = 2  # a table has no room for more


def over(planner: Planner, study: Study, texts: Sequence[str]) -> tuple[Study, list[str]]:
    """The study of one method with every combination of the values, and the names of the axes.

    Cells that differ only in parameters that the method's ``varies`` names share one pass over the
    stream; see :mod:`bench.running.sweep`.
    """
    study.add_plugins()
    values = _parsed(texts)
    selected = planner.select("method", study.methods)
    if len(selected) != 1:
        raise ParameterError("a grid takes one method with one setting; `bench run` compares several.")
    [(method, given, shown)] = selected
    known = method.parameters
    for name in values:
        if name not in known and name not in AXES:
            raise UnknownNameError(f"parameter of {method.name} or axis of a study", name, [*known, *AXES])
    fixed = [f"{k}={quoted(v)}" for k, v in given.items() if k not in values]
    inside = ",".join([*fixed, *(f"{k}={v}" for k, v in values.items() if k in known)])
    axes = {k: v for k, v in values.items() if k not in known}
    text = f"{method.name}[{inside}]" if inside else method.name
    methods = [
        _point(one, shown, [k for k in values if k in known]) for one in planner.select("method", [text])
    ]
    return study.but(methods=methods, **axes), list(values)


def _point(chosen: Selected, shown: str, axes: Sequence[str]) -> str:
    """The selector of one setting; a name of the method gets the values that vary: ``ours[lambda1=0.1]``."""
    known = chosen.plugin.parameters
    varied = {name: chosen.params.get(name, known[name].default) for name in axes}
    return named(selector(chosen.plugin.name, chosen.params), heading(shown, varied) if shown else "")


def _parsed(texts: Sequence[str]) -> dict[str, str]:
    """``["a=1,2", "b=3"]`` as ``{"a": "1,2", "b": "3"}``."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        if not equals or not name or not listed:
            raise ParameterError(f"{text!r} is not NAME=VALUES. Write lambda1=0.01,0.1,1.")
        if name in values:
            raise ParameterError(f"{name} is in the grid twice. List all its values once: {name}=A,B,C.")
        values[name] = listed
    if not 1 <= len(values) <= MOST_AXES:
        raise ParameterError(
            f"a grid has 1 or {MOST_AXES} axes; got {len(values)}. Fix the others: METHOD[name=value]."
        )
    return values
