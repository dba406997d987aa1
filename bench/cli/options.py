"""Options that several commands share: those of a study, and where results lie."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FORMATS = {
    "terminal": "to_text",
    "md": "to_markdown",
    "csv": "to_csv",
    "latex": "to_latex",
    "html": "to_html",
}
_TEXT = {
    "methods": "methods with parameters: lcdh,ukd or 'lcdh[lambda1=0.1,1],olsh'",
    "datasets": "datasets with options: synthetic,wiki or 'files[path=mine.npz]'",
    "bits": "code lengths: 16,32,64",
    "seeds": "a number of seeds (3 is 0,1,2), or a list of them",
    "schedule": "how pairs arrive: shuffled:SIZE, class_incremental:GROUPS or drift:SIZE",
    "last": "what a remainder becomes: merge (into the last chunk) or short (a chunk of its own)",
    "database": "whose codes the database holds: reindexed, frozen, learned",
    "pool": "what an offline teacher sees: none, first_chunk, separate:N, full",
    "labelled": "share of training items whose labels methods see: 1, or 0,0.1,1",
    "paired": "share of training items that methods see in both modalities; the rest lose one",
    "evaluate": "rounds to evaluate: last, all or every:K",
    "directions": "i2t,t2i and, if wanted, i2i,t2t",
    "device": "where torch methods compute: cpu, cuda, cuda:1",
    "data_root": "folder of the data files (default: BENCH_DATA, or the current folder)",
    "results": "folder of stored cells (default: BENCH_RESULTS, or results/runs)",
}


def add_study(parser: argparse.ArgumentParser, *, of_method: bool = False) -> None:
    """The options that say what to run; they override the study file.

    ``of_method``: the command is about one method, which it names in the place of the study file.
    """
    text = "a study file (TOML) with these options as keys"
    if of_method:
        parser.add_argument("method", help="a method, with parameters or without: 'lcdh[teacher_epochs=5]'")
        parser.add_argument("--study", type=Path, metavar="FILE", help=text)
    else:
        parser.add_argument("study", nargs="?", type=Path, help=text)
    group = parser.add_argument_group("what to run")
    for name, text in _TEXT.items():
        if of_method and name == "methods":
            continue
        group.add_argument(f"--{name.replace('_', '-')}", metavar="X", help=text)
    group.add_argument("--val", type=int, metavar="N", help="use N training items as queries, for tuning")
    add_plugin_files(group)


def study_of(args: argparse.Namespace, **changes: Any) -> Any:
    """The :class:`bench.study.study.Study` that the options and the study file describe, with ``changes``."""
    from bench.study.study import Study

    return Study.make(args.study, **(given(args) | changes))


def given(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of a study, None where it says nothing."""
    names = (*_TEXT, "val", "jobs", "threads", "backend", "scheduler")
    found = {name: getattr(args, name, None) for name in names}
    if isinstance(found["seeds"], str) and found["seeds"].isdigit():
        found["seeds"] = int(found["seeds"])
    return found


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", default="", metavar="DIR", help=_TEXT["results"])


def store_of(args: argparse.Namespace) -> Any:
    """The :class:`bench.storing.store.Store` of the results folder, which must exist."""
    from bench.errors import StoreError
    from bench.storing.store import Store
    from bench.study.study import results_folder

    folder = results_folder(args.results)
    if not folder.is_dir():
        raise StoreError(f"results folder {folder} does not exist. Run `bench run` first, or give --results.")
    return Store(folder)


def add_plugin_files(parser: argparse._ActionsContainer) -> None:
    """Files that are made known before the command runs (``bench.cli.main``); a study file may name more."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE",
        dest="plugin_files",
        help="your own Python file with a method, dataset, report, metric or encoder; may be repeated",
    )


def plugin_of(text: str) -> tuple[str, str]:
    """Kind and name of the plugin that ``lcdh[lambda1=1]``, ``map@50`` or ``bow:20`` asks for."""
    from bench.errors import UnknownNameError
    from bench.plugins import registry

    name = re.split(r"[\[@:]", text)[0]
    known = {kind: registry.names(kind) for kind in registry.KINDS}
    for kind, names in known.items():
        if name in names:
            return kind, name
    raise UnknownNameError("plugin", name, {name for names in known.values() for name in names})


def records_of(store: Any) -> list[Any]:
    """Every stored record; what is no whole cell is told."""
    records: list[Any] = store.records()
    if store.broken:
        print(
            f"bench: {len(store.broken)} files of {store.folder} are no whole cells (cut short, or without "
            f"their .npz) and left out, {store.broken[0].name} first. `bench run` makes them again.",
            file=sys.stderr,
        )
    return records


def add_output(parser: argparse.ArgumentParser) -> None:
    """How a table is given out."""
    parser.add_argument("--format", default="terminal", choices=FORMATS)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")


def give_out(tables: Sequence[Any], args: argparse.Namespace) -> None:
    """Print tables, or write them to the file that was asked for; figures are written only."""
    from bench.reporting import writing
    from bench.reporting.figures import Figure

    figures = [table for table in tables if isinstance(table, Figure)]
    if figures:
        _draw(figures, args)
        return
    if args.out is None and args.format == "terminal":
        for i, table in enumerate(tables):
            print("\n" if i else "", end="")
            show(table)
        return
    text = "\n\n".join(getattr(table, FORMATS[args.format])().rstrip() for table in tables) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        writing.text(args.out, text)


def _draw(figures: Sequence[Any], args: argparse.Namespace) -> None:
    from bench.errors import ParameterError

    if args.out is None:
        raise ParameterError(f"{figures[0].title!r} is a figure, which is not printed. Give --out FILE.pdf.")
    for figure in figures:
        for path in figure.save_as(args.out):
            print(f"wrote {path}")


def show(table: Any) -> None:
    """Print a table with styles, at the width of the terminal if there is one."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(table)
    else:
        print(table)
