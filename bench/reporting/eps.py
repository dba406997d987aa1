"""Encapsulated PostScript, which knows no transparency and, from matplotlib, is dated."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any


def of(canvas: Any, metadata: Mapping[str, Any]) -> bytes:
    """A drawn figure as EPS; its transparent colours become the opaque ones that they show on white.

    Two figures of equal numbers are equal files: the date is left out.
    """
    for artist in canvas.findobj(lambda artist: artist.get_alpha() not in (None, 1)):
        _flatten(artist)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="eps", metadata=dict(metadata))
    return re.sub(rb"%%CreationDate: .*\n", b"", buffer.getvalue(), count=1)


def _flatten(artist: Any) -> None:
    """Let an artist have the colour that its transparent one shows on white."""
    from matplotlib.colors import to_rgba_array

    alpha = artist.get_alpha()
    for part in ("color", "facecolor", "edgecolor"):
        if part == "color" and hasattr(artist, "set_facecolor"):
            continue
        get, put = (getattr(artist, f"{verb}_{part}", None) for verb in ("get", "set"))
        if get is None or put is None:
            continue
        rgba = to_rgba_array(get())
        opaque = rgba[:, :3] * alpha + 1 - alpha
        put(opaque if len(opaque) > 1 else tuple(opaque[0]) if len(opaque) else "none")
    artist.set_alpha(None)
