"""`bench run`, `bench plan` and `bench status`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from bench.cli import options, output, running
from bench.units import roughly

if TYPE_CHECKING:
    from bench.cli.cells import Cell
    from bench.cli.commands import Commands
    from bench.running.sweep import Surveyed
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
    run.add_argument(
        "--keep-models",
        action="store_true",
        help="keep every trained model for `bench encode`; finished cells without one run again",
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="run nothing; show what would run and its cost, as bench plan",
    )
    run.set_defaults(execute=_run, cells=False, probe=None, json=False)

    plan = commands.add_parser(
        "plan",
        parents=[common],
        help="count the cells of a study by method and dataset, with the time and memory still to spend",
        epilog="examples: bench plan; bench plan study.toml --jobs 1; bench plan paper",
    )
    options.add_study(plan)
    options.add_shard(plan)
    output.add_json(plan)
    plan.add_argument("--cells", action="store_true", help="list every cell")
    plan.add_argument(
        "--jobs", type=options.whole, metavar="N", help="cells at once (default: one on each core)"
    )
    plan.add_argument(
        "--probe",
        type=float,
        metavar="SECONDS",
        help="time to measure methods that have not run yet, by their first chunk (default 3)",
    )
    plan.set_defaults(execute=_plan)

    status = commands.add_parser(
        "status",
        parents=[common],
        help="count the cells of a results folder by method and dataset, and say why some are not ok",
        epilog="examples: bench status; bench status --results results/reference",
    )
    options.add_results(status)
    options.add_plugin_files(status)
    output.add_json(status)
    status.add_argument("--cells", action="store_true", help="list every cell")
    status.set_defaults(execute=_status)


def _run(args: argparse.Namespace) -> int:
    from bench.running import sweep

    if args.dry_run:
        return _plan(args)
    study, run = options.study_of(args), running.Run(args)
    results = sweep.run(study, keep_models=args.keep_models, **run.how)
    output.show(results.table())
    return run.close(results, study)


def _plan(args: argparse.Namespace) -> int:
    from bench.cli.cells import overview
    from bench.running import estimate, sweep

    parts = [(title, study, sweep.survey(study, cells)) for title, study, cells in _parts(args)]
    due = [(study, [one.cell for one in surveyed if one.due()]) for _, study, surveyed in parts]
    budget = {} if args.probe is None else {"budget": args.probe}
    costs = estimate.costs(due, **budget)
    if args.json:
        output.print_json(
            [
                {
                    "title": title.removesuffix(": "),
                    "jobs": study.jobs,
                    **asdict(cost),
                    "cells": _plain(surveyed),
                }
                for (title, study, surveyed), cost in zip(parts, costs, strict=True)
            ]
        )
        return 0
    for (title, study, surveyed), cost in zip(parts, costs, strict=True):
        print(overview(title, _counted(surveyed)))
        for line in _cells_of(surveyed) if args.cells else ():
            print(f"  {line}")
        if any(one.due() for one in surveyed):
            took = f"{'' if cost.complete else 'at least '}{roughly(cost.seconds)}"
            print(f"estimated: {took} with {study.jobs} job(s), {cost.megabytes:.0f} MB per job")
            print(f"           ({cost.basis})")
    return 0


def _plain(surveyed: Sequence[Surveyed]) -> list[dict[str, object]]:
    """The cells of a plan for scripts."""
    return [output.cell(one.cell.spec, one.status, one.reason) for one in surveyed]


def _parts(args: argparse.Namespace) -> list[tuple[str, Study, list[PlannedCell]]]:
    """The title, study and cells of every section."""
    from bench.study.planner import Planner

    planner = Planner()
    if args.study is None:
        study = options.study_of(args)
        return [("", study, planner.cells(study))]
    from bench.study.sections import load

    sections = load(str(args.study), **options.given(args)).sections
    planned = [(section.title, *section.plan(planner)[:2]) for section in sections]
    return [(f"{t}: " if len(planned) > 1 else "", study, cells) for t, study, cells in planned]


def _cells_of(surveyed: Sequence[Surveyed]) -> Iterator[str]:
    from bench.reporting.names import distinct_specs

    for one, spec in zip(surveyed, distinct_specs([one.cell.spec for one in surveyed]), strict=True):
        reason = f" ({one.reason})" if one.reason else ""
        yield f"{one.status:8} {spec}, {spec.schedule}{reason}"


def _counted(surveyed: Sequence[Surveyed]) -> list[Cell]:
    from bench.cli.cells import Cell
    from bench.reporting.names import distinct_specs

    specs = distinct_specs([one.cell.spec for one in surveyed])
    return [
        Cell(s.method_shown or s.method, s.label, s.dataset_label, one.status, one.reason)
        for one, s in zip(surveyed, specs, strict=True)
    ]


def _status(args: argparse.Namespace) -> int:
    from bench.cli.cells import Cell, overview
    from bench.reporting.names import distinct
    from bench.storing.store import stale_reasons

    store = options.store_of(args)
    records = distinct(options.records_of(store))
    stale = stale_reasons(records)
    if args.json:
        states = {r.spec.key: ("stale", stale[r.spec.key]) for r in records if r.spec.key in stale}
        output.print_json(
            [output.cell(r.spec, *states.get(r.spec.key, (r.status, r.reason))) for r in records]
        )
        return 0
    cells = [
        Cell(
            s.method_shown or s.method,
            s.label,
            s.dataset_label,
            "stale" if s.key in stale else r.status,
            stale.get(s.key, r.reason),
        )
        for r in records
        for s in [r.spec]
    ]
    print(overview(f"{store.folder}: ", cells))
    for record, cell in zip(records, cells, strict=True):
        if args.cells:
            print(f"  {cell.state:8} {record.spec}" + (f": {cell.reason}" if cell.reason else ""))
        if args.debug and record.traceback and cell.state != "stale":
            print(record.traceback)
    return 0
