"""The methods of one pass in a process of their own: this runs there, and sees what it is sent."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import threads
from bench.contract import state
from bench.contract.items import Chunk, Split
from bench.contract.method import Method
from bench.contract.state import Tree
from bench.isolation import forking
from bench.isolation.channel import Channel, Message
from bench.isolation.child import Answer
from bench.plugins import registry
from bench.protocol import shown
from bench.running import fitting, parcels
from bench.running.gpu import Used


class Hosted:
    """Answers what :class:`bench.running.hosts.Apart` asks: every request names a cell's function."""

    def __init__(self, module: str, name: str, thread_count: int, imports: Sequence[str]) -> None:
        for needed in imports:  # seconds that belong to no cell
            importlib.import_module(needed)
        self.cls: type[Method] = registry.member(module, name)
        self.methods: dict[int, Method] = {}
        self.items: Split | None = None
        self.leaving: dict[int, Split] = {}
        self.gpu = Used()
        self.limit = ExitStack()
        if thread_count != forking.THREADS:
            self.limit.enter_context(threads.limit(thread_count))

    def __call__(self, message: Message, channel: Channel) -> Answer:
        if message.kind == "items":
            self.items = parcels.split(message)
            return {}, {}
        if message.kind == "leaving":
            self.leaving[message.values["place"]] = parcels.split(message)
            return {}, {}
        cell = int(message.values["cell"])
        if message.kind == "new":
            self.methods[cell] = self.cls(
                bits=message.values["bits"], seed=message.values["seed"], **message.values["params"]
            )
            return {}, {}
        method = self.methods[cell]
        if message.kind == "fit":
            answer = self.gpu.during(lambda: self._fit(method, message, channel))
        else:
            answer = self.gpu.during(lambda: getattr(self, f"_{message.kind}")(method, message))
        arrays, values = answer
        return arrays, {**values, "gpu": self.gpu.to_json()} if self.gpu.seconds else values

    def _fit(self, method: Method, message: Message, channel: Channel) -> Answer:
        def hand_on(before: Tree, inside: Tree) -> None:
            channel.send("kept", {"before": state.packed(before), "inside": state.packed(inside)})

        inside = message.arrays.get("inside")
        items = self._items() if message.values["pool"] else self._chunk()
        fitted = fitting.fit(
            method,
            items,
            hand_on=hand_on,
            every=message.values["every"],
            inside=None if inside is None else state.unpacked(inside),
        )
        return {}, {"borrowed": fitted.borrowed, "curves": fitted.curves}

    def _encode(self, method: Method, message: Message) -> Answer:
        batch = parcels.batch(message)
        codes = method.encode(batch, message.values["modality"])
        return _codes(shown.checked(method, codes, len(batch), "encode"))

    def _encode_query(self, method: Method, message: Message) -> Answer:
        batch = parcels.batch(message)
        values = method.encode_query(batch, message.values["modality"])
        return _codes(shown.checked_query(method, values, len(batch)))

    def _encode_database(self, method: Method, message: Message) -> Answer:
        chunk = self._chunk()
        codes = method.encode_database(chunk, message.values["modality"])
        return _codes(shown.checked(method, codes, len(chunk), "encode_database"))

    def _update_database(self, method: Method, message: Message) -> Answer:
        codes = method.update_database(message.values["modality"])
        if codes is None:
            return {}, {}
        rows = (
            len(codes) if isinstance(codes, np.ndarray) else 0
        )  # the harness knows how many there should be
        return _codes(shown.checked(method, codes, rows, "update_database"))

    def _forget(self, method: Method, message: Message) -> Answer:
        method.forget_items(self.leaving[message.values["place"]])
        return {}, {}

    def _notes(self, method: Method, message: Message) -> Answer:
        return {}, {"notes": [str(note) for note in method.notes()]}

    def _state_bytes(self, method: Method, message: Message) -> Answer:
        return {}, {"bytes": state.nbytes(method.state_dict())}

    def _save(self, method: Method, message: Message) -> Answer:
        """The state as the bytes of a file: the harness keeps them, and reads nothing in them."""
        return {"state": state.packed(method.state_dict())}, {}

    def _load(self, method: Method, message: Message) -> Answer:
        method.load_state_dict(state.unpacked(message.arrays["state"]))
        return {}, {}

    def _items(self) -> Split:
        assert self.items is not None, "items are sent before a method is fitted to them"
        return self.items

    def _chunk(self) -> Chunk:
        assert isinstance(self.items, Chunk), "a chunk is sent before a method is fitted to it"
        return self.items


def _codes(codes: npt.NDArray[Any]) -> Answer:
    return {"codes": codes}, {}
