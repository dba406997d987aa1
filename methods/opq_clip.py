"""Optimised product quantisation of CLIP features: every query costs a pass through CLIP."""

from __future__ import annotations

from dataclasses import replace

from bench.methods.opq import OPQ


class OPQClip(OPQ):
    """OPQ of CLIP features, scaled to length 1 and centred per modality, in place of CCA's variates."""

    capabilities = replace(OPQ.capabilities, encodes="clip")
