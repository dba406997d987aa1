"""Your own features: a folder of .npy or .npz files, an .h5, or a .mat bundle.

Variables are recognised by their usual names; the notes tell which, and an option overrides them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from bench.api import Batch, DataError, Dataset, DatasetSource, Features, Labels, Rows, Split, finite, param
from bench.datasets import _labels, _mapping, _mat
from bench.datasets._mapping import Mapped


class Files(DatasetSource):
    """Image and text features and labels from arrays on disk, as in ``files[path=mirflickr.mat]``.

    Recognised without a mapping: ``I_tr, T_tr, L_tr`` with ``I_te, T_te, L_te``; the same with
    ``I_db`` (then the database is the stream); ``XAll, YAll, LAll``; ``image, text, labels``
    with ``query_image, ...`` or ``query_index``; ``image_train, text_train, label_train`` with
    ``..._test``. A text matrix may be CSR parts: ``text_indptr``, ``text_indices``, ``text_data``.
    """

    path: str = param("", "folder or file, absolute or relative to the data root")
    mapping: str = param("", "ROLE:VARIABLE;... for unusual names; VARIABLE.T is transposed")
    queries: int = param(2000, "number of random query rows, if the data have no query split", least=1)
    seed: int = param(0, "random seed of the query rows", least=0)
    labels: str = param("auto", _labels.OPTION)
    label_prefix: str = param("", "keep only label columns whose name begins with it; separate several by ;")
    unlabelled: Literal["error", "drop", "keep"] = param(
        "error", "items without a label: refuse them, drop them, or keep them in train"
    )
    schedule: ClassVar[str] = "shuffled:2000"

    def files(self, root: Path) -> list[Path]:
        _, roles = self._roles(root)
        variables = [m.variable for m in roles.values()]
        paths = {v.path for v in variables} | {
            p.path for v in variables for p in getattr(v, "parts", {}).values()
        }
        return sorted(path for path in paths if path.is_file())

    def load(self, root: Path) -> Dataset:
        available, roles = self._roles(root)
        notes = [f"{role} ← {mapped}" for role, mapped in sorted(roles.items())]
        if rest := _mapping.unused(available, roles):
            notes.append(f"not read: {', '.join(rest)}")
        train, query, note = self._parts(roles)
        notes.append(note)
        classes, label_note = self._add_labels(roles, train, query)
        notes.append(label_note)
        splits = []
        for part in (train, query):
            keep, note = self._keep(part, str(roles["labels"]), label_note)
            notes += [note] if note else []
            splits.append(part.split(keep))
        return Dataset(
            name=Path(self.path).name, train=splits[0], query=splits[1], classes=classes, notes=tuple(notes)
        )

    def _roles(self, root: Path) -> tuple[dict[str, _mat.AnyVariable], dict[str, Mapped]]:
        if not self.path:
            raise DataError(
                "files: no path given; expected a folder or file of features. "
                "Write files[path=mirflickr.mat]."
            )
        path = root / Path(self.path).expanduser()  # an absolute path replaces the root
        available = _mat.variables(path)
        roles = _mapping.resolve(str(path), available, self.mapping)
        _check_shapes(roles)
        return available, roles

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
        query_rows, train_rows, note = self._split_rows(roles, rows)
        train, query = (
            _Part(name, {r: x[chosen] for r, x in own.items()}, chosen)
            for name, chosen in (("train", train_rows), ("query", query_rows))
        )
        return train, query, note

    def _split_rows(self, roles: dict[str, Mapped], rows: int) -> tuple[Rows, Rows, str]:
        if "query_index" in roles:
            query = _mapping.as_index(roles["query_index"], rows)
            if "database_index" in roles:
                train = _mapping.as_index(roles["database_index"], rows)
                return query, train, f"queries: {len(query)} rows by index; train: {len(train)} rows by index"
            train = np.setdiff1d(np.arange(rows, dtype=np.intp), query)
            return query, train, f"queries: {len(query)} rows by index; train: the other {len(train)}"
        if self.queries >= rows:
            raise DataError(
                f"files: queries={self.queries} of the {rows} rows of {roles['image'].variable}; expected "
                "fewer, since the rest is the database. Lower queries."
            )
        query = np.sort(np.random.default_rng(self.seed).choice(rows, self.queries, replace=False))
        train = np.setdiff1d(np.arange(rows, dtype=np.intp), query)
        return query, train, f"queries: {len(query)} of {rows} rows at random, seed {self.seed}"

    def _add_labels(
        self, roles: dict[str, Mapped], train: _Part, query: _Part
    ) -> tuple[tuple[str, ...], str]:
        """Fill in the labels of both parts; returns the names of their columns and a note."""
        given = {r: roles[r] for r in ("labels", "query_labels") if r in roles}
        rows = [roles[r.replace("labels", "image")].shape[0] for r in given]
        matrices, names, note = _labels.read(list(given.values()), self.labels, rows)
        width = matrices[0].shape[1]
        if "classes" in roles:
            names = tuple(str(name).strip() for name in roles["classes"].read().ravel())
            if len(names) != width:
                raise DataError(
                    f"{roles['classes'].where}: {len(names)} names for {width} label columns of "
                    f"{roles['labels']}; expected one each. Map another variable: mapping=classes:VARIABLE."
                )
        if self.label_prefix:
            columns = _labels.select(names, self.label_prefix, roles["labels"])
            matrices, names = [m[:, columns] for m in matrices], tuple(names[c] for c in columns)
            note += f", kept the {len(columns)} whose names begin with {self.label_prefix}"
        if len(matrices) == 1:
            train.labels, query.labels = matrices[0][train.ids], matrices[0][query.ids]
        else:
            train.labels, query.labels = matrices
        return names, note

    def _keep(self, part: _Part, source: str, how: str) -> tuple[npt.NDArray[np.bool_], str]:
        """Choose the rows of a part that stay, by the option ``unlabelled``; returns also a note."""
        assert part.labels is not None
        labelled: npt.NDArray[np.bool_] = np.any(part.labels, axis=1)
        missing = int((~labelled).sum())
        if not missing or (self.unlabelled == "keep" and part.name == "train"):
            return np.ones_like(labelled), f"kept {missing} unlabelled {part.name} items" if missing else ""
        if self.unlabelled == "error":
            raise DataError(
                f"files: {missing} of {len(labelled)} {part.name} rows of {source} have no label (first: row "
                f"{int(part.ids[~labelled][0])}); {how}; expected at least one each. Write unlabelled=drop "
                "or unlabelled=keep."
            )
        if missing == len(labelled):
            raise DataError(
                f"files: no {part.name} row of {source} has a label; expected at least one. Map other labels."
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
            rows: slice | npt.NDArray[np.bool_] = slice(None) if keep.all() else keep
            views = {
                r.partition("_")[2]: x[rows] for r, x in self.features.items() if r.startswith(f"{modality}_")
            }
            return Batch(self.features[modality][rows], views)

        assert self.labels is not None
        return Split(image=batch("image"), text=batch("text"), labels=self.labels[keep], ids=self.ids[keep])


def _check_shapes(roles: dict[str, Mapped]) -> None:
    """Refuse arrays whose rows differ within a split, and queries that lack a view or column of train."""
    data = {r: m for r, m in roles.items() if r not in ("classes", "query_index", "database_index")}
    for role, mapped in data.items():
        if not role.endswith("labels") and len(mapped.shape) != 2:
            raise DataError(
                f"{mapped.where}: has shape {mapped.shape}; expected 2-d features (items, d). Extract "
                "features from raw images first, or map another variable."
            )
    own = {r: m for r, m in data.items() if not r.startswith("query_")}
    asked = {r: m for r, m in data.items() if r.startswith("query_")}
    _check_rows(own)
    _check_rows(asked)
    if asked:
        for role, mapped in own.items():
            _check_twin(role, mapped, asked.get(f"query_{role}"))


def _check_rows(split: dict[str, Mapped]) -> None:
    """Refuse an array that has another number of rows than most others of its split."""
    matrices = [m.shape[0] for r, m in split.items() if not r.endswith("labels")]
    one_item = bool(matrices) and set(matrices) == {1}
    rows = {role: _rows(role, mapped, one_item) for role, mapped in split.items()}
    expected = max(rows.values(), key=list(rows.values()).count, default=0)
    for role, mapped in split.items():
        if rows[role] != expected:
            name = mapped.variable.name
            other = next(split[r].variable.name for r, n in rows.items() if n == expected)
            raise DataError(
                f"{mapped.where}: has shape {mapped.shape}; expected {expected} rows, as {other} has. "
                f"If its columns are the items, map {role}:{name}.T."
            )


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
