"""The files of examples/, used from the command line as examples/README.md says."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.plugins import registry
from bench.storing.store import Store

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = sorted(EXAMPLES.glob("*.py"))
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210)}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A data root with 60 pictures of a colour, 20 of them queries, and their table."""
    home = tmp_path / "data" / "own_dataset"
    home.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (home / "items.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "caption", "labels", "part"])
        for number in range(60):
            name = list(COLOURS)[number % 3]
            noise = rng.integers(-30, 30, (24, 32, 3))
            pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(home / f"{number}.png")
            table.writerow(
                [f"{number}.png", f"a {name} thing", name, "query" if number % 3 == number // 20 else "train"]
            )
    return tmp_path / "data"


def example(name: str) -> str:
    return str(EXAMPLES / f"{name}.py")


def run_on_synthetic() -> None:
    words = ["--methods", "random_projection,cca", "--datasets", "synthetic[n=200,queries=30]", "--bits", "8"]
    assert main(["run", *words, "--seeds", "1", "--schedule", "shuffled:100"]) == 0


@pytest.mark.parametrize("name", ["own_report", "own_metric", "own_encoder", "own_encoder:2"])
def test_it_passes_bench_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", name, "--plugin", example(name.partition(":")[0])]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_the_torch_method_passes_bench_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "torch_method[epochs=2]", "--plugin", example("torch_method")])
    assert code == 0, capsys.readouterr().out


@pytest.mark.slow
def test_the_deep_method_passes_bench_check(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "deep_method[epochs=1]", "--plugin", example("deep_method")])
    assert code == 0, capsys.readouterr().out


@pytest.mark.slow
def test_the_deep_method_learns_from_the_pictures_of_a_dataset_of_ones_own(pictures: Path) -> None:
    plugins = ["--plugin", example("own_dataset"), "--plugin", example("deep_method")]
    root = ["--data-root", str(pictures)]
    assert main(["data", "prepare", "own_dataset", "--views", "colour,bow:1", *plugins, *root]) == 0
    words = ["--datasets", "own_dataset[image=colour,text=bow:1]", "--methods", "deep_method", "--bits", "8"]
    assert main(["run", *words, "--seeds", "1", "--train", "all", "--no-contract", *plugins, *root]) == 0
    [record] = Store(Path("runs")).records()
    assert len(record.curves["held_out"].values) == 5


def test_the_dataset_passes_bench_check(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--plugin", example("own_dataset"), "--data-root", str(pictures)]
    assert main(["data", "prepare", "own_dataset", *words]) == 0
    assert main(["check", "own_dataset", *words]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_the_torch_method_beats_chance_on_scenes() -> None:
    words = ["--methods", "torch_method", "--datasets", "scenes[n=800,queries=200]", "--bits", "32"]
    assert main(["run", "--plugin", example("torch_method"), *words, "--seeds", "1"]) == 0
    [record] = Store(Path("runs")).records()
    scores = record.rounds[-1].metrics
    assert all(scores[f"map/{d}"] > scores[f"chance/{d}"] + 0.05 for d in record.spec.directions)


def test_the_dataset_is_prepared_and_run_with_the_encoder_of_another_file(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = ["--plugin", example("own_dataset"), "--plugin", example("own_encoder")]
    root = ["--data-root", str(pictures)]
    assert main(["data", "prepare", "own_dataset", "--views", "own_encoder:2,bow:2", *plugins, *root]) == 0
    assert "image own_encoder:2: 60 × 12" in capsys.readouterr().out
    words = ["--datasets", "own_dataset[image=own_encoder:2]", "--methods", "cca", "--bits", "8"]
    assert main(["run", *words, "--seeds", "1", "--schedule", "shuffled:20", *plugins, *root]) == 0
    assert "own_dataset" in capsys.readouterr().out


def test_the_encoder_may_decode_in_other_processes(pictures: Path) -> None:
    plugins = ["--plugin", example("own_dataset"), "--plugin", example("own_encoder")]
    words = ["--views", "own_encoder", "--workers", "1", "--data-root", str(pictures)]
    assert main(["data", "prepare", "own_dataset", *words, *plugins]) == 0


def test_the_report_is_rendered_from_stored_cells(capsys: pytest.CaptureFixture[str]) -> None:
    run_on_synthetic()
    assert main(["table", "--plugin", example("own_report"), "--report", "own_report"]) == 0
    assert "What a second of training buys" in capsys.readouterr().out


def test_the_metric_is_computed_from_stored_histograms(capsys: pytest.CaptureFixture[str]) -> None:
    run_on_synthetic()
    plugin = ["--plugin", example("own_metric")]
    assert main(["rescore", "--metric", "own_metric@50", *plugin]) == 0
    assert "added to 2 cells" in capsys.readouterr().out
    assert main(["table", "--metric", "own_metric@50", *plugin]) == 0
    assert "own_metric@50" in capsys.readouterr().out


def test_the_metric_is_shown_without_being_stored(capsys: pytest.CaptureFixture[str]) -> None:
    run_on_synthetic()
    assert main(["table", "--metric", "own_metric", "--plugin", example("own_metric")]) == 0
    assert "own_metric" in capsys.readouterr().out


def test_metric_and_encoder_are_listed_with_their_files(capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("metric", "encoder"):
        assert main(["list", f"{what}s", "--plugin", example(f"own_{what}")]) == 0
        [line] = [text for text in capsys.readouterr().out.splitlines() if text.startswith("own_")]
        assert example(f"own_{what}") in line


@pytest.mark.parametrize("name", ["own_metric", "own_encoder", "own_report", "torch_method", "deep_method"])
def test_bench_info_describes_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", name, "--plugin", example(name)]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_readme_names_it_with_a_command(file: Path) -> None:
    rows = (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(f"({file.name})" in row and f"--plugin {file.name}" in row for row in rows)
