"""Compares two results folders cell by cell: worse, better or unclear, with a confidence interval."""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.errors import StoreError
from bench.records import DIRECTIONS, Direction, RunRecord
from bench.reporting.evidence import Evidence
from bench.reporting.protocol import DIRECTION_NAMES, dataset_of
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.storing.store import Store

CONFIDENCE = 0.95
_PROTOCOL = ("database", "schedule", "pool", "evaluate", "labelled", "paired", "val")
_AXES = ("dataset", "bits", "seed", *_PROTOCOL)
_VERDICTS = ("lost", "worse", "unclear", "same", "better", "gained")  # regressions first

_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One cell and direction: B − A, with the confidence interval of the mean over queries.

    The interval is NaN where queries cannot be paired, because the data or their number changed, and
    where there is one query. ``lost`` is the reason why B has no result where A has one, ``gained`` the
    reverse; the missing number is NaN.
    """

    direction: Direction
    before: RunRecord
    a: float
    b: float
    low: float = math.nan
    high: float = math.nan
    lost: str = ""
    gained: str = ""

    @property
    def change(self) -> float:
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``same`` to the last bit, ``unclear`` where the interval includes 0, or
        ``lost`` and ``gained`` where one side has no result.
        """
        if self.lost or self.gained:
            return "lost" if self.lost else "gained"
        if self.a == self.b:
            return "same"
        if self.high < 0:
            return "worse"
        return "better" if self.low > 0 else "unclear"


def compare(a: Store, b: Store, metric: str, *, names: tuple[str, str] | None = None) -> Table:
    """A table of every cell that is in both folders and has a result in one, regressions first.

    ``names`` are shown for A and B instead of their folders.
    """
    parsed = metrics.parse_metric(metric)
    if parsed.ordered:
        raise StoreError(
            f"metric {metric!r} needs an order of tied items, and histograms have none. Use map."
        )
    one, two = names or (str(a.folder), str(b.folder))
    old, new = ({r.spec.key: r for r in s.records()} for s in (a, b))
    differences = [d for key in old if key in new for d in _differences(a, old[key], b, new[key], metric)]
    if not differences:
        raise StoreError(
            f"{one} and {two} have no result in common. Give two folders with cells of the same study."
        )
    differences.sort(key=lambda d: (_VERDICTS.index(d.verdict), np.nan_to_num(d.change)))
    caption = (
        f"A: {one}; B: {two}; {parsed.description}, after the last round",
        f"B − A, mean over paired queries, with its {CONFIDENCE:.0%} confidence interval (Student's t)",
        "worse and better where the interval excludes 0, without correction for the number of cells",
        f"{len(old.keys() - new.keys())} cells only in A",
        f"{len(new.keys() - old.keys())} cells only in B",
    )
    return _table(differences, metric, caption)


def folder_of(text: str, path: Path, scratch: Path) -> Path:
    """``text`` if it is a folder, else a copy of ``path`` at the git revision ``text``, below ``scratch``."""
    if Path(text).is_dir():
        return Path(text)
    if shutil.which("git") is None:
        raise StoreError(
            f"{text!r} is not a folder, and reading a git revision needs git. Install it or give folders."
        )
    packed = subprocess.run(
        ["git", "archive", "--format=tar", text, "--", str(path)], capture_output=True, check=False
    )
    if packed.returncode:
        raise StoreError(
            f"{text!r} is neither a folder nor a git revision with {path} "
            f"({packed.stderr.decode(errors='replace').strip().splitlines()[-1]}). Give two folders, or two "
            "commits and --path."
        )
    target = scratch / text.replace("/", "_")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / path


def _differences(a: Store, old: RunRecord, b: Store, new: RunRecord, metric: str) -> Iterator[Difference]:
    """One for each direction; none where neither side has a result."""
    spec, trouble = old.spec, [f"{r.word}: {r.trouble}" if r.word else "" for r in (old, new)]
    for direction in DIRECTIONS:
        if direction not in spec.directions or all(trouble):
            continue
        before, after = (
            _NOTHING if why else metrics.per_query(metric, Evidence(s.arrays).histograms(r, direction))
            for why, s, r in zip(trouble, (a, b), (old, new), strict=True)
        )
        paired = not any(trouble) and old.data == new.data and len(before) == len(after)
        low, high = _interval(after - before) if paired else (math.nan, math.nan)
        yield Difference(
            direction=direction, before=old, gained=trouble[0], lost=trouble[1],
            a=_mean(before), b=_mean(after), low=low, high=high,
        )  # fmt: skip


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if len(values) else math.nan


def _interval(differences: npt.NDArray[np.float64]) -> tuple[float, float]:
    from scipy import stats

    known = differences[~np.isnan(differences)]
    if len(known) < 2:
        return math.nan, math.nan
    if not known.any():
        return 0.0, 0.0
    interval = stats.ttest_1samp(known, 0.0).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def _table(differences: list[Difference], metric: str, caption: tuple[str, ...]) -> Table:
    """Columns for the axes that vary within a method; the caption has the others, and lost results."""
    varied = [name for name in _AXES if _varies(differences, name)]
    same = "; ".join(f"{name} {_all_values(differences, name)}" for name in _AXES if name not in varied)
    names = ("method", *varied, "way")
    columns = [Column(n, align="left") for n in names] + [Column(n) for n in ("A", "B", "B − A", "interval")]
    counts = {v: sum(d.verdict == v for d in differences) for v in _VERDICTS}
    lost = dict.fromkeys(f"lost: {d.before.spec}: {d.lost}" for d in differences if d.lost)
    block = Block(
        caption=(*caption, same, *lost),
        columns=(*columns, Column("", align="left")),
        rows=tuple(_row(d, varied) for d in differences),
        notes=(", ".join(f"{n} {v}" for v, n in counts.items() if n or v not in ("lost", "gained")),),
        stub=len(names),
    )
    return Table(title=f"B against A, {metric}", blocks=(block,), data=[_data(d) for d in differences])


def _varies(differences: Sequence[Difference], name: str) -> bool:
    """Whether cells of one method differ in it."""
    labels = {d.before.spec.label for d in differences}
    return len({(d.before.spec.label, _value(d, name)) for d in differences}) > len(labels)


def _all_values(differences: Sequence[Difference], name: str) -> str:
    values = list(dict.fromkeys(_value(d, name) for d in differences))
    return values[0] if len(values) == 1 else f"{' or '.join(values)}, by method"


def _value(d: Difference, name: str) -> str:
    return dataset_of(d.before) if name == "dataset" else str(getattr(d.before.spec, name))


def _row(d: Difference, varied: Sequence[str]) -> Row:
    stub = (d.before.spec.label, *(_value(d, name) for name in varied), DIRECTION_NAMES[d.direction])
    interval = "not paired" if math.isnan(d.low) else f"{_short(d.low, '+')}…{_short(d.high, '+')}"
    numbers = (_short(d.a), _short(d.b), _short(d.change, "+"), interval)
    if d.lost or d.gained:
        word = (d.lost or d.gained).partition(":")[0]
        numbers = (word if d.gained else numbers[0], word if d.lost else numbers[1], "–", "–")
    return tuple(Entry(text) for text in (*stub, *numbers, d.verdict))


def _short(value: float, sign: str = "") -> str:
    """Four decimals without the leading zero: ``.7123``, ``+.0012``."""
    return re.sub(r"(?<!\d)0\.", ".", f"{value:{sign}.4f}")


def _data(d: Difference) -> dict[str, Any]:
    s = d.before.spec
    return {
        "method": s.label, "dataset": dataset_of(d.before), "bits": s.bits, "seed": s.seed,
        **{name: str(getattr(s, name)) for name in _PROTOCOL}, "direction": d.direction, "a": d.a, "b": d.b,
        "difference": d.change, "low": d.low, "high": d.high, "verdict": d.verdict,
        "reason": d.lost or d.gained, "key": s.key,
    }  # fmt: skip
