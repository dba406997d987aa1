"""RaBitQ, re-implemented, on CLIP features: every query costs a pass through CLIP."""

from __future__ import annotations

from dataclasses import replace

from bench.methods.rabitq import RaBitQ


class RaBitQClip(RaBitQ):
    """RaBitQ of CLIP features, scaled to length 1 and centred per modality, in place of CCA's variates."""

    capabilities = replace(RaBitQ.capabilities, encodes="clip")
