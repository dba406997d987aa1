"""What lies on disk may be damaged or of another version: it is named, and never read as if it were whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.data import cache
from bench.data.views import files
from bench.disk import stamps
from bench.errors import DataError

KILLED = """
import sys, time
from pathlib import Path
from bench.plugins import registry
from bench.cli import main
registry.add_file(Path(sys.argv[1]))
toy = registry.get("dataset", "toy")
whole = toy.show
toy.show = staticmethod(lambda n: (time.sleep(0.01 if n < 130 else 60), whole(n))[1])
from bench.data.views import extract
extract.Inputs.sample = lambda self: {}
main(["data", "prepare", "toy", "--views", "colour", "--batch", "8", "--data-root", sys.argv[2]])
"""


@pytest.fixture
def view(toy: Any, prepared: Any, tmp_path: Path) -> Path:
    """The folder of the prepared view colour."""
    prepared(toy())
    (folder,) = (path.parent for path in tmp_path.glob("toy/views/image/colour/[!.]*/manifest.json"))
    return folder


def test_a_truncated_array_is_named(view: Path, toy: Any, tmp_path: Path) -> None:
    os.truncate(view / "features.npy", 1000)
    with pytest.raises(DataError, match=r"features\.npy: it cannot be read: .*Run: bench data prepare toy"):
        toy().load(tmp_path)


def test_a_broken_manifest_is_named(view: Path, toy: Any, tmp_path: Path) -> None:
    (view / "manifest.json").write_text("{")
    with pytest.raises(
        DataError, match=r"manifest\.json: it is cut short or not JSON .*Run: bench data prepare toy"
    ):
        toy().load(tmp_path)


def test_a_view_of_another_version_is_not_read(view: Path, toy: Any, tmp_path: Path) -> None:
    manifest = json.loads((view / "manifest.json").read_text()) | {"format": files.FORMAT + 1}
    (view / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="from another version of hashbench"):
        toy().load(tmp_path)


def test_a_view_of_other_rows_is_not_read(view: Path, toy: Any, tmp_path: Path) -> None:
    np.save(view / "features.npy", np.zeros((59, 256), np.float32))
    with pytest.raises(DataError, match="has 59 rows; expected 60"):
        toy().load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_process_that_was_killed_leaves_whole_batches_and_nothing_that_a_run_reads(
    toy: Any, prepared: Any, tmp_path: Path
) -> None:
    plugin = Path(__file__).parents[1] / "plugins" / "toy.py"
    env = os.environ | {"PYTHONPATH": str(Path(bench.__file__).parents[1])}
    words = [sys.executable, "-c", KILLED, str(plugin), str(tmp_path)]
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(1200):
            growing = [p for p in tmp_path.glob("toy/views/image/colour/.*/features.npy") if p.stat().st_size]
            if growing and growing[0].stat().st_size >= 24 * 1024:  # three batches of eight rows of 256
                break
            time.sleep(0.05)
        process.kill()
    assert not list(tmp_path.glob("toy/views/image/colour/[!.]*"))
    rows = (growing[0].stat().st_size - 128) / 1024
    assert rows == 24
    prepared(toy())
    assert toy().load(tmp_path).train.image.features.any(axis=1).all()


def opened(toy: Any, root: Path) -> cache.CachedDataset:
    """The dataset as a run opens it."""
    source = toy()
    cached = cache.prepare("toy", source, {}, root)
    cached.open(source)
    return cached


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """`prepared` names another version of the plugin than the tests have."""
    monkeypatch.setattr("bench.plugins.fingerprint.of_dataset", lambda name: "test")


def zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-64] + bytes(64))


@pytest.mark.parametrize("name", ["features.npy", "ids.npy", "labels.npy"])
@pytest.mark.parametrize("known", [False, True], ids=["first", "cached"])
@pytest.mark.usefixtures("settled")
def test_zeroed_bytes_of_a_view_are_refused_with_the_command(
    view: Path, toy: Any, tmp_path: Path, name: str, known: bool
) -> None:
    if known:
        opened(toy, tmp_path)
    zeroed(view / name if name == "features.npy" else next(tmp_path.glob(f"toy/views/items/*/{name}")))
    with pytest.raises(DataError, match=rf"{name}: its content has changed .*Run: bench data prepare toy"):
        opened(toy, tmp_path)


@pytest.mark.usefixtures("settled")
def test_a_damaged_view_is_extracted_again_with_a_line_that_says_so(
    view: Path, toy: Any, prepared: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = opened(toy, tmp_path).fingerprint
    zeroed(view / "features.npy")
    prepared(toy())
    assert f"{view}: damaged, and extracted again: " in caplog.text
    assert opened(toy, tmp_path).fingerprint == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', '{"format": 1, "about": 1}'])
def test_a_view_with_a_damaged_manifest_is_extracted_again(
    view: Path, toy: Any, prepared: Any, tmp_path: Path, damage: str
) -> None:
    (view / "manifest.json").write_text(damage)
    with pytest.raises(DataError, match=r"manifest\.json: .*Run: bench data prepare toy"):
        toy().load(tmp_path)
    prepared(toy())
    assert toy().load(tmp_path).train.image.features.any()


@pytest.mark.usefixtures("settled", "view")
def test_copied_views_are_read_once(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in tmp_path.glob("toy/views/**/*.npy"):
        os.utime(file, (0, 0))
    opened(toy, tmp_path)
    monkeypatch.setattr(stamps, "digest", None)  # calling it would raise
    opened(toy, tmp_path)


def test_what_a_killed_attempt_left_beside_a_finished_view_is_removed(
    view: Path, toy: Any, prepared: Any
) -> None:
    growing = view.with_name(f".{view.name}.partial")
    growing.mkdir()
    growing.with_suffix(".lock").touch()
    prepared(toy())
    assert [path.name for path in view.parent.iterdir()] == [view.name]
