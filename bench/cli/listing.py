"""`bench list` and `bench info`."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.cli import options, output
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.contract.method import Capabilities
    from bench.contract.params import Parameter
    from bench.study.planned import PlannedData

PLUGINS = {folder: kind for kind, folder in registry.KINDS.items()}


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    listing = commands.add_parser(
        "list", parents=[common], help="list what is available", epilog="example: bench list methods"
    )
    listing.add_argument("what", choices=[*PLUGINS, "schedules"])
    output.add_json(listing)
    options.add_plugin_files(listing)
    listing.set_defaults(execute=_list)

    info = commands.add_parser(
        "info",
        parents=[common],
        help="describe one method, dataset, report, metric or encoder",
        epilog="examples: bench info lcdh; bench info 'files[path=mine.npz]'; bench info map",
    )
    info.add_argument("name", help="a name that `bench list` shows; a dataset may have options")
    info.add_argument(
        "--data-root",
        default="",
        metavar="DIR",
        help="folder of the data files, for a dataset that needs them",
    )
    output.add_json(info)
    options.add_plugin_files(info)
    info.set_defaults(execute=_info)


def _list(args: argparse.Namespace) -> int:
    if args.what == "schedules":
        rows = [*options.SCHEDULES.items(), *options.steps(), *options.disturbances()]
    elif args.what == "metrics":
        rows = [row for entry in registry.listings("metric") for row in _metric_rows(entry)]
    else:
        rows = [_row(entry) for entry in registry.listings(PLUGINS[args.what])]
    if args.json:
        output.print_json([{"name": name, "summary": text} for name, text in rows])
        return 0
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def _row(entry: registry.Listing) -> tuple[str, str]:
    return entry.name, (f"BROKEN: {entry.broken}" if entry.broken else entry.summary) + _origin(entry)


def _origin(entry: registry.Listing) -> str:
    return "" if entry.origin == "built-in" else f" ({entry.origin})"


def _metric_rows(entry: registry.Listing) -> Iterator[tuple[str, str]]:
    """A metric and its variants, in the forms in which they are requested."""
    from bench.errors import BenchError
    from bench.metrics import declared

    try:
        found = () if entry.broken else declared(entry.name)
    except BenchError as error:
        found, entry = (), dataclasses.replace(entry, broken=str(error))
    yield from ((metric.form, metric.description + _origin(entry)) for metric in found)
    if entry.broken:
        yield _row(entry)


def _info(args: argparse.Namespace) -> int:
    kind, name = options.plugin_of(args.name)
    if args.json:
        output.print_json(_described(kind, name))
        return 0
    if kind == "dataset":
        return _dataset(args)
    describe = {"method": _method, "report": _report, "metric": _metric, "encoder": _encoder}
    print("\n".join(describe[kind](name)))
    return 0


def _described(kind: str, name: str) -> dict[str, Any]:
    """A plugin for scripts: its kind, name, file, description and parameters."""
    from bench.contract.params import parameters
    from bench.isolation import declarations
    from bench.reporting.options import declared

    [entry] = [entry for entry in registry.listings(kind) if entry.name == name]
    known: Mapping[str, Parameter] = {}
    doc = entry.summary
    if kind != "metric":
        plugin = declarations.method(name) if kind == "method" else registry.get(kind, name)
        doc = registry.docstring(plugin)
        known = declared(name) if kind == "report" else parameters(plugin)
    shown = [
        {"name": p.name, "default": p.default, "expects": p.expects, "doc": p.doc} for p in known.values()
    ]
    about = {"kind": kind, "name": name, "origin": entry.origin, "file": entry.path, "doc": doc}
    return {**about, "parameters": shown}


def _metric(name: str) -> list[str]:
    from bench.metrics import declared

    lines = []
    for metric in declared(name):
        better = "higher" if metric.higher_is_better else "lower"
        source = "the order of the database" if metric.ordered else "stored histograms"
        doc = inspect.getdoc(metric.compute) or ""
        lines += [f"{metric.form}: {doc}", f"  {better} is better; computed from {source}", ""]
    return lines[:-1]


def _encoder(name: str) -> list[str]:
    from bench.contract.params import parameters

    cls = registry.get("encoder", name)
    known = parameters(cls, without=())
    required = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
    form = name + "".join(f":{a.upper()}" if a in required else f"[:{a.upper()}]" for a in known)
    lines = [
        f"{form}: a view of {' and '.join(f'{m}s' for m in cls.modalities)}",
        "",
        registry.docstring(cls),
    ]
    return lines + (["", "arguments:", *_parameters(known)] if known else [])


def _method(name: str) -> list[str]:
    from bench.contract.method import fidelity
    from bench.contract.params import parameters
    from bench.isolation import declarations

    cls = declarations.method(name)
    source = cls.source
    lines = [f"{name}: {fidelity(cls, {})}", "", registry.docstring(cls), ""]
    if source.paper:
        lines.append(f"source:        {source.paper}")
    if source.note:
        lines.append(f"note:          {source.note}")
    lines.append(f"capabilities:  {_capabilities(cls.capabilities)}")
    if cls.presets:
        lines.append(f"presets:       {', '.join(sorted(cls.presets))}")
    lines += ["parameters:    (bits and seed are set by the run)", *_parameters(parameters(cls))]
    if cls.variants:
        lines.append("variants:      (`bench ablate` runs them)")
        width = max(map(len, cls.variants))
        lines += [f"  {name:{width}}  {variant}" for name, variant in cls.variants.items()]
    return lines


def _capabilities(needs: Capabilities) -> str:
    from bench.records import DISTANCES

    words = ["offline: refitted on all seen so far" if needs.offline else "online"]
    if not needs.supervised:
        words.append("unsupervised")
    else:
        words.append("supervised, also without labels" if needs.label_free else "supervised")
    if needs.views:
        words.append(f"trains on views {', '.join(needs.views)}")
    if needs.encodes:
        words.append(f"hashes the view {needs.encodes}, also of queries")
    if needs.distance != "hamming":
        words.append(f"ranks by {DISTANCES[needs.distance]} ({needs.distance})")
    raw = [name for name in ("pictures", "texts", "class_names", "parents") if getattr(needs, name)]
    if raw:
        words.append(f"reads {', '.join(raw).replace('_', ' ')}")
    if needs.validation:
        words.append(f"sets {needs.validation:.0%} of each chunk aside for validation")
    if needs.resumes:
        words.append("goes on inside a training after a kill")
    if needs.forgets:
        words.append("can forget deleted items")
    if needs.pool:
        words.append("has an offline stage (--pool)")
    if needs.scaled or needs.lengths:
        words.append("depends on the scale of the features")
    words.append("assigns database codes (--database learned)" if needs.learned_codes else "no learned codes")
    return "; ".join(words)


def _report(name: str) -> list[str]:
    from bench.reporting.options import declared

    [summary] = [listing.summary for listing in registry.listings("report") if listing.name == name]
    lines = [f"{name}: {summary}", "", registry.docstring(registry.get("report", name)), ""]
    options = _parameters(declared(name))
    return [
        *lines,
        f"options:       (`bench table --report {name} --option NAME=VALUE`)" if options else "no options",
        *options,
    ]


def _parameters(known: Mapping[str, Parameter]) -> list[str]:
    rows = [(p.name, str(p.default), p.expects, p.doc) for p in known.values()]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return [f"  {n:{widths[0]}}  {d:{widths[1]}}  {e:{widths[2]}}  {doc}".rstrip() for n, d, e, doc in rows]


def _dataset(args: argparse.Namespace) -> int:
    """Print a dataset's description and statistics; 2 where its files cannot be read."""
    from bench.data.describe import describe
    from bench.errors import DataError
    from bench.study.planner import Planner
    from bench.study.study import data_folder

    planner = Planner()
    [(plugin, given, _)] = planner.select("dataset", [args.name])
    cls = plugin.cls
    lines = [f"{plugin.name}: {registry.docstring(cls)}", ""]
    for title, text in (("citation", cls.citation), ("licence", cls.licence), ("schedule", cls.schedule)):
        if text:
            lines.append(f"{title + ':':14} {text}")
    options = _parameters(plugin.parameters)
    lines += ["options:", *options, ""] if options else ["no options", ""]
    print("\n".join(lines))
    data = planner.data(plugin.name, given, data_folder(args.data_root))
    try:
        dataset = data.dataset
    except DataError as error:
        print(f"no statistics: {error}")
        return (
            2 if {"path", "bundle"} & given.keys() or _has_files(data) else 0
        )  # it can be described before its files exist
    print("\n".join([*(f"note: {note}" for note in dataset.notes), str(describe(dataset))]))
    return 0


def _has_files(data: PlannedData) -> bool:
    """Whether any file of a dataset exists below the data root."""
    from bench.errors import DataError

    try:
        return any(path.is_file() for path in data.source.files(data.root))
    except DataError:
        names = (data.plugin.name, *getattr(data.source, "aliases", ()))  # those of its bundles too
        below = data.root.iterdir() if data.root.is_dir() else ()
        named = (path for path in below if path.name.lower().startswith(names))
        return any(path.is_file() or any(path.iterdir()) for path in named)
