"""Where a command puts its tables and figures: the terminal, or files whose suffix is the format."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records import SINCE

if TYPE_CHECKING:
    from bench.records import RunSpec
    from bench.reporting.figures import Figure
    from bench.reporting.references import Reference
    from bench.reporting.tables import Table

FORMATS = {
    "terminal": "to_text",
    "md": "to_markdown",
    "csv": "to_csv",
    "latex": "to_latex",
    "html": "to_html",
}
_SUFFIXES = {".txt": "terminal", ".md": "md", ".csv": "csv", ".tex": "latex", ".html": "html", ".htm": "html"}


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the format of a table and the file to write it to."""
    parser.add_argument(
        "--format", choices=FORMATS, help="default: that of the suffix of --out, or terminal without --out"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write to this file instead of printing; its suffix is the format",
    )


def check_folder(option: str, path: Path) -> None:
    """Raise ParameterError where a folder is expected and the name is that of a table, a figure or a page."""
    from bench.errors import ParameterError
    from bench.reporting.figures import FORMATS as DRAWN

    files = (*_SUFFIXES, *(f".{form}" for form in DRAWN))
    if path.suffix.lower() in files and not path.is_dir():
        raise ParameterError(
            f"{option} {path}: expected a folder; the suffix is that of a file. "
            "Name a folder, or write one table or figure with `bench table --out FILE`."
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json, for scripts."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def print_json(value: Any) -> None:
    """Print plain data as JSON; a number that is not finite is null."""
    print(json.dumps(_finite(value), ensure_ascii=False, indent=1, default=str))


def cell(spec: RunSpec, state: str, reason: str) -> dict[str, object]:
    """One cell for scripts: its key, its state, and everything that its spec has."""
    method, dataset = spec.selectors
    same = ("bits", "seed", "database", "pool", "val", "evaluate", *SINCE)
    axes = {name: getattr(spec, name) for name in same}
    about = {"key": spec.key, "method": method, "dataset": dataset, "schedule": str(spec.schedule)}
    return {**about, **axes, "state": state, "reason": reason}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def add_ours(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="NAME",
        help="mark your own method in tables; may be repeated",
    )


def add_print(parser: argparse.ArgumentParser) -> None:
    """Add the choices of tables for a paper."""
    add_ours(parser)
    parser.add_argument(
        "--band",
        action="store_true",
        help="keep the second line of an entry (tied items, trained items) in LaTeX, which leaves it out",
    )


def is_latex(args: argparse.Namespace) -> bool:
    """Whether a table would be written as LaTeX."""
    return args.format == "latex" or (args.out is not None and args.out.suffix.lower() == ".tex")


def format_of(args: argparse.Namespace) -> str:
    """The format of a table: that of --format, or of the suffix of --out, else ``terminal``.

    Raises ParameterError for a suffix of no table, and for one that contradicts --format.
    """
    from bench.errors import ParameterError

    if args.out is None:
        return args.format or "terminal"
    form = _SUFFIXES.get(args.out.suffix.lower(), "")
    if not form:
        raise ParameterError(
            f"--out {args.out}: the suffix names no format of a table; expected {', '.join(_SUFFIXES)}. "
            "Change it."
        )
    if args.format not in (None, form):
        raise ParameterError(
            f"--out {args.out}: the suffix means --format {form}; got --format {args.format}. "
            "Change the suffix, or leave out --format."
        )
    return form


def give_out(
    reports: Sequence[Any], args: argparse.Namespace, cited: Mapping[str, Reference] | None = None
) -> None:
    """Print tables, or write them to ``--out``; figures are only written.

    Tables of several protocols go to a file each, but for CSV, whose columns name the protocol. ``cited`` are
    the papers of methods: LaTeX cites them, and a file ``.bib`` beside it has them.
    """
    from bench.errors import ParameterError
    from bench.reporting.figures import Figure
    from bench.reporting.tables import Table

    figures = [one for one in reports if isinstance(one, Figure)]
    if figures:
        if len(reports) > 1:
            raise ParameterError("a figure and a table cannot share one file. Ask for them one by one.")
        _draw(figures[0], args)
        return
    form = format_of(args)
    if form != "terminal" and not all(isinstance(one, Table) for one in reports):
        raise ParameterError(
            f"the report is neither a table nor a figure, so it has no format {form}; expected .txt. "
            "Change the suffix of --out, or leave out --format."
        )
    if args.out is None and form == "terminal":
        for i, one in enumerate(reports):
            print("\n" if i else "", end="")
            show(one)
        return
    keys = {label: reference.key for label, reference in (cited or {}).items()}
    if args.out is None:
        print(_text(reports, form, "", keys), end="")
        return
    for out, contents in _files(reports, args.out, form):
        _write(out, _text(contents, form, out.stem, keys), cited or {})


def _files(reports: Sequence[Any], out: Path, form: str) -> list[tuple[Path, list[Any]]]:
    """The files to write, each with its tables.

    Raises ParameterError where there are several, and the name of ``out`` has no pattern to tell them apart.
    """
    from bench.errors import ParameterError
    from bench.reporting.figures import PATTERN, named
    from bench.reporting.tables import Table

    tables = [one for one in reports if isinstance(one, Table)]
    names = list(dict.fromkeys(block.protocol for table in tables for block in table.blocks))
    if form == "csv" or len(names) < 2:
        return [(named(out, ""), list(reports))]
    if PATTERN not in out.stem:
        raise ParameterError(
            f"--out {out}: the table has {len(names)} protocols ({', '.join(filter(None, names))}); expected "
            f"one, or {PATTERN} in the file name. Give --out '{out.with_stem(f'{out.stem}-{PATTERN}')}', or "
            "filter more."
        )
    return [(named(out, name), [part for one in tables if (part := one.of_protocol(name))]) for name in names]


def _text(reports: Sequence[Any], form: str, label: str, keys: Mapping[str, str]) -> str:
    """The content of a file; ``label`` is that of its first table in LaTeX, ``keys`` are what it cites."""
    from bench.reporting.tables import Table

    if form == "latex":
        labels = [label, *[""] * len(reports)]
        texts = [one.to_latex(label=label, cite=keys) for one, label in zip(reports, labels, strict=False)]
    else:
        texts = [getattr(one, FORMATS[form])() if isinstance(one, Table) else str(one) for one in reports]
    return "\n\n".join(text.rstrip() for text in texts) + "\n"


def _write(out: Path, text: str, cited: Mapping[str, Reference]) -> None:
    from bench.reporting import writing
    from bench.reporting.references import bibliography

    print(f"wrote {writing.text(out, text)}")
    used = [reference for reference in cited.values() if f"\\cite{{{reference.key}}}" in text]
    if used:
        print(f"wrote {writing.text(out.with_suffix('.bib'), bibliography(used))}")


def _draw(figure: Figure, args: argparse.Namespace) -> None:
    from bench.errors import ParameterError

    if args.out is None:
        raise ParameterError(f"{figure.title!r} is a figure, which cannot be printed. Give --out FILE.pdf.")
    if args.format is not None:
        raise ParameterError(f"{figure.title!r} is a figure, and --format is for tables. Leave it out.")
    for path in figure.save_as(args.out):
        print(f"wrote {path}")


def show(report: Table | Any) -> None:
    """Print a report: at a terminal with styles and at its width."""
    if sys.stdout.isatty():
        from rich.console import Console

        from bench.printing import Steering

        console = Console()
        with console.capture() as styled:
            console.print(report)
        sys.stdout.write(Steering(styled.get()))
    else:
        print(report)
