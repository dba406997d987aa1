"""`bench index`, `choose` and `cost`: indexes over stored codes, which one to take, and what it costs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.cli import options, output
from bench.cli.table import add_filters, wanted

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.results import Results

_KINDS = ("scan", "flat", "ivf", "hnsw", "multihash")


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    index = commands.add_parser(
        "index",
        parents=[common],
        help="measure indexes over stored codes: recall, latency, memory, upkeep",
        description="Measure indexes over the stored codes of every cell, one after the other, and store the "
        "facts beside the records. `bench table --report index` shows them again.",
        epilog="examples: bench index results/runs; bench index --methods lemon --index scan,ivf,hnsw",
    )
    _add_source(index)
    index.add_argument(
        "--index", default=",".join(_KINDS), metavar="KIND,...", help="kinds of index (default: %(default)s)"
    )
    index.add_argument(
        "--queries",
        type=options.whole,
        default=1000,
        metavar="N",
        help="queries of each cell, at most (default: 1000)",
    )
    index.add_argument("--force", action="store_true", help="measure finished cells again")
    index.add_argument("--data-root", default="", metavar="DIR", help="folder of the data files")
    output.add_output(index)
    index.set_defaults(execute=_index)

    choose = commands.add_parser(
        "choose",
        parents=[common],
        help="the best methods, code lengths and indexes within limits of recall, latency and memory",
        description="Show the Pareto set of methods, code lengths and indexes that `bench index` measured, "
        "within limits, and say in a sentence which to take.",
        epilog="example: bench choose --recall 0.9 --latency 5ms --memory 64B",
    )
    _add_source(choose)
    choose.add_argument("--recall", metavar="X", help="least recall of the exact search (default: 0.9)")
    choose.add_argument("--latency", metavar="TIME", help="most time for 99 of 100 queries: 5ms")
    choose.add_argument("--memory", metavar="SIZE", help="most memory of the index per item: 64B")
    choose.add_argument("--k", metavar="K", help="nearest items that count: 1, 10 or 100 (default: 10)")
    output.add_output(choose)
    choose.set_defaults(execute=_report, report="choose", asked=("recall", "latency", "memory", "k"))

    cost = commands.add_parser(
        "cost",
        parents=[common],
        help="what a month costs: bytes, CPU time, rewritten bits",
        description="Extrapolate what a month costs with each method, from the timings of its runs. Every "
        "assumption is printed above the table.",
        epilog="example: bench cost --inserts 1e6/day --queries 100/s",
    )
    _add_source(cost)
    cost.add_argument("--inserts", metavar="RATE", help="items that arrive (default: 1e6/day)")
    cost.add_argument("--queries", metavar="RATE", help="queries that are asked (default: 100/s)")
    cost.add_argument("--rehashes", metavar="RATE", help="re-encodings of all old items (default: 1/day)")
    output.add_output(cost)
    cost.set_defaults(execute=_report, report="cost", asked=("inserts", "queries", "rehashes"))


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", default="", metavar="RESULTS", help="results folder")
    options.add_results(parser)
    options.add_plugin_files(parser)
    add_filters(parser)


def _results(args: argparse.Namespace, *, written: bool = False) -> Results:
    from bench.results import Results
    from bench.storing.store import stale_reasons

    store = options.store_of(args, written=written)
    records = options.without_tuning([r for r in options.records_of(store) if wanted(r.spec, args)])
    return Results(records, stale=stale_reasons(records), arrays=store.arrays, indexes=store.index)


def _index(args: argparse.Namespace) -> int:
    import sys

    from bench.errors import ParameterError, StoreError, UnknownNameError
    from bench.indexing.measure import measure
    from bench.records import no_codes
    from bench.storing.store import Store
    from bench.study.planner import Planner
    from bench.study.study import data_folder, results_folder

    kinds = list(dict.fromkeys(args.index.split(",")))
    for kind in kinds:
        if kind not in _KINDS:
            raise UnknownNameError("kind of index", kind, _KINDS)
    if args.queries < 1:
        raise ParameterError(f"--queries {args.queries}: expected at least 1.")
    results = _results(args, written=True)
    cells = [record for record in results if record.has_codes]
    if not cells:
        raise StoreError(no_codes(results, "index"))
    store, planner = Store(results_folder(args.source or args.results)), Planner()
    for at, record in enumerate(cells, 1):
        earlier = results.index(record)
        known = set() if earlier is None else {search.index for search in earlier.searches}
        if args.force or not known.issuperset(kinds):
            both = [kind for kind in _KINDS if kind in known | set(kinds)]
            root = data_folder(args.data_root)
            kept = store.model(record.spec)
            model = kept if kept.is_file() else None
            made = measure(record, results, planner, root, kinds=both, most=args.queries, model=model)
            print(f"wrote {store.write_index(record, made)} ({at}/{len(cells)})", file=sys.stderr)
    output.give_out([results.but().render("index")], args)
    return 0


def _report(args: argparse.Namespace) -> int:
    chosen = {name: value for name in args.asked if (value := getattr(args, name)) is not None}
    output.give_out([_results(args).render(args.report, **chosen)], args)
    return 0
