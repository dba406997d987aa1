"""SKDCH-lite online: a frozen teacher labels each chunk by votes of neighbours in the chunk and a memory.

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
    """SKDCH for streams: the teacher is trained on the pool (or first chunk), the student chunk by chunk.

    Every chunk is trained together with a memory of earlier items. Labelled neighbours in either vote on the
    labels of its unlabelled items. As a positive or negative, a remembered item is represented by its stored
    code, not by the current output of the networks.
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
        known = self._place().tensor(now.items["labels"])
        relevance = self._relevance(self._networks_of(self.teacher_), now.x, known)
        self._distil(now.x, relevance, now.nets, None if now.given is None else (now.given + 1) / 2)
        self._keep(now.nets)
        image, text = (np.tanh(self._outputs(chunk.batch(m).features, m) / 2) for m in MODALITIES)  # 2σ - 1
        self.memory_.add({**new, "codes": sign(image + text)}, self.rng)
