"""A small CLIP of random weights as a local checkpoint, and a raw dataset that needs no files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.api import Raw, Setting
from bench.data.views import prepare
from bench.data.views.extract import Pace
from bench.data.views.names import View
from bench.plugins import registry

Writer = Callable[..., Path]


def _write_clip(folder: Path, **text: Any) -> Path:
    """Pictures 32 × 32, two layers, 32 dimensions; ``text`` changes the text tower."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    own = text.pop("custom_text", False)
    vision = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
    tower = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2} | text
    torch.manual_seed(0)
    model_class = open_clip.CustomTextCLIP if own else open_clip.CLIP
    model = model_class(embed_dim=32, vision_cfg=vision, text_cfg=tower)
    folder.mkdir(parents=True)
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": tower, "custom_text": own}
    described = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def write_clip() -> Writer:
    """Writes a local checkpoint of open_clip into a new folder."""
    return _write_clip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write_clip(tmp_path_factory.mktemp("clip") / "small")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The dataset class of tests/plugins/toy.py."""
    monkeypatch.setattr(registry, "_extra", {})
    registry.add_file(Path(__file__).parents[1] / "plugins" / "toy.py")
    return registry.get("dataset", "toy")


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Raw]:
    """Prepares views of a source below ``tmp_path``, in batches of ``batch``."""

    def run(
        source: Any, *views: str, batch: int = 8, workers: int = 0, anew: bool = False, **setting: Any
    ) -> Raw:
        raw = prepare.items(source, tmp_path, "test")
        wanted = [View.parse(v) for v in views] or list(dict.fromkeys(source.views().values()))
        chosen = Setting(root=tmp_path, checkpoints=source.checkpoints, **setting)
        pace = Pace(batch=batch, workers=workers)
        prepare.views(source, raw, tmp_path, wanted, chosen, pace, anew=anew, say=lambda text: None)
        return raw

    return run
