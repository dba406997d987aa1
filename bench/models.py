"""Models: the final state of a cell, kept beside its record, to hash new items without training again.

A model is a file of plain data: loading it runs no code of the file. The method's own code must be
installed, or added with ``--plugin``; labels, the stream and the dataset are not needed.

May import: contract, data.views, disk, errors, isolation, plugins, protocol, records, threads.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import threads
from bench.contract import state
from bench.contract.items import MODALITIES, Batch, Features, Modality, Split
from bench.contract.method import Method
from bench.data.views import files
from bench.disk import reading
from bench.disk.form import mismatch
from bench.errors import (
    BenchError,
    DataError,
    FileError,
    ParameterError,
    StoreError,
    UnknownNameError,
)
from bench.isolation import declarations
from bench.plugins import fingerprint, registry
from bench.protocol.shown import Output, batches, encode, encode_query
from bench.records import RunSpec

FORMAT = 1  # of the file; a reader refuses another one
SUFFIX = ".model"
ENTRY = "model"  # of the arrays of a cell that has just run; the store makes a file of it
UNKEPT = ("oracle", "fused")  # kinds of methods that need more than the features of an item
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The cell that a model comes from, and the features that it expects."""

    method: str
    params: Mapping[str, str | int | float | bool | None]
    bits: int
    seed: int
    trained_on: str  # the cell, as tables show it
    rounds: int
    code: str  # fingerprint of the method's source
    data: str  # fingerprint of the dataset's arrays
    columns: Mapping[str, int]  # modality → columns of its features
    views: Mapping[str, Mapping[str, Any]]  # modality → the encoder of its features, empty if unknown
    threads: int  # on which the last bits of a product depend
    view: str = ""  # that takes the place of the features
    format: int = FORMAT

    def source(self, modality: Modality) -> str:
        """Where its features come from: an encoder, or a view of the dataset; "" if neither is known."""
        encoder = _encoder(self.views[modality])
        return encoder or (f"the view {self.view!r}" if self.view else "")


def facts(spec: RunSpec, train: Split, *, code: str, data: str, rounds: int, thread_count: int) -> Facts:
    """The facts of the model that a cell leaves after so many rounds on ``train``."""
    cls = declarations.method(spec.method)
    seen = {m: train.batch(m).seen_as(cls.capabilities.encodes).features for m in MODALITIES}
    return Facts(
        method=spec.method,
        params=dict(spec.params),
        bits=spec.bits,
        seed=spec.seed,
        trained_on=str(spec),
        rounds=rounds,
        code=code,
        data=data,
        columns={m: int(features.shape[1]) for m, features in seen.items()},
        views={m: _about(features) for m, features in seen.items()},
        threads=thread_count,
        view=cls.capabilities.encodes,
    )


def _about(features: npt.NDArray[Any]) -> dict[str, Any]:
    about: Any = files.noted(features, "about")
    return about or {}


def packed(about: Facts, saved: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The bytes of a model's file; ``saved`` is the state of its method, as :func:`state.packed` gives it."""
    return state.packed({"facts": asdict(about), "state": saved})


class Model:
    """A trained method that hashes new items: what :func:`load` gives."""

    def __init__(self, path: Path, about: Facts, method: Method) -> None:
        self.path, self.facts, self._method = path, about, method

    @property
    def bits(self) -> int:
        return self.facts.bits

    @property
    def view(self) -> str:
        """The view of a dataset that it hashes; "" for the features."""
        return self._method.capabilities.encodes

    @property
    def real_valued(self) -> bool:
        """Whether it gives vectors in place of codes."""
        return self._method.capabilities.reference == "real-valued"

    def __repr__(self) -> str:
        shape = ", ".join(f"{m} (n, {d})" for m, d in self.facts.columns.items())
        return f"<{self.facts.trained_on}: hashes {shape}>"

    def encode(self, items: npt.ArrayLike, modality: Modality) -> Output:
        """Codes of new items: (n, d) numbers → (n, bits) int8, every value −1 or +1.

        They are those that the run would have given them, bit for bit on the same machine. A real-valued
        method gives (n, k) float32 vectors. Raises ParameterError for an unknown modality, and DataError
        for items of another shape than the method was trained on, or with values that are not finite.
        """
        with threads.limit(self.facts.threads):
            return encode(self._method, self._split(items, modality), modality)

    def outputs(self, items: npt.ArrayLike, modality: Modality) -> npt.NDArray[np.float32] | None:
        """The real values (n, bits) whose signs are the codes; None for a method that has none."""
        parts = []
        with threads.limit(self.facts.threads):
            for batch in batches(self._method, self._split(items, modality), modality):
                values = self._method.outputs(batch, modality)
                if values is None:
                    return None
                parts.append(values.astype(np.float32))
        return np.concatenate(parts)

    def encode_query(self, items: npt.ArrayLike, modality: Modality) -> Features:
        """The numbers by which new queries are compared with codes: those of ``Method.encode_query``.

        Raises ParameterError for a method whose queries have codes, and otherwise as :meth:`encode`.
        """
        if self._method.capabilities.distance == "hamming":
            raise ParameterError(f"queries of {self.facts.method} have codes, or vectors. Use encode().")
        with threads.limit(self.facts.threads):
            return encode_query(self._method, self._split(items, modality), modality)

    def open(self, path: Path, modality: Modality) -> npt.NDArray[Any]:
        """The features in an .npy file, or of a prepared view's folder, mapped and checked.

        Raises DataError for another file, and for a view by another encoder than the one whose features were
        trained on.
        """
        path = Path(path)
        form = f"Give an .npy file (n, {self.facts.columns[modality]}), or the folder of a prepared view."
        try:
            if not path.is_dir():
                return reading.map_array(path)
            manifest, features = files.read_manifest(path), files.open_features(path)
        except FileError as error:
            raise DataError(f"{path}: no {modality} features: {error.reason}. {form}") from error
        if manifest is None or "about" not in manifest or features is None:
            raise DataError(f"{path}: a folder without {modality} features. {form}")
        if not self._encoded(manifest["about"], modality):
            raise DataError(
                f"{path}: {modality} features by {_encoder(manifest['about'])}; this model was trained on "
                f"those of {self.facts.source(modality)}. Prepare that view."
            )
        return features

    def _encoded(self, about: Mapping[str, Any], modality: Modality) -> bool:
        """Whether an encoder may have made the features that were trained on."""
        if expected := self.facts.views[modality]:
            return _same(about) == _same(expected)
        return _encoder(about).partition(":")[0] == self.view or not self.view

    def _split(self, items: npt.ArrayLike, modality: Modality) -> Split:
        """Items as methods get them, checked."""
        if modality not in MODALITIES:
            raise ParameterError(f"modality {modality!r}: expected one of {', '.join(MODALITIES)}.")
        features = self._features(items, modality)
        batch = Batch(features, {self.view: features} if self.view else {})
        return Split(image=batch, text=batch, labels=None, ids=np.arange(len(features)))

    def _features(self, items: npt.ArrayLike, modality: Modality) -> npt.NDArray[np.float32]:
        columns = self.facts.columns[modality]
        array = np.asarray(items)
        if array.ndim != 2 or array.shape[1] != columns:
            source = self.facts.source(modality)
            raise DataError(
                f"{modality} items have shape {array.shape}; expected (n, {columns}), the features "
                f"{f'of {source} ' if source else ''}that {self.facts.method} was trained on."
            )
        if not len(array):
            raise DataError(
                f"{modality} items have shape {array.shape}; expected at least one. Give more rows."
            )
        if array.dtype.kind not in "fiub":
            raise DataError(f"{modality} items are {array.dtype}; expected numbers, such as float32.")
        with np.errstate(over="ignore"):  # too large a number becomes infinite, which is refused
            features = array.astype(np.float32, copy=False)
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{modality} item {int(np.argmin(finite))} has a value that is not finite; expected numbers. "
                "Leave such items out."
            )
        return features


def load(path: Path | str) -> Model:
    """The model in a file that ``bench run --keep-models`` left beside a record.

    Raises StoreError for another file, or a model whose state the installed version of its method does not
    read. A model from another version that can be read is used, with a warning.
    """
    path = Path(path)
    about, saved = _read(path)
    try:
        cls: type[Method] = registry.get("method", about.method)
    except UnknownNameError as error:
        raise StoreError(
            f"{path}: a model of {about.method}, a method that is not installed. Add its file with --plugin."
        ) from error
    if cls.capabilities.reference in UNKEPT:
        raise StoreError(
            f"{path}: {about.method} needs more than the features of an item, so it is no model."
        )
    try:
        other = about.code != fingerprint.of_method(about.method)
        method = cls(bits=about.bits, seed=about.seed, **about.params)
        method.load_state_dict(state.unpacked(saved))
    except Exception as error:  # a state of another form can raise anything
        raise StoreError(
            f"{path}: the installed version of {about.method} cannot read this model ({error}). Train it "
            "again: bench run --keep-models."
        ) from error
    if other:
        _log.warning("%s: kept by another version of %s; its codes may differ.", path, about.method)
    return Model(path, about, method)


def described(folder: Path) -> tuple[list[tuple[Path, Facts]], list[str]]:
    """The models in a results folder with their facts, and a line for each file that is none."""
    found, faults = [], []
    for path in sorted(folder.glob(f"[!.]*{SUFFIX}")):
        try:
            found.append((path, facts_of(path)))
        except BenchError as error:
            faults.append(str(error))
    return found, faults


def facts_of(path: Path) -> Facts:
    """The facts in a model's file, without its method; raises StoreError for another file."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Facts, npt.NDArray[np.uint8]]:
    fix = "Give a file that bench run --keep-models wrote."
    tree = state.load(path, fix)
    facts_, saved = (tree.get("facts"), tree.get("state")) if isinstance(tree, dict) else (None, None)
    if not isinstance(facts_, dict) or not isinstance(saved, np.ndarray):
        raise StoreError(f"{path}: not a model. {fix}")
    if facts_.get("format") != FORMAT:
        raise StoreError(f"{path}: a model in form {facts_.get('format')!r}; expected {FORMAT}. {fix}")
    if problem := mismatch(facts_, Facts, "model") or _nonsense(facts_):
        raise StoreError(f"{path}: not a model ({problem}). {fix}")
    return Facts(**facts_), saved


def _nonsense(about: Mapping[str, Any]) -> str:
    for name in ("columns", "views"):
        if set(about[name]) != set(MODALITIES):
            return f"{name} are of {', '.join(map(repr, about[name]))}"
    if min(about["bits"], about["threads"], *about["columns"].values()) < 1:
        return "a count below 1"
    return ""


def _same(about: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the features of an encoder, up to the last bits."""
    return {name: value for name, value in about.items() if name != "precision"}


def _encoder(about: Mapping[str, Any]) -> str:
    return str(about.get("model", ""))
