"""Memory that the harness shares with a child: each array reads as it was sent, for as long as it is held."""

from __future__ import annotations

import gc
import mmap
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bench.isolation.arena import Arena, Lent
from bench.isolation.channel import Channel, MalformedError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is shared on Linux alone")
LARGE = (300, 100)  # of float32, 120 KB


class Pair:
    """Both sides of an arena, and the channel between them."""

    def __init__(self) -> None:
        self.arena = Arena()
        assert self.arena.file is not None
        self.lent = Lent(self.arena.file)
        self.ends = socket.socketpair()
        self.here = Channel(self.ends[0], ours=self.arena)
        self.there = Channel(self.ends[1], theirs=self.lent)

    def send(self, value: float, shape: tuple[int, ...] = LARGE) -> npt.NDArray[Any]:
        """The array that the other side receives."""
        array = self.arena.empty(shape, np.float32)
        array[...] = value
        self.here.send("items", {"x": array})
        return self.there.receive().arrays["x"]

    def answer(self) -> None:
        self.arena.hold(self.lent.held())


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.arena.close()
    for end in pair.ends:
        end.close()


def at(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def test_an_array_is_received_as_it_was_sent(pair: Pair) -> None:
    sent = pair.arena.empty((100, 5, 70), np.dtype(np.float64))
    sent[...] = np.random.default_rng(0).standard_normal(sent.shape)
    pair.here.send("items", {"x": sent})
    np.testing.assert_array_equal(pair.there.receive().arrays["x"], sent)


def test_a_received_array_can_never_be_written(pair: Pair) -> None:
    with pytest.raises(ValueError, match="WRITEABLE"):
        pair.send(1.0).setflags(write=True)


def test_memory_is_filled_anew_once_the_array_is_gone(pair: Pair) -> None:
    first = at(pair.send(1.0))
    pair.answer()
    assert at(pair.send(2.0)) == first


@pytest.mark.parametrize(
    "part",
    [lambda x: x[3:], lambda x: x.T, lambda x: x.view(np.uint8), memoryview, lambda x: [{"kept": x[:, 0]}]],
)
def test_a_part_of_an_array_keeps_all_of_it(pair: Pair, part: Any) -> None:
    whole = pair.send(1.0)
    kept, first = part(whole), at(whole)
    del whole
    pair.answer()
    assert at(pair.send(2.0)) != first
    del kept
    gc.collect()


def test_an_array_that_is_not_yet_sent_is_not_written_over(pair: Pair) -> None:
    waiting = pair.arena.empty(LARGE, np.float32)
    pair.answer()
    assert at(pair.arena.empty(LARGE, np.float32)) != at(waiting)


def test_a_method_that_keeps_every_array_finds_them_unchanged(pair: Pair) -> None:
    kept = []
    for value in range(40):
        kept.append(pair.send(value))
        pair.answer()
    assert [array[0, 0] for array in kept] == list(range(40))
    assert [(array == array[0, 0]).all() for array in kept] == [True] * 40


def test_free_memory_grows_for_a_larger_array(pair: Pair) -> None:
    for rows in range(300, 3000, 300):  # more sizes than there are slots, were each to take one
        array = pair.send(rows, (rows, 100))
        assert array.shape == (rows, 100) and (array == rows).all()
        del array
        pair.answer()
    assert pair.lent._memory.keys() == {0}


def test_small_arrays_are_sent_as_bytes(pair: Pair) -> None:
    array = pair.send(1.0, (3, 4))
    assert array.flags.writeable  # it belongs to the receiver


def test_a_large_array_gives_its_memory_back(pair: Pair) -> None:
    array = pair.send(1.0, (1 << 23, 3))
    del array
    pair.answer()
    assert resident(pair.arena) == 0
    assert (pair.send(2.0) == 2.0).all()


def resident(arena: Arena) -> int:
    assert arena.file is not None
    return os.fstat(arena.file).st_blocks


def test_the_other_side_cannot_shorten_the_file(pair: Pair) -> None:
    assert pair.arena.file is not None
    with pytest.raises(PermissionError):
        os.ftruncate(pair.arena.file, mmap.PAGESIZE)


def test_a_child_cannot_point_the_harness_to_shared_memory() -> None:
    one, other = socket.socketpair()
    with one, other:
        arena = Arena()
        Channel(one, ours=arena).send("answer", {"codes": arena.empty(LARGE, np.float32)})
        with pytest.raises(MalformedError, match="an array in shared memory"):
            Channel(other).receive()
        arena.close()


@pytest.mark.parametrize("held", [None, 3, "all", {"a": 1}, [[]], ["x", -1, 1e300]])
def test_a_nonsensical_list_of_held_arrays_does_no_harm(pair: Pair, held: Any) -> None:
    pair.send(1.0)
    pair.arena.hold(held)
    assert (pair.send(2.0) == 2.0).all()


def test_without_such_memory_all_arrays_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.isolation.arena._sealed_file", lambda size: None)
    arena = Arena()
    one, other = socket.socketpair()
    with one, other:
        small = arena.empty((128, 128), np.float32)
        small[...] = 1.0
        Channel(one, ours=arena).send("items", {"x": small})
        assert (Channel(other).receive().arrays["x"] == 1.0).all()
