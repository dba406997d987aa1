"""`bench list` and `bench info`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.cli import options
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.cli.options import Commands
    from bench.contract.method import Capabilities
    from bench.contract.params import Parameter

PLUGINS = {"methods": "method", "datasets": "dataset", "reports": "report"}


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    listing = commands.add_parser("list", parents=[common], help="what there is, by name; imports no plugin")
    listing.add_argument("what", choices=[*PLUGINS, "schedules", "metrics"])
    options.add_plugin_files(listing)
    listing.set_defaults(execute=_list)

    info = commands.add_parser("info", parents=[common], help="all about one method or dataset")
    info.add_argument("name", help="a method, or a dataset with options: lcdh, wiki, 'files[path=mine.npz]'")
    info.add_argument("--data-root", default="", metavar="DIR", help="to describe a dataset that needs files")
    options.add_plugin_files(info)
    info.set_defaults(execute=_info)


def _list(args: argparse.Namespace) -> int:
    if args.what == "schedules":
        rows = list(options.SCHEDULES.items())
    elif args.what == "metrics":
        from bench.metrics import METRICS

        rows = [(metric.form, metric.description) for metric in METRICS.values()]
    else:
        rows = [_row(entry) for entry in registry.listings(PLUGINS[args.what])]
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"{name:{width}}  {text}")
    return 0


def _row(entry: registry.Listing) -> tuple[str, str]:
    origin = "" if entry.origin == "built-in" else f" ({entry.origin})"
    return entry.name, (f"BROKEN: {entry.broken}" if entry.broken else entry.summary) + origin


def _info(args: argparse.Namespace) -> int:
    from bench.errors import UnknownNameError

    name = args.name.partition("[")[0]
    if name in registry.names("method"):
        print("\n".join(_method(name)))
    elif name in registry.names("dataset"):
        print("\n".join(_dataset(args)))
    else:
        raise UnknownNameError(
            "method or dataset", name, registry.names("method") + registry.names("dataset")
        )
    return 0


def _method(name: str) -> list[str]:
    from bench.contract.method import fidelity
    from bench.contract.params import parameters

    cls = registry.get("method", name)
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
    words = ["offline: refitted on all seen so far" if needs.offline else "online"]
    if not needs.supervised:
        words.append("unsupervised")
    else:
        words.append("supervised, also without labels" if needs.label_free else "supervised")
    if needs.views:
        words.append(f"trains on views {', '.join(needs.views)}")
    if needs.encodes:
        words.append(f"hashes the view {needs.encodes}, also of queries")
    if needs.pool:
        words.append("has an offline stage (--pool)")
    words.append("assigns database codes (--database learned)" if needs.learned_codes else "no learned codes")
    return "; ".join(words)


def _parameters(known: Mapping[str, Parameter]) -> list[str]:
    rows = [(p.name, str(p.default), p.expects, p.doc) for p in known.values()]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    return [f"  {n:{widths[0]}}  {d:{widths[1]}}  {e:{widths[2]}}  {doc}".rstrip() for n, d, e, doc in rows]


def _dataset(args: argparse.Namespace) -> list[str]:
    from bench.data.describe import describe
    from bench.errors import DataError
    from bench.study.planner import Planner
    from bench.study.study import data_folder

    planner = Planner()
    [(plugin, given)] = planner.select("dataset", [args.name])
    cls = plugin.cls
    lines = [f"{plugin.name}: {registry.docstring(cls)}", ""]
    for title, text in (("citation", cls.citation), ("licence", cls.licence), ("schedule", cls.schedule)):
        if text:
            lines.append(f"{title + ':':14} {text}")
    lines += ["options:", *_parameters(plugin.parameters), ""]
    try:
        dataset = planner.data(plugin.name, given, data_folder(args.data_root)).dataset
    except DataError as error:  # what it is can be told before its files are there
        return [*lines, f"no statistics: {error}"]
    return [*lines, *(f"note: {note}" for note in dataset.notes), str(describe(dataset))]
