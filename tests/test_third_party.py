"""A method in a distribution of its own, installed by its own pyproject.toml, is one of the methods."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "third_party_method"

Python = Callable[..., str]  # the fixture of conftest.py

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example, and nothing else."""
    target = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        str(EXAMPLE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for hatchling" in done.stderr:
        pytest.skip("the build backend cannot be fetched")
    assert done.returncode == 0, done.stderr
    return target


def test_it_is_listed_with_its_distribution_and_without_being_imported(
    installed: Path, python: Python
) -> None:
    code = (
        "import json, sys; from bench.plugins import registry; "
        "found = {e.name: e for e in registry.listings('method')}; e = found['aligned_directions']; "
        "print(json.dumps([e.origin, e.summary, e.broken, 'aligned_directions' in sys.modules]))"
    )
    origin, summary, broken, imported = json.loads(python(code, installed))
    assert (origin, broken, imported) == ("aligned-directions", "", False)
    assert summary.startswith("Aligned directions: ")


def test_it_passes_the_contract_suite(installed: Path, python: Python) -> None:
    code = "import bench; print(len(bench.check_method('aligned_directions', raising=True)))"
    assert int(python(code, installed)) >= 16


def test_bench_check_says_so(installed: Path, python: Python) -> None:
    code = "import sys; from bench.cli import main; sys.exit(main(['check', 'aligned_directions']))"
    assert "0 failed" in python(code, installed)


def test_its_own_tests_pass(installed: Path, python: Python) -> None:
    config = EXAMPLE / "pyproject.toml"
    words = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(config),
        "--rootdir",
        str(EXAMPLE),
        str(EXAMPLE / "tests"),
    ]
    assert " passed" in python(f"import sys, pytest; sys.exit(pytest.main({words!r}))", installed)
