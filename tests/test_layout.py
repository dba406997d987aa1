"""What the folders must be so that bench, and nobody else's package, is what gets imported."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import bench

ROOT = Path(__file__).parents[1]
FOLDERS = ("methods", "datasets", "reports")
PACKAGE = Path(bench.__file__).parent
Python = Callable[..., str]  # the fixture of conftest.py
HEAVY = ("torch", "numba", "pandas", "scipy", "sklearn", "matplotlib", "h5py", "open_clip", "joblib")


def harness_files() -> list[Path]:
    """The files of bench/ without the plugin folders that a wheel has inside it."""
    found = (p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] not in FOLDERS)
    return sorted(p for p in found if p.name != "__main__.py")


def modules() -> list[str]:
    """The canonical name of every module of the harness and of the plugin folders."""
    found = [file.relative_to(PACKAGE.parent) for file in harness_files()]
    for home in map(Path, bench.__path__):
        plugins = (file for folder in FOLDERS for file in sorted((home / folder).rglob("*.py")))
        found += [Path("bench") / file.relative_to(home) for file in plugins]
    return [_name(path) for path in found]


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("home", [ROOT, PACKAGE])
def test_a_plugin_folder_has_no_init(home: Path, folder: str) -> None:
    assert not (home / folder / "__init__.py").exists()


def test_the_plugin_folders_are_where_bench_looks_for_them() -> None:
    for folder in FOLDERS:
        assert any((Path(home) / folder).is_dir() for home in bench.__path__), folder


@pytest.mark.parametrize("module", modules())
def test_docstring_examples_run_under_the_modules_one_name(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__name__ == module
    assert doctest.testmod(found).failed == 0


@pytest.mark.parametrize("name", bench.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(bench, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bench.nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
def test_no_module_is_loaded_under_two_names(python: Python) -> None:
    code = f"""
        import collections, importlib, sys
        for module in {modules()!r}:
            importlib.import_module(module)
        own = [m for m in sys.modules if m.partition(".")[0] in ("bench", *{FOLDERS!r})]
        files = collections.Counter(getattr(sys.modules[m], "__file__", None) or m for m in own)
        print([m for m in own if not m.startswith("bench")], [f for f, n in files.items() if n > 1])
    """
    assert python(_dedented(code)).split() == ["[]", "[]"]


@pytest.mark.parametrize(
    "words",
    [
        ["list", "methods"],
        ["list", "datasets"],
        ["list", "reports"],
        ["list", "schedules"],
        ["--help"],
        ["data", "list"],
    ],
)
def test_listing_and_help_import_nothing_heavy(python: Python, words: list[str]) -> None:
    code = f"""
        import contextlib, io, sys
        from bench.cli import main
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main({words!r})
        print([m for m in {HEAVY!r} if m in sys.modules])
    """
    assert python(_dedented(code)).strip() == "[]"


@pytest.mark.parametrize(
    "module", ["bench", "bench.api", "bench.records", "bench.plugins.registry", "bench.checks.suite"]
)
def test_what_a_plugin_needs_imports_nothing_heavy(python: Python, module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_hugging_faces_datasets_is_not_hidden() -> None:
    try:
        version("datasets")
    except PackageNotFoundError:
        pytest.skip("the package 'datasets' is not installed")
    assert hasattr(importlib.import_module("datasets"), "load_dataset")


@pytest.mark.slow
def test_the_wheel_holds_the_folders_and_nothing_else(tmp_path: Path) -> None:
    if not (ROOT / "bench").is_dir():
        pytest.skip("not in a checkout")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for hatchling" in done.stderr:
        pytest.skip("the build backend cannot be fetched")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    inside = {"bench": "bench", **{folder: f"bench/{folder}" for folder in FOLDERS}}
    inside |= {"results/published": "bench/published_numbers", "examples": "bench/examples"}
    unpacked = ROOT / "examples" / "third_party_method", ROOT / "examples" / "README.md"
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in inside.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {path, *path.parents} & {*unpacked} and "__pycache__" not in path.parts
    }
    assert packed == expected


def _dedented(code: str) -> str:
    return "\n".join(line[8:] for line in code.splitlines())
