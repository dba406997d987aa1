"""`bench check` and `bench new`: the contract suite, and first plugins that pass it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.checks.suite import CheckResult
    from bench.cli.commands import Commands


_USES = {
    "method": "bench run --methods {0},random_projection",
    "dataset": "bench data prepare {0}",
    "report": "bench table --report {0}",
    "metric": "bench table --metric {0}",
    "encoder": "bench data prepare DATASET --views {0}",
}


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    check = commands.add_parser(
        "check",
        parents=[common],
        help="run the contract suite on a plugin",
        epilog="examples: bench check 'lcdh[teacher_epochs=1]'; bench check mine --plugin mine.py",
    )
    check.add_argument(
        "name",
        help="a method or dataset, with parameters or without, a report, a metric, or an encoder: bow:1",
    )
    options.add_plugin_files(check)
    check.add_argument(
        "--data-root", default="", metavar="DIR", help="folder of the files of a dataset or an encoder"
    )
    check.set_defaults(execute=_check)

    new = commands.add_parser(
        "new",
        parents=[common],
        help="write a plugin that works, to start from",
        epilog="examples: bench new method mine; bench new metric mine",
    )
    new.add_argument("kind", choices=registry.KINDS)
    new.add_argument("name", help="in lower case, since it becomes the file's name")
    new.add_argument(
        "--folder", type=Path, default=None, metavar="DIR", help="default: its folder in a checkout, or here"
    )
    new.set_defaults(execute=_new)


def _check(args: argparse.Namespace) -> int:
    results = _results(*options.plugin_of(args.name), args)
    for result in results:
        mark = ("note" if result.message else "ok  ") if result.ok else "FAIL"
        print(f"{mark}  {result.name.replace('_', ' ')}  ({result.seconds:.2f} s)")
        if result.message:
            print(f"      {result.message}")
    failed = sum(not result.ok for result in results)
    print(f"{args.name}: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _results(kind: str, name: str, args: argparse.Namespace) -> list[CheckResult]:
    from bench.checks import suite
    from bench.isolation import declarations
    from bench.running import checked
    from bench.study import selectors
    from bench.study.study import data_folder

    if kind == "report":
        return suite.check_report(name)
    if kind == "metric":
        return suite.check_metric(name)
    if kind == "encoder":
        return suite.check_encoder(args.name, data_folder(args.data_root))
    [(_, values, _)] = selectors.expand(kind, [args.name])
    if kind == "method":
        results, _ = checked.check(declarations.method(name), values)
        return results
    return suite.check_dataset(name, data_folder(args.data_root), **values)


def _new(args: argparse.Namespace) -> int:
    from bench.checks import scaffold

    written = scaffold.new(args.kind, args.name, args.folder or scaffold.default_folder())
    for path in written:
        print(f"wrote {path}")
    hint = "" if args.name in registry.names(args.kind) else f" --plugin {written[0]}"
    print(f"next: bench check {args.name}{hint};  {_USES[args.kind].format(args.name)}{hint}")
    return 0
