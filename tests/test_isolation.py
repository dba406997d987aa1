"""Methods run in a process of their own: the codes are the same, and what they do there ends no other cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.plugins import registry
from bench.running.hosts import Isolation
from bench.storing.store import Store

PLUGINS = Path(__file__).with_name("plugins")
NAMES = [entry.name for entry in registry.listings("method") if entry.origin == "built-in"]


def codes(folder: Path, results: bench.Results) -> Iterator[tuple[str, Any]]:
    for record in results.records:
        assert record.status == "ok", record.traceback
        for name, array in Store(folder).arrays(record).items():
            yield f"{record.spec} {name}", array


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_the_same_in_the_process_of_the_harness_bit_for_bit(
    name: str, quick: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    settings = ",".join(f"{key}={value}" for key, value in quick(name).items())
    learns = registry.get("method", name).capabilities.learned_codes
    kept = []
    for in_process in (True, False):
        folder = tmp_path / str(in_process)
        results = bench.run(
            methods=f"{name}[{settings}]" if settings else name,
            datasets="synthetic[n=240,queries=40]",
            bits="8,16",
            seeds=1,
            schedule="shuffled:80",
            database="reindexed,learned" if learns else "frozen",
            evaluate="all",
            results=str(folder),
            isolation=Isolation(in_process=in_process),
        )
        kept.append(dict(codes(folder, results)))
    here, apart = kept
    assert here.keys() == apart.keys()
    for what, array in here.items():
        np.testing.assert_array_equal(array, apart[what], err_msg=what)
