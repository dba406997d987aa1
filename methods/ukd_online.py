"""UKD online: a frozen teacher, and a student that goes on with every chunk; needs no labels.

Our extension: UKD is an offline method. The trap: a similarity within a chunk does not say which of all
equivalent codes to choose (_rehearsal.py).
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
    """UKD with a teacher trained on the run's pool (or the first chunk), and chunks instead of refits.

    A chunk is trained on together with a memory of earlier items. Neighbours are found among both. In
    the likelihood a remembered item stands for the code it was given, B = sign(F + G) after its own chunk,
    and not for what the networks make of it now.
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
