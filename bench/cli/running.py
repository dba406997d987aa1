"""What the commands that run cells share: how to run them, a line for each, and the count at the end."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any


def add_how(parser: argparse.ArgumentParser) -> None:
    """The options that change no number."""
    how = parser.add_argument_group("how to run it")
    how.add_argument("--jobs", type=int, metavar="N", help="cells at once, each on its own core (default 1)")
    how.add_argument("--threads", type=int, metavar="N", help="threads of a cell (default 1)")
    how.add_argument("--backend", metavar="NAME", help="joblib backend: loky (default), dask, ray")
    how.add_argument("--scheduler", metavar="ADDRESS", help="of the running Dask or Ray cluster")
    how.add_argument("--retry", choices=["failed"], help="run failed cells again")
    how.add_argument("--force", action="store_true", help="run every cell again")


class Run:
    """One run of a command; ``how`` holds the keyword arguments of :func:`bench.running.sweep.complete`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.started = time.perf_counter()
        self.how: dict[str, Any] = {
            "retry": args.retry == "failed",
            "force": args.force,
            "progress": self.finished,
        }

    def finished(self, cell: Any, record: Any, count: int, total: int) -> None:
        """One line for every finished cell, with the time that is left at this pace."""
        from bench import progress

        left = (time.perf_counter() - self.started) / count * (total - count)
        if record.status == "ok":
            last = record.rounds[-1]
            maps = "  ".join(f"{_arrow(d)} {last.metrics[f'map/{d}']:.3f}" for d in record.spec.directions)
            text = f"mAP {maps}  fit {sum(record.fit_seconds):.2f} s"
        else:
            text = f"{record.status}: {record.reason}"
        width = len(str(total))
        progress.erase()
        print(
            f"[{count:{width}}/{total}] {cell.spec}  {text}  ({left:.0f} s left)", file=sys.stderr, flush=True
        )

    def close(self, results: Any, study: Any, file: Any = None) -> int:
        """Say what was run; the exit code."""
        took = time.perf_counter() - self.started
        states = Counter(record.status for record in results.records)
        counts = ", ".join(f"{states[s]} {s}" for s in ("ok", "skipped", "failed") if states[s])
        line = f"{len(results.records)} cells ({counts}) in {took:.1f} s; stored in {study.results_folder}"
        print(f"\n{line}", file=file)
        return 1 if states["failed"] else 0


def _arrow(direction: str) -> str:
    return "→".join(direction.upper().split("2"))
