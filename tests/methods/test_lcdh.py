"""LCDH, our reconstruction: its objective against brute force, its teacher, and what it finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from bench.api import MODALITIES, Batch, Chunk, Modality, Shared
from bench.checks.trial import only
from bench.errors import ContractError, DataError, ParameterError
from bench.methods._online import Factor, RunningGram
from bench.methods._scaling import Scaling
from bench.methods.lcdh import LCDH, with_ones
from bench.methods.lcdh.history import Group, History, Signals, UnitRows
from bench.methods.lcdh.linear import principal_axes, rotated_axes, unit_rows
from bench.methods.lcdh.student import (
    ClosedForm,
    HashFunction,
    Part,
    Regressions,
    descend,
    descended_codes,
    objective,
    signs,
)
from bench.methods.lcdh.teacher import Recipe, Seen, Teacher, project_teacher, target, train_teacher

Array = np.ndarray[Any, Any]
SMALL: dict[str, Any] = {
    "teacher_width": 32,
    "heads": 4,
    "teacher_epochs": 10,
    "anchors": 60,
    "student": "linear",
}


def make(n: int = 60, *, seed: int = 0, round: int = 0, classes: int = 5) -> Chunk:
    """Pairs whose features are noisy linear images of their labels; CLIP's are the least noisy."""
    rng = np.random.default_rng(seed)
    labels = np.eye(classes, dtype=np.uint8)[rng.integers(classes, size=n)]
    labels |= (rng.random((n, classes)) < 0.1).astype(np.uint8)
    maps = np.random.default_rng(99)

    def view(d: int, noise: float) -> Array:
        clean = labels @ maps.standard_normal((classes, d)) + 2.0
        return (clean + noise * rng.standard_normal((n, d))).astype(np.float32)

    image, text = Batch(view(24, 1.0), {"clip": view(16, 0.4)}), Batch(view(18, 1.0), {"clip": view(12, 0.4)})
    return Chunk(round=round, image=image, text=text, labels=labels, ids=np.arange(n))


def relabel(chunk: Chunk, labels: Array | None) -> Chunk:
    return Chunk(round=chunk.round, image=chunk.image, text=chunk.text, labels=labels, ids=chunk.ids)


def part(chunk: Chunk, rows: slice | Array) -> Chunk:
    taken = chunk.take(rows)
    return Chunk(round=chunk.round, image=taken.image, text=taken.text, labels=taken.labels, ids=taken.ids)


def plain(batch: Batch) -> Batch:
    return Batch(batch.features)


def trained(chunk: Chunk, *, seed: int = 0, **settings: Any) -> LCDH:
    """A method whose pool was ``chunk``, as under pool=first_chunk."""
    method = LCDH(bits=16, seed=seed, **{**SMALL, **settings})
    method.fit_pool(chunk)
    return method


def stream(method: LCDH, *chunks: Chunk) -> Array:
    codes = []
    for chunk in chunks:
        method.fit_chunk(chunk)
        codes.append(method.encode_database(chunk, "image"))
    return np.concatenate(codes)


def mean_ap(query: Array, database: Array, query_labels: Array, labels: Array) -> float:
    """Mean average precision, ties broken at random."""
    jitter = 0.5 * np.random.default_rng(0).random((len(query), len(database)))
    order = np.argsort(-(query.astype(float) @ database.T) + jitter, axis=1)
    hits = np.take_along_axis(query_labels.astype(int) @ labels.T > 0, order, axis=1)
    precision = np.cumsum(hits, axis=1) / np.arange(1, len(database) + 1)
    return float(np.mean((precision * hits).sum(axis=1) / hits.sum(axis=1)))


def cross_modal(method: LCDH, database: Chunk, *, seed: int = 7) -> tuple[float, float]:
    """mAP of encoded text among encoded images on new queries, and what random ranking gives."""
    query = make(150, seed=seed)
    q, d = method.encode(plain(query.text), "text"), method.encode(plain(database.image), "image")
    labels = make(len(database), seed=0).labels  # the true ones, whatever the method was shown
    assert query.labels is not None and labels is not None
    return mean_ap(q, d, query.labels, labels), float(np.mean(query.labels.astype(int) @ labels.T > 0))


class Problem(NamedTuple):
    """One round on 60 new items against 90 old ones, with everything that brute force needs."""

    history: History
    old: Signals
    old_codes: Array
    new: Signals
    functions: dict[Modality, HashFunction]
    phis: dict[Modality, Array]
    old_phis: dict[Modality, Array]

    @property
    def groups(self) -> list[Group]:
        groups: list[Group] = self.history.groups(self.new, lambda1=0.7, lambda2=1.3)
        return groups


def problem(*, bits: int = 8, unlabelled: bool = False) -> Problem:
    rng = np.random.default_rng(3)

    def signals(n: int) -> Signals:
        labels = (rng.random((n, 4)) < 0.4).astype(float)
        labels[:, 0] = 1.0
        if unlabelled:
            labels[::3] = 0.0
        taught = np.sqrt(bits) * unit_rows(rng.standard_normal((n, bits)))
        features = UnitRows.of(
            [np.column_stack([rng.standard_normal((n, 6)), np.ones(n)]).astype(np.float32)]
        )
        return Signals(taught, unit_rows(labels), features)

    old, new, old_codes = signals(90), signals(60), signs(rng.standard_normal((90, bits)))
    history = History.empty(bits)
    history.add(old, old_codes)
    functions = ClosedForm.new().functions
    phis: dict[Modality, Array] = {}
    old_phis: dict[Modality, Array] = {}
    for m, d in zip(MODALITIES, (7, 5), strict=True):
        x = rng.standard_normal((150, d))
        scaled = with_ones(Scaling.fit(x[:90])(x))
        old_phis[m], phis[m] = scaled[:90], scaled[90:]
        functions[m].gram.take_in(old_phis[m], 1.0)
        functions[m].cross = old_phis[m].T @ old_codes
    return Problem(history, old, old_codes, new, functions, phis, old_phis)


def with_new_items(p: Problem) -> dict[Modality, Factor]:
    """Add the new items to the Gram matrices; their factors."""
    return {m: f.gram.take_in(p.phis[m], 1.0).factor(0.1) for m, f in p.functions.items()}


def regressions(p: Problem) -> Regressions:
    """Those of the new items, whose Φ this adds to the Gram matrices."""
    narrow = {m: phi.astype(np.float32) for m, phi in p.phis.items()}
    return Regressions(p.functions, Part(p.new, p.phis, narrow, Shared(), (), 1.0), 0.1)


def brute_force(p: Problem, codes: Array, *, alpha: float, eta: float) -> float:
    """F with every matrix written out: 60 x 90 similarities and all 150 rows of the regressions."""
    k = codes.shape[1]
    assert p.new.taught is not None and p.old.taught is not None
    total = 0.7 / 90 * np.sum((codes @ p.old_codes.T - p.new.taught @ p.old.taught.T) ** 2)
    known, seen = p.new.labels.any(axis=1), p.old.labels.any(axis=1)
    of_labels = k * (2.0 * p.new.labels[known] @ p.old.labels[seen].T - 1.0)
    total += 1.3 / seen.sum() * np.sum((codes[known] @ p.old_codes[seen].T - of_labels) ** 2)
    of_features = 2.0 * k * p.new.features.array()[~known] @ p.old.features.array().T
    total += 1.3 / 90 * np.sum((codes[~known] @ p.old_codes.T - of_features) ** 2)
    for m, function in p.functions.items():
        w, new, old = function.weights, p.phis[m], p.old_phis[m]
        assert w is not None
        total += alpha * np.sum((codes - new @ w) ** 2) + alpha * np.sum((p.old_codes - old @ w) ** 2)
        total += alpha * eta * 150 * np.sum(w**2)
    return float(total)


def solve_hash_functions(p: Problem, codes: Array, *, eta: float) -> None:
    for m, function in p.functions.items():
        function.learn(function.gram.factor(eta), p.phis[m], codes)


# --- the objective and its descent


@pytest.mark.parametrize("unlabelled", [False, True])
def test_sums_give_the_objective_that_brute_force_gives(unlabelled: bool) -> None:
    p = problem(unlabelled=unlabelled)
    with_new_items(p)
    rng = np.random.default_rng(0)
    exact, summed = [], []
    for _ in range(3):
        codes = signs(rng.standard_normal((60, 8)))
        solve_hash_functions(p, signs(rng.standard_normal((60, 8))), eta=0.1)
        exact.append(brute_force(p, codes, alpha=0.3, eta=0.1))
        summed.append(objective(codes, p.groups, p.functions, p.phis, alpha=0.3, eta=0.1))
    np.testing.assert_allclose(np.diff(summed), np.diff(exact), rtol=1e-5 if unlabelled else 1e-9)


@pytest.mark.parametrize("unlabelled", [False, True])
def test_no_step_raises_the_objective(unlabelled: bool) -> None:
    p = problem(unlabelled=unlabelled)
    with_new_items(p)
    codes = signs(np.random.default_rng(1).standard_normal((60, 8)))
    solve_hash_functions(p, signs(np.random.default_rng(2).standard_normal((60, 8))), eta=0.1)
    trace = [brute_force(p, codes, alpha=0.3, eta=0.1)]
    for _ in range(4):
        projected = np.sum([f.project(p.phis[m]) for m, f in p.functions.items()], axis=0)
        for rows, pull, coupling in p.groups:
            part = codes[rows]
            descend(part, pull + 0.3 * projected[rows], coupling, sweeps=1)
            codes[rows] = part
        trace.append(brute_force(p, codes, alpha=0.3, eta=0.1))
        solve_hash_functions(p, codes, eta=0.1)
        trace.append(brute_force(p, codes, alpha=0.3, eta=0.1))
    assert np.all(np.diff(trace) <= 1e-9 * abs(trace[0]))
    assert trace[2] < 0.9 * trace[0]


def test_more_iterations_never_end_at_a_higher_objective() -> None:
    ends = []
    for iterations in range(4):
        p = problem(unlabelled=True)
        groups, hashing = p.groups, regressions(p)
        codes = descended_codes(groups, hashing, alpha=0.3, iterations=iterations, sweeps=1)
        solve_hash_functions(p, codes, eta=0.1)
        ends.append(objective(codes, groups, p.functions, p.phis, alpha=0.3, eta=0.1))
    assert np.all(np.diff(ends) <= 1e-9 * abs(ends[0]))
    assert ends[-1] < ends[0]


def test_each_bit_of_a_sweep_is_the_best_of_its_two_values() -> None:
    rng = np.random.default_rng(0)
    history = signs(rng.standard_normal((50, 6)))
    coupling, pull = history.T @ history / 50, rng.standard_normal((40, 6))
    codes = signs(rng.standard_normal((40, 6)))
    descend(codes, pull, coupling, sweeps=50)  # to a fixed point

    def value(b: Array) -> Array:
        return np.asarray(np.einsum("ij,jl,il->i", b, coupling, b) - 2.0 * np.sum(b * pull, axis=1))

    for bit in range(6):
        flipped = codes.copy()
        flipped[:, bit] *= -1.0
        assert np.all(value(codes) <= value(flipped) + 1e-12)


def test_history_pins_what_similarities_within_a_chunk_leave_free() -> None:
    p = problem()
    codes = descended_codes(p.groups, regressions(p), alpha=0.0, iterations=2, sweeps=2)
    rng = np.random.default_rng(5)
    turned = (codes * signs(rng.standard_normal(8)))[:, rng.permutation(8)]
    np.testing.assert_array_equal(turned @ turned.T, codes @ codes.T)
    here, there = (brute_force(p, b, alpha=0.0, eta=0.1) for b in (codes, turned))
    assert there > 1.05 * here


@pytest.mark.parametrize("sizes", [(120,), (50, 70), (40, 40, 1, 39)])
def test_hash_functions_equal_one_ridge_regression_on_all_codes_given(sizes: tuple[int, ...]) -> None:
    whole = make(120)
    method = trained(make(60, seed=4))
    cuts = np.split(np.arange(120), np.cumsum(sizes)[:-1])
    codes = stream(method, *(part(whole, rows) for rows in cuts)).astype(float)
    for modality in MODALITIES:
        assert isinstance(method.linear_, ClosedForm)
        weights = method.linear_.functions[modality].weights
        phi = with_ones(method.features_[modality](whole.batch(modality).features)).astype(float)
        batch = np.linalg.solve(phi.T @ phi + 0.1 * 120 * np.eye(phi.shape[1]), phi.T @ codes)
        assert weights is not None
        np.testing.assert_allclose(weights, batch, atol=1e-8)


def test_without_distillation_the_teacher_moves_nothing_once_the_history_has_begun() -> None:
    codes = []
    for other in (False, True):
        method = trained(make(60), lambda1=0.0, codes="dcc")
        if other:
            method.teacher_ = trained(make(60, seed=8), seed=8).teacher_
        codes.append(stream(method, make(60), make(60, seed=1, round=1)))
    np.testing.assert_array_equal(codes[0], codes[1])
    method = trained(make(60), lambda1=1.0, codes="dcc")
    method.teacher_ = trained(make(60, seed=8), seed=8).teacher_
    assert np.any(stream(method, make(60), make(60, seed=1, round=1)) != codes[0])


def test_the_teacher_says_nothing_of_classes_that_its_pool_lacks() -> None:
    """What CLIP sees of items of new classes moves no code; of known classes, of unlabelled items it does."""
    first, later = make(60), make(80, seed=1, round=1)
    assert first.labels is not None and later.labels is not None
    early = first.labels.copy()
    early[:, 0], early[:, 3:] = 1, 0
    other = make(80, seed=2)

    def codes(labels: Array, clip: Chunk) -> Array:
        seen = {m: Batch(later.batch(m).features, clip.batch(m).views) for m in MODALITIES}
        chunk = Chunk(round=1, image=seen["image"], text=seen["text"], labels=labels, ids=later.ids)
        pool = relabel(first, early)
        return stream(trained(pool, lambda1=1.0, teacher="zero"), pool, chunk)[60:]

    rows = np.array([[0, 0, 0, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], np.uint8)
    new, known, none = (np.tile(row, (80, 1)) for row in rows)
    np.testing.assert_array_equal(codes(new, later), codes(new, other))
    assert np.any(codes(known, later) != codes(known, other))
    assert np.any(codes(none, later) != codes(none, other))


@pytest.mark.parametrize("student", ["linear", "hidden"])
@pytest.mark.parametrize("pool", [False, True])
def test_a_modality_that_arrives_later_is_scaled_by_its_own_first_items(student: Any, pool: bool) -> None:
    found = []
    for unit in (1.0, 1024.0):
        method = LCDH(bits=16, **{**SMALL, "student": student, "epochs": 2})
        first, later = only(make(60), "image"), only(make(60, seed=1, round=1), "text")
        text = dataclasses.replace(later.text, features=later.text.features * np.float32(unit))
        later = dataclasses.replace(later, text=text)
        if pool:
            method.fit_pool(first)
        method.fit_chunk(first)
        with pytest.raises(DataError, match="met no text yet"):
            method.outputs(plain(later.text), "text")
        method.fit_chunk(later)
        found.append(method.encode(plain(later.text), "text"))
    np.testing.assert_array_equal(found[0], found[1])
    assert 0.2 < np.mean(found[0] > 0) < 0.8


def test_a_teacher_says_nothing_of_items_without_a_modality_that_it_reads() -> None:
    image, text, both = (Seen.of(chunk) for chunk in (only(make(), "image"), only(make(), "text"), make()))
    for teacher in (
        teach(fusion="image", epochs=1),
        project_teacher(image, bits=8, rng=np.random.default_rng(0)),
    ):
        assert not teacher.signal(text).any()
        assert teacher.signal(image).any(axis=1).all()
        np.testing.assert_allclose(teacher.signal(both), teacher.signal(image), atol=1e-5)


def test_unit_rows_multiply_as_the_matrix_that_they_stand_for() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 4)), rng.standard_normal((9, 3))
    x[2], y[5] = 0.0, 0.0  # one modality is absent
    given = UnitRows.of([np.column_stack([v, v.any(axis=1)]).astype(np.float32) for v in (x, y)])
    expected = unit_rows(np.hstack([unit_rows(x), unit_rows(y)]))
    np.testing.assert_allclose(given.array(), expected, atol=1e-5)
    a, b = rng.standard_normal((7, 2)), rng.standard_normal((9, 2))
    np.testing.assert_allclose(given.times(a), expected @ a, atol=1e-5)
    np.testing.assert_allclose(given.cross(b), expected.T @ b, atol=1e-5)
    np.testing.assert_allclose(given.take(np.array([1, 5])).array(), expected[[1, 5]], atol=1e-5)


# --- linear maps


def test_all_principal_axes_change_no_ridge_regression() -> None:
    x = np.random.default_rng(0).standard_normal((40, 6)) @ np.diag([5, 4, 3, 2, 1, 0.1])
    scaling = Scaling.fit(x)
    turned = np.column_stack([scaling(x) @ principal_axes(scaling(x).astype(float), 6), np.ones(40)])
    y = signs(np.random.default_rng(1).standard_normal((40, 3)))
    fitted = []
    for phi in (with_ones(scaling(x)).astype(float), turned):
        gram = RunningGram()
        gram.add(phi)
        fitted.append(phi @ gram.factor(4.0).solve(phi.T @ y))
    np.testing.assert_allclose(fitted[0], fitted[1], atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_principal_axes_are_orthonormal_and_carry_the_most_variance(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    axes = principal_axes(x, 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-10)
    singular = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(x @ axes, axis=0), singular[:3], rtol=1e-9)


def test_itq_brings_projections_nearer_to_their_signs() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 12)) @ np.diag(np.linspace(4, 1, 12))
    x -= x.mean(axis=0)
    gaps = []
    for iterations in (0, 30):
        projected = x @ rotated_axes(x, 8, iterations=iterations, rng=np.random.default_rng(1))
        gaps.append(np.sum((projected - signs(projected)) ** 2))
    assert gaps[1] < gaps[0]


def test_more_bits_than_directions_still_give_codes_that_differ() -> None:
    x = np.random.default_rng(0).standard_normal((100, 4))
    codes = signs(x @ rotated_axes(x, 16, iterations=20, rng=np.random.default_rng(0)))
    assert codes.shape == (100, 16)
    assert len(np.unique(codes, axis=1).T) > 4


# --- the teacher


def recipe(**changes: Any) -> Recipe:
    base: dict[str, Any] = {
        "bits": 16, "width": 32, "heads": 4, "attention": 1, "fusion": "product", "epochs": 15,
        "contrastive": 0.1, "tau": 0.1, "target": "labels", "device": "cpu",
    }  # fmt: skip
    return Recipe(**{**base, **changes})


def teach(n: int = 200, *, labels: bool = True, seed: int = 0, **changes: Any) -> Teacher:
    pool = make(n, seed=11)
    assert pool.labels is not None
    known = unit_rows(pool.labels) if labels else np.zeros((n, 0))
    return train_teacher(Seen.of(pool), known, recipe=recipe(**changes), seed=seed)


def gap(teacher: Teacher, chunk: Chunk, labels: Array) -> float:
    """Mean squared difference between the teacher's similarities of pairs and the target of its training."""
    import torch

    seen = Seen.of(chunk)
    assert teacher.image is not None and teacher.text is not None
    inputs = torch.from_numpy(teacher.image(seen.image)), torch.from_numpy(teacher.text(seen.text))
    h = teacher.codes(seen)
    return float(np.mean((h @ h.T / 16 - target(*inputs, torch.from_numpy(labels)).numpy()) ** 2))


@pytest.mark.parametrize("attention", [0, 1, 2])
def test_a_teacher_code_does_not_depend_on_the_batch(attention: int) -> None:
    teacher = teach(epochs=2, attention=attention)
    new = make(50, seed=12)
    seen = Seen.of(new)
    together = teacher.codes(seen)
    alone = np.concatenate([teacher.codes(seen.take(slice(i, i + 1))) for i in range(50)])
    np.testing.assert_allclose(alone, together, atol=1e-6)
    back = teacher.codes(seen.take(slice(None, None, -1)))[::-1]
    np.testing.assert_allclose(back, together, atol=1e-6)


def test_teacher_codes_lie_strictly_within_plus_and_minus_one() -> None:
    new = make(50, seed=12)
    h = teach(epochs=2).codes(Seen.of(new))
    assert np.abs(h).max() < 1.0


@pytest.mark.parametrize("labels", [True, False])
def test_training_brings_similarities_of_new_pairs_nearer_to_the_target(labels: bool) -> None:
    new = make(150, seed=12)
    assert new.labels is not None
    g = unit_rows(new.labels) if labels else np.zeros((150, 0))
    early, late = (gap(teach(epochs=epochs, labels=labels), new, g) for epochs in (1, 30))
    assert late < 0.75 * early


def test_equal_seeds_train_equal_teachers_and_leave_torchs_own_generator_alone() -> None:
    import torch

    before = torch.get_rng_state()
    first, second, other = (teach(epochs=2, seed=s) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    for name, weight in first.weights.items():
        np.testing.assert_array_equal(second.weights[name], weight)
    assert np.any(other.weights["code.weight"] != first.weights["code.weight"])


def test_pairs_with_labels_have_the_labels_similarity_as_target_and_others_the_affinity() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(6, d, generator=generator) for d in (5, 4))
    g = torch.eye(3)[[0, 0, 1, 1, 2, 2]]
    g[4:] = 0.0
    mixed, free = target(image, text, g), target(image, text, torch.zeros(6, 0))
    torch.testing.assert_close(mixed[:4, :4], 2.0 * g[:4] @ g[:4].T - 1.0)
    torch.testing.assert_close(mixed[4:], free[4:])
    torch.testing.assert_close(mixed[:, 4:], free[:, 4:])
    assert free.abs().max() <= 1.0
    torch.testing.assert_close(free, free.T)


def test_a_mixed_target_lies_halfway_between_labels_and_affinity() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(6, d, generator=generator) for d in (5, 4))
    g = torch.eye(3)[[0, 0, 1, 1, 2, 2]]
    ends = [target(image, text, g, share=share) for share in (0.0, 1.0)]
    torch.testing.assert_close(target(image, text, g, share=0.5), 0.5 * (ends[0] + ends[1]))
    torch.testing.assert_close(ends[0], target(image, text, torch.zeros(6, 0)))


def test_teacher_similarities_have_the_range_of_code_similarities() -> None:
    seen = Seen.of(make(80, seed=12))
    for teacher in (teach(epochs=2), project_teacher(seen, bits=16, rng=np.random.default_rng(0))):
        h = teacher.signal(seen)
        np.testing.assert_allclose(np.sum(h * h, axis=1), 16.0)


def test_importing_lcdh_and_running_it_without_a_trained_teacher_needs_no_torch(
    python: Callable[..., str],
) -> None:
    program = """
import sys
import numpy as np
from bench.api import Batch, Chunk
from bench.methods._scaling import Scaling
from bench.methods.lcdh import LCDH, with_ones
rng = np.random.default_rng(0)
x = lambda d: rng.standard_normal((30, d)).astype(np.float32)
chunk = Chunk(round=0, image=Batch(x(6), {"clip": x(7)}), text=Batch(x(5), {"clip": x(8)}), labels=None,
              ids=np.arange(30))
for pool in (False, True):
    method = LCDH(bits=8, teacher="zero", student="linear")
    if pool:
        method.fit_pool(chunk)
    method.fit_chunk(chunk)
    method.encode(chunk.image, "image")
print("torch" in sys.modules)
"""
    assert python(program).strip() == "False"


# --- what it refuses


def test_learned_codes_of_another_chunk_than_the_last_are_refused() -> None:
    method = trained(make(60))
    method.fit_chunk(make(60))
    with pytest.raises(ContractError, match="got a chunk of 59"):
        method.encode_database(make(59), "image")


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ParameterError, match="multiple of heads; got 32 and 5"):
        LCDH(bits=16, teacher_width=32, heads=5)


# --- what it is for


def test_queries_of_one_modality_find_the_other_far_better_than_chance() -> None:
    for labels in (True, False):
        whole = make(400)
        shown = whole if labels else relabel(whole, None)
        method = trained(part(shown, slice(0, 200)))
        stream(method, part(shown, slice(0, 200)), part(shown, slice(200, 400)))
        found, chance = cross_modal(method, whole)
        assert found > chance + 0.3, f"labels={labels}: {found:.3f} against {chance:.3f}"


def found_by_text(method: LCDH, shown: Chunk) -> tuple[float, float]:
    """mAP of encoded texts among the learned codes of two chunks, and what random ranking gives.

    Learned codes: encoded ones beat chance even when B is random, since both modalities learn one B.
    """
    database = stream(method, part(shown, slice(0, 200)), part(shown, slice(200, 400)))
    query, labels = make(150, seed=7), make(400).labels  # the true labels, whatever the method was shown
    assert query.labels is not None and labels is not None
    codes = method.encode(plain(query.text), "text")
    return mean_ap(codes, database, query.labels, labels), float(
        np.mean(query.labels.astype(int) @ labels.T > 0)
    )


@pytest.mark.parametrize("shuffled", [True, False])
def test_labels_alone_are_learned_and_shuffled_ones_give_chance(shuffled: bool) -> None:
    whole = make(400)
    assert whole.labels is not None
    rows = np.random.default_rng(0).permutation(400) if shuffled else np.arange(400)
    shown = relabel(whole, whole.labels[rows])
    method = trained(part(shown, slice(0, 200)), lambda1=0.0, alpha=0.0)
    found, chance = found_by_text(method, shown)
    assert abs(found - chance) < 0.05 if shuffled else found > chance + 0.3, f"{found:.3f} {chance:.3f}"


@pytest.mark.parametrize("shuffled", [True, False])
def test_clip_alone_is_learned_from_and_that_of_other_items_gives_chance(shuffled: bool) -> None:
    whole = relabel(make(400), None)
    rows = np.random.default_rng(0).permutation(400) if shuffled else np.arange(400)
    image, text = (Batch(b.features, {"clip": b.views["clip"][rows]}) for b in (whole.image, whole.text))
    shown = Chunk(round=0, image=image, text=text, labels=None, ids=whole.ids)
    method = trained(part(shown, slice(0, 200)), lambda2=0.0, alpha=0.0)
    found, chance = found_by_text(method, shown)
    assert abs(found - chance) < 0.05 if shuffled else found > chance + 0.3, f"{found:.3f} {chance:.3f}"
