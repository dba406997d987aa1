"""`bench tune`: choose parameters on validation queries."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options, running

if TYPE_CHECKING:
    from bench.cli.commands import Commands


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    tune = commands.add_parser(
        "tune",
        parents=[common],
        help="choose parameters of a method on validation queries, and write them to a study file",
        description="Searches with Optuna, scoring each setting on --val training items (default 200) as "
        "queries, and writes the best one to a study file. Never reads the test queries. "
        "After an interruption the same command goes on.",
        epilog="examples: bench tune lcdh --trials 30 --bits 32; "
        "bench tune lcdh --space lambda1=log:0.01..10 lambda2=log:0.01..10 sweeps=1..4; "
        "then bench run lcdh-tuned.toml",
    )
    options.add_study(tune, of_method=True)
    tune.add_argument(
        "--trials", type=options.whole, default=30, metavar="N", help="settings to try (default 30)"
    )
    tune.add_argument(
        "--space",
        nargs="+",
        default=[],
        metavar="NAME=RANGE",
        help="LOW..HIGH, log:LOW..HIGH or A,B,C (default: every float parameter with a positive default, "
        "from a tenth of it to ten times it)",
    )
    tune.add_argument(
        "--search-seed",
        type=options.whole,
        default=0,
        metavar="N",
        help="random seed of the search (default 0)",
    )
    tune.add_argument(
        "--out", type=Path, metavar="FILE", help="study file to write (default: METHOD-tuned.toml)"
    )
    running.add_how(tune)
    tune.set_defaults(execute=_tune)


def _tune(args: argparse.Namespace) -> int:
    from bench.reporting import writing
    from bench.running import tuning

    study, run = options.study_of(args, methods=[args.method]), running.Run(args)
    tuned = tuning.tune(study, trials=args.trials, space=args.space, seed=args.search_seed, **run.how)
    path = args.out or Path(f"{tuned.given.plugin.name}-tuned.toml")
    writing.text(path, tuning.study_file(tuned))
    given = tuned.trials[0].score
    failed = sum(trial.score is None for trial in tuned.trials)
    print(f"{tuned.method}: mAP {tuned.best.score:.4f} on {tuned.study.val} validation queries")
    print(f"as given: {'did not run' if given is None else f'{given:.4f}'}")
    print(f"{args.trials} trials, {failed} failed, in {time.perf_counter() - run.started:.1f} s")
    print(f"wrote {path}; next: bench run {path}")
    return 1 if failed else 0
