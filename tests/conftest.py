"""What every test has: one thread, folders of its own, no process left behind; fixtures of several files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import settings

import bench
from bench import progress
from bench.isolation import nursery
from bench.plugins import registry
from bench.records import RunRecord
from bench.running.hosts import Isolation
from bench.storing.store import Store

# Other people's data, as a data root has them
DATA = Path(os.environ.get("BENCH_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data").resolve()
PLUGINS = Path(__file__).with_name("plugins")
# Networks so small, and trained so briefly, that what holds of any size is quick to check
QUICK: dict[str, dict[str, Any]] = {
    "cash": {"hidden": 32, "epochs": 10, "rate": 1e-2},
    "ckdh": {"hidden": 32, "heads": 2, "width": 8, "epochs": 4, "teacher_epochs": 4},
    "ckdh_clip": {"hidden": 32, "heads": 2, "width": 8, "epochs": 4, "teacher_epochs": 1},
    "crovca": {"hidden": 32, "epochs": 2},
    "dcmh": {"hidden": 32, "epochs": 4},
    "dcmht": {"epochs": 1, "rate": 1e-2},
    "djsrh": {"hidden": 32, "epochs": 2},
    "dlch": {"hidden": 32, "epochs": 10},
    "fpo_cmh": {"hidden": 32, "pool_epochs": 2, "vocabulary": 8},
    "lcdh": {"teacher_width": 32, "heads": 2, "teacher_epochs": 1},
    "nhl": {"hidden": 32, "epochs": 10},
    "rshnl": {"hidden": 32, "epochs": 2},
    "she": {"epochs": 60},  # its rate is for more items than these
    "skdch": {"hidden": 32, "epochs": 4, "teacher_epochs": 2},
    "ucch": {"hidden": 32, "epochs": 2, "negatives": 64},
    "ukd": {"hidden": 32, "teacher_hidden": 32, "epochs": 4, "teacher_epochs": 4},
}
SIBLINGS = {"ckdh_online": "ckdh", "skdch_online": "skdch", "ukd_online": "ukd"}
SIBLINGS |= {"lcdh_clip": "lcdh", "lcdh_fused": "lcdh", "binary_lcdh": "lcdh", "pq_lcdh": "lcdh"}


settings.register_profile("bench", deadline=None)  # a busy machine fails no test
settings.load_profile("bench")


def pytest_configure(config: pytest.Config) -> None:
    """Hold every thread pool at one thread, as a cell does, before a library that has one is loaded.

    Two pools that spin on the same cores make a test up to a hundred times longer. Benchmarks keep theirs.
    """
    if not config.getoption("benchmark_enable"):
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        os.environ.update(dict.fromkeys(pools, "1"))


@pytest.fixture(autouse=True, scope="session")
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither the folders nor the settings of whoever starts the tests decide what they find."""
    bench_s, terminal_s = (
        ("BENCH_DATA", "BENCH_FSYNC", "BENCH_NO_NUMBA", "BENCH_RESULTS"),
        ("COLUMNS", "NO_COLOR", "TERM"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in (*bench_s, *terminal_s):
            patch.delenv(name, raising=False)
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")  # the default of --jobs: starting workers takes seconds
        yield


@pytest.fixture(autouse=True)
def unchecked_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods of tests/plugins pass for checked: they keep no contract, and some end the process."""
    from bench.running import contracts

    monkeypatch.setattr(contracts, "_remembered", lambda *_: contracts.Verdict(()))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test has a cache of its own, and plugin files that it adds are forgotten."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_extra", {})


@pytest.fixture(autouse=True, scope="session")
def no_process_is_left() -> Iterator[None]:
    """Fail, and end them, where processes that tests started outlive the tests."""
    yield
    nursery.close()
    if "joblib" in sys.modules:  # keeps its workers for the next sweep
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True, kill_workers=True)
    psutil.wait_procs(_started(), timeout=5)
    left = _started()
    for process in left:
        process.kill()
    assert not list(left.values())


def _started() -> dict[psutil.Process, str]:
    """The children that run, with their commands, but for the trackers of Python's own pools.

    The trap: a tracker that has just been forked still has its parent's command, so ask again later.
    """
    running = {}
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            running[child] = " ".join(child.cmdline())
    return {child: command for child, command in running.items() if "resource_tracker" not in command}


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """``real("wiki/wikiData.mat")``: the path of real data below BENCH_DATA; skips the test if absent."""

    def path(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"{name} is not below {DATA}, which BENCH_DATA sets")
        return DATA / name

    return path


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., str]:
    """Runs code in a new interpreter that has ``bench`` and the given folders; returns what it printed."""

    def run(code: str, *folders: Path) -> str:
        home = Path(bench.__file__).parents[1]  # the checkout, or site-packages
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*folders, home]))}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Holds what progress would write to a terminal."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))  # pytest has taken sys.stderr itself
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    monkeypatch.setattr(progress._display, "last", 0.0)
    return stream


@pytest.fixture
def plugin_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes NAME.py; what a test adds to the registry is forgotten afterwards."""
    monkeypatch.setattr(registry, "_extra", {})
    for name in [n for n in sys.modules if n.startswith("bench_plugin_")]:
        monkeypatch.delitem(sys.modules, name)

    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def quick() -> Callable[[str], dict[str, Any]]:
    """``quick("ukd_online")``: parameters under which a method with networks trains in a moment."""
    return lambda name: QUICK.get(SIBLINGS.get(name, name), {})


@pytest.fixture(scope="session")
def feeds() -> Callable[[str], str]:
    """``feeds("dcmht")``: a small dataset of 24 or 18 classes that has all that the method reads."""

    def dataset(name: str) -> str:
        reads = registry.get("method", name).capabilities.pictures
        return "scenes[n=120,queries=40]" if reads else "synthetic[n=160,queries=40]"

    return dataset


@pytest.fixture
def watched(
    tmp_path: Path, own_cache: None, plugin_file: Callable[[str, str], Path]
) -> Callable[..., tuple[RunRecord, dict[str, np.ndarray]]]:
    """``watched(delay=2)`` runs one cell, by default of ``watches``, on the sixty items of ``tiny``.

    It returns the cell's record and arrays; ``SHOWN`` of the plugin holds which items the method was given.
    """
    plugins = [str(PLUGINS / f"{name}.py") for name in ("watches", "tiny")]
    fixed: dict[str, Any] = {"datasets": "tiny", "bits": 8, "seeds": 1, "plugin": plugins}
    fixed |= {"results": str(tmp_path / "runs"), "isolation": Isolation(in_process=True)}

    def run(**options: Any) -> tuple[RunRecord, dict[str, np.ndarray]]:
        (record,) = bench.run(
            **{"methods": "watches", "train": "all", "evaluate": "all", **fixed, **options}
        ).records
        return record.over("all"), dict(Store(tmp_path / "runs").arrays(record)) if record.arrays else {}

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a session of its own, with folders of its own; those that still run are killed."""
    own = {"PYTHONPATH": str(Path(bench.__file__).parents[1]), "BENCH_CACHE": str(tmp_path / "cache")}
    own |= {"BENCH_RESULTS": str(tmp_path / "runs"), "BENCH_DATA": str(tmp_path / "data")}
    own["COUNTS"] = str(tmp_path / "counts")
    started: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.cli", *words]
        started.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
