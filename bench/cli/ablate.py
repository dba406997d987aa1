"""`bench ablate` and `bench sweep`: variants of a method, and grids over its parameters and its protocol."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench.cli import options, running


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    ablate = commands.add_parser(
        "ablate",
        parents=[common],
        help="run a method and its variants, and print what each part is worth",
        description="Runs the full method and the variants that it declares (`bench info METHOD` lists "
        "them) as ordinary cells, and prints the differences to the full method, paired by query and seed.",
        epilog="examples: bench ablate lcdh --bits 32 --seeds 5; "
        "bench ablate lcdh --variants A1,A5 --datasets synthetic,wiki; "
        "bench ablate 'lcdh[teacher_epochs=5]' --format latex --out ablation.tex",
    )
    options.add_study(ablate, of_method=True)
    ablate.add_argument("--variants", metavar="X", help="only these, by name: A1,A5 (default: all)")
    running.add_how(ablate)
    options.add_output(ablate)
    ablate.set_defaults(execute=_ablate)


def _ablate(args: argparse.Namespace) -> int:
    from bench import ablation, selectors, sweep

    study, run = options.study_of(args, methods=[args.method]), running.Run(args)
    plan = ablation.plan(study, selectors.split(args.variants or ""))
    results = sweep.complete(study, plan.cells, **run.how)
    options.give_out([results.table(report="ablation", contrasts=plan.contrasts)], args)
    return run.close(results, study, sys.stderr if args.format != "terminal" else None)
