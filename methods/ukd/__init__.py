"""UKD: an unsupervised teacher's nearest neighbours supervise a student; offline, no labels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign

BLOCK = 4096


class UKD(Method):
    """x"""

    capabilities: ClassVar[Capabilities] = Capabilities(offline=True)

    neighbours: float = param(0.55, "K as a fraction", above=0, most=1)
    teacher_epochs: int = param(20, "", least=0)
    teacher_hidden: int = param(1024, "", least=1)
    teacher_rate: float = param(1e-3, "", above=0)
    decay: float = param(0.01, "", least=0)
    epochs: int = param(20, "", least=0)
    hidden: int = param(512, "", least=1)
    rate: float = param(1e-3, "", above=0)
    gamma: float = param(1.0, "", least=0)
    batch: int = param(256, "", least=2)
    max_train: int = param(15_000, "", least=2)
    device: str = param("cpu", "")

    def fit_chunk(self, chunk: Chunk) -> None:
        import torch

        from bench.methods.ukd import student, teacher
        from bench.methods.ukd.similarity import Similarity

        rows = np.arange(len(chunk))
        if len(rows) > self.max_train:
            rows = np.sort(self.rng.choice(len(rows), self.max_train, replace=False))
        self.mean_, self.scale_, x = {}, {}, {}
        for m in MODALITIES:
            f = chunk.batch(m).features[rows]
            self.mean_[m] = f.mean(axis=0, dtype=np.float64)
            self.scale_[m] = self._scale(f)
            x[m] = torch.from_numpy(((f - self.mean_[m]) / self.scale_[m]).astype(np.float32)).to(self.device)
        common: dict[str, Any] = dict(batch=self.batch, rng=self.rng, device=self.device)
        import time
        t=[time.time()]
        spaces = teacher.learn(
            x, hidden=self.teacher_hidden, epochs=self.teacher_epochs, rate=self.teacher_rate, decay=self.decay, **common
        )
        t.append(time.time())
        similarity = Similarity(spaces, max(1, round(self.neighbours * len(rows))))
        t.append(time.time())
        self.spaces=spaces; self.sim=similarity
        self.layers_ = student.learn(
            x, similarity, bits=self.bits, hidden=self.hidden, epochs=self.epochs, rate=self.rate, gamma=self.gamma, **common
        )
        t.append(time.time())
        self.times=np.diff(t)

    scaling: str = "column"
    def _scale(self, f):
        s = f.std(axis=0, dtype=np.float64)
        s[s == 0] = 1
        if self.scaling == "global":
            return np.full_like(s, np.sqrt((f.var(axis=0, dtype=np.float64)).mean()))
        return s

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        w1, b1, w2, b2 = (np.asarray(a, dtype=np.float64) for a in self.layers_[modality])
        parts = []
        for s in range(0, len(batch), BLOCK):
            x = (batch.features[s:s+BLOCK] - self.mean_[modality]) / self.scale_[modality]
            parts.append(sign(np.maximum(x @ w1 + b1, 0) @ w2 + b2))
        return np.concatenate(parts)
