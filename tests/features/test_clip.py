"""CLIP views from a local checkpoint: what open_clip itself gives, for any batch, in fp32 and bf16."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Extractor, Setting
from bench.data.views.names import View
from bench.errors import DataError, UnknownNameError

Writer = Callable[..., Path]
NOTHING: Any = None  # CLIP learns nothing from the dataset


def made(folder: Path, modality: Any, precision: Any = "fp32") -> Extractor:
    setting = Setting(root=Path(), precision=precision)
    return View.parse(f"clip:{folder}").load(modality, NOTHING, setting)


def run(extractor: Extractor, items: list[Any], batch: int) -> np.ndarray[Any, Any]:
    ready = [extractor.one(item) for item in items]
    return np.concatenate([extractor.many(ready[i : i + batch]) for i in range(0, len(ready), batch)])


def pictures(toy: Any, n: int = 24) -> list[Any]:
    raw = toy().raw(Path())
    return [raw.image(row) for row in range(n)]


def texts(toy: Any) -> list[str]:
    return list(toy().raw(Path()).texts)


@pytest.mark.parametrize(
    "tower",
    [
        {},
        {"custom_text": True},
        {"custom_text": True, "pool_type": "eos", "eos_id": 49407},
        {"custom_text": True, "no_causal_mask": True, "pool_type": "last"},
    ],
)
def test_texts_cut_to_the_longest_of_the_batch_give_what_open_clip_gives(
    toy: Any, write_clip: Writer, tmp_path: Path, tower: dict[str, Any]
) -> None:
    import open_clip
    import torch

    folder = write_clip(tmp_path / "clip", **tower)
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(texts(toy))
    with torch.no_grad():
        expected = model.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(run(made(folder, "text"), texts(toy), 16), expected, atol=1e-5)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_features_do_not_depend_on_the_batch(toy: Any, clip_folder: Path, modality: str) -> None:
    extractor = made(clip_folder, modality)
    items = pictures(toy) if modality == "image" else texts(toy)
    np.testing.assert_allclose(run(extractor, items, 1), run(extractor, items, 17), atol=1e-5)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_bf16_is_within_a_thousandth_of_fp32(toy: Any, clip_folder: Path, modality: str) -> None:
    items = pictures(toy) if modality == "image" else texts(toy)
    full, half = (run(made(clip_folder, modality, p), items, 8) for p in ("fp32", "bf16"))
    assert (full * half).sum(axis=1).min() >= 0.999
    assert not np.array_equal(full, half)


def test_rows_have_norm_one_and_the_manifest_says_so(toy: Any, clip_folder: Path) -> None:
    extractor = made(clip_folder, "image")
    np.testing.assert_allclose(np.linalg.norm(run(extractor, pictures(toy), 8), axis=1), 1, atol=1e-6)
    assert extractor.about["rows"] == "norm 1"
    assert "Resize(size=32" in str(extractor.about["preprocessing"])


def test_the_hash_of_the_weights_tells_checkpoints_apart(write_clip: Writer, tmp_path: Path) -> None:
    first, second = (write_clip(tmp_path / name) for name in ("a", "b"))
    assert made(first, "text").about["weights"] == made(second, "text").about["weights"]
    other = write_clip(tmp_path / "c", layers=1)
    assert made(first, "text").about["weights"] != made(other, "text").about["weights"]


def test_clip_views_of_both_modalities_become_the_view_clip(
    toy: Any, clip_folder: Path, prepared: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "checkpoints", {"small": clip_folder})
    prepared(toy(clip="small"))
    data = toy(clip="small").load(tmp_path)
    assert [data.query.batch(m).views["clip"].shape for m in ("image", "text")] == [(10, 32), (10, 32)]


def test_a_view_of_another_precision_stays_unless_a_precision_is_asked_for(
    toy: Any, clip_folder: Path, prepared: Any, tmp_path: Path
) -> None:
    view = f"clip:{clip_folder}"

    def precisions() -> set[str]:
        found = tmp_path.glob("toy/views/image/*/[!.]*/manifest.json")
        return {json.loads(path.read_text())["about"]["precision"] for path in found}

    for asked, there in (("bf16", "bf16"), ("auto", "bf16"), ("fp32", "fp32"), ("auto", "fp32")):
        prepared(toy(), view, precision=asked)
        assert precisions() == {there}


@pytest.mark.parametrize(
    ("view", "error", "says"),
    [
        ("clip:nowhere", DataError, "has no open_clip_config.json"),
        ("clip:ViT-B-33:openai", UnknownNameError, "no open_clip model named 'ViT-B-33'"),
        ("clip:ViT-B-32:openal", UnknownNameError, "Did you mean 'openai'"),
    ],
)
def test_a_model_that_is_not_there_is_an_error_that_says_what_is(
    tmp_path: Path, view: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        View.parse(view).load("image", NOTHING, Setting(root=tmp_path))


def test_damaged_weights_are_an_error_of_one_line(write_clip: Writer, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip")
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be loaded") as caught:
        made(folder, "image")
    assert "\n" not in str(caught.value)
