"""The benchmark's contract suite on our method, one test per check."""

import pytest
from aligned_directions import AlignedDirections

from bench.checks.suite import Check, checks_for
from bench.plugins import registry


@pytest.mark.parametrize("check", checks_for(AlignedDirections), ids=str)
def test_it_keeps_the_contract(check: Check) -> None:
    check(AlignedDirections)


def test_the_benchmark_finds_it_by_name() -> None:
    assert registry.get("method", "aligned_directions") is AlignedDirections
