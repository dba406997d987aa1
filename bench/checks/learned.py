"""The contract of a method: its state holds all that it has learned, and labels teach it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks import asking
from bench.checks.comparing import require
from bench.checks.trial import ROWS, Trial, equal, items
from bench.contract.items import MODALITIES, Codes
from bench.contract.method import Method


def a_saved_state_gives_the_same_codes(trial: Trial) -> None:
    method = trial.fit(*asking.three()[:2])
    asking.require_same_codes(
        trial, method, asking.reloaded(trial, method), "after its state was saved and loaded"
    )


def it_goes_on_from_a_saved_state(trial: Trial) -> None:
    splits = asking.three()
    method = twin = trial.fit(splits[0])
    for chunk in trial.chunks(*splits)[1:]:
        twin = asking.reloaded(trial, twin)
        for one in (method, twin):
            one.fit_chunk(chunk)
    asking.require_same_codes(trial, method, twin, "when it goes on with the next chunk from a loaded state")


def true_labels_teach_more_than_shuffled_ones(trial: Trial) -> None:
    """Codes of a supervised method say less about the labels where training saw them shuffled."""
    splits = [items(2 * ROWS, seed=i) for i in range(2)]
    rng = np.random.default_rng(3)
    shuffled = [dataclasses.replace(s, labels=rng.permutation(asking.labels(s))) for s in splits]
    true, chance = (_contrast(trial, trial.fit(*s)) for s in (splits, shuffled))
    require(
        true > chance,
        f"{trial.owner} is supervised, but true labels part relevant from other items by {true:.2f} bits, "
        f"shuffled ones by {chance:.2f}; expected more of the true ones. Check how chunk.labels is used.",
    )


def _contrast(trial: Trial, method: Method) -> float:
    """Mean Hamming distance of irrelevant minus relevant image-text pairs, over both directions.

    Of real-valued vectors it is the distance of that cosine: codes of ±1 at it have that many bits apart.
    """
    queries, database = asking.queries(), items(2 * ROWS, seed=6)
    relevant = asking.labels(queries).astype(int) @ asking.labels(database).T.astype(int) > 0
    total = 0.0
    for a, b in (MODALITIES, MODALITIES[::-1]):
        left, right = (_unit(asking.codes(trial, method, s, m)) for s, m in ((queries, a), (database, b)))
        distance = method.bits * (1 - left @ right.T) / 2
        total += float(distance[~relevant].mean() - distance[relevant].mean())
    return total / 2


def _unit(codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    return np.asarray(codes / np.where(norms > 0, norms, 1), dtype=np.float64)


def learned_codes_cover_every_chunk(trial: Trial) -> None:
    splits, method = asking.three(), trial.new()
    trial.start(method, splits[0])
    given: list[tuple[Codes, Codes]] = []
    total = 0
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
        total += len(chunk)
        for modality in MODALITIES:
            codes = method.encode_database(chunk, modality)
            asking.valid(trial, method, codes, len(chunk), "encode_database")
            given.append((codes, codes.copy()))
            update = method.update_database(modality)
            if update is not None:
                asking.valid(trial, method, update, total, "update_database")
    moved = any(not np.array_equal(now, then) for now, then in given)
    require(
        not moved,
        f"{trial.owner} writes to codes that encode_database() gave before. "
        "Return a copy, and give re-hashed codes by update_database().",
    )


def learned_codes_survive_saving(trial: Trial) -> None:
    """Updates of old codes, and the codes of the next chunk; those of the last one had been given."""
    splits = asking.three()
    method = trial.fit(*splits[:2])
    twin = asking.reloaded(trial, method)
    pairs = [(method.update_database(m), twin.update_database(m)) for m in MODALITIES]
    if not trial.cls.capabilities.offline:
        chunk = trial.chunks(*splits)[2]
        for one in (method, twin):
            one.fit_chunk(chunk)
        pairs += [(method.encode_database(chunk, m), twin.encode_database(chunk, m)) for m in MODALITIES]
        pairs += [(method.update_database(m), twin.update_database(m)) for m in MODALITIES]
    require(
        all(equal(a, b) for a, b in pairs),
        f"{trial.owner} gives other learned codes after its state was saved and loaded. "
        "Keep what is learned in attributes that end in '_'.",
    )


def it_goes_on_after_it_forgot_everything(trial: Trial) -> None:
    splits = asking.three()
    method = trial.fit(*splits[:2])
    chunks = trial.chunks(*splits)
    for chunk in chunks[:2]:
        method.forget_items(chunk)
        asking.both(trial, method, asking.queries())
        asking.require_finite(trial, method, "forget_items()")
    if not trial.cls.capabilities.offline:
        method.fit_chunk(chunks[2])
        asking.both(trial, method, asking.queries())
