"""`bench leaderboard`: a static site of published studies."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options, output

if TYPE_CHECKING:
    from bench.cli.commands import Commands


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    board = commands.add_parser(
        "leaderboard",
        parents=[common],
        help="write a static site of published studies, to be served from any folder",
        description="Write a static site of published studies: methods by dataset and protocol, who "
        "submitted them, where every number comes from, and whether it follows from the stored counts.",
        epilog="example: bench leaderboard results/reference theirs.zip --to site",
    )
    board.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="ARCHIVE",
        help="an archive by bench publish, or a results folder",
    )
    board.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="folder of the site")
    options.add_plugin_files(board)
    board.set_defaults(execute=_leaderboard)


def _leaderboard(args: argparse.Namespace) -> int:
    from bench.leaderboard import write

    output.check_folder("--to", args.to)
    for one in write(args.paths, args.to):
        state = f"NOT VERIFIED: {one.faults[0]}" if one.faults else "verified"
        print(f"{one.name}: {len(one.records)} of {one.stored} cells shown, {state}")
    print(f"wrote {args.to / 'index.html'}")
    return 0
