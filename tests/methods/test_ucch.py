"""UCCH: its two losses against plain transcriptions, what it learns, what it keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import state
from bench.api import MODALITIES, Batch, Chunk, Shared
from bench.checks import Check, checks_for
from bench.methods import ucch
from bench.methods.ucch import UCCH, contrastive_loss, ranking_loss

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


def fitted(items: Chunk, **settings: Any) -> UCCH:
    method = UCCH(**{"bits": 16, "hidden": 32, "epochs": 3, "batch": 50, "negatives": 64, **settings})
    method.fit_chunk(dataclasses.replace(items, labels=None, shared=Shared()))
    return method


def encoded(method: UCCH, items: Chunk) -> Array:
    """Image codes above text codes."""
    return np.concatenate([method.encode(items.batch(m), m) for m in MODALITIES])


def unit_rows(rng: np.random.Generator, n: int, k: int) -> Array:
    x = rng.standard_normal((n, k))
    rows: Array = x / np.linalg.norm(x, axis=1, keepdims=True)
    return rows


@pytest.mark.parametrize("check", checks_for(UCCH), ids=str)
def test_contract(check: Check) -> None:
    check(UCCH)


def test_contrast_with_the_memory_is_the_cross_entropy_of_ones_own_code() -> None:
    rng = np.random.default_rng(0)
    out, own, others = unit_rows(rng, 5, 8), np.sign(unit_rows(rng, 5, 8)), np.sign(unit_rows(rng, 11, 8))
    expected = []
    for i in range(5):
        positive = np.exp(out[i] @ own[i] / 0.7)
        total = positive + sum(np.exp(out[i] @ other / 0.7) for other in others)
        expected.append(-np.log(positive / total))
    found = contrastive_loss(torch.tensor(out), torch.tensor(own), torch.tensor(others), 0.7)
    assert float(found) == pytest.approx(np.mean(expected))


def test_contrast_within_a_batch_is_with_the_codes_of_its_other_items() -> None:
    rng = np.random.default_rng(0)
    out, own = unit_rows(rng, 5, 8), np.sign(unit_rows(rng, 5, 8))
    expected = [
        -np.log(np.exp(out[i] @ own[i] / 2) / sum(np.exp(out[i] @ code / 2) for code in own))
        for i in range(5)
    ]
    assert float(contrastive_loss(torch.tensor(out), torch.tensor(own), None, 2.0)) == pytest.approx(
        np.mean(expected)
    )


def test_ranking_loss_lowers_the_negatives_beyond_the_margin() -> None:
    rng = np.random.default_rng(2)
    image, text = unit_rows(rng, 6, 4), unit_rows(rng, 6, 4)
    margin, shift, total, lowered = 0.2, 0.5, 0.0, 0
    for query, other in ((image, text), (text, image)):
        for i in range(6):
            own, mass = query[i] @ other[i], 0.0
            for j in range(6):
                score = query[i] @ other[j]
                far = score < own - margin
                lowered += far
                mass += np.exp(score - shift if far else score)
            total += (np.log(mass) - own + margin) / 6
    assert 0 < lowered < 60  # some negatives are near, others are not
    found = ranking_loss(torch.tensor(image), torch.tensor(text), margin=margin, shift=shift)
    assert float(found) == pytest.approx(total)


def test_the_memory_turns_into_the_mean_of_both_modalities(
    items: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The codes contrasted with in the second pass are the signs of what the first pass put there."""
    written, compared = [], []
    real = ucch.contrastive_loss

    def spy(out: Any, own: Any, others: Any, temperature: float) -> Any:
        if others is None:
            written.append(out.detach())
        else:
            compared.append(own)
        return real(out, own, others, temperature)

    monkeypatch.setattr(ucch, "contrastive_loss", spy)
    fitted(items, epochs=2, batch=150)
    image, text = written
    assert compared[0].shape == (150, 16)
    codes = {tuple(row) for row in torch.where(image + text >= 0, 1.0, -1.0).tolist()}
    assert {tuple(row) for row in compared[0].tolist()} == codes


def test_pairs_teach_codes_that_retrieve_across_modalities(synthetic_map: Callable[..., float]) -> None:
    assert synthetic_map(UCCH(bits=32, hidden=128)) > 0.55  # chance is 0.4


def test_shuffled_pairs_teach_nothing_across_modalities(
    label_stream: Callable[..., list[Chunk]],
) -> None:
    def agreement(method: UCCH, items: Chunk) -> float:
        """How much oftener the bits of partners agree than those of strangers."""
        image, text = (method.encode(items.batch(m), m) for m in MODALITIES)
        return float((image == text).mean() - (image[1:] == text[:-1]).mean())

    items, fresh = label_stream(400)[0], label_stream(200, first=7)[0]
    order = np.random.default_rng(5).permutation(len(items))
    shuffled = dataclasses.replace(items, text=items.text.take(order))
    assert agreement(fitted(items, epochs=20), fresh) > 0.15
    assert abs(agreement(fitted(shuffled, epochs=20), fresh)) < 0.06


def test_labels_are_not_read(items: Chunk) -> None:
    method = UCCH(bits=16, hidden=32, epochs=3, batch=50, negatives=64)
    method.fit_chunk(items)
    assert (encoded(method, items) == encoded(fitted(items), items)).all()


def test_equal_seeds_give_equal_weights_bit_for_bit(items: Chunk) -> None:
    first, second = (fitted(items, seed=3).weights_ for _ in range(2))
    assert all((a == b).all() for m in MODALITIES for a, b in zip(first[m], second[m], strict=True))


def test_other_seeds_give_other_codes(items: Chunk) -> None:
    assert (encoded(fitted(items, seed=3), items) != encoded(fitted(items, seed=4), items)).any()


def test_a_saved_state_encodes_alike(items: Chunk, tmp_path: Path) -> None:
    method = fitted(items)
    state.save(tmp_path / "ucch.npz", method.state_dict())
    again = UCCH(bits=16)
    again.load_state_dict(state.load(tmp_path / "ucch.npz"))
    assert (encoded(again, items) == encoded(method, items)).all()


@pytest.mark.parametrize("bits", [8, 128])
def test_codes_have_as_many_bits_as_asked_for(items: Chunk, bits: int) -> None:
    assert encoded(fitted(items, bits=bits, epochs=2), items).shape == (300, bits)


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
    samples = [fitted(items, max_train=60, epochs=1, seed=s).mean_["image"] for s in (0, 0, 1)]
    assert (samples[0] == samples[1]).all()
    assert (samples[0] != samples[2]).any()
