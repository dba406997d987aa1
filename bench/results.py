"""The public name of :class:`bench.reporting.results.Results`: records as tables, figures and a data frame.

May import: reporting.
"""

from __future__ import annotations

from bench.reporting.results import Results

__all__ = ["Results"]
