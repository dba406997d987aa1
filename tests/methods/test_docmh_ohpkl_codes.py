"""DOCMH and OHPKL give the codes of their authors' released programs, bit for bit, on generated inputs.

golden/docmh_ohpkl.npz holds 150 items and 30 queries, in units of 1/1024, and what the training functions of
XX-kang/DOCMH (commit a89f9103) and liligithub5/OHPKL (commit 2e81f68e) give in GNU Octave 7.3.0 for three
chunks of 50: output of programs on generated numbers, no code and no data of others. A formula took the
place of ``randn``; ``eigs`` was ``eig`` with every vector's largest entry positive. OHPKL ran without its
kernel, on features less the mean of the 150 items, with the last 10 items of each chunk unlabelled, and with
one matrix of zeros as wide as the text. Left out, because a dead direction or rounding decides there: 16 bits
with 6 classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Modality
from bench.methods import ohpkl
from bench.methods._anchors import Anchors
from bench.methods.docmh import DOCMH
from bench.methods.ohpkl import OHPKL

Array = np.ndarray[Any, Any]
with np.load(Path(__file__).with_name("golden") / "docmh_ohpkl.npz", allow_pickle=False) as stored:
    GOLDEN: dict[str, Array] = dict(stored)
ENTRIES = [name.removesuffix("_B") for name in GOLDEN if name.endswith("_B")]
DATA = {m: GOLDEN[m] / 1024 for m in MODALITIES}


class FixedDraws:
    """Normal draws that depend on their shape alone; the programs have items in columns."""

    def standard_normal(self, shape: tuple[int, int]) -> Array:
        n, m = shape[::-1]
        wave = 43758.5453 * np.sin(12.9898 * np.arange(1, n * m + 1) + 0.1 * n + 0.01 * m)
        draws: Array = (2 * (wave - np.floor(wave)) - 1) * 1.7
        return draws.reshape(m, n) if n != m else draws.reshape(m, n).T

    def permutation(self, n: int) -> Array:
        return np.arange(n)


def batch(modality: Modality, rows: Any) -> Batch:
    """Items in float64, as the authors' programs have them."""
    features: Any = DATA[modality][rows]
    return Batch(features)


def chunks(labels: Array) -> Iterator[Chunk]:
    for t, rows in enumerate(np.arange(150).reshape(3, 50)):
        image, text = (batch(m, rows) for m in MODALITIES)
        yield Chunk(round=t, image=image, text=text, labels=labels[rows], ids=rows)


def learned(method: Any, labels: Array) -> Array:
    method.rng = FixedDraws()
    codes = []
    for chunk in chunks(labels):
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "DOCMH" in e])
def test_docmh_gives_the_codes_of_its_authors_program(entry: str) -> None:
    case, _, bits = entry.split("_")
    method = DOCMH(bits=int(bits), **DOCMH.presets["authors"])
    np.testing.assert_array_equal(learned(method, GOLDEN[f"labels_{case}"]), GOLDEN[f"{entry}_B"])
    for m in MODALITIES:
        codes = method.encode(batch(m, slice(150, None)), m)
        np.testing.assert_array_equal(codes, GOLDEN[f"{entry}_query_{m}"])


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "OHPKL" in e])
def test_ohpkl_gives_the_codes_of_its_authors_program(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program thresholds queries at the mean of their batch."""
    case, _, bits = entry.split("_")
    maps = {m: Anchors("", None, 1.0, DATA[m][:150].mean(axis=0)) for m in MODALITIES}
    monkeypatch.setattr(ohpkl, "fit_anchors", lambda *_: maps)
    settings = {**OHPKL.presets["authors"], "anchors": 0, "signs": "fixed"}
    method = OHPKL(bits=int(bits), **settings)
    labels = GOLDEN[f"labels_{case}"].copy()
    labels.reshape(3, 50, -1)[:, 40:] = 0
    np.testing.assert_array_equal(learned(method, labels), GOLDEN[f"{entry}_B"])
    for m in MODALITIES:
        scores = maps[m](DATA[m][150:]) @ method.w_[m]
        codes = np.where(scores >= scores.mean(axis=0), 1, -1)
        np.testing.assert_array_equal(codes, GOLDEN[f"{entry}_query_{m}"])
