"""`bench verify`: stored scores are computed again from their counts, and some cells are run again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import metrics
from bench.archive.rescore import rescore
from bench.archive.verify import check, rerun
from bench.cli import main
from bench.errors import ParameterError, StoreError
from bench.plugins import registry
from bench.scoring import stored
from bench.storing import reading
from bench.storing.arrays import Arrays, packed
from bench.storing.store import Store

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = [str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py"))]
GIVEN = [f"--plugin={path}" for path in PLUGINS]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two seeds and a failure."""
    home = tmp_path_factory.mktemp("made")
    options: dict[str, Any] = {"datasets": "tiny", "bits": "8", "plugin": PLUGINS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        patch.setattr(registry, "_extra", {})
        bench.run(methods="halves", seeds=2, train="all", results=str(home / "runs"), **options)
        bench.run(methods="breaks", seeds=1, train="all", results=str(home / "runs"), **options)
    return home / "runs"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    for path in PLUGINS:
        registry.add_file(Path(path))
    return Store(Path(shutil.copytree(made, tmp_path / "runs")))


def edited(store: Store, change: Change, seed: int = 0) -> Path:
    """Change a record of ``halves``."""
    [path] = store.folder.glob(f"halves*s{seed}*.json")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def forged(store: Store, change: Change) -> None:
    """Change arrays and name them by their new digest."""
    [path] = store.folder.glob("halves*s0*.json")
    record = json.loads(path.read_text())
    arrays = dict(Arrays(store.folder / record["arrays"]))
    change(arrays)
    content = packed(arrays)
    name = reading.arrays_name(path.name, content)
    (store.folder / name).write_bytes(content)
    path.write_text(json.dumps({**record, "arrays": name}))


def moved_code(arrays: dict[str, Any]) -> None:
    """Another code in the database, which no count shows."""
    changed = arrays["codes/database/text"].copy()
    changed[0, 0] ^= np.uint64(1)
    arrays["codes/database/text"] = changed


def test_a_folder_as_it_was_run_is_sound(store: Store) -> None:
    checked = check(store)
    assert checked.sound and checked.passed == 3


def test_nothing_is_run_unless_it_is_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_extra", {})
    assert main(["verify", str(store.folder)]) == 0


def test_an_edited_score_is_named_with_its_file(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    path = edited(store, lambda s: s["rounds"][0]["metrics"].update({"map/i2t": 0.99}))
    assert main(["verify", str(store.folder)]) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"FAULT    {path.name}: round 2: map/i2t is 0.99, and its counts give 0.")
    assert last == "2 records follow from their arrays, 1 do not"


def test_a_byte_flipped_in_arrays_that_passed_before_is_found(store: Store) -> None:
    assert check(store).sound
    path = min(store.folder.glob("*.npz"))
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    [reason] = check(store).faults.values()
    assert "do not match the digest" in reason


def test_scores_are_computed_again_also_where_a_cell_is_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edited(store, lambda s: s["rounds"][0]["metrics"].update({"map/i2t": 0.99}))
    arrays = (store.folder / json.loads(path.read_text())["arrays"]).read_bytes()
    store._passed.add([reading.digest_of(path.read_bytes(), arrays)])
    assert len(store.records()) == 3
    assert list(check(store).faults) == [path.name]


def of_other_labels(store: Store) -> None:
    """Give a cell the counts of labels by which the first query has no relevant item, and their scores."""
    record = next(r for r in store.records() if r.spec.method == "halves")
    arrays, [entry] = dict(store.arrays(record)), record.rounds
    scores = dict(entry.metrics)
    for direction in record.spec.directions:
        names = [f"{direction}/{entry.round}/{name}" for name in ("counts", "gains", "grades")]
        for name in names:
            arrays[name] = arrays[name].copy()
        counts, gains, grades = (arrays[name] for name in names)
        counts[0, :, 1], gains[0], grades[0], grades[0, 0] = 0, 0, 0, entry.items
        hist = stored.histograms(arrays, direction, entry.round)
        asked = [key.rpartition("/")[0] for key in scores if key.endswith(direction)]
        scores |= {f"{name}/{direction}": value for name, value in metrics.means(asked, hist).items()}
    empty: dict[str, int] = dict.fromkeys(record.spec.directions, 1)
    store.write(replace(record, rounds=(replace(entry, metrics=scores, empty_queries=empty),)), arrays)


def test_chance_levels_that_disagree_are_found(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    of_other_labels(store)
    assert check(store).faults == {}
    assert main(["verify", str(store.folder)]) == 1
    assert "FAULT    chance/i2t is 0." in capsys.readouterr().out


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no record"):
        check(Store(tmp_path))


def test_scores_that_need_an_order_are_listed_and_checked_by_a_rerun(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rescore(store, "map:dcmh", data_root=tmp_path)
    assert check(store).unchecked == {"map:dcmh": 2}
    assert all(not verdict.differences for verdict in rerun(store, cells=2, seed=0, data_root=tmp_path))
    edited(store, lambda s: s["rounds"][0]["metrics"].update({"map:dcmh/t2i": 0.99}))
    assert main(["verify", str(store.folder), "--rerun", "2", *GIVEN]) == 1
    said = capsys.readouterr().out
    assert "map:dcmh of 2 cells does not follow from counts" in said
    assert "map:dcmh/t2i is 0.99, and its codes give 0." in said


def test_a_cell_that_runs_again_is_the_same_bit_by_bit(store: Store, tmp_path: Path) -> None:
    verdicts = list(rerun(store, cells=9, seed=0, data_root=tmp_path))
    assert len({v.spec.key for v in verdicts}) == 2
    assert [v.differences for v in verdicts] == [()] * 2


def test_a_code_that_no_run_gives_is_found_by_a_rerun(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    forged(store, moved_code)
    assert main(["verify", str(store.folder)]) == 0
    assert main(["verify", str(store.folder), "--rerun", "2", *GIVEN]) == 1
    assert "codes/database/text differs in 1 of" in capsys.readouterr().out


def test_a_forged_fidelity_is_found_by_a_rerun(store: Store, tmp_path: Path) -> None:
    edited(store, lambda s: s.update(fidelity="authors' algorithm"))
    differences = [d for v in rerun(store, cells=2, seed=0, data_root=tmp_path) for d in v.differences]
    assert len(differences) == 1 and differences[0].startswith('fidelity was "authors\' algorithm"')


def test_a_rerun_says_that_the_code_has_changed(store: Store, tmp_path: Path) -> None:
    edited(store, lambda s: s.update(code="0" * 16))
    remarks = [r for v in rerun(store, cells=2, seed=0, data_root=tmp_path) for r in v.remarks]
    assert remarks == ["the code of the method or the protocol has changed"]


def test_a_rerun_takes_no_less_than_one_cell(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cells is -3; expected 1 or more"):
        next(rerun(store, cells=-3, seed=0, data_root=tmp_path))


def test_a_rerun_needs_a_cell_with_a_result(store: Store, tmp_path: Path) -> None:
    for path in store.folder.glob("halves*"):
        path.unlink()
    with pytest.raises(StoreError, match="has no cell with a result"):
        next(rerun(store, cells=1, seed=0, data_root=tmp_path))


def test_a_split_cell_runs_again_and_is_rescored_over_its_parts(tmp_path: Path) -> None:
    options: dict[str, Any] = {"methods": "halves", "datasets": "tiny", "bits": "8", "seeds": 1}
    bench.run(**options, plugin=PLUGINS, train=0.5, results=str(tmp_path / "split"))
    store = Store(tmp_path / "split")
    rescore(store, "map@20:hits", data_root=tmp_path)
    [record] = store.records(anew=True)
    parts = record.rounds[-1].parts
    assert all(0 < parts[part].metrics["map@20:hits/i2t"] <= 1 for part in ("trained", "unseen"))
    [verdict] = rerun(store, cells=1, seed=0, data_root=tmp_path)
    assert verdict.differences == ()
