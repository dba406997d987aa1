"""`bench report`: the experiments section of a study, as files."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from bench.cli import options, running


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    report = commands.add_parser(
        "report",
        parents=[common],
        help="run what a study lacks, then write its tables and figures to a folder",
        epilog="examples: bench report smoke; bench report mine.toml --jobs 2; bench report --results DIR",
    )
    report.add_argument(
        "study", nargs="?", help="a study file, or one of smoke, online, paper; without: all that is stored"
    )
    options.add_results(report)
    options.add_plugin_files(report)
    report.add_argument("--out", type=Path, default=Path("build/reports"), metavar="DIR", help="%(default)s")
    report.add_argument("--html", type=Path, metavar="FILE", help="also write one page for the browser")
    report.add_argument("--no-run", action="store_true", help="use what is stored and run nothing")
    report.add_argument("--data-root", metavar="DIR", help="folder of the data files")
    running.add_how(report)
    report.set_defaults(execute=_report)


def _report(args: argparse.Namespace) -> int:
    from bench import paper

    started = time.perf_counter()
    document, parts = _stored(args) if args.study is None else _of_study(args)
    written = paper.write(document, parts, args.out)
    for failure in written.failed:
        print(f"bench: not made: {failure}", file=sys.stderr)
    took = time.perf_counter() - started
    print(f"{len(written.files)} files in {took:.1f} s; start with {args.out / 'README.md'}")
    if args.html is not None:
        _page(document, parts, written.files, args)
    return 1 if written.failed else 0


def _check_places(args: argparse.Namespace) -> None:
    """Raise where the report could not be written, once it is known what is asked for and before it runs."""
    from bench.reporting import writing

    for file in filter(None, (args.out / "README.md", args.html)):
        writing.check(file)


def _stored(args: argparse.Namespace) -> tuple[Any, list[Any]]:
    """All that a results folder holds, as one section."""
    from bench import paper
    from bench.errors import StoreError
    from bench.paper import Part
    from bench.results import Results
    from bench.storing.store import stale_reasons
    from bench.study.planner import Planner
    from bench.study.sections import Document, Section
    from bench.study.study import data_folder

    store = options.store_of(args)
    records = options.records_of(store)
    if not records:
        raise StoreError(f"results folder {store.folder} holds no cell. Run `bench run` first.")
    _check_places(args)
    describe = paper.describer(Planner(), data_folder(args.data_root or ""))
    found = Results(records, stale=stale_reasons(records), arrays=store.arrays, describe=describe)
    title = "Stored results"
    command = f"bench report --results {store.folder}"
    section = Section(title=title)
    document = Document(title=title, sections=(section,), command=command)
    return document, [Part(section=section, results=found)]


def _of_study(args: argparse.Namespace) -> tuple[Any, list[Any]]:
    """The sections of a study file, each with its records; what is missing is run first."""
    from bench import paper
    from bench.study import sections

    names = ("jobs", "threads", "backend", "scheduler")
    given = {name: getattr(args, name) for name in names}
    given |= {"results": args.results or None, "data_root": args.data_root}
    found = sections.load(args.study, **given)
    _check_places(args)

    return found, paper.collect(found, None if args.no_run else running.Run(args).how)


def _page(document: Any, parts: list[Any], files: list[Path], args: argparse.Namespace) -> None:
    from bench import page
    from bench.paper import together
    from bench.study.study import data_folder

    figures = [file for file in files if file.suffix == ".pdf"]
    page.write(
        together(parts),
        args.html,
        data_root=data_folder(args.data_root or ""),
        title=document.title,
        sections={part.section.title: part.results for part in parts},
        figures=figures,
    )
    print(f"the page: {args.html}")
