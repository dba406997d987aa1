"""Two axes of a study together: what the method is shown obeys both, or the pair is refused or skipped."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import MODALITIES, Chunk, Split
from bench.errors import ParameterError
from bench.records import AXES, RunRecord
from bench.running.hosts import Isolation

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = Path(__file__).with_name("plugins")
ITEMS, QUERIES = 60, 12  # of the plugin tiny


def lone(chunks: Sequence[Split]) -> int:
    """How many items were shown in one modality, whose other one must be zeros."""
    count = 0
    for chunk in chunks:
        for batch in (chunk.batch(m) for m in MODALITIES):
            if batch.absent is not None:
                assert not batch.features[batch.absent].any()
                count += int(batch.absent.sum())
    return count


def labelled(chunks: Sequence[Split]) -> int:
    return sum(int(c.labels.any(axis=1).sum()) for c in chunks if c.labels is not None)


def shown(chunks: Sequence[Split]) -> int:
    return sum(map(len, chunks))


def years(chunks: Sequence[Split]) -> list[list[int]]:
    """The thirds of the items, which have a year each, that every chunk is of."""
    return [sorted({int(i) // 20 for i in chunk.ids}) for chunk in chunks]


def in_turn(chunks: Sequence[Split]) -> bool:
    """Whether the first chunks are images without text, and the last texts without image."""
    gone = [[bool(np.all(batch.absent)) for batch in (c.image, c.text)] for c in chunks]
    return gone == sorted(gone) and {tuple(pair) for pair in gone} == {(False, True), (True, False)}


STEPS = "insert 20; evaluate; insert 20; delete oldest 10; evaluate; insert all; evaluate"  # 10 items leave
# Axis and value; what must hold of the chunks shown and the record, whatever the other axis is.
Check = Callable[[Sequence[Chunk], RunRecord], bool]
CASES: dict[str, tuple[dict[str, Any], Check]] = {
    "paired": ({"paired": 0.5}, lambda seen, _: lone(seen) <= ITEMS / 2),
    "labelled": ({"labelled": 0.5}, lambda seen, _: labelled(seen) <= ITEMS / 2),
    "train": ({"train": "0.5"}, lambda seen, _: shown(seen) <= ITEMS / 2),
    "noise": ({"noise": "swap:1"}, lambda _, r: any(n.startswith("noise swap:1") for n in r.notes)),
    "delay": ({"delay": 1}, lambda seen, r: len(seen) <= len(r.fit_seconds) and r.rounds[0].round >= 1),
    "unseen_classes": ({"unseen_classes": 0.3}, lambda _, r: r.rounds[-1].queries < QUERIES),
    "rehash": ({"rehash": "budget:40"}, lambda _, r: all((e.bits_rewritten or 0) <= 40 for e in r.rounds)),
    "frozen": ({"database": "frozen"}, lambda _, r: all(not e.bits_rewritten for e in r.rounds)),
    "learned": ({"database": "learned"}, lambda seen, _: shown(seen) > 0),
    "pool": ({"pool": "separate:6"}, lambda seen, _: shown(seen) <= ITEMS - 6),
    "class_incremental": ({"schedule": "class_incremental:3"}, lambda seen, _: shown(seen) > 0),
    "drift": ({"schedule": "drift:15"}, lambda seen, _: shown(seen) > 0),
    "stored": ({"schedule": "stored:15"}, lambda seen, _: [i for c in seen for i in c.ids] == sorted(
        i for c in seen for i in c.ids)),
    "timed": ({"schedule": "timed:year"}, lambda seen, _: years(seen) == [[1], [2], [0]][: len(seen)]),
    "modal": ({"schedule": "modal:image,text:10"}, lambda seen, _: in_turn(seen)),
    "runbook": ({"schedule": f"runbook:mine.toml: {STEPS}"}, lambda _, r: r.rounds[-1].items in (50, 44)),
}  # fmt: skip
REFUSED = {
    ("delay", "learned"): "delay=1 leaves new items without learned codes",
    ("rehash", "frozen"): "rehash=budget:40 says when reindexed codes are renewed",
    ("rehash", "learned"): "rehash=budget:40 says when reindexed codes are renewed",
}
SKIPPED = {
    ("paired", "modal"): "has both modalities, so paired below 1 does not apply",
    ("learned", "modal"): "training on one modality assigns no codes to the other",
}
PAIRS = [
    pair
    for pair in itertools.combinations(CASES, 2)
    if not CASES[pair[0]][0].keys() & CASES[pair[1]][0].keys()  # two values of one axis
]


def run(tmp_path: Path, options: dict[str, Any]) -> tuple[RunRecord, list[Chunk]]:
    default = {"bits": 8, "seeds": 1, "train": "all", "schedule": "shuffled:15", "pool": "none"}
    plugins = [str(PLUGINS / f"{name}.py") for name in ("takes_all", "tiny")]
    how: Any = {"results": str(tmp_path / "runs"), "isolation": Isolation(in_process=True), "contract": False}
    given = {**default, **options}
    (record,) = bench.run(
        methods="takes_all", datasets="tiny", evaluate="all", plugin=plugins, **given, **how
    ).records
    module = sys.modules["bench_plugin_takes_all"]
    seen = list(module.CHUNKS)
    module.CHUNKS.clear()
    return record.over("all"), seen


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_axes_combine(tmp_path: Path, one: str, other: str) -> None:
    options = CASES[one][0] | CASES[other][0]
    if reason := REFUSED.get((one, other)):
        with pytest.raises(ParameterError, match=reason):
            run(tmp_path, options)
        return
    record, seen = run(tmp_path, options)
    if reason := SKIPPED.get((one, other)):
        assert record.status == "skipped" and reason in record.reason
        return
    assert record.status == "ok", record.traceback or record.reason
    assert [name for name in (one, other) if not CASES[name][1](seen, record)] == []


def test_every_axis_has_a_case() -> None:
    assert {name for values, _ in CASES.values() for name in values} == set(AXES)
