"""A folder of 10,000 cells is checked, opened, and made into a table in seconds."""

from __future__ import annotations

import json
import os
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.archive.compare import compare
from bench.archive.verify import check
from bench.plugins import fingerprint
from bench.records import RoundRecord, RunRecord
from bench.results import Results
from bench.running.evaluation import STANDARD
from bench.running.sweep import complete
from bench.scoring import hamming, stored
from bench.storing import reading
from bench.storing.arrays import packed
from bench.storing.store import Store, stale_reasons
from bench.study.planned import PlannedCell
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

METHODS = ("random_projection", "lemon", "olsh", "scm", "cca")
STAGES = ("fit", "encode_query", "encode_database", "rehash", "search")
SCHEDULES = [f"shuffled:{size}" for size in range(100, 600, 100)]
BITS, ITEMS, QUERIES, CLASSES = (16, 32, 64, 128), 2400, 400, 10


def searched(bits: int, seed: int) -> dict[str, Any]:
    """What a cell of random codes leaves, its histograms and its codes."""
    rng = np.random.default_rng([bits, seed])
    classes = np.random.default_rng(0).integers(CLASSES, size=QUERIES + ITEMS)
    labels = np.eye(CLASSES, dtype=np.uint8)[classes]
    query, database = (hamming.pack_labels(part) for part in (labels[:QUERIES], labels[QUERIES:]))
    arrays: dict[str, Any] = {"rows/database": rng.permutation(ITEMS).astype(np.uint16)}
    for modality in ("image", "text"):
        arrays[f"codes/query/{modality}"] = hamming.pack_codes(rng.random((QUERIES, bits)) < 0.5)
        arrays[f"codes/database/{modality}"] = hamming.pack_codes(rng.random((ITEMS, bits)) < 0.5)
    for direction, (mine, theirs) in {"i2t": ("image", "text"), "t2i": ("text", "image")}.items():
        codes = arrays[f"codes/query/{mine}"], arrays[f"codes/database/{theirs}"]
        hist = hamming.histograms(*codes, query, database, bits=bits, graded=True)
        for name, kind in {"counts": np.uint16, "gains": np.uint16, "grades": np.uint16}.items():
            arrays[f"{direction}/8/{name}"] = getattr(hist, name).astype(kind)
    return arrays


def scored(arrays: dict[str, Any]) -> RoundRecord:
    hists = {d: stored.histograms(arrays, d, 8) for d in ("i2t", "t2i")}
    means = {d: metrics.means(STANDARD, hist) for d, hist in hists.items()}
    return RoundRecord(
        round=8,
        items=ITEMS,
        queries=QUERIES,
        empty_queries=dict.fromkeys(hists, 0),
        metrics={f"{name}/{d}": means[d][name] for name, d in product(STANDARD, hists)},
        seconds={f"{stage}{clock}": 0.1 for stage, clock in product(STAGES, ("", "_cpu"))},
        bits_rewritten=10,
        state_bytes=1000,
    )


def planned(runs: Path) -> tuple[Study, list[PlannedCell]]:
    """Five methods, four lengths, five protocols, a hundred seeds."""
    study = Study.make(
        methods=list(METHODS), datasets="synthetic", bits=list(BITS), schedule=SCHEDULES, seeds=100,
        train="all", results=str(runs),
    )  # fmt: skip
    return study, Planner().cells(study)


def fill(folder: Path, luck: int = 0) -> None:
    """Records of all planned cells in ``folder/runs``; equal arrays are linked."""
    runs, files = folder / "runs", folder / "files"
    runs.mkdir(parents=True)
    files.mkdir()
    _, cells = planned(runs)
    data = cells[0].data.cached.fingerprint
    for bits, seed in product(BITS, range(10)):
        arrays = searched(bits, seed + luck)
        entry = scored(arrays)
        content = packed(arrays)
        (files / "arrays").write_bytes(content)
        for spec in (cell.spec for cell in cells):
            if spec.bits != bits or spec.seed % 10 != seed:
                continue
            name = reading.file_name(spec)
            made = RunRecord(
                spec=spec, status="ok", rounds=(entry,), code=fingerprint.of_method(spec.method), data=data,
                arrays=reading.arrays_name(name, content),
            )  # fmt: skip
            os.link(files / "arrays", runs / made.arrays)
            (runs / name).write_text(json.dumps(made.to_json()))
        (files / "arrays").unlink()


def table(folder: Path) -> str:
    store = Store(folder)
    records = store.records()
    return str(Results(records, stale=stale_reasons(records), arrays=store.arrays).table())


def test_ten_thousand_cells_are_verified_in_a_minute_of_cpu_and_then_a_table_or_a_run_takes_three_seconds(
    benchmark: Any, tmp_path: Path
) -> None:
    fill(tmp_path)
    folder = tmp_path / "runs"
    started = time.process_time()
    checked = check(Store(folder))
    benchmark.extra_info["CPU seconds to verify"] = verified = time.process_time() - started
    assert checked.sound and checked.passed == 10_000
    assert verified < 60

    started = time.process_time()
    assert benchmark.pedantic(table, args=(folder,)).count("random_projection") >= 5
    benchmark.extra_info["CPU seconds of a table"] = spent = time.process_time() - started
    assert spent < 3

    started = time.process_time()
    results = complete(*planned(folder), contract=False)
    assert len(results.records) == 10_000 and str(results.table())
    benchmark.extra_info["CPU seconds of a run with nothing to do"] = spent = time.process_time() - started
    assert spent < 3


def test_ten_thousand_checked_cells_are_compared_in_twenty_seconds_of_cpu(
    benchmark: Any, tmp_path: Path
) -> None:
    """No cell is the same in both, so all arrays of both are read, on as many threads as there are cores."""
    for side, luck in (("a", 0), ("b", 10)):
        fill(tmp_path / side, luck)
        assert len(Store(tmp_path / side / "runs").records()) == 10_000
    a, b = (Store(tmp_path / side / "runs") for side in "ab")
    started = time.process_time()
    rows = benchmark.pedantic(compare, args=(a, b, "map")).data
    benchmark.extra_info["CPU seconds"] = spent = time.process_time() - started
    assert len(rows) == 200 and "same" not in {row["verdict"] for row in rows}
    assert spent < 20
