"""bench compare on planted nulls and planted differences: other seeds of one method are no difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench import metrics
from bench.archive.compare import compare
from bench.records import RoundRecord, RunRecord, RunSpec, Schedule
from bench.reporting.crossed import Crossed
from bench.reporting.significance import CONFIDENCE, LEVEL, randomisation_test, seed_test
from bench.scoring.hamming import Histograms
from bench.storing.store import Store

ITEMS, RELEVANT, BITS, QUERIES = 400, 100, 16, 60
TRIALS = 2000


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a difference: between seeds, between queries, and of the rest."""

    seed: float
    query: float
    rest: float = 0.1

    def draw(self, rng: np.random.Generator, shape: tuple[int, int], effect: float = 0.0) -> Matrix:
        seeds, queries = shape
        seed, query = rng.normal(0, self.seed, (seeds, 1)), rng.normal(0, self.query, queries)
        return effect + seed + query + rng.normal(0, self.rest, shape)


Matrix = npt.NDArray[np.float64]
NOISES = {
    "none but the rest": Noise(0.0, 0.0),
    "seeds": Noise(0.03, 0.0),
    "queries": Noise(0.0, 0.2),
    "both alike": Noise(0.01, 0.1, 0.02),
    "both and the rest": Noise(0.01, 0.1),
}


def excludes_zero(differences: Matrix) -> bool:
    low, high = Crossed.of(differences).interval(CONFIDENCE)
    return low > 0 or high < 0


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("shape", [(3, 60), (5, 60), (5, 200), (10, 60)], ids=str)
def test_five_percent_of_planted_nulls_are_called_different(noise: Noise, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    share = np.mean([excludes_zero(noise.draw(rng, shape)) for _ in range(TRIALS)])
    assert 0.03 <= share <= 0.07


def test_a_difference_of_three_points_is_found() -> None:
    rng = np.random.default_rng(2)
    noise = Noise(0.01, 0.05)
    assert np.mean([excludes_zero(noise.draw(rng, (5, 200), 0.03)) for _ in range(200)]) > 0.9


def test_the_error_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(3)
    drawn = [Crossed.of(Noise(0.02, 0.1).draw(rng, (5, 60))) for _ in range(TRIALS)]
    mean_square = np.mean([np.square(d.error) for d in drawn])
    assert np.var([d.mean for d in drawn]) == pytest.approx(mean_square, rel=0.1)


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("level", [LEVEL, LEVEL / 4])
def test_the_detectable_difference_is_found_in_four_of_five_cases(
    noise: Noise, seeds: int, level: float
) -> None:
    """By both tests of a report; and what a study estimates from its own variances is right on average."""
    rng = np.random.default_rng(4)
    shape, trials = (seeds, 120), 500
    least = [Crossed.of(noise.draw(rng, shape)).detectable(level) for _ in range(trials)]
    planted = float(np.sqrt(np.square(least).mean()))
    found = 0
    for _ in range(trials):
        differences = noise.draw(rng, shape, planted)
        p = randomisation_test(differences.mean(axis=0)), seed_test(differences.mean(axis=1))
        found += max(p) < level
    assert 0.73 <= found / trials <= 0.87


@pytest.mark.parametrize("shape", [(1, 50), (3, 1), (3, 0)], ids=str)
def test_one_seed_or_one_query_gives_no_interval_and_no_detectable_difference(
    shape: tuple[int, int],
) -> None:
    crossed = Crossed.of(np.full(shape, 0.1))
    assert np.isnan([*crossed.interval(CONFIDENCE), crossed.detectable(LEVEL)]).all()


def test_differences_without_any_noise_are_their_own_interval() -> None:
    crossed = Crossed.of(np.full((3, 50), 0.25))
    assert crossed.interval(CONFIDENCE) == (0.25, 0.25) and crossed.detectable(LEVEL) == 0


Cells = Mapping[tuple[int, int], float]  # setting, seed → how near relevant items lie


def write(folder: Path, cells: Cells, rng: np.random.Generator) -> Store:
    """Histograms in which relevant items lie nearer by the cell's effect, by its seed's, and by chance."""
    store = Store(folder)
    store.check_writable()
    for (setting, seed), effect in cells.items():
        spec = RunSpec(
            method="cca", dataset="tiny", bits=BITS, schedule=Schedule("shuffled", 20), seed=seed,
            params={"x": setting}, directions=("i2t",),
        )  # fmt: skip
        base = np.random.default_rng(0).normal(0, 0.6, QUERIES)  # of the queries, the same in every run
        logits = base + effect + rng.normal(0, 0.15) + rng.normal(0, 0.2, QUERIES)
        counts = counted(rng.binomial(RELEVANT, 1 / (1 + np.exp(-logits))))
        scores = metrics.means(["map", "chance"], Histograms(counts))
        last = RoundRecord(
            round=0, items=ITEMS, queries=QUERIES, empty_queries={"i2t": 0}, seconds={}, bits_rewritten=None,
            state_bytes=0, metrics={f"{name}/i2t": value for name, value in scores.items()},
        )  # fmt: skip
        store.write(RunRecord(spec=spec, status="ok", rounds=(last,), data="d"), stored_with(counts))
    return store


def counted(near: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """Half of the items at distance 0, ``near`` of them relevant, and the others at the largest distance."""
    counts = np.zeros((QUERIES, BITS + 1, 2), np.uint32)
    counts[:, (0, BITS), 0] = ITEMS // 2
    counts[:, 0, 1], counts[:, BITS, 1] = near, RELEVANT - near
    return counts


def stored_with(counts: npt.NDArray[np.uint32]) -> dict[str, npt.NDArray[np.unsignedinteger]]:
    """All that lies beside a record; a relevant item shares one label, and nobody reads the codes."""
    grades = np.tile(np.array([ITEMS - RELEVANT, RELEVANT], np.uint32), (QUERIES, 1))
    arrays = {"i2t/0/counts": counts, "i2t/0/gains": counts[:, :, 1], "i2t/0/grades": grades}
    for side, rows in (("query", QUERIES), ("database", ITEMS)):
        arrays |= {f"codes/{side}/{m}": np.zeros((1, rows), np.uint64) for m in ("image", "text")}
    return {**arrays, "rows/database": np.arange(ITEMS, dtype=np.uint32)}


def settings(seeds: int, number: int = 150) -> dict[tuple[int, int], float]:
    return {(setting, seed): 0.0 for setting in range(number) for seed in range(seeds)}


def test_other_seeds_of_the_same_method_are_rarely_called_different(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    a, b = (write(tmp_path / side, settings(seeds=4), rng) for side in "AB")
    verdicts = [row["verdict"] for row in compare(a, b, "map").data]
    assert len(verdicts) == 150 and {*verdicts} == {"worse", "better", "unclear"}
    assert 0.01 <= 1 - verdicts.count("unclear") / 150 <= 0.10


def test_a_planted_loss_is_found_among_them_and_comes_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    cells = settings(seeds=5, number=20)
    a = write(tmp_path / "A", cells, rng)
    b = write(tmp_path / "B", {place: -0.6 * (place[0] == 7) for place in cells}, rng)
    first = compare(a, b, "map").data[0]
    assert (first["method"], first["verdict"]) == ("cca[x=7]", "worse")
    assert -0.12 < first["difference"] < -0.03


def test_two_seeds_are_listed_by_the_size_of_their_difference_and_not_judged(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    a, b = (write(tmp_path / side, settings(seeds=2, number=20), rng) for side in "AB")
    table = compare(a, b, "map")
    assert {row["verdict"] for row in table.data} == {"untested"}
    sizes = [abs(row["difference"]) for row in table.data]
    assert sizes == sorted(sizes, reverse=True)
    assert "fewer than 3 seeds" in "\n".join(table.blocks[0].caption)


def test_equal_cells_stay_the_same_however_few_their_seeds(tmp_path: Path) -> None:
    store = write(tmp_path, settings(seeds=1, number=3), np.random.default_rng(8))
    table = compare(store, store, "map")
    assert [row["verdict"] for row in table.data] == ["same"] * 3
    assert "untested" not in "\n".join(table.blocks[0].caption)


def test_the_scores_of_compare_are_those_of_the_metric(tmp_path: Path) -> None:
    store = write(tmp_path, settings(seeds=3, number=1), np.random.default_rng(9))
    counts = [store.arrays(r)["i2t/0/counts"] for r in store.records()]
    expected = np.mean([metrics.mean("map", Histograms(c)) for c in counts])
    [row] = compare(store, store, "map").data
    assert row["a"] == pytest.approx(expected, abs=1e-12)
