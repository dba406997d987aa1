"""CKDH with CLIP's image tower fine-tuned in the teacher, as its abstract says; needs pictures; offline."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api import Capabilities, Rows, Split, Variant, param
from bench.methods.ckdh import CKDH

if TYPE_CHECKING:
    from bench.methods._network import Place


class CKDHClip(CKDH):
    """CKDH whose teacher trains CLIP's image tower end to end on the pictures.

    The student is that of CKDH: it hashes the plain features, so that a query needs no CLIP. The teacher's
    image branch is ``tanh(√d x W + b)`` for CLIP's unit vector x (d) of a picture.
    """

    clip: str = param("small", "MODEL:WEIGHTS of open_clip, the folder of a checkpoint, or small (shipped)")
    clip_rate: float = param(1e-4, "learning rate of CLIP (Adam); 0 leaves it as it is", least=0)
    memory: float = param(2.0, "GB of pictures kept in memory; more are decoded in every pass", least=0)
    adapter: bool = param(False, "also adapt CLIP's vectors by the residual adapter of ckdh")

    capabilities = Capabilities(supervised=True, pictures=True, offline=True, learned_codes=True)
    source = dataclasses.replace(
        CKDH.source,
        note=CKDH.source.note.replace(
            "a residual adapter on fixed CLIP features where they fine-tune CLIP; ",
            "how CLIP is fine-tuned (all weights of the image tower, by Adam at a rate of its own; batch "
            "normalisation keeps its statistics); ",
        ),
    )
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "large": {**CKDH.presets["large"], "clip": "ViT-B-32:openai", "clip_rate": 1e-5}
    }
    variants: ClassVar[Mapping[str, Variant]] = {
        **{name: variant for name, variant in CKDH.variants.items() if name != "no-adapter"},
        "no-fine-tuning": Variant(isolates="training of CLIP's image tower", params={"clip_rate": 0.0}),
    }

    def _seen_by_teacher(self, items: Split, rows: Rows, place: Place) -> dict[str, Any]:
        from bench.methods._clip import Clip, Inputs

        assert items.image.pictures is not None, "the method declares pictures"
        transform = Clip(self.clip, place).transform
        return {"clip": Inputs(items.image.pictures.take(rows), transform, place, self.memory)}

    def _image_net(self, items: Mapping[str, Any]) -> Any:
        from bench.methods._clip import Clip
        from bench.methods.ckdh.teacher import Adapter

        clip = Clip(self.clip, self._place())
        head = Adapter(clip.width, self.bits, adapts=self.adapter, rng=self.rng, place=self._place())
        return Tower(clip, head, self.clip_rate)


class Tower:
    """CLIP's image tower, whose vectors go through an :class:`Adapter`."""

    def __init__(self, clip: Any, head: Any, rate: float) -> None:
        self.clip, self.head, self.rate = clip, head, rate
        self.parameters = head.parameters

    def __call__(self, pixels: Any) -> Any:
        x = self.clip.images(pixels)
        return self.head((x * x.shape[1] ** 0.5).to(self.clip.place.dtype))

    def slower(self, rate: float) -> list[dict[str, Any]]:
        """The parameters that learn more slowly, as groups of an optimizer."""
        tower = {"params": list(self.clip.model.visual.parameters()), "lr": self.rate}
        return [*self.head.slower(rate), tower]
