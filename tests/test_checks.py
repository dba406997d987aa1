"""The contract suite passes a good plugin and names, in one line, what is wrong with a bad one."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import (
    MODALITIES,
    Batch,
    Capabilities,
    Chunk,
    Codes,
    Dataset,
    DatasetSource,
    Method,
    Modality,
    Source,
    Split,
    Variant,
    param,
    sign,
)
from bench.checks.suite import check_dataset, check_method, checks_for
from bench.checks.trial import items
from bench.errors import ContractError
from bench.protocol.outputs import validate_codes


class Good(Method):
    """Random projections of centred features: keeps every rule."""

    scale: float = param(1.0, "factor of the projections", above=0)
    source = Source(note="for tests")

    def fit_chunk(self, chunk: Chunk) -> None:
        if chunk.round == 0:
            x = {m: chunk.batch(m).features for m in MODALITIES}
            self.mean_ = {m: v.mean(axis=0) for m, v in x.items()}
            self.w_ = {
                m: self.scale * self.rng.standard_normal((v.shape[1], self.bits)) for m, v in x.items()
            }

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign((batch.features - self.mean_[modality]) @ self.w_[modality])


class Ridge(Good):
    """Supervised: ridge regression to random codes of the labels, with codes of its own for the database."""

    capabilities = Capabilities(supervised=True, learned_codes=True)

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)
        assert chunk.labels is not None
        if chunk.round == 0:
            self.anchors_ = self.rng.standard_normal((chunk.labels.shape[1], self.bits))
        self.codes_ = sign(chunk.labels @ self.anchors_)
        for m in MODALITIES:
            x = chunk.batch(m).features - self.mean_[m]
            self.w_[m] = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ self.codes_)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Codes:
        return self.codes_.copy()


class Weighted(Good):
    """Shares a number that depends on what varies between the cells of a pass."""

    varies = ("weight",)
    weight: float = 1.0

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)
        self.turn_ = chunk.shared.once("turn", lambda: 1.0 if self.weight > 1 else -1.0)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(self.turn_ * super().encode(batch, modality))


class Deep(Good):
    """Reads views, has a pool and goes without labels where there are none."""

    capabilities = Capabilities(views=("clip",), pool=True, supervised=True, label_free=True)

    def fit_pool(self, pool: Split) -> None:
        self.teacher_ = pool.image.views["clip"].mean(axis=0)

    def fit_chunk(self, chunk: Chunk) -> None:
        super().fit_chunk(chunk)
        self.view_ = chunk.text.views["clip"].mean(axis=0)
        self.labelled_ = 0 if chunk.labels is None else int(chunk.labels.any(axis=1).sum())


class Offline(Good):
    """Learned from everything at once."""

    capabilities = Capabilities(offline=True)


class Real(Ridge):
    """Not hashed, supervised, with vectors of its own for the database."""

    capabilities = Capabilities(supervised=True, learned_codes=True, reference="real-valued")

    def encode(self, batch: Batch, modality: Modality) -> Any:
        return ((batch.features - self.mean_[modality]) @ self.w_[modality]).astype(np.float32)

    def encode_database(self, chunk: Chunk, modality: Modality) -> Any:
        return self.codes_.astype(np.float32)


class Oracle(Good):
    """Hashes the labels themselves."""

    capabilities = Capabilities(supervised=True, reference="oracle")

    def fit_chunk(self, chunk: Chunk) -> None:
        assert chunk.labels is not None
        if chunk.round == 0:
            self.map_ = self.rng.standard_normal((chunk.labels.shape[1], self.bits))

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.views["labels"] @ self.map_)


Hook = Callable[..., Any]


def bad(base: type[Method] = Good, **changed: Any) -> type[Method]:
    """A subclass of a good method with attributes or methods changed."""
    return type("Bad", (base,), {"__doc__": "A bad method.", "__module__": __name__, **changed})


def before_fit(action: Hook, base: type[Method] = Good) -> type[Method]:
    def fit_chunk(self: Method, chunk: Chunk) -> None:
        action(self, chunk)
        base.fit_chunk(self, chunk)

    return bad(base, fit_chunk=fit_chunk)


def after_fit(action: Hook, base: type[Method] = Good) -> type[Method]:
    def fit_chunk(self: Method, chunk: Chunk) -> None:
        base.fit_chunk(self, chunk)
        action(self, chunk)

    return bad(base, fit_chunk=fit_chunk)


def encoding(action: Hook, base: type[Method] = Good) -> type[Method]:
    """A method whose codes are ``action(method, batch, good codes)``."""

    def encode(self: Method, batch: Batch, modality: Modality) -> Any:
        return action(self, batch, base.encode(self, batch, modality))

    return bad(base, encode=encode)


def failures(method: type[Method]) -> dict[str, str]:
    return {r.name: r.message for r in check_method(method) if not r.ok}


@pytest.mark.parametrize("method", [Good, Ridge, Deep, Offline, Real, Oracle])
def test_a_good_method_passes_every_check(method: type[Method]) -> None:
    assert failures(method) == {}


def test_a_generated_dataset_passes_every_check(tmp_path: Path) -> None:
    check_dataset("synthetic", tmp_path, raising=True)


def test_checks_are_chosen_by_capabilities() -> None:
    names = {cls: {str(check) for check in checks_for(cls)} for cls in (Good, Ridge, Deep, Offline)}
    assert "learned_codes_cover_every_chunk" in names[Ridge] - names[Good]
    assert {"it_runs_with_and_without_a_pool", "it_runs_where_plain_features_stand_in_for_a_view"} <= names[
        Deep
    ]
    assert "it_goes_on_from_a_saved_state" in names[Good] - names[Offline]


def test_every_check_has_one_function() -> None:
    from bench.checks import conduct, controls, declared, gaps, learned, of_methods, outputs

    public = {
        name
        for module in (conduct, controls, declared, gaps, learned, outputs)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    }
    everything = Capabilities(supervised=True, views=("clip",), learned_codes=True, pool=True, forgets=True)
    used = {f.__name__ for f in of_methods.of(everything)}
    used |= {f.__name__ for f in of_methods.of(Capabilities(supervised=True, label_free=True))}
    used |= {f.__name__ for f in of_methods.of(Capabilities(partial=True))}
    used |= {f.__name__ for f in of_methods.of(Capabilities(reference="real-valued"))}
    used |= {f.__name__ for f in of_methods.of(Capabilities(distance="dot"))}
    assert used == public


def test_the_suite_is_at_hand_as_bench_check_method() -> None:
    assert bench.check_method is check_method


def test_raising_makes_one_error_with_a_line_for_each_failure() -> None:
    with pytest.raises(ContractError, match=r"(?s)Bad breaks \d+ checks:\n.*encode_changes_nothing: "):
        check_method(encoding(lambda self, batch, codes: codes * 0), raising=True)


def test_parameters_reach_the_method() -> None:
    seen: set[float] = set()
    check_method(before_fit(lambda self, chunk: seen.add(self.scale)), scale=3.0)
    assert seen == {3.0}


def _count(self: Any, *_: Any) -> None:
    self.calls_ = getattr(self, "calls_", 0) + 1


def _forget(self: Any, *_: Any) -> None:
    if self.w_:
        self.hidden, self.w_ = self.w_, {}


def _by_hidden(self: Any, batch: Batch, modality: Modality) -> Codes:
    return sign((batch.features - self.mean_[modality]) @ self.hidden[modality])


def _noisy(self: Any, batch: Batch, codes: Codes) -> Codes:
    return np.where(self.rng.random(codes.shape) < 0.5, codes, -codes).astype(np.int8)


def _counting(self: Any, batch: Batch, codes: Codes) -> Codes:
    _count(self)
    return codes


def _drawing(self: Any, batch: Batch, codes: Codes) -> Codes:
    self.rng.random()
    return codes


def _by_rank(self: Any, batch: Batch, codes: Codes) -> Codes:
    return sign(codes - codes.mean(axis=0))


def _write(self: Any, chunk: Chunk) -> None:
    chunk.image.features[0] = 0


def _double(self: Any, chunk: Chunk) -> None:
    self.scale *= 2


def _object(self: Any, chunk: Chunk) -> None:
    self.thing_ = object()


def _nan(self: Any, chunk: Chunk) -> None:
    self.spread_ = chunk.image.features.std(axis=0, ddof=1)


def _spread_of_the_first(self: Any, chunk: Chunk) -> None:
    if chunk.round == 0:
        self.spread_ = chunk.image.features.std(axis=0, ddof=1)


def _scaled(self: Any, chunk: Chunk) -> None:
    spread = chunk.image.features.std(axis=0)
    self.scaled_ = chunk.image.features / (spread if len(chunk) > 1 else 1)


def _random_codes(self: Any, chunk: Chunk, modality: Modality) -> Codes:
    return sign(np.random.standard_normal((len(chunk), self.bits)))


def _print(self: Any, chunk: Chunk) -> None:
    sys.stdout.write("epoch 1\n")


def _global_numpy(self: Any, chunk: Chunk) -> None:
    np.random.seed(0)


def _global_python(self: Any, chunk: Chunk) -> None:
    random.random()


def _reads_labels(self: Any, chunk: Chunk) -> None:
    assert chunk.labels is not None, "no labels"


def _reads_clip(self: Any, chunk: Chunk) -> None:
    chunk.image.views["clip"].mean()


def _needs_rows(self: Any, chunk: Chunk) -> None:
    if len(chunk) < self.bits:
        raise ValueError("too few rows")


def _needs_all_classes(self: Any, chunk: Chunk) -> None:
    assert chunk.labels is None or chunk.labels.any(axis=0).all(), "a class is missing"


def _narrower_images(self: Any, batch: Batch, modality: Modality) -> Any:
    return Real.encode(self, batch, modality)[:, 1 if modality == "image" else 0 :]


def _growing(self: Any, batch: Batch, vectors: Any) -> Any:
    _count(self)
    return vectors * np.float32(self.calls_)


def _less_mean(self: Any, batch: Batch, vectors: Any) -> Any:
    return vectors - vectors.mean(axis=0)


def _constant_codes(self: Any, batch: Batch, codes: Codes) -> Codes:
    return np.ones_like(codes)


def _one_at_a_time(self: Any, chunk: Chunk) -> None:
    if len(chunk) == 1:
        raise RuntimeError("one row\nis not enough")


def _codes_of_half(self: Any, chunk: Chunk, modality: Modality) -> Codes:
    return Ridge.encode_database(self, chunk, modality)[::2]


def _codes_it_writes_to(self: Any, chunk: Chunk, modality: Modality) -> Any:
    self.buffer = getattr(self, "buffer", np.ones((len(chunk), self.bits), dtype=np.int8))
    self.buffer *= -1
    return self.buffer


def _keep(self: Any, chunk: Chunk) -> None:
    self.kept = [*getattr(self, "kept", []), self.codes_]  # not saved: it does not end in an underscore


def _all_kept(self: Any, modality: Modality) -> Any:
    return np.concatenate(self.kept) if hasattr(self, "kept") else None


def _needs_clip_of_one_width(self: Any, chunk: Chunk) -> None:
    self.fused_ = chunk.image.views["clip"] + chunk.text.views["clip"]


def _needs_images(self: Any, chunk: Chunk) -> None:
    if chunk.image.absent is not None and chunk.image.absent.any():
        raise RuntimeError("an item lacks its image")


def _first(chunk: Chunk) -> Chunk:
    """The same chunk as if it were the first."""
    return Chunk(image=chunk.image, text=chunk.text, labels=chunk.labels, ids=chunk.ids, round=0)


def _afresh(self: Any, chunk: Chunk) -> None:
    Good.fit_chunk(self, _first(chunk))


def _shares_what_depends_on_bits(self: Any, chunk: Chunk) -> None:
    self.flip_ = chunk.shared.once("flip", lambda: self.bits == 8)


def _shares_an_array_it_changes(self: Any, chunk: Chunk) -> None:
    if chunk.round == 0:
        self.shift_ = chunk.shared.once("shift", lambda: np.zeros(1))
    self.shift_ += 1


def _flipped(self: Any, batch: Batch, codes: Codes) -> Any:
    return -codes if self.flip_ else codes


def _shifted(self: Any, batch: Batch, codes: Codes) -> Any:
    return codes if self.shift_[0] <= 3 else -codes


def _needs_pool(self: Any, chunk: Chunk) -> None:
    self.n_ = self.teacher_.size


BREACHES: list[tuple[str, str, type[Method]]] = [
    ("it_has_a_docstring_and_a_source", "no docstring", bad(__doc__=None)),
    ("it_has_a_docstring_and_a_source", "source is empty", bad(source=Source())),
    (
        "it_has_a_docstring_and_a_source",
        "fidelity 'mine'; expected one of authors' algorithm",
        bad(source=Source(note="x", fidelity="mine")),  # type: ignore[arg-type]
    ),
    (
        "capabilities_match_what_is_overridden",
        "Capabilities(reference='orcale'); expected one of oracle",
        bad(capabilities=Capabilities(reference="orcale")),  # type: ignore[arg-type]
    ),
    ("parameters_are_typed_and_have_defaults", "Bad.decay has no annotation", bad(decay=0.5)),
    (
        "parameters_are_typed_and_have_defaults",
        "no parameter of Bad[preset=authors] named 'sclae'",
        bad(presets={"authors": {"sclae": 1.0}}),
    ),
    (
        "parameters_are_typed_and_have_defaults",
        "Bad.width has no default",
        bad(__annotations__={"width": int}),
    ),
    ("capabilities_match_what_is_overridden", "lacks fit_pool()", bad(capabilities=Capabilities(pool=True))),
    (
        "capabilities_match_what_is_overridden",
        "overrides encode_database()",
        bad(Ridge, capabilities=Capabilities(supervised=True)),
    ),
    (
        "capabilities_match_what_is_overridden",
        "label_free but not supervised",
        bad(capabilities=Capabilities(label_free=True)),
    ),
    ("codes_are_signs_at_8_and_128_bits", "int8 (40, 8) with 320 zeros", encoding(lambda s, b, c: c * 0)),
    ("codes_are_signs_at_8_and_128_bits", "float64 (40, 8)", encoding(lambda s, b, c: c * 1.0)),
    ("codes_are_signs_at_8_and_128_bits", "int8 (39, 8)", encoding(lambda s, b, c: c[1:])),
    ("codes_are_signs_at_8_and_128_bits", "returned a NoneType", encoding(lambda s, b, c: None)),
    ("codes_are_signs_at_8_and_128_bits", "ZeroDivisionError", encoding(lambda s, b, c: 1 // 0)),
    (
        "outputs_have_the_signs_of_the_codes",
        "of images has other signs than encode()",
        bad(outputs=lambda self, batch, modality: np.ones((len(batch), self.bits))),
    ),
    ("equal_seeds_give_equal_codes", "self.rng only", before_fit(lambda s, c: setattr(s, "rng", np.random))),
    ("equal_seeds_give_equal_codes", "self.rng only", bad(Ridge, encode_database=_random_codes)),
    ("encode_changes_nothing", "other codes when it is called again", encoding(_noisy)),
    ("encode_changes_nothing", "changes calls_", encoding(_counting)),
    (
        "an_items_code_depends_on_no_other_item",
        "in another order and blocks of 7 (image)",
        encoding(_by_rank),
    ),
    ("fit_leaves_chunk_and_parameters_alone", "writes to the chunk", before_fit(_write)),
    ("fit_leaves_chunk_and_parameters_alone", "changes the parameter scale", after_fit(_double)),
    ("a_saved_state_gives_the_same_codes", "state['thing_'] is a object", after_fit(_object)),
    (
        "a_saved_state_gives_the_same_codes",
        "no attribute 'hidden'",
        bad(after_fit(_forget), encode=_by_hidden),
    ),
    (
        "few_rows_and_one_row_are_enough",
        "spread_ holds NaN or infinity after a chunk of one row",
        after_fit(_nan),
    ),
    ("few_rows_and_one_row_are_enough", "ValueError: too few rows", before_fit(_needs_rows)),
    ("few_rows_and_one_row_are_enough", "RuntimeError: one row is not enough", before_fit(_one_at_a_time)),
    (
        "few_rows_and_one_row_are_enough",
        "spread_ holds NaN or infinity after nothing but chunks of one row",
        before_fit(_spread_of_the_first),
    ),
    (
        "constant_and_repeated_columns_are_safe",
        "scaled_ holds NaN or infinity after constant and repeated columns",
        after_fit(_scaled),
    ),
    ("a_class_may_be_missing_from_a_chunk", "a class is missing", before_fit(_needs_all_classes, Ridge)),
    ("it_prints_nothing", "prints 'epoch 1'", before_fit(_print)),
    ("it_leaves_global_random_state_alone", "global generator of numpy", before_fit(_global_numpy)),
    ("it_leaves_global_random_state_alone", "global generator of random", before_fit(_global_python)),
    ("codes_are_signs_at_8_and_128_bits", "no labels", before_fit(_reads_labels)),
    ("codes_are_signs_at_8_and_128_bits", "KeyError: 'clip'", before_fit(_reads_clip)),
    (
        "another_cell_of_the_pass_on_the_same_chunk_changes_nothing",
        "1280 of 1280 bits differ at bits=16",
        encoding(_flipped, after_fit(_shares_what_depends_on_bits)),
    ),
    (
        "another_cell_of_the_pass_on_the_same_chunk_changes_nothing",
        "640 of 640 bits differ at bits=8",
        encoding(_shifted, after_fit(_shares_an_array_it_changes)),
    ),
    (
        "another_cell_of_the_pass_on_the_same_chunk_changes_nothing",
        "bits differ at weight=2.0",
        Weighted,
    ),
    (
        "another_cell_of_the_pass_on_the_same_chunk_changes_nothing",
        "varies names 'wieght', which is no parameter",
        bad(varies=("wieght",)),
    ),
    (
        "parameters_are_typed_and_have_defaults",
        "variant A1: weight must be float",
        bad(Weighted, variants={"A1": Variant(isolates="x", params={"weight": "none"})}),
    ),
    (
        "parameters_are_typed_and_have_defaults",
        "variant A1: run has bits; known: schedule",
        bad(variants={"A1": Variant(isolates="x", run={"bits": 8})}),
    ),
    (
        "parameters_are_typed_and_have_defaults",
        "variant 'no, none': cannot be typed as an option",
        bad(variants={"no, none": Variant(isolates="x")}),
    ),
    (
        "how_often_it_encodes_does_not_matter",
        "encodes between chunks",
        bad(encoding(_drawing), fit_chunk=_afresh),
    ),
    (
        "vectors_are_finite_float32_of_one_width",
        "returned float64",
        encoding(lambda s, b, v: v.astype(float), Real),
    ),
    (
        "vectors_are_finite_float32_of_one_width",
        "images 7 values and texts 8",
        bad(Real, encode=_narrower_images),
    ),
    ("encode_changes_nothing", "values differ", encoding(_growing, Real)),
    (
        "an_items_code_depends_on_no_other_item",
        "in another order and blocks of 7 (image)",
        encoding(_less_mean, Real),
    ),
    (
        "learned_codes_cover_every_chunk",
        "Bad.encode_database() is real-valued and returned int8",
        bad(Real, encode_database=lambda s, c, m: s.codes_),
    ),
    (
        "true_labels_teach_more_than_shuffled_ones",
        "expected more of the true ones",
        encoding(lambda s, b, v: np.ones_like(v), Real),
    ),
    (
        "true_labels_teach_more_than_shuffled_ones",
        "expected more of the true ones",
        encoding(_constant_codes, Ridge),
    ),
    ("it_runs_where_some_or_no_items_have_labels", "no labels", before_fit(_reads_labels, Deep)),
    (
        "learned_codes_cover_every_chunk",
        "Bad.encode_database() returned int8 (24, 16); expected int8 (48, 16)",
        bad(Ridge, encode_database=_codes_of_half),
    ),
    ("learned_codes_cover_every_chunk", "writes to codes", bad(Ridge, encode_database=_codes_it_writes_to)),
    (
        "learned_codes_cover_every_chunk",
        "Bad.update_database() returned int8 (5, 16)",
        bad(Ridge, update_database=lambda s, m: np.ones((5, 16), np.int8)),
    ),
    (
        "learned_codes_survive_saving",
        "other learned codes after its state",
        bad(after_fit(_keep, Ridge), update_database=_all_kept),
    ),
    ("it_runs_with_and_without_a_pool", "no attribute 'teacher_'", before_fit(_needs_pool, Deep)),
    (
        "it_learns_from_items_that_lack_a_modality",
        "RuntimeError: an item lacks its image",
        before_fit(_needs_images, bad(capabilities=Capabilities(partial=True))),
    ),
    (
        "it_runs_where_plain_features_stand_in_for_a_view",
        "ValueError: operands",
        after_fit(_needs_clip_of_one_width, Deep),
    ),
]


@pytest.mark.parametrize(("check", "says", "method"), BREACHES, ids=[f"{c}-{s}" for c, s, _ in BREACHES])
def test_a_breach_fails_its_check_with_one_line_that_says_what(
    check: str, says: str, method: type[Method]
) -> None:
    failed = failures(method)
    assert check in failed
    assert says in failed[check]
    assert "\n" not in failed[check]


def test_a_new_method_needs_no_paper() -> None:
    assert failures(bad(source=Source(fidelity="new"))) == {}


def test_vectors_that_differ_by_rounding_are_the_same() -> None:
    def rounded(self: Any, batch: Batch, vectors: Any) -> Any:
        return vectors * (1 + np.float32(1e-6) * (len(batch) == 1))

    assert failures(encoding(rounded, Real)) == {}


def test_a_method_that_is_no_oracle_is_shown_no_labels() -> None:
    assert (
        "KeyError: 'labels'"
        in failures(encoding(lambda s, b, c: b.views["labels"]))["encode_changes_nothing"]
    )


def test_a_state_that_does_not_go_on_is_found() -> None:
    def fit_chunk(self: Any, chunk: Chunk) -> None:
        self.seen = getattr(self, "seen", 0) + 1  # not saved: it does not end in an underscore
        self.rng = np.random.default_rng(self.seen)
        Good.fit_chunk(self, _first(chunk))

    assert "loaded state" in failures(bad(fit_chunk=fit_chunk))["it_goes_on_from_a_saved_state"]


def test_an_error_in_the_plugin_is_placed_in_the_plugins_file() -> None:
    failed = failures(encoding(lambda s, b, c: 1 // 0))
    assert f"({Path(__file__).name}:" in failed["encode_changes_nothing"]


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (np.zeros((3, 8), np.int8), r"int8 \(3, 8\) with 24 zeros"),
        (np.full((3, 8), 127, np.int8), r"with the values 127"),
        (np.full((3, 8), -128, np.int8), r"with the values -128"),
        (np.ones((3, 8)), r"float64 \(3, 8\); expected int8 \(3, 8\)"),
        (np.ones((2, 8), np.int8), r"int8 \(2, 8\); expected int8 \(3, 8\)"),
        (np.ones((3, 4), np.int8), r"int8 \(3, 4\)"),
        (np.ones(24, np.int8), r"int8 \(24,\)"),
        (np.ones((3, 8), bool), r"bool \(3, 8\)"),
        ([[1] * 8] * 3, r"a list"),
        (None, r"a NoneType"),
    ],
)
def test_codes_that_are_no_codes_are_one_clear_line(codes: Any, says: str) -> None:
    with pytest.raises(ContractError, match=rf"^Mine\.encode\(\) returned .*{says}.*Use bench\.sign\(x\)\.$"):
        validate_codes(codes, rows=3, bits=8, owner="Mine", call="encode")


def test_good_codes_pass_through_unchanged() -> None:
    codes = sign(np.random.default_rng(0).standard_normal((3, 8)))
    assert validate_codes(codes, rows=3, bits=8, owner="Mine", call="encode") is codes


class Generated(DatasetSource):
    """Twelve items, always the same."""

    licence = "none needed"

    def load(self, root: Path) -> Dataset:
        return Dataset(name="generated", train=items(8, seed=0), query=items(4, seed=1))


def dataset_failures(**changed: Any) -> dict[str, str]:
    cls = type("Bad", (Generated,), {"__doc__": "A bad dataset.", "__module__": __name__, **changed})
    return {r.name: r.message for r in check_dataset(cls, Path()) if not r.ok}


def loading(change: Callable[[Split], Split]) -> dict[str, str]:
    """What fails of a dataset whose training split is changed."""
    return dataset_failures(
        load=lambda self, root: Dataset(name="bad", train=change(items(8)), query=items(4, seed=1))
    )


def with_image(split: Split, features: Any) -> Split:
    return Split(image=Batch(features), text=split.text, labels=split.labels, ids=split.ids)


def _doubled(split: Split) -> Split:
    assert split.labels is not None
    return Split(image=split.image, text=split.text, labels=split.labels * 2, ids=split.ids)


def _random(split: Split) -> Split:
    return with_image(split, np.random.default_rng().random((8, 24), dtype=np.float32))


def test_a_good_dataset_passes_every_check() -> None:
    assert dataset_failures() == {}


@pytest.mark.parametrize(
    ("check", "says", "failed"),
    [
        ("it_has_a_docstring_and_a_licence", "licence is empty", lambda: dataset_failures(licence="")),
        ("its_schedule_is_one", "is not one of shuffled:SIZE", lambda: dataset_failures(schedule="weekly")),
        ("it_loads", "OSError: gone", lambda: dataset_failures(load=lambda s, r: _raise(OSError("gone")))),
        ("it_loads", "returned a NoneType", lambda: dataset_failures(load=lambda s, r: None)),
        ("it_loads", "train has no items", lambda: loading(lambda s: s.take(slice(0, 0)))),
        (
            "rows_are_aligned",
            "train has arrays of [7, 8] rows",
            lambda: loading(lambda s: with_image(s, s.image.features[:7])),
        ),
        (
            "features_are_finite_float32",
            "float64 (8, 24)",
            lambda: loading(lambda s: with_image(s, s.image.features.astype(float))),
        ),
        (
            "features_are_finite_float32",
            "NaN",
            lambda: loading(lambda s: with_image(s, np.full((8, 24), np.nan, np.float32))),
        ),
        (
            "train_and_query_have_the_same_columns",
            "'features': 23",
            lambda: loading(lambda s: with_image(s, s.image.features[:, 1:])),
        ),
        ("labels_are_zero_or_one", "expected uint8", lambda: loading(_doubled)),
        ("ids_are_unique", "4 ids stand for two items", lambda: loading(lambda s: _renumbered(s, 996))),
        ("it_loads_the_same_arrays_again", "other arrays", lambda: loading(_random)),
    ],
)
def test_a_bad_dataset_fails_its_check(check: str, says: str, failed: Callable[[], dict[str, str]]) -> None:
    assert says in failed()[check]


def _raise(error: Exception) -> Any:
    raise error


def _renumbered(split: Split, first: int) -> Split:
    return Split(image=split.image, text=split.text, labels=split.labels, ids=first + np.arange(len(split)))
