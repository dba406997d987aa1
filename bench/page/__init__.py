"""One self-contained HTML page of stored results, and a live page of a running sweep.

May import: contract, errors, metrics, printing, protocol, records, reporting, results,
running, scoring, storing, study.
"""

from __future__ import annotations

from bench.page.build import write

__all__ = ["write"]
