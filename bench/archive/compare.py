"""Compares two results folders, cells that differ in the seed alone together: worse, better or unclear.

The trap: a method that has changed draws other random numbers, so one seed of it differs from one seed of the
old one as two seeds of the same method do. The interval is over seeds and queries, and fewer than three seeds
are listed by the size of their difference and not judged.
"""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.disk import places
from bench.errors import StoreError
from bench.records import PARTS, SINCE, Direction, RunRecord, RunSpec
from bench.reporting.crossed import Crossed
from bench.reporting.evidence import Evidence
from bench.reporting.names import distinct
from bench.reporting.protocol import DIRECTION_NAMES, dataset_of, grouped, listed, named, reasons
from bench.reporting.significance import CONFIDENCE, LEAST_SEEDS
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.scoring.hamming import usable_threads
from bench.storing.store import Store
from bench.units import counted

_PROTOCOL = ("database", "schedule", "pool", "evaluate", *SINCE, "val")
_AXES = ("dataset", "bits", "seeds", *_PROTOCOL)
_VERDICTS = ("lost", "worse", "untested", "unclear", "same", "better", "gained")  # regressions first
_FEW = f"untested: fewer than {LEAST_SEEDS} seeds in both, or queries that cannot be paired; listed by size"

_Pair = tuple[RunRecord, RunRecord]  # the records of one cell in A and B
_Scores = Sequence[npt.NDArray[np.float64]]  # of every query, by seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Cells that differ in the seed alone, in one direction: B − A, mean over queries, then over seeds.

    ``low`` and ``high`` are the confidence interval over seeds and queries. It is NaN below three seeds, and
    where queries cannot be paired because the data or their number changed. ``lost`` is the reason why B has
    no results where A has them, ``gained`` the reverse; the missing number is NaN.
    """

    before: tuple[RunRecord, ...]  # of A, one for each seed
    direction: Direction
    a: float
    b: float
    low: float = math.nan
    high: float = math.nan
    same: bool = False  # every query, to the last bit
    lost: str = ""
    gained: str = ""

    @property
    def spec(self) -> RunSpec:
        """Of the first seed."""
        return self.before[0].spec

    @property
    def change(self) -> float:
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """One of ``lost``, ``worse``, ``untested``, ``unclear``, ``same``, ``better``, ``gained``."""
        if self.lost or self.gained:
            return "lost" if self.lost else "gained"
        if self.same or math.isnan(self.low):
            return "same" if self.same else "untested"
        if self.high < 0:
            return "worse"
        return "better" if self.low > 0 else "unclear"


def compare(a: Store, b: Store, metric: str, items: str = "unseen") -> Table:
    """A table of every cell that is in both folders and has a result in one, regressions first.

    Scores are computed from the stored counts, over ``items``, a key of PARTS, where methods were not trained
    on all of the database.
    """
    parsed = metrics.parse_metric(metric)
    if parsed.ordered:
        raise StoreError(
            f"metric {metric!r} needs an order of tied items, and histograms have none. Use map."
        )
    old, new = _records(a, b, items)
    pairs = ((old[key], new[key]) for key in old if key in new)
    groups = grouped(pairs, lambda pair: replace(pair[0].spec, seed=0).key)
    with ThreadPoolExecutor(usable_threads()) as pool:  # decompressing lets go of the GIL
        parts = pool.map(partial(_differences, a, b, metric), groups.values())
        differences = [difference for part in parts for difference in part]
    if not differences:
        raise StoreError(f"{a.title} and {b.title} have no result in common. Give two folders of one study.")
    differences.sort(key=lambda d: (_VERDICTS.index(d.verdict), -abs(np.nan_to_num(d.change))))
    caption = (
        f"A: {a.title}; B: {b.title}; {parsed.description}, after the last round, mean over seeds",
        *_over(differences, items),
        f"B − A, paired, with its {CONFIDENCE:.0%} confidence interval over other seeds and queries",
        f"worse and better where the interval excludes 0, as in {1 - CONFIDENCE:.0%} of equal rows by chance",
        *([_FEW] if any(d.verdict == "untested" for d in differences) else ()),
        f"{counted(len(old.keys() - new.keys()), 'cell')} only in A",
        f"{counted(len(new.keys() - old.keys()), 'cell')} only in B",
    )
    return _table(differences, metric, caption)


def _records(a: Store, b: Store, items: str) -> tuple[dict[str, RunRecord], dict[str, RunRecord]]:
    """The records of both folders by key, with one name for each setting, whichever folder has it."""
    old, new = ([r.over(items) for r in store.records()] for store in (a, b))
    shown = distinct([*old, *new])
    before, after = shown[: len(old)], shown[len(old) :]
    return {r.spec.key: r for r in before}, {r.spec.key: r for r in after}


def _over(differences: Sequence[Difference], items: str) -> list[str]:
    """The items that scores are over, where cells have parts of the database apart."""
    if not any(d.spec.divided for d in differences):
        return []
    return [f"in cells with train below all, scores over {PARTS[items]}"]


def folder_of(text: str, path: Path, scratch: Path) -> Path:
    """``text`` if it is a folder, else a copy of ``path`` at the git revision ``text``, below ``scratch``."""
    if places.local(text, "results folder").is_dir():
        return Path(text)
    if text.startswith("-"):
        raise StoreError(
            f"{text!r} is neither a folder nor a git revision, which begins with no dash. For a folder of "
            f"that name give ./{text}."
        )
    if path.is_absolute():
        raise StoreError(f"--path {path} is absolute; expected a folder of the repository, relative to here.")
    if shutil.which("git") is None:
        raise StoreError(
            f"{text!r} is not a folder, and reading a git revision needs git. Install it or give folders."
        )
    packed = subprocess.run(
        ["git", "archive", "--format=tar", text, "--", str(path)], capture_output=True, check=False
    )
    if packed.returncode:
        said = packed.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise StoreError(
            f"{text!r} is neither a folder nor a git revision with {path} ({said}). Give two folders, or two "
            "commits and --path."
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(scratch, filter="data")
    except (tarfile.TarError, OSError) as error:  # a link that leads out, for instance
        raise StoreError(
            f"{path} at {text!r} cannot be unpacked: {error}. Check it out and give its folder."
        ) from error
    return scratch / path


def _differences(a: Store, b: Store, metric: str, pairs: Sequence[_Pair]) -> list[Difference]:
    """Of cells that differ in the seed alone: by direction, those with two results and those with one."""
    differences = []
    for (gained, lost), part in grouped(pairs, lambda pair: (reasons(pair[:1]), reasons(pair[1:]))).items():
        if not (gained and lost):
            old, new = [x for x, _ in part], [y for _, y in part]
            before = _scores(a, old, metric)
            unchanged = [x.arrays for x in old] == [y.arrays for y in new]  # names with a checked digest
            after = before if unchanged else _scores(b, new, metric)
            data = all(x.data == y.data for x, y in part)
            for direction in old[0].spec.directions:
                scores = before[direction], after[direction]
                low, high = _interval(*scores) if data else (math.nan, math.nan)
                differences.append(Difference(
                    before=tuple(old), direction=direction, a=_mean(scores[0]), b=_mean(scores[1]),
                    low=low, high=high, same=_same(*scores), lost=lost, gained=gained,
                ))  # fmt: skip
    return differences


def _scores(store: Store, records: Sequence[RunRecord], metric: str) -> Mapping[Direction, _Scores]:
    """By direction; none of records without results."""
    scores: dict[Direction, list[npt.NDArray[np.float64]]] = {d: [] for d in records[0].spec.directions}
    for record in records:
        if not record.word:
            evidence = _opened(store.arrays(record))
            for direction, values in scores.items():
                values.append(evidence.per_query(record, direction, metric))
    return scores


def _opened(arrays: Mapping[str, npt.NDArray[Any]]) -> Evidence:
    """For all directions of one record: opening a file costs as much as reading it."""
    return Evidence(lambda _: arrays)


def _interval(before: _Scores, after: _Scores) -> tuple[float, float]:
    """Of the mean difference; NaN for few seeds, and where the numbers of queries differ."""
    sizes = {len(values) for values in (*before, *after)}
    if not len(before) == len(after) >= LEAST_SEEDS or len(sizes) > 1:
        return math.nan, math.nan
    change = np.array(after) - np.array(before)
    return Crossed.of(change[:, ~np.isnan(change).any(axis=0)]).interval(CONFIDENCE)


def _same(before: _Scores, after: _Scores) -> bool:
    return len(before) == len(after) and all(map(partial(np.array_equal, equal_nan=True), before, after))


def _mean(scores: _Scores) -> float:
    """Over queries with a value, then over seeds; NaN without any."""
    means = [values[~np.isnan(values)].mean() for values in scores if not np.isnan(values).all()]
    return float(np.mean(means)) if means else math.nan


def _table(differences: list[Difference], metric: str, caption: tuple[str, ...]) -> Table:
    """Columns for the axes that vary within a method; the caption has the others, and lost results."""
    varied = [name for name in _AXES if _varies(differences, name)]
    same = "; ".join(f"{name} {_all_values(differences, name)}" for name in _AXES if name not in varied)
    names = ("method", *varied, "way")
    columns = [Column(n, align="left") for n in names] + [Column(n) for n in ("A", "B", "B − A", "interval")]
    counts = {v: sum(d.verdict == v for d in differences) for v in _VERDICTS}
    lost = dict.fromkeys(f"lost: {r.spec}: {d.lost}" for d in differences if d.lost for r in d.before)
    block = Block(
        caption=(*caption, same, *lost),
        columns=(*columns, Column("", align="left")),
        rows=tuple(_row(d, varied) for d in differences),
        notes=(
            ", ".join(f"{n} {v}" for v, n in counts.items() if n or v not in ("lost", "gained")),
            *named(record for d in differences for record in d.before),
        ),
        stub=len(names),
    )
    return Table(title=f"B against A, {metric}", blocks=(block,), data=[_data(d) for d in differences])


def _varies(differences: Sequence[Difference], name: str) -> bool:
    """Whether rows of one method differ in it."""
    pairs = {(d.spec.label, _value(d, name)) for d in differences}
    return len(pairs) > len({label for label, _ in pairs})


def _all_values(differences: Sequence[Difference], name: str) -> str:
    values = list(dict.fromkeys(_value(d, name) for d in differences))
    return values[0] if len(values) == 1 else f"{' or '.join(values)}, by method"


def _value(d: Difference, name: str) -> str:
    if name == "seeds":
        return listed(r.spec.seed for r in d.before)
    return dataset_of(d.before[0]) if name == "dataset" else str(getattr(d.spec, name))


def _row(d: Difference, varied: Sequence[str]) -> Row:
    stub = (d.spec.label, *(_value(d, name) for name in varied), DIRECTION_NAMES[d.direction])
    interval = "–" if math.isnan(d.low) else f"{_short(d.low, '+')}…{_short(d.high, '+')}"
    numbers = (_short(d.a), _short(d.b), _short(d.change, "+"), interval)
    if d.lost or d.gained:
        word = (d.lost or d.gained).partition(":")[0]
        numbers = (word if d.gained else numbers[0], word if d.lost else numbers[1], "–", "–")
    return tuple(Entry(text) for text in (*stub, *numbers, d.verdict))


def _short(value: float, sign: str = "") -> str:
    """Four decimals without the leading zero: ``.7123``, ``+.0012``."""
    return re.sub(r"(?<!\d)0\.", ".", f"{value:{sign}.4f}")


def _data(d: Difference) -> dict[str, Any]:
    return {
        "method": d.spec.label, "dataset": dataset_of(d.before[0]), "bits": d.spec.bits,
        "seeds": " ".join(str(r.spec.seed) for r in d.before),
        **{name: str(getattr(d.spec, name)) for name in _PROTOCOL}, "items": d.before[0].part,
        "direction": d.direction,
        "a": d.a, "b": d.b, "difference": d.change, "low": d.low, "high": d.high, "verdict": d.verdict,
        "reason": d.lost or d.gained,
    }  # fmt: skip
