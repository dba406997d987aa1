"""Losses on the similarities of n items that never form an n × n matrix.

The squared error against a low-rank target needs only sums of the size of the rank. Any other target is
processed in blocks of rows, with gradients in closed form, so that no block is kept for a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

BLOCK = 512  # rows of the target processed at a time


class LowRank:
    """A target matrix ``left rightᵀ`` (n, m), never formed, with thin ``left`` (n, r) and ``right`` (m, r).

    A weighted sum of similarities ``Σ wᵢ Fᵢ Fᵢᵀ + c`` has ``left = [w₁F₁, …, c·1]``, ``right = [F₁, …, 1]``;
    ``F Fᵀ F Fᵀ`` has ``left = F (FᵀF)``, ``right = F``. The norm of the target is computed once.
    """

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right
        self._norm = _norm(left, right)

    def error(self, p: Any, q: Any) -> Any:
        """Return ``‖p qᵀ - left rightᵀ‖²_F`` for p (n, k) and q (m, k), a float64 scalar.

        By the identity ``‖A Bᵀ‖² = tr(AᵀA · BᵀB)``, so the cost is ``(n + m) k (k + r)``. The three terms
        cancel as the error falls, hence float64.
        """
        first = (p.T @ self.left).double()
        second = first if q is p and self.right is self.left else (q.T @ self.right).double()
        return _norm(p, q) - 2 * (first * second).sum() + self._norm


def _norm(a: Any, b: Any) -> Any:
    """Return ``‖a bᵀ‖²_F``."""
    own = (a.T @ a).double()
    return (own * (own if b is a else (b.T @ b).double())).sum()


def error_by_rows(p: Any, q: Any, target: Callable[[slice], Any], block: int = BLOCK) -> Any:
    """Return ``‖p qᵀ - S‖²_F`` for p (n, k) and q (m, k); ``target(rows)`` returns rows of S, (b, m).

    No gradient flows into S. Memory use is that of one block.
    """
    if len(p) <= block:
        return (p @ q.T - target(slice(0, len(p)))).square().sum()
    return _ErrorByRows.apply(p, q, target, block)


class _ErrorByRows(torch.autograd.Function):
    """Computes value and gradients in one pass over the rows."""

    @staticmethod
    def forward(ctx: Any, p: Any, q: Any, target: Callable[[slice], Any], block: int) -> Any:
        by_p, by_q, total = torch.empty_like(p), torch.zeros_like(q), 0.0
        for start in range(0, len(p), block):
            rows = slice(start, min(start + block, len(p)))
            error = (p[rows] @ q.T).sub_(target(rows))
            total = total + error.square().sum()
            torch.mm(error, q, out=by_p[rows])
            by_q.addmm_(error.T, p[rows])
        ctx.save_for_backward(by_p.mul_(2), by_q.mul_(2))
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        by_p, by_q = ctx.saved_tensors
        return slopes[0] * by_p, slopes[0] * by_q, None, None


def nll_slope(out: Any, others: Any, similar: Any) -> Any:
    """Return the gradient in ``out`` (b, k) of the sum of ``log(1 + e^Θ) - SΘ``, ``Θ = ½ out othersᵀ``.

    ``others`` is (n, k) and ``similar``, S, is (b, n) bool. In closed form: no b × n block is kept for a
    backward pass, and no exponential overflows.
    """
    error = out.matmul(others.T).mul_(0.5).sigmoid_().sub_(similar.view(torch.uint8))
    return error.matmul(others).mul_(0.5)


def squared_nll_slope(out: Any, others: Any, similar: Any, likeness: float) -> Any:
    """Return the gradient in ``out`` of ``½ Σ (SΘ - log(1 + e^Θ))²``, S = ``likeness`` for similar items.

    S is 0 for the others. Each term of the likelihood is squared before the sum, as in UKD's released code.
    """
    theta = out.matmul(others.T).mul_(0.5)
    s = similar.to(theta.dtype).mul_(likeness)
    term = s * theta - torch.nn.functional.softplus(theta)
    return term.mul_(s.sub_(theta.sigmoid_())).matmul(others).mul_(0.5)
