"""Runs that never ran: records with the histograms and codes of planted codes, for reports to read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bench import metrics
from bench.records import Direction, RoundRecord, RunRecord, RunSpec, Schedule
from bench.results import Results
from bench.scoring import hamming

CLASSES, QUERIES, CHUNK = 8, 60, 100
NAMES = ("map", "map:pessimistic", "map:optimistic", "chance", "map@50", "precision@100")
Stored = dict[str, npt.NDArray[Any]]


@dataclass
class Made:
    """Records and what lies beside them."""

    records: list[RunRecord]
    stored: dict[str, Stored]

    def arrays(self, record: RunRecord) -> Mapping[str, npt.NDArray[Any]]:
        return self.stored[record.spec.key]

    def results(self, **more: Any) -> Results:
        return Results(self.records, arrays=self.arrays, **more)


def _labels(rng: np.random.Generator, n: int) -> npt.NDArray[np.uint8]:
    found = (rng.random((n, CLASSES)) < 0.15).astype(np.uint8)
    found[np.arange(n), rng.integers(0, CLASSES, n)] = 1
    return found


def _run(spec: RunSpec, noise: float, rounds: int) -> tuple[RunRecord, Stored]:
    """Codes are noisy projections of labels that get better by the round; old codes are made anew."""
    data = np.random.default_rng(len(spec.dataset))
    towards = data.standard_normal((CLASSES, 16))
    labels, asked = _labels(data, CHUNK * rounds), _labels(data, QUERIES)  # the same at every code length
    if spec.bits != 16:
        towards = data.standard_normal((CLASSES, spec.bits))
    masks = hamming.pack_labels(asked), hamming.pack_labels(labels)
    rng = np.random.default_rng([spec.seed, spec.bits, sum(map(ord, spec.label))])
    stored: Stored = {}
    entries: list[RoundRecord] = []
    before: dict[str, npt.NDArray[np.uint64]] = {}
    for t in range(rounds):
        items, sd = CHUNK * (t + 1), noise * (1 + 1 / (t + 1))

        def codes(of: npt.NDArray[np.uint8], sd: float = sd) -> npt.NDArray[np.uint64]:
            return hamming.pack_codes(of @ towards + sd * rng.standard_normal((len(of), spec.bits)) >= 0)

        now = {m: codes(labels[:items]) for m in ("image", "text")}
        queries = {m: codes(asked) for m in ("image", "text")}
        scores: dict[str, float] = {}
        for direction in spec.directions:
            sides = {"i": "image", "t": "text"}
            pair = queries[sides[direction[0]]], now[sides[direction[2]]]
            seen = np.ascontiguousarray(masks[1][:, :items])
            hist = hamming.histograms(*pair, masks[0], seen, bits=spec.bits, graded=True)
            stored[f"{direction}/{t}/counts"] = hist.counts
            assert hist.gains is not None and hist.grades is not None
            stored[f"{direction}/{t}/gains"], stored[f"{direction}/{t}/grades"] = hist.gains, hist.grades
            scores |= {f"{k}/{direction}": v for k, v in metrics.means(NAMES, hist).items()}
        flips = sum(int(np.bitwise_count(old ^ now[m][:, : old.shape[1]]).sum()) for m, old in before.items())
        frozen = spec.database == "frozen"
        seconds = {"fit": noise / 10, "encode_query": 0.01, "encode_database": 0.02, "search": 0.03}
        again = {} if frozen or not t else {"rehash": 0.01 * (t + 1) * noise}
        seconds |= again | {f"{k}_cpu": v for k, v in (seconds | again).items()}
        entries.append(
            RoundRecord(
                round=t,
                items=items,
                queries=QUERIES,
                empty_queries=dict.fromkeys(spec.directions, 0),
                metrics=scores,
                seconds=seconds,
                bits_rewritten=flips if before and not frozen else None,
                state_bytes=1000 * spec.bits,
            )
        )
        before = now
    for m in ("image", "text"):
        stored |= {f"codes/query/{m}": queries[m], f"codes/database/{m}": now[m]}
    stored["queries/introduced"] = np.minimum(np.where(asked, np.arange(CLASSES), 0).max(axis=1), rounds - 1)
    last = entries if spec.evaluate == "all" else entries[-1:]
    record = RunRecord(
        spec=spec,
        status="ok",
        rounds=tuple(last),
        data=f"data-{spec.dataset}",
        code="code",
        fidelity="textbook",
        environment={"jobs": 1, "threads": 1},
        fit_seconds=(noise / 10,) * rounds,
        arrays=f"{spec.key}.npz",
    )
    return record, stored


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    """Makes a study: ``methods`` maps a name to how noisy its codes are."""

    def made(
        methods: Mapping[str, float],
        *,
        datasets: Sequence[str] = ("wiki",),
        bits: Sequence[int] = (16,),
        seeds: int = 2,
        rounds: int = 3,
        schedule: str = "shuffled:100",
        evaluate: str = "all",
        databases: Sequence[Any] = ("reindexed",),
        references: Mapping[str, str] | None = None,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        directions: tuple[Direction, ...] = ("i2t", "t2i"),
    ) -> Made:
        found = Made([], {})
        for name, dataset, length, database, seed in itertools.product(
            methods, datasets, bits, databases, range(seeds)
        ):
            spec = RunSpec(
                method=name.partition("[")[0],
                dataset=dataset,
                bits=length,
                schedule=Schedule.parse(schedule),
                seed=seed,
                pool="none",
                database=database,
                evaluate=evaluate,
                directions=directions,
                params=(params or {}).get(name, {}),
            )
            record, stored = _run(spec, methods[name], rounds)
            record = replace(record, reference=(references or {}).get(name, ""))
            found.records.append(record)
            found.stored[spec.key] = stored
        return found

    return made
