"""One self-contained HTML file with everything that stored results say: no server, no request, no CDN."""

from __future__ import annotations

from bench.page.build import write

__all__ = ["write"]
