"""Every finding of the doctor: absent on sound data, raised by its fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Batch, Dataset, Split
from bench.data.doctor import Finding, examine
from bench.datasets.synthetic import Synthetic
from bench.records import Schedule

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def sound() -> Dataset:
    return Synthetic(n=1000, queries=100).load(Path())


def of(findings: list[Finding], topic: str) -> Finding:
    [found] = [f for f in findings if f.topic == topic]
    return found


def with_image(split: Split, features: Array) -> Split:
    return dataclasses.replace(split, image=Batch(features.astype(np.float32), split.image.views))


def map_image(data: Dataset, train: Array, query: Array) -> Dataset:
    return dataclasses.replace(data, train=with_image(data.train, train), query=with_image(data.query, query))


def with_labels(data: Dataset, labels: Array) -> Dataset:
    return dataclasses.replace(data, train=dataclasses.replace(data.train, labels=labels.astype(np.uint8)))


def test_a_sound_dataset_and_stream_only_pass(sound: Dataset) -> None:
    levels = {
        f.topic: f.level for f in examine(sound, [400, 600], bits=64, schedule=Schedule("shuffled", 400))
    }
    assert set(levels.values()) == {"PASS"}


def test_findings_are_the_same_each_time(sound: Dataset) -> None:
    assert examine(sound, [400, 600], bits=64) == examine(sound, [400, 600], bits=64)


def test_an_invalid_dataset_is_one_failure(sound: Dataset) -> None:
    shared = dataclasses.replace(sound.query, ids=sound.train.ids[:100])
    [finding] = examine(dataclasses.replace(sound, query=shared))
    assert finding.level == "FAIL"
    assert "100 query items are in the database" in finding.text


def test_queries_that_equal_training_items_fail(sound: Dataset) -> None:
    query = dataclasses.replace(sound.train.take(slice(100)), ids=sound.query.ids)
    finding = of(examine(dataclasses.replace(sound, query=query)), "duplicates")
    assert finding.level == "FAIL"
    assert "100 of 100 queries" in finding.text


def test_a_picture_in_train_and_query_with_another_text_warns(sound: Dataset) -> None:
    image = sound.query.image.features.copy()
    image[0] = sound.train.image.features[5]
    data = dataclasses.replace(sound, query=with_image(sound.query, image))
    assert of(examine(data), "duplicates").level == "WARN"


def test_near_copies_of_training_images_warn(sound: Dataset) -> None:
    noise = 1e-3 * np.random.default_rng(0).standard_normal((100, 128))
    copies = 1.01 * sound.train.image.features[300:400] + noise
    finding = of(examine(map_image(sound, sound.train.image.features, copies)), "near-duplicates")
    assert finding.level == "WARN"
    assert finding.text.startswith("100 of 100")


def test_unlabelled_items_warn(sound: Dataset) -> None:
    assert sound.train.labels is not None
    labels = sound.train.labels.copy()
    labels[:7] = 0
    finding = of(examine(with_labels(sound, labels)), "unlabelled items")
    assert finding.level == "WARN"
    assert finding.text.startswith("7 of 1000")


def test_queries_of_a_class_that_the_database_lacks_warn_twice(sound: Dataset) -> None:
    assert sound.train.labels is not None and sound.query.labels is not None
    train, query = sound.train.labels.copy(), sound.query.labels.copy()
    train[:, 23] = 0
    query[:4] = 0
    query[:4, 23] = 1
    data = dataclasses.replace(
        with_labels(sound, train), query=dataclasses.replace(sound.query, labels=query)
    )
    findings = examine(data)
    assert of(findings, "empty queries").text.startswith("4 of 100")
    assert (of(findings, "empty queries").level, of(findings, "classes").level) == ("WARN", "WARN")


@pytest.mark.parametrize(("common", "level"), [(0.3, "WARN"), (1.0, "FAIL")])
def test_a_high_base_rate_is_reported_with_the_chance_level(
    sound: Dataset, common: float, level: str
) -> None:
    assert sound.train.labels is not None and sound.query.labels is not None
    train, query = sound.train.labels.copy(), sound.query.labels.copy()
    train[: int(common * 1000), 0] = 1
    query[:, 0] = 1
    data = dataclasses.replace(
        with_labels(sound, train), query=dataclasses.replace(sound.query, labels=query)
    )
    finding = of(examine(data), "base rate")
    assert finding.level == level
    assert "random codes score mAP" in finding.text


def grouped(data: Dataset) -> Dataset:
    assert data.train.labels is not None
    return dataclasses.replace(data, train=data.train.take(np.lexsort(data.train.labels.T)))


def test_a_database_grouped_by_label_warns(sound: Dataset) -> None:
    finding = of(examine(grouped(sound)), "storage order")
    assert finding.level == "WARN"
    assert "of neighbours share a label" in finding.text


def test_grouping_passes_under_a_shuffled_schedule(sound: Dataset) -> None:
    assert of(examine(grouped(sound), schedule=Schedule("shuffled", 100)), "storage order").level == "PASS"


def test_features_centred_with_the_queries_warn(sound: Dataset) -> None:
    both = np.concatenate([sound.train.image.features, sound.query.image.features]).astype(np.float64)
    both -= both.mean(axis=0)
    finding = of(examine(map_image(sound, both[:1000], both[1000:])), "image normalisation")
    assert finding.level == "WARN"
    assert "train and query together have mean 0" in finding.text


def test_features_scaled_with_the_queries_warn(sound: Dataset) -> None:
    both = np.concatenate([sound.train.image.features, sound.query.image.features]).astype(np.float64)
    both /= both.std(axis=0)
    finding = of(examine(map_image(sound, both[:1000], both[1000:])), "image normalisation")
    assert "train and query together have standard deviation 1" in finding.text


def test_features_centred_over_the_full_stream_warn(sound: Dataset) -> None:
    train, query = sound.train.image.features, sound.query.image.features
    mean = train.mean(axis=0, dtype=np.float64)
    finding = of(examine(map_image(sound, train - mean, query - mean)), "image normalisation")
    assert finding.level == "WARN"
    assert "round 0 knows of later rounds" in finding.text


def test_features_normalised_by_the_first_chunk_pass(sound: Dataset) -> None:
    train, query = sound.train.image.features, sound.query.image.features
    mean, sd = train[:400].mean(axis=0), train[:400].std(axis=0)
    data = map_image(sound, (train - mean) / sd, (query - mean) / sd)
    assert of(examine(data), "image normalisation").level == "PASS"


def test_constant_columns_warn_with_their_place(sound: Dataset) -> None:
    train = sound.train.image.features.copy()
    train[:, :3] = 1
    finding = of(examine(map_image(sound, train, sound.query.image.features)), "constant columns")
    assert finding.level == "WARN"
    assert finding.text.startswith("3 of 128 in image")


@pytest.mark.parametrize("factor", [1e4, 1e-5])
def test_features_far_from_unit_scale_warn(sound: Dataset, factor: float) -> None:
    data = map_image(sound, sound.train.image.features * factor, sound.query.image.features * factor)
    findings = examine(data)
    assert of(findings, "image scale").level == "WARN"
    assert of(findings, "text scale").level == "PASS"


def test_a_short_last_chunk_warns_with_the_rule(sound: Dataset) -> None:
    schedule = Schedule("shuffled", 400, "short")
    finding = of(examine(sound, [400, 400, 100], schedule=schedule), "rounds")
    assert finding.level == "WARN"
    assert "the last of 100 (last=short)" in finding.text


def test_a_single_round_warns(sound: Dataset) -> None:
    assert "nothing is online" in of(examine(sound, [1000]), "rounds").text


def test_chunks_no_larger_than_the_code_warn(sound: Dataset) -> None:
    finding = of(examine(sound, [500, 480, 20], bits=32), "chunk size")
    assert finding.level == "WARN"
    assert "(first: 2)" in finding.text


def test_without_chunk_sizes_there_are_no_findings_on_the_stream(sound: Dataset) -> None:
    assert {"rounds", "chunk size"}.isdisjoint(f.topic for f in examine(sound))


def test_wiki_repeats_pictures_in_train_and_query_and_has_no_failure(real: Callable[[str], Path]) -> None:
    from bench.datasets.wiki import Wiki

    findings = examine(Wiki().load(real("wiki/wikiData.mat").parent))
    assert of(findings, "duplicates").text.startswith("3 of 693 queries have the image of a training item")
    assert all(f.level != "FAIL" for f in findings)


def small_methods() -> dict[str, Any]:
    from bench.plugins import registry

    return {name: registry.get("method", name).capabilities for name in ("thor", "docmh", "cca")}


def both(data: Dataset, change: Callable[[Array, Array], Array]) -> Dataset:
    """The dataset with changed image features; ``change`` takes features and labels."""
    assert data.train.labels is not None and data.query.labels is not None
    return map_image(
        data,
        change(data.train.image.features, data.train.labels),
        change(data.query.image.features, data.query.labels),
    )


def test_labels_among_the_features_fail(sound: Dataset) -> None:
    data = both(sound, lambda x, labels: np.hstack([x, 3.0 * labels]))
    finding = of(examine(data), "labels in image")
    assert finding.level == "FAIL"
    assert "label columns are columns of the features too (first: label" in finding.text
    assert of(examine(data), "labels in text").level == "PASS"


def test_one_label_among_the_features_warns(sound: Dataset) -> None:
    assert sound.train.labels is not None
    common = int(sound.train.labels.sum(axis=0).argmax())
    data = both(sound, lambda x, labels: np.hstack([x, 1.0 - labels[:, [common]]]))
    finding = of(examine(data), "labels in image")
    assert finding.level == "WARN"
    assert f"(first: label {common} is feature 128)" in finding.text


@pytest.mark.parametrize("form", ["labels", "a rotation of the labels"])
def test_features_that_are_labels_fail(sound: Dataset, form: str) -> None:
    turn = np.random.default_rng(0).standard_normal((24, 30))
    data = both(sound, lambda x, labels: labels @ turn if form != "labels" else labels)
    finding = of(examine(data), "labels in image")
    assert finding.level == "FAIL"
    assert "items with the same labels have the same features" in finding.text


def test_a_class_number_among_the_features_warns() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(6, size=700)
    rows = np.eye(6, dtype=np.uint8)[numbers]
    image = np.hstack([rng.standard_normal((700, 20)), numbers[:, None] / 10]).astype(np.float32)
    words = (rng.random((700, 300)) < 0.005).astype(np.float32)  # rare ones may be equal by chance

    def split(part: slice) -> Split:
        return Split(
            image=Batch(image[part]), text=Batch(words[part]), labels=rows[part], ids=np.arange(700)[part]
        )

    data = Dataset(name="classes", train=split(slice(0, 600)), query=split(slice(600, 700)))
    findings = examine(data)
    assert of(findings, "labels in image").level == "WARN"
    assert "1 features are equal wherever the labels are (first: 20)" in str(findings)
    assert of(findings, "labels in text").level == "PASS"


def test_labels_in_a_view_fail(sound: Dataset) -> None:
    assert sound.train.labels is not None and sound.query.labels is not None
    parts: dict[str, Any] = {}
    for name, part in (("train", sound.train), ("query", sound.query)):
        image = Batch(part.image.features, {"clip": part.labels.astype(np.float32)})  # type: ignore[union-attr]
        text = Batch(part.text.features, {"clip": part.text.views["clip"]})
        parts[name] = dataclasses.replace(part, image=image, text=text)
    findings = examine(dataclasses.replace(sound, **parts))
    assert of(findings, "labels in image view clip").level == "FAIL"


def test_small_features_name_the_methods_that_collapse_on_them(sound: Dataset) -> None:
    data = both(sound, lambda x, labels: x * 0.01)
    finding = of(examine(data, methods=small_methods()), "image scale")
    assert finding.level == "WARN"
    assert "thor, docmh may collapse" in finding.text
    assert "methods with fixed weights may collapse" in of(examine(data), "image scale").text


def test_rows_of_one_length_warn_where_a_method_loses_by_it(sound: Dataset) -> None:
    data = both(sound, lambda x, labels: x / np.linalg.norm(x, axis=1, keepdims=True))
    finding = of(examine(data, methods=small_methods()), "image row lengths")
    assert finding.level == "WARN"
    assert "L2-normalised" in finding.text and "lower the scores of thor." in finding.text
    assert of(examine(data), "image row lengths").level == "PASS"
    data.train.image.features[:9] = 0
    assert of(examine(data, methods=small_methods()), "image row lengths").level == "WARN"


def test_the_command_names_the_methods_of_the_study(
    sound: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    arrays: dict[str, Any] = {"L_tr": sound.train.labels, "L_te": sound.query.labels}
    for name, part in (("tr", sound.train), ("te", sound.query)):
        x = part.image.features
        arrays |= {f"I_{name}": x / np.linalg.norm(x, axis=1, keepdims=True), f"T_{name}": part.text.features}
    np.savez(tmp_path / "a.npz", **arrays)
    words = ["doctor", "--datasets", "files[path=a.npz]", "--bits", "8", "--seeds", "1", "--methods"]
    assert main([*words, "thor,cca"]) == 0
    assert "WARN  image row lengths" in capsys.readouterr().out
    assert main([*words, "cca"]) == 0
    assert "PASS  image row lengths" in capsys.readouterr().out
