"""What a grid over parameters gains by running in one pass over the stream: a ratio within one run."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VALUES = ("0.01", "0.1", "1", "10")
STUDY = ["--datasets", "synthetic", "--bits", "32", "--seeds", "1"]


def seconds(words: list[str], prepared: Path, folder: Path) -> float:
    """Of a command in a process of its own, in which the dataset is prepared and nothing else is."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(prepared, folder / "cache" / "datasets")
    env = {**os.environ, "BENCH_CACHE": str(folder / "cache"), "BENCH_RESULTS": str(folder / "runs")}
    started = time.perf_counter()
    command = [sys.executable, "-m", "bench.cli", *words, *STUDY]
    subprocess.run(command, env=env, check=True, capture_output=True)
    return time.perf_counter() - started


def test_a_4_by_4_grid_of_lcdh_is_at_least_10_times_as_fast_as_16_runs(race: Any, tmp_path: Path) -> None:
    """Against a process for every cell, which trains its own teacher; one of 16 is run, each time another."""
    prepared, folder = tmp_path / "prepared", tmp_path / "one"
    prepared.mkdir()
    seconds(["run", "--methods", "random_projection"], prepared, folder)
    prepared = shutil.copytree(folder / "cache" / "datasets", tmp_path / "datasets")
    cells = itertools.cycle(zip(VALUES, VALUES[1:] + VALUES[:1], strict=True))

    def grid() -> float:
        axes = [f"{name}={','.join(VALUES)}" for name in ("lambda1", "lambda2")]
        return seconds(["sweep", "lcdh", "--grid", *axes], prepared, folder)

    def alone() -> float:
        first, second = next(cells)
        method = f"lcdh[lambda1={first},lambda2={second}]"
        return len(VALUES) ** 2 * seconds(["run", "--methods", method], prepared, folder)

    ratios = race(grid, {"a process for every cell": alone}, rounds=3)
    assert ratios["a process for every cell"] >= 10
