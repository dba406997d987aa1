"""bench.reporting.significance on planted effects and planted nulls: what is claimed must be there."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from bench.reporting.significance import (
    Comparison,
    Scores,
    bootstrap,
    compare_all,
    holm,
    randomisation_test,
    ranks,
    seed_test,
)

QUERIES, SEEDS, TRIALS = 120, 4, 300
MOST = int(binom.ppf(0.9999, TRIALS, 0.05))  # false positives that chance allows in so many trials
LEAST = int(binom.ppf(0.0001, TRIALS, 0.05))


def compare(first: Scores, second: Scores) -> Comparison:
    return compare_all({"first": first}, second)["first"]


def scores(
    rng: np.random.Generator, base: npt.NDArray[np.float64], effect: float = 0.0, seed_sd: float = 0.0
) -> npt.NDArray[np.float32]:
    """AP-like scores (seeds, queries): what queries share, an effect, runs that differ, and noise."""
    runs = rng.normal(0, seed_sd, (SEEDS, 1))
    return (base + effect + runs + rng.normal(0, 0.1, (SEEDS, QUERIES))).astype(np.float32)


def rejected(effect: float, seed_sd: float, which: str) -> int:
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(TRIALS):
        base = rng.beta(2, 2, QUERIES)
        a, b = scores(rng, base, effect, seed_sd), scores(rng, base, 0.0, seed_sd)
        p = {
            "queries": randomisation_test((a - b).mean(axis=0).astype(np.float64)),
            "seeds": seed_test((a - b).mean(axis=1).astype(np.float64)),
        }
        found += (max(p.values()) if which == "both" else p[which]) < 0.05
    return found


def test_the_test_over_queries_finds_nothing_more_often_than_it_says_where_there_is_nothing() -> None:
    assert LEAST <= rejected(0.0, 0.0, "queries") <= MOST


def test_the_test_over_seeds_finds_nothing_more_often_than_it_says_where_runs_differ() -> None:
    assert LEAST <= rejected(0.0, 0.05, "seeds") <= MOST


def test_queries_alone_would_take_luck_of_the_seed_for_an_effect_and_both_tests_do_not() -> None:
    assert rejected(0.0, 0.05, "queries") > 3 * MOST
    assert rejected(0.0, 0.05, "both") <= MOST


def test_a_planted_effect_is_found() -> None:
    assert rejected(0.05, 0.002, "both") > 0.95 * TRIALS


def test_a_family_of_nulls_has_a_false_positive_no_more_often_than_a_single_one() -> None:
    rng = np.random.default_rng(3)
    families = 0
    for _ in range(100):
        base = rng.beta(2, 2, QUERIES)
        reference = scores(rng, base)
        differences = [(scores(rng, base) - reference).mean(axis=0) for _ in range(6)]
        families += min(holm([randomisation_test(d.astype(np.float64)) for d in differences])) < 0.05
    assert families <= int(binom.ppf(0.9999, 100, 0.05))


def test_the_interval_of_one_seed_holds_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(TRIALS):
        difference = 0.02 + rng.normal(0, 0.1, (1, QUERIES))
        [(low, high)] = bootstrap([difference])
        held += low <= 0.02 <= high
    assert binom.ppf(0.0001, TRIALS, 0.95) - 3 <= held <= binom.ppf(0.9999, TRIALS, 0.95)


def test_the_interval_widens_where_runs_differ() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.1, (SEEDS, QUERIES))
    runs = np.array([[-0.1], [0.1], [-0.1], [0.1]])
    (a, b), (c, d) = bootstrap([noise, noise + runs])
    assert d - c > 2 * (b - a)


def test_wins_ties_and_losses_count_pairs_of_seed_and_query() -> None:
    first = np.array([[0.5, 0.5, 0.9], [0.5, 0.1, 0.9]], np.float32)
    second = np.array([[0.5, 0.7, 0.1], [0.5, 0.7, 0.1]], np.float32)
    found = compare(first, second)
    assert [round(6 * share) for share in (found.wins, found.ties, found.losses)] == [2, 2, 2]
    assert found.difference == pytest.approx((first - second).mean())


def test_queries_without_a_relevant_item_are_left_out_of_the_pair() -> None:
    first = np.array([[0.5, np.nan, 0.9]], np.float32)
    assert compare(first, np.array([[0.4, 0.7, np.nan]], np.float32)).queries == 1


def test_one_seed_allows_no_claim() -> None:
    found = compare(np.full((1, 50), 0.9, np.float32), np.full((1, 50), 0.1, np.float32))
    assert found.p_queries < 0.001
    assert math.isnan(found.p)


def test_equal_scores_are_never_significant() -> None:
    same = np.random.default_rng(0).random((3, 50)).astype(np.float32)
    found = compare(same, same)
    assert (found.difference, found.p_queries, found.p_seeds, found.ties) == (0, 1, 1, 1)


def test_equal_scores_give_equal_results_every_time() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 50)), rng.random((3, 50))
    assert compare(a, b) == compare(a, b)


def test_scores_of_other_queries_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        compare(np.zeros((1, 5)), np.zeros((1, 6)))


def test_holm_multiplies_by_what_is_left_and_keeps_out_what_was_not_tested() -> None:
    assert holm([0.01, math.nan, 0.04, 0.03])[::2] == pytest.approx([0.03, 0.06])
    assert math.isnan(holm([0.01, math.nan])[1])
    assert math.isnan(holm([math.nan])[0]) and holm([]) == []


def test_holm_does_not_collect_the_garbage_of_a_whole_report() -> None:
    class Circle:
        def __init__(self) -> None:
            self.own = self

    holm([0.01])  # imports what it needs
    gc.disable()
    try:
        circle = weakref.ref(Circle())
        assert holm([0.01, 0.03]) == pytest.approx([0.02, 0.03])
        assert circle() is not None and gc.get_freeze_count() == 0
    finally:
        gc.enable()


def test_a_method_that_always_wins_has_rank_one_and_differs_from_the_last() -> None:
    rng = np.random.default_rng(0)
    table = np.array([0.9, 0.5, 0.1]) + rng.normal(0, 0.01, (12, 3))
    found = ranks(["a", "b", "c"], table)
    assert found.ranks.tolist() == [1, 2, 3]
    assert found.friedman < 0.001 and found.nemenyi[0, 2] < 0.001


def test_ranks_of_noise_do_not_differ() -> None:
    found = ranks(list("abcd"), np.random.default_rng(1).random((10, 4)))
    assert found.friedman > 0.05


def test_two_methods_cannot_be_ranked() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        ranks(["a", "b"], np.zeros((5, 2)))
