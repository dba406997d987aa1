"""What people pass to bench.metrics.evaluate and bench.run, and the names that papers give to metrics."""

from __future__ import annotations

import warnings
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from bench.errors import BenchError, DataError, ParameterError
from bench.metrics import canonical, evaluate, parse_metric, per_query
from bench.reporting.metric import definition, metric_title
from bench.scoring.hamming import Histograms
from bench.study.study import Study

RNG = np.random.default_rng(0)
QUERY, DATABASE = (RNG.integers(0, 2, (n, 16)) for n in (20, 90))
HOT, STORED = ((RNG.random((n, 4)) < 0.5).astype(np.uint8) for n in (20, 90))
NUMBERS, STORED_NUMBERS = RNG.integers(0, 3, 20), RNG.integers(0, 3, 90)
EXPECTED = evaluate(QUERY, DATABASE, HOT, STORED, "map")


def score(query: Any, database: Any) -> dict[str, float]:
    return evaluate(QUERY, DATABASE, query, database, "map")


def lists(labels: Any) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in labels]


FORMS = {
    "booleans": lambda x: x.astype(bool),
    "doubles": lambda x: x.astype(float),
    "-1/+1": lambda x: x.astype(int) * 2 - 1,
    "rows of lists": lambda x: x.tolist(),
    "CSR": scipy.sparse.csr_matrix,
    "COO array": scipy.sparse.coo_array,
    "lists of class numbers": lists,
    "sets of class numbers": lambda x: list(map(set, lists(x))),
    "arrays of class numbers": lambda x: [np.array(row, int) for row in lists(x)],
    "object array": lambda x: np.array([*lists(x), None], dtype=object)[:-1],
    "data frame": pd.DataFrame,
    "column of lists": lambda x: pd.Series(lists(x)),
    "lists of names of classes": lambda x: [[f"class {n}" for n in row] for row in lists(x)],
    "tensors of class numbers": lambda x: [pytest.importorskip("torch").tensor(row) for row in lists(x)],
    "a generator of lists": lambda x: (row for row in lists(x)),
    "values of a dictionary": lambda x: dict(enumerate(lists(x))).values(),
    "nullable data frame": lambda x: pd.DataFrame(x.astype(bool)).astype("boolean"),
    "lists of large class numbers": lambda x: [[n * 10**12 for n in row] for row in lists(x)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_multi_hot_labels_gives_the_same_score(form: str) -> None:
    assert score(FORMS[form](HOT), FORMS[form](STORED)) == EXPECTED


@pytest.mark.parametrize(
    "form",
    [
        lambda x: [f"class {n}" for n in x],
        lambda x: x.astype(str),
        lambda x: x.astype(object),
        lambda x: x[None, :],
        lambda x: x * 10**12,
        lambda x: pd.Series(x, dtype="Int64"),
        lambda x: pd.Categorical([f"class {n}" for n in x]),
        lambda x: np.array([f"class {n}" for n in x], "S"),
        lambda x: np.array([f"class {n}" for n in x])[:, None],
        lambda x: pd.DataFrame({"label": [f"class {n}" for n in x]}),
        lambda x: (int(n) for n in x),
    ],
    ids=[
        "names",
        "digits",
        "objects",
        "a row",
        "large numbers",
        "nullable",
        "categories",
        "bytes",
        "a column of names",
        "a frame of names",
        "a generator",
    ],
)
def test_classes_may_have_names_or_large_numbers_and_lie_in_a_row(form: Any) -> None:
    assert score(form(NUMBERS), form(STORED_NUMBERS)) == score(NUMBERS, STORED_NUMBERS)


@pytest.mark.parametrize("kind", [float, np.float32, np.uint8, list])
def test_every_form_of_class_numbers_gives_the_same_score(kind: Any) -> None:
    def form(x: Any) -> Any:
        return x.tolist() if kind is list else x.astype(kind)

    assert score(form(NUMBERS), form(STORED_NUMBERS)) == score(NUMBERS, STORED_NUMBERS)


def test_class_numbers_may_be_a_column_on_one_side() -> None:
    assert score(NUMBERS, STORED_NUMBERS[:, None]) == score(NUMBERS, STORED_NUMBERS)


@pytest.mark.parametrize("number", [2, np.int64(2), [[2]], np.array([[2]])])
def test_one_query_may_have_a_class_number(number: Any) -> None:
    given, plain = (evaluate(QUERY[:1], DATABASE, x, STORED_NUMBERS, "map") for x in (number, [2]))
    assert given == plain


@pytest.mark.parametrize(
    ("query", "database", "fix"),
    [(QUERY[0], DATABASE, r"codes\[None, :\]"), (QUERY.T, DATABASE.T, r"codes\.T")],
    ids=["one query", "bits in rows"],
)
def test_codes_that_lie_otherwise_name_the_fix(query: Any, database: Any, fix: str) -> None:
    with pytest.raises(DataError, match=fix):
        evaluate(query, database, HOT[: len(query)], STORED, "map")


def test_a_column_of_booleans_holds_two_classes() -> None:
    two = NUMBERS > 0, STORED_NUMBERS > 0
    assert score(*two) == score(*(x.astype(int) for x in two))


def test_torch_tensors_are_taken() -> None:
    torch = pytest.importorskip("torch")
    query, database = (torch.tensor(x * 2.0 - 1, requires_grad=True) for x in (QUERY, DATABASE))
    asked, stored = (torch.tensor(x) for x in (HOT, STORED))
    assert evaluate(query, database, asked, stored, "map") == EXPECTED
    sparse = asked.to_sparse(), stored.to_sparse()
    assert evaluate(query.bfloat16(), database.bfloat16(), sparse[0], sparse[1], "map") == EXPECTED


def test_lists_of_equal_lengths_are_class_numbers_if_they_hold_more_than_zero_and_one() -> None:
    pairs = [[[0, 3], [1, 2]], [[3, 1], [0, 2], [1, 2]]]
    hot = [np.zeros((len(side), 4), int) for side in pairs]
    for matrix, side in zip(hot, pairs, strict=True):
        for row, numbers in enumerate(side):
            matrix[row, numbers] = 1
    codes = QUERY[:2], DATABASE[:3]
    given = [evaluate(codes[0], codes[1], side[0], side[1], "map") for side in (pairs, hot)]
    assert given[0] == given[1]


def test_one_query_may_have_its_labels_in_a_vector() -> None:
    row = int(HOT.any(axis=1).argmax())
    one, matrix = (evaluate(QUERY[:1], DATABASE, x, STORED, "map") for x in (HOT[row], HOT[row : row + 1]))
    assert one == matrix


def test_torch_tensors_in_compressed_rows_are_taken() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, that they are in beta state
        asked, stored = (torch.tensor(x).to_sparse_csr() for x in (HOT, STORED))
    assert score(asked, stored) == EXPECTED


@pytest.mark.parametrize("names", [("map",), iter(["map"]), {"map"}, np.array(["map"]), np.str_("map")])
def test_metrics_may_be_any_collection_of_names(names: Any) -> None:
    result = evaluate(QUERY, DATABASE, HOT, STORED, names)
    assert result == EXPECTED
    assert all(type(name) is str for name in result)


@pytest.mark.parametrize("wrong", [None, 5, b"map", Path("map"), ["map", 3], [["map"]], []])
def test_metrics_that_are_no_names_are_refused(wrong: Any) -> None:
    with pytest.raises(ParameterError, match=r"metrics .*; expected names of metrics"):
        evaluate(QUERY, DATABASE, HOT, STORED, wrong)


@pytest.mark.parametrize(
    ("codes", "fix"),
    [
        (QUERY.astype(str), r"codes\.astype"),
        (QUERY * 255, "codes == 255"),
        (np.where(QUERY > 0, 1, np.nan), "NaN"),
        (np.packbits(QUERY, axis=1), r"np\.unpackbits\(codes, axis=1\)"),
    ],
    ids=["strings", "0 and 255", "NaN", "packed"],
)
def test_codes_of_other_values_name_the_fix(codes: Any, fix: str) -> None:
    with pytest.raises(DataError, match=f"codes hold .*; expected two symbols.*{fix}"):
        evaluate(codes, codes, HOT, HOT, "map")


def test_threads_must_be_a_number() -> None:
    with pytest.raises(ParameterError, match="threads must be at least 1; got '2'"):
        evaluate(QUERY, DATABASE, HOT, STORED, "map", threads="2")  # type: ignore[arg-type]


def test_lists_on_one_side_alone_are_refused() -> None:
    with pytest.raises(DataError, match="database labels are not lists of class numbers"):
        score(lists(HOT), STORED)


@pytest.mark.parametrize("wrong", [-1, 0.5, "cat", float("nan")])
def test_a_list_with_something_else_than_class_numbers_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"query labels: a list .* holds .*; expected whole numbers from 0"):
        score([[wrong], [0, 1], *lists(HOT)[2:]], lists(STORED))


@pytest.mark.parametrize(
    ("labels", "fix"),
    [(HOT * 0.7, "> 0.5 for soft"), (HOT * 2 - STORED[:20].astype(int), "> 0 for votes")],
    ids=["soft labels", "-1, 0, 1 and 2"],
)
def test_labels_that_need_a_decision_name_it(labels: Any, fix: str) -> None:
    with pytest.raises(DataError, match=f"labels hold the values .* labels {fix}"):
        score(labels, STORED)


def test_unlabelled_items_among_class_numbers_are_refused_with_the_fix() -> None:
    with pytest.raises(DataError, match="a row of zeros for -1"):
        score(np.where(NUMBERS == 0, -1, NUMBERS), STORED_NUMBERS)


def hit_by_fractions(groups: list[tuple[int, int]], cut: int) -> Fraction:
    """One minus the chance that a random order of the cut group has no relevant item among its first ones."""
    before = 0
    for n, r in groups:
        if before + n >= cut:
            return 1 - Fraction(comb(n - r, cut - before), comb(n, cut - before))
        if r:
            return Fraction(1)
        before += n
    raise AssertionError


def mrr_by_fractions(groups: list[tuple[int, int]], cut: int) -> Fraction:
    before = 0
    for n, r in groups:
        if r:
            most = min(n - r + 1, cut - before)
            return sum(
                (Fraction(comb(n - x, r - 1), comb(n, r) * (before + x)) for x in range(1, most + 1)),
                Fraction(0),
            )
        before += n
    raise AssertionError


@pytest.mark.parametrize(
    "groups",
    [[(5, 0), (4000, 1)], [(3000, 20), (7, 7)], [(900, 899)], [(1, 0), (1, 1)], [(70, 0), (2000, 900)]],
)
@pytest.mark.parametrize("cut", [1, 10, 500, 2000])
def test_hits_and_reciprocal_ranks_equal_exact_fractions_in_large_groups(
    groups: list[tuple[int, int]], cut: int
) -> None:
    hist = Histograms(np.array([groups], np.uint32))
    cut = min(cut, hist.items)
    np.testing.assert_allclose(
        per_query(f"hit@{cut}", hist), float(hit_by_fractions(groups, cut)), rtol=1e-11
    )
    np.testing.assert_allclose(
        per_query(f"mrr@{cut}", hist), float(mrr_by_fractions(groups, cut)), rtol=1e-11
    )


@pytest.mark.parametrize(
    ("paper", "ours"),
    [
        ("mAP", "map"), ("MAP", "map"), ("mAP@50", "map@50"), ("mAP@all", "map"), ("mAP@ALL", "map"),
        ("map@top50", "map@50"), ("P@100", "precision@100"), ("Precision@100", "precision@100"),
        ("P@r2", "precision@r2"), ("P@radius≤2", "precision@r2"), ("P@H<=2", "precision@r2"),
        ("Recall@10", "recall@10"), ("NDCG@100", "ndcg@100"), ("nDCG", "ndcg"), ("MRR", "mrr"),
        ("MRR@10", "mrr@10"), ("Hit@1", "hit@1"), ("HR@10", "hit@10"), ("Hits@10", "hit@10"),
        ("mAP @ 50", "map@50"), ("mAP@5k", "map@5000"), ("topN-precision@100", "precision@100"),
        ("mean average precision", "map"), ("Success@5", "hit@5"),
        ("mAP (all)", "map"), ("mAP@5,000", "map@5000"), ("ndcg@ALL", "ndcg"), ("recall@R2", "recall@r2"),
        ("mean AP", "map"), ("mAP@50:hits", "map@50:hits"), ("map", "map"), ("nothing", "nothing"),
    ],
)  # fmt: skip
def test_names_of_papers_are_accepted(paper: str, ours: str) -> None:
    assert canonical(paper) == ours


def test_recall_at_k_is_ambiguous_and_both_meanings_are_named() -> None:
    for read in (canonical, parse_metric):
        with pytest.raises(ParameterError, match=r"'R@10' has two meanings: .*hit@10 .*recall@10"):
            read("R@10")


def test_a_name_of_a_paper_keeps_its_place_in_the_result() -> None:
    assert list(evaluate(QUERY, DATABASE, HOT, STORED, ["mAP@50", "P@10"])) == [
        "mAP@50",
        "P@10",
        "empty_queries",
    ]


def test_names_may_be_separated_by_commas() -> None:
    names = evaluate(QUERY, DATABASE, HOT, STORED, "map,mAP@5,000")
    assert list(names) == ["map", "mAP@5,000", "empty_queries"]


def test_a_refused_name_is_shown_as_it_was_written() -> None:
    with pytest.raises(ParameterError, match=r"metric 'mAP@R' is not .* with R a number"):
        parse_metric("mAP@R")


def test_an_unknown_metric_is_still_an_error() -> None:
    for name in ("maap", "map@", "map@0", "P@"):
        with pytest.raises(BenchError):
            parse_metric(name)


def test_the_hit_rate_says_what_retrieval_calls_it() -> None:
    assert "image–text retrieval calls it R@K" in definition("hit@5")
    assert metric_title("recall@5") == "recall@5"


def test_a_study_takes_numbers_and_arrays_of_numpy_and_paths() -> None:
    study = Study.make(
        None,
        bits=np.array([8, 16]),
        seeds=np.int64(2),
        labelled=np.float64(0.5),
        val=np.int32(10),
        results=Path("runs"),
        data_root=Path("data"),
        plugin=[Path("mine.py")],
    )
    assert (study.bits, study.seeds, study.labelled, study.val) == ((8, 16), (0, 1), (0.5,), 10)
    assert (study.results, study.data_root, study.plugin) == ("runs", "data", ("mine.py",))
    assert Study.make(None, bits=[np.int64(8)], seeds=np.array([3, 4])).seeds == (3, 4)
    assert all(type(value) is int for value in Study.make(None, bits=[np.int64(8)]).bits)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, float, str])
def test_a_tenth_is_a_tenth_in_every_precision(kind: Any) -> None:
    assert Study.make(None, labelled=kind(0.1)).labelled == (0.1,)
    assert Study.make(None, labelled=[kind(0.1)], paired=np.array([0.1], np.float32)).paired == (0.1,)


def test_a_study_takes_tensors_devices_and_tables_of_numpy_numbers() -> None:
    torch = pytest.importorskip("torch")
    study = Study.make(
        None,
        methods={"name": "lemon", "beta": np.array([1, 2])},
        bits=torch.tensor([8]),
        seeds="2",
        labelled=torch.tensor(0.1),
        device=torch.device("cuda:0"),
    )
    assert (study.methods, study.bits, study.seeds) == (("lemon[beta=1,2]",), (8,), (0, 1))
    assert (study.labelled, study.device) == ((0.1,), "cuda:0")


def test_a_study_refuses_arrays_of_the_wrong_kind() -> None:
    for bits in (np.array([8.5]), np.array([[8]]), np.array([True])):
        with pytest.raises(ParameterError, match="bits must be a whole number"):
            Study.make(None, bits=bits)
