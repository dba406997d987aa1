"""A hierarchy of classes: how datasets give it, who sees it, and that it changes nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.checks.trial import items
from bench.cli import main
from bench.contract.items import Split
from bench.contract.method import Capabilities
from bench.contract.validate import validate_dataset
from bench.datasets.files import Files
from bench.errors import DataError
from bench.methods._hierarchy import affiliation
from bench.methods.choice import CHOICE
from bench.methods.shoh import SHOH
from bench.protocol.shown import shown
from bench.records import RunRecord
from bench.running.hosts import APART, Isolation

pytestmark = pytest.mark.usefixtures("own_cache")

NAMES = ("shirt", "skirt", "boot", "red")
PARENTS = ("clothes", "clothes", "shoes", "")


def saved(tmp_path: Path, parents: tuple[str, ...] = PARENTS, name: str = "parents") -> Path:
    """A bundle of 72 pairs of four classes; without the array where there are no parents."""
    data = items(72)
    arrays: dict[str, Any] = {"image": data.image.features, "text": data.text.features, "labels": data.labels}
    arrays |= {"classes": np.array(NAMES)} | ({name: np.array(parents)} if parents else {})
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def run(tmp_path: Path, methods: str, parents: tuple[str, ...], isolation: Isolation) -> RunRecord:
    dataset = f"files[path={saved(tmp_path, parents)},queries=12]"
    how: Any = {"results": str(tmp_path / "runs"), "isolation": isolation, "contract": False}
    (record,) = bench.run(methods=methods, datasets=dataset, bits=8, seeds=1, train="all", **how).records
    assert record.status == "ok", record.traceback
    return record


@pytest.mark.parametrize("isolation", [Isolation(in_process=True), APART], ids=["here", "apart"])
@pytest.mark.parametrize("method", ["choice[anchors=0]", "shoh"])
def test_the_parents_of_a_dataset_are_those_that_a_parameter_could_give(
    tmp_path: Path, method: str, isolation: Isolation
) -> None:
    given = method.replace("]", ",parents=0 0 1 1]") if "[" in method else f"{method}[parents=0 0 1 1]"
    names = ("clothes", "clothes", "shoes", "shoes")
    from_dataset = run(tmp_path, method, names, isolation).rounds[-1].metrics
    by_parameter = run(tmp_path, given, (), isolation).rounds[-1].metrics
    assert from_dataset == by_parameter


@pytest.mark.parametrize("method", ["choice", "shoh"])
def test_parents_none_is_flat_whatever_the_dataset_has(tmp_path: Path, method: str) -> None:
    here = Isolation(in_process=True)
    flat, none = run(tmp_path, method, (), here), run(tmp_path, f"{method}[parents=none]", PARENTS, here)
    assert flat.rounds[-1].metrics == none.rounds[-1].metrics
    assert run(tmp_path, method, PARENTS, here).rounds[-1].metrics != none.rounds[-1].metrics


def test_a_method_that_does_not_declare_parents_sees_none() -> None:
    data = replace(items(20), parents=PARENTS)
    assert shown(data, np.arange(5), Capabilities(supervised=True)).parents == ()
    assert shown(data, np.arange(5), Capabilities(supervised=True, parents=True)).parents == PARENTS


def test_the_numbers_of_other_methods_do_not_change(tmp_path: Path) -> None:
    here = Isolation(in_process=True)
    with_parents, without = (run(tmp_path, "lemon", parents, here) for parents in (PARENTS, ()))
    assert with_parents.rounds[-1].metrics == without.rounds[-1].metrics


def test_a_hierarchy_is_part_of_the_datas_fingerprint(tmp_path: Path) -> None:
    here = Isolation(in_process=True)
    one, other = (run(tmp_path, "lemon", parents, here) for parents in (PARENTS, ()))
    assert one.data != other.data


def test_a_class_without_a_parent_belongs_to_none() -> None:
    np.testing.assert_array_equal(affiliation("", 4, PARENTS), [[1, 1, 0, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize("known", [(), ("", "", "", "")])
def test_classes_without_any_parent_are_flat(known: tuple[str, ...]) -> None:
    assert affiliation("", 4, known).shape == (0, 4)


@pytest.mark.parametrize("cls", [CHOICE, SHOH])
def test_methods_with_two_layers_of_labels_declare_parents(cls: type) -> None:
    assert cls.capabilities.parents  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["parents", "labels_parents"])
def test_files_read_parents_by_their_name(tmp_path: Path, name: str) -> None:
    data = Files(path=str(saved(tmp_path, name=name)), queries=12).load(tmp_path)
    assert data.parents == PARENTS
    validate_dataset(data)


def test_a_prefix_keeps_the_parents_of_its_columns(tmp_path: Path) -> None:
    path = str(saved(tmp_path))
    data = Files(path=path, queries=12, label_prefix="s;b", unlabelled="drop").load(tmp_path)
    assert (data.classes, data.parents) == (NAMES[:3], PARENTS[:3])


def test_parents_of_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 names for 4 label columns.*mapping=parents:VARIABLE"):
        Files(path=str(saved(tmp_path, PARENTS[:3])), queries=12).load(tmp_path)
    data = Files(path=str(saved(tmp_path)), queries=12).load(tmp_path)
    with pytest.raises(DataError, match=r"parents: 3 for 4 label columns"):
        validate_dataset(replace(data, parents=PARENTS[:3]))


def test_info_shows_the_parents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", f"files[path={saved(tmp_path)},queries=12]"]) == 0
    assert "2, with the number of their classes: clothes 2, shoes 1" in capsys.readouterr().out


def test_rows_of_a_split_keep_the_parents() -> None:
    data: Split = replace(items(20), parents=PARENTS)
    assert data.take(np.arange(3)).parents == PARENTS
