"""`bench data` as a user types it, on a dataset whose pictures the test makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Counts, Expected
from bench.cli import main
from bench.errors import DataError
from bench.plugins import registry
from bench.study.planner import Planner

PLUGIN = Path(__file__).parent / "plugins" / "toy.py"
Bench = Callable[..., int]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Runs `bench data ...` in temporary folders."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.chdir(tmp_path)

    def run(command: str, *words: str) -> int:
        return main(["data", command, *words, "--plugin", str(PLUGIN)])

    return run


@pytest.fixture
def toy(data: Bench) -> Any:
    registry.add_file(PLUGIN)
    return registry.get("dataset", "toy")


def test_a_run_on_an_unprepared_dataset_names_the_command_that_prepares_it(
    data: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--datasets", "toy", "--methods", "random_projection", "--bits", "8", "--seeds", "1"]
    words += ["--plugin", str(PLUGIN)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "Run: bench data prepare toy --views colour,bow:1 --data-root" in said
    assert data("prepare", "toy") == 0
    assert main(words) == 0


def test_prepare_prints_the_views_and_the_command_to_run(
    data: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("prepare", "toy", "--views", "colour,bow:1,gist") == 0
    out = capsys.readouterr().out
    for text in (
        "50 train and 10 query pairs",
        "note: made by the test",
        "image gist: 60 × 512",
        "ready: bench run",
    ):
        assert text in out


def test_list_names_the_prepared_views(data: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    data("prepare", "toy")
    capsys.readouterr()
    assert data("list") == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("toy "))
    assert line.endswith("views bow-1, colour")


def test_info_shows_licence_citation_files_and_views_of_a_dataset_without_files(
    data: Bench, toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Expected(path="a.zip", url="https://example.org/a.zip", bytes=1_500_000)
    monkeypatch.setattr(toy, "card", replace(toy.card, files=(file,)))
    assert data("info", "toy") == 0
    out = capsys.readouterr().out
    for text in (
        "licence:   none",
        "nobody, 2026",
        "missing   a.zip  (1.50 MB",
        "https://example.org/a.zip",
        "colour",
    ):
        assert text in out


def test_get_lists_files_without_an_address_and_exits_with_1(
    data: Bench, toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "card", replace(toy.card, files=(Expected(path="a.zip", note="ask them"),)))
    assert data("get", "toy") == 1
    out = capsys.readouterr().out
    assert "licence:  none" in out and "a.zip: cannot be downloaded; save it as" in out and "ask them" in out


def test_get_skips_files_of_another_variant(
    data: Bench, toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (Expected(path="a.zip", note="ask", variant="one"), Expected(path="b.zip", note="ask"))
    monkeypatch.setattr(toy, "card", replace(toy.card, files=files))
    monkeypatch.setattr(toy, "variant", "two", raising=False)
    data("get", "toy")
    out = capsys.readouterr().out
    assert "a.zip: skipped, not needed with these options" in out and "b.zip: cannot be downloaded" in out
    data("get", "toy", "--all")
    assert "a.zip: cannot be downloaded" in capsys.readouterr().out


def test_doctor_finds_a_wrong_file_other_counts_and_equal_texts(
    data: Bench, toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = (Expected(path="a.txt", bytes=3),)
    card = replace(toy.card, files=files, counts={"": Counts(pairs=61, queries=10)})
    monkeypatch.setattr(toy, "card", card)
    (tmp_path / "data" / "toy").mkdir(parents=True)
    (tmp_path / "data" / "toy" / "a.txt").write_text("four")
    data("prepare", "toy")
    capsys.readouterr()
    assert data("doctor", "toy") == 1
    out = capsys.readouterr().out
    assert "FAIL  a.txt: has 4 bytes; expected 3" in out
    assert "WARN  counts: pairs: found 60, expected 61" in out
    assert "PASS  equal texts: 0 of 10 queries" in out
    assert "base rate" in out


def test_doctor_accepts_a_dataset_of_features(data: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert data("doctor", "synthetic") == 0
    assert "near-duplicates" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["npz", "mat", "h5"])
def test_an_exported_bundle_is_read_back_by_files(
    data: Bench, toy: Any, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data("prepare", "toy")
    assert data("export", "toy", "--to", kind) == 0
    back = registry.get("dataset", "files")(path=str(tmp_path / f"toy.{kind}")).load(tmp_path)
    there = toy().load(tmp_path / "data")
    for part in ("train", "query"):
        one, other = getattr(there, part), getattr(back, part)
        np.testing.assert_array_equal(one.image.features, other.image.features)
        np.testing.assert_array_equal(one.text.features, other.text.features)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert back.classes == there.classes


def test_an_exported_bundle_keeps_the_view_clip(data: Bench, tmp_path: Path) -> None:
    assert data("export", "synthetic[n=50,queries=10]", "--out", "s.npz") == 0
    back = registry.get("dataset", "files")(path="s.npz").load(tmp_path)
    assert back.query.text.views["clip"].shape == (10, 64)


def test_the_cache_copies_nothing_of_prepared_views(data: Bench, toy: Any, tmp_path: Path) -> None:
    data("prepare", "toy")
    planned = Planner().data("toy", {}, tmp_path / "data")
    assert [path.name for path in planned.cached.folder.iterdir()] == ["manifest.json"]
    opened = planned.dataset
    assert isinstance(opened.train.image.features, np.memmap)
    np.testing.assert_array_equal(opened.query.labels, toy().load(tmp_path / "data").query.labels)


def test_other_features_have_another_fingerprint(data: Bench, tmp_path: Path) -> None:
    data("prepare", "toy", "--views", "colour,gist,bow:1")
    options: list[dict[str, Any]] = [{}, {}, {"image": "gist"}]
    first, again, other = (Planner().data("toy", o, tmp_path / "data").cached.fingerprint for o in options)
    assert first == again != other


def test_views_from_another_version_of_the_plugin_are_refused(
    data: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data("prepare", "toy")
    monkeypatch.setattr("bench.plugins.fingerprint.of_dataset", lambda name: "another")
    with pytest.raises(DataError, match=r"parsed by another version of its plugin"):
        _ = Planner().data("toy", {}, tmp_path / "data").cached


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prepare", "synthetic"], "there is nothing to prepare"),
        (["prepare", "toy", "--views", "vgg166"], "Did you mean 'vgg16'"),
        (["prepare", "toy", "--views", "clip"], "names no model"),
        (["prepare", "toy", "--batch", "0"], "expected at least 1"),
        (["prepare", "toy", "--views", "vgg16:w.pth", "--device", "quantum"], "device 'quantum'"),
        (["prepare", "nothing"], "no dataset named 'nothing'"),
        (["get", "synthetic"], "lists no files to download"),
        (["export", "toy"], "bench data prepare toy"),
        (
            ["export", "synthetic[n=50,queries=10]", "--out", "s.mat"],
            "s.mat: has another suffix; expected .npz",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    data: Bench, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert data(*words) == 2
    err = capsys.readouterr().err
    assert says in err and "Traceback" not in err


def test_prepare_of_one_view_names_what_is_missing_and_for_whom(
    data: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("prepare", "toy", "--views", "colour") == 0
    out = capsys.readouterr().out
    assert "prepared: image colour\nstill missing: text bow:1, for every method\n" in out
    assert "prepare the rest: bench data prepare toy --views bow:1 --data-root" in out
    assert "not ready" not in out and "ready without it" not in out


def test_a_missing_clip_names_the_methods_that_need_it_and_the_run_without_it(
    data: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("prepare", "toy[clip=ViT-B-32:openai]", "--views", "colour,bow:1") == 0
    out = capsys.readouterr().out
    assert "still missing: image clip:ViT-B-32:openai, text clip:ViT-B-32:openai, for " in out
    listed = out.partition("text clip:ViT-B-32:openai, for ")[2].partition("\n")[0].partition(" and ")[0]
    needs = [registry.get("method", name).capabilities for name in listed.split(", ")]
    assert all("clip" in (*one.views, one.encodes) for one in needs)
    assert "ready without it: bench run --datasets toy --data-root" in out


def test_a_prepared_view_may_stand_in_for_the_one_of_the_options(
    data: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data("prepare", "toy", "--views", "gist,bow:1") == 0
    assert "ready without it: bench run --datasets 'toy[image=gist]'" in capsys.readouterr().out


def test_counts_unlike_the_published_ones_are_warned_of_at_prepare(
    data: Bench, toy: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy, "card", replace(toy.card, counts={"": Counts(pairs=61, queries=10)}))
    assert data("prepare", "toy") == 0
    assert "WARNING, unlike the published dataset: pairs: found 60, expected 61" in capsys.readouterr().out
    notes = Planner().data("toy", {}, Path("data")).dataset.notes
    assert "pairs: found 60, expected 61" in notes
