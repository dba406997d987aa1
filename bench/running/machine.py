"""Facts about the machine that a reader of a record needs."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.running.hosts import APART, Isolation


def environment(thread_count: int, jobs: int, isolation: Isolation = APART) -> dict[str, Any]:
    """Facts about the machine that a reader needs: no names, no paths, no dates."""
    return ({} if isolation.apart else {"in_process": True}) | {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": thread_count,
        "jobs": jobs,
        **_installed(),
    }


@cache
def _installed() -> dict[str, str]:
    versions = {}
    for name in ("hashbench", "numpy", "scipy", "numba", "torch", "scikit-learn"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


@cache
def _cpu() -> str:
    """The processor's model, if the system knows it."""
    described = Path("/proc/cpuinfo")
    if described.is_file():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
