"""The ridge to label codes: random hyperplanes on labels, and the ridge that maps features to them."""

from __future__ import annotations

import numpy as np

from bench.api import MODALITIES
from bench.checks.trial import Trial, items
from bench.methods.ridge_code import RidgeCode


def test_learned_codes_are_random_hyperplanes_of_the_labels() -> None:
    trial, split = Trial(RidgeCode), items(60)
    assert split.labels is not None
    method = trial.fit(split, bits=512)
    (chunk,) = trial.chunks(split)
    codes = method.encode_database(chunk, "image").astype(float)
    unit = split.labels / np.linalg.norm(split.labels, axis=1, keepdims=True)
    angle = np.arccos(np.clip(unit @ unit.T, -1, 1)) / np.pi
    np.testing.assert_allclose((1 - codes @ codes.T / 512) / 2, angle, atol=0.1)


def test_hash_functions_are_the_ridge_of_all_rows_however_they_are_cut() -> None:
    split = items(80)
    assert split.labels is not None
    method = Trial(RidgeCode).fit(split.take(slice(0, 30)), split.take(slice(30, 80)))
    assert isinstance(method, RidgeCode)
    codes = np.where(split.labels @ method.directions_ >= 0, 1, -1)
    for m in MODALITIES:
        x = split.batch(m).features.astype(float)
        expected = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ codes)
        np.testing.assert_allclose(method.w_[m], expected, atol=1e-8)
