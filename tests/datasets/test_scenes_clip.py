"""The small CLIP of the scenes: its files, its retrieval, and its training."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.datasets.scenes import CLIP, Scenes, train_clip, world

open_clip = pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def model() -> Any:
    return open_clip.create_model(f"local-dir:{CLIP}").eval()


@pytest.fixture(scope="module")
def tokenize() -> Any:
    return open_clip.get_tokenizer(f"local-dir:{CLIP}")


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training looks at few pairs when it measures retrieval."""
    monkeypatch.setattr(train_clip, "CHECKED", 8)
    monkeypatch.setattr(train_clip, "MONITORED", 8)


def origin() -> Any:
    return json.loads((CLIP / train_clip.ORIGIN).read_text(encoding="utf-8"))


def log() -> list[dict[str, float]]:
    with (CLIP / train_clip.LOG).open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_the_checkpoint_is_below_four_megabytes() -> None:
    assert (CLIP / train_clip.WEIGHTS).stat().st_size < 4_000_000


def test_the_files_are_those_that_the_provenance_names() -> None:
    for name, expected in origin()["sha256"].items():
        assert hashlib.sha256((CLIP / name).read_bytes()).hexdigest() == expected


def test_the_log_covers_all_steps_and_its_loss_falls_from_chance() -> None:
    rows, command = log(), origin()["command"].split()
    steps, batch = (int(command[command.index(f"--{name}") + 1]) for name in ("steps", "batch"))
    assert (rows[-1]["step"], rows[-1]["pairs"]) == (steps, steps * batch)
    assert rows[0]["loss"] > 0.8 * np.log(batch)
    assert rows[-1]["loss"] < 0.5 * np.log(batch)


def test_unseen_pairs_find_each_other(model: Any, tokenize: Any) -> None:
    found = train_clip.retrieval(*train_clip.embed(model, tokenize, 7, world.TRAIN, 200))
    for direction in ("image_to_text", "text_to_image"):
        assert found[f"{direction}_r10"] > 10 * found["chance_r10"]
        assert found[f"{direction}_map"] > found["chance_map"] + 0.1


@pytest.mark.slow
def test_the_figures_of_the_provenance_can_be_reproduced() -> None:
    stated, found = origin()["unseen"], train_clip.evaluate(CLIP)
    assert set(stated) == set(found)
    for name, value in found.items():
        assert stated[name] == pytest.approx(value, abs=0.005), name  # another CPU rounds differently


def test_a_word_unknown_to_training_has_no_embedding(model: Any, tokenize: Any) -> None:
    weights = model.token_embedding.weight
    assert (weights[tokenize("xylophone")[0, 1:3]] == 0).all()
    assert (weights[tokenize("crimson")[0, 1]] != 0).any()


def test_training_sees_pictures_as_open_clip_prepares_them(model: Any) -> None:
    _, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{CLIP}")
    picture = Scenes(n=1, queries=1).raw(Path()).image(0)
    own = train_clip.pixels(model, np.array(picture)[None])[0]
    np.testing.assert_allclose(own, preprocess(picture), atol=1e-6)


def test_retrieval_counts_ranks_and_averages_precision() -> None:
    """Three items on a line: the second image is nearer to the third text than to its own."""
    text = np.eye(3)
    image = np.array([[1, 0.5, 0], [0, 0.5, 1], [0, 0, 1]])
    labels = np.eye(3, dtype=np.uint8)
    found = train_clip.retrieval(image, text, labels)
    assert found["image_to_text_r1"] == pytest.approx(2 / 3)
    assert found["image_to_text_r5"] == 1
    assert found["image_to_text_map"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["chance_map"] == pytest.approx(1 / 3)


def test_the_rate_rises_and_then_falls_to_zero() -> None:
    rates = [train_clip.rate(step, 1000) for step in range(1001)]
    assert np.argmax(rates) in (train_clip.WARM_UP - 1, train_clip.WARM_UP)
    assert rates[0] < 0.02 * max(rates)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.usefixtures("briefly")
def test_a_few_steps_of_training_give_equal_bytes_twice(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        train_clip.train(folder, steps=2, batch=4, seed=3)
    first, second = ((folder / train_clip.WEIGHTS).read_bytes() for folder in folders)
    assert first == second


@pytest.mark.usefixtures("briefly")
def test_another_seed_trains_another_model(tmp_path: Path) -> None:
    for seed in (0, 1):
        train_clip.train(tmp_path / str(seed), steps=1, batch=4, seed=seed)
    first, second = ((tmp_path / str(seed) / train_clip.WEIGHTS).read_bytes() for seed in (0, 1))
    assert first != second


@pytest.mark.usefixtures("briefly")
def test_the_command_writes_a_model_folder_with_log_and_provenance(tmp_path: Path) -> None:
    train_clip.main(["--out", str(tmp_path / "new"), "--steps", "1", "--batch", "4"])
    written = json.loads((tmp_path / "new" / train_clip.ORIGIN).read_text(encoding="utf-8"))
    assert written["unseen"]["pairs"] == 8
    assert open_clip.create_model(f"local-dir:{tmp_path / 'new'}") is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--out", str(CLIP)], "already holds a model"), (["--out", "x", "--batch", "1"], "at least")],
)
def test_a_command_that_cannot_work_is_refused(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train_clip.main(words)
    assert says in capsys.readouterr().err
