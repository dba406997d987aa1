"""Benchmark harness for online cross-modal hashing.

>>> import bench
>>> results = bench.run(methods="lcdh,ukd", bits=[16, 32])  # doctest: +SKIP
>>> results.table()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path as _Path
from typing import Any

# OpenBLAS threads spin after a call and slow whatever comes next (docs/design.md, "Threads").
# The variable counts only where it is set before numpy is imported.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

__version__ = "0.1.0"

# In a checkout the top-level folders methods/, datasets/ and reports/ are the packages
# bench.methods, bench.datasets and bench.reports. A wheel has them inside bench/ already
# (pyproject.toml, [tool.hatch.build.targets.wheel.sources]).
_checkout = _Path(__file__).resolve().parent.parent
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))

# Public names, each with the module that has it: loaded when first used, so that
# `bench list` pays for neither numpy nor torch.
_LAZY = {
    "Batch": "bench.api",
    "BenchError": "bench.errors",
    "Capabilities": "bench.api",
    "Chunk": "bench.api",
    "Dataset": "bench.api",
    "DatasetSource": "bench.api",
    "Method": "bench.api",
    "Results": "bench.results",
    "Source": "bench.api",
    "Split": "bench.api",
    "check_method": "bench.checks.suite",
    "param": "bench.contract.params",
    "run": "bench.running.sweep",
    "sign": "bench.api",
}
__all__ = ["__version__", *_LAZY]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name == "metrics":
        return importlib.import_module("bench.metrics")
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
