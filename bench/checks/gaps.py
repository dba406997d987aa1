"""The contract of a method: chunks may lack rows, values, classes, labels, modalities, a pool or a view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks import asking
from bench.checks.trial import BITS, CLASSES, ROWS, Trial, items, only, without
from bench.contract.items import MODALITIES, Labels, Split


def few_rows_and_one_row_are_enough(trial: Trial) -> None:
    few, one, another = items(BITS // 2, seed=4), items(1, seed=5), items(1, seed=6)
    for splits, what in (
        ((few,), f"a first chunk of {len(few)} rows"),
        ((items(seed=0), one), "a chunk of one row"),
        ((one, another), "nothing but chunks of one row"),
    ):
        method = trial.fit(*splits)
        asking.both(trial, method, asking.queries())
        asking.require_finite(trial, method, what)


def constant_and_repeated_columns_are_safe(trial: Trial) -> None:
    """In features and views: each column with a twin and a constant one beside it; then zeros alone."""
    for columns, what in ((_doubled, "constant and repeated columns"), (_constant, "constant columns alone")):
        splits = [_with_columns(split, columns) for split in asking.three()[:2]]
        method = trial.fit(*splits)
        asking.both(trial, method, splits[0])
        asking.require_finite(trial, method, what)


def _doubled(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.hstack([x, x, np.full_like(x, 1e4)])


def _constant(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.zeros_like(x)


def _with_columns(split: Split, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Split:
    image, text = (
        dataclasses.replace(
            b, features=change(b.features), views={name: change(view) for name, view in b.views.items()}
        )
        for b in map(split.batch, MODALITIES)
    )
    return dataclasses.replace(split, image=image, text=text)


def a_class_may_be_missing_from_a_chunk(trial: Trial) -> None:
    early, late = range(CLASSES // 2), range(CLASSES // 2, CLASSES)
    method = trial.fit(items(seed=0, classes=early), items(seed=1, classes=late))
    asking.both(trial, method, asking.queries())
    asking.require_finite(trial, method, "a chunk without some of the classes")


def it_runs_where_some_or_no_items_have_labels(trial: Trial) -> None:
    splits = asking.three()[:2]
    some = [
        _with_labels(s, asking.labels(s) * (np.arange(len(s)) % 2)[:, None].astype(np.uint8)) for s in splits
    ]
    zeros = [_with_labels(s, np.zeros_like(asking.labels(s))) for s in splits]
    none = [_with_labels(s, None) for s in splits]
    for what, given in (("some", some), ("no", zeros), ("no", none)):
        method = trial.fit(*given)
        asking.both(trial, method, asking.queries())
        asking.require_finite(trial, method, f"chunks in which {what} items have labels")


def _with_labels(split: Split, labels: Labels | None) -> Split:
    return dataclasses.replace(split, labels=labels)


def it_learns_from_items_that_lack_a_modality(trial: Trial) -> None:
    """Of three items one lacks its image and one its text, then only texts come; or images, then texts."""
    third = np.arange(ROWS) % 3
    one, other, last = asking.three()
    mixed = [without(s, image=third == 0, text=third == 1) for s in (one, other)]
    texts = only(last, "text")
    in_turn = [only(one, "image"), texts]
    for splits, what in (([*mixed, texts], "in which items lack a modality"), (in_turn, "of one modality")):
        method = trial.fit(*splits)
        asking.both(trial, method, asking.queries())
        asking.require_finite(trial, method, f"chunks {what}")


def it_runs_with_and_without_a_pool(trial: Trial) -> None:
    for pool in (True, False):
        asking.both(trial, trial.fit(*asking.three()[:2], pool=pool), asking.queries())


def it_runs_where_plain_features_stand_in_for_a_view(trial: Trial) -> None:
    method = trial.fit(*[items(seed=i, view="another") for i in range(2)])
    asking.both(trial, method, asking.queries("another"))
