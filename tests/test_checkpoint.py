"""A cell that is killed in the middle goes on at its round, and ends as it would have without a break."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.contract import state
from bench.plugins import registry
from bench.records import RunRecord
from bench.running.hosts import Isolation
from bench.storing import checkpoint, traces
from bench.storing.checkpoint import Checkpoints
from bench.storing.store import Store
from bench.study.planner import Planner
from bench.study.study import Study

PLUGINS = Path(__file__).with_name("plugins")
RUN = """
import os, sys, bench
from pathlib import Path
from bench.plugins import registry
from bench.storing import checkpoint, traces
checkpoint.EVERY, checkpoint._SHARE = 0.0, 0
for name in ("dies", "tiny"):
    registry.add_file(Path(sys.argv[1]) / f"{name}.py")
folder = sys.argv[2]
os.environ["HARNESS"] = str(os.getpid())
bench.run(
    methods=f"dies[round={sys.argv[3]},witness={folder}/witness]", datasets="tiny", bits=sys.argv[4], seeds=1,
    schedule=sys.argv[6], evaluate="every:2", database=sys.argv[5], results=folder,
    contract=False,
)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``study("name", 3)`` runs two code lengths in six rounds, killed when round 3 comes (-1: never)."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def run(
        name: str,
        round_: int,
        *,
        bits: str = "8,16",
        database: str = "frozen",
        schedule: str = "shuffled:10",
        code: int = 0,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        arguments = [str(PLUGINS), str(folder), str(round_), bits, database, schedule]
        home = str(Path(bench.__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return folder

    return run


def left_by(folder: Path) -> list[dict[str, Any]]:
    """What the cells of a folder hold, but for what was measured in seconds and the witness's path."""
    store, found = Store(folder), []
    for record in sorted(store.records(), key=lambda r: r.spec.bits):
        assert record.status == "ok", record.reason
        arrays = {name: array.tolist() for name, array in store.arrays(record).items()}
        rounds = [{**r, "seconds": sorted(r["seconds"])} for r in record.to_json()["rounds"]]
        found.append({"rounds": rounds, "arrays": arrays, "fits": len(record.fit_seconds)})
    return found


def fitted(folder: Path) -> list[str]:
    return (folder / "witness").read_text().split()


@pytest.mark.slow
@pytest.mark.parametrize("database", ["frozen", "learned", "reindexed"])
def test_a_killed_cell_ends_bit_for_bit_as_if_it_had_not_been(
    study: Callable[..., Path], database: str
) -> None:
    whole = study("whole", -1, database=database)
    broken = study("broken", 3, database=database, code=-9)
    assert len(list(broken.glob("*.partial"))) == 2 and not list(broken.glob("*.json"))
    study("broken", 3, database=database)
    assert left_by(broken) == left_by(whole)
    assert len(left_by(whole)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("database", ["frozen", "reindexed"])
def test_a_killed_cell_of_a_runbook_deletes_nothing_twice(study: Callable[..., Path], database: str) -> None:
    rounds = ["insert 10; evaluate"] + ["delete share 0.2; insert 10; delete oldest 3; evaluate"] * 5
    given = {"database": database, "schedule": f"runbook:mine.toml: {'; '.join(rounds)}"}
    whole = study("whole", -1, **given)
    broken = study("broken", 3, **given, code=-9)
    study("broken", 3, **given)
    assert left_by(broken) == left_by(whole)
    assert left_by(whole)[0]["rounds"][-1]["items"] < 45


@pytest.mark.slow
def test_a_resumed_cell_fits_no_round_twice_and_leaves_no_checkpoint(study: Callable[..., Path]) -> None:
    folder = study("broken", 3, bits="8", code=-9)
    study("broken", 3, bits="8")
    assert fitted(folder) == ["8:pool", "8:0", "8:1", "8:2", "8:dies", "8:3", "8:4", "8:5"]
    assert not list(folder.glob("*.partial*"))


@pytest.mark.slow
def test_the_offline_stage_is_not_repeated_either(study: Callable[..., Path]) -> None:
    folder = study("broken", 0, bits="8", code=-9)
    study("broken", 0, bits="8")
    assert fitted(folder)[:4] == ["8:pool", "8:dies", "8:0", "8:1"]


@pytest.mark.slow
def test_cells_of_one_pass_may_go_on_from_different_rounds(study: Callable[..., Path]) -> None:
    whole = left_by(study("whole", -1))
    folder = study("broken", 3, code=-9)
    next(folder.glob("*-16b-*.partial")).unlink()
    study("broken", 3)
    assert left_by(folder) == whole


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "code"])
def test_a_checkpoint_that_does_not_fit_is_not_used(study: Callable[..., Path], damage: str) -> None:
    folder = study("broken", 3, bits="8", code=-9)
    (path,) = folder.glob("*.partial")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        content = state.load(path)
        state.save(path, {**content, "facts": {**content["facts"], "code": "another"}})
    study("broken", 3, bits="8")
    assert fitted(folder).count("8:0") == 2


def test_an_interrupted_offline_cell_goes_on_with_its_next_refit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin_file: Callable[[str, str], Path]
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)
    registry.add_file(PLUGINS / "tiny.py")
    registry.add_file(plugin_file("refits", REFITS))
    refits = registry.get("method", "refits")
    study: dict[str, Any] = {"methods": "refits", "datasets": "tiny", "bits": "8", "seeds": 1}
    study |= {"schedule": "shuffled:10", "evaluate": "every:2", "train": "all"}
    study["isolation"] = Isolation(in_process=True)  # the class counts, and is interrupted
    bench.run(**study, results=str(tmp_path / "whole"))
    assert refits.sizes == [20, 40, 60]
    refits.sizes, refits.stop = [], 40
    with pytest.raises(KeyboardInterrupt):
        bench.run(**study, results=str(tmp_path / "broken"))
    refits.stop = 0
    bench.run(**study, results=str(tmp_path / "broken"))
    assert refits.sizes == [20, 40, 60]  # the second was begun only, and done by the run that went on
    assert left_by(tmp_path / "broken") == left_by(tmp_path / "whole")


REFITS = """
from typing import ClassVar
from bench.api import Capabilities, Method, sign

class Refits(Method):
    \"\"\"A random projection that is drawn anew from all items so far.\"\"\"

    capabilities = Capabilities(offline=True)
    sizes: ClassVar[list] = []
    stop: ClassVar[int] = 0

    def fit_chunk(self, chunk):
        if len(chunk) == self.stop:
            raise KeyboardInterrupt
        self.sizes.append(len(chunk))
        widths = {m: chunk.batch(m).features.shape[1] for m in ("image", "text")}
        self.w_ = {m: self.rng.standard_normal((d, self.bits)) for m, d in widths.items()}

    def encode(self, batch, modality):
        return sign(batch.features @ self.w_[modality])
"""


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = state.load(path)
    change(content)
    state.save(path, content)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def compressed(path: Path) -> None:
    content = np.array(json.dumps({"dict": {}}))
    with path.open("wb") as file:
        np.savez_compressed(file, tree=content)


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def with_ones(content: Any) -> Any:
    """The state of the method, whose weights have another shape."""
    return state.packed({**state.unpacked(content["cell"]["method"]), "w_": np.ones(3)})


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a pipe": piped,
    "a folder": made_a_folder,
    "a terabyte": lambda path: os.truncate(path, 1 << 40),
    "compressed": compressed,
    "a list": lambda path: state.save(path, [1, 2]),
    "other facts": lambda path: changed(path, lambda c: c.update(facts=[1])),
    "no cell": lambda path: changed(path, lambda c: c.pop("cell")),
    "a cell of another type": lambda path: changed(path, lambda c: c.update(cell=3)),
    "rounds of another type": lambda path: changed(path, lambda c: c["cell"].update(rounds=[{"a": 1}])),
    "a count of another type": lambda path: changed(path, lambda c: c["cell"].update(next_round="x")),
    "a state of another shape": lambda path: changed(path, lambda c: c["cell"].update(method=with_ones(c))),
    "no state": lambda path: changed(path, lambda c: c["cell"].update(method={})),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cell_with_a_damaged_checkpoint_starts_over_with_a_line_that_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0)
    registry.add_file(PLUGINS / "tiny.py")
    registry.add_file(PLUGINS / "stops.py")
    stops = registry.get("method", "stops")
    study: dict[str, Any] = {"methods": "stops", "datasets": "tiny", "bits": "8", "seeds": 1}
    study |= {"schedule": "shuffled:10", "results": str(tmp_path / "runs")}
    study["isolation"] = Isolation(in_process=True)  # the class counts, and is interrupted
    stops.begun.clear()
    monkeypatch.setenv("STOPS_AT", "3")
    with pytest.raises(KeyboardInterrupt):
        bench.run(**study)
    [path] = (tmp_path / "runs").glob("*.partial")
    DAMAGES[damage](path)
    monkeypatch.delenv("STOPS_AT")
    [record] = bench.run(**study).records
    assert record.status == "ok" and len(record.fit_seconds) == 6, record.traceback
    assert stops.begun == [8, 8]
    assert path.name in caplog.text and "starts over" in caplog.text
    assert not path.exists()


def test_the_checkpoint_of_a_stored_cell_is_removed_by_the_next_sweep(tmp_path: Path) -> None:
    (tmp_path / "old.partial").touch()
    (tmp_path / "old.json").touch()
    (tmp_path / "begun.partial").touch()
    with traces.Sweep(tmp_path, total=1, jobs=1):
        assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["begun.partial", "old.json"]


def test_the_checkpoint_of_a_cell_that_runs_again_stays(tmp_path: Path) -> None:
    (tmp_path / "cell.json").touch()
    (tmp_path / "cell.partial").touch()
    os.utime(tmp_path / "cell.json", (0, 0))
    checkpoint.tidy(tmp_path)
    assert (tmp_path / "cell.partial").exists()


class Cell:
    """Counts what is asked of it."""

    failure = None

    def __init__(self) -> None:
        self.saved = 0

    def save(self) -> Any:
        self.saved += 1
        return {"n": self.saved}

    def resume(self, saved: Any) -> None:
        self.saved = saved["n"]


def test_a_cell_that_is_done_soon_is_never_saved(tmp_path: Path) -> None:
    cell, kept = Cell(), Checkpoints([tmp_path / "a.partial"], {})
    for _ in range(5):
        kept.offer([cell])
    assert cell.saved == 0 and not list(tmp_path.iterdir())


def test_a_cell_is_saved_at_most_once_in_thirty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("bench.storing.checkpoint.time.monotonic", lambda: now[0])
    cell, kept = Cell(), Checkpoints([tmp_path / "a.partial"], {})
    for second in range(0, 121, 5):
        now[0] = float(second)
        kept.offer([cell])
    assert cell.saved == 4


def test_a_cell_that_cannot_be_saved_says_so_and_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    kept = Checkpoints([tmp_path / "missing" / "a.partial"], {})
    with caplog.at_level(logging.WARNING):
        kept.offer([Cell()])
    assert "no checkpoint of a" in caplog.text


def test_a_stored_cell_needs_no_checkpoint(tmp_path: Path) -> None:
    for name in ("dies", "tiny"):
        registry.add_file(PLUGINS / f"{name}.py")
    study = Study.make(
        methods=f"dies[witness={tmp_path / 'w'}]", datasets="tiny", bits="8", seeds=1, results=str(tmp_path)
    )
    (cell,) = Planner().cells(study)
    store, spec = Store(tmp_path), cell.spec
    store.checkpoint(spec).write_text("")
    store.write(RunRecord(spec=spec, status="failed", reason="x"), {})
    assert not store.checkpoint(spec).exists()
