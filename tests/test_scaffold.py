"""`bench new` writes plugins that keep the contract at once, and overwrites nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bench
from bench.checks import scaffold
from bench.checks.suite import check_encoder, check_method, check_metric, check_report
from bench.errors import ContractError
from bench.plugins import registry

Write = Callable[[str, str], Path]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout of the project."""
    for folder in ("methods", "bench"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bench" / "api.py").touch()
    return tmp_path


def test_the_method_passes_the_contract_suite_at_once(tmp_path: Path, plugin_file: Write) -> None:
    method, _ = scaffold.new("method", "my_hash", tmp_path)
    check_method(registry.get("method", registry.add_file(method)), raising=True)


def test_the_class_is_called_after_the_file(tmp_path: Path, plugin_file: Write) -> None:
    method, _ = scaffold.new("method", "my_hash", tmp_path)
    assert registry.get("method", registry.add_file(method)).__name__ == "MyHash"


@pytest.mark.parametrize("kind", ["report", "metric", "encoder"])
def test_a_report_metric_or_encoder_passes_its_checks_at_once(
    tmp_path: Path, plugin_file: Write, kind: str
) -> None:
    [path] = scaffold.new(kind, "my_own", tmp_path)
    name = registry.add_file(path)
    suites: dict[str, Callable[..., object]] = {
        "report": check_report,
        "metric": check_metric,
        "encoder": lambda n, **x: check_encoder(n, tmp_path, **x),
    }
    assert suites[kind](name, raising=True)


def test_a_dataset_is_called_after_its_file(tmp_path: Path, plugin_file: Write) -> None:
    [path] = scaffold.new("dataset", "my_own", tmp_path)
    cls = registry.get("dataset", registry.add_file(path))
    assert (cls.__name__, cls.card.name, cls.card.title) == ("MyOwn", "my_own", "MyOwn")


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("dataset", "datasets/my_own.py"),
        ("report", "reports/my_own.py"),
        ("metric", "bench/metrics/my_own.py"),
        ("encoder", "bench/encoders/my_own.py"),
    ],
)
def test_in_a_checkout_each_kind_has_its_folder(checkout: Path, kind: str, place: str) -> None:
    [path] = scaffold.new(kind, "my_own", checkout)
    assert path.relative_to(checkout).as_posix() == place


@pytest.mark.slow
def test_its_test_file_runs_and_passes(tmp_path: Path) -> None:
    _, test = scaffold.new("method", "my_hash", tmp_path)
    home = Path(bench.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_in_a_checkout_the_files_go_where_plugins_and_tests_are(checkout: Path) -> None:
    written = scaffold.new("method", "my_hash", checkout)
    assert [p.relative_to(checkout).as_posix() for p in written] == [
        "methods/my_hash.py",
        "tests/methods/test_my_hash.py",
    ]


def test_elsewhere_the_files_lie_side_by_side(tmp_path: Path) -> None:
    assert [p.name for p in scaffold.new("method", "my_hash", tmp_path)] == ["my_hash.py", "test_my_hash.py"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_hash.py", "test_my_hash.py"]


def test_the_default_folder_is_the_checkout_that_runs(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "__file__", str(checkout / "bench" / "__init__.py"))
    assert scaffold.default_folder() == checkout


def test_the_default_folder_of_an_installed_bench_is_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "__file__", str(tmp_path / "site" / "bench" / "__init__.py"))
    monkeypatch.chdir(tmp_path)
    assert scaffold.default_folder() == tmp_path


@pytest.mark.parametrize("existing", ["my_hash.py", "test_my_hash.py"])
def test_an_existing_file_is_kept_and_nothing_is_written(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    with pytest.raises(ContractError, match="exists"):
        scaffold.new("method", "my_hash", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_text() == "mine"


@pytest.mark.parametrize("name", ["MyHash", "my-hash", "2hash", "_hash", "class", "", "häsh", "a/b", "a.b"])
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match="cannot be the name of a method"):
        scaffold.new("method", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_another_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="the name 'random_projection' belongs to a method already"):
        scaffold.new("method", "random_projection", tmp_path)


@pytest.mark.parametrize("name", ["random", "numpy", "bench"])
def test_beside_ones_scripts_a_file_may_not_hide_a_module(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match="would hide the Python module"):
        scaffold.new("method", name, tmp_path)


def test_in_a_checkout_it_hides_none(checkout: Path) -> None:
    assert scaffold.new("method", "random", checkout)[0].is_file()
