"""Metrics against brute force over all orders of tied items, against exact fractions, and other libraries."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import metrics
from bench.errors import DataError, ParameterError, UnknownNameError
from bench.metrics import declared, empty_queries, evaluate, mean, means, parse_metric, per_query, pr_curve
from bench.plugins import registry
from bench.scoring.hamming import Histograms, histograms, pack_codes, pack_labels

BUILT_IN = [metric for name in registry.names("metric") for metric in declared(name)]


def ranking(groups: list[list[int]]) -> Histograms:
    """One query whose database holds, at distance d, items that share ``groups[d]`` labels with it."""
    counts = [[len(g), sum(x > 0 for x in g)] for g in groups]
    flat = [x for g in groups for x in g]
    return Histograms(
        np.array([counts], np.uint32),
        np.array([[sum(g) for g in groups]], np.uint64),
        np.array([np.bincount(flat, minlength=4)], np.uint32),
    )


def orders(groups: list[list[int]]) -> Iterator[list[int]]:
    """Every order of the database in which only items of the same group change places."""
    for order in itertools.product(*(itertools.permutations(g) for g in groups)):
        yield [x for g in order for x in g]


def precisions(ranked: list[int]) -> float:
    hits = np.cumsum(np.array(ranked) > 0)
    return float(sum(hits[j] / (j + 1) for j in range(len(ranked)) if ranked[j] > 0))


def ap(ranked: list[int], cut: int) -> float:
    return precisions(ranked[:cut]) / min(cut, sum(x > 0 for x in ranked))


def ap_hits(ranked: list[int], cut: int) -> float:
    return precisions(ranked[:cut]) / max(1, sum(x > 0 for x in ranked[:cut]))


def ndcg(ranked: list[int], cut: int) -> float:
    def dcg(gains: list[int]) -> float:
        return float(sum(g / np.log2(j + 2) for j, g in enumerate(gains[:cut])))

    return dcg(ranked) / dcg(sorted(ranked, reverse=True))


BY_HAND: dict[str, tuple[Callable[[list[int], int], float], Callable[[list[float]], float]]] = {
    "map@{}": (ap, lambda v: float(np.mean(v))),
    "map@{}:optimistic": (ap, max),
    "map@{}:pessimistic": (ap, min),
    "map@{}:hits": (ap_hits, lambda v: float(np.mean(v))),
    "precision@{}": (lambda r, k: sum(x > 0 for x in r[:k]) / k, lambda v: float(np.mean(v))),
    "recall@{}": (
        lambda r, k: sum(x > 0 for x in r[:k]) / sum(x > 0 for x in r),
        lambda v: float(np.mean(v)),
    ),
    "ndcg@{}": (ndcg, lambda v: float(np.mean(v))),
    "mrr@{}": (
        lambda r, k: next((1 / (j + 1) for j, x in enumerate(r[:k]) if x > 0), 0.0),
        lambda v: float(np.mean(v)),
    ),
    "hit@{}": (lambda r, k: float(any(x > 0 for x in r[:k])), lambda v: float(np.mean(v))),
}


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("seed", range(12))
def test_metrics_equal_brute_force_over_all_orders_of_tied_items(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = [rng.integers(0, 4, rng.integers(0, 4)).tolist() for _ in range(3)]
    groups = [[0 if rng.random() < 0.4 else x for x in g] for g in groups]
    groups[seed % 3] = [*groups[seed % 3], 1]  # at least one item is relevant
    compute, summarise = BY_HAND[name]
    items = sum(len(g) for g in groups)
    for cut in range(1, items + 1):
        wanted = summarise([compute(order, cut) for order in orders(groups)])
        found = per_query(name.format(cut), ranking(groups))
        np.testing.assert_allclose(found, [wanted], rtol=1e-12, err_msg=f"{groups} at {cut}")


@pytest.mark.parametrize(
    "base", ["map", "map:optimistic", "map:pessimistic", "map:hits", "chance", "ndcg", "mrr"]
)
def test_without_a_cut_the_whole_database_counts(base: str) -> None:
    hist = random_histograms(seed=3)
    name, colon, variant = base.partition(":")
    np.testing.assert_allclose(
        per_query(base, hist), per_query(f"{name}@{hist.items}{colon}{variant}", hist), rtol=1e-12
    )


def test_a_cut_beyond_the_database_is_the_database() -> None:
    hist = random_histograms(seed=3)
    for name in ("map@{}", "precision@{}", "recall@{}", "ndcg@{}", "map@{}:hits", "mrr@{}", "hit@{}"):
        np.testing.assert_array_equal(
            per_query(name.format(10**6), hist), per_query(name.format(hist.items), hist)
        )


def random_histograms(
    queries: int = 20, items: int = 300, bits: int = 16, classes: int = 8, seed: int = 0
) -> Histograms:
    return histograms(*packed(queries, items, bits, classes, seed), bits=bits, graded=True)


def packed(queries: int, items: int, bits: int, classes: int, seed: int) -> tuple[Any, Any, Any, Any]:
    codes, labels = zip(
        *(side(n, bits, classes, seed, i) for i, n in enumerate((queries, items))), strict=True
    )
    return pack_codes(codes[0]), pack_codes(codes[1]), pack_labels(labels[0]), pack_labels(labels[1])


def side(n: int, bits: int, classes: int, seed: int, which: int) -> tuple[Any, Any]:
    """Codes that depend on the labels, and the labels; every item has one."""
    rng = np.random.default_rng([seed, which])
    labels = (rng.random((n, classes)) < 0.2).astype(np.uint8)
    labels[np.arange(n), rng.integers(0, classes, n)] = 1
    towards = np.random.default_rng(seed).standard_normal((classes, bits))
    return np.where(labels @ towards + 2 * rng.standard_normal((n, bits)) >= 0, 1, -1).astype(np.int8), labels


def exact_ap(counts: Any) -> Fraction:
    """Tie-aware AP in exact fractions, rank by rank."""
    total, before, found = Fraction(0), 0, 0
    for n, r in counts.tolist():
        for t in range(1, n + 1):
            hits = found + 1 + (Fraction((t - 1) * (r - 1), n - 1) if n > 1 else 0)
            total += Fraction(r, n) * hits / (before + t)
        before, found = before + n, found + r
    return total / found


def test_average_precision_equals_exact_fractions() -> None:
    hist = random_histograms(queries=5, items=700, bits=32)
    exact = [float(exact_ap(c)) for c in hist.counts]
    np.testing.assert_allclose(per_query("map", hist), exact, rtol=1e-13)


def test_a_small_group_far_down_the_ranking_keeps_its_digits() -> None:
    counts = np.array([[[190_000, 0], [2, 2], [100, 1]]], np.uint32)
    n, far = 190_000, Fraction(0)
    for rank, hits in ((n + 1, 1), (n + 2, 2)):
        far += Fraction(hits, rank)
    far += sum(Fraction(3, 100 * (n + 2 + t)) for t in range(1, 101))
    assert per_query("map", Histograms(counts))[0] == pytest.approx(float(far / 3), rel=1e-10)


def test_the_bounds_enclose_every_order_and_the_expectation() -> None:
    hist = random_histograms(bits=8)
    low, middle, high = (per_query(f"map{v}", hist) for v in (":pessimistic", "", ":optimistic"))
    assert np.all(low < middle)
    assert np.all(middle < high)


def test_chance_is_what_equal_codes_score() -> None:
    query, database, *labels = packed(20, 300, 16, 8, 0)
    equal = histograms(np.zeros_like(query), np.zeros_like(database), *labels, bits=16)
    hist = histograms(query, database, *labels, bits=16)
    for cut in ("", "@10"):
        np.testing.assert_allclose(per_query(f"chance{cut}", hist), per_query(f"map{cut}", equal), rtol=1e-12)


def test_random_codes_score_chance() -> None:
    _, _, *labels = packed(50, 2000, 64, 8, 0)
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 2**63, (1, n), dtype=np.uint64) for n in (50, 2000)]
    hist = histograms(codes[0], codes[1], *labels, bits=64)
    assert mean("map", hist) == pytest.approx(mean("chance", hist), abs=0.005)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 70), st.integers(1, 6), st.integers(0, 99))
def test_metrics_of_any_shape_are_shares(
    queries: int, items: int, bits: int, classes: int, seed: int
) -> None:
    hist = random_histograms(queries, items, bits, classes, seed)
    for metric in BUILT_IN:
        if not metric.ordered:
            for number in (1, 3, 1000) if metric.takes != "nothing" else ("",):
                base, colon, variant = metric.key.partition(":")
                at = str(number) if metric.takes == "radius" else f"@{number}"
                values = per_query(base + at + colon + variant, hist)
                some = values[~np.isnan(values)]
                assert np.all((some >= 0) & (some <= 1 + 1e-12))
                assert np.isnan(values).sum() == empty_queries(hist)


def test_radius_metrics_count_what_lies_within_it() -> None:
    hist = ranking([[], [1, 0], [1, 1, 0], [0, 1]])
    found = [per_query(f"{kind}@r{r}", hist)[0] for kind in ("precision", "recall") for r in range(5)]
    np.testing.assert_allclose(found, [0, 1 / 2, 3 / 5, 4 / 7, 4 / 7, 0, 1 / 4, 3 / 4, 1, 1])


def test_a_radius_larger_than_the_database_is_not_cut() -> None:
    assert per_query("recall@r3", ranking([[], [], [], [1]]))[0] == 1


def test_the_pr_curve_is_the_mean_of_the_radius_metrics() -> None:
    hist = with_an_empty_query(random_histograms())
    precision, recall = pr_curve(hist)
    for r in range(hist.bits + 1):
        assert precision[r] == pytest.approx(mean(f"precision@r{r}", hist), rel=1e-12)
        assert recall[r] == pytest.approx(mean(f"recall@r{r}", hist), rel=1e-12)


def with_an_empty_query(hist: Histograms) -> Histograms:
    counts = hist.counts.copy()
    counts[3, :, 1] = 0
    assert hist.gains is not None and hist.grades is not None
    gains, grades = hist.gains.copy(), hist.grades.copy()
    gains[3], grades[3] = 0, [hist.items] + [0] * (grades.shape[1] - 1)
    return Histograms(counts, gains, grades)


@pytest.mark.parametrize(
    "name", ["map", "map@10:hits", "chance", "precision@5", "recall@5", "precision@r2", "ndcg"]
)
def test_a_query_without_a_relevant_item_is_counted_and_not_averaged(name: str) -> None:
    hist = with_an_empty_query(random_histograms())
    values = per_query(name, hist)
    assert np.flatnonzero(np.isnan(values)).tolist() == [3]
    assert mean(name, hist) == pytest.approx(float(np.delete(values, 3).mean()), rel=1e-14)
    assert empty_queries(hist) == 1


def test_where_every_query_is_empty_there_is_no_mean() -> None:
    hist = Histograms(np.array([[[5, 0], [2, 0]]], np.uint32))
    assert np.isnan(mean("map", hist))
    assert np.isnan(pr_curve(hist)[0]).all()


def test_several_metrics_at_once_are_the_same_numbers() -> None:
    hist = random_histograms(queries=1100)
    names = ["map", "map@50", "chance", "ndcg@10", "map@20:hits"]
    assert means(names, hist) == {name: mean(name, hist) for name in names}


def test_stored_histograms_of_a_narrow_type_give_the_same_numbers() -> None:
    hist = random_histograms()
    assert hist.gains is not None and hist.grades is not None
    narrow = Histograms(
        hist.counts.astype(np.uint16), hist.gains.astype(np.uint16), hist.grades.astype(np.uint16)
    )
    names = ["map", "ndcg@10", "precision@r2", "map@5:hits"]
    assert means(names, narrow) == means(names, hist)
    np.testing.assert_array_equal(pr_curve(narrow), pr_curve(hist))


def test_neither_database_order_nor_threads_change_any_histogram_metric() -> None:
    (queries, labels), (items, others) = side(30, 12, 6, 0, 0), side(400, 12, 6, 0, 1)
    order = np.random.default_rng(0).permutation(400)
    names = ("map", "map@7", "map:pessimistic", "map@7:hits", "ndcg@9", "precision@r2", "chance")
    one = evaluate(queries, items, labels, others, names, threads=1)
    assert one == evaluate(queries, items[order], labels, others[order], names, threads=2)


def test_all_metrics_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    (queries, labels), (items, others) = side(30, 12, 6, 0, 0), side(400, 12, 6, 0, 1)
    names = ("map", "map@7", "ndcg@9", "map:dcmh", "map@7:lemon", "map@7:calc_map_k", "map@7:trec")
    monkeypatch.setenv("BENCH_NO_NUMBA", "0")
    compiled = evaluate(queries, items, labels, others, names)
    monkeypatch.setenv("BENCH_NO_NUMBA", "1")
    assert evaluate(queries, items, labels, others, names) == pytest.approx(compiled, rel=1e-13)


# Names and input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["map", "map@50", "map@50:hits", "precision@r2", "precision@100", "map@5:lemon"]
)
def test_a_metric_is_read_from_its_name(name: str) -> None:
    metric = parse_metric(name)
    assert metric.cutoff == (
        int(name.split("@")[1].split(":")[0]) if "@" in name and "@r" not in name else None
    )


@pytest.mark.parametrize(
    "name", ["precision", "map@0", "precision@r", "map@50:dcmh", "mapp", "map@-1", "map:", ""]
)
def test_a_name_that_is_not_a_metric_is_refused(name: str) -> None:
    with pytest.raises((ParameterError, UnknownNameError)):
        parse_metric(name)


def test_a_misspelt_metric_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'map:lemon'"):
        parse_metric("map@50:lemom")


def test_every_metric_says_what_it_is_and_how_to_ask_for_it() -> None:
    for metric in BUILT_IN:
        assert len(metric.description) > 20
        asked = metric.form.replace("RADIUS", "2").replace("[@R]", "@5").replace("@R", "@5")
        assert parse_metric(asked).key == metric.key


def test_a_metric_of_a_file_is_requested_as_the_built_in_ones_are(
    plugin_file: Callable[[str, str], Path],
) -> None:
    text = '''
from bench.metrics import metric

@metric(takes="R")
def half(ranking, cut):
    """Half of the hits."""
    return ranking.hits(cut) / cut / 2

@metric(takes="radius", variant="near")
def near(ranking, radius):
    """All of them."""
    return ranking.hits_within(radius) * 0 + 1
'''
    registry.add_file(plugin_file("half", text))
    hist = random_histograms()
    np.testing.assert_allclose(per_query("half@5", hist), per_query("precision@5", hist) / 2)
    assert mean("half@r2:near", hist) == 1
    assert [metric.form for metric in declared("half")] == ["half@R", "half@rRADIUS:near"]
    with pytest.raises(ParameterError, match="not of the form half@R"):
        parse_metric("half")


def test_a_metric_that_needs_an_order_is_refused_for_histograms() -> None:
    with pytest.raises(ParameterError, match="map:dcmh is computed from Orders"):
        mean("map:dcmh", random_histograms())


def test_ndcg_without_grades_is_refused() -> None:
    with pytest.raises(DataError, match="graded=True"):
        mean("ndcg", Histograms(random_histograms().counts))


def test_class_numbers_score_like_their_one_hot_rows() -> None:
    queries, items = side(9, 16, 4, 0, 0)[0], side(60, 16, 4, 0, 1)[0]
    mine, theirs = np.arange(9) % 3, np.arange(60) % 5
    numbers = evaluate(queries, items, mine, theirs)
    assert numbers == evaluate(queries > 0, items > 0, np.eye(5)[mine], np.eye(5)[theirs])


def test_the_default_report_holds_the_band_the_chance_level_and_the_empty_queries() -> None:
    found = evaluate([[1, 1], [0, 1]], [[1, 0]], [0, 1], [0])
    assert set(found) == {"map", "map:pessimistic", "map:optimistic", "chance", "empty_queries"}
    assert found["empty_queries"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (np.ones((2, 4)), np.ones((3, 5)), [0, 0], [0, 0, 0]),
            "query codes have 4 bits and database codes 5",
        ),
        ((np.ones((2, 4)), np.ones((3, 4)), [0, 0], [0, 0]), "database has 3 codes and 2 rows of labels"),
        ((np.ones((2, 4)), np.ones((3, 4)), np.ones((2, 3)), np.ones((3, 2))), "same classes on both sides"),
        ((np.ones((2, 4)), np.ones((3, 4)), [0, 0], np.ones((3, 2))), "same classes on both sides"),
        ((np.ones((2, 4)), np.full((3, 4), np.nan), [0, 0], [0, 0, 0]), "expected two symbols"),
        ((np.ones((2, 4)), np.ones((3, 4)), [0, -1], [0, 0, 0]), "whole numbers from 0"),
        ((np.ones(4), np.ones((3, 4)), [0], [0, 0, 0]), r"codes have shape \(4,\)"),
    ],
)
def test_input_that_does_not_fit_is_refused_with_its_shape(arguments: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(*arguments)


# Other libraries ---------------------------------------------------------------------------------


def one_query(ties: bool) -> tuple[Any, Any, Histograms]:
    """Distances and shared labels of 60 items, and the histogram; distances all differ or not."""
    rng = np.random.default_rng(0)
    distance = rng.integers(0, 9, 60) if ties else rng.permutation(60)
    shared = rng.integers(0, 4, 60) * (rng.random(60) < 0.5)
    groups = [shared[distance == d].tolist() for d in range(60)]
    return distance, shared, ranking(groups)


def test_without_ties_scikit_learn_has_the_same_average_precision() -> None:
    from sklearn.metrics import average_precision_score

    distance, shared, hist = one_query(ties=False)
    assert average_precision_score(shared > 0, -distance) == pytest.approx(mean("map", hist), rel=1e-12)


def test_with_ties_scikit_learn_has_another_average_precision() -> None:
    from sklearn.metrics import average_precision_score

    distance, shared, hist = one_query(ties=True)
    theirs = average_precision_score(shared > 0, -distance)
    blocks = np.array([shared[distance <= d].astype(bool).mean() for d in distance[shared > 0]])
    assert theirs == pytest.approx(blocks.mean(), rel=1e-12)  # precision at the end of the group
    assert abs(theirs - mean("map", hist)) > 1e-3


@pytest.mark.parametrize("cut", [1, 5, 17, 60])
def test_scikit_learn_has_the_same_ndcg_with_ties(cut: int) -> None:
    from sklearn.metrics import ndcg_score

    distance, shared, hist = one_query(ties=True)
    theirs = ndcg_score([shared], [-distance], k=cut)
    assert theirs == pytest.approx(mean(f"ndcg@{cut}", hist), rel=1e-12)


def test_torchmetrics_agrees_without_ties_and_with_positive_scores_only() -> None:
    import torch
    from torchmetrics.functional.retrieval import retrieval_average_precision

    distance, shared, hist = one_query(ties=False)
    relevant = torch.from_numpy(shared > 0)
    theirs = float(retrieval_average_precision(torch.from_numpy(60.0 - distance), relevant))
    assert theirs == pytest.approx(mean("map", hist), rel=1e-6)
    at_10 = float(retrieval_average_precision(torch.from_numpy(60.0 - distance), relevant, top_k=10))
    assert at_10 == pytest.approx(mean("map@10:hits", hist), rel=1e-6)  # definition C, not map@10
    assert at_10 != pytest.approx(mean("map@10", hist), rel=1e-3)


def test_torchmetrics_takes_negative_distances_for_irrelevant() -> None:
    import torch
    from torchmetrics.functional.retrieval import retrieval_average_precision

    distance, shared, _ = one_query(ties=False)
    assert (
        float(retrieval_average_precision(torch.from_numpy(-1.0 - distance), torch.from_numpy(shared > 0)))
        == 0
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ranx_divides_by_all_relevant_items() -> None:
    from ranx import Qrels, Run
    from ranx import evaluate as ranx

    distance, shared, hist = one_query(ties=False)
    names = [f"d{i:02}" for i in range(60)]
    qrels = Qrels({"q": {n: int(s) for n, s in zip(names, shared, strict=True) if s}})
    run = Run({"q": {n: float(60 - d) for n, d in zip(names, distance, strict=True)}})
    relevant = int(hist.relevant[0])
    assert ranx(qrels, run, "map") == pytest.approx(mean("map", hist), rel=1e-12)
    assert ranx(qrels, run, "ndcg@10") == pytest.approx(mean("ndcg@10", hist), rel=1e-12)
    assert ranx(qrels, run, "precision@10") == pytest.approx(mean("precision@10", hist), rel=1e-12)
    assert ranx(qrels, run, "map@10") == pytest.approx(mean("map@10", hist) * 10 / relevant, rel=1e-12)


# Real labels at true size ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("file", ["nuswide_tc21_190421x21.npz", "coco2014_123287x80.npz"])
def test_real_labels_at_true_size_are_counted_exactly(file: str, real: Callable[[str], Path]) -> None:
    with np.load(real(f"labels-at-scale/{file}")) as stored:
        indptr, indices, classes = stored["indptr"], stored["indices"], len(stored["names"])
    labels = np.zeros((len(indptr) - 1, classes), np.uint8)
    labels[np.repeat(np.arange(len(labels)), np.diff(indptr)), indices] = 1
    rng = np.random.default_rng(0)
    towards = rng.standard_normal((classes, 64))
    codes = np.where(labels @ towards + 2 * rng.standard_normal((len(labels), 64)) >= 0, 1, -1).astype(
        np.int8
    )
    query, database = slice(0, 200), slice(200, None)
    hist = histograms(
        pack_codes(codes[query]),
        pack_codes(codes[database]),
        pack_labels(labels[query]),
        pack_labels(labels[database]),
        bits=64,
        graded=True,
    )
    for q in range(0, 200, 40):
        shared = labels[database] @ labels[q].astype(np.int64)
        distance = (64 - codes[database] @ codes[q].astype(np.int64)) // 2
        np.testing.assert_array_equal(hist.counts[q, :, 0], np.bincount(distance, minlength=65))
        np.testing.assert_array_equal(hist.counts[q, :, 1], np.bincount(distance[shared > 0], minlength=65))
        if hist.relevant[q]:
            assert per_query("map", hist)[q] == pytest.approx(float(exact_ap_fast(hist.counts[q])), rel=1e-11)
    assert empty_queries(hist) == int(
        (labels[query] @ labels[database].sum(axis=0, dtype=np.int64) == 0).sum()
    )
    assert mean("chance", hist) < mean("map:pessimistic", hist) < mean("map", hist)


def exact_ap_fast(counts: Any) -> float:
    """Tie-aware AP rank by rank, in float64 with one rounding per rank: no closed form."""
    total, before, found = [], 0, 0
    for n, r in counts.tolist():
        t = np.arange(1, n + 1)
        total.append(r / max(n, 1) * (found + 1 + (t - 1) * ((r - 1) / max(n - 1, 1))) / (before + t))
        before, found = before + n, found + r
    return float(np.concatenate(total).sum() / found)


def test_the_module_says_all_it_exports() -> None:
    assert all(hasattr(metrics, name) for name in metrics.__all__)


@pytest.mark.parametrize("labels", [[0, 1, 0], [[0], [1], [0]]])
def test_one_column_of_class_numbers_is_read_as_class_numbers(labels: list[Any]) -> None:
    codes = np.array([[1, 1], [1, -1], [-1, -1]])
    scores = metrics.evaluate(codes, codes, labels, labels, metrics="map")
    assert scores["empty_queries"] == 0


def test_one_column_that_is_no_class_number_is_refused() -> None:
    codes = np.array([[1, 1], [1, -1]])
    with pytest.raises(DataError, match=r"class numbers hold the values 0.5, 1.0; expected whole numbers"):
        metrics.evaluate(codes, codes, [[0.5], [1.0]], [[0.5], [1.0]])


def test_one_metric_may_be_given_as_a_name() -> None:
    codes = np.array([[1, 1], [1, -1]])
    assert metrics.evaluate(codes, codes, [0, 1], [0, 1], metrics="map@1")["map@1"] == 1.0


@pytest.mark.parametrize("side", ["query", "database"])
def test_no_query_and_no_database_are_refused(side: str) -> None:
    codes, none = np.array([[1, 1], [1, -1]]), np.empty((0, 2), np.int8)
    given = (none, codes, [], [0, 1]) if side == "query" else (codes, none, [0, 1], [])
    with pytest.raises(DataError, match=f"no {side} codes"):
        metrics.evaluate(*given)


@pytest.mark.parametrize(
    ("codes", "advice"),
    [
        (np.array([[0.5, -1.5]]), "Binarise with bench.api.sign"),
        (np.array([[0.5, 1.5]]), "subtract a threshold first"),
        (np.array([[7, 255]], np.uint8), "np.unpackbits"),
        (np.array([[7, 1 << 60]], np.uint64), r"np.unpackbits\(codes.view\(np.uint8\), axis=1\)"),
        (np.array([[7, -100]], np.int8), r"np.unpackbits\(codes.view\(np.uint8\), axis=1\)"),
    ],
)
def test_advice_for_what_is_no_code_makes_codes_that_differ(codes: np.ndarray, advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        metrics.evaluate(codes, codes, [0], [0])


def test_class_number_minus_one_is_refused() -> None:
    codes = np.array([[1, 1], [1, -1]])
    with pytest.raises(DataError, match="a row of zeros for -1"):
        metrics.evaluate(codes, codes, [0, -1], [0, 1])
