"""What cells share: computed once, kept on disk where there is a folder, and charged to every cell."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.contract.shared import Shared

KEY = "0123456789abcdef"


def counted(calls: list[int], value: Any = None) -> Any:
    def compute() -> Any:
        calls.append(1)
        return {"weights": np.arange(3.0), "note": "x"} if value is None else value

    return compute


def test_a_value_is_computed_by_whoever_asks_first() -> None:
    shared, calls = Shared(), list[int]()
    first, second = (shared.once("a", counted(calls)) for _ in range(2))
    assert first is second and len(calls) == 1


def test_a_kept_value_comes_from_disk_with_the_same_bytes(tmp_path: Path) -> None:
    calls: list[int] = []
    first, second = (Shared(tmp_path / "kept").kept(KEY, counted(calls)) for _ in range(2))
    assert len(calls) == 1
    assert first["weights"].tobytes() == second["weights"].tobytes() and first["note"] == second["note"]


def test_a_kept_value_without_a_folder_lives_as_long_as_the_items() -> None:
    shared, calls = Shared(), list[int]()
    assert shared.kept(KEY, counted(calls)) is shared.kept(KEY, counted(calls))
    assert len(calls) == 1


@pytest.mark.parametrize("again", ["in the same pass", "in another run"])
def test_seconds_spared_are_charged_to_the_cell_that_borrows(again: str, tmp_path: Path) -> None:
    shared = Shared(tmp_path)

    def slow() -> float:
        return float(np.linalg.svd(np.random.default_rng(0).random((200, 200)))[1][0])

    shared.kept(KEY, slow)
    assert shared.borrowed == [0.0, 0.0]
    borrower = shared if again == "in the same pass" else Shared(tmp_path)
    borrower.kept(KEY, slow)
    assert borrower.borrowed[0] > 0.0


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "foreign"])
def test_a_broken_file_is_computed_again_and_replaced(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    Shared(tmp_path).kept(KEY, counted(calls))
    file = tmp_path / f"{KEY}.npz"
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes(255 - b for b in whole[middle : middle + 40]) + whole[middle + 40 :]
    file.write_bytes({"cut": whole[:middle], "empty": b"", "flipped": flipped, "foreign": b"no npz"}[damage])
    with caplog.at_level(logging.WARNING):
        again = Shared(tmp_path).kept(KEY, counted(calls))
    assert len(calls) == 2 and "computed again" in caplog.text
    np.testing.assert_array_equal(again["weights"], np.arange(3.0))
    Shared(tmp_path).kept(KEY, counted(calls))
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file, not a folder")
    calls: list[int] = []
    Shared(tmp_path / "kept").kept(KEY, counted(calls))
    assert len(calls) == 1


def test_nothing_but_the_value_is_left_in_the_folder(tmp_path: Path) -> None:
    Shared(tmp_path).kept(KEY, counted([]))
    assert [p.name for p in tmp_path.iterdir()] == [f"{KEY}.npz"]
