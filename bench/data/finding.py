"""One piece of advice on a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["PASS", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of advice: its level, its topic, and a text that says what it means and what to do."""

    level: Level
    topic: str
    text: str
