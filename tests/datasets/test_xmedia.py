"""XMedia: miniature feature files, named as SKDCH's code names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.datasets.xmedia import Xmedia
from bench.errors import DataError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Six pairs in the database and three in test, of three classes, and a pickled list of paths."""
    home = tmp_path / "xmedia"
    home.mkdir()
    rng = np.random.default_rng(0)
    for part, n in {"database": 6, "test": 3}.items():
        np.save(home / f"img_{part}.npy", rng.normal(size=(n, 5)))
        np.save(home / f"texts_{part}.npy", rng.normal(size=(n, 4)))
        for kind in ("img", "txt"):
            np.save(home / f"labels_{part}_{kind}.npy", np.eye(3)[np.arange(n) % 3])
        np.save(home / f"{part}_img_path_list.npy", np.array([object()] * n), allow_pickle=True)
    return tmp_path


def test_the_database_is_the_stream_and_test_the_queries(copy: Path) -> None:
    data = Xmedia().load(copy)
    assert data.train.image.features.shape == (6, 5)
    assert data.query.text.features.shape == (3, 4)


def test_features_are_the_files_values(copy: Path) -> None:
    stored = np.load(copy / "xmedia" / "texts_test.npy").astype(np.float32)
    assert np.array_equal(Xmedia().load(copy).query.text.features, stored)


def test_train_and_query_share_no_id(copy: Path) -> None:
    data = Xmedia().load(copy)
    assert not set(data.train.ids) & set(data.query.ids)


def test_an_image_and_a_text_of_different_classes_are_refused(copy: Path) -> None:
    np.save(copy / "xmedia" / "labels_test_txt.npy", np.eye(3)[[0, 2, 2]])
    with pytest.raises(DataError, match=r"labels_test_txt\.npy: row 1 differs"):
        Xmedia().load(copy)


def test_different_numbers_of_rows_are_refused(copy: Path) -> None:
    np.save(copy / "xmedia" / "img_test.npy", np.zeros((2, 5)))
    with pytest.raises(DataError, match="files of test have 2, 3, 3 and 3 rows"):
        Xmedia().load(copy)


def test_labels_of_other_values_are_refused(copy: Path) -> None:
    np.save(copy / "xmedia" / "labels_test_img.npy", np.full((3, 3), 2))
    with pytest.raises(DataError, match=r"labels_test_img\.npy: holds more than 0 and 1"):
        Xmedia().load(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "xmedia" / "texts_test.npy").unlink()
    with pytest.raises(DataError, match=r"texts_test\.npy: no such file"):
        Xmedia().load(copy)


def test_a_copy_keeps_the_contract(copy: Path) -> None:
    assert main(["check", "xmedia", "--data-root", str(copy)]) == 0
