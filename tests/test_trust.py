"""A study file that names code: announced before it is loaded, and from elsewhere only after an answer."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import main

METHOD = '''"""Halves: a method that leaves a mark when its code runs."""

from pathlib import Path

from bench.api import Method, sign

Path("ran").touch()


class Halves(Method):
    """Split the features in halves."""

    def fit_chunk(self, chunk):
        pass

    def encode(self, batch, modality):
        return sign(batch.features[:, : self.bits])
'''


@pytest.fixture
def study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin_file: Callable[[str, str], Path]
) -> Callable[[str], Path]:
    """Writes the method to a folder below the test's, and a study that names it into the current folder."""

    def write(folder: str) -> Path:
        here, code = tmp_path / "here", tmp_path / folder
        here.mkdir()
        code.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        plugin_file(f"{folder}/stranger", METHOD)
        lines = ('methods = "stranger"', 'datasets = "synthetic"', "bits = 8", "seeds = 1")
        (here / "mine.toml").write_text("\n".join([f'plugin = "{code / "stranger.py"}"', *lines]))
        return here / "mine.toml"

    return write


@pytest.mark.parametrize("command", [["plan"], ["run"], ["report"], ["doctor"], ["serve"]])
def test_code_from_elsewhere_is_not_loaded_without_an_answer(
    study: Callable[[str], Path], capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    file = study("elsewhere")
    assert main([*command, str(file)]) == 2
    announced, refused = capsys.readouterr().err.splitlines()
    assert announced.startswith("bench: the study loads plugin 'stranger' from ")
    assert refused.endswith("the study names it. Read it, then give --yes.")
    assert not (file.parent / "ran").exists()


def test_code_below_the_current_folder_is_announced_and_loaded(
    study: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(study("here"))]) == 0
    assert f"plugin 'stranger' from {Path('stranger.py').resolve()}" in capsys.readouterr().err


def test_yes_lets_code_from_elsewhere_in(study: Callable[[str], Path]) -> None:
    assert main(["plan", str(study("elsewhere")), "--yes"]) == 0


def test_a_file_that_the_user_names_needs_no_answer(
    study: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = study("elsewhere")
    assert main(["plan", str(file), "--plugin", str(file.parents[1] / "elsewhere" / "stranger.py")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_a_terminal_is_asked(
    study: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    file = study("elsewhere")
    monkeypatch.setattr("bench.cli.trust._at_terminal", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{answer}\n"))
    assert main(["plan", str(file)]) == code
