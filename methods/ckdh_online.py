"""CKDH online: a frozen teacher, and a student that imitates it on every new chunk.

Our extension of our reconstruction: CKDH itself is an offline method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from bench.api import Capabilities, Chunk, Split, Variant
from bench.methods._rehearsal import NOTE, WITHOUT, Rehearsing, features_of
from bench.methods.ckdh import CKDH


class CKDHOnline(CKDH, Rehearsing):
    """CKDH for streams: the teacher is trained on the pool (or first chunk), the student chunk by chunk.

    Labels are read in the pool only. For later chunks the teacher derives similarities from the images' CLIP
    features and the texts' words. Every chunk is trained together with a memory of earlier items: the
    similarity of the student's outputs to the stored codes of those items must match the teacher's.
    """

    capabilities = Capabilities(supervised=True, views=("clip",), learned_codes=True, pool=True)
    source = dataclasses.replace(CKDH.source, note=NOTE.format("ckdh"))
    variants: ClassVar[Mapping[str, Variant]] = {**CKDH.variants, **WITHOUT}
    varies = (*CKDH.varies, "memory")

    def fit_pool(self, pool: Split) -> None:
        with self._place().training():
            key = ("ckdh online", self.seed, self.max_train, self._place())
            self.mean_, self.scale_, items = pool.shared.once(key, lambda: self._items(pool))
            self.clip_mean_, self.clip_scale_ = items["clip place"]
            self.teacher_ = [net.arrays() for net in self._teacher(items)]

    def _learn(self, chunk: Chunk) -> None:
        self._begin(chunk)
        new = {**features_of(chunk), **self._taught_of(chunk)}
        now, place = self._round(new), self._place()
        taught = place.tensor(now.items["F"]), place.tensor(now.items["G"])
        self._distil(now.x, taught, now.nets, now.given)
        self._keep(now.nets)
        self.memory_.add({**new, "codes": self.encode_database(chunk, "image")}, self.rng)

    def _taught_of(self, chunk: Chunk) -> dict[str, Any]:
        """Run the frozen teacher on the chunk: its outputs F and G, (n, bits) each."""
        from bench.methods.ckdh.teacher import Adapter, GraphAttention

        place = self._place()
        nets = Adapter.of(self.teacher_[0], place=place), GraphAttention.of(self.teacher_[1], place=place)
        clip = (chunk.image.views["clip"] - self.clip_mean_) / self.clip_scale_
        text = (chunk.text.features - self.mean_["text"]) / self.scale_["text"]
        arrays = {"clip": clip, "text": text, "words": chunk.text.features}
        image, text = self._taught(nets, {name: place.tensor(array) for name, array in arrays.items()})
        return {"F": image.cpu().numpy(), "G": text.cpu().numpy()}
