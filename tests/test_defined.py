"""Classes of a notebook or script as methods and datasets: their source, and where they run."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.errors import ContractError
from bench.plugins import fingerprint, registry
from bench.running.hosts import Isolation

MINE = '''
from functools import lru_cache

import numpy as np
import scipy
import scipy.linalg

from bench import Method, param, sign
from math import sqrt as root

SHIFT = 0.25

@lru_cache
def shift():
    return SHIFT * root(1.0)

class Base(Method):
    """The hash functions of its children."""

    def encode(self, batch, modality):
        return sign(batch.features @ self.w_[modality] + shift())

class Mine(Base):
    """Random projections, scaled."""

    scale: float = param(1.0, "factor of the projections", above=0)

    def fit_chunk(self, chunk):
        if not hasattr(self, "w_"):
            widths = {m: chunk.batch(m).features.shape[1] for m in ("image", "text")}
            self.w_ = {m: self.scale * self.rng.standard_normal((d, self.bits)) for m, d in widths.items()}
            scipy.linalg.norm(np.eye(2))
'''
SMALL: dict[str, Any] = {"bits": 8, "seeds": 1, "datasets": "synthetic[n=240,queries=40]", "train": "all"}
SMALL["schedule"] = "shuffled:100"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.setattr(registry, "_defined", {})
    cells = set(linecache.cache)
    yield
    for cell in set(linecache.cache) - cells:
        del linecache.cache[cell]


class Notebook:
    """Executes cells as IPython does: their source is in ``linecache``, their values are in one namespace."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"__name__": "__main__"}

    def __call__(self, cell: str) -> None:
        name = f"<cell {hash(cell)}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), self.values)  # noqa: S102


@pytest.fixture
def notebook() -> Notebook:
    made = Notebook()
    made(MINE)
    return made


def run(tmp_path: Path, *methods: Any, **options: Any) -> bench.Results:
    return bench.run(methods=list(methods), results=str(tmp_path / "runs"), **(SMALL | options))


def test_a_class_of_a_notebook_runs_beside_a_built_in_method(notebook: Notebook, tmp_path: Path) -> None:
    results = run(tmp_path, notebook.values["Mine"], "random_projection")
    assert [(r.spec.method, r.status) for r in results] == [("Mine", "ok"), ("random_projection", "ok")]


def test_its_codes_are_the_same_in_a_process_of_its_own_and_in_this_one(
    notebook: Notebook, tmp_path: Path
) -> None:
    apart = run(tmp_path / "a", notebook.values["Mine"])
    here = run(tmp_path / "b", notebook.values["Mine"], isolation=Isolation(in_process=True))
    assert apart.cell().rounds[-1].metrics == here.cell().rounds[-1].metrics


def test_workers_get_it(notebook: Notebook, tmp_path: Path) -> None:
    results = run(tmp_path, notebook.values["Mine"], seeds=2, jobs=2)
    assert [r.status for r in results] == ["ok", "ok"]


def test_its_parameters_can_be_set(notebook: Notebook, tmp_path: Path) -> None:
    results = run(tmp_path, {"name": notebook.values["Mine"], "scale": [1.0, 2.0]})
    assert [r.spec.label for r in results] == ["Mine", "Mine[scale=2.0]"]


def test_its_record_says_that_it_is_a_class_and_has_the_fingerprint_of_its_source(
    notebook: Notebook, tmp_path: Path
) -> None:
    record = run(tmp_path, notebook.values["Mine"]).cell()
    assert record.code == fingerprint.of_method("Mine")
    assert f"its source is kept as sources/{record.code}/Mine.py" in "\n".join(record.notes)


def test_a_built_in_method_gets_no_such_note(tmp_path: Path) -> None:
    assert "class" not in "\n".join(run(tmp_path, "random_projection").cell().notes)


def test_the_kept_source_is_a_plugin_file_whose_cells_are_the_same(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run(tmp_path, notebook.values["Mine"]).cell()
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.setattr(registry, "_defined", {})
    kept = tmp_path / "runs" / "sources" / record.code / "Mine.py"
    written = (tmp_path / "runs").glob("Mine-*.json")
    before = {path: path.stat().st_ino for path in written}
    assert run(tmp_path, "Mine", plugin=str(kept)).cell().code == record.code
    assert {path: path.stat().st_ino for path in before} == before


@pytest.mark.parametrize("cell", ["SHIFT = 0.5", MINE.replace("self.scale *", "2 * self.scale *")])
def test_cells_are_run_again_when_the_class_or_what_it_uses_has_changed(
    notebook: Notebook, tmp_path: Path, cell: str
) -> None:
    first = run(tmp_path, notebook.values["Mine"]).cell()
    notebook(cell)
    assert run(tmp_path, notebook.values["Mine"]).cell().code != first.code


def test_a_comment_changes_nothing(notebook: Notebook, tmp_path: Path) -> None:
    first = run(tmp_path, notebook.values["Mine"]).cell()
    notebook(MINE.replace("return sign", "# which binarises\n        return sign"))
    assert run(tmp_path, notebook.values["Mine"]).cell().code == first.code


def test_the_class_of_a_plugin_is_the_plugin(tmp_path: Path) -> None:
    built_in = registry.get("method", "random_projection")
    assert run(tmp_path, built_in).cell().spec.method == "random_projection"


def test_a_dataset_can_be_a_class(notebook: Notebook, tmp_path: Path) -> None:
    notebook("""
from bench.datasets.synthetic import Synthetic
from bench import DatasetSource

class Toy(DatasetSource):
    def load(self, root):
        return Synthetic(n=200, queries=20).load(root)
""")
    record = run(tmp_path, "random_projection", datasets=notebook.values["Toy"]).cell()
    assert (record.spec.dataset, record.status) == ("Toy", "ok")


def test_the_name_of_a_built_in_method_is_refused_in_any_case(notebook: Notebook, tmp_path: Path) -> None:
    notebook(MINE.replace("class Mine", "class Lemon"))
    with pytest.raises(ContractError, match="class Lemon: the name 'lemon' belongs to a built-in method"):
        run(tmp_path, notebook.values["Lemon"])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("table = np.zeros(3)", "Mine uses table, which is an ndarray"),
        ("def make():\n    class Mine(Base): ...\n    return Mine\nMine = make()", "top level"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_with_the_fix(
    notebook: Notebook, tmp_path: Path, cell: str, message: str
) -> None:
    notebook(MINE.replace("return sign(", "table\n        return sign("))
    notebook(cell)
    with pytest.raises(ContractError, match=message):
        run(tmp_path, notebook.values["Mine"])


def test_a_class_without_source_is_refused_with_the_fix(notebook: Notebook, tmp_path: Path) -> None:
    linecache.cache.clear()
    with pytest.raises(ContractError, match=r"source of Mine is not available.*plugin='mine.py'"):
        run(tmp_path, notebook.values["Mine"])


def test_a_class_that_is_no_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="int is no Method and no DatasetSource"):
        run(tmp_path, int)
