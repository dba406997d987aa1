"""SKDCH: votes, triplets and losses against their definitions, what it learns from few labels and none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Shared
from bench.methods.skdch import SKDCH

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def labelled(items: Chunk, share: float) -> Chunk:
    """The same pairs with labels of the first ``share`` of them only."""
    assert items.labels is not None
    labels = items.labels.copy()
    labels[round(share * len(items)) :] = 0
    return dataclasses.replace(items, labels=labels)


def fitted(items: Chunk, **settings: Any) -> SKDCH:
    method = SKDCH(**{"bits": 16, "hidden": 32, "batch": 64, **settings})
    method.fit_chunk(dataclasses.replace(items, shared=Shared()))  # nothing left of another fit
    return method


def encoded(method: SKDCH, items: Chunk) -> Array:
    """Image codes above text codes."""
    return np.concatenate([method.encode(items.batch(m), m) for m in MODALITIES])


class Given:
    """Stands in for a Similarity: the rows of a matrix."""

    def __init__(self, matrix: Array) -> None:
        self.matrix = torch.tensor(matrix, dtype=torch.bool)

    def rows(self, index: Any) -> Any:
        return self.matrix[index]


def neighbours(matrix: Any) -> Any:
    return Given(np.array(matrix))


def test_the_labelled_neighbours_of_an_unlabelled_item_vote_class_by_class() -> None:
    from bench.methods.skdch.labels import completed

    labels = torch.tensor(
        [[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    )
    near = np.zeros((8, 8))
    near[3, [0, 1, 2, 4]] = 1  # votes 2, 2, 1 of three: a majority for two classes
    near[4, [0, 2]] = 1  # votes 1, 1, 1 of two: no majority, all the most voted
    near[5, [4, 6]] = 1  # nobody with a label
    near[6, [0, 1]] = 1  # votes 2, 1 of two: half is no majority
    near[7, 2] = 1
    near[0] = 1  # labelled: nobody asks
    found = completed(labels, neighbours(near)).int().tolist()
    assert found == [[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 1]]


def test_against_the_class_mean_a_rare_class_needs_fewer_votes_than_a_common_one() -> None:
    from bench.methods.skdch.labels import completed

    labels = torch.zeros(12, 2)
    labels[:8, 0] = 1  # 0.8 of the labelled
    labels[8:10, 1] = 1  # 0.2
    near = np.zeros((12, 12))
    near[10, [0, 1, 2, 8]] = 1  # shares 0.75 and 0.25
    near[11, [0, 1, 2, 3, 4, 8]] = 1  # 0.83 and 0.17
    found = completed(labels, neighbours(near), "class_mean")
    assert found[10:].tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_every_vote_counts_and_not_the_last_neighbours_alone() -> None:
    from bench.methods.skdch.labels import completed

    labels = torch.zeros(30, 2)
    labels[1:8, 0] = 1
    labels[8:10, 1] = 1  # the last labelled neighbours are of the minority
    assert completed(labels, neighbours(np.ones((30, 30)))).tolist() == [
        [1.0, 0.0] if i < 8 or i > 9 else [0.0, 1.0] for i in range(30)
    ]


def test_items_are_similar_by_labels_or_as_neighbours_where_they_have_none() -> None:
    from bench.methods.skdch.labels import Relevance

    labels = torch.tensor([[1.0, 0], [1, 1], [0, 1], [0, 0]])
    near = [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [1, 0, 0, 0]]
    order = torch.tensor([3, 0, 2])
    with_neighbours = Relevance(labels, neighbours(near)).rows(order)
    assert with_neighbours.int().tolist() == [[1, 0, 0, 1], [1, 1, 0, 0], [0, 1, 1, 0]]
    assert Relevance(labels).rows(order)[0].int().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("student", [False, True])
def test_loss_is_its_definition(student: bool) -> None:
    from bench.methods.skdch.triplets import loss

    rng = np.random.default_rng(0)
    q, p, n = rng.random((3, 7, 64)) * rng.random((3, 7, 1)) * 1.5
    paired = np.arange(7) % 2 == 0
    total = 0.0
    for i in range(7):
        qp, qn, pn = (((a - b) ** 2).sum() for a, b in ((q[i], p[i]), (q[i], n[i]), (p[i], n[i])))
        if student:
            total += max(0, 5 + qp - (qn + pn) / 2) + 0.02 * max(0, 0.1 + qp)
        else:
            total += max(0, 5 + qp - qn)
        total -= 0.1 * np.log(1 / (1 + np.exp(qp)) if paired[i] else 1 - 1 / (1 + np.exp(qp)))
        total -= 0.1 * np.log(1 - 1 / (1 + np.exp(qn)))
    a, b, c, own = map(torch.tensor, (q, p, n, paired))
    found = loss(a, b, c, own, 0.1, *((0.5, 0.02) if student else (0.0, 0.0)))
    assert float(found) == pytest.approx(total)


def test_the_negative_is_the_nearest_beyond_the_positive_or_else_the_farthest() -> None:
    from bench.methods.skdch.triplets import choose

    q, p = torch.zeros(3, 1), torch.tensor([[2.0], [2.0], [9.0]])
    pool = torch.tensor([[1.0], [3.0], [4.0], [5.0]])
    allowed = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0]]).bool()
    chosen = choose(q, p, pool, allowed, kind="lite", rng=np.random.default_rng(0))
    assert chosen.tolist() == [1, 2, 2]


def test_random_draws_fall_on_all_that_is_allowed_and_nothing_else() -> None:
    from bench.methods.skdch.triplets import one_of

    mask = torch.tensor([[0, 1, 0, 1, 1]] * 300).bool()
    drawn = one_of(mask, np.random.default_rng(0)).numpy()
    assert set(drawn) == {1, 3, 4}
    assert np.bincount(drawn)[[1, 3, 4]].min() > 70


def test_labels_teach_codes_that_retrieve_across_modalities(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    i2t, t2i, chance = quality(fitted(pairs(400)))
    assert min(i2t, t2i) > chance + 0.4


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_few_labels_or_none_are_enough_where_pairs_are_true(
    share: float, pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    i2t, t2i, chance = quality(fitted(labelled(pairs(400), share), epochs=20))
    assert min(i2t, t2i) > chance + 0.3


def test_no_labels_at_all_are_as_good_as_rows_of_zeros(pairs: Callable[..., Chunk]) -> None:
    items = pairs(150)
    without = fitted(dataclasses.replace(items, labels=None), epochs=2)
    assert (encoded(without, items) == encoded(fitted(labelled(items, 0), epochs=2), items)).all()


def test_shuffled_labels_teach_less(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    items, rng = pairs(1000), np.random.default_rng(5)
    assert items.labels is not None
    wrong = dataclasses.replace(items, labels=items.labels[rng.permutation(len(items))])
    assert max(quality(fitted(wrong))[:2]) < min(quality(fitted(items))[:2]) - 0.2


def test_labels_and_texts_of_other_items_teach_nothing(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    items, rng = pairs(1000), np.random.default_rng(5)
    assert items.labels is not None
    labels = items.labels[rng.permutation(len(items))]
    wrong = dataclasses.replace(items, text=items.text.take(rng.permutation(len(items))), labels=labels)
    i2t, t2i, chance = quality(fitted(wrong))
    assert max(i2t, t2i) < chance + 0.15


@pytest.mark.parametrize("bits", [8, 128])
@pytest.mark.parametrize("negatives", ["lite", "random"])
def test_codes_have_as_many_bits_as_asked_for(bits: int, negatives: str, pairs: Callable[..., Chunk]) -> None:
    items = pairs(80)
    method = fitted(items, bits=bits, epochs=1, negatives=negatives)
    assert encoded(method, items).shape == (160, bits)


def test_items_of_one_class_which_leave_no_negative_leave_finite_weights(pairs: Callable[..., Chunk]) -> None:
    method = fitted(dataclasses.replace(pairs(80), labels=np.ones((80, 1), np.uint8)), epochs=2)
    assert all(np.isfinite(w).all() for m in MODALITIES for w in method.weights_[m])
