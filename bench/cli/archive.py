"""`bench compare`, `bench verify`, `bench merge` and `bench export`: commands on results folders."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.commands import Commands


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    compare = commands.add_parser(
        "compare",
        parents=[common],
        help="compare two results folders, or two commits, over seeds and queries; regressions first",
        epilog="Cells of fewer than three seeds are listed and not judged. "
        "examples: bench compare old new; bench compare HEAD~1 HEAD --path results/reference",
    )
    compare.add_argument("a", metavar="A", help="the older results folder, or git revision")
    compare.add_argument("b", metavar="B", help="the newer results folder, or git revision")
    compare.add_argument("--metric", default="map", metavar="NAME", help="see `bench list metrics`")
    compare.add_argument(
        "--path",
        type=Path,
        default=Path("results/reference"),
        help="results folder inside a git revision (default: %(default)s)",
    )
    options.add_output(compare)
    options.add_plugin_files(compare)
    compare.set_defaults(execute=_compare)

    verify = commands.add_parser(
        "verify",
        parents=[common],
        help="run random stored cells again and compare every bit",
        epilog="example: bench verify results/runs --cells 3",
    )
    verify.add_argument("folder", type=Path, help="a results folder")
    verify.add_argument("--cells", type=int, default=1, metavar="N", help="cells to run again (default: 1)")
    verify.add_argument(
        "--seed", type=int, default=0, metavar="N", help="random seed of the draw (default: 0)"
    )
    _add_data(verify)
    verify.set_defaults(execute=_verify)

    merge = commands.add_parser(
        "merge",
        parents=[common],
        help="merge several results folders into one",
        epilog="example: bench merge mine theirs --into both",
    )
    merge.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    merge.add_argument(
        "--into", type=Path, required=True, metavar="DIR", help="results folder to write to, new or existing"
    )
    merge.set_defaults(execute=_merge)

    export = commands.add_parser(
        "export",
        parents=[common],
        help="export stored results for other tools",
        epilog="example: bench export --to csv",
    )
    options.add_results(export)
    export.add_argument("--to", required=True, choices=["csv", "parquet", "trec", "benchopt"])
    export.add_argument(
        "--out", type=Path, metavar="PATH", help="file, or folder with trec (default: named by format)"
    )
    export.add_argument(
        "--depth",
        type=int,
        metavar="N",
        help="with trec: items per query, 0 for all (default: 1000). Average precision computed from the "
        "files is over this cut and one order of ties, unlike bench's",
    )
    _add_data(export)
    export.set_defaults(execute=_export)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="", metavar="DIR", help="folder of the data files")
    options.add_plugin_files(parser)


def _compare(args: argparse.Namespace) -> int:
    import tempfile

    from bench.archive.compare import compare, folder_of
    from bench.storing.store import Store

    with tempfile.TemporaryDirectory() as scratch:
        a, b = (
            Store(folder_of(text, args.path, Path(scratch) / side))
            for text, side in ((args.a, "A"), (args.b, "B"))
        )
        names = [text if Path(text).is_dir() else f"{text}:{args.path}" for text in (args.a, args.b)]
        table = compare(a, b, args.metric, names=(names[0], names[1]))
    options.give_out([table], args)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from bench.archive.merge import stores
    from bench.archive.verify import verify
    from bench.study.study import data_folder

    [store] = stores([args.folder])
    differ = 0
    for verdict in verify(store, cells=args.cells, seed=args.seed, data_root=data_folder(args.data_root)):
        differ += bool(verdict.differences)
        print(f"{'DIFFERS' if verdict.differences else 'same   '}  {verdict.spec}")
        for line in (*verdict.differences, *verdict.remarks):
            print(f"         {line}")
    return 1 if differ else 0


def _merge(args: argparse.Namespace) -> int:
    from bench.archive.merge import merge, stores
    from bench.storing.store import Store

    copied = merge(stores(args.folders), Store(args.into))
    print(f"{copied} cells copied; {len(Store(args.into).records())} in {args.into}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from bench.archive.export import DEPTH, FORMS, trec_note
    from bench.errors import ParameterError
    from bench.results import Results
    from bench.study.study import data_folder

    if args.depth is not None and args.to != "trec":
        raise ParameterError(f"--depth applies only to --to trec; got --to {args.to}. Leave it out.")
    store = options.store_of(args)
    name, write = FORMS[args.to]
    results = Results(options.records_of(store), arrays=store.arrays)
    depth = DEPTH if args.depth is None else args.depth
    more = {"depth": depth} if args.to == "trec" else {}
    for path in write(results, args.out or Path(name), data_folder(args.data_root), **more):
        print(f"wrote {path}")
    if args.to == "trec":
        print(trec_note(depth))
    return 0
