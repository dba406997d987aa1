"""LCDH's codes, searched by the real-valued outputs of its hash functions for the query."""

from __future__ import annotations

from dataclasses import replace

from bench.api import Batch, Features, Modality, Source
from bench.methods.lcdh import LCDH


class BinaryLcdh(LCDH):
    """The database has the codes of LCDH; a query keeps its float32 outputs, and ranks by dot product."""

    capabilities = replace(LCDH.capabilities, distance="dot")
    source = Source(
        paper=LCDH.source.paper,
        fidelity="new",
        note="Asymmetric search by LCDH's hash functions, a rival at equal bits; the combination is ours.",
    )

    def encode_query(self, batch: Batch, modality: Modality) -> Features:
        return self.outputs(batch, modality).astype("float32")
