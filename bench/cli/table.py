"""`bench table` and `bench rescore`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.cli import options, output
from bench.units import counted

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.records import RunSpec
    from bench.reporting.figures import Figure
    from bench.reporting.tables import Table
    from bench.results import Results

_FILTERS = ("methods", "datasets", "bits", "database")


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    table = commands.add_parser(
        "table",
        parents=[common],
        help="print a table of stored results, or save a figure",
        epilog="examples: bench table; bench table --report timing --methods lcdh,ukd; "
        "bench table --report health --option modality=text --out health.pdf",
    )
    table.add_argument(
        "source", nargs="?", default="", metavar="RESULTS", help="results folder, or archive by bench publish"
    )
    options.add_results(table)
    options.add_plugin_files(table)
    table.add_argument("--report", default="map_table", metavar="NAME", help="see `bench list reports`")
    table.add_argument("--metric", metavar="NAME", help="metric to show: see `bench list metrics`")
    table.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the report: see `bench info REPORT`",
    )
    table.add_argument(
        "--published", action="store_true", help="add published numbers, with the differences in protocol"
    )
    table.add_argument(
        "--significance",
        action="store_true",
        help="mark numbers not significantly different from the best; needs map_table and three seeds",
    )
    options.add_items(table)
    output.add_output(table)
    output.add_json(table)
    output.add_print(table)
    add_filters(table)
    table.set_defaults(execute=_table)

    rescore = commands.add_parser(
        "rescore",
        parents=[common],
        help="add a metric to stored cells, without running them again",
        epilog="example: bench rescore --metric map@50:hits",
    )
    options.add_results(rescore)
    options.add_plugin_files(rescore)
    rescore.add_argument("--metric", required=True, metavar="NAME", help="see `bench list metrics`")
    rescore.add_argument(
        "--data-root", default="", metavar="DIR", help="folder of the data files, for order-dependent metrics"
    )
    rescore.set_defaults(execute=_rescore)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the choice of cells, for :func:`wanted`."""
    for name in _FILTERS:
        parser.add_argument(f"--{name}", metavar="X", help=f"only these {name}")


def _table(args: argparse.Namespace) -> int:
    from bench.archive.rescore import scored
    from bench.metrics import canonical
    from bench.results import Results
    from bench.storing.store import stale_reasons

    store = options.store_of(args)
    chosen = [r for r in options.records_of(store) if wanted(r.spec, args)]
    records = options.without_tuning(chosen)
    if args.metric:
        args.metric = canonical(args.metric)
        records = scored(store, records, args.metric)
    results = Results(
        records, stale=stale_reasons(records), arrays=store.arrays, indexes=store.index, items=args.items
    )
    cited = results.citations() if output.is_latex(args) else {}
    if args.json:
        return _as_json(_tables(results, args), args)
    output.give_out([_ours(made, args.ours) for made in _tables(results, args)], args, cited)
    return 0


def _as_json(made: Sequence[Table | Figure], args: argparse.Namespace) -> int:
    """Print the plain numbers of tables and figures, with their titles."""
    from bench.errors import ParameterError

    if args.out is not None or args.format is not None:
        raise ParameterError("--json prints the numbers of a table; leave out --out and --format.")
    output.print_json([{"title": one.title, "data": list(one.data)} for one in made])
    return 0


def _ours(made: Table | Figure, names: Sequence[str]) -> Table | Figure:
    """The same with the user's own methods marked."""
    from bench.errors import ParameterError
    from bench.reporting.tables import Table

    if names and not isinstance(made, Table):
        raise ParameterError("--ours marks the rows of a table; this report is none. Leave it out.")
    return made.ours(names) if names and isinstance(made, Table) else made


def _tables(results: Results, args: argparse.Namespace) -> list[Table | Figure]:
    """The report that was requested, and with --published the published numbers, which need no records."""
    from bench.errors import ParameterError

    requested = [args.report] if results.records or not args.published else []
    reports = list(dict.fromkeys([*requested, *(["published"] if args.published else [])]))
    if len(reports) > 1 and output.format_of(args) == "csv":
        raise ParameterError("--published adds a table, but CSV holds one. Use --report published.")
    if args.significance and "map_table" not in reports:
        raise ParameterError(
            f"--significance works only with --report map_table; got --report {args.report}."
        )
    render = results.printed if output.is_latex(args) else results.render
    return [render(report, **_options_of(report, args)) for report in reports]


def _options_of(report: str, args: argparse.Namespace) -> dict[str, object]:
    """The options of one report; published numbers are filtered as records are."""
    from bench.errors import ParameterError
    from bench.study.selectors import split

    chosen: dict[str, object] = {}
    if report == "published":
        filters = {name: getattr(args, name) for name in _FILTERS if name != "database"}
        chosen |= {name: split(text) for name, text in filters.items() if text is not None}
    if report == "map_table" and args.significance:
        chosen["significance"] = True
    if report == args.report:
        chosen |= {} if args.metric is None else {"metric": args.metric}
        chosen |= {"band": True} if args.band else {}
        for text in args.option:
            name, equals, value = text.partition("=")
            if not equals:
                raise ParameterError(f"--option {text!r} is not NAME=VALUE. Try --option band=false.")
            if name in chosen:
                raise ParameterError(f"option {name} is given twice. Give it once.")
            chosen[name] = value
    return chosen


def wanted(spec: RunSpec, args: argparse.Namespace) -> bool:
    """Whether a cell passes the filters on the command line."""
    from bench.study.selectors import split

    method, dataset = spec.selectors
    names = (
        (spec.method, spec.label, method),
        (spec.dataset, spec.dataset_label, dataset),
        (str(spec.bits),),
        (spec.database,),
    )
    filters = (getattr(args, name) for name in _FILTERS)
    return all(text is None or set(split(text)) & set(own) for text, own in zip(filters, names, strict=True))


def _rescore(args: argparse.Namespace) -> int:
    from bench.archive.rescore import rescore
    from bench.metrics import canonical
    from bench.study.study import data_folder

    root, metric = data_folder(args.data_root), canonical(args.metric)
    changed = rescore(options.store_of(args, written=True), metric, data_root=root)
    print(f"{metric}: added to {counted(changed, 'cell')}. `bench table --metric {metric}` shows it.")
    return 0
