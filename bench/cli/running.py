"""The options of commands that run cells, and the line that counts them at the end."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, TextIO, TypedDict

from bench import progress
from bench.cli import options
from bench.units import counted

if TYPE_CHECKING:
    from bench.results import Results
    from bench.running.hosts import Isolation
    from bench.study.study import Study


def add_how(parser: argparse.ArgumentParser) -> None:
    """The options that change no number."""
    how = parser.add_argument_group("how to run it")
    how.add_argument(
        "--jobs", type=options.whole, metavar="N", help="cells at once (default: one on each core)"
    )
    how.add_argument("--threads", type=options.whole, metavar="N", help="threads of each cell (default 1)")
    how.add_argument("--backend", metavar="NAME", help="where cells run: loky (default), dask, ray or slurm")
    how.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of the Dask or Ray scheduler; with slurm, options of sbatch: partition=gpu,time=120",
    )
    shown = how.add_mutually_exclusive_group()
    shown.add_argument("--quiet", action="store_true", help="print results only, and no progress")
    shown.add_argument(
        "--verbose",
        action="store_true",
        help="also print why each cell runs or is kept, and a line for every round",
    )
    how.add_argument("--retry", choices=["failed"], help="run failed cells again")
    how.add_argument("--force", action="store_true", help="run every cell again")
    how.add_argument(
        "--no-contract",
        action="store_true",
        help="do not run `bench check` on your own methods first; tables then say so",
    )
    how.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="a cell that takes longer fails (default: no limit)"
    )
    how.add_argument(
        "--memory", type=float, metavar="GB", help="a cell that uses more memory fails (default: no limit)"
    )
    how.add_argument(
        "--in-process",
        action="store_true",
        help="run methods in the process of bench, one after another, for a debugger; the records say so",
    )


class How(TypedDict):
    """Keyword arguments of :func:`bench.running.sweep.complete`."""

    retry: bool
    force: bool
    contract: bool
    progress: bool
    isolation: Isolation


class Run:
    """One run of a command: how to run its cells, and when it began."""

    def __init__(self, args: argparse.Namespace) -> None:
        from bench.running.hosts import Isolation

        self.started, self.quiet = time.perf_counter(), args.quiet
        for name, chosen in ((progress.QUIET, args.quiet), (progress.VERBOSE, args.verbose)):
            if chosen:
                os.environ[name] = "1"  # which workers inherit
        self.how: How = {
            "retry": args.retry == "failed",
            "force": args.force,
            "contract": not args.no_contract,
            "progress": True,
            "isolation": Isolation(args.in_process, args.timeout, args.memory),
        }

    def close(self, results: Results, study: Study, file: TextIO | None = None) -> int:
        """Print the number of cells and where they are; return the exit code."""
        took = time.perf_counter() - self.started
        statuses = Counter(record.status for record in results.records)
        counts = ", ".join(f"{statuses[s]} {s}" for s in ("ok", "skipped", "failed") if statuses[s])
        cells = counted(len(results.records), "cell")
        line = f"{cells} ({counts}) in {took:.1f} s; stored in {study.results_folder}"
        if not self.quiet:
            print(f"\n{line}", file=file)
        return 1 if statuses["failed"] else 0
