"""`bench data`: from what the owners distribute to the prepared views that a run reads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.cli.options import Commands
    from bench.contract.card import Card
    from bench.data.inventory import File
    from bench.data.views.source import RawSource
    from bench.study.planned import PlannedData


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    data = commands.add_parser("data", help="get, prepare, check and export datasets of pictures and texts")
    parts = data.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(
        name: str, text: str, execute: Callable[[argparse.Namespace], int], *, named: bool = True
    ) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = parts.add_parser(name, parents=[common], help=text)
        if named:
            parser.add_argument("name", help="a dataset with options: mirflickr25k, 'wiki[variant=...]'")
        parser.add_argument("--data-root", default="", metavar="DIR", help="default: BENCH_DATA, or here")
        options.add_plugin_files(parser)
        parser.set_defaults(execute=execute)
        return parser

    add("list", "datasets, and what is there of each", _list, named=False)
    add("info", "licence, citation, expected files, variants, prepared views", _info)
    get = add("get", "download what has an official address, and unpack it", _get)
    get.add_argument("--all", action="store_true", help="also files that the dataset's options do without")
    _add_prepare(add("prepare", "parse, check and extract views", _prepare))
    add("doctor", "counts, checksums, duplicates, base rate", _doctor)
    export = add("export", "write the prepared features as a bundle", _export)
    export.add_argument("--to", choices=("npz", "mat", "h5"), default="npz")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.npz, here")


def _add_prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--views", default="", metavar="X,Y", help="default: those the dataset's options name"
    )
    parser.add_argument("--device", default="cpu", help="where networks compute: cpu, cuda, cuda:1")
    parser.add_argument(
        "--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 where there is any"
    )
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="items computed together")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that decode pictures")
    parser.add_argument("--anew", action="store_true", help="extract again what is there")


def _root(args: argparse.Namespace) -> Path:
    from bench.study.study import data_folder

    return data_folder(args.data_root)


def _selected(args: argparse.Namespace) -> PlannedData:
    """The dataset on the command line, with its options."""
    from bench.study.planner import Planner

    planner = Planner()
    [(plugin, given)] = planner.select("dataset", [args.name])
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
    from bench.data.views import extractor, prepare
    from bench.data.views.extract import Pace
    from bench.data.views.names import View
    from bench.plugins import fingerprint

    root = _root(args)
    name, source = _raw_source(args)
    wanted = [View.parse(text) for text in args.views.split(",") if text.strip()]
    wanted = list(dict.fromkeys(wanted or source.views().values()))
    setting = extractor.Setting(
        root=root, checkpoints=source.checkpoints, device=args.device, precision=args.precision
    )
    raw = prepare.items(source, root, fingerprint.of_dataset(name))
    print(f"{name}: {len(raw.train)} train and {len(raw.query)} query pairs, {len(raw.classes)} classes")
    for note in prepare.notes(source, root):
        print(f"note: {note}")
    pace = Pace(batch=args.batch, workers=args.workers)
    prepare.views(source, raw, root, wanted, setting, pace, anew=args.anew)
    print(prepare.verdict(source, root))
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
        rows.append((entry.name, title, "" if card is None else _state(card, root / card.name)))
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for name, title, state in rows:
        print(f"{name:{widths[0]}}  {title:{widths[1]}}  {state}".rstrip())
    return 0


def _state(card: Card, home: Path) -> str:
    """What is there of a dataset, in a few words; looks at names only."""
    there = sum((home / file.path).is_file() for file in card.files)
    words = [f"{there} of {len(card.files)} files"] if card.files else []
    prepared = sorted({path.parts[-3] for path in home.glob("views/*/[!.]*/[!.]*/manifest.json")})
    if prepared:
        words.append(f"views {', '.join(prepared)}")
    return "; ".join(words)


def _info(args: argparse.Namespace) -> int:
    data = _selected(args)
    name, source, root, card = data.plugin.name, data.source, data.root, data.source.card
    if card is None:
        print(f"{name}: {registry.docstring(type(source))}\n\nlicence:   {source.licence}")
        return 0
    from bench.data import inventory
    from bench.data.views.source import RawSource

    lines = [f"{name}: {card.title}", registry.docstring(type(source)), ""]
    lines += [f"source:    {page}" for page in card.sources]
    lines += [f"licence:   {card.licence}", f"citation:  {card.citation}"]
    lines += [f"variant:   {key}: {text}{_counts(card, key)}" for key, text in card.variants.items()]
    if not card.variants and "" in card.counts:
        lines.append(f"counts:   {_counts(card, '')}")
    if card.files:
        lines.append(f"\nfiles below {root / card.name}:")
    lines += [_file(file) for file in inventory.files(card, root / card.name)]
    if isinstance(source, RawSource):
        wanted = (f"{role} {view}" for role, view in source.views().items())
        lines.append(f"\nviews of a run: {', '.join(wanted)}")
    for modality, view, manifest in inventory.views(root / card.name):
        size, precision = (
            f"{manifest['rows']} × {manifest['columns']}",
            manifest["about"].get("precision", ""),
        )
        lines.append(f"  prepared  {modality:5}  {view}  {size}  {precision}".rstrip())
    print("\n".join(lines))
    return 0


def _counts(card: Card, variant: str) -> str:
    usual = card.counts.get(variant)
    if usual is None:
        return ""
    shown = [f"{getattr(usual, what)} {what}" for what in usual.__slots__ if getattr(usual, what)]
    return f" ({', '.join(shown)})"


def _file(file: File) -> str:
    from bench.progress import amount

    expected = file.expected
    size = "size unknown" if expected.bytes is None else amount(expected.bytes, "bytes")
    kind, _ = expected.checksum
    known = f"{kind} known" if kind else "no checksum published"
    optional = ", optional" if expected.optional else ""
    optional += f", variant {expected.variant}" if expected.variant else ""
    lines = [f"  {file.state:8}  {expected.path}  ({size}, {known}{optional})"]
    lines += [f"{'':12}{text}" for text in (expected.url, expected.note) if text]
    return "\n".join(lines)


def _get(args: argparse.Namespace) -> int:
    from bench.contract.card import variant_of
    from bench.data import download
    from bench.errors import DataError

    data = _selected(args)
    card, variant = data.source.card, variant_of(data.source)
    if card is None or not card.files:
        raise DataError(f"{data.plugin.name}: names no files to download. See: bench info {data.plugin.name}")
    print(f"{card.title}\nlicence:  {card.licence}\nplease cite:  {card.citation}")
    home, by_hand = data.root / card.name, 0
    for expected in card.files:
        if not args.all and not expected.needed(variant):
            print(f"{expected.path}: left out, not needed by these options; --all gets it")
        elif expected.url or (home / expected.path).is_file() or download.is_unpacked(expected, home):
            print(f"{expected.path}: {download.get(card, expected, home)}", flush=True)
        else:
            by_hand += 1
            print(f"{expected.path}: by hand, to {home / expected.path}: {expected.note or card.sources}")
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
