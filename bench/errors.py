"""The exceptions of the harness.

BenchError                 printed without a traceback, exit code 2
├── UnknownNameError       a method, dataset, metric, field ... that does not exist
├── ParameterError         a value outside what a parameter allows
├── DataError              a file, an array or a split that cannot be used
├── ContractError          a plugin that breaks bench.contract
├── StoreError             a results folder that cannot be read or written
├── LostError              workers that are gone or out of reach: exit code 1, since the input is good
└── FileError              a file that cannot be used, with the reason alone in ``reason``

Every message says, in this order: the thing, the fact, what was expected, the fix.
Any other exception is a bug of ours or of a plugin and keeps its traceback.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class BenchError(Exception):
    """Base of all errors that are not the program's fault, but the input's or that of the machines."""

    exit_code = 2


MANY = 50  # known names, beyond which only the nearest are listed: timm has over a thousand


class UnknownNameError(BenchError):
    """A name that nothing answers to; the nearest known names are offered.

    >>> print(UnknownNameError("method", "lcdhh", ["lcdh", "ukd"]))
    no method named 'lcdhh'. Did you mean 'lcdh'? Known: lcdh, ukd.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        shown = ", ".join(names) or "none"
        if len(names) > MANY:
            nearest = difflib.get_close_matches(name, names, n=8, cutoff=0.3)
            shown = f"{len(names)} names, nearest {', '.join(nearest or names[:8])}"
        super().__init__(f"no {kind} named {name!r}.{hint} Known: {shown}.")
        self.args_for_pickle = (kind, name, names)

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str]]]:
        return type(self), self.args_for_pickle


class ParameterError(BenchError):
    """A value outside what a parameter allows."""


class DataError(BenchError):
    """A file, an array or a split that cannot be used."""


class ContractError(BenchError):
    """A plugin that breaks the contract of bench.contract."""


class StoreError(BenchError):
    """A results folder that cannot be read or written."""


class LostError(BenchError):
    """Workers that are gone or out of reach: a cluster without a scheduler, a killed job."""

    exit_code = 1


class FileError(BenchError):
    """A file that cannot be used; ``reason`` is the message without the name of the file.

    >>> print(FileError(Path("a.json"), "it is a folder; expected a file"))
    a.json: it is a folder; expected a file
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def said(error: BaseException) -> list[str]:
    """The lines of an exception's message that are not empty, even where its ``__str__`` raises."""
    try:
        return [line.strip() for line in str(error).splitlines() if line.strip()]
    except BaseException:  # noqa: BLE001  # a plugin's exception may do anything
        return ["its message cannot be read"]


def not_installed(user: str, package: str, extra: str) -> str:
    """The message for a package of an extra that is missing.

    >>> not_installed("Parquet", "pyarrow", "parquet")
    "Parquet needs pyarrow, which is not installed. Run `pip install 'hashbench[parquet]'`."
    """
    return f"{user} needs {package}, which is not installed. Run `pip install 'hashbench[{extra}]'`."


def account(error: BaseException) -> tuple[str, str]:
    """An exception in one line that is not empty, and its traceback, even where its ``__str__`` raises.

    >>> account(ValueError("\\nno more"))[0], account(KeyError())[0]
    ('ValueError: no more', 'KeyError')
    """
    lines = said(error)
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001
        trace = ""
    if isinstance(error, BenchError) and lines:
        return lines[0], trace
    return ": ".join([type(error).__name__, *lines[:1]]), trace
