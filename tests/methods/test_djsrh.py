"""DJSRH: its affinity and loss against plain transcriptions, what it learns, what it keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Shared
from bench.methods.djsrh import DJSRH, affinity, reconstruction_loss

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


@pytest.fixture
def items(label_stream: Callable[..., list[Chunk]]) -> Chunk:
    return label_stream(150)[0]


def fitted(items: Chunk, **settings: Any) -> DJSRH:
    method = DJSRH(**{"bits": 16, "hidden": 32, "epochs": 2, **settings})
    method.fit_chunk(dataclasses.replace(items, labels=None, shared=Shared()))
    return method


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_affinity_mixes_cosines_and_their_second_order() -> None:
    rng = np.random.default_rng(0)
    image, text = rng.standard_normal((5, 7)), rng.standard_normal((5, 4))
    joint = np.empty((5, 5))
    for i in range(5):
        for j in range(5):
            joint[i, j] = 0.3 * (2 * cosine(image[i], image[j]) - 1)
            joint[i, j] += 0.7 * (2 * cosine(text[i], text[j]) - 1)
    expected = [
        [
            1.5 * (0.6 * joint[i, j] + 0.4 * sum(joint[i, a] * joint[j, a] for a in range(5)) / 5)
            for j in range(5)
        ]
        for i in range(5)
    ]
    units = (torch.tensor(x / np.linalg.norm(x, axis=1, keepdims=True)) for x in (image, text))
    found = affinity(*units, beta=0.3, eta=0.4, mu=1.5)
    np.testing.assert_allclose(found.numpy(), expected)


def test_loss_is_the_weighted_mean_squared_error_of_three_cosines() -> None:
    rng = np.random.default_rng(1)
    image, text, target = rng.standard_normal((4, 6)), rng.standard_normal((4, 6)), rng.random((4, 4))
    expected = 0.0
    for weight, a, b in ((1.0, image, text), (0.2, image, image), (0.3, text, text)):
        for i in range(4):
            expected += weight * sum((cosine(a[i], b[j]) - target[i, j]) ** 2 for j in range(4)) / 16
    found = reconstruction_loss(
        torch.tensor(image), torch.tensor(text), torch.tensor(target), within_image=0.2, within_text=0.3
    )
    assert float(found) == pytest.approx(expected)


def test_training_lowers_the_loss(items: Chunk) -> None:
    def loss(method: DJSRH) -> float:
        codes = [torch.tensor(method.encode(items.batch(m), m), dtype=torch.float32) for m in MODALITIES]
        x = [torch.nn.functional.normalize(torch.tensor(items.batch(m).features)) for m in MODALITIES]
        target = affinity(x[0], x[1], beta=0.5, eta=0.4, mu=1.5)
        return float(reconstruction_loss(codes[0], codes[1], target, within_image=0.1, within_text=0.1))

    assert loss(fitted(items, epochs=20)) < 0.8 * loss(fitted(items, epochs=0))


def test_pairs_teach_codes_that_retrieve_across_modalities(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(DJSRH(bits=32, hidden=128, epochs=10)) > 0.55  # chance is 0.4


def test_the_slope_of_tanh_grows_from_pass_to_pass(items: Chunk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, seen, tanh = len(items), [], torch.tanh

    def spy(x: Any) -> Any:
        seen.append(float(x.detach().abs().mean()))
        return tanh(x)

    monkeypatch.setattr(torch, "tanh", spy)
    fitted(items, epochs=9, batch=rows, rate=1e-9)  # the weights stand still: only the slope changes
    np.testing.assert_allclose(np.array(seen[::2]) / seen[0], np.sqrt(np.arange(1, 10)), rtol=1e-3)
