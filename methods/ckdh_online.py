"""CKDH online: a frozen teacher, and a student that imitates it on every chunk as it comes.

Our extension: CKDH is an offline method, and itself a reconstruction here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from bench.api import Capabilities, Chunk, Split, Variant
from bench.methods._rehearsal import NOTE, WITHOUT, Rehearsing, features_of
from bench.methods.ckdh import CKDH


class CKDHOnline(CKDH, Rehearsing):
    """CKDH with a teacher trained on the run's pool (or the first chunk), and chunks instead of refits.

    Labels are read in the pool only: the teacher says of later chunks what is similar, from the CLIP features
    of the images and the words of the texts. A memory of earlier items is trained on with every chunk,
    and the student's outputs must be as similar to the codes that those items were given as the teacher says.
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
        """What the frozen teacher makes of the chunk's items: F and G (n, bits)."""
        from bench.methods.ckdh.teacher import Adapter, GraphAttention

        place = self._place()
        nets = Adapter.of(self.teacher_[0], place=place), GraphAttention.of(self.teacher_[1], place=place)
        clip = (chunk.image.views["clip"] - self.clip_mean_) / self.clip_scale_
        text = (chunk.text.features - self.mean_["text"]) / self.scale_["text"]
        image, text = self._taught(nets, {"clip": place.tensor(clip), "text": place.tensor(text)})
        return {"F": image.cpu().numpy(), "G": text.cpu().numpy()}
