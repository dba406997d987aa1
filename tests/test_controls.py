"""Each way to cheat is found by the one control that is meant for it, and honest methods pass them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Chunk
from bench.checks.comparing import share_beyond_signs
from bench.checks.passage import other_labels
from bench.checks.suite import check_method, checks_for
from bench.checks.trial import Trial, items
from bench.cli import main
from bench.contract.method import Method
from bench.plugins import registry

CHEATS = Path(__file__).parent / "plugins" / "cheats.py"


@pytest.fixture
def cheats(monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    monkeypatch.setattr(registry, "_extra", {})
    method: type[Method] = registry.get("method", registry.add_file(CHEATS))
    return method


def failures(method: type[Method], **params: Any) -> dict[str, str]:
    return {r.name: r.message for r in check_method(method, **params) if not r.ok}


def notes(method: type[Method] | str, **params: Any) -> list[str]:
    return [r.message for r in check_method(method, **params) if r.ok and r.message]


@pytest.mark.parametrize(
    ("cheat", "control", "says"),
    [
        ("rows", "it_remembers_no_rows", "when their features change by 1e-05 of themselves"),
        ("future", "later_labels_change_no_earlier_code", "in round 0 when labels of round 2 change"),
        ("queries", "labels_of_queries_change_no_code", "gives queries other codes when their labels change"),
        ("position", "an_items_code_depends_on_no_other_item", "in another order and blocks of 300"),
        ("means", "an_items_code_depends_on_no_other_item", "in another order and blocks of 7"),
    ],
)
def test_one_control_finds_each_cheat(cheats: type[Method], cheat: str, control: str, says: str) -> None:
    failed = failures(cheats, cheat=cheat)
    assert list(failed) == [control]
    assert says in failed[control]


def test_the_same_method_passes_where_it_does_not_cheat(cheats: type[Method]) -> None:
    assert failures(cheats) == {}


def test_codes_that_rounding_decides_are_a_note_and_no_failure(cheats: type[Method]) -> None:
    assert failures(cheats, cheat="rounding") == {}
    (note,) = notes(cheats, cheat="rounding")
    assert note.startswith("rounding decides its codes: another last digit in the features flips ")


def test_bench_check_prints_a_note_and_counts_it_as_passed(
    cheats: type[Method], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "cheats[cheat=rounding]", "--plugin", str(CHEATS)]) == 0
    out = capsys.readouterr().out
    assert "note  rounding decides no codes  (" in out
    assert "      rounding decides its codes: another last digit" in out
    assert f"{len(checks_for(cheats))} passed, 0 failed" in out


def test_the_notes_on_rounding_are_those_of_methods_that_have_it() -> None:
    assert len(notes("oscmfh")) == 1
    assert notes("random_projection") == []


def test_a_bit_that_is_negated_in_every_code_is_the_same_bit() -> None:
    codes = np.where(np.random.default_rng(0).random((50, 8)) < 0.5, 1, -1).astype(np.int8)
    negated = codes * np.array([1, -1] * 4, dtype=np.int8)
    assert share_beyond_signs(codes, negated) == 0
    negated[:10, 0] *= -1
    assert share_beyond_signs(codes, negated) == pytest.approx(10 / 50 / 8)


def test_labels_are_the_same_again_after_a_control() -> None:
    split = items(30)
    assert split.labels is not None
    before, rows = split.labels.copy(), np.arange(10, 30)
    with other_labels(split, rows):
        assert (split.labels[10:] != before[10:]).any()
        np.testing.assert_array_equal(split.labels[:10], before[:10])
    np.testing.assert_array_equal(split.labels, before)


def test_the_controls_of_one_suite_share_the_plain_walk(
    cheats: type[Method], monkeypatch: pytest.MonkeyPatch
) -> None:
    large: list[int] = []
    fit = cheats.fit_chunk

    def counted(self: Method, chunk: Chunk) -> None:
        large.append(len(chunk))
        fit(self, chunk)

    monkeypatch.setattr(cheats, "fit_chunk", counted)
    check_method(cheats)
    assert large.count(100) == 3 + 2 + 3  # as it is, with other labels in round 2, with other last digits


def test_a_control_may_run_alone(cheats: type[Method]) -> None:
    controls = {check.name: check for check in checks_for(cheats)}
    trial = Trial(cheats, {"cheat": "rounding"})
    assert "flips" in controls["rounding_decides_no_codes"].on(trial)
    assert controls["rounding_decides_no_codes"](cheats) == ""
