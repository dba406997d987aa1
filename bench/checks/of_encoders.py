"""The contract of an encoder, one function per demand: it raises where the demand is not met."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.faces import it_imports_only_the_faces
from bench.contract.dataset import Raw
from bench.contract.encoder import Extractor, Setting
from bench.contract.items import Features, Modality
from bench.data.views.names import View
from bench.errors import ContractError
from bench.plugins import registry

ITEMS, TRAIN = 12, 8
_WORDS = ("red", "green", "blue", "cat", "dog", "car", "tree", "house")
_ROUNDING = 1e-4  # of the largest value: what another size of batch may change


class Viewed:
    """A view by name, and where its local checkpoints lie."""

    def __init__(self, text: str, root: Path) -> None:
        self.text, self.root = text, root
        self._first: dict[Modality, Extractor] = {}

    @property
    def view(self) -> View:
        return View.parse(self.text)

    def load(self, modality: Modality, raw: Raw) -> Extractor:
        return self.view.load(modality, raw, Setting(root=self.root, precision="fp32"))

    def first(self, modality: Modality) -> Extractor:
        """Loaded once, since a model may be large."""
        if modality not in self._first:
            self._first[modality] = self.load(modality, _raw())
        return self._first[modality]

    def rows(self, extractor: Extractor, modality: Modality, raw: Raw, batch: int = ITEMS) -> Features:
        """The rows of all items, extracted in batches."""
        items = [raw.image(i) if modality == "image" else raw.texts[i] for i in range(ITEMS)]
        parts = [
            extractor.many([extractor.one(item) for item in items[start : start + batch]])
            for start in range(0, ITEMS, batch)
        ]
        for part, start in zip(parts, range(0, ITEMS, batch), strict=True):
            size = min(batch, ITEMS - start)
            good = isinstance(part, np.ndarray) and part.dtype == np.float32 and part.ndim == 2
            found = f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
            _require(good and len(part) == size, f"view {self.text}: {found}; expected float32 ({size}, d).")
        return np.concatenate(parts)


def it_has_a_docstring(viewed: Viewed) -> None:
    cls = type(viewed.view.encoder())
    _require(bool(registry.docstring(cls)), f"{cls.__name__} has no docstring. Say what its rows hold.")


def it_imports_nothing_but_the_faces(viewed: Viewed) -> None:
    it_imports_only_the_faces("encoder", viewed.view.kind)


def its_rows_are_finite_float32(viewed: Viewed) -> None:
    raw = _raw()
    for modality in viewed.view.modalities:
        rows = viewed.rows(viewed.first(modality), modality, raw)
        _require(bool(np.isfinite(rows).all()), f"view {viewed.text}: its rows hold NaN or infinity.")


def equal_items_have_equal_rows(viewed: Viewed) -> None:
    """The last item is the first one again; and a second extraction gives the same."""
    raw = _raw()
    for modality in viewed.view.modalities:
        loaded = (viewed.first(modality), viewed.load(modality, raw))
        first, again = (viewed.rows(extractor, modality, raw) for extractor in loaded)
        _require(_close(first[0], first[-1]), f"view {viewed.text}: equal {modality}s have other rows.")
        _require(
            _close(first, again), f"view {viewed.text}: other rows when it is loaded again. Fix every seed."
        )


def a_row_depends_on_no_other_item(viewed: Viewed) -> None:
    raw = _raw()
    for modality in viewed.view.modalities:
        extractor = viewed.first(modality)
        together = viewed.rows(extractor, modality, raw)
        for batch in (1, 5):
            _require(
                _close(together, viewed.rows(extractor, modality, raw, batch)),
                f"view {viewed.text}: other rows in batches of {batch}. Compute each row by itself.",
            )


def it_declares_that_it_reads_training_texts(viewed: Viewed) -> None:
    """Else views of other splits would share rows that differ."""
    raw = _raw()
    other = replace(raw, train=raw.query, query=raw.train)
    for modality in () if viewed.view.reads_train else viewed.view.modalities:
        loaded = (viewed.first(modality), viewed.load(modality, other))
        one, two = (viewed.rows(extractor, modality, raw) for extractor in loaded)
        _require(
            one.shape == two.shape and _close(one, two),
            f"view {viewed.text}: other rows for another training split. Set reads_train = True.",
        )


def its_description_is_json_and_its_first_step_is_picklable(viewed: Viewed) -> None:
    for modality in viewed.view.modalities:
        extractor = viewed.first(modality)
        _require(
            bool(extractor.about) and json.loads(json.dumps(extractor.about)) == dict(extractor.about),
            f"view {viewed.text}: about={extractor.about!r}; expected model, version and the like, as JSON.",
        )
        try:
            pickle.dumps(extractor.one)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ContractError(
                f"view {viewed.text}: one cannot be pickled ({error}), so --workers fails. Make it a "
                "function of the module, or an object of a class of the module."
            ) from error


def _raw() -> Raw:
    """Twelve pictures and texts, the last of which is the first again."""
    rng = np.random.default_rng(0)
    drawn = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) for _ in range(ITEMS - 1)]
    labels = np.eye(2, dtype=np.uint8)[np.arange(ITEMS) % 2]
    return Raw(
        ids=np.arange(ITEMS),
        image=_picture,
        texts=[*drawn, drawn[0]],
        labels=labels,
        classes=("even", "odd"),
        train=np.arange(TRAIN),
        query=np.arange(TRAIN, ITEMS),
    )


def _picture(row: int) -> Any:
    """Coarse colours, 40 × 30."""
    from PIL import Image

    coarse = np.random.default_rng(row % (ITEMS - 1)).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((40, 30))


def _close(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return bool((np.abs(a - b) <= _ROUNDING * np.abs(a).max(initial=0)).all())


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise ContractError(message)


ALL: Sequence[Callable[[Viewed], None]] = (
    it_has_a_docstring,
    it_imports_nothing_but_the_faces,
    its_rows_are_finite_float32,
    equal_items_have_equal_rows,
    a_row_depends_on_no_other_item,
    it_declares_that_it_reads_training_texts,
    its_description_is_json_and_its_first_step_is_picklable,
)
