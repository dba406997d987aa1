"""`bench check` on metrics, encoders and reports: a good one passes, a bad one fails in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.checks.suite import check_encoder, check_metric, check_report
from bench.errors import ContractError
from bench.plugins import registry

Write = Callable[[str, str], Path]

METRIC = '''"""First: whether the first item is relevant."""

import numpy as np

from bench.metrics import metric


@metric()
def first(ranking, at):
    """Probability that the first item is relevant."""
    {body}
'''
FIRST = "return ranking.hits(1)"

ENCODER = '''"""Mean: the mean colour."""

import numpy as np

from bench.api import Encoder, Extractor


class Mean(Encoder):
    """Mean of red, green and blue."""

    modalities = ("image",)

    def load(self, modality, raw, setting):
        return Extractor({one}, {many}, {about})


def mean(picture):
    return np.asarray(picture, np.float32).mean(axis=(0, 1))
'''

REPORT = '''"""Cells: how many there are."""


def render(results):
    """The number of cells."""
    {body}
'''


def metric_failures(write: Write, body: str) -> dict[str, str]:
    name = registry.add_file(write("first", METRIC.format(body=body)))
    return {r.name: r.message for r in check_metric(name) if not r.ok}


def encoder_failures(
    write: Write, one: str = "mean", many: str = "np.stack", about: str = "{'version': 1}"
) -> dict[str, str]:
    name = registry.add_file(write("mean", ENCODER.format(one=one, many=many, about=about)))
    return {r.name: r.message for r in check_encoder(name, Path()) if not r.ok}


def report_failures(write: Write, text: str) -> dict[str, str]:
    name = registry.add_file(write("cells", text))
    return {r.name: r.message for r in check_report(name) if not r.ok}


@pytest.mark.parametrize("name", registry.names("metric"))
def test_a_built_in_metric_passes_every_check(name: str) -> None:
    assert check_metric(name, raising=True)


@pytest.mark.parametrize("view", ["bow:1", "tfidf:1", "gist", "hog", "colour"])
def test_a_built_in_encoder_that_needs_no_model_passes_every_check(view: str) -> None:
    assert check_encoder(view, Path(), raising=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names("report"))
def test_a_built_in_report_passes_every_check(name: str) -> None:
    assert check_report(name, raising=True)


def test_a_good_metric_of_a_file_passes_every_check(plugin_file: Write) -> None:
    assert metric_failures(plugin_file, FIRST) == {}


@pytest.mark.parametrize(
    ("check", "says", "body"),
    [
        ("its_values_are_finite_and_from_0_to_1", "values from -1", "return -ranking.hits(1)"),
        (
            "its_values_are_finite_and_from_0_to_1",
            "NaN or infinite",
            "return np.full(len(ranking.total), np.nan)",
        ),
        ("its_values_are_finite_and_from_0_to_1", "TypeError", "return None + 1"),
        (
            "a_querys_value_depends_on_no_other_query",
            "another value alone",
            "return ranking.total / ranking.total.max()",
        ),
        (
            "it_leaves_the_ranking_alone",
            "writes to ranking.items",
            "ranking.items[:] = 1; return ranking.hits(1) * 0",
        ),
        ("it_prefers_the_best_ranking_to_the_worst", "higher is better", "return 1 - ranking.hits(1)"),
        (
            "it_imports_nothing_but_the_faces",
            "imports bench.scoring",
            "from bench.scoring import ties; return ranking.hits(1)",
        ),
    ],
)
def test_a_bad_metric_fails_its_check(plugin_file: Write, check: str, says: str, body: str) -> None:
    assert says in metric_failures(plugin_file, body)[check]


def test_a_metric_without_a_docstring_is_one_failure(plugin_file: Write) -> None:
    text = METRIC.format(body=FIRST).replace('    """Probability that the first item is relevant."""\n', "")
    name = registry.add_file(plugin_file("first", text))
    failed = {r.name: r.message for r in check_metric(name) if not r.ok}
    assert list(failed) == ["it_has_a_description"]


def test_a_good_encoder_of_a_file_passes_every_check(plugin_file: Write) -> None:
    assert encoder_failures(plugin_file) == {}


@pytest.mark.parametrize(
    ("check", "says", "changed"),
    [
        ("its_rows_are_finite_float32", "float64 (12, 3)", {"many": "lambda x: np.stack(x).astype(float)"}),
        ("its_rows_are_finite_float32", "NaN", {"many": "lambda x: np.stack(x) * np.float32(np.nan)"}),
        (
            "equal_items_have_equal_rows",
            "when it is loaded again",
            {"many": "lambda x, r=np.float32(np.random.default_rng().random()): np.stack(x) * r"},
        ),
        (
            "a_row_depends_on_no_other_item",
            "in batches of 1",
            {"many": "lambda x: np.stack(x) - np.mean(x, axis=0)"},
        ),
        (
            "it_declares_that_it_reads_training_texts",
            "reads_train = True",
            {"many": "lambda x: np.stack(x) * np.float32(len(raw.train))"},
        ),
        (
            "its_description_is_json_and_its_first_step_is_picklable",
            "cannot be pickled",
            {"one": "lambda picture: mean(picture)"},
        ),
        ("its_description_is_json_and_its_first_step_is_picklable", "about={}", {"about": "{}"}),
    ],
)
def test_a_bad_encoder_fails_its_check(
    plugin_file: Write, check: str, says: str, changed: dict[str, str]
) -> None:
    assert says in encoder_failures(plugin_file, **changed)[check]


@pytest.mark.parametrize(
    ("check", "says", "body"),
    [
        ("it_makes_a_table_or_a_figure", "returned a str; expected a Table", "return 'text'"),
        ("it_makes_a_table_or_a_figure", "ZeroDivisionError", "return 1 / 0"),
        ("it_says_so_where_there_is_nothing_to_show", "IndexError", "return list(results)[0]"),
        ("it_imports_nothing_but_the_faces", "imports bench.study", "import bench.study.study"),
    ],
)
def test_a_bad_report_fails_its_check(plugin_file: Write, check: str, says: str, body: str) -> None:
    assert says in report_failures(plugin_file, REPORT.format(body=body))[check]


def test_raising_makes_one_error(plugin_file: Write) -> None:
    name = registry.add_file(plugin_file("first", METRIC.format(body="return 1 / 0")))
    with pytest.raises(ContractError, match=r"metric first breaks \d checks"):
        check_metric(name, raising=True)
