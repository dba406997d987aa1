"""The ablation table: paired differences of variants to the full method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.errors import ParameterError
from bench.metrics import mean
from bench.records import Contrast, RoundRecord, RunRecord, RunSpec, Schedule, Status
from bench.results import Results
from bench.scoring.hamming import Histograms

BITS, QUERIES = 2, 40


def histograms(quality: float, seed: int) -> np.ndarray:
    """Ten items for every query, five of them relevant; a better method has those nearer."""
    rng = np.random.default_rng([seed, 1])
    counts = np.zeros((QUERIES, BITS + 1, 2), dtype=np.uint8)
    for query, luck in enumerate(rng.random(QUERIES)):
        near = round(5 * min(1.0, max(0.0, quality + 0.2 * (luck - 0.5))))
        counts[query, 0] = (5, near)
        counts[query, 2] = (5, 5 - near)
    return counts


class Stored:
    """Records made here, and the arrays beside them."""

    def __init__(self) -> None:
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        self.records: list[RunRecord] = []

    def add(self, quality: float, *, seed: int = 0, status: Status = "ok", **changes: Any) -> str:
        spec = RunSpec(
            method="m", dataset="d", bits=BITS, schedule=Schedule("shuffled", 5), seed=seed,
            directions=("i2t",), **changes,
        )  # fmt: skip
        counts = histograms(quality, seed)
        found = RoundRecord(
            round=1, items=10, queries=QUERIES, empty_queries={"i2t": 0},
            metrics={"map/i2t": mean("map", Histograms(counts))},
            seconds={}, bits_rewritten=None, state_bytes=0,
        )  # fmt: skip
        rounds = (found,) if status == "ok" else ()
        self.records.append(
            RunRecord(
                spec=spec, status=status, reason="" if rounds else "no room", rounds=rounds, data="f" * 8,
                fidelity="textbook", arrays=f"{spec.key}.npz",
            )
        )  # fmt: skip
        self.arrays[spec.key] = {"i2t/1/counts": counts}
        return spec.key

    def table(self, contrasts: list[Contrast], **options: Any) -> Any:
        read: Any = lambda record: self.arrays[record.spec.key]  # noqa: E731
        results = Results(self.records, arrays=read, contrasts=contrasts, **options)
        return results.table(report="ablation")


def contrast(name: str, pairs: Mapping[str, str], setting: str = "x=0") -> Contrast:
    return Contrast(name=name, isolates="a part", setting=setting, pairs=pairs)


def pairs(stored: Stored, quality: float, **changes: Any) -> dict[str, str]:
    return {
        stored.add(0.8, seed=seed): stored.add(quality, seed=seed, params={"x": 0}, **changes)
        for seed in range(4)
    }


def test_the_difference_is_that_of_the_means_and_lies_in_its_interval() -> None:
    stored = Stored()
    found = pairs(stored, 0.5)
    full, variant = stored.table([contrast("A1", found)]).data
    assert variant["difference"] == pytest.approx(variant["value"] - full["value"], abs=1e-6)
    assert variant["low"] < variant["difference"] < variant["high"] < 0
    assert full["difference"] is None


def test_a_part_that_matters_has_a_star_and_one_that_does_not_has_none() -> None:
    stored = Stored()
    worse = pairs(stored, 0.5)
    same = {key: key for key in worse}
    text = str(stored.table([contrast("A1", worse), contrast("A2", same, setting="")]))
    [row] = [line for line in text.splitlines() if line.startswith("A1  ")]
    assert "−" in row and "*" in row
    [row] = [line for line in text.splitlines() if line.startswith("A2  ")]
    assert ".000" in row and "*" not in row
    assert "A2: nothing changed, the same as the full method here" in text


def test_a_variant_that_is_the_full_method_is_no_hypothesis_to_correct_for() -> None:
    stored = Stored()
    worse = pairs(stored, 0.7)
    same = contrast("A2", {key: key for key in worse}, setting="")
    alone = stored.table([contrast("A1", worse)]).data[1]
    beside, none = stored.table([contrast("A1", worse), same]).data[1:]
    assert beside["p_holm"] == alone["p_holm"] and none["p_holm"] is None


def test_one_seed_makes_no_claim_of_significance() -> None:
    stored = Stored()
    found = {stored.add(0.8): stored.add(0.3, params={"x": 0})}
    text = str(stored.table([contrast("A1", found)]))
    assert "one seed: the intervals are over queries alone" in text and "*" not in text
    assert "nothing is tested or marked" in text


def test_a_variant_that_failed_says_so_and_is_compared_where_it_ran() -> None:
    stored = Stored()
    found = {stored.add(0.8, seed=0): stored.add(0.5, seed=0, params={"x": 0})}
    found[stored.add(0.8, seed=1)] = stored.add(0.5, seed=1, params={"x": 0}, status="failed")
    table = stored.table([contrast("A1", found)])
    assert table.data[1]["seeds"] == 1 and table.data[1]["difference"] is not None
    assert "(n=1)" in str(table) and "no room" in str(table)


def test_a_variant_of_another_protocol_stands_beside_the_full_method_and_tells_its_setting() -> None:
    stored = Stored()
    found = pairs(stored, 0.9, pool="full")
    table = stored.table([contrast("A9", found, "pool=full")])
    assert len(table.blocks) == 1
    assert "A9: pool=full" in str(table) and "A9◊" in str(table)
    assert [row["pool"] for row in table.data] == ["first_chunk", "full"]


def test_full_methods_of_two_protocols_are_two_blocks() -> None:
    stored = Stored()
    found = pairs(stored, 0.5)
    found[stored.add(0.8, database="frozen")] = stored.add(0.5, database="frozen", params={"x": 0})
    assert len(stored.table([contrast("A1", found)]).blocks) == 2


def test_where_a_method_comes_from_is_told_once_and_not_for_every_variant() -> None:
    stored = Stored()
    assert "textbook method: m\n" in str(stored.table([contrast("A1", pairs(stored, 0.5))])) + "\n"


def test_stale_cells_are_marked() -> None:
    stored = Stored()
    found = pairs(stored, 0.5)
    assert "§" in str(stored.table([contrast("A1", found)], stale={next(iter(found)): "the code"}))


def test_without_contrasts_every_setting_is_compared_with_none() -> None:
    stored = Stored()
    pairs(stored, 0.5)
    table = stored.table([])
    assert [row["variant"] for row in table.data] == ["full", "m[x=0]"]


def test_nothing_to_compare_is_an_error() -> None:
    stored = Stored()
    stored.add(0.5)
    with pytest.raises(ParameterError, match="bench ablate METHOD"):
        stored.table([])


def test_codes_of_a_paper_are_a_second_column() -> None:
    stored = Stored()
    row = replace(contrast("no-part", pairs(stored, 0.5)), code="A1")
    [block] = stored.table([row]).blocks
    assert [column.name for column in block.columns][:3] == ["variant", "code", "isolates"]
    assert [[entry.text for entry in entries[:2]] for entries in block.rows] == [
        ["full", " "],
        ["no-part", "A1"],
    ]


def test_without_codes_there_is_no_column_for_them() -> None:
    stored = Stored()
    [block] = stored.table([contrast("no-part", pairs(stored, 0.5))]).blocks
    assert "code" not in [column.name for column in block.columns]
