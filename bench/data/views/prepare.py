"""Prepares a dataset of pictures and texts for runs: parses its items, then extracts the missing views."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.contract.card import Counts, variant_of
from bench.contract.dataset import Raw
from bench.contract.encoder import Setting
from bench.contract.items import Modality
from bench.contract.validate import check_parents, check_times
from bench.data.views import extract, files
from bench.data.views.extract import Inputs, Pace
from bench.data.views.names import View
from bench.data.views.source import RawSource
from bench.errors import DataError


def items(source: RawSource, root: Path, code: str) -> Raw:
    """Parse the dataset and write its ids, labels and split; ``code`` is the fingerprint of its plugin."""
    raw = source.raw(root)
    assert raw is not None
    name = source.card.name
    validate_raw(name, raw)
    order = np.concatenate([raw.train, raw.query])
    image, text = (_inputs(raw, m).keys for m in ("image", "text"))
    fitted = hashlib.blake2b(f"{len(raw.train)} {raw.vocabulary}".encode(), digest_size=8)
    parsed = files.Items(
        ids=raw.ids[order].astype(np.intp),
        labels=np.ascontiguousarray(raw.labels[order]),
        train=len(raw.train),
        classes=raw.classes,
        parents=raw.parents,
        notes=tuple(dict.fromkeys([*raw.notes, *differences(source, raw)])),
        rows={
            "image": files.digest(image),
            "text": files.digest(text),
            "words": files.digest(text, np.frombuffer(fitted.digest(), np.uint64)),
        },
        files=_files(source, root),
        code=code,
        times={name: column[order] for name, column in raw.times.items()},
    )
    files.write_items(source.items_folder(root), parsed)
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
    """Extract the views that are missing; ``anew`` extracts all of them again."""
    known = files.open_items(source.items_folder(root))
    assert known is not None
    for view in wanted:
        for modality in view.modalities:
            folder = source.view_folder(root, modality, view, known.rows)
            inputs, made = _inputs(raw, modality), view.load(modality, raw, setting)
            auto = setting.precision == "auto"
            if not anew and extract.is_finished(folder, inputs, made.about, any_precision=auto):
                extract.tidy(folder)
                say(f"{modality} {view}: already prepared")
                continue
            extract.write(folder, inputs, made, pace, f"{modality} {view}", f"{modality}s", anew=anew)
            manifest = files.read_manifest(folder)
            assert manifest is not None
            say(f"{modality} {view}: {manifest['rows']} × {manifest['columns']}, in {folder}")


def notes(source: RawSource, root: Path) -> tuple[str, ...]:
    """The notes of parsing: dropped, repaired and assumed items, and counts unlike the published ones."""
    known = files.open_items(source.items_folder(root))
    return () if known is None else known.notes


def differences(source: RawSource, raw: Raw) -> tuple[str, ...]:
    """Counts of the parsed items that are not those of the dataset's card, where that has any."""
    published = source.card.counts.get(variant_of(source))
    if published is None or not published.pairs:
        return ()
    here = Counts(
        pairs=len(raw.train) + len(raw.query),
        queries=len(raw.query),
        classes=len(raw.classes),
        words=len(raw.vocabulary),
    )
    return here.differences(published)


def validate_raw(name: str, raw: Raw) -> None:
    """Raise :class:`DataError` unless ``raw`` is what :class:`bench.api.Raw` promises."""
    n = len(raw.ids)
    for what, count in (("texts", len(raw.texts)), ("labels", len(raw.labels))):
        if count != n:
            raise DataError(
                f"{name}, raw {what}: {count}; expected {n}, one for every id. Align them in raw()."
            )
    if raw.labels.shape != (n, len(raw.classes)) or raw.labels.dtype != np.uint8 or (raw.labels > 1).any():
        raise DataError(
            f"{name}, raw labels: {raw.labels.dtype} of shape {raw.labels.shape}; expected uint8 of 0 and 1, "
            f"shape ({n}, {len(raw.classes)}). Convert them in raw()."
        )
    check_parents(f"{name}, raw", raw.parents, len(raw.classes))
    for column, times in raw.times.items():
        check_times(f"{name}, raw times {column!r}", times, n)
    if len(np.unique(raw.ids)) != n:
        repeated = n - len(np.unique(raw.ids))
        raise DataError(f"{name}, raw ids: {repeated} are repeated; expected unique ids. Number the items.")
    both = np.concatenate([raw.train, raw.query])
    if not len(raw.train) or not len(raw.query) or both.min() < 0 or both.max() >= n:
        raise DataError(
            f"{name}, raw split: {len(raw.train)} train and {len(raw.query)} query rows; expected at least "
            f"one of each, numbered from 0 to {n - 1}. Correct train and query in raw()."
        )
    if len(np.unique(both)) != len(both):
        raise DataError(
            f"{name}, raw split: a row occurs twice; expected every row in train or in query, once. Correct "
            "the split in raw()."
        )
    if empty := int((~raw.labels[raw.query].any(axis=1)).sum()):
        raise DataError(
            f"{name}, raw split: {empty} of {len(raw.query)} queries have no label; expected at least one "
            "each, since nothing is relevant to an unlabelled query. Take these out of query."
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
    """Size and modification time of the card's files that exist, by their path below the dataset's folder."""
    paths = {expected.path: source.home(root) / expected.path for expected in source.card.files}
    return {
        name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in paths.items() if path.is_file()
    }
