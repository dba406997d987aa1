"""`bench table` and `bench rescore`."""

from __future__ import annotations

import argparse
from typing import Any

from bench.cli import options


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    table = commands.add_parser("table", parents=[common], help="print a table of stored results")
    table.add_argument(
        "source", nargs="?", default="", metavar="RESULTS", help="results folder, or archive by bench publish"
    )
    options.add_results(table)
    options.add_plugin_files(table)
    table.add_argument("--report", default="map_table", metavar="NAME", help="see `bench list reports`")
    table.add_argument("--metric", default="map", metavar="NAME", help="see `bench list metrics`")
    table.add_argument(
        "--published", action="store_true", help="add the numbers of papers, with what differs in protocol"
    )
    table.add_argument(
        "--significance", action="store_true", help="of map_table: mark what is not told from the best"
    )
    options.add_output(table)
    for name in ("methods", "datasets", "bits", "database"):
        table.add_argument(f"--{name}", metavar="X", help=f"only these {name}")
    table.set_defaults(execute=_table)

    rescore = commands.add_parser(
        "rescore", parents=[common], help="add a metric to stored cells, without running them again"
    )
    options.add_results(rescore)
    rescore.add_argument("--metric", required=True, metavar="NAME", help="for instance map@50:hits")
    rescore.add_argument("--data-root", default="", metavar="DIR", help="for order-dependent metrics")
    rescore.set_defaults(execute=_rescore)


def _table(args: argparse.Namespace) -> int:
    from bench.results import Results
    from bench.storing.store import stale_reasons

    store = options.store_of(args)
    records = [r for r in options.records_of(store) if _wanted(r.spec, args)]
    results = Results(records, stale=stale_reasons(records), arrays=store.arrays)
    options.give_out(_tables(results, args), args)
    return 0


def _tables(results: Any, args: argparse.Namespace) -> list[Any]:
    """The report asked for, and with --published the published numbers, which need no records."""
    from bench.errors import ParameterError
    from bench.study.selectors import split

    asked = [args.report] if results.records or not args.published else []
    reports = list(dict.fromkeys([*asked, *(["published"] if args.published else [])]))
    if args.format == "csv" and len(reports) > 1:
        raise ParameterError("--published adds a table, and CSV holds one. Use --report published.")
    filters = {name: getattr(args, name) for name in ("methods", "datasets", "bits")}
    chosen = {name: split(text) for name, text in filters.items() if text is not None}
    more: dict[str, dict[str, Any]] = {"published": chosen}
    if args.significance:
        if "map_table" not in reports:
            raise ParameterError(f"--significance is of map_table; got --report {args.report}.")
        more["map_table"] = {"significance": True}
    return [results.render(report, metric=args.metric, **more.get(report, {})) for report in reports]


def _wanted(spec: Any, args: argparse.Namespace) -> bool:
    from bench.study.selectors import split

    def allowed(value: str, chosen: str | None) -> bool:
        return chosen is None or value in split(chosen)

    return (
        (allowed(spec.method, args.methods) or allowed(spec.label, args.methods))
        and allowed(spec.dataset, args.datasets)
        and allowed(str(spec.bits), args.bits)
        and allowed(spec.database, args.database)
    )


def _rescore(args: argparse.Namespace) -> int:
    from bench.archive.rescore import rescore
    from bench.study.study import data_folder

    root = data_folder(args.data_root)
    changed = rescore(options.store_of(args, written=True), args.metric, data_root=root)
    print(f"{args.metric}: added to {changed} cells. `bench table --metric {args.metric}` shows it.")
    return 0
