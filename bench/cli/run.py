"""`bench run`, `bench plan` and `bench status`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.cli import options, running

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.study.planned import PlannedCell
    from bench.study.study import Study


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    run = commands.add_parser(
        "run",
        parents=[common],
        help="run a study and print its table; finished cells are skipped",
        epilog="examples: bench run; bench run --methods lcdh,ukd --bits 16; bench run study.toml --seeds 5",
    )
    options.add_study(run)
    options.add_shard(run)
    running.add_how(run)
    run.set_defaults(execute=_run)

    plan = commands.add_parser(
        "plan",
        parents=[common],
        help="list the cells of a study, with their state and the time and memory still to spend",
        epilog="examples: bench plan; bench plan study.toml --jobs 2; bench plan paper",
    )
    options.add_study(plan)
    options.add_shard(plan)
    plan.add_argument("--jobs", type=int, metavar="N", help="cells at once (default 1)")
    plan.set_defaults(execute=_plan)

    status = commands.add_parser(
        "status",
        parents=[common],
        help="count the cells of a results folder, and say why some failed or are stale",
        epilog="examples: bench status; bench status --results results/reference",
    )
    options.add_results(status)
    options.add_plugin_files(status)
    status.set_defaults(execute=_status)


def _run(args: argparse.Namespace) -> int:
    from bench.running import sweep

    study, run = options.study_of(args), running.Run(args)
    results = sweep.run(study, **run.how)
    options.show(results.table())
    return run.close(results, study)


def _plan(args: argparse.Namespace) -> int:
    from bench.study.planner import Planner

    planner = Planner()
    if args.study is None:
        study = options.study_of(args)
        _plan_of("", study, planner.cells(study))
        return 0
    from bench.study.sections import load

    sections = load(str(args.study), **options.given(args)).sections
    for section in sections:
        study, cells, _ = section.plan(planner)
        _plan_of(f"{section.title}: " if len(sections) > 1 else "", study, cells)
    return 0


def _plan_of(title: str, study: Study, cells: Sequence[PlannedCell]) -> None:
    from bench.running import estimate, sweep

    surveyed = sweep.survey(study, cells)
    statuses = Counter(one.status for one in surveyed)
    print(f"{title}{len(cells)} cells: " + ", ".join(f"{n} {s}" for s, n in sorted(statuses.items())))
    for one in surveyed:
        reason = f" ({one.reason})" if one.reason else ""
        print(f"  {one.status:8} {one.cell.spec}, {one.cell.spec.schedule}{reason}")
    due = [one.cell for one in surveyed if one.due()]
    if due:
        cost = estimate.of(due, study)
        print(f"estimated: {cost.seconds:.0f} s with {study.jobs} job(s), {cost.megabytes:.0f} MB per job")
        print(f"           ({cost.basis})")


def _status(args: argparse.Namespace) -> int:
    from bench.storing.store import stale_reasons

    store = options.store_of(args)
    records = options.records_of(store)
    stale = stale_reasons(records)
    statuses = Counter("stale" if r.spec.key in stale else r.status for r in records)
    print(
        f"{store.folder}: {len(records)} cells: " + ", ".join(f"{n} {s}" for s, n in sorted(statuses.items()))
    )
    for record in records:
        if record.spec.key in stale:
            print(f"  stale    {record.spec}: {stale[record.spec.key]}")
        elif record.status != "ok":
            print(f"  {record.status:8} {record.spec}: {record.reason}")
            if args.debug and record.traceback:
                print(record.traceback)
    return 0
