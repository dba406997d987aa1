"""A training while it runs: the curves that a method logs, and the passes that a kill does not undo."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.errors import ContractError

MOST_POINTS = 512  # of one curve in one call: of a longer one every second, third, … point is handed on
MOST_CURVES = 16
_SHARE = 20  # a training is saved again when it has gone on for this many times what saving took

Curves = dict[str, list[list[float]]]  # name → [step, value] in order


class Training:
    """One call to ``fit_pool`` or ``fit_chunk``: its curves, and its stages as they were last saved.

    ``hand_on`` keeps what :meth:`keep` makes, at most every ``every`` seconds; ``kept`` is what a call that
    was killed had handed on.
    """

    def __init__(
        self,
        hand_on: Callable[[Mapping[str, Any]], None] | None = None,
        every: float = 0.0,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self._hand_on, self._every = hand_on, every
        self._wait, self._last = every, time.monotonic()
        self.stages: dict[str, Any] = dict(kept["stages"]) if kept else {}
        self._points: Curves = {k: list(v) for k, v in kept["curves"].items()} if kept else {}

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve; a value that is not finite leaves a gap."""
        for name, value in values.items():
            if name not in self._points and len(self._points) == MOST_CURVES:
                raise ContractError(f"log: {name!r} is one curve more than {MOST_CURVES}. Log fewer names.")
            points = self._points.setdefault(name, [])
            if math.isfinite(value):
                points.append([int(step), float(value)])

    def curves(self) -> Curves:
        """The curves so far, each with at most ``MOST_POINTS`` points."""
        return {
            name: points[:: -(-len(points) // MOST_POINTS)] for name, points in self._points.items() if points
        }

    @property
    def due(self) -> bool:
        """Whether it is time to save the training."""
        return self._hand_on is not None and time.monotonic() - self._last >= self._wait

    def keep(self, stage: str, done: int, state: Any, rng: Mapping[str, Any]) -> None:
        """Hand on that ``done`` passes of a stage are finished."""
        assert self._hand_on is not None, "nobody asked for it"
        started = time.monotonic()
        self.stages[stage] = {"done": done, "state": state, "rng": dict(rng)}
        self._hand_on({"stages": self.stages, "curves": self.curves()})
        self._last = time.monotonic()
        self._wait = max(self._every, _SHARE * (self._last - started) if self._every else 0.0)
