"""`bench tune`: choose parameters on validation queries."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from bench.cli import options, running


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    tune = commands.add_parser(
        "tune",
        parents=[common],
        help="choose parameters of a method on validation queries, and write them as a study file",
        description="Takes --val training items as queries (default 200), lets Optuna search, and writes the "
        "best setting as a study file. The test queries are not read. "
        "What is done is kept: the same command goes on.",
        epilog="examples: bench tune lcdh --trials 30 --bits 32; "
        "bench tune lcdh --space lambda1=log:0.01..10 lambda2=log:0.01..10 sweeps=1..4; "
        "then bench run lcdh-tuned.toml",
    )
    options.add_study(tune, of_method=True)
    tune.add_argument("--trials", type=int, default=30, metavar="N", help="settings to try (default 30)")
    tune.add_argument(
        "--space",
        nargs="+",
        default=[],
        metavar="NAME=RANGE",
        help="LOW..HIGH, log:LOW..HIGH or A,B,C (default: floats above 0, a tenth to ten times the default)",
    )
    tune.add_argument("--search-seed", type=int, default=0, metavar="N", help="of the search (default 0)")
    tune.add_argument("--out", type=Path, metavar="FILE", help="the study file (default: METHOD-tuned.toml)")
    running.add_how(tune)
    tune.set_defaults(execute=_tune)


def _tune(args: argparse.Namespace) -> int:
    from bench.reporting import writing
    from bench.running import tuning

    study = options.study_of(args, methods=[args.method])
    line = _Line()
    found = tuning.tune(
        study,
        trials=args.trials,
        space=args.space,
        seed=args.search_seed,
        retry=args.retry == "failed",
        force=args.force,
        progress=line,
    )
    path = args.out or Path(f"{args.method.partition('[')[0]}-tuned.toml")
    writing.text(path, tuning.study_file(found))
    given = found.trials[0].score
    beside = "which did not run" if given is None else f"{given:.4f}"
    failed = sum(trial.score is None for trial in found.trials)
    print(f"{found.method}: mAP {found.best.score:.4f} on {found.study.val} validation queries")
    print(f"as given: {beside}")
    print(f"{args.trials} trials, {failed} failed, in {time.perf_counter() - line.started:.1f} s")
    print(f"wrote {path}; next: bench run {path}")
    return 1 if failed else 0


class _Line:
    """One line for every trial, with the best so far and the time that is left at this pace."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.best = float("-inf")

    def __call__(self, trial: Any, count: int, total: int) -> None:
        from bench import progress

        left = (time.perf_counter() - self.started) / count * (total - count)
        setting = ", ".join(f"{k}={v}" for k, v in trial.values.items()) or "as given"
        if trial.score is None:
            text = trial.reason
        else:
            self.best = max(self.best, trial.score)
            text = f"mAP {trial.score:.4f}  best {self.best:.4f}"
        progress.erase()
        print(
            f"[{count:{len(str(total))}}/{total}] {setting}  {text}  ({left:.0f} s left)",
            file=sys.stderr,
            flush=True,
        )
