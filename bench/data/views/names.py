"""Names of views: ``clip:ViT-B-32:openai``, ``vgg16``, ``bow:20``: an encoder and its arguments."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.contract import params
from bench.contract.dataset import Raw
from bench.contract.encoder import Encoder, Extractor, Setting
from bench.contract.items import Modality
from bench.errors import ParameterError
from bench.plugins import fingerprint, registry

NETWORK = "network"  # the encoder of a view whose kind no encoder has: the name of a network


@dataclass(frozen=True, slots=True)
class View:
    """A kind, which is an encoder or a network, and its arguments, which follow it after colons."""

    kind: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> View:
        """Read a name; a :class:`ParameterError` where its encoder does not accept it.

        >>> View.parse("clip:ViT-B-32:openai").folder
        'clip-ViT-B-32-openai'
        """
        kind, *arguments = text.strip().split(":")
        if not re.fullmatch(r"[A-Za-z_][\w.]*", kind) or not all(arguments):
            raise ParameterError(
                f"view {text!r}: expected an encoder or a network, and its arguments after colons: vgg16 or "
                "bow:20. `bench list encoders` shows them."
            )
        view = cls(kind, tuple(arguments))
        view.encoder()
        return view

    def encoder(self) -> Encoder:
        """The encoder with these arguments, none of which has been loaded."""
        name, values = self._resolved()
        cls = _encoder(name, _plugins())
        known = list(params.parameters(cls, without=()).values())
        form = ":".join([self.kind, *(p.name.upper() for p in known[len(values) - len(self.arguments) :])])
        if len(values) > len(known):
            raise ParameterError(f"view {str(self)!r}: has too many arguments; expected at most {form}.")
        lacking = [f.name for f in dataclasses.fields(cls)[len(values) :] if f.default is dataclasses.MISSING]
        if lacking:
            raise ParameterError(f"view {str(self)!r}: names no {lacking[0]}. Write {form}.")
        pairs = zip(known, values, strict=False)
        return cls(**{p.name: params.parse(f"view {self}", p, text) for p, text in pairs})

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        """Load the encoder's model for one modality of ``raw``."""
        return self.encoder().load(modality, raw, setting)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return _encoder(self._resolved()[0], _plugins()).modalities

    @property
    def reads_train(self) -> bool:
        """Whether its rows depend on which texts are training texts."""
        return _encoder(self._resolved()[0], _plugins()).reads_train

    @property
    def folder(self) -> str:
        """The view's name as that of a folder."""
        return tidy(str(self).replace(":", "-"))

    def code(self) -> list[Path]:
        """The files of its encoder, helpers included."""
        return fingerprint.sources("encoder", self._resolved()[0])

    def _resolved(self) -> tuple[str, tuple[str, ...]]:
        """The encoder's name and its arguments."""
        if self.kind in _names(_plugins()):
            return self.kind, self.arguments
        return NETWORK, (self.kind, *self.arguments)

    def __str__(self) -> str:
        return ":".join((self.kind, *self.arguments))


def _plugins() -> tuple[str, ...]:
    """Versions of the files that decide what a name leads to: look-ups are cached, since a run makes many."""
    return tuple(registry.version(path.stem) for path in registry.added_files())


@cache
def _names(plugins: tuple[str, ...]) -> frozenset[str]:
    return frozenset(registry.names("encoder"))


@cache
def _encoder(name: str, plugins: tuple[str, ...]) -> type[Encoder]:
    found: type[Encoder] = registry.get("encoder", name)
    return found


def tidy(text: str) -> str:
    """``text`` as a file name: itself where it can be one, else readable, with a hash to keep it distinct.

    >>> tidy("vgg16-weights/mine.pth")
    'vgg16-weights_mine.pth-add114'
    """
    plain = re.sub(r"[^\w.=+-]", "_", text).lstrip(".")
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
