"""The contract of a method: it repeats itself, and changes nothing that is not its own."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from bench.checks import asking
from bench.checks.comparing import differ, differing, require
from bench.checks.trial import BITS, Trial, arrays, equal, items
from bench.contract import params, state
from bench.errors import ContractError

_UNUSUAL = 918273645  # a seed that no plugin sets by itself


def equal_seeds_give_equal_codes(trial: Trial) -> None:
    first = asking.given(trial, trial.fit(*asking.three()))
    with _other_global_generators():
        second = asking.given(trial, trial.fit(*asking.three()))
    require(
        not differ(first, second).any(),
        f"{trial.owner} gives other codes with the same seed: {differing(first, second)}. "
        "Draw random numbers from self.rng only.",
    )


def encode_changes_nothing(trial: Trial) -> None:
    method = trial.fit(*asking.three()[:2])
    before = state.copy(method.state_dict())
    first = asking.both(trial, method, asking.queries())
    asking.both(trial, method, items(5, seed=8))
    again = asking.both(trial, method, asking.queries())
    require(
        not differ(first, again).any(),
        f"{trial.owner}.encode() gives other codes when it is called again: {differing(first, again)}.",
    )
    after = method.state_dict()
    changed = [k for k in before.keys() | after.keys() if not equal(before.get(k), after.get(k))]
    require(
        not changed,
        f"{trial.owner}.encode() changes {', '.join(sorted(changed))}. Learn in fit_chunk() only.",
    )


def fit_leaves_chunk_and_parameters_alone(trial: Trial) -> None:
    method, splits = trial.new(), asking.three()
    before = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
    trial.start(method, splits[0])
    for chunk in trial.chunks(*splits):
        kept = [a.copy() for a in arrays(chunk)]
        try:
            method.fit_chunk(chunk)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise ContractError(
                f"{trial.owner}.fit_chunk() writes to the chunk. Copy what you change."
            ) from error
        same = all(np.array_equal(a, b) for a, b in zip(kept, arrays(chunk), strict=True))
        require(same, f"{trial.owner}.fit_chunk() writes to the chunk. Copy what you change.")
    after = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
    changed = [name for name in before if before[name] is not after[name] and before[name] != after[name]]
    require(
        not changed,
        f"{trial.owner}.fit_chunk() changes the parameter {', '.join(changed)}. "
        "Keep what is learned in attributes that end in '_'.",
    )


def it_prints_nothing(trial: Trial) -> None:
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        asking.both(trial, trial.fit(*asking.three()[:2]), asking.queries())
    said = heard.getvalue().strip().partition("\n")[0]
    require(not said, f"{trial.owner} prints {said[:60]!r}. Use logging.getLogger(__name__).")


def it_leaves_global_random_state_alone(trial: Trial) -> None:
    with _other_global_generators() as moved:
        asking.both(trial, trial.fit(*asking.three()[:2]), asking.queries())
        found = moved()
    require(
        not found,
        f"{trial.owner} draws from, or seeds, the global generator of {', '.join(found)}. Use self.rng.",
    )


@contextlib.contextmanager
def _other_global_generators() -> Iterator[Callable[[], list[str]]]:
    """Give the global generators another state for a while; what is yielded tells which have moved."""
    torch = sys.modules.get("torch")
    numpy_kept, python_kept = np.random.get_state(legacy=False), random.getstate()
    torch_kept = None if torch is None else torch.get_rng_state()
    np.random.seed(_UNUSUAL)
    random.seed(_UNUSUAL)
    if torch is not None:
        torch.manual_seed(_UNUSUAL)
    numpy_before, python_before = np.random.get_state(legacy=False), random.getstate()
    torch_before = None if torch is None else torch.get_rng_state()

    def moved() -> list[str]:
        found = [] if equal(np.random.get_state(legacy=False), numpy_before) else ["numpy"]
        found += [] if random.getstate() == python_before else ["random"]
        if torch is not None and not torch.equal(torch.get_rng_state(), torch_before):
            found.append("torch")
        return found

    try:
        yield moved
    finally:
        np.random.set_state(numpy_kept)
        random.setstate(python_kept)
        if torch is not None:
            torch.set_rng_state(torch_kept)


def another_cell_of_the_pass_on_the_same_chunk_changes_nothing(trial: Trial) -> None:
    """The harness gives one chunk to cells that differ in code length and in what ``varies``."""
    known = params.parameters(trial.cls)
    for name in trial.cls.varies:
        require(name in known, f"{trial.owner}.varies names {name!r}, which is no parameter of it.")
    varied = {name: _another(known[name], trial.params) for name in trial.cls.varies}
    changes: list[dict[str, Any]] = [{"bits": 8}, {}, *([varied] if varied else [])]
    cells = [(_with(trial, change), change.get("bits", BITS)) for change in changes]
    splits, pool = asking.three(), trial.pool(asking.three()[0])
    alone = [asking.given(cell, cell.fit(*splits, bits=bits)) for cell, bits in cells]
    for order in (range(len(cells)), reversed(range(len(cells)))):
        together = {i: cells[i][0].new(bits=cells[i][1]) for i in order}
        for method in together.values():
            if pool is not None:
                method.fit_pool(pool)
        for chunk in trial.chunks(*splits):
            for method in together.values():
                method.fit_chunk(chunk)
        for i, method in together.items():
            codes = asking.given(cells[i][0], method)
            here = ", ".join(f"{k}={v}" for k, v in changes[i].items()) or f"bits={BITS}"
            require(
                not differ(codes, alone[i]).any(),
                f"{trial.owner} learns something else from a chunk that another cell was fitted on: "
                f"{differing(codes, alone[i])} at {here}. Share by chunk.shared only "
                "what depends neither on self.rng nor, unless its key says so, on bits and what varies.",
            )


def _with(trial: Trial, change: dict[str, Any]) -> Trial:
    own = {name: value for name, value in change.items() if name != "bits"}
    return dataclasses.replace(trial, params={**trial.params, **own})


def _another(parameter: params.Parameter, given: Mapping[str, Any]) -> Any:
    """A value that the parameter allows and that it does not have now."""
    now = given.get(parameter.name, parameter.default)
    offered: list[Any] = [*parameter.choices]
    if isinstance(now, (int, float)) and not isinstance(now, bool):
        offered += [now * 2, now + 1, now / 2, now - 1]
    found = [value for value in offered if value != now and parameter.accepts(value)]
    require(bool(found), f"{parameter.name} varies, but has no value other than {now!r} to try.")
    return found[0]


def how_often_it_encodes_does_not_matter(trial: Trial) -> None:
    splits, method = asking.three(), trial.new()
    trial.start(method, splits[0])
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
        asking.both(trial, method, asking.queries())
    plain = trial.fit(*splits)
    first, second = asking.both(trial, method, asking.queries()), asking.both(trial, plain, asking.queries())
    require(
        not differ(first, second).any(),
        f"{trial.owner} learns something else if it encodes between chunks: {differing(first, second)}. "
        "Draw no random numbers in encode().",
    )
