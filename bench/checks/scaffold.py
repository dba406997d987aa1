"""Writes a first version of a plugin, which works and passes `bench check`."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

import bench
from bench.disk import writing
from bench.errors import ContractError
from bench.plugins import registry

_METHOD = '''\
"""{title}: one sentence that says what the method does."""

import numpy as np
from scipy import linalg

from bench.api import MODALITIES, Batch, Capabilities, Chunk, Codes, Method, Modality, Source, param, sign


class {title}(Method):
    """Online ridge regression from each modality to random codes of the labels."""

    penalty: float = param(1.0, "weight of the ridge penalty", above=0)
    capabilities = Capabilities(supervised=True)
    source = Source(fidelity="new", note="ridge regression, as `bench new` writes it")

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None, "the harness gives labels to a supervised method"
        x = {{m: chunk.batch(m).features.astype(np.float64) for m in MODALITIES}}
        if chunk.round == 0:
            self.anchors_ = self.rng.standard_normal((chunk.labels.shape[1], self.bits))
            self.gram_ = {{m: self.penalty * np.eye(x[m].shape[1]) for m in MODALITIES}}
            self.moment_ = {{m: np.zeros((x[m].shape[1], self.bits)) for m in MODALITIES}}
            self.weights_: dict[Modality, np.ndarray] = {{}}
        for m in MODALITIES:
            self.gram_[m] += x[m].T @ x[m]
            self.moment_[m] += x[m].T @ sign(chunk.labels @ self.anchors_)
            self.weights_[m] = linalg.solve(self.gram_[m], self.moment_[m], assume_a="pos")

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features @ self.weights_[modality])
'''

_TEST = '''\
"""The contract suite on {name}, one test per check."""

{imports}import pytest

from bench.checks.suite import Check, checks_for
from bench.plugins import registry

{register}METHOD = registry.get("method", "{name}")


@pytest.mark.parametrize("check", checks_for(METHOD), ids=str)
def test_it_keeps_the_contract(check: Check) -> None:
    check(METHOD)
'''


def default_folder() -> Path:
    """The checkout that runs, where ``methods/`` is, or else the current folder."""
    checkout = Path(bench.__file__).parent.parent
    return checkout if _is_checkout(checkout) else Path.cwd()


def new(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a working plugin called ``name``, and a test for a method; return the paths.

    In a checkout they lie in ``methods/`` and ``tests/methods/``, or in the folder of the kind; in any other
    folder NAME.py, which `--plugin` takes, and test_NAME.py. Nothing is overwritten.
    """
    _require_free(kind, name)
    checkout = _is_checkout(folder)
    if not checkout:
        _require_no_module(name)
    texts = _method(name, folder, checkout) if kind == "method" else _copy(kind, name, folder, checkout)
    for path in texts:
        if path.exists():
            raise ContractError(f"{path} exists. Choose another name, or remove the file.")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.replace_bytes(path, text.encode())
    return list(texts)


def _method(name: str, folder: Path, checkout: bool) -> dict[Path, str]:
    """A method and its test, each with its place."""
    imports = "" if checkout else "from pathlib import Path\n\n"
    register = "" if checkout else f'registry.add_file(Path(__file__).with_name("{name}.py"))\n'
    method = folder / "methods" if checkout else folder
    test = folder / "tests" / "methods" if checkout else folder
    return {
        method / f"{name}.py": _METHOD.format(title=_title(name)),
        test / f"test_{name}.py": _TEST.format(name=name, imports=imports, register=register),
    }


def _copy(kind: str, name: str, folder: Path, checkout: bool) -> dict[Path, str]:
    """The example of this kind under another name, with its place."""
    [example] = [path for root in bench.__path__ for path in Path(root).glob(f"examples/own_{kind}.py")]
    text = example.read_text(encoding="utf-8").replace(f"own_{kind}", name)
    for own in (f"Own{kind.capitalize()}", f"Own {kind}"):
        text = text.replace(own, _title(name))
    inside = folder / "bench" if kind in ("metric", "encoder") else folder
    return {(inside / registry.KINDS[kind] if checkout else folder) / f"{name}.py": text}


def _title(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _is_checkout(folder: Path) -> bool:
    return (folder / "methods").is_dir() and (folder / "bench" / "api.py").is_file()


def _require_free(kind: str, name: str) -> None:
    plain = name.isidentifier() and name.isascii() and name == name.lower() and not name.startswith("_")
    if not plain or keyword.iskeyword(name):
        raise ContractError(
            f"{name!r} cannot be the name of a {kind}. Use lower-case letters, digits and _, a letter first."
        )
    if name in registry.names(kind):
        raise ContractError(f"the name {name!r} belongs to a {kind} already. Choose another name.")


def _require_no_module(name: str) -> None:
    """A file beside one's scripts hides the module of its name from all of them."""
    if name in sys.stdlib_module_names or registry.locate(name) is not None:
        raise ContractError(f"{name}.py would hide the Python module {name!r}. Choose another name.")
