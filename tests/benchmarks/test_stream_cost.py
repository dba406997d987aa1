"""A round costs the same however much was seen, and code lengths that run together share their work."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.plugins import registry
from bench.running.hosts import Isolation

pytestmark = pytest.mark.usefixtures("own_cache")

ONLINE = [n for n in registry.names("method") if not registry.get("method", n).capabilities.offline]
GROWS = {"doch": "its anchors are drawn from every old chunk"}
KEEPS = {  # what a method keeps of every item, because it draws from it or re-hashes it
    "doch": "codes and labels",
    "ocmfh": "latent vectors",
    "ocmh": "latent vectors",
    "oscmfh": "labels",
}


@pytest.mark.parametrize("method", ONLINE)
def test_the_fiftieth_chunk_costs_what_the_tenth_costs(method: str, benchmark: Any, tmp_path: Path) -> None:
    """The least fit seconds of rounds 40 to 49 against rounds 5 to 14, of 200 items each; state likewise.

    The least, since a round takes milliseconds and whatever else the machine does can only add to them.
    """
    study: dict[str, Any] = {"datasets": "synthetic[n=10000]", "schedule": "shuffled:200", "bits": "32"}
    study |= {"seeds": 1, "evaluate": "every:10", "database": "frozen"}

    def run() -> Any:
        return bench.run(**study, methods=method, results=str(tmp_path / "runs")).records[0]

    record = benchmark.pedantic(run, rounds=1)
    early, late = (min(record.fit_seconds[a : a + 10]) for a in (5, 40))
    benchmark.extra_info.update({"fit ms": 1e3 * late, "late/early": late / early})
    states = [r.state_bytes for r in record.rounds]
    benchmark.extra_info["state kB"] = states[-1] / 1e3
    assert len(states) == 5
    if method not in KEEPS:
        assert states[-1] == states[0]
    if method not in GROWS:
        assert late <= 1.5 * early


@pytest.mark.parametrize("method", ["lemon", "ridge_code"])
def test_rounds_with_deletions_keep_fit_time_and_state_flat(
    method: str, benchmark: Any, tmp_path: Path
) -> None:
    """As above, with 1000 items in the database from round 5 on: the oldest 200 leave as 200 arrive."""
    steps = ["insert 200"] * 5 + ["insert 200", "delete oldest 200"] * 45
    steps.insert(9, "evaluate")
    runbook = tmp_path / "fifty.toml"
    runbook.write_text(f"steps = {json.dumps([*steps, 'evaluate'])}", encoding="utf-8")
    study: dict[str, Any] = {"datasets": "synthetic[n=10000]", "schedule": f"runbook:{runbook}", "bits": "32"}

    def run() -> Any:
        return bench.run(**study, methods=method, train=0.5, seeds=1, results=str(tmp_path / "r")).records[0]

    record = benchmark.pedantic(run, rounds=1)
    early, late = (min(record.fit_seconds[a : a + 10]) for a in (5, 40))
    benchmark.extra_info.update({"fit ms": 1e3 * late, "late/early": late / early})
    first, last = record.rounds
    assert (last.round, last.items) == (49, 500)  # of which the half that is never trained on is shown
    assert last.state_bytes == first.state_bytes
    assert late <= 1.5 * early


def test_a_runbook_that_deletes_nothing_costs_what_a_shuffled_stream_costs(
    benchmark: Any, tmp_path: Path
) -> None:
    """CPU seconds of 50 chunks each, in this process; the least of five, turn by turn."""
    steps = json.dumps(["insert 200"] * 50 + ["evaluate"])
    (tmp_path / "fifty.toml").write_text(f"steps = {steps}", encoding="utf-8")
    study: dict[str, Any] = {"datasets": "synthetic[n=10000]", "bits": "32", "methods": "ridge_code"}
    study |= {"seeds": 1, "jobs": 1, "isolation": Isolation(in_process=True)}

    def seconds(schedule: str, name: str) -> float:
        started = time.process_time()
        bench.run(**study, schedule=schedule, results=str(tmp_path / name))
        return time.process_time() - started

    def ratio() -> Any:
        schedules = ("shuffled:200", f"runbook:{tmp_path / 'fifty.toml'}")
        pairs = [[seconds(schedule, f"{i}-{k}") for k, schedule in enumerate(schedules)] for i in range(5)]
        plain, runbook = (min(taken) for taken in zip(*pairs, strict=True))
        return runbook / plain

    seconds("shuffled:200", "warm")
    slower = benchmark.pedantic(ratio, rounds=1)
    benchmark.extra_info["times as slow"] = slower
    assert slower <= 1.1


def test_four_code_lengths_together_are_faster_than_one_after_the_other(
    benchmark: Any, tmp_path: Path
) -> None:
    """LEMON on 512 and 1386 columns, as MIRFlickr has: the Gram matrices and factors are shared."""
    rng = np.random.default_rng(0)
    labels = np.eye(24, dtype=np.uint8)[rng.integers(24, size=8200)]
    image, text = (
        (labels @ rng.standard_normal((24, d)) + rng.standard_normal((8200, d))).astype(np.float32)
        for d in (512, 1386)
    )
    np.savez(tmp_path / "wide.npz", image=image, text=text, labels=labels)
    data = f"files[path={tmp_path / 'wide.npz'},queries=200]"
    study: dict[str, Any] = {"methods": "lemon", "datasets": data, "schedule": "shuffled:2000", "seeds": 1}

    def seconds(bits: list[str], name: str) -> float:
        started = time.perf_counter()
        for part in bits:
            bench.run(**study, bits=part, results=str(tmp_path / name))
        return time.perf_counter() - started

    def gains() -> list[float]:
        lengths = ["16", "32", "64", "128"]
        return [seconds(lengths, f"{i}-alone") / seconds([",".join(lengths)], f"{i}") for i in range(5)]

    seconds(["8"], "warm")
    found = benchmark.pedantic(gains, rounds=1)
    benchmark.extra_info["times as fast"] = statistics.median(found)
    assert statistics.median(found) >= 1.2
