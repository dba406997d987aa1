"""Raw data from pixels through open_clip to a study, without a download or a prepared view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import MODALITIES, Dataset
from bench.checks.suite import check_dataset
from bench.contract.validate import validate_dataset
from bench.datasets.scenes import CLIP, Scenes, shipped
from bench.encoders import colour
from bench.plugins import registry


@pytest.fixture(scope="module")
def small() -> Dataset:
    return Scenes(n=240, queries=40).load(Path("nowhere"))


def test_it_loads_without_a_data_root_and_is_valid(small: Dataset) -> None:
    validate_dataset(small)
    assert (len(small.train), len(small.query)) == (240, 40)


def test_features_are_light_and_the_view_is_clip_in_one_space(small: Dataset) -> None:
    for split in (small.train, small.query):
        widths = {split.batch(m).views["clip"].shape[1] for m in MODALITIES}
        assert widths == {64}
        for m in MODALITIES:
            assert split.batch(m).features.shape[1] != 64
            np.testing.assert_allclose(np.linalg.norm(split.batch(m).views["clip"], axis=1), 1, atol=1e-5)


def test_it_keeps_the_contract_of_datasets() -> None:
    check_dataset(Scenes, Path(), raising=True, n=40, queries=10)


def test_every_row_belongs_to_its_raw_item(small: Dataset) -> None:
    """A dataset of one pair gives the same features: pictures alone decide them, words by their names."""
    one = Scenes(n=1, queries=1).load(Path())
    np.testing.assert_allclose(one.train.image.features[0], small.train.image.features[0], atol=1e-6)
    for m in MODALITIES:
        for part in ("train", "query"):
            a, b = (getattr(data, part).batch(m).views["clip"][0] for data in (one, small))
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_without_clip_there_is_no_view() -> None:
    data = Scenes(n=20, queries=5, clip=None).load(Path())
    assert not data.train.image.views
    assert not any(CLIP in path.parents for path in Scenes(clip=None).files(Path()))


def test_another_checkpoint_or_code_of_views_is_another_entry_of_the_cache() -> None:
    files = Scenes(n=20).files(Path())
    assert CLIP / "open_clip_model.safetensors" in files
    assert Path(colour.__file__) in files


def test_any_view_can_be_the_features() -> None:
    data = Scenes(n=20, queries=5, image="hog", text="tfidf:1", clip=None).load(Path())
    np.testing.assert_allclose(np.linalg.norm(data.train.text.features, axis=1), 1, atol=1e-5)


def test_the_shipped_views_are_those_of_the_pictures_and_captions(small: Dataset) -> None:
    shipped_ = Scenes().load(Path())
    for part in ("train", "query"):
        for m in MODALITIES:
            new, old = (getattr(data, part).batch(m) for data in (small, shipped_))
            np.testing.assert_allclose(old.views["clip"][: len(new)], new.views["clip"], atol=1e-5)
        colours = getattr(small, part).image.features
        np.testing.assert_allclose(getattr(shipped_, part).image.features[: len(colours)], colours, atol=1e-6)


@pytest.mark.slow
def test_the_shipped_views_are_complete() -> None:
    source = Scenes()
    new, old = source.extract(source.raw(Path()), Path()), source.load(Path())
    for part in ("train", "query"):
        np.testing.assert_array_equal(getattr(new, part).labels, getattr(old, part).labels)
        for m in MODALITIES:
            rows, shipped_ = (getattr(data, part).batch(m) for data in (new, old))
            np.testing.assert_allclose(shipped_.features, rows.features, atol=1e-6)
            np.testing.assert_allclose(shipped_.views["clip"], rows.views["clip"], atol=1e-5)


def test_the_default_dataset_loads_without_torch_and_pictures(python: Callable[..., str]) -> None:
    code = (
        "import sys; from pathlib import Path; from bench.datasets.scenes import Scenes\n"
        "Scenes().load(Path())\n"
        "print({'torch', 'open_clip', 'PIL'} & set(sys.modules))"
    )
    assert python(code).strip() == "set()"


def test_damaged_views_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "views.npz"
    damaged.write_bytes(shipped.VIEWS.read_bytes()[:-1])
    monkeypatch.setattr(shipped, "VIEWS", damaged)
    assert shipped.read() is None
    assert "missing or damaged" in caplog.text


def test_the_shipped_views_are_below_two_megabytes() -> None:
    assert shipped.VIEWS.stat().st_size < 2_000_000


SPY = '''
from bench.api import Capabilities, Method, sign

SEEN = []


class Spy(Method):
    """Notes what it is shown."""

    capabilities = Capabilities(views=("clip",))

    def fit_chunk(self, chunk):
        assert set(chunk.image.views) == {"clip"}
        self.widths_ = {"image": chunk.image.features.shape[1], "text": chunk.text.features.shape[1]}

    def encode(self, batch, modality):
        assert not batch.views
        assert batch.features.shape[1] == self.widths_[modality] != 64
        return sign(batch.features[:, : self.bits])
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, float]]:
    """Runs methods on scenes; the mean mAP of both directions, by method."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def mean_map(methods: str, **options: Any) -> dict[str, float]:
        results = bench.run(methods=methods, seeds=1, results=str(tmp_path / "runs"), **options)
        assert {record.status for record in results.records} == {"ok"}
        frame = results.frame()
        by_method = frame[frame.metric == "map"].groupby("method").value.mean()
        return {str(name): float(value) for name, value in by_method.items()}

    return mean_map


def test_clip_is_seen_in_training_and_never_when_encoding(
    plugin_file: Callable[[str, str], Path], run: Callable[..., dict[str, float]]
) -> None:
    registry.add_file(plugin_file("spy", SPY))
    assert set(run("spy", datasets="scenes[n=60,queries=10]", schedule="shuffled:30", bits=[8])) == {"spy"}


@pytest.mark.slow
def test_lcdh_with_its_clip_teacher_learns_from_pixels(run: Callable[..., dict[str, float]]) -> None:
    found = run("lcdh,random_projection", datasets="scenes[n=1000,queries=200]", bits=[16])
    assert found["lcdh"] > found["random_projection"] + 0.1
