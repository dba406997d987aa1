"""Calls of a method on the items of the contract suite, as the harness makes them; answers are checked."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.comparing import differ, differing, require
from bench.checks.trial import Trial, items
from bench.contract import state
from bench.contract.items import MODALITIES, Codes, Labels, Modality, Split
from bench.contract.method import Method
from bench.errors import ContractError
from bench.protocol.outputs import validate_codes, validate_vectors

_QUERIES = 40


def codes(trial: Trial, method: Method, split: Split, modality: Modality) -> Codes:
    """Codes of the split's items as the harness asks for them: read-only, without views, checked."""
    returned = method.encode(trial.asked(split, modality), modality)
    checked: Codes = valid(trial, method, returned, len(split), "encode")
    return checked


def valid(trial: Trial, method: Method, returned: Any, rows: int, call: str) -> Any:
    if trial.cls.capabilities.reference == "real-valued":
        return validate_vectors(returned, rows=rows, owner=trial.owner, call=call)
    return validate_codes(returned, rows=rows, bits=method.bits, owner=trial.owner, call=call)


def both(trial: Trial, method: Method, split: Split) -> Codes:
    """Codes of both modalities, one above the other."""
    return np.concatenate([codes(trial, method, split, m) for m in MODALITIES])


def given(trial: Trial, method: Method) -> Codes:
    """All codes of a method fitted on :func:`three`: of queries, and those that training assigned."""
    asked = both(trial, method, queries())
    if not trial.cls.capabilities.learned_codes:
        return asked
    last = trial.chunks(*three())[-1]
    learned = [method.encode_database(last, m) for m in MODALITIES]
    updates = [update for m in MODALITIES if (update := method.update_database(m)) is not None]
    return np.concatenate([asked, *learned, *updates])


def three() -> list[Split]:
    return [items(seed=i) for i in range(3)]


def queries(view: str = "clip") -> Split:
    return items(_QUERIES, seed=9, view=view)


def labels(split: Split) -> Labels:
    assert split.labels is not None
    return split.labels


def require_finite(trial: Trial, method: Method, after: str) -> None:
    """sign() hides NaN: it makes codes of -1."""
    for name, value in method.state_dict().items():
        bad = any(not np.isfinite(leaf).all() for leaf in leaves(value))
        require(not bad, f"{trial.owner}.{name} holds NaN or infinity after {after}. Guard the division.")


def leaves(tree: Any) -> Iterator[npt.NDArray[Any]]:
    if isinstance(tree, state.State):
        tree = vars(tree)
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from leaves(part)
    elif isinstance(tree, (np.ndarray, np.generic, float)) and np.asarray(tree).dtype.kind == "f":
        yield np.asarray(tree)


def reloaded(trial: Trial, method: Method) -> Method:
    """A new instance that goes on from the saved state of ``method``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        state.save(path, method.state_dict())
        twin = trial.new(bits=method.bits, seed=method.seed)
        twin.load_state_dict(state.load(path))
    return twin


def require_same_codes(trial: Trial, method: Method, twin: Method, when: str) -> None:
    first = both(trial, method, queries())
    try:
        second = both(trial, twin, queries())
    except AttributeError as error:
        raise ContractError(
            f"{trial.owner} fails {when}: {error}. Keep what is learned in attributes that end in '_'."
        ) from error
    require(
        not differ(first, second).any(),
        f"{trial.owner} gives other codes {when}: {differing(first, second)}. "
        "Keep what is learned in attributes that end in '_'.",
    )
