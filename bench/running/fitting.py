"""One call to a method's ``fit_pool`` or ``fit_chunk``, in the process in which the method runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.contract import state
from bench.contract.items import Chunk, Split
from bench.contract.method import Method
from bench.contract.state import Tree
from bench.contract.training import Curves, Training

HandOn = Callable[[Tree, Tree], None]  # the method's state before the call, and the training so far


@dataclass(frozen=True, slots=True)
class Fitted:
    """Wall and CPU seconds that other cells have spared the call, and the curves that it logged."""

    borrowed: list[float]
    curves: Curves


def fit(method: Method, items: Split, *, hand_on: HandOn, every: float, inside: Tree | None) -> Fitted:
    """Fit a method to a pool or a chunk; ``inside`` is what a killed call had handed on."""
    items.shared.borrowed = [0.0, 0.0]
    hands = None
    if method.capabilities.resumes:
        hands = partial(hand_on, state.copy(method.state_dict()))
    method.training = Training(hands, every, inside)
    if isinstance(items, Chunk):
        method.fit_chunk(items)
    else:
        method.fit_pool(items)
    curves, method.training = method.training.curves(), Training()
    return Fitted(items.shared.borrowed, curves)
