"""A method's way through a few hundred items, which the protocol's own functions show to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.checks.trial import items
from bench.contract.items import MODALITIES, Chunk, Codes, Rows, Split
from bench.contract.method import Method
from bench.protocol import shown, stream
from bench.records import Schedule

if TYPE_CHECKING:
    from bench.checks.trial import Trial

ITEMS, CHUNK = 300, 100
Change = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Walk:
    """A method at the end of a stream, and after every round its codes by what was encoded."""

    method: Method
    codes: list[dict[str, Codes]]


class Passage:
    """A stream of three rounds of a hundred items, and three hundred queries.

    Both splits are in memory, as in a run: a method that reaches for more than it is shown finds them.
    Labels change in place, so that no true copy is left to find. Controls share :attr:`plain`.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        view = trial.cls.capabilities.encodes or "clip"
        self.train, self.query = (items(ITEMS, seed=seed, view=view) for seed in (11, 12))
        schedule = Schedule.parse(f"stored:{CHUNK}")
        self.plan = stream.plan(ITEMS, None, schedule=schedule, seed=0, pool="first_chunk", val=0)

    @cached_property
    def plain(self) -> Walk:
        """The walk along the stream as it is."""
        return self.walk(self.train)

    def walk(self, train: Split, rounds: int = ITEMS // CHUNK) -> Walk:
        """Fit a new instance to the first ``rounds`` rounds of ``train``, and encode after each."""
        can, codes = self.trial.cls.capabilities, []
        method = self.trial.new()
        if can.pool and not can.offline:
            method.fit_pool(shown.shown(train, self.plan.rounds[0], can))
        for round_ in range(rounds):
            seen = self.plan.seen(round_)
            if can.offline:
                method, chunk = self.trial.new(), shown.chunk(train, seen, can, 0)
            else:
                chunk = shown.chunk(train, self.plan.rounds[round_], can, round_)
            method.fit_chunk(chunk)
            codes.append(self._codes(method, train, seen) | _learned(method, chunk, seen))
        return Walk(method, codes)

    def _codes(self, method: Method, train: Split, seen: Rows) -> dict[str, Codes]:
        queries = {f"{m} queries": shown.encode(method, self.query, m) for m in MODALITIES}
        return queries | {f"{m} items": shown.encode(method, train, m, seen) for m in MODALITIES}


def _learned(method: Method, chunk: Chunk, seen: Rows) -> dict[str, Codes]:
    """The codes that training gave to the items, where the method has any."""
    codes = {}
    for m in MODALITIES if method.capabilities.learned_codes else ():
        given = method.encode_database(chunk, m)
        codes[f"learned {m} codes"] = shown.checked(method, given, len(chunk), "encode_database")
        if (update := method.update_database(m)) is not None:
            codes[f"updated {m} codes"] = shown.checked(method, update, len(seen), "update_database")
    return codes


def changed(split: Split, change: Change) -> Split:
    """The same items with other features and views."""
    image, text = (
        replace(b, features=change(b.features), views={name: change(view) for name, view in b.views.items()})
        for b in map(split.batch, MODALITIES)
    )
    return replace(split, image=image, text=text)


@contextmanager
def other_labels(split: Split, rows: Rows) -> Iterator[None]:
    """Give these rows each other's labels for a while, and each class the items of the next one."""
    assert split.labels is not None
    order = np.random.default_rng(0).permutation(rows)
    split.labels[rows] = np.roll(split.labels[order], 1, axis=1)
    try:
        yield
    finally:
        split.labels[order] = np.roll(split.labels[rows], -1, axis=1)
