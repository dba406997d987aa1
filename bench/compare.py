"""Two results folders, cell by cell: what has become worse, what better, and by how much for sure."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import hamming, metrics
from bench.errors import StoreError
from bench.records import DIRECTIONS, RunRecord, selector
from bench.store import Store
from bench.tables import Block, Cell, Column, Row, Table

CONFIDENCE = 0.95
_PROTOCOL = ("schedule", "pool", "evaluate", "labelled", "paired", "val")  # beside the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One cell and direction: B − A, with the confidence interval of the mean over queries.

    The interval is NaN where queries cannot be paired, because the data or their number changed, and
    where there is one query.
    """

    label: str
    dataset: str
    direction: str
    before: RunRecord
    a: float
    b: float
    low: float
    high: float

    @property
    def change(self) -> float:
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``same`` to the last bit, or ``unclear`` where the interval holds 0."""
        if self.a == self.b:
            return "same"
        if self.high < 0:
            return "worse"
        return "better" if self.low > 0 else "unclear"


def compare(a: Store, b: Store, metric: str) -> Table:
    """A table of every cell that both folders have a result of, regressions first."""
    parsed = metrics.parse_metric(metric)
    if parsed.needs == "order":
        raise StoreError(
            f"metric {metric!r} needs an order of tied items, and histograms have none. Use map."
        )
    old, new = ({r.spec.key: r for r in s.records() if r.status == "ok" and r.rounds} for s in (a, b))
    shared = [key for key in old if key in new]
    if not shared:
        raise StoreError(f"{a.folder} and {b.folder} have no cell in common, so there is nothing to compare.")
    found = [d for key in shared for d in _differences(a, old[key], b, new[key], metric)]
    ranks = {"worse": 0, "unclear": 1, "same": 2, "better": 3}
    found.sort(key=lambda d: (ranks[d.verdict], d.change))
    alone = [
        f"{len(x.keys() - y.keys())} cells only in {name}"
        for x, y, name in ((old, new, "A"), (new, old, "B"))
    ]
    interval = f"B − A, mean over paired queries, with its {CONFIDENCE:.0%} confidence interval (Student's t)"
    caption = (
        f"A: {a.folder}; B: {b.folder}; {parsed.description}, after the last round",
        interval,
        "worse and better where the interval leaves out 0, without correction for the number of cells",
        *alone,
    )
    return _table(found, metric, caption)


def folder_of(text: str, path: Path, scratch: Path) -> Path:
    """``text`` if it is a folder, else what ``path`` held at the git revision ``text``, below ``scratch``."""
    if Path(text).is_dir():
        return Path(text)
    if shutil.which("git") is None:
        raise StoreError(f"{text!r} is not a folder, and git, which would read a revision, is not installed.")
    packed = subprocess.run(
        ["git", "archive", "--format=tar", text, "--", str(path)], capture_output=True, check=False
    )
    if packed.returncode:
        raise StoreError(
            f"{text!r} is neither a folder nor a git revision that holds {path} "
            f"({packed.stderr.decode(errors='replace').strip().splitlines()[-1]}). Give two folders, or two "
            "commits and --path."
        )
    target = scratch / text.replace("/", "_")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / path


def _differences(a: Store, old: RunRecord, b: Store, new: RunRecord, metric: str) -> Iterator[Difference]:
    spec = old.spec
    for direction in DIRECTIONS:
        if direction not in spec.directions:
            continue
        before, after = (_per_query(s, r, direction, metric) for s, r in ((a, old), (b, new)))
        paired = old.data == new.data and len(before) == len(after)
        low, high = _interval(after - before) if paired else (math.nan, math.nan)
        yield Difference(
            label=spec.label, dataset=selector(spec.dataset, spec.dataset_params),
            direction=direction, before=old,
            a=float(np.nanmean(before)), b=float(np.nanmean(after)), low=low, high=high,
        )  # fmt: skip


def _per_query(store: Store, record: RunRecord, direction: str, metric: str) -> npt.NDArray[np.float64]:
    arrays, last = store.arrays(record), record.rounds[-1].round
    parts = (arrays[f"{direction}/{last}/{part}"] for part in ("counts", "gains", "grades"))
    return metrics.per_query(metric, hamming.Histograms(*parts))


def _interval(differences: npt.NDArray[np.float64]) -> tuple[float, float]:
    from scipy import stats

    known = differences[~np.isnan(differences)]
    if len(known) < 2:
        return math.nan, math.nan
    if not known.any():
        return 0.0, 0.0
    interval = stats.ttest_1samp(known, 0.0).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def _table(found: list[Difference], metric: str, caption: tuple[str, ...]) -> Table:
    """What of the protocol is the same in all cells is in the caption, what is not has a column."""
    varied = [name for name in _PROTOCOL if len({_told(d, name) for d in found}) > 1]
    same = "; ".join(f"{name} {_told(found[0], name)}" for name in _PROTOCOL if name not in varied)
    names = ("method", "dataset", "bits", "seed", "database", *varied, "direction")
    columns = [Column(n, align="left") for n in names] + [Column(n) for n in ("A", "B", "B − A", "interval")]
    rows = tuple(_row(d, varied) for d in found)
    counts = {v: sum(d.verdict == v for d in found) for v in ("worse", "unclear", "same", "better")}
    notes = (", ".join(f"{n} {v}" for v, n in counts.items()),)
    block = Block(
        caption=(*caption, *filter(None, [same])),
        columns=(*columns, Column("", align="left")),
        rows=rows,
        notes=notes,
        stub=len(names),
    )
    return Table(title=f"B against A, {metric}", blocks=(block,), data=[_data(d) for d in found])


def _told(d: Difference, name: str) -> str:
    return str(getattr(d.before.spec, name))


def _row(d: Difference, varied: Sequence[str]) -> Row:
    s = d.before.spec
    protocol = (s.database, *(_told(d, name) for name in varied))
    stub = (
        d.label,
        d.dataset,
        str(s.bits),
        str(s.seed),
        *protocol,
        f"{d.direction[0]}→{d.direction[2]}".upper(),
    )
    interval = "not paired" if math.isnan(d.low) else f"{d.low:+.4f} … {d.high:+.4f}"
    numbers = (f"{d.a:.4f}", f"{d.b:.4f}", f"{d.change:+.4f}", interval, d.verdict)
    return tuple(Cell(text) for text in (*stub, *numbers))


def _data(d: Difference) -> dict[str, Any]:
    s = d.before.spec
    return {
        "method": d.label, "dataset": d.dataset, "bits": s.bits, "seed": s.seed, "database": s.database,
        **{name: str(getattr(s, name)) for name in _PROTOCOL}, "direction": d.direction, "a": d.a, "b": d.b,
        "difference": d.change, "low": d.low, "high": d.high, "verdict": d.verdict, "key": s.key,
    }  # fmt: skip
