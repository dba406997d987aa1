"""From a raw dataset to what a run maps: the items once, then every view that is wanted and missing."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.contract import validate
from bench.contract.dataset import Raw
from bench.contract.encoder import Setting
from bench.contract.items import Modality
from bench.contract.params import parameters
from bench.data.views import extract, files
from bench.data.views.extract import Inputs, Pace
from bench.data.views.names import View
from bench.data.views.source import RawSource
from bench.errors import DataError
from bench.records import selector


def items(source: RawSource, root: Path, code: str) -> Raw:
    """Parse the dataset and write its ids, labels and split. ``code`` names the plugin's version."""
    raw = source.raw(root)
    assert raw is not None
    name = source.card.name
    check(name, raw)
    order = np.concatenate([raw.train, raw.query])
    image, text = (_inputs(raw, m).keys for m in ("image", "text"))
    fitted = hashlib.blake2b(f"{len(raw.train)} {raw.vocabulary}".encode(), digest_size=8)
    found = files.Items(
        ids=raw.ids[order].astype(np.intp),
        labels=np.ascontiguousarray(raw.labels[order]),
        train=len(raw.train),
        classes=raw.classes,
        notes=raw.notes,
        rows={
            "image": files.digest(image),
            "text": files.digest(text),
            "words": files.digest(text, np.frombuffer(fitted.digest(), np.uint64)),
        },
        files=_files(source, root),
        code=code,
    )
    files.write_items(source.items_folder(root), found)
    return raw


def views(
    source: RawSource,
    raw: Raw,
    root: Path,
    wanted: Iterable[View],
    setting: Setting,
    pace: Pace,
    *,
    anew: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Extract the views that are not there yet; ``anew`` extracts all of them again."""
    known = files.open_items(source.items_folder(root))
    assert known is not None
    for view in wanted:
        for modality in view.modalities:
            folder = source.view_folder(root, modality, view, known.rows)
            inputs, made = _inputs(raw, modality), view.load(modality, raw, setting)
            auto = setting.precision == "auto"
            if not anew and extract.is_finished(folder, inputs, made.about, any_precision=auto):
                say(f"{modality} {view}: is there")
                continue
            extract.write(folder, inputs, made, pace, f"{modality} {view}", f"{modality}s", anew=anew)
            manifest = files.read_manifest(folder)
            assert manifest is not None
            say(f"{modality} {view}: {manifest['rows']} × {manifest['columns']}, in {folder}")


def notes(source: RawSource, root: Path) -> tuple[str, ...]:
    """What was dropped, repaired or assumed while parsing, and where this copy differs from others."""
    known = files.open_items(source.items_folder(root))
    return () if known is None else known.notes


def verdict(source: RawSource, root: Path) -> str:
    """Check what a run would load, if all of it is there; says what is missing, or how to run."""
    try:
        dataset = source.load(root)
    except DataError as error:
        return f"not ready for a run with these options: {error}"
    validate.check(dataset)
    known = parameters(type(source), without=())
    chosen = {name: getattr(source, name) for name, p in known.items() if getattr(source, name) != p.default}
    words = ["bench", "run", "--datasets", selector(source.card.name, chosen), "--data-root", str(root)]
    return f"ready: {shlex.join(words)}"


def check(name: str, raw: Raw) -> None:
    """Raise :class:`DataError` unless ``raw`` is what :class:`bench.api.Raw` promises."""
    n = len(raw.ids)
    for what, found in (("texts", len(raw.texts)), ("labels", len(raw.labels))):
        if found != n:
            raise DataError(f"{name}, raw {what}: {found}; expected {n}, one for every id.")
    if raw.labels.shape != (n, len(raw.classes)) or raw.labels.dtype != np.uint8 or (raw.labels > 1).any():
        raise DataError(
            f"{name}, raw labels: {raw.labels.dtype} of shape {raw.labels.shape}; expected uint8 of 0 and 1, "
            f"shape ({n}, {len(raw.classes)})."
        )
    if len(np.unique(raw.ids)) != n:
        raise DataError(f"{name}, raw ids: {n - len(np.unique(raw.ids))} are repeated; expected unique ids.")
    both = np.concatenate([raw.train, raw.query])
    if not len(raw.train) or not len(raw.query) or both.min() < 0 or both.max() >= n:
        raise DataError(
            f"{name}, raw split: {len(raw.train)} train and {len(raw.query)} query rows; expected some of "
            f"each, from 0 to {n - 1}."
        )
    if len(np.unique(both)) != len(both):
        raise DataError(f"{name}, raw split: a row is in it twice; expected train and query to be apart.")
    if empty := int((~raw.labels[raw.query].any(axis=1)).sum()):
        raise DataError(
            f"{name}, raw split: {empty} of {len(raw.query)} queries have no label; expected one for every "
            "query, since nothing is relevant to one without."
        )


def _inputs(raw: Raw, modality: Modality) -> Inputs:
    rows = np.concatenate([raw.train, raw.query])
    if modality == "image":
        keys: npt.NDArray[np.uint64] = raw.ids[rows].astype(np.uint64)
        return Inputs(read=raw.image, rows=rows, keys=keys, sampled=True)
    digests = b"".join(hashlib.blake2b(raw.texts[row].encode(), digest_size=8).digest() for row in rows)
    return Inputs(
        read=raw.texts.__getitem__, rows=rows, keys=np.frombuffer(digests, np.uint64), sampled=False
    )


def _files(source: RawSource, root: Path) -> dict[str, list[int]]:
    """Size and time of change of the card's files that are there, by their path below the dataset."""
    return dict(_statuses(source, root))


def _statuses(source: RawSource, root: Path) -> Iterator[tuple[str, list[int]]]:
    for expected in source.card.files:
        path = source.home(root) / expected.path
        if path.is_file():
            yield expected.path, [path.stat().st_size, path.stat().st_mtime_ns]
