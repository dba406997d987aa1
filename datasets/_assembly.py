"""Composes a dataset from the arrays of a bundle: roles, splits, labels, and every check on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.api import Batch, DataError, Dataset, Features, Labels, Rows, Split, blocks, finite
from bench.datasets import _codes, _labels, _mapping, _order, _splitting, _times, _unread
from bench.datasets._mapping import Mapped
from bench.datasets._reading import AnyVariable
from bench.datasets._reading.scratch import written
from bench.datasets._splitting import SplitKind

NOT_ITEMS = (
    "classes",
    "parents",
    "query_index",
    "database_index",
    "split",
)  # roles whose arrays have no row per item


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The arrays of ``where`` and the options that say how to read them, as in :class:`~.files.Files`."""

    where: Path
    available: Mapping[str, AnyVariable]
    mapping: str
    split: SplitKind
    queries: int
    seed: int
    labels: str = "auto"
    label_prefix: str = ""
    unlabelled: Literal["error", "drop", "keep"]
    times: str = ""

    def files(self) -> list[Path]:
        """The files that hold the arrays of a role, or a time column."""
        variables = [m.variable for m in self.roles().values()]
        paths = {v.path for v in variables} | {
            p.path for v in variables for p in getattr(v, "parts", {}).values()
        }
        paths |= {source.path for source in self._times().values()}
        return sorted(path for path in paths if path.is_file())

    def _times(self) -> dict[str, _times.Source]:
        return _times.sources(self.where, self.available, self.times)

    def roles(self) -> dict[str, Mapped]:
        """The role of each variable, checked; an unknown variable that may define queries is refused."""
        as_given = self.split == "auto"
        roles = _mapping.resolve(str(self.where), self.available, self.mapping, ignore_split=not as_given)
        _order.check(roles, self.available, frozenset(NOT_ITEMS) - {"split"})
        if as_given and not any(role.startswith("query_") or role == "split" for role in roles):
            self._refuse_unknown_splits(roles)
        _check_shapes(roles)
        _codes.refuse_packed(roles)
        _codes.refuse_tokens(roles["text"])
        return roles

    def _refuse_unknown_splits(self, roles: Mapping[str, Mapped]) -> None:
        unknown = _unread.not_understood(self.available, roles)
        if unknown:
            shapes = {name: "×".join(map(str, self.available[name].shape)) for name in unknown}
            shown = ", ".join(f"{name} ({shape})" if shape else name for name, shape in shapes.items())
            advice = _unread.advice(unknown, self.available, roles["image"].shape[0])
            raise DataError(
                f"{self.where}: has {shown}, which may define the queries and is not understood; expected "
                f"query arrays, or the queries' rows as numbers or a mask. {advice}, or ignore it: "
                "split=random."
            )

    def load(self) -> Dataset:
        roles = self.roles()
        notes = [f"{role} ← {mapped}" for role, mapped in sorted(roles.items())]
        if rest := _unread.unused(self.available, roles):
            notes.append(f"not read: {', '.join(rest)}")
        train, query, note = self._parts(roles)
        notes.append(note)
        classes, parents, label_note = self._add_labels(roles, train, query)
        notes.append(label_note)
        columns = {name: source.read(roles["image"].shape[0]) for name, source in self._times().items()}
        splits = []
        for part in (train, query):
            keep, note = self._keep(part, str(roles["labels"]), label_note)
            notes += [note] if note else []
            splits.append(part.split(keep))
        return Dataset(
            name=self.where.name,
            train=splits[0],
            query=splits[1],
            classes=classes,
            parents=parents,
            notes=tuple(notes),
            times={name: column[splits[0].ids] for name, column in columns.items()},
        )

    def _parts(self, roles: dict[str, Mapped]) -> tuple[_Part, _Part, str]:
        """Both splits without labels, and a note on the origin of the queries."""
        matrices = {
            r: _features(m) for r, m in roles.items() if r.removeprefix("query_")[:4] in ("imag", "text")
        }
        own = {r: x for r, x in matrices.items() if not r.startswith("query_")}
        rows = len(own["image"])
        if "query_image" in roles:
            asked = {r.removeprefix("query_"): x for r, x in matrices.items() if r.startswith("query_")}
            query = _Part("query", asked, np.arange(rows, rows + len(asked["image"]), dtype=np.intp))
            note = f"queries: the {len(asked['image'])} rows of {roles['query_image'].variable}"
            return _Part("train", own, np.arange(rows, dtype=np.intp)), query, note
        chosen = _splitting.choose(
            roles, self.available, rows, split=self.split, queries=self.queries, seed=self.seed
        )
        train, query = (
            _Part(name, {r: _selected(x, chosen_rows) for r, x in own.items()}, chosen_rows)
            for name, chosen_rows in (("train", chosen.train), ("query", chosen.query))
        )
        return train, query, chosen.note

    def _add_labels(
        self, roles: dict[str, Mapped], train: _Part, query: _Part
    ) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Fill in the labels of both parts; returns the names of columns and of their parents, and a note."""
        given = {r: roles[r] for r in ("labels", "query_labels") if r in roles}
        rows = [roles[r.replace("labels", "image")].shape[0] for r in given]
        matrices, names, note = _labels.read(list(given.values()), self.labels, rows)
        width = matrices[0].shape[1]
        names = _names(roles, "classes", width) or names
        parents = _names(roles, "parents", width)
        if self.label_prefix:
            columns = _labels.select(names, self.label_prefix, roles["labels"])
            matrices, names = [m[:, columns] for m in matrices], tuple(names[c] for c in columns)
            parents = tuple(parents[c] for c in columns) if parents else ()
            note += f", kept the {len(columns)} whose names begin with {self.label_prefix}"
        if len(matrices) == 1:
            train.labels, query.labels = matrices[0][train.ids], matrices[0][query.ids]
        else:
            train.labels, query.labels = matrices
        return names, parents, note

    def _keep(self, part: _Part, source: str, how: str) -> tuple[npt.NDArray[np.bool_], str]:
        """Choose the rows of a part that stay, by the option ``unlabelled``; returns also a note."""
        assert part.labels is not None
        labelled: npt.NDArray[np.bool_] = np.any(part.labels, axis=1)
        missing = int((~labelled).sum())
        if not missing or (self.unlabelled == "keep" and part.name == "train"):
            return np.ones_like(labelled), f"kept {missing} unlabelled {part.name} items" if missing else ""
        if missing == len(labelled):
            raise DataError(
                f"files: no {part.name} row of {source} has a label; expected at least one. Map other labels."
            )
        if self.unlabelled == "error":
            raise DataError(
                f"files: {missing} of {len(labelled)} {part.name} rows of {source} have no label (first: row "
                f"{int(part.ids[~labelled][0])}); {how}; expected at least one each. Write unlabelled=drop "
                "or unlabelled=keep."
            )
        return labelled, f"dropped {missing} unlabelled {part.name} items"


@dataclass(slots=True)
class _Part:
    """One split under construction."""

    name: str
    features: dict[str, Features]  # by role: image, text, image_clip ...
    ids: Rows
    labels: Labels | None = None

    def split(self, keep: npt.NDArray[np.bool_]) -> Split:
        def batch(modality: str) -> Batch:
            kept = {r: x for r, x in self.features.items() if r.startswith(modality)}
            if not keep.all():
                kept = {r: _selected(x, np.flatnonzero(keep)) for r, x in kept.items()}
            return Batch(kept.pop(modality), {r.partition("_")[2]: x for r, x in kept.items()})

        assert self.labels is not None
        return Split(image=batch("image"), text=batch("text"), labels=self.labels[keep], ids=self.ids[keep])


def _names(roles: Mapping[str, Mapped], role: str, width: int) -> tuple[str, ...]:
    """The text of a role that has one entry for every label column; () where no variable has it."""
    if role not in roles:
        return ()
    names = tuple(str(name).strip() for name in roles[role].read().ravel())
    if len(names) != width:
        raise DataError(
            f"{roles[role].where}: {len(names)} names for {width} label columns of {roles['labels']}; "
            f"expected one each. Map another variable: mapping={role}:VARIABLE."
        )
    return names


def _check_shapes(roles: dict[str, Mapped]) -> None:
    """Refuse arrays whose rows differ within a split, and queries that lack a view or column of train."""
    data = {r: m for r, m in roles.items() if r not in NOT_ITEMS}
    for role, mapped in data.items():
        if not role.endswith("labels") and len(mapped.shape) != 2:
            if len(mapped.shape) < 2:
                mapped.numbers()  # raises the reason for text, lists and Python objects
            raise DataError(
                f"{mapped.where}: has shape {mapped.shape}; expected 2-d features (items, d). "
                f"{_advice(mapped)}"
            )
    own = {r: m for r, m in data.items() if not r.startswith("query_")}
    asked = {r: m for r, m in data.items() if r.startswith("query_")}
    _check_rows(own, asked)
    _check_rows(asked, {})
    if asked:
        for role, mapped in own.items():
            _check_twin(role, mapped, asked.get(f"query_{role}"))


def _advice(mapped: Mapped) -> str:
    """How to make features of an array with too few or too many axes."""
    if len(mapped.shape) == 3:
        return (
            "If the middle axis is a sequence (tokens, patches), save its mean, x.mean(axis=1); or map "
            "another variable."
        )
    if len(mapped.shape) == 1:
        return (
            "If it is one item, save it as a row, x[None, :]; if it holds one value per item, as a column, "
            "x[:, None]; or map another variable."
        )
    if 3 not in mapped.shape:
        places = "2, 3" if mapped.shape[2] == mapped.shape[3] else "1, 2"
        return f"If these are a network's maps, save their mean, x.mean(axis=({places})); or map others."
    return "Extract features from raw images first, or map another variable."


def _check_rows(split: dict[str, Mapped], asked: dict[str, Mapped]) -> None:
    """Refuse an array without rows, or with another number of rows than most others of its split.

    The advice to transpose it covers its twin among the arrays of the queries ``asked``.
    """
    matrices = [m.shape[0] for r, m in split.items() if not r.endswith("labels")]
    one_item = bool(matrices) and set(matrices) == {1}
    rows = {role: _rows(role, mapped, one_item) for role, mapped in split.items()}
    expected = max(rows.values(), key=list(rows.values()).count, default=0)
    for role, mapped in split.items():
        if not rows[role]:
            raise DataError(
                f"{mapped.where}: has shape {mapped.shape}; expected at least one item. Save it again."
            )
        if rows[role] != expected:
            other = next(split[r].variable.name for r, n in rows.items() if n == expected)
            raise DataError(
                f"{mapped.where}: has shape {mapped.shape}; expected {expected} rows, as {other} has. "
                f"{_advice_on_rows(role, mapped, asked, rows[role], expected)}"
            )


def _advice_on_rows(role: str, mapped: Mapped, asked: dict[str, Mapped], rows: int, expected: int) -> str:
    if expected in mapped.shape[1:]:
        across = {role: mapped} | {r: m for r, m in asked.items() if r == f"query_{role}"}
        advice = ";".join(f"{r}:{m.variable.name}.T" for r, m in across.items())
        return f"If its columns are the items, write mapping={advice}."
    if rows % expected == 0:
        times = rows // expected
        return (
            f"If each item has {times} rows, such as captions, keep one of them, x[::{times}], or repeat the "
            f"other arrays, np.repeat(x, {times}, axis=0)."
        )
    return "Save the rows of the same items, in the same order."


def _check_twin(role: str, mapped: Mapped, twin: Mapped | None) -> None:
    if twin is None:
        raise DataError(
            f"{mapped.where}: the view {role} has no query_{role}; expected it for the queries too. Add it, "
            "or leave the view out."
        )
    is_vector = role == "labels" and (len(mapped.shape) < 2 or 1 in mapped.shape or len(twin.shape) < 2)
    if not is_vector and mapped.shape[1:] != twin.shape[1:]:
        raise DataError(
            f"{twin.where}: has shape {twin.shape}; expected {mapped.shape[1]} columns, as "
            f"{mapped.variable.name} has. Extract both alike."
        )


def _rows(role: str, mapped: Mapped, one_item: bool) -> int:
    """The number of rows; for a vector of labels its length, whichever way it lies, or that of one item."""
    if role.endswith("labels") and (len(mapped.shape) < 2 or mapped.shape[0] == 1):
        return 1 if one_item else max(mapped.shape, default=1)
    return mapped.shape[0] if mapped.shape else 0


def _features(mapped: Mapped) -> Features:
    with np.errstate(over="ignore"):  # a value beyond float32 becomes inf, which finite() reports
        x = mapped.features()
    finite(mapped.where, x)
    return x


def _selected(x: Features, rows: Rows) -> Features:
    """Some rows of a matrix; those of a mapped file are copied block by block into a temporary file."""
    if not isinstance(x, np.memmap) or not len(rows):
        return x[rows]
    return written((len(rows), x.shape[1]), blocks(x, rows=rows))
