"""Cells: stream the chunks to a method, keep the database, score, time, and record.

Without timing, guards, several code lengths and evaluation every K rounds it is this loop::

    for round, rows in enumerate(plan.rounds):
        method.fit_chunk(chunk(rows))
        index.arrive(method, chunk(rows), rows)
        index.refresh(method)
        score(encode(method, query.image), index.packed["text"])  # I→T, and so on
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics, models, threads
from bench.contract.dataset import RANDOM_QUERIES
from bench.contract.items import MODALITIES, Chunk, Modality, Rows, Split
from bench.contract.method import fidelity
from bench.contract.state import Tree
from bench.data.cache import kept_folder
from bench.disk.form import mismatch
from bench.errors import BenchError, account
from bench.isolation.process import DiedError, RaisedError
from bench.metrics._counted import means
from bench.plugins import fingerprint
from bench.progress import Task, detail
from bench.protocol import classes, rehash, stream
from bench.protocol.clock import Clock
from bench.protocol.index import Index
from bench.protocol.seeds import derive, derive_seed
from bench.protocol.shown import chunk, encode, encode_query, pack, seen_labels, shown, skip_reason, stand_ins
from bench.records import CONSTANT, OFFLINE, CurveRecord, Direction, PartRecord, RoundRecord, RunRecord
from bench.running import hosts
from bench.running.hosts import APART, Apart, Hosting, InProcess, Isolation
from bench.scoring import asymmetric, cosine, hamming, stored
from bench.storing import checkpoint
from bench.storing.checkpoint import Checkpoints
from bench.study.planned import PlannedCell
from bench.units import duration

Arrays = dict[str, npt.NDArray[Any]]
Keep = Callable[[RunRecord, Arrays], None]

# Scored for every evaluated round and direction; any other metric follows from the stored
# histograms by `bench rescore`. Cutoffs larger than the database are left out of the record.
STANDARD = (
    "map",
    "map:pessimistic",
    "map:optimistic",
    "chance",
    "map@50",
    "precision@100",
    "precision@r2",
    "ndcg@100",
)
_FEW = 4  # distinct codes: with fewer, items are hardly ranked
SIDES: dict[str, Modality] = {"i": "image", "t": "text"}


def run_cells(
    cells: Sequence[PlannedCell],
    *,
    thread_count: int = 1,
    jobs: int = 1,
    checkpoints: Sequence[Path] = (),
    isolation: Isolation = APART,
    keep_models: bool = False,
    early: Keep | None = None,
) -> list[tuple[RunRecord, Arrays]]:
    """Run cells of one stream in one pass over it: every chunk goes to each of them.

    They differ in ``bits`` and in the parameters that the method's ``varies`` names, in nothing else.
    An exception in a method becomes a ``failed`` record with its traceback; the other cells go on. A cell
    that ends its process, or exceeds a limit of ``isolation``, fails too; unfinished ones are run again.
    ``checkpoints`` has a path for each cell, to save it there between rounds if it takes long.
    ``keep_models`` adds the bytes of each cell's model to its arrays, as ``bench.models.ENTRY``.
    ``early`` gets a cell as soon as it has succeeded, while others of the pass still train; one that resumed
    is only returned, since its checkpoint may have misled it.
    """
    first = cells[0]
    common: dict[str, Any] = {
        "code": fingerprint.of_method(first.spec.method),
        "data": first.data.cached.fingerprint,
        "reference": first.method.capabilities.reference,
        "distance": first.method.capabilities.distance,
        "environment": environment(thread_count, jobs, isolation),
    }
    reason = skip_reason(first.method, first.dataset.train, first.spec, no_pictures=first.no_pictures)
    if reason:
        skipped = partial(RunRecord, status="skipped", reason=reason, **common)
        return [(skipped(spec=c.spec, fidelity=fidelity(c.method, c.spec.params)), {}) for c in cells]
    if isolation.apart and fingerprint.edited(first.spec.method):
        raise BenchError(
            f"method {first.spec.method!r}: its files have changed since this run began, so its cells "
            "would mix two versions. Run it again; finished cells of the old version are then stale."
        )
    how = _How(thread_count, isolation, common, keep_models, early)
    paths = dict(zip((cell.spec.key for cell in cells), checkpoints, strict=False))
    outcomes: dict[str, tuple[RunRecord, Arrays]] = {}
    with threads.limit(thread_count), Task("", len(first.plan.rounds), each="round") as task:
        _warm_up()
        waiting = [list(cells)]
        while waiting:
            group = waiting.pop()
            sessions, together, saved = _pass(group, how, task, paths)
            done = [(s.record, s.arrays) if s.finished else None for s in sessions]
            misled = [group[at] for at in saved.misled(done)]
            outcomes |= {one[0].spec.key: one for one in done if one}
            again = [session.cell for session in sessions if not session.finished]
            waiting += [again] if again and together else [[cell] for cell in reversed(again)]
            waiting += [[cell] for cell in misled]
    return [outcomes[cell.spec.key] for cell in cells]


@dataclass(frozen=True, slots=True)
class _How:
    """What the passes over one stream have in common."""

    thread_count: int
    isolation: Isolation
    facts: Mapping[str, Any]
    keep_models: bool
    early: Keep | None


def _pass(
    cells: Sequence[PlannedCell], how: _How, task: Task, paths: Mapping[str, Path]
) -> tuple[list[_Session], bool, Checkpoints]:
    """One pass over the stream, which may end early: unfinished sessions have to be run again.

    They are run together, unless what the cells took together may have ended this one.
    """
    first = cells[0]
    machine = {k: v for k, v in how.facts["environment"].items() if k != "jobs"}
    kept = [paths[cell.spec.key] for cell in cells if cell.spec.key in paths]
    saved = Checkpoints(kept, {**how.facts, "environment": machine})
    sessions: list[_Session] = []
    with hosts.host(first.method, how.isolation, how.thread_count) as host:
        stream_ = _Stream(first, host)
        sessions += [_Session(cell, n, stream_, how, task, saved) for n, cell in enumerate(cells)]
        try:
            host.start()
            for session in sessions:
                session.begin()
            saved.resume(sessions)
            for session in sessions:
                if session.next_round:
                    detail(f"{session.spec}: resumes after round {session.next_round}")
            stream_.send_to(sessions, saved)
        except RaisedError as error:
            for session in sessions:
                session.fail(error.reason, error.trace)
        except DiedError as error:
            culprit = next((s for s in sessions if s.acting), None)
            if len(cells) > 1 and (culprit is None or error.shared):
                return sessions, False, saved
            for session in [culprit] if culprit else sessions:
                session.fail(error.reason)
    return sessions, True, saved


class _Stream:
    """The data and their order, shared by the cells of one pass."""

    def __init__(self, cell: PlannedCell, host: Apart | InProcess) -> None:
        spec, dataset, self.host = cell.spec, cell.dataset, host
        self.cls, self.train, self.plan = cell.method, dataset.train, cell.plan
        self.notes = [note for note in dataset.notes if note.startswith(RANDOM_QUERIES)]
        self.kept = kept_folder(spec.method)
        self.val = np.sort(self.plan.val)
        query = self.train.take(self.val) if spec.val else dataset.query
        self.query = classes.queries(spec, query)
        labels, asked = self.train.labels, self.query.labels
        assert labels is not None and asked is not None, "skip_reason() refuses a dataset without labels"
        if spec.val and spec.unseen_classes:
            self.val = self.val[classes.held_items(spec, labels[self.val])]
        self.notes += stream.notes(spec, self.plan, labels)
        self.query_labels = hamming.pack_labels(asked)
        self.introduced = stream.introduced(spec, self.plan, labels, asked)
        self.evaluated = stream.evaluated(spec, self.plan)

    def send_to(self, sessions: Sequence[_Session], saved: Checkpoints) -> None:
        """Give the pool, then every round's chunk, to each session that has neither had it nor failed."""
        offline = self.cls.capabilities.offline
        fresh = [session for session in sessions if not session.started]
        if fresh and self.plan.pool is not None and self.cls.capabilities.pool and not offline:
            needs, withheld = self.cls.capabilities, self.plan.withheld
            pool = shown(self.train, self.plan.pool, needs, withheld, self.kept, self.host.empty)
            self.host.show(pool)
            for session in fresh:
                session.attempt(0, lambda s: s.fit_pool(pool))
            saved.offer(sessions)
        for round_ in range(len(self.plan.rounds)):
            due = [session for session in sessions if session.next_round <= round_]
            taught = self.plan.taught(round_, supervised=self.cls.capabilities.supervised)
            if not due or taught < 0 or (offline and round_ not in self.evaluated):
                continue
            learned, new = self.arriving(round_, taught)
            arrived = self.chunk(learned, 0 if offline else taught) if len(learned) else None
            parts, left = self.plan.parts(new), self.leaving(round_, taught)
            if arrived is not None:
                self.host.show(arrived)
            for session in due:
                session.attempt(round_, lambda s: s.take(arrived, parts, left))  # noqa: B023  # called at once
                session.hand_over()
            if round_ < max(self.evaluated):
                saved.offer(sessions)

    def arriving(self, round_: int, taught: int) -> tuple[Rows, Rows]:
        """The rows that a method is trained on in a round, and those that enter the database."""
        if self.cls.capabilities.offline:
            return self.plan.shown(self.plan.left(self.plan.seen(taught), round_)), self.plan.present(round_)
        supervised = self.cls.capabilities.supervised
        lesson = self.plan.lesson(round_, supervised=supervised)
        return lesson, self.plan.entering(round_, supervised=supervised)

    def leaving(self, round_: int, taught: int) -> Sequence[_Leaving]:
        """Rows that leave the database before a round's items arrive, and after; empty where none do.

        A method that forgets is shown those items that it has been trained on, in rounds up to ``taught``.
        """
        if not self.plan.leaving:
            return ()
        can = self.cls.capabilities
        if can.offline:  # which skips rounds; a fresh instance has nothing to forget
            return (_Leaving(self.plan.gone(round_)), _Leaving(self.plan.rounds[0][:0]))
        leaving: list[_Leaving] = []
        for rows, last in zip(self.plan.leaving[round_], (taught - 1, taught), strict=True):
            known, items = rows[:0], None
            if can.forgets and len(rows):
                known = self.plan.shown(rows[np.isin(rows, self.plan.seen(last))])
            if len(known):
                items = shown(self.train, known, can, self.plan.withheld, self.kept, self.host.empty)
                self.host.show_leaving(len(leaving), items)
            leaving.append(_Leaving(rows, items))
        return leaving

    def chunk(self, rows: Rows, round_: int) -> Chunk:
        needs, withheld = self.cls.capabilities, self.plan.withheld
        return chunk(self.train, rows, needs, round_, withheld, self.kept, self.host.empty)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """Rows that leave the database, and those items among them that the method is to forget, if it can."""

    rows: Rows
    items: Split | None = None


class _Session:
    """The state of one cell while its rounds go by."""

    def __init__(
        self,
        cell: PlannedCell,
        number: int,
        stream_: _Stream,
        how: _How,
        task: Task,
        saved: Checkpoints,
    ) -> None:
        self.cell, self.spec, self.number = cell, cell.spec, number
        self.stream, self.how, self.task, self.saved = stream_, how, task, saved
        self.clock = Clock(stream_.host.cpu, lambda: stream_.host.gpu.seconds)
        self.indexes = {part: self.new_index(part) for part in stream_.plan.parts(np.empty(0, np.intp))}
        self.rounds: list[RoundRecord] = []
        self.fit_seconds: list[float] = []
        self.arrays: Arrays = {}
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
    def line(self) -> str:
        """The last round: the time that the method took for it, and the scores where it was evaluated."""
        text = f"{self.spec}: round {self.round + 1} of {len(self.stream.plan.rounds)}"
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

    def attempt(self, round_: int, act: Callable[[_Session], None]) -> None:
        """Do something that runs the method's code, unless the cell has failed already."""
        if self.failure is not None:
            return
        self.round, self.acting, started = round_, True, time.monotonic()
        self.task.turn_to(str(self.spec), round_)
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

    def take(self, arrived: Chunk | None, parts: Mapping[str, Rows], leaving: Sequence[_Leaving]) -> None:
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

    def let_go(self, leaving: Sequence[_Leaving], *, before: bool) -> None:
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
        self.rounds, self.arrays = rounds, dict(saved["arrays"])
        self.fit_seconds = [float(seconds) for seconds in saved["fit_seconds"]]
        self.started, self.next_round = saved["started"], saved["next_round"]

    def evaluate(self, method: Hosting) -> None:
        for index in self.indexes.values():
            index.refresh(method)
        queries = {}
        for modality in MODALITIES:
            queries[modality] = self.asked(method, modality)
        parts, deleted = self.score(queries), self.deleted(method, queries)
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
            self.keep_codes(queries)
            if self.how.keep_models and self.stream.cls.capabilities.reference not in models.UNKEPT:
                self.arrays[models.ENTRY] = self.model(method)
            self.notes += tuple(method.notes())
            self.complete = True

    def asked(self, method: Hosting, modality: Modality) -> npt.NDArray[Any]:
        """The queries as :meth:`scan` compares them: packed codes or vectors, or numbers."""
        own = self.distance != "hamming"
        with self.clock.measure("encode_query"):
            given = (encode_query if own else encode)(method, self.stream.query, modality)
        return given if own else pack(method, given)

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

    def score(self, queries: Mapping[Modality, Any]) -> dict[str, PartRecord]:
        """The scores over every part of the database, and over ``all`` of it."""
        sizes = {part: len(index.rows) for part, index in self.indexes.items()}
        sizes["all"] = sum(sizes.values()) if "all" not in sizes else sizes["all"]
        metric: dict[str, dict[str, float]] = {part: {} for part in sizes}
        empty: dict[str, dict[str, int]] = {part: {} for part in sizes}
        for direction in self.spec.directions:
            for part, hist in self.search(direction, queries).items():
                asked = [m for m in STANDARD if self.applies(metrics.parse_metric(m), sizes[part])]
                scores = means(asked, hist)
                metric[part] |= {f"{name}/{direction}": value for name, value in scores.items()}
                empty[part][direction] = metrics.empty_queries(hist)
        return {
            part: PartRecord(items=size, empty_queries=empty[part], metrics=metric[part])
            for part, size in sizes.items()
        }

    def deleted(self, method: Hosting, queries: Mapping[Modality, Any]) -> dict[str, PartRecord]:
        """The scores over deleted items as a database of their own: what a method still remembers of them."""
        scores, planned = {}, self.stream.plan
        for part, rows in planned.parts(planned.gone(self.round)).items():
            if part != "unseen" and planned.delay and self.stream.cls.capabilities.supervised:
                lessons = [planned.lesson(round_, supervised=True) for round_ in range(self.round + 1)]
                rows = rows[np.isin(rows, np.concatenate(lessons))]  # labels came too late for others
            if not len(rows):
                continue
            index = Index("reindexed", self.stream.train, Clock())  # no cost of the method
            index.rows = rows
            index.refresh(method)
            hists = {direction: self.scan(direction, queries, index) for direction in self.spec.directions}
            kind = "unseen" if part == "unseen" else "trained"
            for direction, hist in hists.items():
                self.keep_counts(direction, stored.DELETED + kind, hist)
            scores[kind] = PartRecord(
                items=len(rows),
                empty_queries={direction: metrics.empty_queries(hist) for direction, hist in hists.items()},
                metrics={
                    f"{name}/{direction}": value
                    for direction, hist in hists.items()
                    for name, value in means(["map", "chance"], hist).items()
                },
            )
        return scores

    @property
    def real_valued(self) -> bool:
        return self.stream.cls.capabilities.reference == "real-valued"

    @property
    def distance(self) -> str:
        return self.stream.cls.capabilities.distance

    @property
    def compares_codes(self) -> bool:
        """Whether queries have codes as items do, so that distances are numbers of bits."""
        return not self.real_valued and self.distance == "hamming"

    def applies(self, metric: metrics.Metric, items: int) -> bool:
        """Not for a cutoff beyond the database, nor for a radius where distances are no bits."""
        if metric.takes == "radius":
            return self.compares_codes
        return (metric.cutoff or 0) <= items

    def search(self, direction: Direction, queries: Mapping[Modality, Any]) -> dict[str, hamming.Histograms]:
        """Scan every part of the database for every query, and keep the histograms.

        Every metric follows from them, and those over ``all`` items are their sum.
        """
        histograms: dict[str, hamming.Histograms] = {}
        for part, index in sorted(self.indexes.items(), key=lambda one: not len(one[1].rows)):
            with self.clock.measure("search"):
                if len(index.rows):
                    histograms[part] = self.scan(direction, queries, index)
                else:  # a small first round may leave no item out of training, and deletions none in it
                    histograms[part] = next(iter(histograms.values())).emptied()
            self.keep_counts(direction, part, histograms[part])
        if "all" not in histograms:
            histograms["all"] = histograms["trained"] + histograms["unseen"]
        return histograms

    def keep_counts(self, direction: Direction, part: str, hist: hamming.Histograms) -> None:
        head = stored.prefix(direction, self.round, part)
        for name in stored.TYPES:
            self.arrays[f"{head}/{name}"] = _narrow(getattr(hist, name))

    def scan(self, direction: Direction, queries: Mapping[Modality, Any], index: Index) -> hamming.Histograms:
        """The histograms of one search of one part of the database."""
        query, database = queries[SIDES[direction[0]]], index.packed[SIDES[direction[2]]]
        labels = self.stream.query_labels, self.labels_of(index)
        if self.real_valued:
            return cosine.histograms(query, database, *labels)
        bits, threads = self.spec.bits, self.how.thread_count
        if self.distance != "hamming":
            scaled = self.distance == "scaled dot"
            return asymmetric.histograms(query, database, *labels, bits=bits, scaled=scaled, threads=threads)
        return hamming.histograms(query, database, *labels, bits=bits, graded=True, threads=threads)

    def labels_of(self, index: Index) -> npt.NDArray[Any]:
        """The packed labels of the items of an index."""
        assert self.stream.train.labels is not None, "skip_reason() refuses a dataset without labels"
        return hamming.pack_labels(self.stream.train.labels[index.rows])

    def keep_codes(self, queries: Mapping[Modality, Any]) -> None:
        """The last round's codes and rows, in order of arrival: what order-dependent metrics need.

        Numbers of queries and real-valued vectors are no codes: they are large, and nothing reads them.
        """
        rows = self.stream.plan.present(self.round)
        for modality in MODALITIES if self.compares_codes else ():
            self.arrays[f"codes/query/{modality}"] = queries[modality]
            self.arrays[f"codes/database/{modality}"] = self.arrived(modality, rows)
        self.arrays["rows/database"] = _narrow(rows)
        if self.stream.plan.trained is not None:
            self.arrays["rows/trained"] = self.stream.plan.trained[rows]
        self.arrays["rows/query"] = _narrow(self.stream.val)  # empty: the test queries
        if self.stream.introduced is not None:
            self.arrays["queries/introduced"] = _narrow(self.stream.introduced)

    def arrived(self, modality: Modality, rows: Rows) -> npt.NDArray[Any]:
        """The packed codes of all parts of the database in the order of ``rows``."""
        filled = [index for index in self.indexes.values() if len(index.rows)]
        packed = np.concatenate([index.packed[modality] for index in filled], axis=1)
        held = np.concatenate([index.rows for index in filled])
        if np.array_equal(held, rows):
            return packed
        place = np.empty(held.max() + 1, dtype=np.intp)
        place[held] = np.arange(len(held))
        return packed[:, place[rows]]

    @cached_property
    def record(self) -> RunRecord:
        """The record of the cell, once it has finished; a failed one keeps the reason alone."""
        environment = {**self.how.facts["environment"], **self.stream.host.gpu.about}
        fidelity_ = fidelity(self.stream.cls, self.spec.params)
        common = {**self.how.facts, "fidelity": fidelity_, "environment": environment}
        if self.failure is not None:
            self.arrays = {}
            reason, trace = self.failure
            return RunRecord(spec=self.spec, status="failed", reason=reason, traceback=trace, **common)
        return RunRecord(
            spec=self.spec,
            status="ok",
            rounds=tuple(self.rounds),
            fit_seconds=tuple(self.fit_seconds),
            curves={name: CurveRecord.of(rows) for name, rows in self.curves.items()},
            notes=(*self.notes, *self.collapsed()),
            **common,
        )

    def collapsed(self) -> Iterator[str]:
        """A note for queries or a database with hardly any distinct codes, fewer than their labels have."""
        train, query = self.stream.train.labels, self.stream.query_labels
        assert train is not None, "skip_reason() refuses a dataset without labels"
        labels = {"query": query, "database": hamming.pack_labels(train)}
        for name, codes in self.arrays.items():
            if name.startswith("codes/"):
                _, where, modality = name.split("/")
                count = _distinct(codes)
                if count < min(_FEW, 2**self.spec.bits, _distinct(labels[where])):
                    items = f"{codes.shape[1]} {where} items"
                    if count == 1:
                        yield f"{CONSTANT} {modality} codes: all {items} have the same one"
                    else:
                        yield f"only {count} distinct {modality} codes for {items}"


def _distinct(codes: npt.NDArray[np.uint64]) -> int:
    """The number of different columns of packed codes, counted up to ``_FEW``."""
    for count in range(_FEW):
        if not codes.shape[1]:
            return count
        codes = codes[:, (codes != codes[:, :1]).any(axis=0)]
    return _FEW


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same integers in the smallest unsigned type that holds them."""
    top = int(array.max()) if array.size else 0
    return array.astype(np.min_scalar_type(top))


@cache
def _warm_up() -> None:
    """Compile or load the search kernel once per process, outside every cell's search time."""
    one = hamming.pack_codes(np.ones((1, 8), dtype=np.int8))
    label = hamming.pack_labels(np.ones((1, 1), dtype=np.uint8))
    hamming.histograms(one, one, label, label, bits=8, graded=True, threads=1)


@cache
def _installed() -> dict[str, str]:
    versions = {}
    for name in ("hashbench", "numpy", "scipy", "numba", "torch", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@cache
def _cpu() -> str:
    """The processor's model, if the system knows it."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def environment(thread_count: int, jobs: int, isolation: Isolation = APART) -> dict[str, Any]:
    """Facts about the machine that a reader needs: no names, no paths, no dates."""
    return ({} if isolation.apart else {"in_process": True}) | {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": thread_count,
        "jobs": jobs,
        **_installed(),
    }
