"""`bench data`: from the files that a dataset's owners distribute to the prepared views that a run reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.contract.card import Card
    from bench.data.inventory import File
    from bench.data.views.source import RawSource
    from bench.study.planned import PlannedData


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    text = "download, prepare, inspect and export datasets"
    data = commands.add_parser("data", help=text, epilog="example: bench data prepare mirflickr25k")
    parts = data.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, text: str, execute: Callable[[argparse.Namespace], int], example: str = ""
    ) -> argparse.ArgumentParser:
        shown = f"example: bench data {name} {example}".rstrip()
        parser: argparse.ArgumentParser = parts.add_parser(
            name, parents=[common], help=text, description=text, epilog=shown
        )
        if example:
            parser.add_argument(
                "name", help="a dataset, with or without options: wiki, 'wiki[features=views]'"
            )
        parser.add_argument(
            "--data-root",
            default="",
            metavar="DIR",
            help="folder of the data files (default: BENCH_DATA, or the current folder)",
        )
        options.add_plugin_files(parser)
        parser.set_defaults(execute=execute)
        return parser

    add("list", "list all datasets with their files and views on this disk", _list)
    add("info", "show licence, citation, expected files, variants and prepared views", _info, "mirflickr25k")
    get = add("get", "download and unpack the files that have an official address", _get, "mirflickr25k")
    get.add_argument("--all", action="store_true", help="include files that these options do not need")
    text = "parse pictures and texts, and extract their views"
    _add_prepare(add("prepare", text, _prepare, "mirflickr25k --views vgg16,bow"))
    add(
        "doctor", "report wrong files, unusual counts, duplicates and other problems", _doctor, "mirflickr25k"
    )
    export = add("export", "write the features to one file, as a bundle", _export, "wiki --to h5")
    export.add_argument("--to", choices=("npz", "mat", "h5"), default="npz", help="format (default: npz)")
    export.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write (default: NAME.FORMAT in the current folder)"
    )


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--views",
        default="",
        metavar="X,Y",
        help="views to extract (default: those in the dataset's options)",
    )
    parser.add_argument("--device", default="cpu", help="where networks compute: cpu, cuda, cuda:1")
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="how networks compute; auto: bf16 if the device has it, else fp32",
    )
    parser.add_argument(
        "--batch", type=options.whole, default=32, metavar="N", help="items per batch (default: 32)"
    )
    parser.add_argument(
        "--workers",
        type=options.whole,
        default=0,
        metavar="N",
        help="processes that decode pictures (default: 0, only this one)",
    )
    parser.add_argument("--anew", action="store_true", help="extract views again even if they are prepared")


def _root(args: argparse.Namespace) -> Path:
    from bench.study.study import data_folder

    return data_folder(args.data_root)


def _selected(args: argparse.Namespace) -> PlannedData:
    """The dataset on the command line, with its options."""
    from bench.study.planner import Planner

    planner = Planner()
    [(plugin, given, _)] = planner.select("dataset", [args.name])
    return planner.data(plugin.name, given, _root(args))


def _raw_source(args: argparse.Namespace) -> tuple[str, RawSource]:
    """Name and source of the dataset on the command line, which must have pictures and texts."""
    from bench.data.views.source import RawSource
    from bench.errors import DataError

    data = _selected(args)
    name, source = data.plugin.name, data.source
    if not isinstance(source, RawSource):
        raise DataError(
            f"{name}: has features and no pictures or texts; there is nothing to prepare. Run: bench run "
            f"--datasets {name}"
        )
    return name, source


def _prepare(args: argparse.Namespace) -> int:
    from bench.contract.encoder import Setting
    from bench.data.views import prepare, readiness
    from bench.data.views.extract import Pace
    from bench.data.views.names import View
    from bench.errors import ParameterError
    from bench.plugins import fingerprint

    root = _root(args)
    name, source = _raw_source(args)
    wanted = [View.parse(text) for text in args.views.split(",") if text.strip()]
    if args.views and not wanted:
        raise ParameterError(f"--views {args.views!r} names no view. Leave it out, or write --views hog,bow.")
    wanted = list(dict.fromkeys(wanted or source.views().values()))
    setting = Setting(root=root, checkpoints=source.checkpoints, device=args.device, precision=args.precision)
    if args.device != "cpu":
        setting.check_device()  # also where all views are prepared
    raw = prepare.items(source, root, fingerprint.of_dataset(name))
    print(f"{name}: {len(raw.train)} train and {len(raw.query)} query pairs, {len(raw.classes)} classes")
    unusual = prepare.differences(source, raw)
    for note in prepare.notes(source, root):
        print(f"note: {note}" if note not in unusual else f"WARNING, unlike the published dataset: {note}")
    pace = Pace(batch=args.batch, workers=args.workers)
    prepare.views(source, raw, root, wanted, setting, pace, anew=args.anew)
    for line in readiness.report(source, root, wanted):
        print(line)
    return 0


def _list(args: argparse.Namespace) -> int:
    root = _root(args)
    rows = []
    for entry in registry.listings("dataset"):
        if entry.broken:
            rows.append((entry.name, f"BROKEN: {entry.broken}", ""))
            continue
        card = registry.get("dataset", entry.name).card
        title = entry.summary if card is None else card.title
        rows.append((entry.name, title, "" if card is None else _on_disk(card, root / card.name)))
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for name, title, on_disk in rows:
        print(f"{name:{widths[0]}}  {title:{widths[1]}}  {on_disk}".rstrip())
    return 0


def _on_disk(card: Card, home: Path) -> str:
    """How many files of the card exist, missing optional ones aside, and which views are prepared."""
    from bench.data import inventory

    states = [f.state for f in inventory.files(card, home) if f.state != "missing" or not f.expected.optional]
    present = len(states) - states.count("missing")
    parts = [f"{present} of {len(states)} files"] if states else []
    prepared = sorted({path.parts[-3] for path in home.glob("views/*/[!.]*/[!.]*/manifest.json")})
    if prepared:
        parts.append(f"views {', '.join(prepared)}")
    return "; ".join(parts)


def _info(args: argparse.Namespace) -> int:
    data = _selected(args)
    name, source, root, card = data.plugin.name, data.source, data.root, data.source.card
    if card is None:
        print(f"{name}: {registry.docstring(type(source))}\n\nlicence:   {source.licence or 'not stated'}")
        return 0
    from bench.data import inventory
    from bench.data.views.source import RawSource

    lines = [f"{name}: {card.title}", registry.docstring(type(source)), ""]
    lines += [f"source:    {page}" for page in card.sources]
    lines += [f"licence:   {card.licence}", f"citation:  {card.citation}"]
    for key, text in card.variants.items():
        counts = _counts(card, key)
        lines.append(f"variant:   {key}: {text}" + (f" ({counts})" if counts else ""))
    if not card.variants and "" in card.counts:
        lines.append(f"counts:    {_counts(card, '')}")
    if card.files:
        lines.append(f"\nfiles below {root / card.name}:")
    listed = [*inventory.files(card, root / card.name)]
    after = [file.expected.note for file in listed[1:]] + [""]
    lines += [_file(file, last=file.expected.note != note) for file, note in zip(listed, after, strict=True)]
    if isinstance(source, RawSource):
        wanted = (f"{role} {view}" for role, view in source.views().items())
        lines.append(f"\nviews that a run uses: {', '.join(wanted)}")
    for modality, view, manifest in inventory.views(root / card.name):
        size = f"{manifest['rows']} × {manifest['columns']}"
        precision = manifest["about"].get("precision", "")
        lines.append(f"  prepared  {modality:5}  {view}  {size}  {precision}".rstrip())
    print("\n".join(lines))
    return 0


def _counts(card: Card, variant: str) -> str:
    published = card.counts.get(variant)
    if published is None:
        return ""
    shown = [f"{getattr(published, what)} {what}" for what in published.__slots__ if getattr(published, what)]
    return ", ".join(shown)


def _file(file: File, *, last: bool) -> str:
    """A file and its state; its note, which files in a row may share, if it is the ``last`` of them."""
    from bench.progress import amount

    expected = file.expected
    size = "size unknown" if expected.bytes is None else amount(expected.bytes, "bytes")
    kind, _ = expected.checksum
    http = ", unchecked over http" if expected.url.startswith("http:") else ""
    known = f"{kind} published" if kind else f"no checksum published{http}"
    optional = ", optional" if expected.optional else ""
    optional += f", variant {expected.variant}" if expected.variant else ""
    lines = [f"  {file.state:8}  {expected.path}  ({size}, {known}{optional})"]
    lines += [f"{'':12}{text}" for text in (expected.url, last and expected.note) if text]
    return "\n".join(lines)


def _get(args: argparse.Namespace) -> int:
    from bench.contract.card import variant_of
    from bench.data import download
    from bench.errors import DataError

    data = _selected(args)
    card, variant = data.source.card, variant_of(data.source)
    if card is None or not card.files:
        raise DataError(f"{data.plugin.name}: lists no files to download. Run: bench info {data.plugin.name}")
    print(f"{card.title}\nlicence:  {card.licence}\nplease cite:  {card.citation}")
    home, by_hand = data.root / card.name, 0
    for expected in card.files:
        if not args.all and not expected.needed(variant):
            print(f"{expected.path}: skipped, not needed with these options; --all downloads it")
        elif expected.url or (home / expected.path).is_file() or download.is_unpacked(expected, home):
            print(f"{expected.path}: {download.get(card, expected, home)}", flush=True)
        else:
            by_hand += 1
            how = expected.note or f"see {' or '.join(card.sources)}"
            print(f"{expected.path}: cannot be downloaded; save it as {home / expected.path} ({how})")
    return 1 if by_hand else 0


def _doctor(args: argparse.Namespace) -> int:
    from bench.data import inventory

    data = _selected(args)
    print(data.plugin.name)
    findings = inventory.findings(data.source, data.root)
    for finding in findings:
        print(f"  {finding.level:4}  {finding.topic}: {finding.text}")
    return 1 if any(finding.level == "FAIL" for finding in findings) else 0


def _export(args: argparse.Namespace) -> int:
    from bench.data import bundle

    data = _selected(args)
    path = args.out or Path(f"{data.plugin.name}.{args.to}")
    shapes = bundle.write(data.dataset, path, args.to)
    for variable, shape in shapes.items():
        print(f"{variable}: {' × '.join(map(str, shape))}")
    print(f"wrote {path}")
    return 0
