"""Runbooks: streams whose items also leave the database, in steps that a file lists.

So the streaming track of big-ann-benchmarks describes its streams (NeurIPS 2023). Items arrive in random
order. A round ends before a second step that brings items, and after an evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from bench.contract.items import Labels, Rows
from bench.disk import reading
from bench.errors import DataError, FileError, ParameterError
from bench.protocol.seeds import derive
from bench.records import RUNBOOK, Schedule

STEPS = {
    "insert N": "the next N items arrive; insert all: the rest of them",
    "delete oldest N": "the N items that arrived first leave",
    "delete older K": "items that arrived more than K rounds ago leave",
    "delete classes K": "all items of K classes leave, drawn from the run's seed",
    "delete share S": "a share S of the items leaves, drawn from the run's seed",
    "replace N": "N items leave, drawn from the run's seed, and the next N arrive",
    "evaluate": "queries search the items that are left",
}
_MOST = 10_000  # steps
_COUNT = "[1-9][0-9]{0,8}"
_FORM = re.compile(
    rf"insert (?:all|{_COUNT})|replace {_COUNT}|delete (?:oldest|classes) {_COUNT}"
    rf"|delete older (?:0|{_COUNT})|delete share (?:0?\.[0-9]{{1,9}}|1)|evaluate"
)


def named(text: str) -> str:
    """A schedule with the steps of a runbook in place of its path; any other schedule as it is.

    Raises DataError for a file that cannot be read, and ParameterError for steps that no stream can follow.
    """
    kind, _, path = text.partition(":")
    if kind != "runbook":
        return text
    if known := RUNBOOK.fullmatch(text):
        name, steps = known.groups()
        return f"runbook:{name}: {'; '.join(step.text for step in parse(steps, name))}"
    return f"runbook:{re.sub('[^A-Za-z0-9_.-]', '-', Path(path).name)}: {'; '.join(read(Path(path)))}"


def read(path: Path) -> list[str]:
    """The steps in a TOML file, each written in one way."""
    try:
        content = reading.read_toml(path)
    except FileError as error:
        raise DataError(f"runbook {error}. Give the path of a .toml file.") from error
    if unknown := content.keys() - {"steps"}:
        raise ParameterError(f"runbook {path}: unknown key {min(unknown)!r}; expected steps. Remove it.")
    steps = content.get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise ParameterError(f'runbook {path}: expected steps = ["insert 500", "evaluate"], a list of text.')
    return [step.text for step in parse("; ".join(" ".join(step.split()) for step in steps), str(path))]


@dataclass(frozen=True, slots=True)
class Step:
    """One step, for instance ``delete oldest 100``: its number, its words, and its amount."""

    number: int
    verb: str
    by: str
    amount: str

    @property
    def text(self) -> str:
        return " ".join(filter(None, (self.verb, self.by, self.amount)))

    @property
    def brings(self) -> bool:
        """Whether items arrive with it."""
        return self.verb in ("insert", "replace")


def parse(steps: str, name: str) -> list[Step]:
    """The steps of a text such as ``insert 500; evaluate``; ``name`` is that of the runbook, for errors."""
    parsed = [_step(number, text, name) for number, text in enumerate(steps.split("; "), 1)]
    if len(parsed) > _MOST:
        raise ParameterError(f"runbook {name} has {len(parsed)} steps; expected {_MOST} at most. Drop some.")
    last = parsed[-1]
    if last.verb != "evaluate":
        raise ParameterError(
            f"runbook {name}, step {last.number} ({last.text}): no evaluation follows it, so that it changes "
            'no score. End with "evaluate".'
        )
    return parsed


def _step(number: int, text: str, name: str) -> Step:
    if not _FORM.fullmatch(text):
        raise ParameterError(
            f"runbook {name}, step {number}: {text[:40]!r} is not a step; expected one of "
            f"{', '.join(STEPS)}. Correct it."
        )
    verb, _, rest = text.partition(" ")
    by, _, amount = rest.rpartition(" ")
    if by == "share":
        amount = f"{float(amount):g}"
    return Step(number, verb, by, amount)


def rounds(schedule: Schedule) -> list[list[Step]]:
    """The steps of every round of a runbook."""
    grouped: list[list[Step]] = [[]]
    for step in parse(schedule.steps, schedule.name):
        last = grouped[-1]
        if last and (last[-1].verb == "evaluate" or (step.brings and any(s.brings for s in last))):
            grouped.append([])
        grouped[-1].append(step)
    return grouped


def evaluated(schedule: Schedule) -> set[int]:
    """The rounds that a runbook evaluates."""
    return {number for number, steps in enumerate(rounds(schedule)) if steps[-1].verb == "evaluate"}


@dataclass(slots=True)
class _Database:
    """The rows in the database while a runbook is played, in order of arrival, and the round of each."""

    name: str
    waiting: Rows  # in the order in which they will arrive
    labels: Labels | None
    rng: np.random.Generator
    rows: Rows = field(default_factory=lambda: np.empty(0, np.intp))
    since: Rows = field(default_factory=lambda: np.empty(0, np.intp))

    def insert(self, step: Step, round_: int) -> Rows:
        """The rows that arrive."""
        if step.amount != "all" and int(step.amount) > len(self.waiting):
            self.refuse(step, f"{len(self.waiting)} items have not arrived yet", "Insert fewer, or all.")
        if not len(self.waiting):
            self.refuse(step, "all items have arrived", "Remove the step, or insert fewer before it.")
        count = len(self.waiting) if step.amount == "all" else int(step.amount)
        new, self.waiting = self.waiting[:count], self.waiting[count:]
        self.rows = np.concatenate([self.rows, new])
        self.since = np.concatenate([self.since, np.full(count, round_, np.intp)])
        return new

    def delete(self, step: Step, round_: int) -> Rows:
        """The rows that leave."""
        choose: dict[str, Callable[[Step, int], npt.NDArray[np.bool_]]] = {
            "oldest": self._oldest,
            "older": self._older,
            "classes": self._classes,
            "share": self._share,
            "": self._any,  # of replace
        }
        leaves = choose[step.by](step, round_)
        gone = self.rows[leaves]
        if not len(gone):
            self.refuse(step, f"none of {len(self.rows)} items is deleted", "Remove the step, or change it.")
        self.rows, self.since = self.rows[~leaves], self.since[~leaves]
        return gone

    def evaluate(self, step: Step) -> None:
        if not len(self.rows):
            self.refuse(step, "the database is empty", "Insert items before it, or delete fewer.")

    def refuse(self, step: Step, fact: str, fix: str) -> NoReturn:
        raise ParameterError(f"runbook {self.name}, step {step.number} ({step.text}): {fact}. {fix}")

    def _oldest(self, step: Step, round_: int) -> npt.NDArray[np.bool_]:
        self._require(step, int(step.amount))
        return np.arange(len(self.rows)) < int(step.amount)

    def _older(self, step: Step, round_: int) -> npt.NDArray[np.bool_]:
        return round_ - self.since > int(step.amount)

    def _share(self, step: Step, round_: int) -> npt.NDArray[np.bool_]:
        return self._drawn(round(float(step.amount) * len(self.rows)))

    def _any(self, step: Step, round_: int) -> npt.NDArray[np.bool_]:
        self._require(step, int(step.amount))
        return self._drawn(int(step.amount))

    def _classes(self, step: Step, round_: int) -> npt.NDArray[np.bool_]:
        if self.labels is None:
            self.refuse(step, "the dataset has no labels", "Delete by age or share.")
        mine = self.labels[self.rows] > 0
        known = np.flatnonzero(mine.any(axis=0))
        if int(step.amount) > len(known):
            self.refuse(step, f"the database has items of {len(known)} classes", "Delete fewer classes.")
        return np.asarray(mine[:, self.rng.permutation(known)[: int(step.amount)]].any(axis=1))

    def _drawn(self, count: int) -> npt.NDArray[np.bool_]:
        leaves = np.zeros(len(self.rows), dtype=bool)
        leaves[self.rng.permutation(len(self.rows))[:count]] = True
        return leaves

    def _require(self, step: Step, count: int) -> None:
        if count > len(self.rows):
            self.refuse(step, f"the database has {len(self.rows)} items", "Delete fewer.")


Leaving = tuple[tuple[Rows, Rows], ...]  # of every round: rows that leave before and after the others arrive


def play(
    schedule: Schedule, rows: Rows, labels: Labels | None, seed: int
) -> tuple[tuple[Rows, ...], Leaving]:
    """The rows that arrive in every round, and those that leave.

    ``labels`` (n, classes) are those of all training rows. Raises ParameterError at the first step that the
    data make impossible.
    """
    order = derive(seed, "order").permutation(rows)
    database = _Database(schedule.name, order, labels, derive(seed, "runbook"))
    arriving, leaving = [], []
    for round_, steps in enumerate(rounds(schedule)):
        new, before, after = rows[:0], [rows[:0]], [rows[:0]]
        for step in steps:
            if step.verb in ("delete", "replace"):
                (after if len(new) else before).append(database.delete(step, round_))
            if step.brings:
                new = database.insert(step, round_)
            elif step.verb == "evaluate":
                database.evaluate(step)
        arriving.append(new)
        leaving.append((np.concatenate(before), np.concatenate(after)))
    return tuple(arriving), tuple(leaving)
