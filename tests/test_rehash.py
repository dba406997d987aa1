"""When old database items are encoded again, and how many of their bits change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.api import Batch, Capabilities, Chunk, Codes, Method, Modality, sign
from bench.checks.trial import items
from bench.errors import ParameterError
from bench.protocol import axes, rehash
from bench.protocol.clock import Clock
from bench.protocol.index import Index
from bench.records import RunRecord
from bench.running.hosts import Isolation
from bench.storing.store import Store

pytestmark = pytest.mark.usefixtures("own_cache")

TRAIN = items(24)


class Turning(Method):
    """Codes flip with every chunk, so every old bit is rewritten when it is encoded again."""

    flip = 1

    def fit_chunk(self, chunk: Chunk) -> None:
        """Learn nothing."""

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, : self.bits]) * np.int8(self.flip)


def streamed(policy: str, *, rounds: int = 4, gain: float = 0.0) -> tuple[Index, list[int]]:
    """The index after chunks of six items, and the rewritten bits of each round."""
    method, index, rewritten = Turning(bits=4), Index("frozen", TRAIN, Clock()), []
    for t in range(rounds):
        method.flip = -method.flip
        rows = np.arange(6 * t, 6 * t + 6)
        index.arrive(method, Chunk(**vars_of(rows), round=t), rows, t)
        rehash.update(policy, method, {"all": index}, t, t, gain)
        rewritten.append(index.rewritten or 0)
        index.rewritten = None
    return index, rewritten


def vars_of(rows: np.ndarray) -> dict[str, Any]:
    split = TRAIN.take(rows)
    return {"image": split.image, "text": split.text, "labels": split.labels, "ids": split.ids}


def test_every_second_round_encodes_all_old_items_again() -> None:
    index, rewritten = streamed("every:2")
    assert rewritten == [0, 6 * 4 * 2, 0, 6 * 4 * 2]  # those of two rounds before have turned twice
    assert index.written.tolist() == [3] * 24


def test_a_budget_is_kept_in_every_round() -> None:
    _, rewritten = streamed("budget:20")
    assert rewritten == [0, 16, 16, 16]  # an item has eight bits in both modalities


def test_a_budget_renews_the_oldest_codes_first() -> None:
    index, _ = streamed("budget:16", rounds=2)
    assert index.written[:6].tolist() == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(("gain", "rounds"), [(0.1, [0, 48, 96, 144]), (0.01, [0, 0, 0, 0])])
def test_a_trigger_waits_for_its_gain(gain: float, rounds: list[int]) -> None:
    _, rewritten = streamed("trigger:0.05", gain=gain)
    assert rewritten == rounds


def test_distances_that_tell_relevant_items_apart_have_the_information_of_relevance() -> None:
    counts = np.array([[[4, 4], [4, 0]]], dtype=np.uint32)
    assert rehash.information(counts) == pytest.approx(1.0)
    assert rehash.information(counts[:, :1]) == pytest.approx(0.0)


class ByLabel(Turning):
    """Codes that follow the class once it has learned."""

    capabilities = Capabilities(reference="oracle")
    knows = False

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        labels = batch.views["labels"]
        towards = np.random.default_rng(0).standard_normal((labels.shape[1], self.bits))
        return sign(labels @ towards if self.knows else np.ones((len(labels), self.bits)))


def test_codes_that_learned_the_classes_gain_over_constant_ones() -> None:
    method, index, rows = ByLabel(bits=8), Index("frozen", TRAIN, Clock()), np.arange(24)
    index.arrive(method, Chunk(**vars_of(rows), round=0), rows, 0)
    assert TRAIN.labels is not None
    assert rehash.gain(method, index, TRAIN.labels, rows) == pytest.approx(0.0)
    method.knows = True
    assert rehash.gain(method, index, TRAIN.labels, rows) > 0.2
    assert rehash.gain(method, index, np.zeros_like(TRAIN.labels), rows) == 0.0


@pytest.mark.parametrize("text", ["every:0", "every", "budget:1.5", "trigger:-1", "trigger:nan", "now", ""])
def test_a_policy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="rehash must be always or one of every:K"):
        axes.rehash(text)


def test_never_has_its_own_name() -> None:
    with pytest.raises(ParameterError, match="Use --database frozen"):
        axes.rehash("never")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"database": "reindexed,frozen", "rehash": "every:2"},
            r"database=frozen\. Use --database reindexed",
        ),
        ({"labelled": "0,1", "rehash": "trigger:0.1"}, "labelled=0 withholds all"),
    ],
)
def test_a_policy_without_anything_to_decide_or_to_go_by_is_refused(options: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        bench.run(datasets="synthetic", methods="lemon", **options)


def run(tmp_path: Path, **options: Any) -> tuple[RunRecord, dict[str, np.ndarray]]:
    default = {"methods": "lemon", "datasets": "tiny", "bits": 8, "seeds": 1, "train": 0.5, "evaluate": "all"}
    plugin, folder = str(Path(__file__).with_name("plugins") / "tiny.py"), tmp_path / "runs"
    how: Any = {"plugin": [plugin], "results": str(folder), "isolation": Isolation(in_process=True)}
    (record,) = bench.run(**{**default, "schedule": "shuffled:10", **options}, **how).records
    return record.over("all"), dict(Store(folder).arrays(record)) if record.arrays else {}


def test_a_policy_that_renews_every_round_gives_the_codes_of_a_reindexed_database(tmp_path: Path) -> None:
    _, plain = run(tmp_path)
    _, renewed = run(tmp_path, rehash="every:1")
    for side in ("image", "text"):
        np.testing.assert_array_equal(plain[f"codes/database/{side}"], renewed[f"codes/database/{side}"])


def test_a_policy_that_never_comes_due_gives_the_codes_of_a_frozen_database(tmp_path: Path) -> None:
    frozen, plain = run(tmp_path, database="frozen")
    record, waited = run(tmp_path, rehash="every:100")
    for side in ("image", "text"):
        np.testing.assert_array_equal(plain[f"codes/database/{side}"], waited[f"codes/database/{side}"])
    assert [r.bits_rewritten for r in record.rounds] == [0] * 6
    assert [r.bits_rewritten for r in frozen.rounds] == [None] * 6


def test_no_round_rewrites_more_than_the_budget_of_both_parts(tmp_path: Path) -> None:
    record, _ = run(tmp_path, rehash="budget:40")
    rewritten = [r.bits_rewritten or 0 for r in record.rounds]
    assert max(rewritten) <= 40 and sum(rewritten) > 0


@pytest.mark.parametrize("method", ["lemon", "scm", "cca"])
def test_online_and_offline_methods_follow_a_trigger(tmp_path: Path, method: str) -> None:
    record, _ = run(tmp_path, methods=method, rehash="trigger:0", labelled=1.0)
    assert record.status == "ok", record.traceback


def test_vectors_without_bits_are_skipped_with_the_reason(tmp_path: Path) -> None:
    record, _ = run(tmp_path, methods="float_features", rehash="budget:40")
    assert (record.status, record.reason) == (
        "skipped", "its real-valued vectors have no bits that rehash=budget:40 could count",
    )  # fmt: skip
