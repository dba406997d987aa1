"""One cell of a pass: its method, database and records while the rounds go by."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import models
from bench.contract.items import Chunk, Rows, Split
from bench.contract.method import fidelity
from bench.contract.state import Tree
from bench.disk.form import mismatch
from bench.errors import account
from bench.isolation.process import DiedError, RaisedError
from bench.progress import Task, detail
from bench.protocol import rehash
from bench.protocol.clock import Clock
from bench.protocol.index import Index
from bench.protocol.seeds import derive, derive_seed
from bench.protocol.shown import seen_labels, stand_ins
from bench.records import OFFLINE, CurveRecord, PartRecord, RoundRecord, RunRecord
from bench.running.evaluation import Arrays, Evaluation
from bench.running.hosts import Hosting, Isolation
from bench.running.streaming import Leaving, Stream
from bench.storing import checkpoint
from bench.storing.checkpoint import Checkpoints
from bench.study.planned import PlannedCell
from bench.units import duration

Keep = Callable[[RunRecord, Arrays], None]


@dataclass(frozen=True, slots=True)
class How:
    """The circumstances that the passes over one stream share."""

    thread_count: int
    isolation: Isolation
    facts: Mapping[str, Any]
    keep_models: bool
    early: Keep | None


class Session:
    """The state of one cell while its rounds go by."""

    def __init__(
        self,
        cell: PlannedCell,
        number: int,
        stream_: Stream,
        how: How,
        task: Task,
        saved: Checkpoints,
    ) -> None:
        self.cell, self.spec, self.number = cell, cell.spec, number
        self.stream, self.how, self.task, self.saved = stream_, how, task, saved
        self.clock = Clock(stream_.host.cpu, lambda: stream_.host.gpu.seconds)
        self.indexes = {part: self.new_index(part) for part in stream_.plan.parts(np.empty(0, np.intp))}
        self.rounds: list[RoundRecord] = []
        self.fit_seconds: list[float] = []
        self.evaluation = Evaluation(self.spec, stream_, self.indexes, self.clock, how.thread_count)
        self.round = 0
        self.started, self.next_round = False, 0  # how far a resumed cell has come
        self.inside: Tree | None = None  # and inside the training of that round
        self.curves: dict[str, npt.NDArray[np.float64]] = {}  # name → rows of round, step, value
        self.gpu_bytes = 0  # the most since the last evaluation
        self.acting, self.spent = False, 0.0  # whether its method is at work, and the seconds it has taken
        self.complete = False
        self.failure: tuple[str, str] | None = None  # reason, traceback
        self.notes = (*stream_.notes, *stand_ins(stream_.train, stream_.cls.capabilities))

    @property
    def finished(self) -> bool:
        """Whether the cell has its record."""
        return self.complete or self.failure is not None

    @property
    def arrays(self) -> Arrays:
        """The arrays that are stored beside the record."""
        return self.evaluation.arrays

    @property
    def line(self) -> str:
        """The last round: the time that the method took for it, and the scores where it was evaluated."""
        text = f"{self.spec}: round {self.round + 1} of {len(self.stream.plan.rounds)}"
        if self.fit_seconds:
            text += f", fit {duration(self.fit_seconds[-1])}"
        if not self.rounds or self.rounds[-1].round != self.round:
            return text
        last = self.rounds[-1]
        maps = (f"{d.upper().replace('2', '→')} {last.metrics[f'map/{d}']:.3f}" for d in self.spec.directions)
        return f"{text}, {last.items} items, mAP {'  '.join(maps)}"

    def begin(self) -> None:
        self.attempt(0, lambda s: setattr(s, "method", s.new_method()))

    def fail(self, reason: str, trace: str = "") -> None:
        """The cell fails in this round, unless it has finished."""
        if not self.finished:
            self.failure = f"round {self.round}: {reason}", trace

    def attempt(self, round_: int, act: Callable[[Session], None]) -> None:
        """Do something that runs the method's code, unless the cell has failed already."""
        if self.failure is not None:
            return
        self.round, self.acting, started = round_, True, time.monotonic()
        self.task.reach(round_)
        self.stream.host.allow(self.spent)
        try:
            act(self)
        except RaisedError as error:
            self.fail(error.reason, error.trace)
        except DiedError:
            raise  # the other cells of the pass cannot go on either
        except Exception as error:  # noqa: BLE001  # what a method returns may be no codes; the sweep goes on
            self.fail(*account(error))
        self.acting = False
        self.spent += time.monotonic() - started

    def hand_over(self) -> None:
        """Let a cell that has just succeeded be stored, unless it resumed."""
        succeeded = self.complete and self.failure is None
        if succeeded and self.how.early and not self.saved.has_resumed(self.number):
            self.how.early(self.record, self.arrays)

    def new_method(self) -> Hosting:
        seed = derive_seed(self.spec.seed, "method")
        return self.stream.host.new(self.number, self.spec.bits, seed, self.spec.params)

    def new_index(self, part: str) -> Index:
        """Training gives no codes to unseen items: where it gives codes to the others, they are encoded."""
        learned = self.spec.database == "learned" and part == "unseen"
        mode = "reindexed" if learned else self.spec.database
        if self.spec.rehash != "always":
            mode = "frozen"  # until rehash() renews them
        return Index(mode, self.stream.train, self.clock)

    def fit_pool(self, pool: Split) -> None:
        self.fit("fit_pool", pool, OFFLINE)
        detail(f"{self.spec}: offline stage, {duration(self.clock.seconds('fit_pool'))}")
        self.started = True

    def fit(self, stage: str, items: Split, round_: int) -> None:
        """Fit the method, time it, and keep what it logged."""

        def hand_on(before: Tree, inside: Tree) -> None:
            self.saved.keep(self.number, self.as_saved(before, inside))

        inside, self.inside = self.inside, None
        with self.clock.measure(stage):
            fitted = self.method.fit(items, hand_on, checkpoint.EVERY, inside)
        self.clock.add(stage, *fitted.borrowed)
        self.gpu_bytes = max(self.gpu_bytes, self.stream.host.gpu.bytes)
        for name, points in fitted.curves.items():
            rows = np.array([[round_, *point] for point in points], dtype=np.float64).reshape(-1, 3)
            self.curves[name] = np.concatenate([self.curves.get(name, rows[:0]), rows])

    def take(self, arrived: Chunk | None, parts: Mapping[str, Rows], leaving: Sequence[Leaving]) -> None:
        """One round: what the method learns from, if anything, and the rows that enter the database.

        For an offline method, a fresh instance and everything in the database.
        """
        refit, before = self.stream.cls.capabilities.offline, self.clock.seconds("fit")
        self.let_go(leaving[:1], before=True)
        if arrived is not None:
            if refit:
                self.method = self.new_method()
            self.fit("fit", arrived, self.round)
            self.fit_seconds.append(0.0)
        for part, index in self.indexes.items():
            index.arrive(self.method, arrived, parts[part], self.round, refit=refit)
        self.let_go(leaving[1:], before=False)
        if self.fit_seconds:
            self.fit_seconds[-1] += self.clock.seconds("fit") - before
        self.rehash()
        if self.round in self.stream.evaluated:
            self.evaluate(self.method)
        self.started, self.next_round = True, self.round + 1
        detail(self.line)

    def let_go(self, leaving: Sequence[Leaving], *, before: bool) -> None:
        """Delete items from the database, and have the method forget them, if it can."""
        for left in leaving:
            if not len(left.rows):
                continue
            for index in self.indexes.values():
                index.drop(left.rows)
            if left.items is not None and self.inside is None:  # it forgot before its training was cut short
                with self.clock.measure("fit"):
                    self.method.forget(left.items, 0 if before else 1)

    def rehash(self) -> None:
        """Renew old database codes as the cell's policy says."""
        policy = self.spec.rehash
        if policy == "always" or not any(len(index.rows) for index in self.indexes.values()):
            return
        worth = 0.0
        if policy.startswith("trigger"):
            index = next(iter(self.indexes.values()))  # of the items that methods are trained on
            rng = derive(self.spec.seed, "rehash", str(self.round))
            true = self.stream.train.labels
            assert true is not None, "skip_reason() refuses a dataset without labels"
            labels = seen_labels(true, index.rows, self.stream.plan.withheld)
            known = np.isin(index.rows, self.stream.plan.seen(self.round - self.spec.delay)).sum()
            with self.clock.measure("rehash"):  # labels of the first items to arrive are known
                worth = rehash.gain(self.method, index, labels, rng.permutation(int(known)))
        rehash.update(policy, self.method, self.indexes, self.round, self.next_round, worth)

    def save(self) -> Tree:
        """All that :meth:`resume` needs to go on with the next round."""
        return self.as_saved(self.method.save(), None)

    def as_saved(self, method: Tree, inside: Tree | None) -> Tree:
        """All that :meth:`resume` needs, with the method's state and, inside a round, its training."""
        return {
            "started": self.started,
            "next_round": self.next_round,
            "method": method,
            "inside": inside,
            "curves": self.curves,
            "indexes": {
                part: {name: getattr(index, name) for name in ("rows", "packed", "rewritten", "written")}
                for part, index in self.indexes.items()
            },
            "seconds": self.clock.so_far(),
            "rounds": [asdict(record) for record in self.rounds],
            "fit_seconds": self.fit_seconds,
            "arrays": self.arrays,
        }

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on from what :meth:`save` gave; raises where that does not fit."""
        stored = json.loads(json.dumps(saved["rounds"]))
        problems = (mismatch(record, RoundRecord, "a round") for record in stored)
        if problem := next(filter(None, problems), ""):
            raise ValueError(problem)
        rounds = [RoundRecord.from_json(record) for record in stored]
        evaluated = [round_ for round_ in sorted(self.stream.evaluated) if round_ < saved["next_round"]]
        if saved["next_round"] > len(self.stream.plan.rounds) or [r.round for r in rounds] != evaluated:
            raise ValueError("it has other rounds")
        self.method.load(saved["method"])
        self.inside, self.curves = saved["inside"], dict(saved["curves"])
        for part, kept in saved["indexes"].items():
            for name, value in kept.items():
                setattr(self.indexes[part], name, value)
        self.clock.go_on(saved["seconds"])
        self.rounds, self.evaluation.arrays = rounds, dict(saved["arrays"])
        self.fit_seconds = [float(seconds) for seconds in saved["fit_seconds"]]
        self.started, self.next_round = saved["started"], saved["next_round"]

    def evaluate(self, method: Hosting) -> None:
        for index in self.indexes.values():
            index.refresh(method)
        queries = self.evaluation.ask(method)
        parts = self.evaluation.score(queries, self.round)
        deleted = self.evaluation.deleted(method, queries, self.round)
        rewritten = [index.rewritten for index in self.indexes.values() if index.rewritten is not None]
        self.rounds.append(
            RoundRecord(
                round=self.round,
                queries=len(self.stream.query),
                seconds=self.clock.take(),
                bits_rewritten=sum(rewritten) if rewritten else None,
                state_bytes=method.state_bytes(),
                gpu_bytes=self.gpu_bytes or None,
                parts={part: scores for part, scores in parts.items() if part != "all"},
                deleted=deleted,
                **{f.name: getattr(parts["all"], f.name) for f in fields(PartRecord)},
            )
        )
        self.gpu_bytes = 0
        for index in self.indexes.values():
            index.rewritten = None
        if self.round == max(self.stream.evaluated):
            self.evaluation.keep_codes(queries, self.round)
            if self.how.keep_models and self.stream.cls.capabilities.reference not in models.UNKEPT:
                self.arrays[models.ENTRY] = self.model(method)
            self.notes += tuple(method.notes())
            self.complete = True

    def model(self, method: Hosting) -> npt.NDArray[np.uint8]:
        about = models.facts(
            self.spec,
            self.stream.train,
            code=self.how.facts["code"],
            data=self.how.facts["data"],
            rounds=self.round + 1,
            thread_count=self.how.thread_count,
        )
        return models.packed(about, method.save())

    @cached_property
    def record(self) -> RunRecord:
        """The record of the cell, once it has finished; a failed one keeps the reason alone."""
        environment = {**self.how.facts["environment"], **self.stream.host.gpu.about}
        fidelity_ = fidelity(self.stream.cls, self.spec.params)
        common = {**self.how.facts, "fidelity": fidelity_, "environment": environment}
        if self.failure is not None:
            self.evaluation.arrays = {}
            reason, trace = self.failure
            return RunRecord(spec=self.spec, status="failed", reason=reason, traceback=trace, **common)
        return RunRecord(
            spec=self.spec,
            status="ok",
            rounds=tuple(self.rounds),
            fit_seconds=tuple(self.fit_seconds),
            curves={name: CurveRecord.of(rows) for name, rows in self.curves.items()},
            notes=(*self.notes, *self.evaluation.collapsed()),
            **common,
        )
