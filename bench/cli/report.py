"""`bench report`: the tables and figures of a study, as files."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options, output, running

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.paper import Part
    from bench.study.sections import Document


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    report = commands.add_parser(
        "report",
        parents=[common],
        help="run the missing cells of a study, then write its tables and figures to a folder",
        epilog="examples: bench report smoke; bench report mine.toml; bench report --results DIR",
    )
    report.add_argument(
        "study",
        nargs="?",
        help="a study file, or one of smoke, online, paper, memory, stress (default: everything stored)",
    )
    report.add_argument(
        "--section", metavar="TITLE", help="only this section of the study (default: all of them)"
    )
    options.add_results(report)
    options.add_plugin_files(report)
    options.add_yes(report)
    report.add_argument(
        "--out",
        type=Path,
        default=Path("build/reports"),
        metavar="DIR",
        help="folder to write to (default: %(default)s)",
    )
    output.add_ours(report)
    report.add_argument("--html", type=Path, metavar="FILE", help="also write one page for the browser")
    report.add_argument("--no-run", action="store_true", help="run nothing; use stored cells only")
    report.add_argument("--data-root", metavar="DIR", help="folder of the data files")
    options.add_items(report)
    running.add_how(report)
    report.set_defaults(execute=_report)


def _report(args: argparse.Namespace) -> int:
    from bench import paper
    from bench.errors import ParameterError

    started = time.perf_counter()
    output.check_folder("--out", args.out)
    if args.section and args.study is None:
        raise ParameterError("--section names a part of a study, and no study is given. Name one before it.")
    document, parts = _stored(args) if args.study is None else _of_study(args)
    _check_ours(parts, args.ours)
    written = paper.write(document, parts, args.out, ours=args.ours)
    for failure in written.failed:
        print(f"bench: not made: {failure}", file=sys.stderr)
    took = time.perf_counter() - started
    print(f"{len(written.files)} files in {took:.1f} s; start with {args.out / 'README.md'}")
    if args.html is not None:
        _page(document, parts, written.files, args)
    return 1 if written.failed else 0


def _check_ours(parts: Sequence[Part], names: Sequence[str]) -> None:
    """Raise UnknownNameError for a name that no section has."""
    from bench.errors import UnknownNameError

    known = {record.spec.label for part in parts for record in part.results}
    for name in names:
        if name not in known:
            raise UnknownNameError("method in the study", name, known)


def _check_places(args: argparse.Namespace) -> None:
    """Raise StoreError before anything runs if the report could not be written afterwards."""
    from bench.reporting import writing

    for file in filter(None, (args.out / "README.md", args.html)):
        writing.check(file)


def _stored(args: argparse.Namespace) -> tuple[Document, list[Part]]:
    """All cells of a results folder, as one section."""
    from bench import paper
    from bench.errors import StoreError
    from bench.paper import Part
    from bench.results import Results
    from bench.storing.store import stale_reasons
    from bench.study.planner import Planner
    from bench.study.sections import Document, Section
    from bench.study.study import data_folder

    store = options.store_of(args)
    records = options.without_tuning(options.records_of(store))
    if not records:
        raise StoreError(f"results folder {store.folder} has no cells. Run `bench run` first.")
    _check_places(args)
    describe = paper.describer(Planner(), data_folder(args.data_root or ""))
    results = Results(
        records,
        stale=stale_reasons(records),
        arrays=store.arrays,
        indexes=store.index,
        describe=describe,
        items=args.items,
    )
    title = "Stored results"
    command = f"bench report --results {store.folder}"
    section = Section(title=title)
    document = Document(title=title, sections=(section,), command=command)
    return document, [Part(section=section, results=results)]


def _of_study(args: argparse.Namespace) -> tuple[Document, list[Part]]:
    """The sections of a study file, each with its records; missing cells are run first."""
    from bench import paper
    from bench.study import sections

    names = ("jobs", "threads", "backend", "scheduler")
    given = {name: getattr(args, name) for name in names}
    given |= {"results": args.results or None, "data_root": args.data_root}
    document = sections.load(args.study, **given)
    if args.section:
        document = document.only(args.section)
    _check_places(args)

    return document, paper.collect(document, None if args.no_run else running.Run(args).how, args.items)


def _page(document: Document, parts: list[Part], files: list[Path], args: argparse.Namespace) -> None:
    from bench import page
    from bench.paper import together
    from bench.study.study import data_folder

    figures = [file for file in files if file.suffix == ".pdf"]
    own = next((part.section.study.data_folder for part in parts if part.section.study is not None), None)
    page.write(
        together(parts),
        args.html,
        data_root=own or data_folder(args.data_root or ""),
        title=document.title,
        sections={part.section.title: part.results for part in parts},
        figures=figures,
    )
    print(f"page: {args.html}")
