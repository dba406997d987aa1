"""Losses on similarities: values and gradients are those of the matrix that is never made."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

N, M, K, R = 40, 33, 6, 4


def draws(*shapes: tuple[int, int], seed: int = 0) -> list[Any]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=rng, dtype=torch.float64).requires_grad_() for s in shapes]


def slopes(total: Any, *by: Any) -> list[Any]:
    return [total.detach(), *torch.autograd.grad(total, by)]


def test_error_from_a_target_of_low_rank_is_that_of_the_matrix() -> None:
    from bench.methods._similarity_loss import LowRank

    p, q, left, right = draws((N, K), (M, K), (N, R), (M, R))
    expected = slopes((p @ q.T - left @ right.T).square().sum(), p, q, left, right)
    for found, wanted in zip(
        slopes(LowRank(left, right).error(p, q), p, q, left, right), expected, strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_a_weighted_sum_of_similarities_and_a_constant_is_of_low_rank() -> None:
    from bench.methods._similarity_loss import LowRank

    f, a, b = draws((N, K), (N, R), (N, R))
    ones = torch.ones(N, 1, dtype=torch.float64)
    target = 0.7 * a @ a.T + 0.2 * (b @ b.T) @ (b @ b.T) - 0.5
    left = torch.cat([0.7 * a, 0.2 * b @ (b.T @ b), -0.5 * ones], dim=1)
    right = torch.cat([a, b, ones], dim=1)
    expected = slopes((f @ f.T - target).square().sum(), f)
    for found, wanted in zip(slopes(LowRank(left, right).error(f, f), f), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_small_error_survives_float32() -> None:
    """The terms are 10⁵ times their difference."""
    from bench.methods._similarity_loss import LowRank

    (f,) = draws((2000, 16))
    near = (f.detach() + 1e-3 * draws((2000, 16), seed=1)[0].detach()).float()
    exact = LowRank(near.double(), near.double()).error(f, f)
    found = LowRank(near, near).error(f.float(), f.float())
    assert float(found.detach()) == pytest.approx(float(exact.detach()), rel=0.05)


@pytest.mark.parametrize("block", [1, 7, 39, 40, 100])
def test_error_by_rows_is_that_of_the_matrix(block: int) -> None:
    from bench.methods._similarity_loss import error_by_rows

    p, q, left, right = draws((N, K), (M, K), (N, R), (M, R))
    target = torch.relu(left @ right.T).detach()
    expected = slopes((p @ q.T - target).square().sum() * 3, p, q)
    found = slopes(error_by_rows(p, q, target.__getitem__, block) * 3, p, q)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_error_by_rows_of_something_with_itself_has_both_halves_of_the_gradient() -> None:
    from bench.methods._similarity_loss import error_by_rows

    (f,) = draws((N, K))
    target = torch.tanh(f.detach() @ f.detach().T) + torch.arange(N)[:, None]  # not symmetric
    expected = slopes((f @ f.T - target).square().sum(), f)
    for one, other in zip(slopes(error_by_rows(f, f, target.__getitem__, 9), f), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_rows_are_asked_for_in_blocks_only() -> None:
    from bench.methods._similarity_loss import error_by_rows

    (f,) = draws((N, K))
    asked: list[int] = []

    def target(rows: slice) -> Any:
        asked.append(rows.stop - rows.start)
        return torch.zeros(asked[-1], N, dtype=torch.float64)

    error_by_rows(f, f, target, 16)
    assert asked == [16, 16, 8]


@pytest.mark.parametrize("eta", [0.0, 0.4])
def test_djsrh_finds_the_same_loss_by_thin_factors(eta: float) -> None:
    from bench.methods._hash_network import unit
    from bench.methods.djsrh import affinity, factors, reconstruction_loss

    codes: Any = draws((N, K), (N, K))
    image, text = (unit(x.detach()) for x in draws((N, 5), (N, 3), seed=1))
    how = {"beta": 0.3, "eta": eta, "mu": 1.5}
    whole, thin = (
        slopes(
            reconstruction_loss(
                codes[0], codes[1], make(image, text, **how), within_image=0.2, within_text=0.3
            ),
            *codes,
        )
        for make in (affinity, factors)
    )
    for one, other in zip(whole, thin, strict=True):
        torch.testing.assert_close(one, other)
