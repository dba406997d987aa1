"""What a method has learned survives saving, and no code is saved with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.checks.trial import equal
from bench.contract import state
from bench.errors import ContractError, StoreError

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    PLAIN, lambda t: st.lists(t) | st.dictionaries(st.text(), t) | st.tuples(t, t), max_leaves=12
)


class Part(state.State):
    """A part with an array and a number."""

    n: int = 0
    total: npt.NDArray[Any] | None = None


def kept(tree: Any, folder: Path) -> Any:
    state.save(folder / "state.npz", tree)
    return state.load(folder / "state.npz")


@settings(max_examples=50, deadline=None)
@given(TREES)
def test_plain_trees_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    found = kept(tree, tmp_path_factory.mktemp("state"))
    assert found == tree
    assert state.copy(tree) == tree


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.zeros((0, 4)),
        np.array(3.5),
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.array([np.nan, np.inf]),
    ],
)
def test_an_array_comes_back_with_its_dtype_and_shape(tmp_path: Path, array: npt.NDArray[Any]) -> None:
    found = kept({"x": array}, tmp_path)["x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("how", ["saved", "copied"])
def test_the_order_of_an_array_in_memory_is_kept(tmp_path: Path, how: str) -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    found = kept(array, tmp_path) if how == "saved" else state.copy(array)
    assert found.flags.f_contiguous and not found.flags.c_contiguous


@pytest.mark.parametrize("how", ["saved", "copied"])
def test_a_numpy_number_keeps_its_type_so_that_nothing_is_promoted_differently(
    tmp_path: Path, how: str
) -> None:
    scale = np.float64(0.1)
    found = kept(scale, tmp_path) if how == "saved" else state.copy(scale)
    x = np.ones(2, dtype=np.float32)
    assert (x * found).dtype == (x * scale).dtype == np.float64


def test_a_part_comes_back_as_its_class(tmp_path: Path) -> None:
    found = kept({"p": Part(n=2, total=np.ones(3))}, tmp_path)["p"]
    assert type(found) is Part
    assert equal(found, Part(n=2, total=np.ones(3)))


def test_the_position_of_a_random_generator_comes_back(tmp_path: Path) -> None:
    first, second = np.random.default_rng(1), np.random.default_rng(2)
    first.random(7)
    second.bit_generator.state = kept(dict(first.bit_generator.state), tmp_path)
    assert first.random() == second.random()


def test_a_copy_shares_no_array() -> None:
    tree = {"p": Part(total=np.zeros(2)), "x": [np.zeros(2)]}
    copied = state.copy(tree)
    copied["p"].total += 1
    copied["x"][0] += 1
    assert equal(tree, {"p": Part(total=np.zeros(2)), "x": [np.zeros(2)]})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "object"),
        ({1, 2}, "set"),
        (np.array([None, {}], dtype=object), "array of objects"),
        (np.zeros(1, dtype=[("a", object)]), "array of objects"),
        ({1: "one"}, "dict"),
        (len, "builtin_function_or_method"),
    ],
)
def test_anything_else_is_refused_and_its_place_is_named(value: Any, kind: str) -> None:
    with pytest.raises(ContractError, match=rf"^state\['w_'\]\[0\] is a {kind}; state must be"):
        state.copy({"w_": [value]})


def test_a_refused_state_leaves_the_file_before_it_alone(tmp_path: Path) -> None:
    state.save(tmp_path / "state.npz", {"n": 1})
    with pytest.raises(ContractError):
        state.save(tmp_path / "state.npz", {"n": object()})
    assert state.load(tmp_path / "state.npz") == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_state_is_a_store_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.npz"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"state\.npz: not a file of saved state"):
        state.load(path)


def test_a_truncated_state_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    state.save(path, {"x": np.arange(1000.0)})
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(StoreError):
        state.load(path)


def test_a_plain_array_file_is_a_store_error(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(StoreError):
        state.load(tmp_path / "x.npz")


def test_pickled_content_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    np.savez(path, tree=np.array('{"array": 0}'), a0=np.array([print], dtype=object))
    with pytest.raises(StoreError, match="allow_pickle"):
        state.load(path)


def test_a_part_that_no_method_defines_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    np.savez(path, tree=np.array('{"state": "os.system", "fields": {"dict": {}}}'))
    with pytest.raises(StoreError, match=r"'os\.system', which no loaded method defines"):
        state.load(path)


def test_bytes_count_arrays_numbers_and_strings() -> None:
    tree = {"p": Part(n=1, total=np.zeros(10)), "s": "four", "l": [1.0, None], "f": np.float32(1)}
    assert state.nbytes(tree) == (8 + 80) + 4 + 16 + 4
