"""`bench serve`: a live page of a results folder, on this machine only."""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING

from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.page.live import Watch


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    serve = commands.add_parser(
        "serve",
        parents=[common],
        help="serve a live page of a running sweep, on this machine only",
        epilog="examples: bench serve; bench serve mine.toml; bench serve --results DIR --port 9000",
    )
    serve.add_argument(
        "study",
        nargs="?",
        help="show the progress of this study: a file or a name, such as smoke (default: all stored cells)",
    )
    options.add_results(serve)
    options.add_yes(serve)
    serve.add_argument(
        "--port",
        type=options.whole,
        default=8642,
        metavar="N",
        help="port to listen on; 0 picks a free one (default %(default)s)",
    )
    serve.set_defaults(execute=_serve)


def _serve(args: argparse.Namespace) -> int:
    from bench.page import live

    watch = live.Watch(options.store_of(args).folder) if args.study is None else _of_study(args)
    with live.server(watch, args.port) as server:
        try:
            print(
                f"http://{live.HOST}:{server.server_port}/ shows {watch.folder}; Ctrl-C ends it", flush=True
            )
            server.serve_forever()
        except KeyboardInterrupt as stopped:
            if signal.SIGTERM in stopped.args:
                raise
            print()
    return 0


def _of_study(args: argparse.Namespace) -> Watch:
    """The cells of all sections of a study file, whether they have been started or not."""
    from bench.errors import ParameterError
    from bench.page.live import Watch
    from bench.study.planner import Planner
    from bench.study.sections import load

    planner = Planner()
    plans = [section.plan(planner) for section in load(args.study, results=args.results or None).sections]
    folders = list(dict.fromkeys(study.results_folder for study, *_ in plans))
    if len(folders) > 1:
        raise ParameterError(
            f"the sections of {args.study} have {len(folders)} results folders, and a page shows one: "
            f"{', '.join(map(str, folders))}. Choose it with --results."
        )
    return Watch(folders[0], [cell.spec for _, cells, _ in plans for cell in cells])
