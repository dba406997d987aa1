"""Sweep, runner and store together: cells run, are kept, resumed and compared."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import bench
from bench.errors import BenchError, StoreError
from bench.records import RunRecord, RunSpec, Schedule
from bench.running.hosts import Isolation
from bench.running.sweep import Surveyed, _groups, survey
from bench.storing import reading
from bench.storing.store import Store
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = Path(__file__).with_name("plugins")


def options(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    plugins = [str(p) for p in sorted(PLUGINS.glob("*.py"))]
    small = {
        "methods": "halves",
        "datasets": "tiny",
        "bits": "8",
        "seeds": 1,
        "train": "all",
        "plugin": plugins,
    }
    return {**small, "results": str(tmp_path / "runs"), **changes}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[RunRecord]:
    """The records that are stored from here on."""
    records: list[RunRecord] = []
    plain = Store.write

    def write(store: Store, record: RunRecord, arrays: Any, model: bytes = b"") -> RunRecord:
        records.append(record)
        return plain(store, record, arrays, model)

    monkeypatch.setattr(Store, "write", write)
    return records


def surveyed(tmp_path: Path, **changes: Any) -> list[Surveyed]:
    study = Study.make(None, **options(tmp_path, **changes))
    return survey(study, Planner().cells(study))


def finished(results: bench.Results) -> dict[str, dict[str, float]]:
    return {r.spec.key: dict(r.rounds[-1].metrics) for r in results.records if r.rounds}


def test_a_run_leaves_one_record_and_one_array_file_per_cell(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, bits="8,12", seeds=2))
    assert len(results.records) == 4
    assert len(list((tmp_path / "runs").glob("*.json"))) == 4
    assert len(list((tmp_path / "runs").glob("*.npz"))) == 4
    assert not list((tmp_path / "runs").glob(".*"))


def test_a_second_run_computes_nothing(tmp_path: Path, written: list[RunRecord]) -> None:
    first = bench.run(**options(tmp_path))
    second = bench.run(**options(tmp_path))
    assert len(written) == 1
    assert finished(first) == finished(second)


def test_the_results_of_a_run_are_the_records_in_the_folder(tmp_path: Path) -> None:
    bench.run(**options(tmp_path, bits="8"))
    results = bench.run(**options(tmp_path, bits="8,12", methods="halves,breaks,lemon", database="learned"))
    stored = {record.spec.key: record for record in Store(tmp_path / "runs").records()}
    assert [stored[record.spec.key] for record in results.records] == results.records


def test_a_run_reads_no_record_again_that_it_has_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = reading.checked_record
    read: list[Path] = []

    def counted(path: Path, passed: Any) -> Any:
        read.append(path)
        return plain(path, passed)

    monkeypatch.setattr(reading, "checked_record", counted)
    bench.run(**options(tmp_path))
    assert not read
    bench.run(**options(tmp_path))
    assert len(read) == 1


def test_progress_is_a_line_for_every_finished_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run(**options(tmp_path, methods="halves,breaks"), progress=True)
    one, two = capsys.readouterr().err.splitlines()
    assert one.startswith("[1/2] halves on tiny, 8 bits, seed 0, reindexed  mAP I→T 0.")
    assert two.startswith("[2/2] breaks on tiny, 8 bits, seed 0, reindexed  failed: round 1: RuntimeError")


def test_without_progress_a_run_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run(**options(tmp_path))
    assert capsys.readouterr() == ("", "")


def test_better_than_chance_on_separable_classes(tmp_path: Path) -> None:
    """A linear method on linearly separable classes: the whole path, from features to mAP, is connected."""
    results = bench.run(**options(tmp_path, methods="lemon", bits="16", database="learned"))
    scores = results.records[0].rounds[-1].metrics
    assert scores["map/i2t"] > 0.9
    assert scores["chance/i2t"] < 0.5


def test_one_job_and_two_jobs_give_identical_codes(tmp_path: Path) -> None:
    kept = []
    for jobs in (1, 2):
        results = bench.run(**options(tmp_path / str(jobs), methods="halves,lemon", seeds=2, jobs=jobs))
        store = Store(tmp_path / str(jobs) / "runs")
        kept.append({r.spec.key: dict(store.arrays(r)) for r in results.records})
    assert kept[0].keys() == kept[1].keys()
    for key, arrays in kept[0].items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, kept[1][key][name])


def test_a_parallel_run_is_marked_as_such(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, seeds=2, jobs=2))
    assert {r.environment["jobs"] for r in results.records} == {2}


def test_by_default_there_are_as_many_jobs_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT")
    assert Study.make(None).jobs == joblib.cpu_count()


def test_no_more_jobs_start_than_there_are_passes(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, seeds=2, jobs=16))
    assert {r.environment["jobs"] for r in results.records} == {2}


def test_cells_in_process_run_one_after_another(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, seeds=2, jobs=2), isolation=Isolation(in_process=True))
    assert {r.environment["jobs"] for r in results.records} == {1}


@pytest.mark.parametrize("method", ["lemon", "olsh"])
def test_code_lengths_that_run_together_give_what_each_gives_alone(tmp_path: Path, method: str) -> None:
    together: dict[str, dict[str, Any]] = {}
    alone: dict[str, dict[str, Any]] = {}
    for bits in ("8,16", "8", "16"):
        folder = tmp_path / bits
        results = bench.run(**options(folder, methods=method, bits=bits))
        store = Store(folder / "runs")
        kept = together if "," in bits else alone
        kept.update({r.spec.key: dict(store.arrays(r)) for r in results.records})
    assert together.keys() == alone.keys()
    for key, arrays in together.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, alone[key][name])


Shared = Callable[..., tuple[dict[str, Any], int]]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    """Runs `shares`: the stored arrays by cell, and how often something was computed that cells can share."""

    def run(name: str, methods: str, **changes: Any) -> tuple[dict[str, Any], int]:
        count = tmp_path / f"{name}.count"
        count.touch()
        monkeypatch.setenv("SHARES_COUNT", str(count))
        results = bench.run(**options(tmp_path / name, methods=methods, **changes))
        store = Store(tmp_path / name / "runs")
        return {r.spec.key: dict(store.arrays(r)) for r in results.records}, len(count.read_text())

    return run


def test_cells_that_differ_in_what_varies_share_one_pass_over_the_stream(shared: Shared) -> None:
    kept, computed = shared("all", "shares[weight=0,1,2,3]", bits="8,16")
    assert (len(kept), computed) == (8, 1 + 3)  # the pool and three chunks


def test_cells_that_differ_in_another_parameter_share_nothing(shared: Shared) -> None:
    kept, computed = shared("all", "shares[power=1,2]")
    assert (len(kept), computed) == (2, 2 * (1 + 3))


def test_a_pass_has_no_more_cells_than_fit_in_memory(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.study.passes.MOST", 3)
    kept, computed = shared("all", "shares[weight=0,1,2,3]")
    assert (len(kept), computed) == (4, 2 * (1 + 3))


def test_a_pass_leaves_something_for_every_job(tmp_path: Path) -> None:
    cells = [one.cell for one in surveyed(tmp_path, methods="shares[weight=0,1,2,3]")]
    assert [[len(group) for group in _groups(cells, jobs)] for jobs in (1, 2, 3)] == [[4], [2, 2], [2, 2]]


def test_a_cell_gives_in_a_pass_what_it_gives_alone(shared: Shared) -> None:
    together, _ = shared("all", "shares[weight=0,1,2]")
    alone: dict[str, Any] = {}
    for weight in (0, 1, 2):
        alone |= shared(str(weight), f"shares[weight={weight}]")[0]
    assert together.keys() == alone.keys()
    for key, arrays in together.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, alone[key][name])


def test_withheld_labels_still_say_what_is_relevant(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, methods="lcdh[teacher=zero]", labelled="0,1"))
    assert [r.status for r in results.records] == ["ok", "ok"]
    assert len({r.rounds[-1].metrics["chance/i2t"] for r in results.records}) == 1


def test_a_method_that_needs_every_label_is_skipped_where_some_are_withheld(tmp_path: Path) -> None:
    few, all_ = bench.run(**options(tmp_path, methods="lemon", labelled="0.5,1")).records
    assert (few.status, all_.status) == ("skipped", "ok")
    assert "labelled is below 1" in few.reason


def test_the_key_of_a_cell_is_what_it_was_before_shares_could_be_set() -> None:
    old = RunSpec(
        method="lcdh", dataset="wiki", bits=32, schedule=Schedule("shuffled", 2000), seed=1,
        params={"lambda1": 0.1},
    )  # fmt: skip
    assert old.key == "5469249593a50922"
    set_ = replace(old, labelled=0.5), replace(old, paired=0.5)
    assert len({spec.key for spec in (old, *set_)}) == 3


def test_what_is_shared_counts_in_the_cost_of_each_code_length() -> None:
    from bench.api import Shared

    shared = Shared()
    shared.once("x", lambda: time.sleep(0.02))
    assert shared.borrowed == [0.0, 0.0]
    shared.once("x", lambda: time.sleep(5))
    assert 0.02 <= shared.borrowed[0] < 5


def test_a_failed_cell_keeps_its_traceback_and_stops_no_other(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, methods="breaks,halves,zeros"))
    by_method = {r.spec.method: r for r in results.records}
    assert by_method["halves"].status == "ok"
    assert by_method["breaks"].status == "failed"
    assert by_method["breaks"].reason == "round 1: RuntimeError: no more"
    assert "than one" in by_method["breaks"].traceback
    assert "zeros" in by_method["zeros"].reason and "expected int8" in by_method["zeros"].reason


def test_a_failed_cell_is_run_again_only_with_retry(tmp_path: Path, written: list[RunRecord]) -> None:
    counts = []
    for retry in (False, False, True):
        bench.run(**options(tmp_path, methods="breaks"), retry=retry)
        counts.append(len(written))
    assert counts == [1, 1, 2]


def test_a_cell_that_cannot_run_is_skipped_with_its_reason(tmp_path: Path) -> None:
    [record] = bench.run(**options(tmp_path, database="learned")).records
    assert record.status == "skipped"
    assert "database=learned does not apply" in record.reason


def test_changed_code_makes_a_cell_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run(**options(tmp_path))
    monkeypatch.setattr("bench.plugins.fingerprint.of_method", lambda name: "another")
    [cell] = surveyed(tmp_path)
    assert (cell.status, cell.due()) == ("stale", True)
    assert "code" in cell.reason


def test_changed_data_make_a_cell_stale_and_it_is_replaced(tmp_path: Path) -> None:
    [before] = bench.run(**options(tmp_path)).records
    path = next((tmp_path / "runs").glob("*.json"))
    path.write_text(path.read_text().replace(before.data, "0" * len(before.data)))
    [cell] = surveyed(tmp_path)
    assert (cell.status, cell.reason) == ("stale", "the data have changed")
    [after] = bench.run(**options(tmp_path)).records
    assert after.data == before.data
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("damage", ["", "{", '{"schema": 1}', "[]"])
def test_a_damaged_record_is_run_again(tmp_path: Path, damage: str) -> None:
    first = finished(bench.run(**options(tmp_path)))
    next((tmp_path / "runs").glob("*.json")).write_text(damage)
    assert finished(bench.run(**options(tmp_path))) == first


def test_a_record_without_its_arrays_is_run_again(tmp_path: Path) -> None:
    bench.run(**options(tmp_path))
    next((tmp_path / "runs").glob("*.npz")).unlink()
    [cell] = surveyed(tmp_path)
    assert cell.status == "missing"


def test_a_record_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    bench.run(**options(tmp_path))
    path = next((tmp_path / "runs").glob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(StoreError, match="newer hashbench"):
        bench.run(**options(tmp_path))


def test_the_key_depends_on_content_only() -> None:
    spec = json.loads(json.dumps({"schedule": {"order": "shuffled", "size": 5, "last": "merge"}}))
    base = {"method": "m", "dataset": "d", "bits": 8, "directions": ["i2t"], **spec}
    one = RunSpec.from_json({**base, "params": {"a": 1, "b": 2}})
    two = RunSpec.from_json({**base, "params": {"b": 2, "a": 1}})
    assert one.key == two.key
    assert one.key != RunSpec.from_json({**base, "params": {"a": 1, "b": 3}}).key


def test_a_results_folder_that_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StoreError, match="results folder"):
        bench.run(**options(tmp_path, results=str(blocked / "runs")))


def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.parent != tmp_path / "runs":
            return plain(self, content)
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"No space left on device.*make some room"):
        bench.run(**options(tmp_path))
    assert not list((tmp_path / "runs").iterdir())


def test_validation_never_reads_the_test_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --val the scores are the same whatever the test queries are."""
    scores = []
    for replaced in (False, True):
        made = options(tmp_path / str(replaced), val=15, train=0.5)
        if replaced:
            monkeypatch.setattr("bench.data.entries._split", _with_empty_queries())
        scores.append(finished(bench.run(**made)))
    assert scores[0] == scores[1]
    assert scores[0]


def _with_empty_queries() -> Any:
    from bench.data import entries

    original = entries._split

    def opened(folder: Path, part: str, entry: Any) -> Any:
        split = original(folder, part, entry)
        return split.take(slice(0)) if part == "query" else split

    return opened


def test_a_seed_changes_the_stream_and_the_method(tmp_path: Path) -> None:
    results = bench.run(**options(tmp_path, seeds=2))
    maps = [r.rounds[-1].metrics["map/i2t"] for r in results.records]
    assert maps[0] != maps[1]


def test_every_evaluated_round_is_recorded_with_its_costs(tmp_path: Path) -> None:
    [record] = bench.run(**options(tmp_path, evaluate="all")).records
    assert [r.items for r in record.rounds] == [20, 40, 60]
    assert record.rounds[0].bits_rewritten is None and record.rounds[1].bits_rewritten == 0
    for stage in ("fit", "encode_query", "encode_database", "rehash", "search"):
        assert record.rounds[1].seconds[stage] >= 0 <= record.rounds[1].seconds[f"{stage}_cpu"]
    assert len(record.fit_seconds) == 3
    assert record.rounds[0].state_bytes > 8 * (10 + 7) * 8


def test_an_offline_method_is_refitted_on_everything_seen(tmp_path: Path) -> None:
    [record] = bench.run(**options(tmp_path, methods="cca", evaluate="every:2")).records
    assert [r.round for r in record.rounds] == [1, 2]
    assert len(record.fit_seconds) == 2


def test_all_four_directions_can_be_asked_for(tmp_path: Path) -> None:
    [record] = bench.run(**options(tmp_path, directions="i2t,t2i,i2i,t2t")).records
    assert {k.partition("/")[2] for k in record.rounds[-1].metrics} == {"i2t", "t2i", "i2i", "t2t"}


def test_a_stored_metric_follows_from_the_histograms(tmp_path: Path) -> None:
    from bench.archive.rescore import rescore

    bench.run(**options(tmp_path))
    store = Store(tmp_path / "runs")
    assert rescore(store, "map@20:hits", data_root=tmp_path) == 1
    assert rescore(store, "map:lemon", data_root=tmp_path) == 1
    assert rescore(store, "map:lemon", data_root=tmp_path) == 0
    [record] = store.records()
    scores = record.rounds[-1].metrics
    assert 0 < scores["map@20:hits/i2t"] <= 1
    assert scores["map:pessimistic/t2i"] <= scores["map:lemon/t2i"] <= scores["map:optimistic/t2i"]


def test_a_method_without_codes_keeps_no_vectors_and_is_left_out_of_metrics_of_their_order(
    tmp_path: Path,
) -> None:
    from bench.archive.rescore import rescore

    [record] = bench.run(**options(tmp_path, methods="float_features")).records
    store = Store(tmp_path / "runs")
    assert not [name for name in store.arrays(record) if name.startswith("codes/")]
    assert rescore(store, "map:lemon", data_root=tmp_path) == 0


def test_a_backend_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no value of backend named"):
        bench.run(**options(tmp_path, backend="threads"))


@pytest.mark.parametrize("record_is_there", [True, False])
def test_arrays_of_a_process_killed_while_it_stored_a_cell_go_with_the_next_run(
    tmp_path: Path, record_is_there: bool
) -> None:
    bench.run(**options(tmp_path))
    [arrays] = (tmp_path / "runs").glob("*.npz")
    orphan = arrays.with_name(f"{arrays.name.rsplit('.', 2)[0]}.00000000.npz")
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))
    if not record_is_there:
        next((tmp_path / "runs").glob("*.json")).unlink()
    bench.run(**options(tmp_path))
    assert [p.name for p in (tmp_path / "runs").glob("*.npz")] == [arrays.name]


def test_arrays_that_another_process_may_be_about_to_name_stay(tmp_path: Path) -> None:
    bench.run(**options(tmp_path))
    [arrays] = (tmp_path / "runs").glob("*.npz")
    fresh = arrays.with_name(f"{arrays.name.rsplit('.', 2)[0]}.00000000.npz")
    fresh.write_bytes(b"x")
    bench.run(**options(tmp_path))
    assert fresh.exists()


def test_a_cell_is_stored_while_another_of_its_pass_still_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, seen = tmp_path / "counts", list[str]()
    monkeypatch.setenv("COUNTS", str(counts))
    plain = Store.write

    def write(store: Store, record: RunRecord, arrays: Any, model: bytes = b"") -> RunRecord:
        seen.append(counts.read_text())
        return plain(store, record, arrays, model)

    monkeypatch.setattr(Store, "write", write)
    bench.run(**options(tmp_path, methods="counts", bits="8,16", jobs=1), contract=False)
    assert ["ended 16" in text for text in seen] == [False, True]
