"""Parameters are typed: what is accepted, what is read from text, and how a refusal reads."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.api import Batch, Chunk, Codes, DatasetSource, Method, Modality, RawSource, sign
from bench.contract.params import Parameter, check, param, parameters, parse
from bench.errors import ContractError, ParameterError, UnknownNameError


class Tuned(Method):
    """A method with one parameter of each kind."""

    alpha: float = param(0.5, "a weight", above=0, most=2)
    steps: int = param(3, "how often", least=1)
    mode: Literal["fast", "exact"] = "fast"
    centred: bool = True
    limit: float | None = None
    label: str | None = None
    constant: ClassVar[int] = 7

    def fit_chunk(self, chunk: Chunk) -> None:
        self.n_ = len(chunk)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, : self.bits])


KNOWN = parameters(Tuned)


def test_parameters_are_the_annotated_attributes_without_bits_and_seed() -> None:
    assert list(KNOWN) == ["alpha", "steps", "mode", "centred", "limit", "label"]


def test_a_parameter_has_its_description_default_and_bounds() -> None:
    assert KNOWN["alpha"] == Parameter("alpha", float, 0.5, "a weight", above=0, most=2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alpha", "float in (0, 2]"),
        ("steps", "int in [1, inf)"),
        ("mode", "one of fast, exact"),
        ("centred", "bool"),
        ("limit", "float or none"),
    ],
)
def test_what_is_expected_is_said_in_words(name: str, words: str) -> None:
    assert KNOWN[name].expects == words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", 0.0),
        ("alpha", 2.1),
        ("alpha", float("nan")),
        ("alpha", "0.5"),
        ("alpha", True),
        ("steps", 0),
        ("steps", 1.5),
        ("steps", True),
        ("mode", "slow"),
        ("centred", 1),
        ("limit", float("inf")),
        ("label", 3),
    ],
)
def test_the_constructor_refuses_a_wrong_value_and_names_it(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"^Tuned: {name} must be .*; got "):
        Tuned(bits=8, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 2), ("steps", 1), ("limit", None), ("limit", 1), ("label", "x")]
)
def test_the_constructor_takes_a_right_value(name: str, value: Any) -> None:
    assert getattr(Tuned(bits=8, **{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("alpha", "1", 1.0),
        ("alpha", "1e-3", 0.001),
        ("steps", "12", 12),
        ("mode", "exact", "exact"),
        ("centred", "False", False),
        ("limit", "none", None),
        ("limit", "3", 3.0),
        ("label", "none", None),
        ("label", "some", "some"),
    ],
)
def test_text_is_read_by_the_declared_type(name: str, text: str, value: Any) -> None:
    found = parse("tuned", KNOWN[name], text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("alpha", "much"), ("steps", "1.0"), ("mode", "slow"), ("centred", "1"), ("alpha", "nan")],
)
def test_text_that_is_no_such_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(ParameterError, match=f"tuned: {name} must be .*; got '{text}'"):
        parse("tuned", KNOWN[name], text)


def test_a_misspelt_parameter_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no parameter of tuned named 'alhpa'. Did you mean 'alpha'"):
        check("tuned", {"alhpa": 1.0}, KNOWN)


@given(st.floats(min_value=0, max_value=2, exclude_min=True))
def test_a_number_within_bounds_survives_its_own_text(value: float) -> None:
    assert parse("tuned", KNOWN["alpha"], repr(value)) == value


@pytest.mark.parametrize("declared", ["dict[str, int]", "list[float]", "Any"])
def test_a_type_that_a_record_cannot_hold_is_refused(declared: str) -> None:
    body: dict[str, Any] = {"__annotations__": {"odd": declared}, "odd": None, "__module__": __name__}
    body["fit_chunk"] = body["encode"] = lambda *_: None
    odd = type("Odd", (Method,), body)
    with pytest.raises(ContractError, match=r"Odd\.odd is declared"):
        odd(bits=8)


def made(base: type, name: str, annotation: str, value: Any) -> type:
    """A subclass whose body annotates one class attribute."""
    body = {"__annotations__": {name: annotation}, name: value, "__module__": __name__}
    return type("Mine", (base,), body)


@pytest.mark.parametrize(
    ("base", "name", "annotation", "value"),
    [
        (Method, "varies", "tuple[str, ...]", ("alpha",)),
        (Method, "variants", "dict", {}),
        (Method, "presets", "dict[str, dict[str, float]]", {}),
        (Method, "capabilities", "Capabilities", None),
        (Method, "source", "Source", None),
        (DatasetSource, "schedule", "str", "shuffled:100"),
        (DatasetSource, "card", "Card | None", None),
        (DatasetSource, "citation", "str", "me"),
        (DatasetSource, "licence", "str", "none"),
        (RawSource, "card", "Card", None),
        (RawSource, "checkpoints", "dict", {}),
    ],
)
def test_an_annotation_that_would_make_a_class_attribute_a_parameter_is_refused(
    base: type, name: str, annotation: str, value: Any
) -> None:
    with pytest.raises(ContractError, match=rf"^Mine\.{name} is annotated.*write {name}: ClassVar\["):
        made(base, name, annotation, value)


@pytest.mark.parametrize("annotation", ["ClassVar[tuple[str, ...]]", "ClassVar", ClassVar[tuple[str]]])
def test_a_class_attribute_may_be_annotated_as_one(annotation: Any) -> None:
    assert "varies" not in parameters(made(Tuned, "varies", annotation, ("alpha",)))


def test_a_class_attribute_without_annotation_is_no_parameter() -> None:
    assert "varies" not in parameters(type("Mine", (Tuned,), {"varies": ("alpha",), "__module__": __name__}))


def test_a_parameter_of_the_base_may_be_declared_again() -> None:
    assert parameters(made(Tuned, "alpha", "float", 0.25))["alpha"].default == 0.25
