"""The codes of LCDH's teacher for image and text together, as an oracle (A10c of its ablation)."""

from __future__ import annotations

from dataclasses import replace

from bench.api import Batch, Codes, Modality, sign
from bench.methods.lcdh import LCDH
from bench.methods.lcdh.teacher import Seen


class LCDHFused(LCDH):
    """LCDH's teacher on both sides, an ORACLE: queries and items are hashed from image AND text together.

    That is not cross-modal retrieval. It shows what codes the students are taught to reproduce.
    """

    capabilities = replace(LCDH.capabilities, reference="fused")

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        """The teacher's codes of both modalities; without a teacher the students' of one."""
        if self.teacher_ is None:
            return super().encode(batch, modality)
        return sign(self.teacher_.signal(Seen(batch.views["image"], batch.views["text"])))
