"""Datasets of arrays in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bench
from bench.api import Dataset
from bench.data.memory import Arrays
from bench.errors import DataError
from bench.plugins import registry

ROWS = np.random.default_rng(0)
IMAGE: npt.NDArray[Any] = ROWS.standard_normal((40, 6)).astype(np.float32)
TEXT: npt.NDArray[Any] = (ROWS.random((40, 9)) < 0.4).astype(np.float32)
NUMBERS = np.arange(40) % 4


def loaded(made: Arrays) -> Dataset:
    """The dataset as a run loads it."""
    options = made.table()
    source = registry.get("dataset", options.pop("name"))(**{k: v for k, v in options.items() if k != "as"})
    dataset: Dataset = source.load(made.folder)
    return dataset


def tensor(array: npt.NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array).requires_grad_()


def sparse(array: npt.NDArray[Any]) -> Any:
    import scipy.sparse

    return scipy.sparse.coo_array(array)


def sparse_tensor(array: npt.NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array).to_sparse()


def rows(array: npt.NDArray[Any]) -> Any:
    return [tensor(row) for row in array]


def with_an_axis(array: npt.NDArray[Any]) -> Any:
    return array[:, None]


def frame(array: npt.NDArray[Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(array)


@pytest.mark.parametrize(
    "form", [np.asarray, tensor, sparse, sparse_tensor, rows, with_an_axis, frame, np.ndarray.tolist]
)
def test_every_form_of_a_matrix_gives_the_same_features(form: Any) -> None:
    made = loaded(bench.arrays(form(IMAGE), form(TEXT), NUMBERS))
    for part in (made.train, made.query):
        np.testing.assert_array_equal(part.image.features, IMAGE[part.ids])
        np.testing.assert_array_equal(part.text.features, TEXT[part.ids])


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        np.eye(4)[NUMBERS],
        sparse(np.eye(4)[NUMBERS]),
        frame(np.eye(4, dtype=int)[NUMBERS]),
        np.eye(4, dtype=int)[NUMBERS].tolist(),
        [np.array([n]) for n in NUMBERS],
        rows(NUMBERS[:, None] * 1.0),
        tensor(NUMBERS * 1.0),
        [[f"c{n}"] for n in NUMBERS],
        [f"c{n}" for n in NUMBERS],
    ],
)
def test_every_form_of_labels_gives_the_same_matrix(labels: Any) -> None:
    train = loaded(bench.arrays(IMAGE, TEXT, labels)).train
    assert train.labels is not None
    np.testing.assert_array_equal(train.labels, np.eye(4)[NUMBERS[train.ids]])


def test_lists_and_data_frames_name_the_classes() -> None:
    import pandas as pd

    named = pd.DataFrame(np.eye(4, dtype=int)[NUMBERS], columns=["a", "b", "c", "d"])
    assert loaded(bench.arrays(IMAGE, TEXT, named)).classes == ("a", "b", "c", "d")
    assert loaded(bench.arrays(IMAGE, TEXT, [["x", "y"], ["y"]] * 20)).classes == ("x", "y")


def test_queries_are_drawn_by_the_seed() -> None:
    drawn = [loaded(bench.arrays(IMAGE, TEXT, NUMBERS, seed=seed)).query.ids.tolist() for seed in (0, 0, 1)]
    assert len(drawn[0]) == 4
    assert drawn[0] == drawn[1] != drawn[2]


def test_queries_may_be_given() -> None:
    made = loaded(
        bench.arrays(IMAGE[:30], TEXT[:30], NUMBERS[:30], query=(IMAGE[30:], TEXT[30:], NUMBERS[30:]))
    )
    np.testing.assert_array_equal(made.query.image.features, IMAGE[30:])
    assert len(made.train) == 30


def test_equal_arrays_are_one_dataset_and_others_another() -> None:
    assert bench.arrays(IMAGE, TEXT, NUMBERS) == bench.arrays(IMAGE.copy(), TEXT, NUMBERS)
    assert bench.arrays(IMAGE, TEXT, NUMBERS) != bench.arrays(IMAGE + 1, TEXT, NUMBERS)


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        (IMAGE[:39], NUMBERS, "numbers of rows differ: image 39, text 40, labels 40"),
        (IMAGE[0], NUMBERS, "image is float32 of shape .6,.; expected numbers of shape"),
        (np.array([[object()]] * 40), NUMBERS, "Python objects of shape .40, 1."),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(image: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        bench.arrays(image, TEXT, labels)


def test_queries_that_are_given_and_drawn_are_refused() -> None:
    with pytest.raises(DataError, match="Drop queries"):
        bench.arrays(IMAGE, TEXT, NUMBERS, query=(IMAGE, TEXT, NUMBERS), queries=3)


def test_a_run_shows_the_name_of_the_dataset(tmp_path: Any) -> None:
    results = bench.run(
        methods="random_projection",
        datasets=[bench.arrays(IMAGE, TEXT, NUMBERS, name="toy"), "synthetic[n=200,queries=20]"],
        bits=8,
        seeds=1,
        train="all",
        schedule="shuffled:20",
        results=str(tmp_path),
    )
    assert [(r.spec.dataset_label, r.status) for r in results.filter(dataset="toy")] == [("toy", "ok")]
