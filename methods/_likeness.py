"""Cosines of outputs held to cosines of labels."""

from __future__ import annotations

from typing import Any


def likeness_error(a: Any, b: Any, like: Any) -> Any:
    """Return the mean of ``(relu cos(a_i, b_j) - like_ij)²`` for a (n, r), b (m, r) and like (n, m).

    Negative cosines count as 0, so unlike items may differ in more than half of their bits.
    """
    from bench.methods._hash_network import unit

    return ((unit(a) @ unit(b).T).relu() - like).square().mean()
