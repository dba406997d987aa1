"""`bench serve`: a live page of a results folder, on this machine only."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli import options


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    serve = commands.add_parser(
        "serve",
        parents=[common],
        help="a live page of a running sweep, on this machine only",
        epilog="examples: bench serve; bench serve mine.toml; bench serve --results DIR --port 9000",
    )
    serve.add_argument(
        "study", nargs="?", help="a study file, or one of smoke, online, paper: its cells count"
    )
    options.add_results(serve)
    serve.add_argument(
        "--port", type=int, default=8642, metavar="N", help="0 takes a free one (default %(default)s)"
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
        except KeyboardInterrupt:
            print()
    return 0


def _of_study(args: argparse.Namespace) -> Any:
    """The cells of all sections of a study file, which may not have been started yet."""
    from bench.errors import ParameterError
    from bench.page.live import Watch
    from bench.study.sections import load

    sections = load(args.study, results=args.results or None).sections
    plans = [section.plan() for section in sections]
    folders = list(dict.fromkeys(study.results_folder for study, *_ in plans))
    if len(folders) > 1:
        raise ParameterError(
            f"the sections of {args.study} have {len(folders)} results folders: "
            f"{', '.join(map(str, folders))}. Choose one by --results."
        )
    return Watch(folders[0], [spec for _, specs, _ in plans for spec in specs])
