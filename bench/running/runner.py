"""Cells: stream the chunks to a method, keep the database, score, time, and record.

Without timing, guards, several code lengths and evaluation every K rounds it is this loop::

    for round, rows in enumerate(plan.rounds):
        method.fit_chunk(chunk(rows))
        index.arrive(method, chunk(rows), rows)
        index.refresh(method)
        score(encode(method, query.image), index.packed["text"])  # I→T, and so on
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import threads
from bench.contract.method import fidelity
from bench.errors import BenchError
from bench.isolation.process import DiedError, RaisedError
from bench.plugins import fingerprint
from bench.progress import Task, detail
from bench.protocol.shown import skip_reason
from bench.records import RunRecord
from bench.running import hosts
from bench.running.evaluation import Arrays
from bench.running.hosts import APART, Isolation
from bench.running.machine import environment
from bench.running.session import How, Keep, Session
from bench.running.streaming import Stream
from bench.scoring import hamming
from bench.storing.checkpoint import Checkpoints
from bench.study.planned import PlannedCell


def run_cells(
    cells: Sequence[PlannedCell],
    *,
    thread_count: int = 1,
    jobs: int = 1,
    checkpoints: Sequence[Path] = (),
    isolation: Isolation = APART,
    keep_models: bool = False,
    early: Keep | None = None,
    moved: Callable[[float], None] | None = None,
) -> list[tuple[RunRecord, Arrays]]:
    """Run cells of one stream in one pass over it: every chunk goes to each of them.

    They differ in ``bits`` and in the parameters that the method's ``varies`` names, in nothing else.
    An exception in a method becomes a ``failed`` record with its traceback; the other cells go on. A cell
    that ends its process, or exceeds a limit of ``isolation``, fails too; unfinished ones are run again.
    ``checkpoints`` has a path for each cell, to save it there between rounds if it takes long.
    ``keep_models`` adds the bytes of each cell's model to its arrays, as ``bench.models.ENTRY``.
    ``early`` gets a cell as soon as it has succeeded, while others of the pass still train; one that resumed
    is only returned, since its checkpoint may have misled it. ``moved`` gets the share of ended rounds.
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
    how = How(thread_count, isolation, common, keep_models, early)
    paths = dict(zip((cell.spec.key for cell in cells), checkpoints, strict=False))
    outcomes: dict[str, tuple[RunRecord, Arrays]] = {}
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    rounds = Task(f"{first.spec}{more}", len(first.plan.rounds), each="round", moved=moved)
    with threads.limit(thread_count), rounds as task:
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


def _pass(
    cells: Sequence[PlannedCell], how: How, task: Task, paths: Mapping[str, Path]
) -> tuple[list[Session], bool, Checkpoints]:
    """One pass over the stream, which may end early: unfinished sessions have to be run again.

    They are run together, unless what the cells took together may have ended this one.
    """
    first = cells[0]
    machine = {k: v for k, v in how.facts["environment"].items() if k != "jobs"}
    kept = [paths[cell.spec.key] for cell in cells if cell.spec.key in paths]
    saved = Checkpoints(kept, {**how.facts, "environment": machine})
    sessions: list[Session] = []
    with hosts.host(first.method, how.isolation, how.thread_count) as host:
        stream_ = Stream(first, host)
        sessions += [Session(cell, n, stream_, how, task, saved) for n, cell in enumerate(cells)]
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


@cache
def _warm_up() -> None:
    """Compile or load the search kernel once per process, outside every cell's search time."""
    one = hamming.pack_codes(np.ones((1, 8), dtype=np.int8))
    label = hamming.pack_labels(np.ones((1, 1), dtype=np.uint8))
    hamming.histograms(one, one, label, label, bits=8, graded=True, threads=1)
