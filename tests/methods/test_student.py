"""The student with hidden units: what it learns, what it keeps, and that it draws nothing from torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk
from bench.checks.trial import Trial, items
from bench.contract import state
from bench.methods import _student
from bench.methods._codes import signs
from bench.methods._scaling import Scaling
from bench.methods._student import Student
from bench.methods.lcdh import LCDH
from bench.methods.lemon import LEMON

Array = np.ndarray[Any, Any]
HOW: dict[str, int] = {"hidden": 64, "epochs": 30}


def taught(*chunks: Chunk, memory: int = 200, seed: int = 0, **how: int) -> tuple[Student, Array]:
    """A student that learned codes which are random functions of the labels, and those codes."""
    student, rng = Student.new(16, memory=memory), np.random.default_rng(seed)
    codes = [codes_of(chunk) for chunk in chunks]
    for chunk, known in zip(chunks, codes, strict=True):
        student.fit(chunk, known, rng=rng, **{**HOW, **how})
    return student, np.concatenate(codes)


def codes_of(chunk: Chunk) -> Array:
    assert chunk.labels is not None
    return signs(chunk.labels @ np.random.default_rng(5).standard_normal((chunk.labels.shape[1], 16)))


def chunks(*sizes: int) -> list[Chunk]:
    return Trial(LCDH).chunks(*(items(n, seed=i) for i, n in enumerate(sizes)))


def test_it_gives_new_items_the_codes_of_their_labels() -> None:
    student, _ = taught(*chunks(200, 200))
    [new] = Trial(LCDH).chunks(items(100, seed=9))
    for m in MODALITIES:
        right = signs(student.project(new.batch(m).features, m)) == codes_of(new)
        assert right.mean() > 0.8


def test_a_code_does_not_depend_on_the_others_of_its_batch() -> None:
    [chunk] = chunks(60)
    student, _ = taught(chunk, epochs=2)
    x = chunk.image.features
    alone = np.concatenate([student.project(x[i : i + 1], "image") for i in range(60)])
    np.testing.assert_allclose(alone, student.project(x, "image"), atol=1e-12)


def test_the_label_head_counts_by_the_share_of_items_with_labels() -> None:
    [chunk] = chunks(80)
    assert chunk.labels is not None
    blank = chunk.labels.copy()
    blank[20:] = 0
    some = Chunk(round=0, image=chunk.image, text=chunk.text, labels=blank, ids=chunk.ids)
    student, _ = taught(some, epochs=1)
    few = chunk.labels[:20].astype(float)
    ridge = np.linalg.solve(few.T @ few + np.eye(few.shape[1]), few.T @ codes_of(some)[:20])
    assert student.spread is not None
    np.testing.assert_allclose(student.spread, 0.25 * ridge, atol=1e-9)


@pytest.mark.parametrize("labels", [None, 0])
def test_without_labels_it_learns_the_codes_alone(labels: int | None) -> None:
    [chunk] = chunks(80)
    assert chunk.labels is not None
    known = codes_of(chunk)
    given = None if labels is None else np.zeros_like(chunk.labels)
    bare = Chunk(round=0, image=chunk.image, text=chunk.text, labels=given, ids=chunk.ids)
    student = Student.new(16, memory=50)
    student.fit(bare, known, rng=np.random.default_rng(0), **HOW)
    assert student.spread is None
    assert (signs(student.project(chunk.image.features, "image")) == known).mean() > 0.8


def shuffled(chunk: Chunk, share: float) -> Chunk:
    """The same items; a share of them has the labels of others."""
    assert chunk.labels is not None
    wrong = np.arange(round(share * len(chunk)))
    labels = chunk.labels.copy()
    labels[wrong] = np.random.default_rng(7).permutation(chunk.labels)[wrong]
    return dataclasses.replace(chunk, labels=labels)


def test_dropout_falls_with_many_items_and_stays_where_their_labels_are_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[tuple[float, int]] = []
    real = _student.train

    def train(layers: Any, *args: Any, drop: float, epochs: int, **how: Any) -> Any:
        found.append((drop, epochs))
        return real(layers, *args, drop=drop, epochs=epochs, **how)

    monkeypatch.setattr(_student, "FEW", 150)
    monkeypatch.setattr(_student, "train", train)
    first, second = chunks(150, 150)
    taught(first, second, epochs=40)
    assert found == [(0.5, 40)] * 2 + [(0.125, 40)] * 2
    found.clear()
    taught(first, shuffled(second, 1.0), epochs=40)
    assert [drop for drop, _ in found[2:]] == pytest.approx([0.5] * 2)
    assert [epochs for _, epochs in found[2:]] == [round(40 * (1 - 0.75 * 0.75))] * 2


def test_neither_new_classes_nor_a_shift_after_calm_rounds_raise_doubt() -> None:
    def new(seed: int, *classes: int, wrong: float = 0) -> dict[str, Array]:
        [chunk] = Trial(LCDH).chunks(items(150, seed=seed, classes=range(*classes)))
        labels = np.asarray(chunk.labels)
        codes = codes_of(shuffled(chunk, wrong))
        return {
            "image": chunk.image.features,
            "image present": chunk.image.present,
            "labels": labels,
            "codes": codes,
        }

    def student() -> Student:
        return taught(*Trial(LCDH).chunks(items(300, classes=range(2))), epochs=60)[0]

    assert student()._doubt(new(1, 2, 4), "image") == 0
    assert student()._doubt(new(1, 0, 2, wrong=1.0), "image") == 1
    calm = student()
    assert calm._doubt(new(1, 0, 2), "image") == 0
    assert calm._doubt(new(2, 0, 2, wrong=1.0), "image") == 0


def test_wrong_labels_of_many_items_are_not_learned_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    def right() -> float:
        parts = [shuffled(chunk, 0.6) for chunk in chunks(*[150] * 6)]
        student, _ = taught(*parts, memory=600, hidden=256, epochs=60)
        [fresh] = Trial(LCDH).chunks(items(300, seed=99))
        return float(np.mean(signs(student.project(fresh.image.features, "image")) == codes_of(fresh)))

    monkeypatch.setattr(_student, "FEW", 150)
    careful = right()
    monkeypatch.setattr(Student, "_doubt", lambda *_: 0.0)
    assert careful > right() + 0.02


def test_its_memory_is_bounded() -> None:
    student, _ = taught(*chunks(60, 60, 60), memory=50, epochs=1)
    assert len(student.memory) == 50


def test_equal_seeds_learn_the_same_and_leave_torchs_own_generator_alone() -> None:
    import torch

    before = torch.get_rng_state()
    one, two, other = (taught(*chunks(60), epochs=2, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    for x, y in zip(one.layers["text"], two.layers["text"], strict=True):
        np.testing.assert_array_equal(x, y)
    assert np.any(one.layers["text"][0] != other.layers["text"][0])


def test_half_a_standardisation_leaves_columns_of_large_variance_larger() -> None:
    x = np.random.default_rng(0).standard_normal((500, 3)) * [1.0, 4.0, 0.0] + 7.0
    scaled = Scaling.fit(x, power=0.5)(x)
    deviation = x.std(axis=0)
    overall = np.sqrt(np.mean(deviation**2))
    np.testing.assert_allclose(scaled.std(axis=0), np.sqrt(deviation / overall), atol=1e-5)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)


@pytest.mark.parametrize("power", [0.5, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
def test_a_column_that_is_constant_at_first_gets_the_scale_of_all_columns(value: float, power: float) -> None:
    x = np.random.default_rng(0).standard_normal((2000, 4)).astype(np.float32)
    x[:, 3] = value
    assert x[:, 3].std(dtype=np.float64) < 1e-9 * max(abs(value), 1.0)
    overall = np.sqrt(np.mean(x[:, :3].var(axis=0, dtype=np.float64)) * 3 / 4)
    scaling = Scaling.fit(x, power=power)
    assert scaling.scale[3] == pytest.approx(overall)
    assert Scaling.fit(x[:, 3:], power=power).scale[0] == 1.0


@pytest.mark.parametrize("method", [LCDH, LEMON])
def test_methods_with_it_resume_from_a_file_as_without_a_break(method: Any, tmp_path: Path) -> None:
    settings = {"teacher": "zero"} if method is LCDH else {}
    one, two = (method(bits=8, student="hidden", epochs=2, hidden=16, **settings) for _ in range(2))
    first, second = chunks(60, 50)
    one.fit_chunk(first)
    state.save(tmp_path / "s.npz", one.state_dict())
    two.load_state_dict(state.load(tmp_path / "s.npz"))
    for m in (one, two):
        m.fit_chunk(second)
    np.testing.assert_array_equal(one.encode(first.text, "text"), two.encode(first.text, "text"))
