"""LCDH with students on CLIP features: shows what light features cost (A10b in docs/lcdh.md)."""

from __future__ import annotations

from dataclasses import replace

from bench.methods.lcdh import LCDH


class LCDHClip(LCDH):
    """LCDH, re-implemented, with CLIP features instead of light ones: an upper bound for its students.

    Not a light method: it hashes queries from their CLIP features, and tables say so.
    """

    capabilities = replace(LCDH.capabilities, encodes="clip")
