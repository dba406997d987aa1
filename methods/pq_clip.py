"""Product quantisation of CLIP features: every query costs a pass through CLIP, as with clip_hash."""

from __future__ import annotations

from dataclasses import replace

from bench.methods.pq import PQ


class PQClip(PQ):
    """PQ of CLIP features, scaled to length 1 and centred per modality, in place of CCA's variates."""

    capabilities = replace(PQ.capabilities, encodes="clip")
