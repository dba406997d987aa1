"""Product quantisation of the real-valued outputs of LCDH's hash functions."""

from __future__ import annotations

from bench.api import Split
from bench.methods._quantisers import OfOutputs, combination, quantised
from bench.methods.lcdh import LCDH
from bench.methods.pq import PQ


class PQLcdh(OfOutputs, PQ):
    """PQ of the outputs of LCDH, scaled to length 1, not CCA's variates; learns by chunk."""

    hashes = LCDH
    capabilities = quantised(LCDH, PQ)
    source = combination(LCDH, PQ)

    def fit_pool(self, pool: Split) -> None:
        self._method.fit_pool(pool)
