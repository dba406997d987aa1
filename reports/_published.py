"""Published numbers, from results/published/*.toml. The trap: each has its own protocol."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.reporting import DATABASES, DIRECTIONS, BenchError, DataError, FileError, parse_metric, read_toml

NOT_STATED = "not stated"
TIES = ("stored order", "unstable sort", NOT_STATED)
ROUNDS = ("last", "average", NOT_STATED)
_log = logging.getLogger(__name__)
FUSED = "fused"  # a query is an image with its text; no direction of ours is like it
MEAN = "mean"  # of image to text and text to image
_DIRECTIONS = (*DIRECTIONS, FUSED, MEAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One value, with the protocol it was measured under as far as the source states it.

    ``metric`` is the name of ours that computes what the source computed, except for the order of
    tied items, which is ``ties``. ``assumed`` names the fields that are not in the source.
    """

    value: float
    method: str  # our name of the method where we have it
    dataset: str  # our name of the data
    direction: str  # of records.DIRECTIONS, FUSED or MEAN
    bits: int  # 0: not stated
    metric: str
    ties: str  # of TIES
    database: str  # of records.DATABASES, or NOT_STATED
    rounds: str  # of ROUNDS, or "round N", counted from 1
    schedule: str  # as records.Schedule prints one; "offline"; or a description
    features: str
    paper: str
    table: str
    read: str  # what was read, and how
    where: str
    data: str = ""  # the dataset as the source describes it
    queries: int | None = None
    items: int | None = None  # in the database
    noise: str = ""  # in the training labels; "" is none
    assumed: tuple[str, ...] = ()
    note: str = ""
    file: str = ""


def home() -> Path:
    """The folder of the data: inside the package in a wheel, results/published in a checkout."""
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "published_numbers", here.parents[1] / "results" / "published"):
        if folder.is_dir():
            return folder
    raise DataError(
        f"published numbers: neither in {here.parent} nor in a checkout around it. Install hashbench again."
    )


def load(folder: Path | None = None) -> tuple[Published, ...]:
    """Every value of every file, in the order of files, tables, methods, directions and bits.

    A file that :func:`read` refuses is left out, with a warning.
    """
    numbers: list[Published] = []
    for file in sorted((folder or home()).glob("*.toml")):
        try:
            numbers += read(file)
        except DataError as error:
            _log.warning("%s The file is left out.", error)
    return tuple(numbers)


def read(file: Path) -> list[Published]:
    """The values of one file.

    Raises DataError, with the file and the key, for an unknown or missing key and for a value that
    its key does not allow.
    """
    try:
        content = read_toml(file)
    except FileError as error:
        raise DataError(f"published numbers {error}. Correct the file.") from error
    tables = content.pop("numbers", None)
    if not (isinstance(tables, list) and tables and all(isinstance(t, dict) for t in tables)):
        raise DataError(f"published numbers {file.name}: no [[numbers]]. Add one for every table.")
    found: dict[tuple[object, ...], Published] = {}
    for i, table in enumerate(tables, 1):
        place = f"published numbers {file.name}, [[numbers]] {i}"
        for number in _numbers(place, file.name, {**content, **table}):
            what = (number.table, number.dataset, number.method)
            key = (*what, number.direction, number.bits, number.rounds)
            if key in found:
                raise DataError(f"{place}: {key} appears twice. Remove one, or rename a table.")
            found[key] = number
    return list(found.values())


def _numbers(place: str, file: str, given: Mapping[str, Any]) -> Iterator[Published]:
    """The values of one [[numbers]], which has taken what it lacks from the head of its file."""
    fields = {key: value for key, value in given.items() if key != "values"}
    for key, value in fields.items():
        if key not in _KEYS:
            raise DataError(f"{place}: unknown key {key!r}. Known: {', '.join(_KEYS)}, values.")
        allows, expected = _KEYS[key]
        if not allows(value):
            raise DataError(f"{place}: {key} = {value!r}, expected {expected}. Correct it.")
    missing = [key for key in (*_KEYS, "values") if key not in given and key not in _OPTIONAL]
    if missing:
        raise DataError(f"{place}: no {missing[0]!r}. Add it here or at the head of the file.")
    bits, rounds = fields.pop("bits"), fields.pop("rounds")
    if isinstance(rounds, list) and len(bits) > 1:
        raise DataError(f"{place}: rounds is a list, so bits must be a single one; got {bits}. Split it.")
    columns = (
        [(bits[0], f"round {r}") for r in rounds] if isinstance(rounds, list) else [(b, rounds) for b in bits]
    )
    fields["assumed"] = tuple(fields.get("assumed", ()))
    for method, direction, values in _rows(place, given["values"], len(columns)):
        for (length, when), value in zip(columns, values, strict=True):
            column = {"direction": direction, "bits": length, "rounds": when}
            yield Published(**fields, **column, value=value, method=method, file=file)


def _rows(place: str, values: Any, columns: int) -> Iterator[tuple[str, str, list[float]]]:
    """Method, direction and its values: as many as there are bits, or rounds."""
    if not (isinstance(values, dict) and all(isinstance(row, dict) and row for row in values.values())):
        raise DataError(f"{place}: values is not of the form METHOD = {{ i2t = [...] }}. Correct it.")
    for method, row in values.items():
        for direction, numbers in row.items():
            key = f"values.{method}.{direction}"
            if direction not in _DIRECTIONS:
                known = ", ".join(_DIRECTIONS)
                raise DataError(f"{place}: {key} has no such direction. Known: {known}.")
            if not isinstance(numbers, list) or len(numbers) != columns:
                raise DataError(f"{place}: {key} = {numbers!r}, expected {columns} values. Correct it.")
            if not all(isinstance(v, float) and 0 <= v <= 1 for v in numbers):
                raise DataError(
                    f"{place}: {key} = {numbers!r}, expected numbers from 0.0 to 1.0. Correct it."
                )
            yield method, direction, numbers


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_bits(value: object) -> bool:
    return value == [0] or _are_counts(value)


def _are_counts(value: object) -> bool:
    counts = isinstance(value, list) and bool(value) and all(map(_is_count, value))
    return counts and len(set(value)) == len(value)  # type: ignore[call-overload,arg-type]


def _is_metric(value: object) -> bool:
    try:
        return isinstance(value, str) and parse_metric(value).key.partition(":")[0] == "map"
    except BenchError:
        return False


def _one_of(*allowed: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: isinstance(value, str) and value in allowed), "one of " + ", ".join(allowed)


_TEXT = (_is_text, "text")
_COUNT = (_is_count, "a positive whole number")
_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("paper", "read", "where", "table", "dataset", "data", "features"), _TEXT),
    **dict.fromkeys(("schedule", "noise", "note"), _TEXT),
    "bits": (_are_bits, "a list of different positive whole numbers, or [0] where the source has none"),
    "metric": (_is_metric, "map, map@R or a variant that `bench list metrics` has"),
    "ties": _one_of(*TIES),
    "database": _one_of(*DATABASES, NOT_STATED),
    "rounds": (
        lambda value: value in ROUNDS if isinstance(value, str) else _are_counts(value),
        f"one of {', '.join(ROUNDS)}, or a list of rounds, one per value",
    ),
    "queries": _COUNT,
    "items": _COUNT,
    "assumed": (
        lambda value: isinstance(value, list) and all(isinstance(v, str) and v in _KEYS for v in value),
        "a list of keys",
    ),
}
_OPTIONAL = ("data", "noise", "note", "queries", "items", "assumed")
