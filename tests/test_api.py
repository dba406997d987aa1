"""The data types and base classes that plugins are written against."""

from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np
import pytest

from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, Source, Split, sign
from bench.errors import BenchError, UnknownNameError
from bench.records import FIDELITIES, REFERENCES


class Mean(Method):
    """Sign of the centred features."""

    shift: float = 0.0

    def fit_chunk(self, chunk: Chunk) -> None:
        self.mean_ = {m: chunk.batch(m).features.mean(axis=0) for m in ("image", "text")}
        self.noise_ = self.rng.random(3)
        self.temporary = object()

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features - self.mean_[modality])[:, : self.bits]


def split(n: int = 6) -> Split:
    rng = np.random.default_rng(0)
    image, text = (rng.standard_normal((n, d)).astype(np.float32) for d in (8, 9))
    views = {"clip": image[:, :2], "bow": image[:, 2:4]}
    return Split(
        image=Batch(image, views), text=Batch(text), labels=np.eye(n, dtype=np.uint8), ids=np.arange(n)
    )


def chunk(n: int = 6) -> Chunk:
    s = split(n)
    return Chunk(image=s.image, text=s.text, labels=s.labels, ids=s.ids, round=0)


def test_sign_has_two_symbols_and_a_zero_is_plus_one() -> None:
    codes = sign(np.array([-0.0, 0.0, -1e-300, 5.0]))
    assert codes.dtype == np.int8
    assert codes.tolist() == [1, 1, -1, 1]


def test_taking_rows_keeps_every_field_aligned() -> None:
    part = split().take(np.array([4, 1]))
    assert part.ids.tolist() == [4, 1]
    assert len(part) == len(part.text) == 2
    assert part.labels is not None
    assert part.labels.argmax(axis=1).tolist() == [4, 1]
    np.testing.assert_array_equal(part.image.views["clip"], split().image.views["clip"][[4, 1]])


@pytest.mark.parametrize("modality", ["image", "text"])
def test_a_batch_of_a_split_holds_one_modality(modality: Modality) -> None:
    assert split().batch(modality).features.shape[1] == {"image": 8, "text": 9}[modality]


def test_a_subclass_is_a_dataclass_whose_repr_is_the_call() -> None:
    assert repr(Mean(bits=8, shift=0.5)) == "Mean(bits=8, seed=0, shift=0.5)"


def test_a_misspelt_parameter_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="shfit"):
        Mean(bits=8, shfit=1.0)  # type: ignore[call-arg]


def test_a_method_without_encode_cannot_be_made() -> None:
    half = type("Half", (Method,), {"fit_chunk": lambda *_: None, "__module__": __name__})
    with pytest.raises(TypeError, match=r"abstract method '?encode"):
        half(bits=8)


def test_a_method_compares_by_identity() -> None:
    assert Mean(bits=8) != Mean(bits=8)


def test_the_state_is_what_ends_in_an_underscore_and_the_generator() -> None:
    method = Mean(bits=8)
    method.fit_chunk(chunk())
    assert set(method.state_dict()) == {"mean_", "noise_", "rng"}


def test_a_loaded_state_goes_on_where_the_other_stood() -> None:
    first, second = Mean(bits=8, seed=1), Mean(bits=8, seed=2)
    first.fit_chunk(chunk())
    second.load_state_dict(first.state_dict())
    assert first.rng.random() == second.rng.random()
    np.testing.assert_array_equal(first.encode(split().image, "image"), second.encode(split().image, "image"))


def test_database_codes_are_those_of_encode_unless_training_assigns_them() -> None:
    method = Mean(bits=8)
    method.fit_chunk(chunk())
    np.testing.assert_array_equal(
        method.encode_database(chunk(), "text"), method.encode(split().text, "text")
    )
    assert method.update_database("text") is None


def test_an_unknown_name_survives_the_way_to_another_process() -> None:
    import pickle

    error = UnknownNameError("method", "lcdhh", ["ukd", "lcdh"])
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, BenchError)
    assert str(twin) == str(error)


def test_of_a_thousand_known_names_only_the_nearest_are_listed() -> None:
    error = UnknownNameError("network", "resnet5", [f"net{i}" for i in range(1000)] + ["resnet50"])
    assert str(error).startswith(
        "no network named 'resnet5'. Did you mean 'resnet50'? Known: 1001 names, nearest"
    )
    assert len(str(error)) < 200


def test_every_fidelity_of_the_contract_has_words() -> None:
    declared = get_type_hints(Source)["fidelity"]
    assert {*get_args(declared), "modified"} == set(FIDELITIES)


def test_every_kind_of_reference_of_the_contract_has_words() -> None:
    declared = get_type_hints(Capabilities)["reference"]
    assert set(get_args(declared)) == {"", *REFERENCES}
