"""The contract of a method: its declarations are complete and agree with its code."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from bench.checks.comparing import require
from bench.checks.trial import Trial
from bench.contract import params
from bench.contract.method import Method
from bench.plugins import registry
from bench.records import AXES, DISTANCES, FIDELITIES, REFERENCES


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
        ("forgets", "forget_items", cls.forget_items is not Method.forget_items),
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
