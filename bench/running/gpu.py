"""GPU work of a method, in the process in which it runs: timing waits for the device, and memory is counted.

Torch is never imported here, and nothing is asked of it before the method has used CUDA itself.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(slots=True)
class Used:
    """Seconds until the device was idle, over all calls that used it, and the most memory of the last one."""

    seconds: float = 0.0
    bytes: int = 0
    about: Mapping[str, str] = field(default_factory=dict)  # name, CUDA and driver: for the record

    def during(self, act: Callable[[], T]) -> T:
        """The value of ``act()``, once the devices that it used are idle."""
        before, started = _allocations(), time.perf_counter()
        self.bytes = 0
        for device in before:
            _cuda().reset_peak_memory_stats(device)
        value = act()
        busy = [device for device, count in _allocations().items() if count != before.get(device, 0)]
        for device in busy:
            _cuda().synchronize(device)
        if busy:
            self.seconds += time.perf_counter() - started
            self.bytes = sum(int(_cuda().max_memory_allocated(device)) for device in busy)
            self.about = _about(busy[0])
        return value

    def to_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "bytes": self.bytes, "about": dict(self.about)}


def _cuda() -> Any:
    return sys.modules["torch"].cuda


def _allocations() -> dict[int, int]:
    """How many blocks of memory have been requested so far of each device that is in use."""
    if "torch" not in sys.modules or not _cuda().is_initialized():
        return {}
    counts = {
        device: int(_cuda().memory_stats(device).get("allocation.all.allocated", 0))
        for device in range(_cuda().device_count())
    }
    return {device: count for device, count in counts.items() if count}


@cache
def _about(device: int) -> dict[str, str]:
    torch: Any = sys.modules["torch"]
    about = {"gpu": str(torch.cuda.get_device_name(device)), "cuda": str(torch.version.cuda)}
    stated = _DRIVER.read_text(encoding="utf-8") if _DRIVER.is_file() else ""
    version = re.search(r"Module\s+(\d[\d.]*)", stated)
    return about | {"driver": version[1] if version else "unknown"}
