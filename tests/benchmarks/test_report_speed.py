"""The cost of a report grows with its cells at most; what it reads of one comes from one compiled pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import bench
from bench import metrics
from bench.plugins import fingerprint
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.evidence import Evidence
from bench.scoring import hamming
from bench.scoring.hamming import Histograms
from bench.storing import reading
from bench.storing.arrays import packed
from bench.storing.store import Store

QUERIES, ITEMS, RELEVANT, BITS = 2000, 18_000, 6000, 128
METHODS = (
    "lcdh", "ukd", "olsh", "lemon", "random_projection", "cca", "cca_itq", "classifier_code", "doch", "oasis",
)  # fmt: skip
SCORES = ("map", "map:pessimistic", "map:optimistic", "chance")


def counts_of(bits: int, quality: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Items and relevant items by query and distance; higher quality puts relevant ones nearer.

    As many are relevant to every query, whatever the codes: the level of chance is that of the labels.
    """
    x = np.arange(bits + 1)
    share = np.exp(-((x - 0.45 * bits) ** 2) / (bits / 4 + 1) ** 2)
    items = rng.multinomial(ITEMS, share / share.sum(), size=QUERIES)
    hits = rng.binomial(items, np.clip(0.9 - (0.3 + 0.6 * quality) * x / bits, 0.05, 0.95))
    hits = first(hits, np.full(QUERIES, RELEVANT))
    hits += first(items - hits, RELEVANT - hits.sum(axis=1))
    return np.stack([items, hits], axis=2).astype(np.uint16)


def first(counts: npt.NDArray[Any], most: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The counts (Q, D) without what comes after the first ``most`` (Q,)."""
    return np.diff(np.minimum(counts.cumsum(axis=1), most[:, None]), axis=1, prepend=0)


def fill(runs: Path, files: Path, seeds: int) -> None:
    """Five datasets, ten methods, four lengths. Equal arrays are linked, not copied."""
    rng = np.random.default_rng(0)
    runs.mkdir(parents=True)
    files.mkdir()
    for bits, (rank, method) in product((16, 32, 64, 128), enumerate(METHODS)):
        arrays, scores = searched(bits, rank / 10, rng)
        content = packed(arrays)
        (files / f"{method}-{bits}.npz").write_bytes(content)
        for dataset, seed in product(range(5), range(seeds)):
            made = record(method, dataset, bits, seed, scores)
            name = reading.file_name(made.spec)
            made = made.with_arrays(reading.arrays_name(name, content))
            os.link(files / f"{method}-{bits}.npz", runs / made.arrays)
            (runs / name).write_text(json.dumps(made.to_json()))
    assert len(Store(runs).records()) == 200 * seeds  # remembered: a report of a sweep checks none


def searched(bits: int, quality: float, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, float]]:
    """What is stored of a search, and its scores."""
    arrays: dict[str, Any] = {"rows/database": np.arange(ITEMS, dtype=np.uint16)}
    scores: dict[str, float] = {}
    for direction, modality in (("i2t", "image"), ("t2i", "text")):
        counts = counts_of(bits, quality, rng)
        hits = counts[:, :, 1].sum(axis=1, dtype=np.uint32)
        arrays[f"{direction}/8/counts"], arrays[f"{direction}/8/gains"] = counts, counts[:, :, 1]
        arrays[f"{direction}/8/grades"] = np.stack([ITEMS - hits, hits], axis=1).astype(np.uint32)
        arrays[f"codes/query/{modality}"] = hamming.pack_codes(rng.random((QUERIES, bits)) < 0.5)
        arrays[f"codes/database/{modality}"] = hamming.pack_codes(rng.random((ITEMS, bits)) < 0.5)
        means = metrics.means(SCORES, hamming.Histograms(counts))
        scores |= {f"{name}/{direction}": mean for name, mean in means.items()}
    return arrays, scores


def record(method: str, dataset: int, bits: int, seed: int, scores: dict[str, float]) -> RunRecord:
    spec = RunSpec(
        method=method,
        dataset="synthetic",
        dataset_params={"seed": dataset},
        bits=bits,
        schedule=Schedule("shuffled", 2000),
        seed=seed,
    )
    last = RoundRecord(
        round=8,
        items=ITEMS,
        queries=QUERIES,
        empty_queries={"i2t": 0, "t2i": 0},
        metrics=scores,
        seconds={"fit": 1.0, "encode_query": 0.1, "encode_database": 0.2, "search": 0.3},
        bits_rewritten=None,
        state_bytes=1000,
    )
    return RunRecord(
        spec=spec,
        status="ok",
        rounds=(last,),
        code=fingerprint.of_method(method),
        data=str(dataset),
        fidelity="textbook",
        fit_seconds=(1.0,) * 9,
    )


def test_ten_times_the_cells_cost_at_most_ten_times_a_report_with_its_page(
    benchmark: Any, tmp_path: Path
) -> None:
    """2000 cells: a minute where this was written, most of it for figures, which both sizes have."""

    def filled(seeds: int) -> Path:
        home = tmp_path / str(seeds)
        fill(home / "runs", home / "files", seeds)
        return home

    def report(home: Path) -> None:
        command = [sys.executable, "-m", "bench.cli", "report", "--results", "runs", "--out", "report"]
        subprocess.run([*command, "--html", "page.html"], cwd=home, env=env, check=True)

    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(bench.__file__).parents[1]), *sys.path])}
    many, few = filled(10), filled(1)
    started = time.perf_counter()
    report(few)
    seconds = time.perf_counter() - started
    benchmark.pedantic(report, (many,), rounds=1)
    assert (many / "page.html").stat().st_size < 5_000_000
    assert len(list((many / "report").rglob("*.pdf"))) > 30
    assert benchmark.stats.stats.max <= 10 * seconds


def test_scores_and_curves_cost_less_than_half_of_the_same_numbers_from_the_metrics(race: Any) -> None:
    counts: Any = counts_of(BITS, 0.5, np.random.default_rng(0))
    made = record("lcdh", 0, BITS, 0, {})

    def ours() -> object:
        return Evidence(lambda _: {"i2t/8/counts": counts}).search(made, "i2t")

    found = Evidence(lambda _: {"i2t/8/counts": counts}).search(made, "i2t")
    names = ["map", *(f"{name}@{cut}" for name in ("precision", "recall") for cut in found.cuts)]

    def by_metric() -> float:
        started = time.perf_counter()
        hist = Histograms(counts)
        metrics.means(names, hist)
        metrics.pr_curve(hist)
        return time.perf_counter() - started

    assert race(ours, {"metrics": by_metric})["metrics"] > 2
