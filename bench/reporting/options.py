"""Options of reports: the keyword-only parameters of ``render``, with their types and meanings.

An option is declared in the signature, and nowhere else:
``def render(results: Results, *, top: Annotated[int, "methods to show"] = 5) -> Table``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from bench.contract import params
from bench.errors import ContractError, ParameterError
from bench.metrics import canonical
from bench.plugins import registry

Metric = Annotated[str, "metric to show; `bench list metrics` names them"]
_NAMES = tuple[str, ...]


def declared(report: str) -> dict[str, params.Parameter]:
    """The options of ``reports/<report>.py`` by name.

    Raises ContractError for a type that the command line cannot give.
    """
    render = registry.get("report", report)
    try:
        hints = get_type_hints(render, include_extras=True)
    except NameError as error:
        raise ContractError(
            f"report {report!r}: an annotation of render cannot be read: {error}. Import that name at the "
            "top of its file."
        ) from error
    options = {}
    for parameter in inspect.signature(render).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            hint = hints.get(parameter.name, type(parameter.default))
            kind, meaning = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, "")
            option = params.Parameter(parameter.name, kind, parameter.default, str(meaning))
            if kind != _NAMES and not params.supports(kind):
                raise ContractError(
                    f"report {report!r}: option {option.name!r} is declared {option.expects}; expected bool, "
                    "int, float, str, Literal, None, several of them, or tuple[str, ...]."
                )
            options[option.name] = option
    return options


def checked(report: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the options' types; text is read as on the command line.

    Raises ParameterError for an option that the report does not have, or a value that it does not accept.
    """
    known = declared(report)
    for name in values:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ParameterError(f"report {report!r} has no option {name!r}. Known: {listed}.")
    return {name: _value(report, known[name], value) for name, value in values.items()}


def _value(report: str, option: params.Parameter, value: Any) -> Any:
    owner = f"report {report!r}"
    if option.name == "metric" and isinstance(value, str):
        value = canonical(value)
    if option.type == _NAMES:
        listed = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(listed, (list, tuple)) and all(isinstance(part, str) for part in listed):
            return tuple(listed)
        raise ParameterError(f"{owner}: {option.name} must be {option.expects}; got {value!r}.")
    if isinstance(value, str):
        return params.parse(owner, option, value)
    if not option.accepts(value):
        raise ParameterError(f"{owner}: {option.name} must be {option.expects}; got {value!r}.")
    return value
