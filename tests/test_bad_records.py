"""Malformed records: each is reported by its file name and counts as not done, and the others are used."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cli import main
from bench.plugins import registry
from bench.records import RunRecord
from bench.storing import reading
from bench.storing.store import Store

STUDY: dict[str, Any] = {
    "methods": "cca,scm",
    "datasets": "synthetic",
    "bits": "8",
    "seeds": 1,
    "train": "0.5",
}
VALUES: list[Any] = [
    *(
        ...,
        None,
        True,
        -1,
        2**63,
        10**400,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "a\nb",
        "\x1b[31m",
        "\u202e",
    ),
    *("\ud800", "ü" * 5000, [], {"": 1}, {"x": [[]]}),
]
OPTIONS = [word for name, value in STUDY.items() for word in (f"--{name}", str(value))]
HEAD = "".join(f"{name} = {json.dumps(value)}\n" for name, value in STUDY.items())
OPEN = ("metrics", "seconds", "environment", "empty_queries", "notes")  # one entry stands for all


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two cells."""
    folder = tmp_path_factory.mktemp("sound") / "runs"
    bench.run(results=str(folder), **STUDY)
    return folder


@pytest.fixture(scope="module")
def spoilt(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with hundreds of malformed records beside them."""
    folder = Path(shutil.copytree(sound, tmp_path_factory.mktemp("spoilt") / "runs"))
    path = next(folder.glob("cca-*.json"))
    stored = json.loads(path.read_text())
    arrays = (folder / stored["arrays"]).read_bytes()
    for number, record in enumerate(malformed(stored), start=100):
        add(folder, record, number, arrays)
    add_no_files(folder)
    return folder


def malformed(stored: dict[str, Any]) -> Iterator[Any]:
    """Copies of a record, and of a failed one, one value wrong or left out, each at a seed."""
    number = 0
    for kind in (stored, {**stored, "status": "failed", "rounds": [], "arrays": ""}):
        for place in list(places(kind)):
            for value in VALUES:
                if place != ("spec", "seed"):
                    number += 1
                    record = copy.deepcopy(kind)
                    record["spec"]["seed"] = number
                    yield changed(record, place, value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a value of JSON."""
    inside = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, entry in inside[:1] if path and path[-1] in OPEN else inside:
        yield (*path, key)
        yield from places(entry, (*path, key))


def changed(record: Any, place: tuple[Any, ...], value: Any) -> Any:
    """With another value in this place, or without it for ``...``."""
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return record


def add(folder: Path, record: Any, number: int, arrays: bytes) -> None:
    """Store a record if it is refused, under the name that its spec gives, where it gives one."""
    try:
        name = reading.file_name(RunRecord.from_json(record).spec)
    except Exception:  # noqa: BLE001  # it gives none
        name = ""
    if not 0 < len(name.encode(errors="replace")) < 200:
        name = f"cca-synthetic-8b-s{number}-0123456789abcdef.json"
    path = folder / name
    if str(record.get("arrays", "")).endswith(".npz"):
        record["arrays"] = reading.arrays_name(name, arrays)
        (folder / record["arrays"]).write_bytes(arrays)
    path.write_text(json.dumps(record))
    try:
        reading.checked_record(path, ())
    except reading.RecordError:
        return
    path.unlink()  # the value is a possible one here


def add_no_files(folder: Path) -> None:
    """What no record is: wrong bytes, and names of other things than files."""
    contents = [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe{\x00}",
        b"\xef\xbb\xbf{}",
        b"1" * 10_000,
    ]
    for number, content in enumerate([*contents, b"null", b"[]", b'"x"', b'{"schema": 1}', b"\0" * 1000]):
        (folder / f"content-{number}.json").write_bytes(content)
    (folder / "folder.json").mkdir()
    (folder / "loop.json").symlink_to("loop.json")
    (folder / "nowhere.json").symlink_to("gone")
    (folder / "zeros.json").symlink_to("/dev/zero")
    (folder / "nothing.json").symlink_to("/dev/null")
    os.mkfifo(folder / "pipe.json")
    with (folder / "huge.json").open("wb") as file:
        file.truncate(1 << 40)


def test_hundreds_of_malformed_records_are_reported_by_name_and_the_others_used(spoilt: Path) -> None:
    store = Store(spoilt)
    used = {reading.file_name(record.spec) for record in store.records()}
    assert len(used) == 2 and len(store.faults) > 1000
    assert store.faults.keys() == {path.name for path in spoilt.glob("*.json")} - used


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--results", "runs"],
        ["table", "runs"],
        ["table", "runs", "--report", "timing"],
        ["compare", "runs", "runs"],
        ["plan", *OPTIONS, "--results", "runs"],
        ["export", "--results", "runs", "--to", "csv"],
        ["export", "--results", "runs", "--to", "trec"],
        ["merge", "runs", "--into", "merged"],
        ["rescore", "--results", "runs", "--metric", "map@9:lemon"],
        ["report", "small.toml", "--no-run", "--results", "runs", "--out", "written"],
    ],
    ids=" ".join,
)
def test_a_command_says_of_malformed_records_what_it_says_without_them(
    words: list[str], sound: Path, spoilt: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    outputs = []
    for folder in (sound, spoilt):
        monkeypatch.chdir(copied(folder, tmp_path / folder.parent.name))
        Path("small.toml").write_text(HEAD + 'reports = ["map_table", "timing"]\n')
        capsys.readouterr()
        assert main(words) == 0
        outputs.append(re.sub(r"in [0-9.]+ s", "", capsys.readouterr().out))
    assert outputs[0] == outputs[1] != ""


def test_a_run_makes_malformed_records_again(spoilt: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(copied(spoilt, tmp_path))
    for path in Path("runs").glob("*-synthetic-8b-s0-*.json"):
        path.unlink()
        path.write_text("{")
    assert main(["run", *OPTIONS, "--results", "runs"]) == 0
    assert len(Store(Path("runs")).records()) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_cell_whose_record_is_a_pipe_is_run_again(sound: Path, tmp_path: Path) -> None:
    folder = copied(sound, tmp_path) / "runs"
    for path in folder.glob("*.json"):
        path.unlink()
        os.mkfifo(path)
    assert main(["run", *OPTIONS, "--results", str(folder)]) == 0
    assert len(Store(folder).records()) == 2


def test_verify_names_every_malformed_record(spoilt: Path, capsys: Any) -> None:
    assert main(["verify", str(spoilt)]) == 1
    shown = capsys.readouterr().out
    assert all(f"FAULT    {name}: " in shown for name in Store(spoilt).faults)
    assert "\n2 records follow from their arrays" in shown


def test_a_folder_with_a_malformed_record_is_not_published(spoilt: Path, capsys: Any) -> None:
    assert main(["publish", str(spoilt), "--to", "study.zip"]) == 2
    assert "Run it again, or delete it, and publish then." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "it is a folder; expected a file"),
        (lambda path: os.mkfifo(path), "it is a named pipe; expected a file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device; expected a file"),
        (lambda path: path.symlink_to(path.name), "it cannot be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone"), "it cannot be read: No such file or directory"),
    ],
)
def test_arrays_that_are_no_file_are_reported(
    sound: Path, tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    folder = copied(sound, tmp_path) / "runs"
    path = next(folder.glob("*.npz"))
    path.unlink()
    make(path)
    store = Store(folder)
    assert len(store.records()) == 1
    assert list(store.faults.values()) == [f"its arrays {path.name}: {reason}"]


def copied(folder: Path, home: Path) -> Path:
    """A folder ``home`` with a copy of ``folder``, called runs; pipes are linked."""
    shutil.copytree(folder, home / "runs", symlinks=True, copy_function=os.link)
    return home
