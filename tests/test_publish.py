"""`bench publish` packs a study into one archive, and anybody can check and read it, wherever it lies."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.archive.publish import publish
from bench.archive.unpack import MANIFEST, opened, unpack
from bench.cli import main
from bench.contract import state
from bench.errors import StoreError
from bench.plugins import registry
from bench.running import sweep
from bench.storing.store import Store

PLUGINS = [Path(__file__).with_name("plugins") / f"{name}.py" for name in ("halves", "tiny")]
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The results of two seeds, and the archive of them."""
    home = tmp_path_factory.mktemp("made")
    options: dict[str, Any] = {"datasets": "tiny", "bits": "8", "plugin": [str(p) for p in PLUGINS]}
    (home / "mine.toml").write_text('methods = ["halves"]\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        patch.setattr(registry, "_extra", {})
        bench.run(methods="halves", seeds=2, results=str(home / "runs"), **options)
        publish(Store(home / "runs"), home / "study.zip", study=home / "mine.toml")
    yield home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in the current folder, without the plugins and without a memory of what has passed."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})
    copy = Path(shutil.copytree(made, tmp_path / "home"))
    monkeypatch.chdir(copy)
    return copy


def members(archive: Path) -> Members:
    with zipfile.ZipFile(archive) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(archive: Path, contents: Members, *, method: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive whose manifest lists its files, as a forger would."""
    manifest = json.loads(contents[MANIFEST])
    rest = {name: content for name, content in contents.items() if name != MANIFEST}
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in rest.items()
    }
    return raw(archive, {MANIFEST: json.dumps(manifest).encode(), **rest}, method=method)


def raw(archive: Path, contents: Members, *, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(archive, "w", method) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return archive


def test_an_archive_holds_records_arrays_study_sources_and_versions(home: Path) -> None:
    contents = members(home / "study.zip")
    names = {f"results/{path.name}" for path in (home / "runs").iterdir()}
    assert len(names) == 4
    assert contents.keys() == names | {
        MANIFEST, "environment.json", "study.toml", "plugins/halves.py", "plugins/tiny.py"
    }  # fmt: skip
    assert contents["plugins/halves.py"] == PLUGINS[0].read_bytes()
    assert contents["study.toml"] == b'methods = ["halves"]\n'
    [ran] = json.loads(contents["environment.json"])["environments"]
    assert ran["cells"] == 2 and ran["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_manifest_lists_every_other_file_with_its_digest(home: Path) -> None:
    contents = members(home / "study.zip")
    listed = json.loads(contents.pop(MANIFEST))["files"]
    assert listed == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }


def test_equal_results_give_equal_archives(home: Path) -> None:
    for path in PLUGINS:
        registry.add_file(path)
    done = publish(Store(home / "runs"), home / "again.zip", study=home / "mine.toml")
    assert (home / "again.zip").read_bytes() == (home / "study.zip").read_bytes()
    assert done.digest == hashlib.sha256((home / "study.zip").read_bytes()).hexdigest()
    assert (done.cells, done.stale) == (2, 0)


def test_the_archive_is_checked_in_an_empty_folder_without_its_plugins(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["verify", str(home / "study.zip")]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"all files match the manifest of {home / 'study.zip'}"
    assert last == "2 records follow from their arrays, 0 do not"
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("words", [["table", "study.zip"], ["table", "--results", "study.zip"]])
def test_a_table_of_an_archive_is_that_of_its_folder(
    home: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "--results", "runs"]) == 0
    expected = capsys.readouterr().out
    assert main(words) == 0
    assert capsys.readouterr().out == expected


def test_an_archive_is_not_rescored(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rescore", "--results", "study.zip", "--metric", "map@20"]) == 2
    assert "study.zip is no folder" in capsys.readouterr().err


def test_the_sources_of_an_archive_are_not_run(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = members(home / "study.zip")
    trap = b"import pathlib\npathlib.Path('run').touch()\n" + contents["plugins/halves.py"]
    pack(home / "trap.zip", {**contents, "plugins/halves.py": trap, "sitecustomize.py": trap})
    assert main(["verify", "trap.zip"]) == 0
    assert main(["table", "trap.zip"]) == 0
    assert not Path("run").exists()


def test_cells_of_an_archive_run_again_with_plugins_that_the_reader_gives(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"--plugin={path}" for path in PLUGINS]
    assert main(["verify", "study.zip", "--rerun", "1", *given]) == 0
    assert "same     halves on tiny" in capsys.readouterr().out


def test_an_edited_score_is_found_in_an_archive_with_a_new_manifest(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = members(home / "study.zip")
    name = next(name for name in contents if name.startswith("results/") and name.endswith(".json"))
    record = json.loads(contents[name])
    record["rounds"][0]["metrics"]["map/i2t"] = 0.99
    pack(home / "forged.zip", {**contents, name: json.dumps(record).encode()})
    assert main(["verify", "forged.zip"]) == 1
    assert "map/i2t is 0.99, and its counts give 0." in capsys.readouterr().out
    assert main(["table", "forged.zip"]) == 0
    assert "1 record in forged.zip is left out" in capsys.readouterr().err


def test_a_changed_file_is_found_by_the_manifest(home: Path) -> None:
    contents = members(home / "study.zip")
    source = contents["plugins/halves.py"]
    raw(home / "changed.zip", {**contents, "plugins/halves.py": b"#" + source[1:]})
    with pytest.raises(StoreError, match=r"plugins/halves.py does not match the manifest"):
        unpack(home / "changed.zip", home / "out")


@pytest.mark.parametrize("change", ["longer", "added", "removed"])
def test_another_list_of_files_than_the_manifest_has_is_refused(home: Path, change: str) -> None:
    contents = members(home / "study.zip")
    if change == "longer":
        contents["study.toml"] += b"\n"
    elif change == "added":
        contents["more.txt"] = b"more"
    else:
        del contents["study.toml"]
    with pytest.raises(StoreError, match="bytes, and the manifest lists"):
        unpack(raw(home / "changed.zip", contents), home / "out")
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    "name", ["../out.txt", "/tmp/out.txt", "results/../../out.txt", "a\\b", "C:x", ".hidden", "a//b", "a/"]
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(home: Path, name: str) -> None:
    pack(home / "evil.zip", {**members(home / "study.zip"), name: b"x"})
    with pytest.raises(StoreError, match="leads out of its folder"):
        unpack(home / "evil.zip", home / "out")
    assert not (home / "out").exists()


def test_an_archive_that_unpacks_to_more_than_it_has_is_refused(home: Path) -> None:
    contents = {**members(home / "study.zip"), "plugins/big.py": b"\0" * 1_000_000}
    pack(home / "bomb.zip", contents, method=zipfile.ZIP_DEFLATED)
    with pytest.raises(StoreError, match="would unpack to"):
        unpack(home / "bomb.zip", home / "out")


def test_a_name_that_comes_twice_is_refused(home: Path) -> None:
    with zipfile.ZipFile(home / "study.zip", "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("study.toml", b"another")
    with pytest.raises(StoreError, match="every name once"):
        unpack(home / "study.zip", home / "out")


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (b"[]", "manifest is a list"),
        (b"{", "is cut short or not JSON"),
        (b'{"format": 1, "hashbench": "1", "files": {"a": {"bytes": "1", "sha256": ""}}}', "bytes is '1'"),
        (b'{"format": 9, "hashbench": "7.0", "files": {}}', "newer hashbench"),
    ],
)
def test_a_manifest_of_another_form_is_refused(home: Path, manifest: bytes, reason: str) -> None:
    raw(home / "odd.zip", {**members(home / "study.zip"), MANIFEST: manifest})
    with pytest.raises(StoreError, match=reason):
        unpack(home / "odd.zip", home / "out")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_that_is_no_archive_of_ours_is_refused(
    home: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "other.zip").write_bytes(content)
    assert main(["verify", "other.zip"]) == 2
    assert "by `bench publish`" in capsys.readouterr().err


def test_a_folder_is_opened_as_it_is(home: Path) -> None:
    with opened(home / "runs") as folder:
        assert folder == home / "runs"


def test_a_path_that_does_not_exist_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "nowhere"]) == 2
    assert "nowhere: it cannot be read" in capsys.readouterr().err


def test_a_record_with_a_fault_is_not_published(home: Path) -> None:
    path = min((home / "runs").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="have changed"):
        publish(Store(home / "runs"), home / "new.zip")
    assert not (home / "new.zip").exists()


def test_a_method_without_a_known_source_is_not_published(home: Path) -> None:
    with pytest.raises(StoreError, match=r"method 'halves' has results.*--plugin"):
        publish(Store(home / "runs"), home / "new.zip")


def test_publish_prints_the_digest_of_the_archive(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--plugin={path}" for path in PLUGINS]
    assert main(["publish", "runs", "--to", "new.zip", "--study", "mine.toml", *given]) == 0
    digest = hashlib.sha256((home / "study.zip").read_bytes()).hexdigest()
    assert capsys.readouterr().out.startswith("wrote new.zip: 2 cells, 0.0 MB, SHA-256 " + digest)


def test_a_study_file_that_does_not_exist_is_an_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--plugin={path}" for path in PLUGINS]
    assert main(["publish", "runs", "--to", "new.zip", "--study", "nowhere.toml", *given]) == 2
    assert "study file nowhere.toml cannot be read" in capsys.readouterr().err


def test_stale_cells_are_mentioned(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = min((home / "runs").glob("*.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "code": "0" * 16}))
    given = [f"--plugin={path}" for path in PLUGINS]
    assert main(["publish", "runs", "--to", "new.zip", *given]) == 0
    assert "1 of them are stale" in capsys.readouterr().out


def test_the_modules_of_an_installed_method_are_published(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with an entry point, of which the method is one module."""
    package = tmp_path / "site" / "theirs"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "parts" / "halves.py").write_bytes(PLUGINS[0].read_bytes())
    (package / "parts" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry.add_file(PLUGINS[1])
    point = EntryPoint("halves", "theirs.parts.halves:Halves", "bench.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "bench.methods" else [])
    publish(Store(home / "runs"), home / "new.zip")
    plugins = {name for name in members(home / "new.zip") if name.startswith("plugins/")}
    assert plugins == {
        "plugins/theirs/__init__.py", "plugins/theirs/parts/__init__.py", "plugins/theirs/parts/halves.py",
        "plugins/tiny.py",
    }  # fmt: skip


DATA = "synthetic[n=300,queries=30]"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cell with its kept model and its measured index."""
    pytest.importorskip("faiss")
    folder = tmp_path_factory.mktemp("product")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        sweep.run(
            methods="lemon", datasets=DATA, bits=16, seeds=1, results=str(folder / "runs"), keep_models=True
        )
        assert main(["index", str(folder / "runs"), "--index", "flat"]) == 0
        yield folder


@pytest.fixture
def kept(product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(product / "cache"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(product / "runs", tmp_path / "runs"))


def test_kept_models_and_measured_indexes_are_published(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(kept), "--to", "study.zip"]) == 0
    assert {name.rpartition(".")[2] for name in members(Path("study.zip"))} == {
        *("json", "npz", "model", "index")
    }
    capsys.readouterr()
    assert main(["verify", "study.zip", "--rerun", "1"]) == 0
    assert "same     lemon" in capsys.readouterr().out
    assert main(["table", "study.zip", "--report", "index"]) == 0
    assert "recall of outputs" in capsys.readouterr().out


def other_code(kept: Path) -> str:
    """A record made by other code than the model."""
    [path] = kept.glob("*.json")
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "code": "0" * len(stored["code"])}))
    return ".model: its code is"


def other_codes(kept: Path) -> str:
    [path] = kept.glob("*.index")
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "arrays": "other.npz"}))
    return ".index: it was measured over other codes than its cell's"


def cut(kept: Path) -> str:
    [path] = kept.glob("*.model")
    path.write_bytes(path.read_bytes()[:-200])
    return ".model: "


@pytest.mark.parametrize("harm", [other_code, other_codes, cut])
def test_a_model_or_index_of_another_cell_is_a_fault_and_not_published(
    kept: Path, harm: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    says = harm(kept)
    assert main(["publish", str(kept), "--to", "study.zip"]) == 2
    assert says in capsys.readouterr().err
    assert main(["verify", str(kept)]) == 1
    assert says in capsys.readouterr().out


def test_a_model_whose_queries_have_no_codes_is_verified_with_its_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    runs = str(tmp_path / "runs")
    sweep.run(methods="pq", datasets=DATA, bits=8, seeds=1, results=runs, keep_models=True)
    assert main(["verify", runs, "--rerun", "1"]) == 0
    assert "same     pq" in capsys.readouterr().out


def test_verify_with_rerun_names_a_model_that_gives_other_codes(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [path] = kept.glob("*.model")
    tree: Any = state.load(path)
    inside: Any = state.unpacked(tree["state"])
    inside["w_"] = {modality: -w for modality, w in inside["w_"].items()}
    path.write_bytes(state.packed({"facts": tree["facts"], "state": state.packed(inside)}).tobytes())
    assert main(["verify", str(kept), "--rerun", "1"]) == 1
    assert "its model gives 30 of 30 image queries other codes" in capsys.readouterr().out
