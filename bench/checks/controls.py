"""Controls that find what no score shows: memory of rows, look-ahead, and codes that rounding decides.

Each walks a method along a few hundred items (:mod:`bench.checks.passage`): what happens above a hundred
rows only, a handful does not find.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.comparing import FEW, differ, differing, require, share_beyond_signs
from bench.checks.passage import CHUNK, ITEMS, changed, other_labels
from bench.checks.trial import Trial
from bench.contract.items import MODALITIES
from bench.protocol import shown

_JITTER = 1e-5  # relative: too little for a hash function, and enough to make a row another one
_EARLY = 2  # rounds whose codes may not know the labels of the third
_BLOCKS = (ITEMS, 7, 1)


def an_items_code_depends_on_no_other_item(trial: Trial) -> None:
    """In another order, and in blocks of other sizes, a query has the same code."""
    method, query = trial.passage.plain.method, trial.passage.query
    shuffled = np.random.default_rng(0).permutation(ITEMS)
    for modality in MODALITIES:
        expected = trial.passage.plain.codes[-1][f"{modality} queries"][shuffled]
        for size in _BLOCKS:
            blocks = [shuffled[start : start + size] for start in range(0, ITEMS, size)]
            codes = np.concatenate([shown.encode(method, query, modality, rows) for rows in blocks])
            require(
                float(differ(expected, codes).mean()) <= FEW,
                f"{trial.owner}.encode() gives an item another code in another order and blocks of {size} "
                f"({modality}): {differing(expected, codes)}. Use statistics of fit_chunk(), not of the "
                "batch.",
            )


def it_remembers_no_rows(trial: Trial) -> None:
    """Items that it was trained on keep their codes when their features change by a hundred-thousandth."""
    walk, rng = trial.passage.plain, np.random.default_rng(0)
    near = changed(trial.passage.train, lambda x: x * (1 + _signs(x, rng) * np.float32(_JITTER)))
    for modality in MODALITIES:
        codes = shown.encode(walk.method, near, modality)
        expected = walk.codes[-1][f"{modality} items"]
        require(
            float(differ(expected, codes).mean()) <= FEW,
            f"{trial.owner}.encode() gives trained items other codes when their features change by "
            f"{_JITTER:g} of themselves ({modality}): {differing(expected, codes)}. Compute codes from the "
            "features; look no rows up.",
        )


def later_labels_change_no_earlier_code(trial: Trial) -> None:
    """Codes of rounds 0 and 1 stay the same when the items of round 2 have other labels."""
    passage = trial.passage
    plain = passage.plain.codes
    with other_labels(passage.train, np.arange(_EARLY * CHUNK, ITEMS)):
        others = passage.walk(passage.train, _EARLY).codes
    for round_ in range(_EARLY):
        for what, expected in plain[round_].items():
            codes = others[round_][what]
            require(
                not differ(expected, codes).any(),
                f"{trial.owner} gives other codes in round {round_} when labels of round {_EARLY} change "
                f"({what}): {differing(expected, codes)}. Use the labels of the chunk alone.",
            )


def labels_of_queries_change_no_code(trial: Trial) -> None:
    """Queries keep their codes when they have other labels, which no method is shown."""
    walk, query = trial.passage.plain, trial.passage.query
    with other_labels(query, np.arange(ITEMS)):
        for modality in MODALITIES:
            codes = shown.encode(walk.method, query, modality)
            expected = walk.codes[-1][f"{modality} queries"]
            require(
                not differ(expected, codes).any(),
                f"{trial.owner}.encode() gives queries other codes when their labels change ({modality}): "
                f"{differing(expected, codes)}. Compute codes from the features alone.",
            )


def rounding_decides_no_codes(trial: Trial) -> str:
    """Codes stay the same when the last digit of every training feature changes; if not, that is said.

    That digit, about 6e-8 of a value of float32, is the least that an input can change by; zeros stay.
    Codes that depend on it break no rule, but luck decides their scores.
    """
    passage, rng = trial.passage, np.random.default_rng(0)
    near = changed(passage.train, lambda x: np.where(x, np.nextafter(x, np.inf * _signs(x, rng)), x))
    walks = passage.plain, passage.walk(near)
    plain, other = (np.concatenate(list(walk.codes[-1].values())) for walk in walks)
    share = share_beyond_signs(plain, other)
    if share <= FEW:
        return ""
    return f"rounding decides its codes: another last digit in the features flips {share:.0%} of the bits"


def _signs(x: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random signs, one for every value."""
    return rng.choice(np.array([-1, 1], dtype=np.float32), size=x.shape)
