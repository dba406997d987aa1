"""How far the workers of a run are, in one line at its terminal; they themselves show nothing there."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from bench.progress import Task, at_terminal, show_with
from bench.storing.traces import Sweep, Trace
from bench.units import roughly

_PAUSE = 0.5  # seconds between two looks at the traces of workers


@contextmanager
def watched(task: Task, sweep: Sweep, keys: Collection[str], jobs: int) -> Iterator[None]:
    """Show the line while the block runs, where ``jobs`` workers compute the cells with these keys."""
    if jobs < 2 or not at_terminal():
        yield
        return
    ended = threading.Event()

    def show() -> None:
        while not ended.wait(_PAUSE):
            passes = sweep.under_way(keys)
            task.partly = partly(passes)
            if passes:
                show_with(line(task, passes))

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def partly(passes: Sequence[Trace]) -> float:
    """How much of these passes is done, in cells."""
    return sum(len(one.cells) * one.share for one in passes)


def line(task: Task, passes: Sequence[Trace]) -> str:
    """``6 of 24 cells done, 12 under way (lemon, lcdh: 38%), 4 min left``."""
    count = sum(len(one.cells) for one in passes)
    methods = sorted({text.split(" on ")[0] for one in passes for text in one.cells.values()})
    left = f", {roughly(task.left)} left" if task.left else ""
    under_way = f"{count} under way ({', '.join(methods)}: {partly(passes) / count:.0%})"
    return f"{task.done} of {task.total} cells done, {under_way}{left}"
