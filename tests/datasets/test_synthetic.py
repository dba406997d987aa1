"""The generated dataset: reproducible, correlated, and hard enough to tell methods apart."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench import threads
from bench.api import MODALITIES, Dataset, Features
from bench.contract.validate import validate_dataset
from bench.datasets import synthetic
from bench.datasets.synthetic import BLOCK, Synthetic
from bench.errors import DataError, ParameterError

ROOT = Path()


@pytest.fixture(scope="module")
def default() -> Dataset:
    return Synthetic().load(ROOT)


def labels_of(data: Dataset, part: str = "train") -> Features:
    labels = getattr(data, part).labels
    return np.asarray(labels, np.float32)


def digest(data: Dataset) -> str:
    seen = hashlib.sha256()
    for split in (data.train, data.query):
        for x in (split.image.features, split.text.features, split.image.views["clip"], split.labels):
            seen.update(np.ascontiguousarray(x).data)
    return seen.hexdigest()


def mean_ap(scores: npt.NDArray[np.float32], relevant: npt.NDArray[np.bool_]) -> float:
    hits = np.take_along_axis(relevant, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(((precision * hits).sum(axis=1) / hits.sum(axis=1)).mean())


def relevant(data: Dataset) -> npt.NDArray[np.bool_]:
    return labels_of(data, "query") @ labels_of(data).T > 0


def unit(x: Features) -> Features:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-6))


def test_the_default_is_valid(default: Dataset) -> None:
    validate_dataset(default)


def test_equal_options_give_equal_arrays_in_another_process() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import importlib.util as u\n"
        "s = u.spec_from_file_location('t', sys.argv[2]); m = u.module_from_spec(s)\n"
        "sys.modules['t'] = m; s.loader.exec_module(m)\n"
        "sys.stdout.write(m.digest(m.Synthetic(n=300, queries=20).load(m.ROOT)))"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(root), __file__]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with threads.limit(1):  # as where the cache keeps it
        assert other == digest(Synthetic(n=300, queries=20).load(ROOT))


def test_another_seed_gives_another_dataset() -> None:
    one, two = (Synthetic(n=50, queries=5, seed=s).load(ROOT) for s in (0, 1))
    assert digest(one) != digest(two)


def test_a_smaller_dataset_is_the_beginning_of_a_larger_one() -> None:
    small, large = (Synthetic(n=n, queries=5).load(ROOT) for n in (BLOCK - 10, BLOCK + 10))
    np.testing.assert_array_equal(small.train.text.features, large.train.text.features[: BLOCK - 10])
    np.testing.assert_array_equal(small.train.image.features, large.train.image.features[: BLOCK - 10])


def test_items_of_later_blocks_are_not_those_of_the_first() -> None:
    train = Synthetic(n=BLOCK + 5, queries=5).load(ROOT).train
    assert not np.array_equal(train.image.features[:5], train.image.features[BLOCK:])


def test_every_item_has_a_label_and_a_word(default: Dataset) -> None:
    for split in (default.train, default.query):
        assert split.labels is not None
        assert split.labels.any(axis=1).all()
        assert split.text.features.any(axis=1).all()


def test_items_have_two_to_three_labels_on_average(default: Dataset) -> None:
    assert 2 <= labels_of(default).sum(axis=1).mean() <= 3


def test_the_base_rate_leaves_room_above_chance(default: Dataset) -> None:
    assert 0.3 <= relevant(default).mean() <= 0.5


def test_labels_are_correlated(default: Dataset) -> None:
    correlation = np.atleast_2d(np.corrcoef(labels_of(default).T))
    off_diagonal = np.abs(correlation[np.triu_indices_from(correlation, 1)])
    assert off_diagonal.max() > 0.2  # of 2400 independent items, none would exceed 0.1


def test_image_features_are_rectified_and_texts_are_sparse_and_binary(default: Dataset) -> None:
    image, text = default.train.image.features, default.train.text.features
    assert image.min() == 0
    assert set(np.unique(text)) == {0, 1}
    assert text.mean() < 0.2


def fitted(data: Dataset, modality: str) -> tuple[Features, Features]:
    """Label scores of the training items and the queries, by ridge regression."""
    train, query = (getattr(getattr(data, p), modality).features for p in ("train", "query"))
    mean, sd = train.mean(axis=0), train.std(axis=0) + 1e-6
    x, labels = (train - mean) / sd, labels_of(data)
    weights = np.linalg.solve(x.T @ x + 50 * np.eye(x.shape[1]), x.T @ (labels - labels.mean(axis=0)))
    return unit(x @ weights), unit((query - mean) / sd @ weights)


def test_real_valued_scores_beat_their_codes_and_both_beat_chance(default: Dataset) -> None:
    (_, query), (train, _) = fitted(default, "image"), fitted(default, "text")
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 24)))[0][:, :16]
    codes = [np.sign(x @ turn).astype(np.float32) for x in (query, train)]
    truth = relevant(default)
    real, hashed, chance = (
        mean_ap(query @ train.T, truth),
        mean_ap(codes[0] @ codes[1].T, truth),
        truth.mean(),
    )
    assert real > hashed + 0.05
    assert hashed > chance + 0.15


def test_unrelated_random_projections_are_near_chance(default: Dataset) -> None:
    rng = np.random.default_rng(0)
    codes = []
    for x in (default.query.image.features, default.train.text.features):
        codes.append(np.sign((x - x.mean(axis=0)) @ rng.standard_normal((x.shape[1], 32))).astype(np.float32))
    truth = relevant(default)
    assert abs(mean_ap(codes[0] @ codes[1].T, truth) - truth.mean()) < 0.03


def test_clip_views_match_across_modalities_without_training(default: Dataset) -> None:
    image, text = default.query.image.views["clip"], default.train.text.views["clip"]
    similarity = (image - image.mean(axis=0)) @ (text - text.mean(axis=0)).T
    truth = relevant(default)
    assert mean_ap(similarity, truth) > truth.mean() + 0.3


def test_clip_views_of_the_two_modalities_lie_apart(default: Dataset) -> None:
    image, text = (default.train.batch(m).views["clip"] for m in MODALITIES)
    gap = np.linalg.norm(image.mean(axis=0) - text.mean(axis=0))
    assert gap > 0.3
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)


def test_more_noise_makes_the_features_less_informative() -> None:
    scores = []
    for noise in (0.5, 3.0):
        data = Synthetic(noise=noise).load(ROOT)
        (_, query), (train, _) = fitted(data, "image"), fitted(data, "text")
        scores.append(mean_ap(query @ train.T, relevant(data)))
    assert scores[0] > scores[1] + 0.1


def test_drift_turns_features_late_in_the_stream_and_leaves_clip_and_labels() -> None:
    still, turned = (Synthetic(n=1000, queries=10, drift=d).load(ROOT).train for d in (0.0, 1.0))
    change = np.abs(still.image.features - turned.image.features).mean(axis=1)
    assert change[0] == 0
    assert change[-100:].mean() > 3 * change[:100].mean()
    np.testing.assert_array_equal(still.labels, turned.labels)
    np.testing.assert_array_equal(still.image.views["clip"], turned.image.views["clip"])


def test_drift_makes_an_early_map_worse_late_in_the_stream() -> None:
    """Early and late are the two halves' ends, and only the drift differs between the two datasets."""
    late = {}
    for drift in (0.0, 1.0):
        train = Synthetic(n=4000, queries=5, drift=drift).load(ROOT).train
        assert train.labels is not None
        x, y = train.text.features, train.labels - train.labels.mean(axis=0)
        weights = np.linalg.solve(x[:1500].T @ x[:1500] + 50 * np.eye(x.shape[1]), x[:1500].T @ y[:1500])
        late[drift] = float(((x[-1000:] @ weights - y[-1000:]) ** 2).mean() / (y[-1000:] ** 2).mean())
    assert late[1.0] > late[0.0] + 0.03


@pytest.mark.parametrize("classes", [2, 80])
def test_any_number_of_classes_is_possible(classes: int) -> None:
    data = Synthetic(n=200, queries=20, classes=classes).load(ROOT)
    validate_dataset(data)
    assert labels_of(data).shape == (200, classes)


def test_an_impossible_option_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="n must be"):
        Synthetic(n=0)


def test_items_made_in_a_file_equal_those_made_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Synthetic(n=BLOCK + 10, queries=5, drift=0.5).load(ROOT)
    monkeypatch.setattr(synthetic, "IN_MEMORY", 100)
    mapped = Synthetic(n=BLOCK + 10, queries=5, drift=0.5).load(ROOT)
    assert isinstance(mapped.train.image.features, np.memmap)
    assert digest(mapped) == digest(whole)


def test_a_full_temporary_folder_is_reported_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "IN_MEMORY", 100)

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=r"cannot hold 200 rows .*No space left.* Set TMPDIR"):
        Synthetic(n=200, queries=5).load(ROOT)


@pytest.mark.slow
def test_half_a_million_pairs_are_made_in_little_memory() -> None:
    """Pages of the temporary file that nobody maps are none of the process's memory."""
    import tracemalloc

    tracemalloc.start()
    Synthetic(n=500_000, queries=10).load(ROOT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
