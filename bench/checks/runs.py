"""Small finished runs that never ran: records, and what lies beside them, for reports to read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import metrics
from bench.records import (
    Direction,
    IndexRecord,
    PartRecord,
    RoundRecord,
    RunRecord,
    RunSpec,
    Schedule,
    SearchRecord,
)
from bench.reporting.results import Results
from bench.scoring import hamming

METHODS = ("lemon", "cca", "random_projection")
SWEPT = {
    "one parameter": ("lambda1",),
    "two parameters": ("lambda1", "lambda2"),
}  # of lcdh
STUDIES = (  # on Wiki papers have numbers
    *("shuffled", "trained on half", "class-incremental", "label noise", "wiki"),
    *SWEPT,
)
CLASSES, QUERIES, CHUNK, ROUNDS = 4, 30, 40, 2
NAMES = (
    *("map", "map:pessimistic", "map:optimistic", "chance", "map@50"),
    *("precision@100", "precision@r2", "ndcg@100"),
)
SECONDS = {"fit": 0.5, "encode_query": 0.01, "encode_database": 0.02, "rehash": 0.02, "search": 0.03}
Stored = dict[str, npt.NDArray[Any]]


def results(study: str = "shuffled", *, failed: bool = False) -> Results:
    """One of STUDIES, at two code lengths and with two seeds; ``failed`` adds a cell without numbers."""
    order = f"class_incremental:{ROUNDS}" if study == "class-incremental" else f"shuffled:{CHUNK}"
    axes = SWEPT.get(study, ())
    grid = [
        dict(zip(axes, values, strict=True))
        for values in itertools.product((0.1, 1.0, 10.0), repeat=len(axes))
    ]
    cells = [("lcdh", params) for params in [{}, *grid]] if axes else [(method, {}) for method in METHODS]
    stored: dict[str, Stored] = {}
    records = []
    train = "0.5" if study == "trained on half" else "all"
    dataset = "wiki" if study == "wiki" else "synthetic"
    noises = ("none", "sym:0.4") if study == "label noise" else ("none",)
    for (method, params), bits, seed, noise in itertools.product(cells, (16, 32), (0, 1), noises):
        spec = replace(_spec(method, bits, seed, order, params), train=train, dataset=dataset, noise=noise)
        record, stored[spec.key] = _run(spec)
        records.append(record)
    if failed:
        spec = replace(_spec("olsh", 16, 0, order, {}), train=train, dataset=dataset)
        records.append(RunRecord(spec=spec, status="failed", reason="round 0: no more", fidelity="textbook"))
    return Results(records, arrays=lambda record: stored[record.spec.key], indexes=_index, swept=axes)


def _index(record: RunRecord) -> IndexRecord:
    """Facts of an exact index and of two settings of another."""
    settings = {"": ("flat", 1.0, 2e-5), "nprobe=1": ("ivf", 0.5, 1e-5), "nprobe=2": ("ivf", 0.95, 1.5e-5)}
    searches = tuple(
        SearchRecord(
            direction=direction,
            index=kind,
            setting=setting,
            recall=dict.fromkeys(("1", "10"), recall),
            precision=dict.fromkeys(("1", "10"), recall * record.spec.bits / 100),
            p50=seconds,
            p99=2 * seconds,
            busy_p50=3 * seconds,
            busy_p99=4 * seconds,
            rates={"1": 1 / seconds},
            bytes_per_item=record.spec.bits / 8 + 8,
            build_seconds=0.1,
            add_seconds=0.01,
        )
        for direction in record.spec.directions
        for setting, (kind, recall, seconds) in settings.items()
    )
    return IndexRecord(
        arrays=record.arrays,
        items=CHUNK * ROUNDS,
        queries=QUERIES,
        chunk=CHUNK,
        clip_recall={},
        output_recall={d: {str(k): 0.5 for k in (1, 10)} for d in record.spec.directions},
        searches=searches,
        environment={"cores": 1},
    )


def _spec(method: str, bits: int, seed: int, order: str, params: Mapping[str, Any]) -> RunSpec:
    return RunSpec(
        method=method,
        dataset="synthetic",
        bits=bits,
        schedule=Schedule.parse(order),
        seed=seed,
        pool="none",
        evaluate="all",
        params=params,
    )


def _run(spec: RunSpec) -> tuple[RunRecord, Stored]:
    """Codes are noisy projections of the labels."""
    rng = np.random.default_rng([spec.seed, spec.bits, len(spec.label)])
    towards = rng.standard_normal((CLASSES, spec.bits))
    labels = np.eye(CLASSES, dtype=np.uint8)[np.arange(CHUNK * ROUNDS) % CLASSES]
    asked = labels[:QUERIES]
    masks = hamming.pack_labels(asked), hamming.pack_labels(labels)
    stored: Stored = {
        "rows/database": np.arange(CHUNK * ROUNDS),
        "rows/trained": np.arange(CHUNK * ROUNDS) % 8 < 4,
        "rows/query": np.arange(0),
        "queries/introduced": np.arange(QUERIES) % ROUNDS,
    }

    def codes(of: npt.NDArray[np.uint8]) -> hamming.Packed:
        noise = rng.standard_normal((len(of), spec.bits))
        return hamming.pack_codes(of @ towards + noise >= 0)

    for modality in ("image", "text"):
        stored[f"codes/query/{modality}"] = codes(asked)
        stored[f"codes/database/{modality}"] = codes(labels)
    rounds = tuple(_round(spec, t, masks, stored) for t in range(ROUNDS))
    record = RunRecord(
        spec=spec,
        status="ok",
        rounds=rounds,
        data="data",
        code="code",
        fidelity="textbook",
        environment={"jobs": 1, "threads": 1},
        fit_seconds=(0.5,) * ROUNDS,
        arrays=f"{spec.key}.npz",
    )
    return record, stored


def _round(spec: RunSpec, t: int, masks: tuple[hamming.Packed, ...], stored: Stored) -> RoundRecord:
    """Search what has arrived by round ``t``, and keep the histograms: of both parts, where there are two."""
    rows = np.arange(CHUNK * (t + 1))
    trained = stored["rows/trained"][rows]
    parts = {"trained": rows[trained], "unseen": rows[~trained]} if spec.divided else {}
    scores = {
        part: PartRecord(**_scores(spec, t, of, masks, stored, f"/{part}")) for part, of in parts.items()
    }
    return RoundRecord(
        round=t,
        queries=QUERIES,
        seconds=SECONDS | {f"{stage}_cpu": value for stage, value in SECONDS.items()},
        bits_rewritten=10 * t if t else None,
        state_bytes=1000 * spec.bits,
        parts=scores,
        **_scores(spec, t, rows, masks, dict(stored) if parts else stored, ""),
    )


def _scores(
    spec: RunSpec,
    t: int,
    rows: npt.NDArray[Any],
    masks: tuple[hamming.Packed, ...],
    stored: Stored,
    part: str,
) -> dict[str, Any]:
    """The fields of a PartRecord over some rows; their histograms are added to ``stored``."""
    scores: dict[str, float] = {}
    for direction in spec.directions:
        found = _search(spec, direction, rows, masks, stored)
        arrays = {"counts": found.counts, "gains": found.gains, "grades": found.grades}
        stored |= {f"{direction}/{t}{part}/{name}": a for name, a in arrays.items() if a is not None}
        scores |= {f"{name}/{direction}": value for name, value in metrics.means(NAMES, found).items()}
    return {"items": len(rows), "empty_queries": dict.fromkeys(spec.directions, 0), "metrics": scores}


def _search(
    spec: RunSpec,
    direction: Direction,
    rows: npt.NDArray[Any],
    masks: tuple[hamming.Packed, ...],
    stored: Mapping[str, npt.NDArray[Any]],
) -> hamming.Histograms:
    sides = {"i": "image", "t": "text"}
    query = stored[f"codes/query/{sides[direction[0]]}"]
    database = stored[f"codes/database/{sides[direction[2]]}"][:, rows]
    return hamming.histograms(
        query, database, masks[0], masks[1][:, rows], bits=spec.bits, graded=True, threads=1
    )
