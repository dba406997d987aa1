"""The stream of one pass: what goes to the cells in every round, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.contract.dataset import RANDOM_QUERIES
from bench.contract.items import Chunk, Rows, Split
from bench.data.cache import kept_folder
from bench.protocol import classes, stream
from bench.protocol.shown import chunk, shown
from bench.running.hosts import Apart, InProcess
from bench.scoring import hamming
from bench.storing.checkpoint import Checkpoints
from bench.study.planned import PlannedCell

if TYPE_CHECKING:
    from bench.running.session import Session


class Stream:
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

    def send_to(self, sessions: Sequence[Session], saved: Checkpoints) -> None:
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

    def leaving(self, round_: int, taught: int) -> Sequence[Leaving]:
        """The items that leave the database before and after those of a round arrive; empty where none do.

        A method that forgets is shown those items that it has been trained on, in rounds up to ``taught``.
        """
        if not self.plan.leaving:
            return ()
        can = self.cls.capabilities
        if can.offline:  # which skips rounds; a fresh instance has nothing to forget
            return (Leaving(self.plan.gone(round_)), Leaving(self.plan.rounds[0][:0]))
        leaving: list[Leaving] = []
        for rows, last in zip(self.plan.leaving[round_], (taught - 1, taught), strict=True):
            known, items = rows[:0], None
            if can.forgets and len(rows):
                known = self.plan.shown(rows[np.isin(rows, self.plan.seen(last))])
            if len(known):
                items = shown(self.train, known, can, self.plan.withheld, self.kept, self.host.empty)
                self.host.show_leaving(len(leaving), items)
            leaving.append(Leaving(rows, items))
        return leaving

    def chunk(self, rows: Rows, round_: int) -> Chunk:
        needs, withheld = self.cls.capabilities, self.plan.withheld
        return chunk(self.train, rows, needs, round_, withheld, self.kept, self.host.empty)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Rows that leave the database, and those items among them that the method is to forget, if it can."""

    rows: Rows
    items: Split | None = None
