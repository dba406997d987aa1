"""How soon the command line answers and a first number comes, beside what Python itself takes to import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench

HOME = Path(bench.__file__).parents[1]
FIRST_NUMBER = """
import numpy as np
from bench.metrics import evaluate
codes = np.where(np.arange(64_000).reshape(1000, 64) % 7 < 3, 1, -1)
evaluate(codes[:50], codes, np.arange(50) % 2, np.arange(1000) % 2, ("map", "ndcg@10", "map:dcmh"))
"""


def process(*words: str, **environment: str) -> Callable[[], object]:
    """A new interpreter with these words."""
    env = os.environ | environment | {"PYTHONPATH": os.pathsep.join([str(HOME), *sys.path])}
    return lambda: subprocess.run([sys.executable, *words], env=env, check=True, capture_output=True)


@pytest.mark.parametrize("words", [["--help"], ["list", "methods"], ["data", "list"]], ids=" ".join)
def test_an_answer_takes_at_most_six_times_the_import_of_numpy(
    race: Any, timed: Any, words: list[str]
) -> None:
    """Half a second where numpy takes a twelfth."""
    numpy = timed(process("-c", "import numpy"))
    assert race(process("-m", "bench.cli", *words), {"numpy": numpy})["numpy"] >= 1 / 6


def test_a_first_number_takes_at_most_four_times_the_import_of_numba(
    race: Any, timed: Any, tmp_path: Path
) -> None:
    """Once kernels are compiled, which takes at most twenty times as long as that number."""
    first = process("-c", FIRST_NUMBER, NUMBA_CACHE_DIR=str(tmp_path / "warm"))
    folders = (str(tmp_path / f"cold{i}") for i in range(9))
    cold = timed(lambda: process("-c", FIRST_NUMBER, NUMBA_CACHE_DIR=next(folders))())
    ratios = race(first, {"numba": timed(process("-c", "import numba")), "compiling": cold}, rounds=3)
    assert ratios["numba"] >= 1 / 4
    assert ratios["compiling"] <= 20
