"""A stored record is used only if it is what its name says and its scores follow from its arrays."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.cli import main
from bench.disk.form import mismatch
from bench.errors import StoreError
from bench.records import RunRecord, Schedule
from bench.storing import reading, recount
from bench.storing.arrays import Arrays, packed
from bench.storing.store import Store

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = [str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py"))]
OPTIONS: dict[str, Any] = {
    "methods": "halves",
    "datasets": "tiny",
    "bits": "8",
    "seeds": 1,
    "train": "all",
    "plugin": PLUGINS,
}
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The results of a run with these options, which is done once."""
    home = tmp_path_factory.mktemp("made")
    known: dict[str, Path] = {}

    def make(**options: Any) -> Path:
        key = repr(options)
        if key not in known:
            known[key] = home / str(len(known))
            bench.run(results=str(known[key]), **{**OPTIONS, **options})
        return known[key]

    return make


@pytest.fixture
def copied(tmp_path: Path, made: Callable[..., Path]) -> Callable[..., Path]:
    """A copy of those results, to be changed."""

    def copy(**options: Any) -> Path:
        return Path(shutil.copytree(made(**options), tmp_path / "runs"))

    return copy


@pytest.fixture
def folder(copied: Callable[..., Path]) -> Path:
    """The results of one cell."""
    return copied()


def edited(folder: Path, edit: Edit, name: str = "*.json") -> Path:
    """Change the one record in a folder."""
    [path] = folder.glob(name)
    stored = json.loads(path.read_text())
    edit(stored)
    path.write_text(json.dumps(stored))
    return path


def with_arrays(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the arrays of the one record in a folder and their name, as a forger would."""
    [path] = folder.glob("*.json")
    stored = json.loads(path.read_text())
    arrays = dict(Arrays(folder / stored["arrays"]))
    change(arrays)
    content = packed(arrays)
    (folder / stored["arrays"]).unlink()
    stored["arrays"] = reading.arrays_name(path.name, content)
    (folder / stored["arrays"]).write_bytes(content)
    path.write_text(json.dumps(stored))


def fault(folder: Path) -> str:
    """The reason why the one record in a folder is left out."""
    store = Store(folder)
    assert store.records() == []
    [reason] = store.faults.values()
    return reason


def scores(stored: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = stored["rounds"][0]["metrics"]
    return found


def test_a_stored_cell_is_read_as_it_was_written(tmp_path: Path) -> None:
    results = bench.run(results=str(tmp_path), **OPTIONS)
    store = Store(tmp_path)
    assert store.records() == results.records
    assert store.faults == {}


@pytest.mark.parametrize("options", [{"train": 0.5, "evaluate": "all"}, {"methods": "float_features"}])
def test_scores_follow_from_the_counts_of_parts_and_of_vectors(copied: Any, options: Any) -> None:
    assert len(Store(copied(**options)).records(anew=True)) == 1


def test_an_edited_score_is_found(folder: Path) -> None:
    edited(folder, lambda stored: scores(stored).update({"map/i2t": 0.99}))
    assert "map/i2t is 0.99, and its counts give 0." in fault(folder)


def test_a_score_is_found_that_was_edited_in_its_last_bits(folder: Path) -> None:
    edited(folder, lambda s: scores(s).update({"map/i2t": scores(s)["map/i2t"] * (1 + 1e-9)}))
    assert "map/i2t is" in fault(folder)


def test_an_edited_score_over_unseen_items_is_found(copied: Any) -> None:
    folder = copied(train=0.5)
    edited(folder, lambda s: s["rounds"][0]["parts"]["unseen"]["metrics"].update({"map/t2i": 0.9}))
    assert "unseen items: map/t2i is 0.9" in fault(folder)


def test_a_score_over_all_items_that_the_parts_do_not_add_up_to_is_found(copied: Any) -> None:
    folder = copied(train=0.5)
    edited(folder, lambda s: scores(s).update({"map/t2i": 0.9}))
    assert "all items: map/t2i is 0.9" in fault(folder)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda s: s["rounds"][0].update(items=s["rounds"][0]["items"] + 1), "items in the database"),
        (lambda s: s["rounds"][0].update(queries=3), "has shape"),
        (lambda s: s["rounds"][0]["empty_queries"].update(i2t=5), "5 empty queries i2t"),
        (lambda s: s["rounds"][0].update(round=1), "its arrays lack 'i2t/1/counts'"),
        (lambda s: s["rounds"].append(s["rounds"][0]), "expected each once"),
        (lambda s: s["rounds"][0].update(parts={"unseen": s["rounds"][0] | {}}), "record.rounds"),
        (lambda s: scores(s).update({"map/t2t": 0.5}), "has none of the cell's directions"),
        (lambda s: scores(s).pop("chance/t2i"), "chance/t2i is missing"),
        (lambda s: s.update(arrays=""), "a result without arrays"),
        (lambda s: s.update(rounds=[]), "a result without a round"),
        (lambda s: s.update(status="failed"), "it is failed and has scores"),
        (lambda s: s.update(status="great"), "record.status is 'great'; expected one of ok"),
        (lambda s: s["spec"].update(seed=1), "whose file is halves-tiny-8b-s1-"),
        (lambda s: s["spec"].update(bits="8"), "record.spec.bits is '8'; expected int"),
        (lambda s: s["spec"].update(params={"scale": [1]}), "record.spec.params.scale is a list"),
        (lambda s: s["environment"].update(threads="4"), "record.environment.threads is '4'"),
        (lambda s: s.update(surprise=1), "record.surprise is no field"),
        (lambda s: s.pop("spec"), "record.spec is missing"),
        (lambda s: scores(s).update({"map/i2t": 10**400}), "expected float"),
        (lambda s: s.update(notes=["\ud800"]), "cannot be printed"),
        (lambda s: s.update(schema=99), "newer hashbench"),
    ],
)
def test_a_record_with_a_fault_is_left_out_with_its_reason(folder: Path, edit: Edit, reason: str) -> None:
    edited(folder, edit)
    assert reason in fault(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[1, 2",
        b'"text"',
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"NaN",
    ],
)
def test_a_file_that_holds_no_record_is_left_out(folder: Path, content: bytes) -> None:
    [path] = folder.glob("*.json")
    path.write_bytes(content)
    assert fault(folder).startswith("it is ")


def test_a_truncated_record_is_left_out(folder: Path) -> None:
    [path] = folder.glob("*.json")
    path.write_bytes(path.read_bytes()[:-20])
    assert "cut short" in fault(folder)


def test_a_pipe_is_left_out_and_not_waited_for(folder: Path) -> None:
    [path] = folder.glob("*.json")
    path.unlink()
    os.mkfifo(path)
    assert fault(folder) == "it is a named pipe; expected a file"


def test_a_flipped_byte_in_the_arrays_is_found(folder: Path) -> None:
    assert len(Store(folder).records()) == 1
    [path] = folder.glob("*.npz")
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "do not match the digest in their name" in fault(folder)


def test_missing_arrays_are_reported(folder: Path) -> None:
    [path] = folder.glob("*.npz")
    path.unlink()
    assert fault(folder) == f"its arrays {path.name} are missing"


@pytest.mark.parametrize("digest", ["0" * 8, "../x", "ABCDEF01"])
def test_arrays_under_another_digest_are_refused(folder: Path, digest: str) -> None:
    path = edited(folder, lambda s: s.update(arrays=f"{path_stem(folder)}.{digest}.npz"))
    assert path.is_file()
    assert fault(folder).startswith("its arrays ")


def path_stem(folder: Path) -> str:
    [path] = folder.glob("*.json")
    return path.stem


def more(counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    changed = counts.copy()
    changed[0, 0, 0] += 1
    return changed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a.update({"i2t/2/counts": more(a["i2t/2/counts"])}), "items in the database"),
        (lambda a: a.update({"i2t/2/counts": a["i2t/2/counts"][:, ::-1]}), "and its counts give"),
        (lambda a: a.update({"i2t/2/counts": a["i2t/2/counts"].astype(float)}), "unsigned whole numbers"),
        (lambda a: a.update({"i2t/2/counts": a["i2t/2/counts"][0]}), "has shape"),
        (lambda a: a.update({"i2t/2/grades": a["i2t/2/grades"][:, ::-1]}), "grades"),
        (lambda a: a.update({"i2t/2/gains": a["i2t/2/gains"] + np.uint8(1)}), "sums of shared labels"),
        (lambda a: a.pop("t2i/2/gains"), "its arrays lack 't2i/2/gains'"),
        (lambda a: a.update({"rows/database": a["rows/database"][:-1]}), "rows/database is"),
        (lambda a: a.update({"codes/query/text": a["codes/query/text"][:, :-1]}), "codes/query/text is"),
    ],
)
def test_arrays_that_do_not_fit_their_record_are_found(
    folder: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    with_arrays(folder, change)
    assert reason in fault(folder)


def test_arrays_that_are_no_npz_are_left_out(folder: Path) -> None:
    [path], content = folder.glob("*.npz"), b"not an archive"
    path.unlink()
    name = f"{path_stem(folder)}.{hashlib.sha256(content).hexdigest()[:8]}.npz"
    (folder / name).write_bytes(content)
    edited(folder, lambda s: s.update(arrays=name))
    assert "cannot read its arrays" in fault(folder)


def test_swapped_records_are_both_left_out(copied: Any) -> None:
    folder = copied(seeds=2)
    one, two = sorted(folder.glob("*.json"))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    store = Store(folder)
    assert store.records() == []
    assert store.faults[one.name].endswith(f"whose file is {two.name}")
    assert store.faults[two.name].endswith(f"whose file is {one.name}")


def test_a_bad_file_hides_no_other(copied: Any) -> None:
    folder = copied(seeds=2)
    (folder / "notes.json").write_text("[]")
    assert len(Store(folder).records()) == 2


def test_a_record_with_a_fault_is_run_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [before] = Store(folder).records()
    edited(folder, lambda s: scores(s).update({"map/i2t": 0.99}))
    [record] = bench.run(results=str(folder), progress=True, **OPTIONS).records
    assert record.rounds[-1].metrics == before.rounds[-1].metrics
    assert "is run again: round 2: map/i2t is 0.99" in capsys.readouterr().err
    assert Store(folder).records() == [record]


@pytest.mark.parametrize("form", ["absolute", "above", "beside", "folder"])
def test_a_forged_name_of_arrays_removes_nothing(folder: Path, tmp_path: Path, form: str) -> None:
    [path] = folder.glob("*.json")
    victim = {
        "absolute": tmp_path / "victim.npz",
        "above": tmp_path / "victim.npz",
        "beside": folder / "victim.npz",
        "folder": folder / "sub" / f"{path.stem}.00000000.npz",
    }[form]
    victim.parent.mkdir(exist_ok=True)
    victim.write_bytes(b"precious")
    name = str(victim) if form == "absolute" else os.path.relpath(victim, folder)
    edited(folder, lambda s: s.update(arrays=name))
    assert "DIGEST8.npz beside it" in fault(folder)
    bench.run(results=str(folder), **OPTIONS)
    assert victim.read_bytes() == b"precious"
    assert len(Store(folder).records()) == 1


def test_a_forged_name_of_arrays_is_not_read(folder: Path) -> None:
    [record] = Store(folder).records()
    with pytest.raises(StoreError, match="expected a file beside"):
        Store(folder).arrays(replace(record, arrays="../secret.npz"))


def test_a_run_does_not_replace_the_record_of_a_newer_hashbench(folder: Path) -> None:
    edited(folder, lambda s: s.update(schema=99))
    with pytest.raises(StoreError, match=r"newer hashbench \(schema 99\). Upgrade"):
        bench.run(results=str(folder), **OPTIONS)


def test_a_cell_is_counted_once_and_remembered_by_its_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[RunRecord] = []
    plain = recount.fault

    def fault(record: RunRecord, arrays: Any) -> str:
        counted.append(record)
        return plain(record, arrays)

    monkeypatch.setattr(recount, "fault", fault)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "another"))  # the run itself has remembered the cell
    for _ in range(2):
        assert len(Store(folder).records()) == 1
    shutil.copytree(folder, tmp_path / "copy")
    assert len(Store(tmp_path / "copy").records()) == 1
    assert len(counted) == 1


@pytest.mark.parametrize(("moment", "times"), [(0, 1), (10**12, 2)])
def test_arrays_that_lie_as_they_did_are_read_once_unless_they_changed_a_moment_ago(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: int, times: int
) -> None:
    read: list[object] = []
    plain = reading._packed

    def packed_(name: object, path: Path) -> Any:
        read.append(name)
        return plain(name, path)

    monkeypatch.setattr(reading, "_packed", packed_)
    monkeypatch.setattr(reading, "_MOMENT", moment)
    for _ in range(2):
        assert len(Store(folder).records()) == 1
    assert len(read) == times


def test_a_byte_changed_in_arrays_is_noticed_where_their_size_and_time_are_as_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MOMENT", 0)
    assert len(Store(folder).records()) == 1
    [arrays] = folder.glob("*.npz")
    content, status = bytearray(arrays.read_bytes()), arrays.stat()
    content[-30] ^= 1
    arrays.write_bytes(content)
    os.utime(arrays, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "do not match the digest" in fault(folder)


def test_a_results_folder_cannot_vouch_for_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not list(folder.glob("**/passed*"))
    edited(folder, lambda s: scores(s).update({"map/i2t": 0.99}))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "other"))
    assert "map/i2t" in fault(folder)


def test_a_cache_that_cannot_be_written_stops_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    assert len(Store(folder).records()) == 1


@pytest.mark.parametrize("command", [["table"], ["status"], ["export", "--to", "csv", "--out", "out.csv"]])
def test_commands_name_the_file_and_the_reason(
    copied: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    folder = copied(seeds=2)
    monkeypatch.chdir(folder.parent)
    path = edited(folder, lambda s: scores(s).update({"map/i2t": 0.99}), "*s1*.json")
    assert main([*command, "--results", "runs"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "bench: 1 record in runs is left out; `bench run` makes it again:"
    assert said[1].startswith(f"  {path.name}: round 2: map/i2t is 0.99, and its counts give 0.")


def test_many_faults_are_summarised(folder: Path) -> None:
    for number in range(9):
        (folder / f"{number}.json").write_text("[]")
    store = Store(folder)
    store.records()
    assert len(store.left_out()) == 7
    assert store.left_out()[-1] == f"  and 4 more; `bench verify {folder}` names all"


def test_a_form_names_the_place_of_what_does_not_fit() -> None:
    assert mismatch({"order": "drift", "size": True}, Schedule, "s") == "s.size is True; expected int"
    assert mismatch({"order": "drift"}, Schedule, "s") == "s.size is missing"
    assert mismatch([], Schedule, "s") == "s is a list; expected an object"
    assert mismatch({"order": "drift", "size": 5, "last": "short"}, Schedule, "s") == ""
