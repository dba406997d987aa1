"""What of LCDH can be exchanged: other students, codes and teachers, fading, missing modalities, reuse."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import MODALITIES, Batch, Chunk, Modality, Shared
from bench.checks.trial import Trial, items
from bench.errors import ParameterError
from bench.methods.lcdh import LCDH, teacher, with_ones
from bench.methods.lcdh.history import History, Signals, UnitRows
from bench.methods.lcdh.linear import unit_rows
from bench.methods.lcdh.student import ClosedForm, signs
from bench.methods.lcdh.teacher import Recipe, Seen, Teacher, standardised, train_teacher
from bench.methods.lcdh_clip import LCDHClip
from bench.methods.lcdh_fused import LCDHFused
from bench.study.planner import Planner
from bench.study.study import Study

pytestmark = pytest.mark.usefixtures("own_cache")

Array = np.ndarray[Any, Any]
Draws = np.random.default_rng
SMALL: dict[str, Any] = {"teacher_width": 16, "heads": 2, "teacher_epochs": 3, "student": "linear"}


def chunks(*sizes: int) -> list[Chunk]:
    return Trial(LCDH).chunks(*(items(n, seed=i) for i, n in enumerate(sizes)))


def unit_labels(n: int) -> Array:
    """Those of ``items(n)``."""
    labels = items(n).labels
    assert labels is not None
    return unit_rows(labels)


def fit(method: LCDH, given: list[Chunk], *, pool: bool = True) -> Array:
    """The learned codes of all chunks; the first is the pool."""
    if pool:
        method.fit_pool(given[0])
    codes = []
    for chunk in given:
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


def lacking(chunk: Chunk, modality: Modality, rows: Array, fill: float = 0.0) -> Chunk:
    """The same chunk with one modality of these rows gone, and ``fill`` where it was."""
    batch = chunk.batch(modality)
    absent = np.zeros(len(chunk), dtype=bool)
    absent[rows] = True

    def blank(x: Array) -> Array:
        return np.where(absent[:, None], np.float32(fill), x)

    gone = Batch(blank(batch.features), {v: blank(x) for v, x in batch.views.items()}, absent)
    changed: dict[str, Any] = {modality: gone}
    return dataclasses.replace(chunk, **changed, shared=Shared())


# --- the declared variants


@pytest.mark.parametrize("name", LCDH.variants)
def test_a_variant_is_a_setting_that_method_and_study_accept(name: str) -> None:
    variant = LCDH.variants[name]
    study = Study.make(None, methods="lcdh", datasets="synthetic", bits="16", seeds=1)
    planner = Planner()
    [cell, *_] = planner.cells(study)
    assert planner.variant(study, cell, variant.params, variant.run).spec.method == "lcdh"


def test_every_variant_differs_from_the_default_and_from_the_others() -> None:
    found = [(dict(v.params), dict(v.run)) for v in LCDH.variants.values()]
    assert all(found.count(one) == 1 for one in found) and ({}, {}) not in found


def test_every_variant_has_words_and_a_code_of_its_own() -> None:
    codes = [variant.code for variant in LCDH.variants.values()]
    assert all(codes) and len(set(codes)) == len(codes)
    assert not set(codes) & LCDH.variants.keys()


# --- codes


def test_pointwise_codes_are_the_teachers() -> None:
    given = chunks(60, 50)
    method = LCDH(bits=8, teacher="zero", codes="teacher", student="linear")
    codes = fit(method, given)
    assert method.teacher_ is not None
    taught = np.concatenate([method.teacher_.signal(Seen.of(chunk)) for chunk in given])
    np.testing.assert_array_equal(codes, signs(taught))


def test_pointwise_codes_without_a_teacher_are_refused() -> None:
    with pytest.raises(ParameterError, match="pool=none"):
        LCDH(bits=8, codes="teacher").fit_chunk(chunks(40)[0])


def test_the_ways_to_choose_codes_give_different_codes() -> None:
    given = chunks(80, 60)
    plain, other = (LCDH(bits=16, teacher="zero", codes=c, student="linear") for c in ("balanced", "dcc"))
    assert np.any(fit(plain, given) != fit(other, given))


# --- classes that come later


@pytest.mark.parametrize("codes", ["balanced", "dcc"])
def test_items_of_classes_that_come_later_have_codes_of_their_own(codes: Any) -> None:
    early, late = items(80, classes=(0, 1)), items(80, seed=1, classes=(2, 3))
    method = LCDH(bits=32, codes=codes, student="linear")
    found = fit(method, Trial(LCDH).chunks(early, late), pool=False)[80:].astype(float)
    assert late.labels is not None
    alike, same = found @ found.T / 32, late.labels @ late.labels.T.astype(int) > 0
    assert alike[same].mean() > alike[~same].mean() + 0.8


def test_a_class_is_new_until_an_item_of_it_is_in_the_history() -> None:
    history = History.empty(4)
    labels = np.eye(3)[[0, 1, 1, 2]]
    given = Signals(None, labels, UnitRows.of([np.ones((4, 2), np.float32)]))
    np.testing.assert_array_equal(history.newcomers(given), [0, 1, 2, 3])
    history.add(given.take(np.array([1])), np.ones((1, 4)))
    np.testing.assert_array_equal(history.newcomers(given), [0, 3])


def test_without_the_label_term_labels_move_no_code() -> None:
    given = chunks(60, 50)
    blank = [dataclasses.replace(c, labels=np.zeros_like(c.labels), shared=Shared()) for c in given]
    one, other = (fit(LCDH(bits=8, teacher="zero", lambda2=0.0, student="linear"), g) for g in (given, blank))
    np.testing.assert_array_equal(one, other)


# --- fading


def test_a_fading_history_counts_each_chunk_by_its_age() -> None:
    given = chunks(60, 50, 40)
    method = LCDH(bits=8, forget=0.5, student="linear")
    codes = fit(method, given, pool=False).astype(float)
    ages = np.repeat([0.25, 0.5, 1.0], [60, 50, 40])
    assert isinstance(method.linear_, ClosedForm)
    for m in MODALITIES:
        phi = np.concatenate([with_ones(method.features_[m](c.batch(m).features)) for c in given]).astype(
            float
        )
        gram = (phi * ages[:, None]).T @ phi + 0.1 * ages.sum() * np.eye(phi.shape[1])
        weights = method.linear_.functions[m].weights
        assert weights is not None
        np.testing.assert_allclose(weights, np.linalg.solve(gram, (phi * ages[:, None]).T @ codes), atol=1e-8)


def test_the_sums_of_a_fading_history_are_weighted_sums() -> None:
    rng = np.random.default_rng(0)
    history, old, new = History.empty(4), signs(rng.standard_normal((9, 4))), signs(rng.random((5, 4)) - 0.5)
    z = rng.standard_normal((14, 3))
    history.features.add(z[:9], old)
    history.fade(0.25)
    history.features.add(z[9:], new)
    weights = np.repeat([0.25, 1.0], [9, 5])
    both = np.concatenate([old, new])
    np.testing.assert_allclose(history.features.coupling, (both.T * weights) @ both / weights.sum())
    expected = 8.0 * z @ ((z.T * weights) @ both) / weights.sum()
    np.testing.assert_allclose(history.features.pull(z), expected)


# --- items that lack a modality


@pytest.mark.parametrize(
    "settings", [{"teacher": "zero"}, SMALL, {"solver": "sgd", "teacher": "zero", "student": "linear"}]
)
def test_what_stands_where_a_modality_is_absent_is_never_looked_at(settings: dict[str, Any]) -> None:
    rows = np.arange(0, 60, 3)
    codes = []
    for fill in (0.0, 1e3):
        given = [lacking(chunk, "text", rows, fill) for chunk in chunks(60, 60)]
        method = LCDH(bits=8, **settings)
        codes.append((fit(method, given), method.encode(Batch(given[0].text.features[1:3]), "text")))
    for one, other in zip(*codes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_hash_function_is_learned_from_the_items_that_have_its_modality() -> None:
    rows = np.arange(0, 60, 4)
    chunk = lacking(chunks(60)[0], "text", rows)
    method = LCDH(bits=8, teacher="zero", student="linear")
    codes = fit(method, [chunk], pool=False).astype(float)
    kept = np.setdiff1d(np.arange(60), rows)
    assert isinstance(method.linear_, ClosedForm)
    rows_of: dict[Modality, Array] = {"text": kept, "image": np.arange(60)}
    for m, seen in rows_of.items():
        phi = with_ones(method.features_[m](chunk.batch(m).features[seen])).astype(float)
        ridge = phi.T @ phi + 0.1 * len(seen) * np.eye(phi.shape[1])
        weights = method.linear_.functions[m].weights
        assert weights is not None
        np.testing.assert_allclose(weights, np.linalg.solve(ridge, phi.T @ codes[seen]), atol=1e-8)


@pytest.mark.parametrize("fusion", ["product", "concat", "channels"])
def test_a_teacher_code_of_one_modality_does_not_depend_on_the_others_of_its_batch(fusion: Any) -> None:
    chunk = lacking(lacking(chunks(50)[0], "text", np.arange(10)), "image", np.arange(40, 50))
    seen = Seen.of(chunk)
    made = train_teacher(seen, unit_labels(50), recipe=recipe(fusion=fusion), seed=1)
    together = made.codes(seen)
    alone = np.concatenate([made.codes(seen.take(slice(i, i + 1))) for i in range(50)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert np.isfinite(together).all()


# --- teachers


def recipe(**changes: Any) -> Recipe:
    base: dict[str, Any] = {
        "bits": 8, "width": 16, "heads": 2, "attention": 1, "fusion": "product", "epochs": 3,
        "contrastive": 0.1, "tau": 0.1, "target": "labels", "device": "cpu",
    }  # fmt: skip
    return Recipe(**{**base, **changes})


@pytest.mark.parametrize(("fusion", "blind"), [("image", "text"), ("text", "image")])
def test_a_teacher_of_one_modality_does_not_look_at_the_other(fusion: Any, blind: Modality) -> None:
    chunk = chunks(40)[0]
    made = train_teacher(Seen.of(chunk), unit_labels(40), recipe=recipe(fusion=fusion), seed=1)
    other = Batch(chunk.batch(blind).features, {"clip": -chunk.batch(blind).views["clip"]})
    changes: dict[str, Any] = {blind: other}
    changed = dataclasses.replace(chunk, **changes)
    np.testing.assert_array_equal(made.codes(Seen.of(changed)), made.codes(Seen.of(chunk)))


def test_attention_is_never_over_one_token() -> None:
    seen, labels = Seen.of(chunks(40)[0]), unit_labels(40)
    names = train_teacher(seen, labels, recipe=recipe(fusion="image", attention=2), seed=1).weights
    assert not any(name.startswith("attention") for name in names)


def test_channels_of_both_modalities_attend_to_each_other_and_form_one_vector_again() -> None:
    """The FC layer gets the channels in a row, after the attention of one head that torch computes."""
    import torch
    from torch.nn.functional import layer_norm, scaled_dot_product_attention

    seen = Seen.of(chunks(40)[0])
    made = train_teacher(seen, unit_labels(40), recipe=recipe(fusion="channels"), seed=1)
    w = {name: torch.from_numpy(value) for name, value in made.weights.items()}
    tokens = [
        torch.from_numpy(x) @ w[f"{m}.weight"] + w[f"{m}.bias"]
        for m, x in zip(MODALITIES, standardised(seen, made.image, made.text), strict=True)
    ]
    vector = (torch.stack(tokens, dim=1) + w["type"]).reshape(40, 32)
    channels = vector.reshape(40, 4, 8)  # two for each modality
    normal = layer_norm(channels, (8,), w["attention0.norm.gain"], w["attention0.norm.shift"])
    parts = (normal @ w["attention0.in.weight"] + w["attention0.in.bias"]).split(8, dim=2)
    mixed = scaled_dot_product_attention(*parts) @ w["attention0.out.weight"] + w["attention0.out.bias"]
    after = layer_norm((channels + mixed).reshape(40, 2, 16), (16,), w["norm.gain"], w["norm.shift"])
    codes = torch.tanh(after.reshape(40, 32) @ w["code.weight"] + w["code.bias"])
    np.testing.assert_allclose(made.codes(seen), codes.numpy(), atol=1e-5)


def test_every_epoch_of_a_teacher_is_shown(screen: io.StringIO) -> None:
    train_teacher(Seen.of(chunks(40)[0]), np.zeros((40, 0)), recipe=recipe(), seed=1)
    shown = dict.fromkeys(filter(None, screen.getvalue().split("\r\x1b[K")))
    assert list(shown) == [f"teacher: epoch {i} of 3" for i in (1, 2, 3)]


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every training of a teacher."""
    from bench.methods import lcdh

    done: list[int] = []

    def counted(*given: Any, **how: Any) -> Teacher:
        done.append(1)
        return train_teacher(*given, **how)

    monkeypatch.setattr(lcdh, "train_teacher", counted)
    return done


def kept_pool(folder: Path, n: int = 60, seed: int = 0) -> Chunk:
    pool = Trial(LCDH).chunks(items(n, seed=seed))[0]
    return dataclasses.replace(pool, shared=Shared(folder))


def test_runs_that_differ_in_lambda_use_one_teacher_with_the_same_bytes(
    trainings: list[int], tmp_path: Path
) -> None:
    made = []
    for lambda1 in (1.0, 0.1, 10.0):
        method = LCDH(bits=8, lambda1=lambda1, **SMALL)
        method.fit_pool(kept_pool(tmp_path))
        assert method.teacher_ is not None
        made.append(method.teacher_.codes(Seen.of(chunks(30)[0])).tobytes())
    assert len(trainings) == 1 and len(set(made)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 16},
        {"seed": 1},
        {"attention": 2},
        {"contrastive": 0.5},
        {"fusion": "concat"},
        {"fusion": "channels"},
        {"target": "labels"},
    ],
)
def test_another_recipe_is_another_teacher(
    change: dict[str, Any], trainings: list[int], tmp_path: Path
) -> None:
    for settings in ({}, change):
        LCDH(**{"bits": 8, **SMALL, **settings}).fit_pool(kept_pool(tmp_path))
    assert len(trainings) == 2


@pytest.mark.parametrize("change", [{"seed": 3}, {"n": 61}])
def test_another_pool_is_another_teacher(
    change: dict[str, int], trainings: list[int], tmp_path: Path
) -> None:
    for pool in (kept_pool(tmp_path), kept_pool(tmp_path, **change)):
        LCDH(bits=8, **SMALL).fit_pool(pool)
    assert len(trainings) == 2


def test_an_interrupted_training_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(teacher, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LCDH(bits=8, **SMALL).fit_pool(kept_pool(tmp_path))
    assert not list(tmp_path.glob("*.npz"))


# --- upper bounds


def test_students_of_clip_features_are_given_them_in_place_of_the_light_ones() -> None:
    trial, split = Trial(LCDHClip, {"teacher": "zero"}), items(80)
    method = trial.fit(split)
    assert isinstance(method, LCDHClip)
    assert method.features_["image"].mean.shape == (split.image.views["clip"].shape[1],)


def test_the_fused_oracle_gives_queries_the_teachers_codes_of_both_modalities() -> None:
    trial, split = Trial(LCDHFused, {"teacher": "zero"}), items(80)
    method = trial.fit(split)
    assert isinstance(method, LCDHFused) and method.teacher_ is not None
    taught = signs(method.teacher_.signal(Seen.of(split)))
    for m in MODALITIES:
        np.testing.assert_array_equal(method.encode(trial.asked(split, m), m), taught)


def test_the_table_calls_the_fused_teacher_an_oracle_that_is_not_cross_modal(tmp_path: Path) -> None:
    done = bench.run(
        methods="lcdh_fused[teacher=zero],lcdh[teacher=zero]",
        datasets="synthetic[n=200,queries=30]",
        bits="8",
        seeds=1,
        schedule="shuffled:100",
        results=str(tmp_path / "runs"),
    )
    assert {r.spec.method: r.reference for r in done.records} == {"lcdh_fused": "fused", "lcdh": ""}
    assert "an oracle, not cross-modal" in str(done.table())


# --- what cells of one pass share


def test_cells_that_differ_in_lambda_share_all_that_depends_on_neither_lambda_nor_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, asked = chunks(60, 50), []
    plain = Shared.once

    def noted(self: Shared, key: Any, compute: Any) -> Any:
        if key not in self._found:
            asked.append(key)
        return plain(self, key, compute)

    monkeypatch.setattr(Shared, "once", noted)
    counts = []
    for lambda1 in (1.0, 0.3, 3.0):
        fit(LCDH(bits=8, lambda1=lambda1, teacher="zero"), given)
        counts.append(len(asked))
    assert counts[0] > 10 and len(set(counts)) == 1
