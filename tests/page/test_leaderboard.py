"""The leaderboard in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import leaderboard
from bench.results import Results

HOSTILE = "<img src=x onerror='window.pwned=1'>"


@pytest.fixture
def tab(
    home: Path, results: Results, visit: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Two submissions of the same cells, the second with a fault and a name that is an attack."""
    runs = leaderboard.read(home / "runs")
    read = {"runs": runs, "more": replace(runs, name="more", by=HOSTILE, faults=["a.json: scores"])}
    monkeypatch.setattr(leaderboard, "read", lambda path: read[path.name])
    leaderboard.write([Path("runs"), Path("more")], tmp_path)
    opened = visit((tmp_path / "index.html").as_uri(), viewport={"width": 390, "height": 844})
    opened.wait_for_selector("#main:not([hidden])")
    return opened


def methods(tab: Any) -> list[str]:
    return [str(name) for name in tab.locator(".results th .name").all_inner_texts()]


def test_every_dataset_can_be_chosen(tab: Any) -> None:
    for name in ("tiny", "pictures"):
        tab.locator("#dataset").select_option(name)
        assert tab.locator("#results-title").inner_text() == name


def test_another_protocol_has_another_table(tab: Any) -> None:
    tab.locator("#dataset").select_option("tiny")
    assert "random_projection" in methods(tab)
    tab.locator("#protocol-select").select_option(index=1)
    assert set(methods(tab)) == {"halves"}


def test_verified_only_hides_the_others(tab: Any) -> None:
    before = len(methods(tab))
    tab.locator("#verified").check()
    assert 2 * len(methods(tab)) == before


def test_methods_are_filtered_by_name_and_submitter(tab: Any) -> None:
    tab.locator("#search").fill("random")
    tab.locator("#from").select_option(HOSTILE)
    assert methods(tab) == ["random_projection"]


def test_a_number_opens_its_provenance(tab: Any, results: Results) -> None:
    tab.locator(".number").first.click()
    text = tab.locator("#panel-body").inner_text()
    keys = {record.spec.key for record in results.records}
    assert sum(key in text for key in keys) == 3  # one for each seed


def test_no_text_of_a_submission_is_read_as_markup(tab: Any) -> None:
    assert HOSTILE in tab.locator("#submitted").inner_text()
    assert tab.evaluate("window.pwned") is None


def test_it_is_no_wider_than_a_phone(tab: Any) -> None:
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
