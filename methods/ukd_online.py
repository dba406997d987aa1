"""UKD online: a frozen teacher, and a student that continues on every chunk; needs no labels.

Our extension: UKD is an offline method. The trap: similarities within a chunk fix its codes only up to
permuting and flipping bits (_rehearsal.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bench.api import MODALITIES, Capabilities, Chunk, Modality, Split, Variant, sign
from bench.methods._online import Array
from bench.methods._rehearsal import NOTE, WITHOUT, Rehearsing, features_of
from bench.methods.ukd import UKD


class UKDOnline(UKD, Rehearsing):
    """UKD for streams: the teacher is trained on the pool (or first chunk), the student chunk by chunk.

    Every chunk is trained together with a memory of earlier items; neighbours come from both. In the
    likelihood, a remembered item is represented by its stored code (B = sign(F + G) after its own chunk),
    not by the current output of the networks.
    """

    capabilities = Capabilities(pool=True)
    source = dataclasses.replace(UKD.source, note=NOTE.format("ukd"))
    variants: ClassVar[Mapping[str, Variant]] = {**UKD.variants, **WITHOUT}
    varies = ("loss", "gamma", "epochs", "hidden", "rate", "memory", "spaces", "neighbours")

    def fit_pool(self, pool: Split) -> None:
        with self._place().training():
            key = ("ukd online", *self._teacher_settings(), self._place())
            self.mean_, self.scale_, self.teacher_ = pool.shared.once(key, lambda: self._frozen(pool))

    def _frozen(
        self, pool: Split
    ) -> tuple[dict[Modality, Array], dict[Modality, float], dict[Modality, Any]]:
        mean, scale, _, nets = self._teacher(pool)
        return mean, scale, {m: nets[m].arrays() for m in MODALITIES}

    def _learn(self, chunk: Chunk) -> None:
        from bench.methods.ukd import teacher

        self._begin(chunk)
        new = features_of(chunk)
        now = self._round(new)
        frozen = {m: teacher.of(self.teacher_[m], self._place()) for m in MODALITIES}
        self._distil(now.x, self._similarity(frozen, now.x), now.nets, now.given)
        self._keep(now.nets)
        image, text = (np.tanh(self._outputs(chunk.batch(m).features, m)) for m in MODALITIES)
        self.memory_.add({**new, "codes": sign(image + text)}, self.rng)
