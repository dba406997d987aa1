"""DJSRH: its affinity and loss against plain transcriptions, what it learns, what it keeps."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import state
from bench.api import MODALITIES, Batch, Chunk, Shared
from bench.checks import Check, checks_for
from bench.methods.djsrh import DJSRH, affinity, reconstruction_loss

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def items(label_stream: Callable[..., list[Chunk]]) -> Chunk:
    return label_stream(150)[0]


def fitted(items: Chunk, **settings: Any) -> DJSRH:
    method = DJSRH(**{"bits": 16, "hidden": 32, "epochs": 2, **settings})
    method.fit_chunk(dataclasses.replace(items, labels=None, shared=Shared()))
    return method


def encoded(method: DJSRH, items: Chunk) -> Array:
    """Image codes above text codes."""
    return np.concatenate([method.encode(items.batch(m), m) for m in MODALITIES])


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("check", checks_for(DJSRH), ids=str)
def test_contract(check: Check) -> None:
    check(DJSRH)


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


def test_shuffled_pairs_teach_nothing_across_modalities(label_stream: Callable[..., list[Chunk]]) -> None:
    def agreement(method: DJSRH, items: Chunk) -> float:
        """How much oftener the bits of partners agree than those of strangers."""
        image, text = (method.encode(items.batch(m), m) for m in MODALITIES)
        return float((image == text).mean() - (image[1:] == text[:-1]).mean())

    items, fresh = label_stream(400)[0], label_stream(200, first=7)[0]
    order = np.random.default_rng(5).permutation(len(items))
    shuffled = dataclasses.replace(items, text=items.text.take(order))
    assert agreement(fitted(items, epochs=20), fresh) > 0.15
    assert abs(agreement(fitted(shuffled, epochs=20), fresh)) < 0.06


def test_labels_are_not_read(items: Chunk) -> None:
    method = DJSRH(bits=16, hidden=32, epochs=2)
    method.fit_chunk(items)
    assert (encoded(method, items) == encoded(fitted(items), items)).all()


def test_the_slope_of_tanh_grows_from_pass_to_pass(items: Chunk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, seen, tanh = len(items), [], torch.tanh

    def spy(x: Any) -> Any:
        seen.append(float(x.detach().abs().mean()))
        return tanh(x)

    monkeypatch.setattr(torch, "tanh", spy)
    fitted(items, epochs=9, batch=rows, rate=1e-9)  # the weights stand still: only the slope changes
    np.testing.assert_allclose(np.array(seen[::2]) / seen[0], np.sqrt(np.arange(1, 10)), rtol=1e-3)


def test_equal_seeds_give_equal_weights_bit_for_bit(items: Chunk) -> None:
    first, second = (fitted(items, seed=3).weights_ for _ in range(2))
    assert all((a == b).all() for m in MODALITIES for a, b in zip(first[m], second[m], strict=True))


def test_other_seeds_give_other_codes(items: Chunk) -> None:
    assert (encoded(fitted(items, seed=3), items) != encoded(fitted(items, seed=4), items)).any()


def test_a_saved_state_encodes_alike(items: Chunk, tmp_path: Path) -> None:
    method = fitted(items)
    state.save(tmp_path / "djsrh.npz", method.state_dict())
    again = DJSRH(bits=16)
    again.load_state_dict(state.load(tmp_path / "djsrh.npz"))
    assert (encoded(again, items) == encoded(method, items)).all()


@pytest.mark.parametrize("bits", [8, 128])
def test_codes_have_as_many_bits_as_asked_for(items: Chunk, bits: int) -> None:
    assert encoded(fitted(items, bits=bits, epochs=1), items).shape == (300, bits)


def test_a_single_item_gets_the_code_that_it_gets_among_others(items: Chunk) -> None:
    method = fitted(items)
    for m in MODALITIES:
        alone = [method.encode(items.batch(m).take(slice(i, i + 1)), m) for i in range(len(items))]
        assert (np.concatenate(alone) == method.encode(items.batch(m), m)).all()


def test_constant_columns_and_modalities_of_zeros_leave_finite_weights(items: Chunk) -> None:
    image = items.image.features.copy()
    image[:, ::2] = 7.0
    text = np.zeros((len(items), 3), np.float32)
    method = fitted(dataclasses.replace(items, image=Batch(image), text=Batch(text)))
    assert all(np.isfinite(w).all() for m in MODALITIES for w in method.weights_[m])


def test_a_single_pair_can_be_learned_from(items: Chunk) -> None:
    pair = {m: items.batch(m).take(slice(0, 1)) for m in MODALITIES}
    method = fitted(Chunk(round=0, image=pair["image"], text=pair["text"], labels=None, ids=items.ids[:1]))
    assert all(np.isfinite(w).all() for m in MODALITIES for w in method.weights_[m])


def test_more_items_than_max_train_are_sampled_by_the_seed(items: Chunk) -> None:
    samples = [fitted(items, max_train=50, epochs=1, seed=s).mean_["image"] for s in (0, 0, 1)]
    assert (samples[0] == samples[1]).all()
    assert (samples[0] != samples[2]).any()


def test_importing_the_method_does_not_import_torch() -> None:
    code = "import sys, bench.methods.djsrh, bench.methods.ucch; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
