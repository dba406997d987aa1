"""LCDH's teacher as an oracle: codes from image and text together (A10c in docs/lcdh.md)."""

from __future__ import annotations

from dataclasses import replace

from bench.api import Batch, Modality
from bench.methods._online import Array
from bench.methods.lcdh import LCDH
from bench.methods.lcdh.teacher import Seen


class LCDHFused(LCDH):
    """LCDH's teacher on both sides, an ORACLE: it hashes queries and items from image AND text together.

    This is not cross-modal retrieval. It shows the quality of the codes that the students imitate.
    """

    capabilities = replace(LCDH.capabilities, reference="fused")

    def outputs(self, batch: Batch, modality: Modality) -> Array:
        """Return the teacher's outputs from both modalities or, without a teacher, the student's from one."""
        if self.teacher_ is None:
            return super().outputs(batch, modality)
        return self.teacher_.signal(Seen(batch.views["image"], batch.views["text"]))
