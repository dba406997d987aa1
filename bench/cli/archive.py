"""`bench compare`, `verify`, `publish`, `merge` and `export`: entire results folders."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options, output
from bench.units import counted

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.results import Results

_SCORES = ("csv", "parquet", "trec", "benchopt")  # forms of `bench export`
_CODES = ("npy", "faiss", "usearch", "milvus", "pgvector")


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
    options.add_items(compare)
    output.add_output(compare)
    options.add_plugin_files(compare)
    compare.set_defaults(execute=_compare)

    verify = commands.add_parser(
        "verify",
        parents=[common],
        help="check that stored results follow from their arrays, and rerun some",
        epilog="examples: bench verify study.zip; bench verify results/reference --rerun 3",
    )
    verify.add_argument("folder", type=Path, help="a results folder, or an archive by bench publish")
    verify.add_argument(
        "--rerun", type=options.whole, metavar="N", help="run N random cells again and compare every bit"
    )
    verify.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="seed of the draw (default: 0)"
    )
    output.add_json(verify)
    _add_data(verify)
    verify.set_defaults(execute=_verify)

    publish = commands.add_parser(
        "publish",
        parents=[common],
        help="put a study into one archive that anybody can check",
        epilog="example: bench publish results/mine --study mine.toml --plugin mine.py --to study.zip",
    )
    publish.add_argument("folder", type=Path, help="a results folder")
    publish.add_argument("--to", type=Path, required=True, metavar="FILE.zip", help="archive to write")
    publish.add_argument("--study", type=Path, metavar="FILE", help="study file to include")
    publish.add_argument("--by", default="", metavar="NAME", help="who publishes it, for `bench leaderboard`")
    options.add_plugin_files(publish)
    publish.set_defaults(execute=_publish)

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
        help="export stored results, or the codes of databases, for other tools",
        epilog="examples: bench export --to csv; bench export --to faiss --index ivf --out indexes",
    )
    options.add_results(export)
    export.add_argument(
        "--to",
        required=True,
        choices=[*_SCORES, *_CODES],
        help=f"scores: {', '.join(_SCORES)}; codes of the databases, with ids: {', '.join(_CODES)}, or "
        "parquet with --codes",
    )
    export.add_argument("--codes", action="store_true", help="with parquet: codes in place of scores")
    export.add_argument(
        "--index",
        choices=["flat", "ivf", "hnsw", "hash", "multihash"],
        help="with faiss: the kind of index (default: flat)",
    )
    export.add_argument(
        "--out", type=Path, metavar="PATH", help="file, or folder with trec and codes (default: by format)"
    )
    export.add_argument(
        "--depth",
        type=options.whole,
        metavar="N",
        help="with trec: items per query, 0 for all (default: 1000). Average precision computed from the "
        "files is over this cut and one order of ties, unlike bench's",
    )
    options.add_items(export)
    _add_data(export)
    export.set_defaults(execute=_export)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-root", default="", metavar="DIR", help="folder of the data files")
    options.add_plugin_files(parser)


def _compare(args: argparse.Namespace) -> int:
    import tempfile

    from bench.archive.compare import compare, folder_of
    from bench.metrics import canonical
    from bench.storing.store import Store

    with tempfile.TemporaryDirectory() as scratch:
        a, b = (
            Store(
                folder_of(text, args.path, Path(scratch) / side),
                text if Path(text).is_dir() else f"{text}:{args.path}",
            )
            for text, side in ((args.a, "A"), (args.b, "B"))
        )
        table = compare(a, b, canonical(args.metric), args.items)
        for store in (a, b):
            options.report_faults(store)
    output.give_out([table], args)
    return 0


def _verify_json(args: argparse.Namespace) -> int:
    """The same for scripts; the exit code says it, too."""
    from bench.archive import unpack, verify
    from bench.storing.store import Store
    from bench.study.study import data_folder

    with unpack.opened(args.folder) as folder:
        store = Store(folder)
        checked, again = verify.check(store), []
        if args.rerun is not None:
            root = data_folder(args.data_root)
            again = list(verify.rerun(store, cells=args.rerun, seed=args.seed, data_root=root))
    sound = checked.sound and not any(verdict.differences for verdict in again)
    rerun = [
        {"cell": str(v.spec), "key": v.spec.key, "differences": v.differences, "remarks": v.remarks}
        for v in again
    ]
    output.print_json({"sound": sound, **asdict(checked), "rerun": rerun})
    return 0 if sound else 1


def _verify(args: argparse.Namespace) -> int:
    from bench.archive import unpack, verify
    from bench.storing.store import Store
    from bench.study.study import data_folder

    if args.json:
        return _verify_json(args)
    with unpack.opened(args.folder) as folder:
        if folder != args.folder:
            print(f"all files match the manifest of {args.folder}")
        store = Store(folder)
        checked = verify.check(store)
        for name, reason in {**checked.faults, **checked.beside}.items():
            print(f"FAULT    {name}: {reason}")
        for text in checked.disagreements:
            print(f"FAULT    {text}")
        for name, reason in checked.damaged.items():
            print(f"DAMAGED  data of {name}: {reason}. The next run repairs or refuses them")
        for metric, cells in checked.unchecked.items():
            print(f"         {metric} of {cells} cells does not follow from counts; --rerun checks it")
        print(f"{checked.passed} records follow from their arrays, {len(checked.faults)} do not")
        sound = checked.sound
        if args.rerun is not None:
            root = data_folder(args.data_root)
            for verdict in verify.rerun(store, cells=args.rerun, seed=args.seed, data_root=root):
                sound &= not verdict.differences
                print(f"{'DIFFERS' if verdict.differences else 'same   '}  {verdict.spec}")
                for line in (*verdict.differences, *verdict.remarks):
                    print(f"         {line}")
    return 0 if sound else 1


def _publish(args: argparse.Namespace) -> int:
    from bench.archive.merge import stores
    from bench.archive.publish import publish

    [store] = stores([args.folder])
    done = publish(store, args.to, study=args.study, by=args.by)
    print(f"wrote {args.to}: {counted(done.cells, 'cell')}, {done.size / 1e6:.1f} MB, SHA-256 {done.digest}")
    if done.stale:
        print(f"         {done.stale} of them are stale: other code than the installed made them")
    return 0


def _merge(args: argparse.Namespace) -> int:
    from bench.archive.merge import merge, stores
    from bench.storing.store import Store

    sources, target = stores(args.folders), Store(args.into)
    copied = merge(sources, target)
    for store in sources:
        options.report_faults(store)
    print(f"{counted(copied, 'cell')} copied; {len(target.records())} in {args.into}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from bench.archive.export import DEPTH, FORMS, trec_note
    from bench.errors import ParameterError, StoreError
    from bench.results import Results
    from bench.study.study import data_folder

    for option, form in (("depth", "trec"), ("index", "faiss"), ("codes", "parquet")):
        if getattr(args, option) not in (None, False) and args.to != form:
            raise ParameterError(f"--{option} applies only to --to {form}; got --to {args.to}. Leave it out.")
    store = options.store_of(args)
    results = Results(options.records_of(store), arrays=store.arrays, items=args.items)
    if not results.records:
        raise StoreError(f"results folder {store.title} has no cells to export. Run `bench run` first.")
    if args.codes or args.to in _CODES:
        return _export_codes(results, args)
    name, write = FORMS[args.to]
    depth = DEPTH if args.depth is None else args.depth
    more = {"depth": depth} if args.to == "trec" else {}
    for path in write(results, args.out or Path(name), data_folder(args.data_root), **more):
        print(f"wrote {path}")
    if args.to == "trec":
        print(trec_note(depth))
    return 0


def _export_codes(results: Results, args: argparse.Namespace) -> int:
    from bench.archive import codes
    from bench.study.study import data_folder

    chosen = {} if args.index is None else {"index": args.index}
    for one in codes.code_sets(results, data_folder(args.data_root)):
        for path in codes.export(one, codes.FORMS[args.to], args.out or Path("codes"), **chosen):
            print(f"wrote {path}")
    return 0
