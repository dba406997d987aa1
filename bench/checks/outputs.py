"""The contract of a method: the form of its codes, vectors and numbers of queries."""

from __future__ import annotations

import numpy as np

from bench.checks import asking
from bench.checks.comparing import differ, differing, require
from bench.checks.trial import ROWS, Trial, equal, items
from bench.contract import state
from bench.contract.items import MODALITIES, Features, Modality, Split, sign
from bench.contract.method import Method
from bench.protocol import shown
from bench.scoring import asymmetric

_FAR = 0.25  # share of the items


def codes_are_signs_at_8_and_128_bits(trial: Trial) -> None:
    for bits in (8, 128):  # every other check is at 16
        method = trial.fit(*asking.three()[:2], bits=bits)
        for modality in MODALITIES:
            asking.codes(trial, method, asking.queries(), modality)
        asking.require_finite(trial, method, f"chunks at {bits} bits")


def outputs_have_the_signs_of_the_codes(trial: Trial) -> None:
    method, asked = trial.fit(*asking.three()), asking.queries()
    for m in MODALITIES:
        values = method.outputs(trial.asked(asked, m), m)
        require(
            values is None or np.array_equal(sign(values), asking.codes(trial, method, asked, m)),
            f"{trial.owner}.outputs() of {m}s has other signs than encode(). Return the values that encode() "
            "signs, or None.",
        )


def vectors_are_finite_float32_of_one_width(trial: Trial) -> None:
    for bits in (8, 128):  # which a real-valued method may ignore
        method = trial.fit(*asking.three()[:2], bits=bits)
        image, text = (asking.codes(trial, method, asking.queries(), m).shape[1] for m in MODALITIES)
        require(
            image == text,
            f"{trial.owner}.encode() gives images {image} values and texts {text}; expected as many. "
            "Map both modalities to one space.",
        )


def numbers_of_queries_are_finite_float32_at_8_and_128_bits(trial: Trial) -> None:
    for bits in (8, 128):
        method = trial.fit(*asking.three()[:2], bits=bits)
        for modality in MODALITIES:
            _asked(trial, method, asking.queries(), modality)


def numbers_of_queries_stay_the_same(trial: Trial) -> None:
    """With an equal seed, after saving and loading, when asked again, and for each query alone."""
    method, twin, queries = trial.fit(*asking.three()[:2]), trial.fit(*asking.three()[:2]), asking.queries()
    before, loaded = state.copy(method.state_dict()), asking.reloaded(trial, method)
    for modality in MODALITIES:
        first = _asked(trial, method, queries, modality)
        single = [queries.take(np.array([row])) for row in range(len(queries))]
        others = {
            "when it is called again": _asked(trial, method, queries, modality),
            "with the same seed": _asked(trial, twin, queries, modality),
            "after its state was saved and loaded": _asked(trial, loaded, queries, modality),
            "for a query alone": np.concatenate([_asked(trial, method, one, modality) for one in single]),
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
        octets = np.packbits(asking.codes(trial, method, split, modality) > 0, axis=1)
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
