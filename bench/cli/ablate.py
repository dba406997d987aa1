"""`bench ablate` and `bench sweep`: variants of a method, and grids over its parameters and its protocol."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench.cli import options, output, running
from bench.records import AXES

if TYPE_CHECKING:
    from bench.cli.commands import Commands


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    ablate = commands.add_parser(
        "ablate",
        parents=[common],
        help="run a method and its variants, and print what each part of it contributes",
        description="Runs the full method and the variants that it declares (`bench info METHOD` lists "
        "them), and prints their differences from the full method, paired by query and seed.",
        epilog="examples: bench ablate lcdh --bits 32 --seeds 5; "
        "bench ablate lcdh --variants no-attention,no-teacher --datasets synthetic,wiki; "
        "bench ablate 'lcdh[teacher_epochs=5]' --format latex --out ablation.tex",
    )
    options.add_study(ablate, of_method=True)
    ablate.add_argument(
        "--variants", metavar="X", help="variants to run, by name (default: all; see `bench info METHOD`)"
    )
    running.add_how(ablate)
    output.add_output(ablate)
    ablate.set_defaults(execute=_ablate)

    sweep = commands.add_parser(
        "sweep",
        parents=[common],
        help="run a method over a grid of one or two parameters or axes, and print the table",
        description="All code lengths, and all values of parameters in the method's `varies` (lcdh: lambda1, "
        "lambda2 …), run in one pass over the stream and share the work that does not depend on them.",
        epilog="examples: bench sweep lcdh --grid lambda1=0.01,0.1,1,10 lambda2=0.01,0.1,1,10 --bits 32; "
        "bench sweep lcdh --grid labelled=0,0.1,1; "
        "bench sweep lcdh --grid schedule=shuffled:500,shuffled:2000 pool=none,first_chunk,full",
    )
    options.add_study(sweep, of_method=True)
    sweep.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="NAME=VALUES",
        help=f"one or two of the method's parameters or of {', '.join(AXES)}",
    )
    sweep.add_argument(
        "--metric",
        default="map",
        metavar="NAME",
        help="metric to print (default map); see `bench list metrics`",
    )
    running.add_how(sweep)
    output.add_output(sweep)
    sweep.set_defaults(execute=_sweep)


def _ablate(args: argparse.Namespace) -> int:
    from bench.running import sweep
    from bench.study import ablation, selectors
    from bench.study.planner import Planner

    form = output.format_of(args)  # a wrong suffix is an error before anything runs
    study, run = options.study_of(args, methods=[args.method]), running.Run(args)
    names = None if args.variants is None else selectors.split(args.variants)
    plan = ablation.plan(Planner(), study, names)
    results = sweep.complete(study, plan.cells, **run.how)
    output.give_out([results.but(contrasts=plan.contrasts).table(report="ablation")], args)
    return run.close(results, study, sys.stderr if form != "terminal" else None)


def _sweep(args: argparse.Namespace) -> int:
    from bench import metrics
    from bench.running import sweep
    from bench.study import grid
    from bench.study.planner import Planner

    run, planner = running.Run(args), Planner()
    form = output.format_of(args)  # a wrong suffix or name is an error before anything runs
    metrics.parse_metric(args.metric)
    study, axes = grid.over(planner, options.study_of(args, methods=[args.method]), args.grid)
    results = sweep.complete(study, planner.cells(study), **run.how)
    report = "surface" if len(axes) == 2 else "sensitivity"
    output.give_out([results.table(args.metric, report=report, axes=axes)], args)
    return run.close(results, study, sys.stderr if form != "terminal" else None)
