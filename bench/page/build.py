"""Puts the data, the styles and the scripts of the page into one file."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import __version__
from bench.errors import StoreError
from bench.page import curves, data, retrieval
from bench.printing import json_text
from bench.reporting import writing
from bench.results import Results

_ASSETS = Path(__file__).with_name("assets")
_SCRIPTS = (
    *("dom.js", "theme.js", "packed.js", "panel.js"),
    *("model.js", "table.js", "provenance.js", "curves.js", "retrieval.js", "main.js"),
)
LIMIT = 5_000_000  # bytes of the file
_FIGURES = 1_500_000  # bytes of the figures inside it
_ROOM = 200_000  # bytes kept free for parts without a budget


def write(
    results: Results,
    out: Path,
    *,
    data_root: Path,
    title: str = "",
    sections: Mapping[str, Results] | None = None,
    figures: Sequence[Path] = (),
) -> None:
    """Write the page of ``results`` to ``out``, replacing an older one.

    ``sections`` are parts of ``results`` by title, each with its own tables as in a report; without them
    everything is one section. ``data_root`` is where datasets find the pictures and texts of the retrieval
    viewer; a dataset that cannot be read has none, and the page says why. ``figures`` are PDF files to
    download from the page, in this order, as many as fit. Raises
    :class:`bench.errors.StoreError` where ``out`` cannot be written or would be over 5 MB.
    """
    content = collect(results, data_root=data_root, title=title, sections=sections, figures=figures)
    text = page("page.html", _SCRIPTS, policy="img-src data:", data=packed(content))
    if len(text.encode()) > LIMIT:
        raise StoreError(
            f"{out}: the page of {len(results)} cells has {len(text.encode()) / 1e6:.1f} MB; at most "
            f"{LIMIT / 1e6:.0f} are allowed. Select fewer methods, datasets or bits."
        )
    writing.text(out, text)


def collect(
    results: Results,
    *,
    data_root: Path,
    title: str = "",
    sections: Mapping[str, Results] | None = None,
    figures: Sequence[Path] = (),
) -> dict[str, Any]:
    """Everything that the page shows; pictures take what the rest leaves free."""
    content = {"title": title, **data.collect(results, sections or {}), "version": __version__}
    content |= {"curves": {}, **_figures(figures)}
    if results.evidence:
        content["curves"] = curves.collect(results.records, results.evidence)
    budget = max(0, LIMIT - len(packed(content)) - _ROOM)
    return {**content, "retrieval": retrieval.collect(results, data_root, budget)}


def _figures(paths: Sequence[Path]) -> dict[str, Any]:
    """The files in base64, and the number of those for which there is no room."""
    found: list[dict[str, str]] = []
    spent = 0
    for path in paths:
        spent += path.stat().st_size
        if spent > _FIGURES:
            break
        content = base64.b64encode(path.read_bytes()).decode()
        found.append({"name": f"{path.parent.name}-{path.name}", "content": content})
    return {"figures": found, "figures_left": len(paths) - len(found)}


def page(template: str, scripts: tuple[str, ...], *, policy: str, data: str = "") -> str:
    """A template with its style and scripts inside, which its policy allows by their hashes only."""
    script = '"use strict";\n' + "\n".join(_asset(name) for name in scripts)
    style = _asset("page.css")
    parts = {
        "POLICY": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; {policy}; "
        "base-uri 'none'; form-action 'none'",
        "STYLE": style,
        "SCRIPT": script,
        "DATA": data,
    }
    before = _asset(template).replace("{{FOOT}}", _asset("foot.html"))
    pieces = []
    while before:  # one pass, so that nothing inside a part is taken for a placeholder
        text, mark, before = before.partition("{{")
        name, _, rest = before.partition("}}")
        pieces += [text, parts[name]] if mark else [text]
        before = rest
    return "".join(pieces)


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def packed(content: Any) -> str:
    """Content for ``page``: JSON, compressed, in letters that mean nothing to HTML."""
    text = json_text(content, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
