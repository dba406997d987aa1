"""Assigns the variables of a bundle to roles, by their usual names or by the user's mapping.

Roles are ``image``, ``text``, ``labels``, the same with the prefix ``query_``, ``query_index``,
``database_index``, ``classes`` (names of label columns), and further views of a modality, such as
``image_clip`` and ``query_image_clip``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.api import DataError, Features, ParameterError
from bench.datasets._mat import AnyVariable, Array, Variable

REQUIRED = ("image", "text", "labels")
_ROLE = re.compile(r"(query_)?(image|text)(_[a-z0-9]+)?|(query_)?labels|(query|database)_index|classes")


def _three(image: str, text: str, labels: str, prefix: str = "") -> dict[str, tuple[str, ...]]:
    names = zip(REQUIRED, (image, text, labels), strict=True)
    return {prefix + role: tuple(name.split("|")) for role, name in names}


# Tried in this order. If a bundle has a database (I_db) beside a training set (I_tr), the stream
# is the database: I_tr is the part of it that offline methods learn from.
LAYOUTS: tuple[dict[str, tuple[str, ...]], ...] = (
    _three("I_db", "T_db", "L_db") | _three("I_te", "T_te", "L_te", "query_"),
    _three("I_tr", "T_tr", "L_tr")
    | _three("I_te", "T_te", "L_te", "query_")
    | {
        "image_clip": ("I_tr_clip",),
        "text_clip": ("T_tr_clip",),
        "query_image_clip": ("I_te_clip",),
        "query_text_clip": ("T_te_clip",),
    },
    _three("XAll|IAll|images", "YAll", "LAll")
    | {
        "query_index": ("indexTest", "param/indexTest"),
        "database_index": ("indexDatabase", "param/indexDatabase"),
    },
    _three("image_train", "text_train", "label_train|labels_train")
    | _three("image_test", "text_test", "label_test|labels_test", "query_"),
    _three("image|images", "text|texts|tags", "labels|label")
    | _three("query_image", "query_text", "query_labels", "query_")
    | {
        "query_index": ("query_index",),
        "database_index": ("database_index", "retrieval_index"),
        "image_clip": ("image_clip",),
        "text_clip": ("text_clip",),
        "query_image_clip": ("query_image_clip",),
        "query_text_clip": ("query_text_clip",),
    },
)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A variable in its role."""

    variable: AnyVariable
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.variable.shape[::-1] if self.transposed else self.variable.shape

    @property
    def where(self) -> str:
        """File and variable, to begin an error message with."""
        return f"{self.variable.path}, variable {self.variable.name}"

    @property
    def counts_from(self) -> int:
        """The number of the first row in an index: MATLAB counts from 1."""
        return 1 if self.variable.path.suffix.lower() == ".mat" else 0

    def read(self) -> Array:
        array = self.variable.read()
        return array.T if self.transposed else array

    def features(self) -> Features:
        """The matrix in float32, if possible without holding the stored one in memory."""
        streamed = None
        if isinstance(self.variable, Variable) and not self.transposed:
            streamed = self.variable.stream()
        return np.ascontiguousarray(self.numbers(), dtype=np.float32) if streamed is None else streamed

    def numbers(self) -> Array:
        """The array; :class:`DataError` if it is text."""
        array = self.read()
        if array.dtype.kind == "U":
            raise DataError(f"{self.where}: is text; expected numbers. Map another variable.")
        return array

    def __str__(self) -> str:
        size = " × ".join(map(str, self.shape))
        return f"{self.variable}{', transposed' if self.transposed else ''} ({size})"


def resolve(where: str, available: Mapping[str, AnyVariable], mapping: str) -> dict[str, Mapped]:
    """Map roles to variables by the layout that fits best and by ``mapping`` (``role:variable;...``).

    Raises :class:`DataError`, which lists all variables, if a required role is missing.
    """
    chosen = {role: _named(where, available, role, name) for role, name in parse(mapping).items()}
    best, roles = _best(available, chosen)
    missing = [role for role in REQUIRED if role not in roles]
    if missing:
        wanted = " and ".join(f"{role} ({' or '.join(LAYOUTS[best][role])})" for role in missing)
        raise DataError(
            f"{where}: no variable for {wanted}; found {_listed(available)}; expected image and text "
            f"features and labels. Add it, or name it: mapping={missing[0]}:VARIABLE."
        )
    _check_queries(where, roles)
    for name in (f"{roles['labels'].variable.name}_names", "classes"):
        if name in available and "classes" not in roles:
            roles["classes"] = Mapped(available[name])
    return roles


def find(available: Mapping[str, AnyVariable]) -> dict[str, Mapped]:
    """Map roles to variables as far as names allow; roles may be missing, and nothing is validated."""
    return _best(available, {})[1]


def parse(mapping: str) -> dict[str, str]:
    """Read ``role:variable;role:variable``.

    >>> parse("image:I_tr; labels:L_tr.T")
    {'image': 'I_tr', 'labels': 'L_tr.T'}
    """
    pairs = {}
    for entry in filter(None, (e.strip() for e in mapping.split(";"))):
        role, _, name = (part.strip() for part in entry.partition(":"))
        if not _ROLE.fullmatch(role) or not name:
            raise ParameterError(
                f"files: mapping entry {entry!r} is not ROLE:VARIABLE with ROLE one of image, text, labels, "
                "query_image, query_text, query_labels, query_index, database_index, classes, or a view such "
                "as image_clip. Write mapping=image:I_tr;text:T_tr."
            )
        pairs[role] = name
    return pairs


def unused(available: Mapping[str, AnyVariable], roles: Mapping[str, Mapped]) -> list[str]:
    """The names of the variables that no role reads, sorted."""
    read = {id(m.variable) for m in roles.values()}
    for mapped in roles.values():
        read |= {id(part) for part in getattr(mapped.variable, "parts", {}).values()}
    return sorted(name for name, v in available.items() if id(v) not in read and "/" not in name)


def _best(available: Mapping[str, AnyVariable], chosen: dict[str, Mapped]) -> tuple[int, dict[str, Mapped]]:
    """The index of the layout that fits best, and its roles, overridden by ``chosen``."""
    layouts = [_of_layout(available, layout) for layout in LAYOUTS]

    def fit(i: int) -> tuple[int, int]:
        return sum(role in layouts[i] or role in chosen for role in REQUIRED), len(layouts[i])

    best = max(range(len(layouts)), key=fit)  # the first of equals
    return best, _items_first(layouts[best]) | chosen


def _items_first(roles: dict[str, Mapped]) -> dict[str, Mapped]:
    """Transpose arrays with items in the last axis: MATLAB's pixels, and v7.3 files not by MATLAB.

    A single matrix that lies across is left alone and refused later: it may be the wrong variable.
    """
    turned = {r: Mapped(m.variable, len(m.shape) == 4 and m.counts_from == 1) for r, m in roles.items()}
    for prefix in ("", "query_"):
        part = {r: m for r, m in turned.items() if r in (f"{prefix}{role}" for role in REQUIRED)}
        across = {r: Mapped(m.variable, True) for r, m in part.items() if len(m.shape) == 2}
        if not _agree(part) and _agree(part | across):
            turned |= across
    return turned


def _agree(part: Mapping[str, Mapped]) -> bool:
    """Whether all three arrays have equally many rows; a vector of labels may lie either way."""
    rows = {m.shape[0] for m in part.values() if m.shape and 1 not in m.shape}
    return len(part) == len(REQUIRED) and len(rows) == 1


def _named(where: str, available: Mapping[str, AnyVariable], role: str, name: str) -> Mapped:
    if name in available:
        return Mapped(available[name])
    if name.endswith(".T") and name.removesuffix(".T") in available:
        return Mapped(available[name.removesuffix(".T")], transposed=True)
    raise DataError(
        f"{where}: no variable {name!r} for the mapping's {role}; found {_listed(available)}. "
        "Correct the name, upper and lower case included."
    )


def _of_layout(
    available: Mapping[str, AnyVariable], layout: Mapping[str, tuple[str, ...]]
) -> dict[str, Mapped]:
    by_lower = {name.lower(): v for name, v in available.items()}
    roles = {}
    for role, names in layout.items():
        known = [available.get(n, by_lower.get(n.lower())) for n in names]
        first = next((v for v in known if v is not None), None)
        if first is not None:
            roles[role] = Mapped(first)
    return roles


def _check_queries(where: str, roles: Mapping[str, Mapped]) -> None:
    given = [f"query_{role}" for role in REQUIRED if f"query_{role}" in roles]
    if given and len(given) < len(REQUIRED):
        missing = [f"query_{role}" for role in REQUIRED if f"query_{role}" not in roles]
        raise DataError(
            f"{where}: {', '.join(given)} without {', '.join(missing)}; expected all three or none. "
            f"Name the rest: mapping={missing[0]}:VARIABLE."
        )
    if given and ("query_index" in roles or "database_index" in roles):
        raise DataError(
            f"{where}: has query arrays ({roles['query_image']}) and an index of rows; expected only one of "
            "them to define the queries. Remove one from the file."
        )
    if "database_index" in roles and "query_index" not in roles:
        raise DataError(
            f"{where}: has {roles['database_index']} but no query_index; expected the rows of the queries "
            "too. Name them: mapping=query_index:VARIABLE."
        )


def _listed(available: Mapping[str, AnyVariable], most: int = 20) -> str:
    """Every variable once, by its shortest name, with its shape."""
    once: dict[int, str] = {}
    for name, v in sorted(available.items(), key=lambda item: len(item[0])):
        once.setdefault(id(v), f"{name} {'×'.join(map(str, v.shape))}")
    shown = sorted(once.values())
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def as_index(mapped: Mapped, rows: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Read row numbers, counted from 0; :class:`DataError` if one is out of range."""
    numbers = mapped.numbers().ravel()
    index: np.ndarray[tuple[int], np.dtype[np.intp]] = numbers.astype(np.intp) - mapped.counts_from
    if (
        not len(index)
        or (index != numbers - mapped.counts_from).any()
        or index.min() < 0
        or index.max() >= rows
    ):
        span = f"runs from {numbers.min()} to {numbers.max()}" if len(index) else "is empty"
        raise DataError(
            f"{mapped.where}: {span}; expected whole row numbers from "
            f"{mapped.counts_from} to {rows - 1 + mapped.counts_from}. Count from {mapped.counts_from} "
            "(MATLAB files from 1, NumPy files from 0)."
        )
    return index
