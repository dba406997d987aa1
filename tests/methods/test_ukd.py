"""UKD: its similarity and loss against their definitions, what it keeps in memory, what it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.methods._hash_network import location_and_scale
from bench.methods.ukd import UKD

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def fitted(items: Chunk, **settings: Any) -> UKD:
    method = UKD(**{"bits": 16, "hidden": 32, "teacher_hidden": 32, "batch": 64, **settings})
    method.fit_chunk(items)
    return method


def encoded(method: UKD, items: Chunk) -> Array:
    """Image codes above text codes."""
    return np.concatenate([method.encode(items.batch(m), m) for m in MODALITIES])


def test_an_item_is_similar_to_the_nearest_in_either_space(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.methods import _neighbours as similarity

    monkeypatch.setattr(similarity, "_BLOCK", 700)  # several blocks, the last one short
    rng = np.random.default_rng(0)
    n, k = 90, 17
    spaces = [rng.random((n, 8)) for _ in range(2)]
    expected = np.zeros((n, n), dtype=bool)
    for points in spaces:
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        np.put_along_axis(expected, np.argsort(distances, axis=1)[:, :k], True, axis=1)
    found = similarity.Similarity([torch.tensor(s, dtype=torch.float32) for s in spaces], k)
    order = rng.permutation(n)
    assert (found.rows(order).numpy() == expected[order]).all()


def test_all_items_as_far_away_as_the_last_neighbour_count() -> None:
    from bench.methods._neighbours import Similarity

    points = torch.tensor([[0.0], [0.5], [0.5], [0.5], [1.0]])
    similar = Similarity([points], 2).rows(slice(None)).int().tolist()
    assert similar[0] == [1, 1, 1, 1, 0]
    assert similar[4] == [0, 1, 1, 1, 1]


def test_nothing_of_size_n_by_n_is_ever_made(
    monkeypatch: pytest.MonkeyPatch, pairs: Callable[..., Chunk], largest_tensor: Callable[..., int]
) -> None:
    from bench.methods import _neighbours as similarity

    n = 1000
    monkeypatch.setattr(similarity, "_BLOCK", 50 * n)
    numbers = largest_tensor(lambda: fitted(pairs(n), epochs=1, teacher_epochs=1, batch=50))
    assert 50 * n <= numbers < 130 * n  # n x 128 sigmoids are the widest thing


def test_slope_is_the_derivative_of_the_negative_log_likelihood() -> None:
    from bench.methods._similarity_loss import nll_slope

    rng = torch.Generator().manual_seed(0)
    out = torch.randn(5, 8, generator=rng, dtype=torch.float64, requires_grad=True)
    others = torch.randn(11, 8, generator=rng, dtype=torch.float64)
    similar = torch.rand(5, 11, generator=rng) < 0.5
    theta = out @ others.T / 2
    (torch.nn.functional.softplus(theta) - similar * theta).sum().backward()
    torch.testing.assert_close(nll_slope(out.detach(), others, similar), out.grad)


def test_released_slope_is_the_derivative_of_the_released_loss() -> None:
    from bench.methods.ukd.student import slope_of_loss

    rng = torch.Generator().manual_seed(0)
    out = torch.randn(5, 8, generator=rng, dtype=torch.float64, requires_grad=True)
    others = torch.randn(11, 8, generator=rng, dtype=torch.float64)
    similar = torch.rand(5, 11, generator=rng) < 0.5
    theta = out @ others.T / 2
    halves = 0.999 * similar * theta - torch.log(1 + torch.exp(theta))
    own = torch.where(out.detach() >= 0, 1.0, -1.0).double()
    (halves.square().sum() / 2 + 0.7 * (own - out).square().sum() / 2).backward()
    found = slope_of_loss(out.detach(), others, similar, -own, "released", 0.7)
    torch.testing.assert_close(found, out.grad)


def test_released_loss_teaches_too_and_differs_from_the_papers(pairs: Callable[..., Chunk]) -> None:
    items = pairs(300)
    paper, released = (encoded(fitted(items, loss=loss, epochs=10), items) for loss in ("paper", "released"))
    assert (paper != released).any()
    assert items.labels is not None
    relevant = (items.labels @ items.labels.T).astype(bool)
    image, text = np.split(released.astype(float), 2)
    products = image @ text.T
    assert products[relevant].mean() > products[~relevant].mean() + 4


@pytest.mark.parametrize("space", ["image", "text"])
def test_neighbours_may_count_in_one_space_alone(space: Any, pairs: Callable[..., Chunk]) -> None:
    items = pairs(60)
    method = UKD(bits=8, hidden=8, teacher_hidden=8, spaces=space, teacher_epochs=0)
    _, _, x, nets = method._teacher(items)
    both = UKD(bits=8, hidden=8, teacher_hidden=8, teacher_epochs=0)._similarity(nets, x).rows(slice(None))
    one = method._similarity(nets, x).rows(slice(None))
    assert (one.sum(dim=1) == 12).all()  # 0.2 of 60
    assert (both & one).sum() == one.sum() < both.sum()


def test_slope_stays_finite_where_the_exponential_would_overflow() -> None:
    from bench.methods._similarity_loss import nll_slope

    ones = torch.ones(1, 4096)
    assert nll_slope(ones, ones, torch.tensor([[False]])).isfinite().all()


def test_triplet_loss_is_the_mean_over_all_triplets_of_both_directions() -> None:
    from bench.methods.ukd.teacher import MARGIN, triplet_loss

    rng = np.random.default_rng(0)
    image, text = rng.random((2, 6, 128)) * 2  # far enough apart that some triplets cost nothing
    total = 0.0
    for query, other in ((image, text), (text, image)):
        for q, p in zip(query, other, strict=True):
            total += sum(
                max(0.0, MARGIN + ((q - p) ** 2).sum() - ((q - negative) ** 2).sum()) for negative in other
            )
    assert float(triplet_loss(torch.tensor(image), torch.tensor(text))) == pytest.approx(total / 36)


def test_the_teacher_brings_partners_together(pairs: Callable[..., Chunk]) -> None:
    from bench.methods._network import Place
    from bench.methods.ukd import teacher

    items = pairs(200)
    x = {m: torch.tensor(items.batch(m).features) for m in MODALITIES}
    shares = []
    for epochs in (0, 20):
        nets = teacher.learn(
            x,
            hidden=32,
            epochs=epochs,
            rate=1e-2,
            decay=0.0,
            batch=64,
            rng=np.random.default_rng(0),
            place=Place(),
        )
        image, text = (teacher.space(nets[m], x[m]) for m in MODALITIES)
        distance = torch.cdist(image, text)
        shares.append(float((distance.diagonal()[:, None] <= distance).float().mean()))
    assert shares[0] < 0.7  # 0.875 is perfect: items of one class cannot be told apart
    assert shares[1] > 0.8


def test_pairs_teach_codes_that_retrieve_across_modalities(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    i2t, t2i, chance = quality(fitted(pairs(400), epochs=30))
    assert min(i2t, t2i) > chance + 0.4


def test_features_are_divided_by_one_number() -> None:
    x = np.array([[0, 10], [2, 10], [0, 30], [2, 30]], dtype=np.float32)
    mean, scale = location_and_scale(x)
    assert mean.tolist() == [1, 20]
    assert scale == pytest.approx(((1 + 100) / 2) ** 0.5)
