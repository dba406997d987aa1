"""LCDH whose students hash CLIP features: what light features cost (A10b of its ablation)."""

from __future__ import annotations

from dataclasses import replace

from bench.methods.lcdh import LCDH


class LCDHClip(LCDH):
    """LCDH, re-implemented, with CLIP features in place of the light ones: an upper bound for its students.

    It is no light method: a query is hashed from its CLIP features, and tables say so.
    """

    capabilities = replace(LCDH.capabilities, encodes="clip")
