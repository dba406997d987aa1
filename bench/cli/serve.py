"""`bench serve`: a live page of a results folder, on this machine only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.cli import options


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    serve = commands.add_parser(
        "serve",
        parents=[common],
        help="a live page of a running sweep, on this machine only",
        epilog="examples: bench serve; bench serve mine.toml; bench serve --results DIR --port 9000",
    )
    serve.add_argument("study", nargs="?", type=Path, help="a study file, whose cells are counted")
    options.add_results(serve)
    serve.add_argument(
        "--port", type=int, default=8642, metavar="N", help="0 takes a free one (default %(default)s)"
    )
    serve.set_defaults(execute=_serve)


def _serve(args: argparse.Namespace) -> int:
    from bench.page import live
    from bench.study import Study

    if args.study is None:
        watch = live.Watch(options.store_of(args).folder)
    else:
        study = Study.make(args.study, results=args.results or None)
        watch = live.Watch(study.results_folder, study.cells())
    with live.server(watch, args.port) as server:
        try:
            print(
                f"http://{live.HOST}:{server.server_port}/ shows {watch.folder}; Ctrl-C ends it", flush=True
            )
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
