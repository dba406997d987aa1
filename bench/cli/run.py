"""`bench run`, `bench plan` and `bench status`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

from bench.cli import options


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    run = commands.add_parser(
        "run",
        parents=[common],
        help="run a study and print its table; what is done is not run again",
        epilog="examples: bench run; bench run --methods lcdh,ukd --bits 16; bench run study.toml --seeds 5",
    )
    options.add_study(run)
    how = run.add_argument_group("how to run it")
    how.add_argument("--jobs", type=int, metavar="N", help="cells at once, each on its own core (default 1)")
    how.add_argument("--threads", type=int, metavar="N", help="threads of a cell (default 1)")
    how.add_argument("--backend", metavar="NAME", help="joblib backend: loky (default), dask, ray")
    how.add_argument("--scheduler", metavar="ADDRESS", help="of the running Dask or Ray cluster")
    how.add_argument("--retry", choices=["failed"], help="run failed cells again")
    how.add_argument("--force", action="store_true", help="run every cell again")
    run.set_defaults(execute=_run)

    plan = commands.add_parser(
        "plan", parents=[common], help="the cells of a study, what is done, estimated time and memory"
    )
    options.add_study(plan)
    plan.add_argument("--jobs", type=int, metavar="N", help="cells at once")
    plan.set_defaults(execute=_plan)

    status = commands.add_parser("status", parents=[common], help="what a results folder holds")
    options.add_results(status)
    status.set_defaults(execute=_status)


def _run(args: argparse.Namespace) -> int:
    from bench import sweep

    study = options.study_of(args)
    started = time.perf_counter()
    results = sweep.run(study, retry=args.retry == "failed", force=args.force, progress=_Progress())
    options.show(results.table())
    took = time.perf_counter() - started
    states = Counter(record.status for record in results.records)
    counts = ", ".join(f"{states[s]} {s}" for s in ("ok", "skipped", "failed") if states[s])
    print(f"\n{len(results.records)} cells ({counts}) in {took:.1f} s; stored in {study.results_folder}")
    return 1 if states["failed"] else 0


class _Progress:
    """One line for every finished cell, with the time that is left at this pace."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def __call__(self, cell: Any, record: Any, count: int, total: int) -> None:
        from bench import terminal

        left = (time.perf_counter() - self.started) / count * (total - count)
        if record.status == "ok":
            last = record.rounds[-1]
            maps = "  ".join(f"{_arrow(d)} {last.metrics[f'map/{d}']:.3f}" for d in record.spec.directions)
            text = f"mAP {maps}  fit {sum(record.fit_seconds):.2f} s"
        else:
            text = f"{record.status}: {record.reason}"
        width = len(str(total))
        terminal.erase()
        print(
            f"[{count:{width}}/{total}] {cell.spec}  {text}  ({left:.0f} s left)", file=sys.stderr, flush=True
        )


def _arrow(direction: str) -> str:
    return "→".join(direction.upper().split("2"))


def _plan(args: argparse.Namespace) -> int:
    from bench import estimate, sweep

    study = options.study_of(args)
    cells = sweep.survey(study)
    states = Counter(cell.state for cell in cells)
    print(f"{len(cells)} cells: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    for cell in cells:
        reason = f" ({cell.reason})" if cell.reason else ""
        print(f"  {cell.state:8} {cell.spec}, {cell.spec.schedule}{reason}")
    due = [cell for cell in cells if cell.due()]
    if due:
        cost = estimate.of(due, study)
        print(f"estimated: {cost.seconds:.0f} s with {study.jobs} job(s), {cost.megabytes:.0f} MB per job")
        print(f"           ({cost.basis})")
    return 0


def _status(args: argparse.Namespace) -> int:
    from bench.store import stale_reasons

    store = options.store_of(args)
    records = store.records()
    stale = stale_reasons(records)
    states = Counter("stale" if r.spec.key in stale else r.status for r in records)
    print(
        f"{store.folder}: {len(records)} cells: " + ", ".join(f"{n} {s}" for s, n in sorted(states.items()))
    )
    for record in records:
        if record.spec.key in stale:
            print(f"  stale    {record.spec}: {stale[record.spec.key]}")
        elif record.status != "ok":
            print(f"  {record.status:8} {record.spec}: {record.reason}")
            if args.debug and record.traceback:
                print(record.traceback)
    return 0
