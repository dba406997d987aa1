"""The contract of a method, one function per demand: it raises where the demand is not met."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks import controls
from bench.checks.comparing import differ, differing, require
from bench.checks.trial import BITS, CLASSES, ROWS, Trial, arrays, equal, items
from bench.contract import params, state
from bench.contract.items import MODALITIES, Codes, Features, Labels, Modality, Split
from bench.contract.method import Capabilities, Method
from bench.errors import ContractError
from bench.plugins import registry
from bench.protocol import shown
from bench.protocol.outputs import validate_codes, validate_vectors
from bench.records import AXES, DISTANCES, FIDELITIES, REFERENCES
from bench.scoring import asymmetric

_QUERIES = 40
_FAR = 0.25  # share of the items
_UNUSUAL = 918273645  # a seed that no plugin sets by itself


def _codes(trial: Trial, method: Method, split: Split, modality: Modality) -> Codes:
    """Codes of the split's items as the harness asks for them: read-only, without views, checked."""
    codes = method.encode(trial.asked(split, modality), modality)
    checked: Codes = _valid(trial, method, codes, len(split), "encode")
    return checked


def _valid(trial: Trial, method: Method, codes: Any, rows: int, call: str) -> Any:
    if trial.cls.capabilities.reference == "real-valued":
        return validate_vectors(codes, rows=rows, owner=trial.owner, call=call)
    return validate_codes(codes, rows=rows, bits=method.bits, owner=trial.owner, call=call)


def _both(trial: Trial, method: Method, split: Split) -> Codes:
    """Codes of both modalities, one above the other."""
    return np.concatenate([_codes(trial, method, split, m) for m in MODALITIES])


def _given(trial: Trial, method: Method) -> Codes:
    """All codes of a method fitted on :func:`_three`: of queries, and those that training assigned."""
    codes = _both(trial, method, _queries())
    if not trial.cls.capabilities.learned_codes:
        return codes
    last = trial.chunks(*_three())[-1]
    learned = [method.encode_database(last, m) for m in MODALITIES]
    updates = [update for m in MODALITIES if (update := method.update_database(m)) is not None]
    return np.concatenate([codes, *learned, *updates])


def _three() -> list[Split]:
    return [items(seed=i) for i in range(3)]


def _queries() -> Split:
    return items(_QUERIES, seed=9)


def _require_finite(trial: Trial, method: Method, after: str) -> None:
    """NaN would hide behind sign(): it makes codes of -1."""
    for name, value in method.state_dict().items():
        bad = any(not np.isfinite(leaf).all() for leaf in _leaves(value))
        require(not bad, f"{trial.owner}.{name} holds NaN or infinity after {after}. Guard the division.")


def _leaves(tree: Any) -> Iterator[npt.NDArray[Any]]:
    if isinstance(tree, state.State):
        tree = vars(tree)
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _leaves(part)
    elif isinstance(tree, (np.ndarray, np.generic, float)) and np.asarray(tree).dtype.kind == "f":
        yield np.asarray(tree)


def _reloaded(trial: Trial, method: Method) -> Method:
    """A new instance that goes on from the saved state of ``method``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        state.save(path, method.state_dict())
        twin = trial.new(bits=method.bits, seed=method.seed)
        twin.load_state_dict(state.load(path))
    return twin


# Every method


def it_has_a_docstring_and_a_source(trial: Trial) -> None:
    require(
        bool(registry.docstring(trial.cls)),
        f"{trial.owner} has no docstring. Say in one sentence what the method does.",
    )
    source = trial.cls.source
    require(
        bool(source.paper or source.note or source.fidelity == "new"),
        f"{trial.owner}.source is empty; expected where the algorithm comes from. "
        'Set source = Source(paper=..., fidelity=...), or Source(fidelity="new") for a method of your own.',
    )
    require(
        source.fidelity in FIDELITIES,
        f"{trial.owner}.source has fidelity {source.fidelity!r}; expected one of {', '.join(FIDELITIES)}.",
    )


def parameters_are_typed_and_have_defaults(trial: Trial) -> None:
    known = params.parameters(trial.cls)
    missing = [f.name for f in dataclasses.fields(trial.cls) if f.init and f.name in known and _no_default(f)]
    require(
        not missing, f"{trial.owner}.{', '.join(missing)} has no default. Give it one: name: float = 1.0."
    )
    for name, value in vars(trial.cls).items():
        constant = isinstance(value, (bool, int, float, str)) and not name.startswith("_") and name.islower()
        require(
            not constant or name in known or name in _own_names(),
            f"{trial.owner}.{name} has no annotation, so nobody can set it. "
            f"Write {name}: {type(value).__name__} = {value!r}, or {name.upper()} for a constant.",
        )
    for preset, values in trial.cls.presets.items():
        params.check(f"{trial.owner}[preset={preset}]", values, known)
    for name, variant in trial.cls.variants.items():
        require(
            re.fullmatch(r"[\w.-]+", name) is not None,
            f"{trial.owner}, variant {name!r}: cannot be typed as an option. Write words with hyphens.",
        )
        params.check(f"{trial.owner}, variant {name}", variant.params, known)
        require(
            variant.run.keys() <= set(AXES),
            f"{trial.owner}, variant {name}: run has {', '.join(variant.run)}; known: {', '.join(AXES)}.",
        )
    trial.new()


def _no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _own_names() -> set[str]:
    return {"bits", "seed"}


def capabilities_match_what_is_overridden(trial: Trial) -> None:
    can, cls = trial.cls.capabilities, trial.cls
    own_codes = cls.encode_database is not Method.encode_database
    updates = cls.update_database is not Method.update_database
    for flag, method, overrides in (
        ("learned_codes", "encode_database", own_codes or updates),
        ("pool", "fit_pool", cls.fit_pool is not Method.fit_pool),
    ):
        declared = getattr(can, flag)
        require(
            declared == overrides,
            f"{trial.owner} has Capabilities({flag}={declared}) but {'overrides' if overrides else 'lacks'} "
            f"{method}(). Let them agree.",
        )
    require(
        can.supervised or not can.label_free,
        f"{trial.owner} is label_free but not supervised; expected both of a method that uses labels if any.",
    )
    require(
        can.reference in ("", *REFERENCES),
        f"{trial.owner} has Capabilities(reference={can.reference!r}); expected one of "
        f"{', '.join(REFERENCES)}, or nothing for a hashing method.",
    )


def its_distance_has_numbers_of_queries(trial: Trial) -> None:
    """encode_query() is there for a distance of the method's own, and for nothing else."""
    distance = trial.cls.capabilities.distance
    require(
        distance in DISTANCES,
        f"{trial.owner} has Capabilities(distance={distance!r}); expected one of {', '.join(DISTANCES)}.",
    )
    overrides = trial.cls.encode_query is not Method.encode_query
    require(
        overrides == (distance != "hamming"),
        f"{trial.owner} has Capabilities(distance={distance!r}) and {'overrides' if overrides else 'lacks'} "
        "encode_query(). Let them agree.",
    )
    require(
        distance == "hamming" or trial.cls.capabilities.reference != "real-valued",
        f"{trial.owner} is real-valued, and its distance is {distance}; expected codes of its items. "
        "Drop one of the two declarations.",
    )


def codes_are_signs_at_8_and_128_bits(trial: Trial) -> None:
    for bits in (8, 128):  # every other check is at 16
        method = trial.fit(*_three()[:2], bits=bits)
        for modality in MODALITIES:
            _codes(trial, method, _queries(), modality)
        _require_finite(trial, method, f"chunks at {bits} bits")


def numbers_of_queries_are_finite_float32_at_8_and_128_bits(trial: Trial) -> None:
    for bits in (8, 128):
        method = trial.fit(*_three()[:2], bits=bits)
        for modality in MODALITIES:
            _asked(trial, method, _queries(), modality)


def numbers_of_queries_stay_the_same(trial: Trial) -> None:
    """With an equal seed, after saving and loading, when asked again, and for each query alone."""
    method, twin, queries = trial.fit(*_three()[:2]), trial.fit(*_three()[:2]), _queries()
    before, loaded = state.copy(method.state_dict()), _reloaded(trial, method)
    for modality in MODALITIES:
        first = _asked(trial, method, queries, modality)
        alone = [_asked(trial, method, queries.take(np.array([row])), modality) for row in range(_QUERIES)]
        others = {
            "when it is called again": _asked(trial, method, queries, modality),
            "with the same seed": _asked(trial, twin, queries, modality),
            "after its state was saved and loaded": _asked(trial, loaded, queries, modality),
            "for a query alone": np.concatenate(alone),
        }
        for when, numbers in others.items():
            require(
                not differ(first, numbers).any(),
                f"{trial.owner}.encode_query() gives other numbers {when}: {differing(first, numbers)}.",
            )
    require(equal(before, method.state_dict()), f"{trial.owner}.encode_query() changes the state.")


def a_query_is_nearest_to_its_own_code(trial: Trial) -> None:
    """Items used as queries are nearer to their own codes than to those of most other items.

    This finds a wrong sign, and bytes in another order.
    """
    split = items(2 * ROWS, seed=6)
    method = trial.fit(split)
    for modality in MODALITIES:
        added = asymmetric.tables(_asked(trial, method, split, modality), method.bits)
        octets = np.packbits(_codes(trial, method, split, modality) > 0, axis=1)
        distance = np.sum([added[:, m, octets[:, m]] for m in range(octets.shape[1])], axis=0)
        if trial.cls.capabilities.distance == "scaled dot":
            distance *= asymmetric.factors(octets.T, method.bits)
        nearer = (distance < np.diagonal(distance)[:, None]).mean()
        require(
            float(nearer) < _FAR,
            f"{trial.owner}.encode_query() of an item is nearer to {nearer:.0%} of all items than to its own "
            f"code ({modality}); expected less than {_FAR:.0%}. Check the sign and the order of the bits.",
        )


def _asked(trial: Trial, method: Method, split: Split, modality: Modality) -> Features:
    """The numbers of the split's items as queries, as the harness asks for them, checked."""
    return shown.checked_query(
        method, method.encode_query(trial.asked(split, modality), modality), len(split)
    )


def vectors_are_finite_float32_of_one_width(trial: Trial) -> None:
    for bits in (8, 128):  # which a real-valued method may ignore
        method = trial.fit(*_three()[:2], bits=bits)
        image, text = (_codes(trial, method, _queries(), m).shape[1] for m in MODALITIES)
        require(
            image == text,
            f"{trial.owner}.encode() gives images {image} values and texts {text}; expected as many. "
            "Map both modalities to one space.",
        )


def equal_seeds_give_equal_codes(trial: Trial) -> None:
    first = _given(trial, trial.fit(*_three()))
    with _other_global_generators():
        second = _given(trial, trial.fit(*_three()))
    require(
        not differ(first, second).any(),
        f"{trial.owner} gives other codes with the same seed: {differing(first, second)}. "
        "Draw random numbers from self.rng only.",
    )


def encode_changes_nothing(trial: Trial) -> None:
    method = trial.fit(*_three()[:2])
    before = state.copy(method.state_dict())
    first = _both(trial, method, _queries())
    _both(trial, method, items(5, seed=8))
    again = _both(trial, method, _queries())
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
    method, splits = trial.new(), _three()
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


def a_saved_state_gives_the_same_codes(trial: Trial) -> None:
    method = trial.fit(*_three()[:2])
    _require_same_codes(trial, method, _reloaded(trial, method), "after its state was saved and loaded")


def _require_same_codes(trial: Trial, method: Method, twin: Method, when: str) -> None:
    first = _both(trial, method, _queries())
    try:
        second = _both(trial, twin, _queries())
    except AttributeError as error:
        raise ContractError(
            f"{trial.owner} fails {when}: {error}. Keep what is learned in attributes that end in '_'."
        ) from error
    require(
        not differ(first, second).any(),
        f"{trial.owner} gives other codes {when}: {differing(first, second)}. "
        "Keep what is learned in attributes that end in '_'.",
    )


def few_rows_and_one_row_are_enough(trial: Trial) -> None:
    few, one, another = items(BITS // 2, seed=4), items(1, seed=5), items(1, seed=6)
    for splits, what in (
        ((few,), f"a first chunk of {len(few)} rows"),
        ((items(seed=0), one), "a chunk of one row"),
        ((one, another), "nothing but chunks of one row"),
    ):
        method = trial.fit(*splits)
        _both(trial, method, _queries())
        _require_finite(trial, method, what)


def constant_and_repeated_columns_are_safe(trial: Trial) -> None:
    """In features and views: each column with a twin and a constant one beside it; then zeros alone."""
    for columns, what in ((_doubled, "constant and repeated columns"), (_constant, "constant columns alone")):
        splits = [_with_columns(split, columns) for split in _three()[:2]]
        method = trial.fit(*splits)
        _both(trial, method, splits[0])
        _require_finite(trial, method, what)


def _doubled(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.hstack([x, x, np.full_like(x, 1e4)])


def _constant(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.zeros_like(x)


def _with_columns(split: Split, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Split:
    image, text = (
        dataclasses.replace(
            b, features=change(b.features), views={name: change(view) for name, view in b.views.items()}
        )
        for b in map(split.batch, MODALITIES)
    )
    return dataclasses.replace(split, image=image, text=text)


def a_class_may_be_missing_from_a_chunk(trial: Trial) -> None:
    early, late = range(CLASSES // 2), range(CLASSES // 2, CLASSES)
    method = trial.fit(items(seed=0, classes=early), items(seed=1, classes=late))
    _both(trial, method, _queries())
    _require_finite(trial, method, "a chunk without some of the classes")


def it_prints_nothing(trial: Trial) -> None:
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        _both(trial, trial.fit(*_three()[:2]), _queries())
    said = heard.getvalue().strip().partition("\n")[0]
    require(not said, f"{trial.owner} prints {said[:60]!r}. Use logging.getLogger(__name__).")


def it_leaves_global_random_state_alone(trial: Trial) -> None:
    with _other_global_generators() as moved:
        _both(trial, trial.fit(*_three()[:2]), _queries())
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
    splits, pool = _three(), trial.pool(_three()[0])
    alone = [_given(cell, cell.fit(*splits, bits=bits)) for cell, bits in cells]
    for order in (range(len(cells)), reversed(range(len(cells)))):
        together = {i: cells[i][0].new(bits=cells[i][1]) for i in order}
        for method in together.values():
            if pool is not None:
                method.fit_pool(pool)
        for chunk in trial.chunks(*splits):
            for method in together.values():
                method.fit_chunk(chunk)
        for i, method in together.items():
            codes = _given(cells[i][0], method)
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


# Online methods


def it_goes_on_from_a_saved_state(trial: Trial) -> None:
    splits = _three()
    method = twin = trial.fit(splits[0])
    for chunk in trial.chunks(*splits)[1:]:
        twin = _reloaded(trial, twin)
        for one in (method, twin):
            one.fit_chunk(chunk)
    _require_same_codes(trial, method, twin, "when it goes on with the next chunk from a loaded state")


def how_often_it_encodes_does_not_matter(trial: Trial) -> None:
    splits, method = _three(), trial.new()
    trial.start(method, splits[0])
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
        _both(trial, method, _queries())
    plain = trial.fit(*splits)
    first, second = _both(trial, method, _queries()), _both(trial, plain, _queries())
    require(
        not differ(first, second).any(),
        f"{trial.owner} learns something else if it encodes between chunks: {differing(first, second)}. "
        "Draw no random numbers in encode().",
    )


# Labels


def true_labels_teach_more_than_shuffled_ones(trial: Trial) -> None:
    """Codes of a supervised method say less about the labels where training saw them shuffled."""
    splits = [items(2 * ROWS, seed=i) for i in range(2)]
    rng = np.random.default_rng(3)
    shuffled = [dataclasses.replace(s, labels=rng.permutation(_labels(s))) for s in splits]
    true, chance = (_contrast(trial, trial.fit(*s)) for s in (splits, shuffled))
    require(
        true > chance,
        f"{trial.owner} is supervised, but true labels part relevant from other items by {true:.2f} bits, "
        f"shuffled ones by {chance:.2f}; expected more of the true ones. Check how chunk.labels is used.",
    )


def _labels(split: Split) -> Labels:
    assert split.labels is not None
    return split.labels


def _contrast(trial: Trial, method: Method) -> float:
    """Mean Hamming distance of irrelevant minus relevant image-text pairs, over both directions.

    Of real-valued vectors it is the distance of that cosine: codes of ±1 at it have that many bits apart.
    """
    queries, database = items(_QUERIES, seed=9), items(2 * ROWS, seed=6)
    relevant = _labels(queries).astype(int) @ _labels(database).T.astype(int) > 0
    total = 0.0
    for a, b in (MODALITIES, MODALITIES[::-1]):
        left, right = (_unit(_codes(trial, method, s, m)) for s, m in ((queries, a), (database, b)))
        distance = method.bits * (1 - left @ right.T) / 2
        total += float(distance[~relevant].mean() - distance[relevant].mean())
    return total / 2


def _unit(codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    return np.asarray(codes / np.where(norms > 0, norms, 1), dtype=np.float64)


def it_runs_where_some_or_no_items_have_labels(trial: Trial) -> None:
    splits = _three()[:2]
    some = [_with_labels(s, _labels(s) * (np.arange(len(s)) % 2)[:, None].astype(np.uint8)) for s in splits]
    zeros = [_with_labels(s, np.zeros_like(_labels(s))) for s in splits]
    none = [_with_labels(s, None) for s in splits]
    for what, given in (("some", some), ("no", zeros), ("no", none)):
        method = trial.fit(*given)
        _both(trial, method, _queries())
        _require_finite(trial, method, f"chunks in which {what} items have labels")


def _with_labels(split: Split, labels: Labels | None) -> Split:
    return dataclasses.replace(split, labels=labels)


# Missing modalities


def it_learns_from_items_that_lack_a_modality(trial: Trial) -> None:
    """Of every three items one lacks its image and one its text; then only texts come."""
    third = np.arange(ROWS) % 3
    splits = [_without(s, image=third == 0, text=third == 1) for s in _three()[:2]]
    splits.append(_without(_three()[2], image=np.ones(ROWS, dtype=bool), text=np.zeros(ROWS, dtype=bool)))
    method = trial.fit(*splits)
    _both(trial, method, _queries())
    _require_finite(trial, method, "chunks in which items lack a modality")


def _without(split: Split, **absent: npt.NDArray[np.bool_]) -> Split:
    """The same items, with zeros where they lack a modality."""
    sides = {}
    for m in MODALITIES:
        seen, kept = split.batch(m), ~absent[m][:, None]
        views = {name: view * kept for name, view in seen.views.items()}
        sides[m] = dataclasses.replace(seen, features=seen.features * kept, views=views, absent=absent[m])
    return dataclasses.replace(split, image=sides["image"], text=sides["text"])


# Learned codes, the offline pool, views


def learned_codes_cover_every_chunk(trial: Trial) -> None:
    splits, method = _three(), trial.new()
    trial.start(method, splits[0])
    given: list[tuple[Codes, Codes]] = []
    total = 0
    for chunk in trial.chunks(*splits):
        method.fit_chunk(chunk)
        total += len(chunk)
        for modality in MODALITIES:
            codes = method.encode_database(chunk, modality)
            _valid(trial, method, codes, len(chunk), "encode_database")
            given.append((codes, codes.copy()))
            update = method.update_database(modality)
            if update is not None:
                _valid(trial, method, update, total, "update_database")
    moved = any(not np.array_equal(now, then) for now, then in given)
    require(
        not moved,
        f"{trial.owner} writes to codes that encode_database() gave before. "
        "Return a copy, and give re-hashed codes by update_database().",
    )


def learned_codes_survive_saving(trial: Trial) -> None:
    """Updates of old codes, and the codes of the next chunk; those of the last one had been given."""
    splits = _three()
    method = trial.fit(*splits[:2])
    twin = _reloaded(trial, method)
    pairs = [(method.update_database(m), twin.update_database(m)) for m in MODALITIES]
    if not trial.cls.capabilities.offline:
        chunk = trial.chunks(*splits)[2]
        for one in (method, twin):
            one.fit_chunk(chunk)
        pairs += [(method.encode_database(chunk, m), twin.encode_database(chunk, m)) for m in MODALITIES]
        pairs += [(method.update_database(m), twin.update_database(m)) for m in MODALITIES]
    require(
        all(equal(a, b) for a, b in pairs),
        f"{trial.owner} gives other learned codes after its state was saved and loaded. "
        "Keep what is learned in attributes that end in '_'.",
    )


def it_runs_with_and_without_a_pool(trial: Trial) -> None:
    for pool in (True, False):
        _both(trial, trial.fit(*_three()[:2], pool=pool), _queries())


def it_runs_where_plain_features_stand_in_for_a_view(trial: Trial) -> None:
    method = trial.fit(*[items(seed=i, view="another") for i in range(2)])
    _both(trial, method, items(_QUERIES, seed=9, view="another"))


_Check = Callable[[Trial], str | None]  # returns what a reader should know where the check passes
_Checks = Sequence[_Check]


def of(can: Capabilities) -> list[_Check]:
    """The checks for a method with these capabilities."""
    needed = (
        (True, _ALWAYS),
        (can.reference != "oracle", _BLIND),
        (can.reference != "real-valued", _BINARY),
        (can.distance != "hamming", _OWN_DISTANCE),
        (can.reference == "real-valued", _REAL),
        (not can.offline, _ONLINE),
        # An oracle may learn as much from shuffled labels: it is shown those of every item anyway.
        (can.supervised and not can.label_free and can.reference != "oracle", _SUPERVISED),
        (can.label_free, _LABEL_FREE),
        (can.partial, _PARTIAL),
        (can.learned_codes, _LEARNED),
        (can.pool, _POOL),
        (bool(can.views), _VIEWS),
    )
    return [check for applies, checks in needed if applies for check in checks]


_ALWAYS: _Checks = (
    it_has_a_docstring_and_a_source,
    parameters_are_typed_and_have_defaults,
    capabilities_match_what_is_overridden,
    its_distance_has_numbers_of_queries,
    equal_seeds_give_equal_codes,
    encode_changes_nothing,
    controls.an_items_code_depends_on_no_other_item,
    controls.it_remembers_no_rows,
    controls.later_labels_change_no_earlier_code,
    controls.rounding_decides_no_codes,
    fit_leaves_chunk_and_parameters_alone,
    a_saved_state_gives_the_same_codes,
    few_rows_and_one_row_are_enough,
    constant_and_repeated_columns_are_safe,
    a_class_may_be_missing_from_a_chunk,
    it_prints_nothing,
    it_leaves_global_random_state_alone,
    another_cell_of_the_pass_on_the_same_chunk_changes_nothing,
)
_BLIND: _Checks = (controls.labels_of_queries_change_no_code,)
_BINARY: _Checks = (codes_are_signs_at_8_and_128_bits,)
_OWN_DISTANCE: _Checks = (
    numbers_of_queries_are_finite_float32_at_8_and_128_bits,
    numbers_of_queries_stay_the_same,
    a_query_is_nearest_to_its_own_code,
)
_REAL: _Checks = (vectors_are_finite_float32_of_one_width,)
_ONLINE: _Checks = (it_goes_on_from_a_saved_state, how_often_it_encodes_does_not_matter)
_SUPERVISED: _Checks = (true_labels_teach_more_than_shuffled_ones,)
_LABEL_FREE: _Checks = (it_runs_where_some_or_no_items_have_labels,)
_PARTIAL: _Checks = (it_learns_from_items_that_lack_a_modality,)
_LEARNED: _Checks = (learned_codes_cover_every_chunk, learned_codes_survive_saving)
_POOL: _Checks = (it_runs_with_and_without_a_pool,)
_VIEWS: _Checks = (it_runs_where_plain_features_stand_in_for_a_view,)
