"""What every method that trains with torch promises: device, numbers, threads, seeds, progress, variants."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Split
from bench.checks.trial import Trial, items
from bench.contract import params
from bench.errors import ParameterError
from bench.plugins import registry
from bench.study import selectors

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
METHODS = {
    "ckdh": {"epochs": 2, "teacher_epochs": 2},
    "ckdh_online": {"epochs": 2, "teacher_epochs": 2},
    "dcmh": {"epochs": 2},
    "djsrh": {"epochs": 2},
    "skdch": {"epochs": 2, "teacher_epochs": 2},
    "skdch_online": {"epochs": 2, "teacher_epochs": 2},
    "ucch": {"epochs": 3},
    "ukd": {"epochs": 2, "teacher_epochs": 2},
    "ukd_online": {"epochs": 2, "teacher_epochs": 2},
}
every_method = pytest.mark.parametrize("name", METHODS)


def fitted(name: str, **more: Any) -> Any:
    return Trial(registry.get("method", name), {**METHODS[name], **more}).fit(items(seed=0), items(seed=1))


def codes(method: Any) -> Array:
    queries = items(60, seed=9)
    return np.concatenate([method.encode(queries.batch(m), m) for m in MODALITIES])


@every_method
def test_other_seeds_give_other_codes(name: str) -> None:
    trial = Trial(registry.get("method", name), METHODS[name])
    one, other = (codes(trial.fit(items(seed=0), items(seed=1), seed=s)) for s in (1, 2))
    assert (one != other).any()


@every_method
def test_more_items_than_max_train_are_sampled_by_the_seed(name: str) -> None:
    trial = Trial(registry.get("method", name), {**METHODS[name], "max_train": 30})
    means: list[Any] = [trial.fit(items(seed=0), items(seed=1), seed=s) for s in (0, 0, 1)]
    first, again, other = (method.mean_["image"] for method in means)
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("name", ["djsrh", "ucch", "ukd"])
def test_shuffled_pairs_teach_nothing_across_modalities(name: str) -> None:
    def agreement(pairs: Split) -> float:
        """How much oftener the bits of partners agree than those of strangers."""
        quick = {"epochs": 20, "hidden": 32, "batch": 50}
        method, fresh = Trial(registry.get("method", name), quick).fit(pairs), items(200, seed=7)
        image, text = (method.encode(fresh.batch(m), m) for m in MODALITIES)
        return float((image == text).mean() - (image[1:] == text[:-1]).mean())

    pairs = items(400)
    order = np.random.default_rng(5).permutation(len(pairs))
    assert agreement(pairs) > 0.15
    assert abs(agreement(dataclasses.replace(pairs, text=pairs.text.take(order)))) < 0.06


def test_importing_the_methods_does_not_import_torch(python: Callable[..., str]) -> None:
    imports = ", ".join(f"bench.methods.{name}" for name in METHODS)
    assert python(f"import sys, {imports}; print('torch' in sys.modules)").strip() == "False"


@every_method
def test_training_in_float64_keeps_float64_weights_and_nearly_the_same_codes(name: str) -> None:
    wide = fitted(name, dtype="float64")
    assert {w.dtype for m in MODALITIES for w in wide.weights_[m]} == {np.dtype(np.float64)}
    assert (codes(wide) == codes(fitted(name))).mean() > 0.99


@every_method
def test_bfloat16_products_leave_float32_weights_and_similar_codes(name: str) -> None:
    short = fitted(name, dtype="bfloat16")
    assert {w.dtype for m in MODALITIES for w in short.weights_[m]} == {np.dtype(np.float32)}
    assert (codes(short) == codes(fitted(name))).mean() > 0.85


@every_method
def test_the_precision_of_products_is_set_for_training_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = set(), torch.addmm

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.add(torch.get_float32_matmul_precision())
        return real(*args, **kwargs)

    monkeypatch.setattr(torch, "addmm", spy)
    before = torch.get_float32_matmul_precision()
    fitted(name, matmul="medium")
    assert seen == {"medium"} and torch.get_float32_matmul_precision() == before


@every_method
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ParameterError, match="device 'nowhere' cannot be used"):
        fitted(name, device="nowhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_gpu_is_a_plain_error() -> None:
    with pytest.raises(ParameterError, match=r"device 'cuda' cannot be used: .* Try cpu"):
        fitted("ucch", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_method
def test_training_on_cuda_gives_nearly_the_codes_of_the_cpu(name: str) -> None:
    assert (codes(fitted(name, device="cuda")) == codes(fitted(name))).mean() > 0.95


@every_method
def test_the_stage_and_epoch_of_training_are_shown(name: str, screen: io.StringIO) -> None:
    fitted(name)
    shown, count = screen.getvalue(), METHODS[name]["epochs"]
    assert f": epoch {count} of {count}" in shown
    if "teacher_epochs" in METHODS[name]:
        assert "teacher: epoch 1 of 2" in shown and "student: epoch 2 of 2" in shown


@every_method
def test_every_variant_learns_something_else(name: str) -> None:
    """From items of which half are unlabelled: SKDCH's teacher has no part in what labels say."""
    parts = [items(seed=i) for i in range(2)]
    for part in parts:
        assert part.labels is not None
        part.labels[::2] = 0
    cls = registry.get("method", name)

    def learned(**more: Any) -> Array:
        return codes(Trial(cls, {**METHODS[name], **more}).fit(*parts))

    full = learned()
    for label, variant in cls.variants.items():
        assert (learned(**variant.params) != full).any(), label


@pytest.mark.parametrize("name", ["ckdh", "skdch", "ukd"])
def test_an_online_sibling_has_the_parameters_of_its_offline_method_and_a_memory(name: str) -> None:
    offline, online = (params.parameters(registry.get("method", n)) for n in (name, f"{name}_online"))
    assert {k: v for k, v in online.items() if k != "memory"} == offline


PRESETS = [(name, preset) for name in METHODS for preset in registry.get("method", name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_understood_on_the_command_line(name: str, preset: str) -> None:
    assert selectors.expand("method", [f"{name}[preset={preset}]"])


PROCESS = """
import hashlib, json
import numpy as np, torch
from bench.api import MODALITIES
from bench.checks.trial import Trial, items
from bench.plugins import registry
torch.set_num_threads(THREADS)
found = {}
for name, quick in METHODS.items():
    method = Trial(registry.get("method", name), quick).fit(items(250, seed=0), items(250, seed=1))
    queries = items(200, seed=9)
    codes = np.concatenate([method.encode(queries.batch(m), m) for m in MODALITIES])
    weights = b"".join(w.tobytes() for m in MODALITIES for w in method.weights_[m])
    found[name] = [hashlib.sha256(weights).hexdigest(), codes.tolist()]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_seeds_repeat_bit_for_bit_and_threads_change_hardly_a_code(
    python: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, as torch sizes its pool. docs/design.md says what is and is not promised."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # threads that spin would take hours on a busy machine

    def run(threads: int) -> Any:
        return json.loads(python(f"THREADS = {threads}\nMETHODS = {METHODS!r}\n{PROCESS}"))

    one, again, two = run(1), run(1), run(2)
    assert one == again
    for name in METHODS:
        share = (np.array(one[name][1]) == np.array(two[name][1])).mean()
        assert share >= 0.999, name
