"""The command line: one file per group of commands; each only parses and prints.

Exit codes: 0 done; 1 some cells failed, a check failed, workers were lost, or the output cannot be written;
2 bad input; 130 interrupted; 143 terminated.

May import: every other room.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from bench.errors import BenchError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without ``argv`` that of this process, which then ends."""
    from bench.cli import stopping

    arrived: list[int] = []
    try:
        with stopping.handled(arrived, to_the_end=argv is None):
            return _guarded(argv)
    except BaseException:  # a library may have made another exception of the interrupt
        if not arrived:
            raise
    how = stopping.HOW[arrived[-1]]
    print(f"bench: {how}. Finished cells are kept; run it again to continue.", file=sys.stderr)
    return 128 + arrived[-1]


def _guarded(argv: Sequence[str] | None) -> int:
    """Run the command with everything that it prints made fit for the output."""
    import os

    from bench import printing

    os.environ.setdefault("PYTHON_COLORS", "0")  # else argparse writes escapes, from Python 3.14 on
    with printing.guarded() as doors:
        try:
            code = _execute(argv)
        except SystemExit:  # argparse ends --help, --version and a wrong option
            if doors.complete():
                raise
            return 1
        return code if doors.complete() else max(code, 1)


def _execute(argv: Sequence[str] | None) -> int:
    from functools import partial

    from bench.cli import options, trust
    from bench.errors import BenchError
    from bench.plugins import registry

    args = _parser().parse_args(argv)
    try:
        options.check_places(args)
        for path in options.plugin_paths(getattr(args, "plugin_files", ())):
            registry.add_file(path)
        with registry.asking(partial(trust.announce, yes=getattr(args, "yes", False))):
            return int(args.execute(args))
    except BenchError as error:
        if args.debug:
            raise
        print(f"bench: {_said(args, error)}", file=sys.stderr)
        return error.exit_code
    except MemoryError as error:
        print(f"bench: memory ran out: {error}. Give fewer items, or fewer jobs.", file=sys.stderr)
        return 2


def _said(args: argparse.Namespace, error: BenchError) -> str:
    """The message, with the study whose values are refused."""
    from bench.errors import ParameterError, UnknownNameError

    study = getattr(args, "study", None)
    if study is None or not isinstance(error, (ParameterError, UnknownNameError)) or str(study) in str(error):
        return str(error)
    return f"study {study}: {error}"


def _parser() -> argparse.ArgumentParser:
    import argparse

    from bench import __version__
    from bench.cli import (
        ablate,
        archive,
        check,
        completion,
        data,
        doctor,
        indexing,
        leaderboard,
        listing,
        models,
        report,
        run,
        serve,
        table,
        tune,
    )
    from bench.cli.commands import Commands

    parser = argparse.ArgumentParser(
        prog="bench",
        usage="bench COMMAND [options]",
        description="Benchmark harness for online cross-modal hashing. Start with: bench run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hashbench {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = Commands(parser)
    for module in (
        *(run, report, serve, ablate, tune, table, models, indexing),
        *(archive, leaderboard, listing, data, doctor, check, completion),
    ):
        module.add_commands(commands, common)
    parser.epilog = (
        f"{commands.overview()}\n\n`bench COMMAND --help` shows the options of a command, and an example."
    )
    return parser
