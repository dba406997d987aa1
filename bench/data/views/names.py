"""Names of views: ``clip:ViT-B-32:openai``, ``vgg16``, ``bow:20``; a part that is a path is local weights."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from bench.contract.items import MODALITIES, Modality
from bench.errors import ParameterError

TEXT = {
    "bow": "binary bag of words; bow:5 drops words of fewer than 5 training texts",
    "tfidf": "the same words, weighted by tf-idf, rows of norm 1",
    "sentence": "sentence-transformers by name; sentence:all-MiniLM-L6-v2 (needs hashbench[sentence])",
}
IMAGE = {
    "gist": "512 Gabor energies, 32 filters on a 4 × 4 grid: like GIST, not its authors' code",
    "hog": "histograms of oriented gradients of the picture at 64 × 64: 1764",
    "colour": "joint histogram of hue, saturation and value, 16 × 4 × 4, square roots: 256",
}
BOTH = {"clip": "open_clip: clip:MODEL:WEIGHTS, or clip:FOLDER of a local checkpoint"}
NETWORK = "any network of timm, without its classifier: vgg16 (fc7), efficientnet_lite0, resnet50:WEIGHTS ..."


@dataclass(frozen=True, slots=True)
class View:
    """A kind and its arguments, which follow it behind colons."""

    kind: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> View:
        """Read a name; a :class:`ParameterError` where it is not one.

        >>> View.parse("clip:ViT-B-32:openai").folder
        'clip-ViT-B-32-openai'
        """
        kind, *arguments = text.strip().split(":")
        most = {"clip": 2, "gist": 0, "hog": 0, "colour": 0}.get(kind, 1)
        if not re.fullmatch(r"[A-Za-z_][\w.]*", kind) or not all(arguments) or len(arguments) > most:
            raise ParameterError(
                f"view {text!r}: expected a kind with at most {most} arguments behind colons. "
                f"Known: clip:MODEL:WEIGHTS, {', '.join([*IMAGE, *TEXT])}, or a network such as vgg16."
            )
        if kind == "clip" and not arguments:
            raise ParameterError("view 'clip': names no model. Write clip:MODEL:WEIGHTS, or clip:FOLDER.")
        return cls(kind, tuple(arguments))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        if self.kind in BOTH:
            return MODALITIES
        return ("text",) if self.kind in TEXT else ("image",)

    @property
    def folder(self) -> str:
        """The view's name as that of a folder."""
        return tidy(str(self).replace(":", "-"))

    def __str__(self) -> str:
        return ":".join((self.kind, *self.arguments))


def tidy(text: str) -> str:
    """``text`` as a file name: itself where it can be one, else readable with a hash that tells it apart.

    >>> tidy("vgg16-weights/mine.pth")
    'vgg16-weights_mine.pth-add114'
    """
    plain = re.sub(r"[^\w.=+-]", "_", text).lstrip(".")
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
