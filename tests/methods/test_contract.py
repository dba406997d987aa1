"""Every built-in method keeps the contract of bench.api, by its defaults and by its authors' settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.checks.suite import check_method
from bench.checks.trial import ROWS, Trial, items, only
from bench.errors import DataError
from bench.plugins import registry

NAMES = registry.names("method")
NETWORKS = (  # their authors have larger networks or longer training, and no other code
    *("cash", "djsrh", "dlch", "fpo_cmh", "rshnl", "she", "ucch", "ukd", "ukd_online"),
)
AUTHORS = [n for n in NAMES if "authors" in registry.get("method", n).presets and n not in NETWORKS]


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(name: str, quick: Callable[[str], dict[str, Any]]) -> None:
    check_method(name, raising=True, **quick(name))


@pytest.mark.parametrize("name", AUTHORS)
def test_it_keeps_the_contract_by_its_authors_settings(name: str) -> None:
    check_method(name, raising=True, **registry.get("method", name).presets["authors"])


@pytest.mark.parametrize("name", [n for n in NAMES if registry.get("method", n).capabilities.partial])
def test_a_modality_that_has_not_come_is_named(name: str, quick: Callable[[str], dict[str, Any]]) -> None:
    trial, both = Trial(registry.get("method", name), quick(name)), items()
    method = trial.fit(only(both, "image"), pool=False)
    with pytest.raises(DataError, match="has met no text yet"):
        method.encode(trial.asked(both, "text"), "text")
    assert len(method.encode(trial.asked(both, "image"), "image")) == ROWS
