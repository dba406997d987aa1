"""SKDCH-lite online: a frozen teacher whose neighbours vote within each chunk and a memory of labelled items.

Our extension: SKDCH is an offline method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from bench.api import MODALITIES, Capabilities, Chunk, Modality, Split, Variant, sign
from bench.methods._online import Array
from bench.methods._rehearsal import NOTE, WITHOUT, Rehearsing, features_of
from bench.methods.skdch import SKDCH


class SKDCHOnline(SKDCH, Rehearsing):
    """SKDCH with a teacher trained on the run's pool (or the first chunk), and chunks instead of refits.

    A chunk is trained on together with a memory of earlier items. Its unlabelled items get the labels
    that the labelled among their neighbours in both vote for. As a positive or a negative a remembered
    item is the code that it was given, not what the networks make of it now.
    """

    capabilities = Capabilities(supervised=True, label_free=True, pool=True)
    source = dataclasses.replace(SKDCH.source, note=NOTE.format("skdch"))
    variants: ClassVar[Mapping[str, Variant]] = {**SKDCH.variants, **WITHOUT}
    varies = (*SKDCH.varies, "memory")

    def fit_pool(self, pool: Split) -> None:
        with self._place().training():
            settings = (self.seed, self.teacher_epochs, self.hidden, self.gamma, *self._recipe().values())
            key = ("skdch online", *settings, self.max_train, self._place())
            self.mean_, self.scale_, self.teacher_ = pool.shared.once(key, lambda: self._frozen(pool))

    def _frozen(
        self, pool: Split
    ) -> tuple[dict[Modality, Array], dict[Modality, float], dict[Modality, Any]]:
        mean, scale, _, _, nets = self._teacher(pool)
        return mean, scale, {m: nets[m].arrays() for m in MODALITIES}

    def _learn(self, chunk: Chunk) -> None:
        self._begin(chunk)
        labels = np.zeros((len(chunk), 0), np.uint8) if chunk.labels is None else np.asarray(chunk.labels)
        new = {**features_of(chunk), "labels": labels}
        now = self._round(new)
        told = self._place().tensor(now.items["labels"])
        relevance = self._relevance(self._networks_of(self.teacher_), now.x, told)
        self._distil(now.x, relevance, now.nets, None if now.given is None else (now.given + 1) / 2)
        self._keep(now.nets)
        image, text = (np.tanh(self._outputs(chunk.batch(m).features, m) / 2) for m in MODALITIES)  # 2σ - 1
        self.memory_.add({**new, "codes": sign(image + text)}, self.rng)
