"""SHE: its losses against golden values, modalities that arrive in turn, classes that come later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.checks.trial import only
from bench.errors import DataError
from bench.methods.she import SHE, affinity, separation, to_prototypes, transfer

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def test_losses_are_those_of_the_specification(golden: Any) -> None:
    u, p, a = (
        torch.tensor(golden.unit(*shape, transposed=t))
        for *shape, t in ((8, 16, False), (15, 16, False), (16, 15, True))
    )
    labels = torch.tensor(golden.labels, dtype=torch.float64)
    near = 0.9 * p + 0.1 * a
    losses = (
        affinity(u, labels),
        to_prototypes(u, p, labels),
        separation(p, 3),
        transfer(p, a, 0.95),
        transfer(p, near / near.norm(dim=1, keepdim=True), 0.95),
    )
    expected = (0.6008938991, 0.4584812409, 0.7389826718, 6.4266124429, 0.0)
    assert [float(loss) for loss in losses] == pytest.approx(expected, abs=1e-9)


def in_turn(pairs: Callable[..., Chunk], **settings: Any) -> tuple[SHE, float]:
    """SHE after a chunk of images and one of texts, and how much oftener bits agree within a class."""
    method = SHE(**{"bits": 16, "hidden": 128, "epochs": 60, "batch": 100, **settings})
    method.fit_chunk(only(pairs(300, seed=1), "image"))
    method.fit_chunk(only(pairs(300, seed=2), "text"))
    fresh = pairs(200, seed=3)
    assert fresh.labels is not None
    image, text = (method.encode(fresh.batch(m), m).astype(float) for m in MODALITIES)
    same = fresh.labels @ fresh.labels.T > 0
    agree = image @ text.T / method.bits
    return method, float(agree[same].mean() - agree[~same].mean())


def test_modalities_that_come_one_after_the_other_are_aligned(pairs: Callable[..., Chunk]) -> None:
    assert in_turn(pairs)[1] > 0.7


def test_without_the_first_modalitys_prototypes_nothing_is_aligned(pairs: Callable[..., Chunk]) -> None:
    assert in_turn(pairs, beta2=0.0)[1] < 0.4


def test_a_modality_that_has_not_come_is_named(pairs: Callable[..., Chunk]) -> None:
    method = SHE(bits=8, hidden=8, epochs=1)
    method.fit_chunk(only(pairs(50), "image"))
    with pytest.raises(DataError, match="met no text yet"):
        method.encode(pairs(5).text, "text")


def test_anchors_never_change_and_later_classes_add_theirs(pairs: Callable[..., Chunk]) -> None:
    method, chunk = SHE(bits=8, hidden=8, epochs=1), pairs(80)
    assert chunk.labels is not None
    early = chunk.labels[:, :2].max(axis=1)
    method.fit_chunk(dataclasses.replace(chunk, labels=chunk.labels * early[:, None]))
    assert method.anchors_ is not None and method.anchored_ is not None
    first = method.anchors_.copy()
    assert method.anchored_.tolist() == [True, True, False, False] and not first[6:].any()
    method.fit_chunk(pairs(80))
    assert (method.anchors_[:6] == first[:6]).all() and method.anchors_[6:].any(axis=1).all()


def test_the_state_does_not_grow(pairs: Callable[..., Chunk]) -> None:
    from bench.contract.state import nbytes

    method = SHE(bits=8, hidden=8, epochs=1)
    method.fit_chunk(pairs(80))
    size = nbytes({k: v for k, v in method.state_dict().items() if k != "rng"})
    method.fit_chunk(pairs(80, seed=1))
    assert nbytes({k: v for k, v in method.state_dict().items() if k != "rng"}) == size
