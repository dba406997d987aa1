"""Assigns the variables of a bundle to roles, by the words of their names or by the user's mapping.

Roles are ``image``, ``text``, ``labels``, the same with the prefix ``query_``, ``query_index``,
``database_index``, ``split`` (a column that says each item's part), ``classes`` (names of label columns),
``parents`` (the name of each class's parent), and further views of a modality, such as ``image_clip`` and
``query_image_clip``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.api import DataError, Features, ParameterError
from bench.datasets._reading import AnyVariable, Array, Variable, ragged, refuse_left_out
from bench.datasets._words import MODALITIES, Meaning, meaning, part_of

REQUIRED = ("image", "text", "labels")
EXAMPLES = {"image": "I_tr, XAll or image", "text": "T_tr, YAll or text", "labels": "L_tr, LAll or labels"}
VIEWS = ("image_clip", "text_clip")
STREAMS = ("database", "train", "all")  # a database beside a training set is the stream
ITEMS = 16  # variables of one role and part: if there are more, each is an item
_ROLE = re.compile(
    r"(query_)?(image|text)(_[a-z0-9]+)?|(query_)?labels|(query|database)_index|split|classes|parents"
)
_BARE_Y = (
    len(MODALITIES["text"]) - 1
)  # the preference of a text that is called Y: beside another, it is labels


@dataclass(frozen=True, slots=True)
class Mapped:
    """A variable in its role; if it has more than two axes, those of length 1 are left out."""

    variable: AnyVariable
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.variable.shape[::-1] if self.transposed else self.variable.shape
        long, inner = (tuple(n for n in axes if n != 1) for axes in (shape, shape[1:]))
        if len(shape) < 3 or len(long) > 2:
            return shape
        return long if len(long) == 2 else (shape[0], *inner)

    @property
    def where(self) -> str:
        """File and variable, to begin an error message with."""
        return f"{self.variable.path}, variable {self.variable.name}"

    @property
    def counts_from(self) -> int:
        """The number of the first row in an index: MATLAB counts from 1."""
        return self.variable.counts_from

    def read(self) -> Array:
        array = self.variable.read()
        turned = array.T if self.transposed else array
        return turned.reshape(self.shape) if turned.ndim > len(self.shape) else turned

    def features(self) -> Features:
        """The matrix in float32, if possible without holding the stored one in memory."""
        streamed = None
        if isinstance(self.variable, Variable) and not self.transposed:
            streamed = self.variable.stream()
        return np.ascontiguousarray(self.numbers(), dtype=np.float32) if streamed is None else streamed

    def numbers(self) -> Array:
        """The array; :class:`DataError` if it is text, or lists of different lengths."""
        array = self.read()
        if ragged(array):
            sizes = [np.size(one) for one in array.flat]
            odd = next((row for row, size in enumerate(sizes) if size != max(sizes)), 0)
            raise DataError(
                f"{self.where}: holds lists of different lengths, {max(sizes)} and in row {odd} "
                f"{sizes[odd]}; expected a matrix. Save equally many numbers for every item."
            )
        if array.dtype.kind in "UO":
            first = str(array.flat[0]) if array.size else ""
            shown = f" (first: {first[:40]!r})" if first else ""
            raise DataError(
                f"{self.where}: is text{shown}; expected numbers. Map another variable, or convert it: "
                f"{_conversion(first)}."
            )
        return array

    def __str__(self) -> str:
        size = " × ".join(map(str, self.shape))
        return f"{self.variable}{', transposed' if self.transposed else ''} ({size})"


def _conversion(text: str) -> str:
    """How to make numbers of a variable whose first value is this text."""
    if re.fullmatch(r"(\S+ +)?\d+:\S+( +\d+:\S+)*", text.strip()):
        return (
            "this is libsvm's form: scipy.sparse.save_npz('text.npz', "
            "sklearn.datasets.load_svmlight_file(FILE)[0])"
        )
    if text.strip().startswith("["):
        return "lists by np.stack([json.loads(one) for one in x])"
    return (
        "digits by x.astype(np.float32), names of classes by np.unique(x, return_inverse=True)[1], "
        "sentences by an encoder (docs/datasets.md, Views)"
    )


def resolve(
    where: str, available: Mapping[str, AnyVariable], mapping: str, *, ignore_split: bool = False
) -> dict[str, Mapped]:
    """Map roles to variables by their names and by ``mapping`` (``role:variable;...``).

    Raises :class:`DataError`, which lists all variables, if a required role is missing.
    """
    chosen = {role: _named(where, available, role, name) for role, name in parse(mapping).items()}
    roles = _best(available, chosen)
    missing = [role for role in REQUIRED if role not in roles]
    if missing or (not chosen and len(complete_files(available)) > 1):
        for variable in available.values():
            _refuse_closed(variable)
        refuse_left_out(Path(where), missing)
        raise DataError(f"{where}: {_lacking(available, missing)}")
    if ignore_split:
        split = ("query_", "database_index", "split")
        roles = {role: mapped for role, mapped in roles.items() if not role.startswith(split)}
    for mapped in roles.values():
        _refuse_closed(mapped.variable)
    _check_queries(where, roles)
    labels = roles["labels"].variable.name
    for role, names in (
        ("classes", (f"{labels}_names", "classes")),
        ("parents", (f"{labels}_parents", "parents")),
    ):
        named = next((name for name in names if name in available), None)
        if named and role not in roles:
            roles[role] = Mapped(available[named])
    return roles


def find(available: Mapping[str, AnyVariable]) -> dict[str, Mapped]:
    """Map roles to variables as far as names allow; roles may be missing, and nothing is validated."""
    return _best(available, {})


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
                "query_image, query_text, query_labels, query_index, database_index, split, classes, "
                "parents, or a view such as image_clip. Write mapping=image:I_tr;text:T_tr."
            )
        pairs[role] = name
    return pairs


def complete_files(available: Mapping[str, AnyVariable]) -> list[Path]:
    """The files that have images, texts and labels each, in the order of their names.

    Halves of one bundle, such as train.npz and test.npz, do not count.
    """
    by_file: dict[Path, dict[str, AnyVariable]] = {}
    for variable in available.values():
        path = variable.path
        if part_of(path.stem) == part_of(path.parent.name) == "all":
            by_file.setdefault(path, {})[variable.name] = variable
    return [path for path, named in sorted(by_file.items()) if find(named).keys() >= set(REQUIRED)]


def is_closed(variable: AnyVariable) -> bool:
    """Whether its file is listed and never opened, such as a pickle."""
    return isinstance(variable, Variable) and variable.container.name in ("pickle", "settings")


def once(available: Mapping[str, AnyVariable]) -> list[tuple[str, AnyVariable]]:
    """Every variable once, by its shortest name."""
    names: dict[int, str] = {}
    for name in sorted(available, key=len):
        names.setdefault(id(available[name]), name)
    return [(name, available[name]) for name in names.values()]


def _best(available: Mapping[str, AnyVariable], chosen: dict[str, Mapped]) -> dict[str, Mapped]:
    """The roles of the stream that names fit best, overridden by ``chosen``."""
    known = _Known(available)
    streams = [known.roles(part) for part in STREAMS]

    def fit(roles: Mapping[str, Mapped]) -> tuple[int, int]:
        return sum(role in roles or role in chosen for role in REQUIRED), len(roles)

    return _items_first(max(streams, key=fit)) | chosen  # the first of equals


_Candidate = tuple[Meaning, str, AnyVariable]


class _Known:
    """The variables whose names say something, by part and role."""

    def __init__(self, available: Mapping[str, AnyVariable]) -> None:
        self.named: dict[tuple[str, str], list[_Candidate]] = {}
        for name, variable in once(available):
            longer = (n for n, v in available.items() if v is variable)
            said = next((m for m in map(meaning, (name, *longer)) if m.role), None)
            if name.rpartition("/")[2].lower() == "set" and _is_vector(variable):
                said = Meaning("split", "all", (0, 0))  # as imdb.images.set of MatConvNet
            if _is_list(variable) and (said is None or said.role != "labels") and part_of(name) != "all":
                said = Meaning("index", part_of(name), (1, 0))  # such as TestImagelist.txt
            if said is not None:
                self.named.setdefault((said.part, said.role), []).append((said, name, variable))

    def roles(self, part: str) -> dict[str, Mapped]:
        """The roles of the items of ``part``, and of the queries beside them."""
        roles = self._arrays(part, "")
        asked = self._arrays("query", "query_")
        index = self._index()
        weak = "query_index" in index and self.named["query", "index"][0][0].rank[0] > 0
        if asked and weak:
            index = {}
        split = self._one("all", "split")
        if split is not None and not asked and not index:
            index = {"split": split}
        return roles | asked | {role: Mapped(variable) for role, variable in index.items()}

    def _arrays(self, part: str, prefix: str) -> dict[str, Mapped]:
        found = {role: self._one(part, role) for role in (*REQUIRED, *VIEWS)}
        if found["labels"] is None:
            found["labels"] = self._bare_y(part, found["text"])
        for role in ("image", "text"):
            if found[role] is None:
                found[role], found[f"{role}_clip"] = found[f"{role}_clip"], None
        return {prefix + role: Mapped(v) for role, v in found.items() if v is not None}

    def _one(self, part: str, role: str) -> AnyVariable | None:
        """The variable of the best name; None if two are equally good, which only a mapping decides."""
        names = self.candidates(part, role)
        if len(names) > 1 and self._key(role, names[0]) == self._key(role, names[1]):
            return None
        return names[0][2] if names else None

    @staticmethod
    def _key(role: str, candidate: _Candidate) -> tuple[bool, bool, tuple[int, int]]:
        """Orders candidates: a vector is never features, a file that is not opened or a ``Y`` the last."""
        said, _, variable = candidate
        vector = role.partition("_")[0] in ("image", "text") and len(variable.shape) < 2
        bare_y = role == "text" and said.rank[1] == _BARE_Y
        return vector or is_closed(variable), bare_y, said.rank

    def candidates(self, part: str, role: str) -> list[_Candidate]:
        """From the best name."""
        return sorted(self.named.get((part, role), []), key=lambda c: (*self._key(role, c), c[1]))

    def _bare_y(self, part: str, text: AnyVariable | None) -> AnyVariable | None:
        """Labels that are called Y, as beside X1 and X2."""
        others = (v for m, _, v in self.candidates(part, "text") if m.rank[1] == _BARE_Y and v is not text)
        return next(others, None)

    def _index(self) -> dict[str, AnyVariable]:
        """The rows of queries and database; a training index stands for the database if that has none."""
        found = {part: self._one(part, "index") for part in ("query", "database", "train")}
        database = found["database"] if found["database"] is not None else found["train"]
        pairs = {"query_index": found["query"], "database_index": database}
        return {role: v for role, v in pairs.items() if v is not None}


def _is_vector(variable: AnyVariable) -> bool:
    return 1 < np.prod(variable.shape) == max(variable.shape, default=0)


def _is_list(variable: AnyVariable) -> bool:
    """Whether a variable is a text file with one entry per line."""
    return isinstance(variable, Variable) and variable.container.name == "text" and len(variable.shape) == 1


def _items_first(roles: dict[str, Mapped]) -> dict[str, Mapped]:
    """Transpose arrays with items in the last axis: MATLAB's pixels, and files with items in columns.

    A single matrix that lies across is left alone and refused later: it may be the wrong variable.
    """
    turned = {r: Mapped(m.variable, len(m.shape) == 4 and m.counts_from == 1) for r, m in roles.items()}
    for prefix in ("", "query_"):
        part = {r: m for r, m in turned.items() if r in (f"{prefix}{role}" for role in REQUIRED)}
        across = {r: Mapped(m.variable, True) for r, m in part.items() if len(m.shape) == 2}
        features = {r: m for r, m in across.items() if not r.endswith("labels")}
        for candidate in (across, features) if len(features) == 2 else (across,):
            if not _agree(part) and _agree(part | candidate):
                turned |= candidate
                part |= candidate
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
        f"{where}: no variable {name!r} for the mapping's {role}; found {listed(available)}. "
        "Correct the name, upper and lower case included."
    )


def _refuse_closed(variable: AnyVariable) -> None:
    """Raise the error of a file that is listed but never opened, such as a pickle."""
    if variable.shape == ():
        variable.read()


def _lacking(available: Mapping[str, AnyVariable], missing: Sequence[str]) -> str:
    """The end of a message on roles without a variable, or with several that are equally good."""
    bundles = complete_files(available)
    if len(bundles) > 1:
        names = [path.name for path in bundles]
        return (
            f"holds {len(bundles)} bundles: {', '.join(names)}; expected one. Choose it: "
            f"files[path={bundles[0]}], or bundle={names[0]} for a dataset with a name."
        )
    if "image" in missing and {"index", "caption"} <= available.keys():
        return (
            f"holds paths and captions of pictures ({listed(available)}); expected features. Give it to a "
            'dataset with a name, which extracts them: bench data prepare "mirflickr25k[bundle=FOLDER]".'
        )
    known, first = _Known(available), missing[0]
    for part in (*STREAMS, "query"):
        equal = [name for _, name, _ in known.candidates(part, first)]
        if len(equal) > ITEMS:
            return (
                f"{len(equal)} variables for {first}, such as {equal[0]} and {equal[1]}; expected a matrix. "
                "If each is an item, stack them: np.stack([data[name] for name in names])."
            )
        if len(equal) > 1:
            return (
                f"several variables for {first}: {', '.join(equal)}; expected one. "
                f"Choose it: mapping={first}:{equal[0]}."
            )
    wanted = " and ".join(f"{role} (such as {EXAMPLES[role]})" for role in missing)
    return (
        f"no variable for {wanted}; found {listed(available)}; expected image and text features and labels. "
        f"Add it, or name it: mapping={';'.join(f'{role}:VARIABLE' for role in missing)}."
    )


def _check_queries(where: str, roles: Mapping[str, Mapped]) -> None:
    given = [f"query_{role}" for role in REQUIRED if f"query_{role}" in roles]
    if given and len(given) < len(REQUIRED):
        missing = [f"query_{role}" for role in REQUIRED if f"query_{role}" not in roles]
        shown = ", ".join(f"{role} ({roles[role].variable.name})" for role in given)
        raise DataError(
            f"{where}: {shown} without {', '.join(missing)}; expected all three or none. "
            f"Name the rest: mapping={missing[0]}:VARIABLE, or ignore them: split=random."
        )
    if given and ("query_index" in roles or "database_index" in roles):
        raise DataError(
            f"{where}: has query arrays ({roles['query_image']}) and an index of rows; expected only one of "
            "them to define the queries. Remove one from the file."
        )
    if "database_index" in roles and "query_index" not in roles:
        raise DataError(
            f"{where}: has {roles['database_index']} but no query_index; expected the rows of the queries "
            "too. Save them as query_index.npy, or name them: mapping=query_index:VARIABLE, or ignore them: "
            "split=random."
        )


def listed(available: Mapping[str, AnyVariable], most: int = 20) -> str:
    """Every variable once, by its shortest name, with its shape."""
    shown = sorted(f"{name} {'×'.join(map(str, v.shape))}" for name, v in once(available))
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
