"""Options that several commands share: those of a study, and where results lie."""

from __future__ import annotations

import argparse
import atexit
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench.protocol.axes import DELAYS, NOISES, REHASHES, UNSEEN
from bench.protocol.stream import POOLS
from bench.records import DATABASES, DIRECTIONS, FORMS, ORDERS
from bench.units import counted

if TYPE_CHECKING:
    from bench.records import RunRecord
    from bench.storing.store import Store
    from bench.study.study import Study

SCHEDULES = {FORMS[order]: text for order, text in ORDERS.items()}
DISTURBANCES = {
    "noise": NOISES,
    "rehash": REHASHES,
    "delay": DELAYS,
    "unseen-classes": UNSEEN,
}  # values of other options that shape a stream
_TEXT = {
    "methods": "methods, with parameters or without: lcdh,ukd or 'lcdh[lambda1=0.1,1],olsh as baseline'",
    "datasets": "datasets, with options or without: synthetic,wiki or 'files[path=mine.npz] as mine'",
    "bits": "code lengths: 16,32,64",
    "seeds": "number of seeds (3 means 0,1,2), or a list of them",
    "schedule": f"order of arrival: {', '.join(SCHEDULES)} (default: the dataset's own)",
    "last": "remainder of the items: merge (into the last chunk) or short (a chunk by itself)",
    "database": f"codes in the database: {', '.join(DATABASES)}",
    "pool": f"items for a method's offline stage: {', '.join(POOLS)}",
    "train": "items that methods are trained on: all, a share (0.5), or a number over the stream (10000)",
    "labelled": "share of training items whose labels methods see: 1, or 0,0.1,1",
    "paired": "share of training items that methods see in both modalities; the others lose one",
    "noise": f"wrong labels of training items: none, {', '.join(NOISES)}",
    "rehash": f"when old items of a reindexed database are encoded again: always, {', '.join(REHASHES)}",
    "delay": "rounds that labels arrive after their items: 0, or 0,1,4",
    "unseen_classes": "share of classes kept out of training, whose items are the queries: 0, or 0,0.25",
    "evaluate": "rounds to evaluate: last, all or every:K",
    "directions": f"query and database modality: {', '.join(DIRECTIONS)} (default i2t,t2i)",
    "device": "device of torch methods: cpu, cuda, cuda:1",
    "data_root": "folder of the data files (default: BENCH_DATA, or the current folder)",
    "results": "results folder (default: BENCH_RESULTS, or results/runs)",
}


def steps() -> list[tuple[str, str]]:
    """The steps of a runbook, each with its meaning."""
    from bench.protocol.runbook import STEPS

    return [(f"  {form}", text) for form, text in STEPS.items()]


def disturbances() -> list[tuple[str, str]]:
    """The options that disturb a stream, with each form of their values and its meaning."""
    listed = DISTURBANCES.items()
    return [(f"--{name} {form}", text) for name, forms in listed for form, text in forms.items()]


def whole(text: str) -> int:
    """The type of an option that is a whole number."""
    from bench.contract.params import number

    try:
        return int(number(text, int))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a whole number; got {text!r}") from error


def add_study(parser: argparse.ArgumentParser, *, of_method: bool = False) -> None:
    """Add the options of a study, which override the study file.

    ``of_method``: the command takes one method in place of the study file.
    """
    text = "study file (TOML) with these options as keys"
    if of_method:
        parser.add_argument("method", help="a method, with parameters or without: 'lcdh[teacher_epochs=5]'")
        parser.add_argument("--study", type=Path, metavar="FILE", help=text)
    else:
        parser.add_argument("study", nargs="?", type=Path, help=text)
    group = parser.add_argument_group("what to run")
    for name, text in _TEXT.items():
        if of_method and name == "methods":
            continue
        group.add_argument(f"--{name.replace('_', '-')}", metavar="X", help=text)
    group.add_argument("--val", type=whole, metavar="N", help="use N training items as queries, for tuning")
    add_plugin_files(group)
    add_yes(group)


def add_yes(parser: argparse._ActionsContainer) -> None:
    """Add --yes, which ``bench.cli.main`` reads."""
    parser.add_argument(
        "--yes", action="store_true", help="load the plugin files that the study names without asking"
    )


def add_shard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shard", metavar="I/N", help="only part I of N parts that divide the study, such as 1/4"
    )


def study_of(args: argparse.Namespace, **changes: object) -> Study:
    """The study that the options and the study file describe, with ``changes``."""
    from bench.study.study import Study

    study = Study.make(args.study, **(given(args) | changes))
    if args.device:
        _check_device(study)
    return study


def _check_device(study: Study) -> None:
    """Raise ParameterError where --device would change nothing."""
    from bench.errors import ParameterError
    from bench.study import selectors

    study.add_plugins()
    methods = {one.plugin.name: one.plugin for one in selectors.expand("method", study.methods)}
    if not any("device" in plugin.parameters for plugin in methods.values()):
        raise ParameterError(
            f"--device {study.device} applies only to methods with a parameter device; expected one besides "
            f"{', '.join(methods)}. Leave it out."
        )


def given(args: argparse.Namespace) -> dict[str, object]:
    """The options of a study on the command line; None where one is not given."""
    names = (*_TEXT, "val", "jobs", "threads", "backend", "scheduler", "shard")
    return {name: getattr(args, name, None) for name in names}


def check_places(args: argparse.Namespace) -> None:
    """Raise ParameterError for a path that is an address, before anything runs."""
    from bench.disk import places

    for name, value in vars(args).items():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, Path):
                places.local(path, f"argument {name}")


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", default="", metavar="DIR", help=_TEXT["results"])


def store_of(args: argparse.Namespace, *, written: bool = False) -> Store:
    """The store of the results folder, or of the archive, which must exist.

    ``written``: the command changes it, so an archive does not do.
    """
    from bench.archive.unpack import opened
    from bench.errors import StoreError
    from bench.storing.store import Store
    from bench.study.study import results_folder

    folder = results_folder(getattr(args, "source", "") or args.results)
    if folder.is_file() and not written:
        scratch = ExitStack()
        atexit.register(scratch.close)
        return Store(scratch.enter_context(opened(folder)), str(folder))
    if not folder.is_dir():
        fact = "is no folder" if folder.exists() else "does not exist"
        raise StoreError(f"results folder {folder} {fact}. Run `bench run` first, or give --results.")
    return Store(folder)


def add_items(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the database items that scores are over."""
    parser.add_argument(
        "--items",
        choices=("unseen", "trained", "all"),
        default="unseen",
        help="database items to score, in cells with train below all (default: unseen)",
    )


def add_plugin_files(parser: argparse._ActionsContainer) -> None:
    """Add --plugin, which ``bench.cli.main`` reads; a study file may name more files."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE,...",
        dest="plugin_files",
        help="your own Python files with a method, dataset, report, metric or encoder; may be repeated",
    )


def plugin_paths(texts: Sequence[str]) -> list[Path]:
    """The files of every ``--plugin a.py,b.py``; a path may have commas, since a file ends in ``.py``."""
    return [Path(path) for text in texts for path in re.split(r"(?<=\.py),", text) if path]


def plugin_of(text: str) -> tuple[str, str]:
    """Kind and name of the plugin that ``lcdh[lambda1=1]``, ``map@50`` or ``bow:20`` asks for."""
    from bench.errors import UnknownNameError
    from bench.plugins import registry

    name = re.split(r"[\[@:]|\s+as\s", text)[0]
    known = {kind: registry.names(kind) for kind in registry.KINDS}
    for kind, names in known.items():
        if name in names:
            return kind, name
    if "@" in text:
        from bench.metrics import canonical

        if (plain := canonical(text)) != text:  # as a paper writes it
            return plugin_of(plain)
    raise UnknownNameError("plugin", name, {name for names in known.values() for name in names})


def records_of(store: Store) -> list[RunRecord]:
    """Every stored record; those left out are reported."""
    records = store.records()
    report_faults(store)
    return records


def without_tuning(records: list[RunRecord]) -> list[RunRecord]:
    """The records without those on validation queries, as of `bench tune`; all if there are no others."""
    kept = [record for record in records if not record.spec.val]
    if not kept or len(kept) == len(records):
        return records
    left_out = counted(len(records) - len(kept), "cell")
    print(f"bench: left out {left_out} on validation queries", file=sys.stderr)
    return kept


def report_faults(store: Store) -> None:
    """Print which records of a store were left out, and why."""
    for line in store.left_out():
        print(line if line.startswith(" ") else f"bench: {line}", file=sys.stderr)
