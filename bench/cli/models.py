"""`bench models` and `bench encode`: trained methods that hash new items."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.contract.items import Modality


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    models = commands.add_parser(
        "models",
        parents=[common],
        help="list the trained models of a results folder, and the features that they expect",
        epilog="example: bench models --results results/runs, after bench run --keep-models",
    )
    options.add_results(models)
    models.set_defaults(execute=_models)

    encode = commands.add_parser(
        "encode",
        parents=[common],
        help="hash new items with a trained model",
        epilog="example: bench encode lemon-scenes-32b-s0-KEY.model --image new.npy --out codes.npy",
        description="Hash new items with a trained model. Codes are written as an .npy file of bytes, "
        "(items, bits / 8), eight bits in each; np.unpackbits(codes, axis=1) gives the bits.",
    )
    encode.add_argument("model", type=Path, help="a file that `bench models` lists")
    side = encode.add_mutually_exclusive_group(required=True)
    for modality in ("image", "text"):
        side.add_argument(
            f"--{modality}",
            type=Path,
            metavar="PATH",
            help=f"{modality} features: an .npy file (n, d), or the folder of a prepared view",
        )
    encode.add_argument("--out", type=Path, required=True, metavar="FILE.npy", help="file to write")
    options.add_plugin_files(encode)
    encode.set_defaults(execute=_encode)


def _models(args: argparse.Namespace) -> int:
    import sys

    from bench.contract.items import MODALITIES
    from bench.models import described

    store = options.store_of(args)
    models, faults = described(store.folder)
    for path, about in models:
        expected = ", ".join(
            f"{m} (n, {about.columns[m]}){f' of {source}' if (source := about.source(m)) else ''}"
            for m in MODALITIES
        )
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB\n  {about.trained_on}; expects {expected}")
    for fault in faults:
        print(f"bench: {fault}", file=sys.stderr)
    if not models:
        print(f"{store.folder} has no models. Run `bench run --keep-models`.")
    return 0


def _encode(args: argparse.Namespace) -> int:
    import numpy as np

    from bench.errors import ParameterError
    from bench.models import load
    from bench.reporting import writing
    from bench.scoring import hamming

    if args.out.suffix != ".npy":
        raise ParameterError(f"--out {args.out}: codes are written as an .npy file. Change its suffix.")
    model = load(args.model)
    modality: Modality = "text" if args.image is None else "image"
    path = args.image or args.text
    codes = model.encode(model.open(path, modality), modality)
    kind = "real-valued vectors" if model.real_valued else f"{model.bits} bits each"
    content = codes if model.real_valued else hamming.pack_bytes(codes)
    writing.atomically(args.out, lambda path: np.save(path, content))
    print(f"wrote {args.out}: {len(codes)} {modality} items, {kind}, by {model.facts.trained_on}")
    return 0
