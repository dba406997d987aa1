"""`bench check` and `bench new`: the contract suite, and a first method that passes it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.options import Commands


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    check = commands.add_parser("check", parents=[common], help="run the contract suite on a plugin")
    check.add_argument(
        "name", help="a method or a dataset, with parameters or without: 'lcdh[teacher_epochs=1]'"
    )
    options.add_plugin_files(check)
    check.add_argument("--data-root", default="", metavar="DIR", help="for a dataset that needs files")
    check.set_defaults(execute=_check)

    new = commands.add_parser("new", parents=[common], help="write a method that works, to start from")
    new.add_argument("kind", choices=["method"])
    new.add_argument("name", help="lower case: the file's name is the method's")
    new.add_argument(
        "--folder", type=Path, default=None, metavar="DIR", help="default: methods/ of a checkout, or here"
    )
    new.set_defaults(execute=_new)


def _check(args: argparse.Namespace) -> int:
    from bench.checks import suite
    from bench.errors import UnknownNameError
    from bench.plugins import registry
    from bench.study import selectors
    from bench.study.study import data_folder

    name = args.name.partition("[")[0]
    if name in registry.names("method"):
        [(_, values)] = selectors.expand("method", [args.name])
        results = suite.check_method(name, **values)
    elif name in registry.names("dataset"):
        [(_, values)] = selectors.expand("dataset", [args.name])
        root = data_folder(args.data_root)
        results = suite.check_dataset(name, root, **values)
    else:
        raise UnknownNameError(
            "method or dataset", name, registry.names("method") + registry.names("dataset")
        )
    for result in results:
        mark = "ok  " if result.ok else "FAIL"
        print(f"{mark}  {result.name.replace('_', ' ')}  ({result.seconds:.2f} s)")
        if not result.ok:
            print(f"      {result.message}")
    failed = sum(not result.ok for result in results)
    print(f"{args.name}: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _new(args: argparse.Namespace) -> int:
    from bench.checks import scaffold

    written = scaffold.new_method(args.name, args.folder or scaffold.default_folder())
    for path in written:
        print(f"wrote {path}")
    hint = "" if written[0].parent.name == "methods" else f" --plugin {written[0]}"
    print(f"next: bench check {args.name}{hint};  bench run --methods {args.name},random_projection{hint}")
    return 0
