"""Whole results folders: compared, merged and exported."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import metrics
from bench.archive.compare import compare
from bench.archive.merge import merge
from bench.cli import main
from bench.errors import StoreError
from bench.records import PARTS, RunRecord, Schedule
from bench.results import Results
from bench.scoring import stored
from bench.storing.store import Store

pytestmark = pytest.mark.usefixtures("own_cache")

PLUGINS = [str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py"))]


def run(folder: Path, **options: Any) -> Store:
    """A store of small cells in ``folder``."""
    small = {
        "methods": "random_projection",
        "datasets": "tiny",
        "bits": "8",
        "seeds": 1,
        "train": "all",
        "plugin": PLUGINS,
    }
    bench.run(**{**small, "results": str(folder), **options})
    return Store(folder)


def change(store: Store, part: str, by: Any) -> None:
    """Change one stored array of the only cell of a store."""
    [record] = store.records()
    arrays = dict(store.arrays(record))
    arrays[part] = by(arrays[part])
    rewrite(store, record, arrays)


def rewrite(store: Store, record: RunRecord, arrays: dict[str, Any]) -> None:
    """Store other arrays of a cell, with the scores that they give."""
    [last] = record.rounds
    scores: dict[str, float] = {}
    for direction in record.spec.directions:
        names = [key.rpartition("/")[0] for key in last.metrics if key.endswith(direction)]
        means = metrics.means(names, stored.histograms(arrays, direction, last.round))
        scores |= {f"{name}/{direction}": value for name, value in means.items()}
    store.write(replace(record, rounds=(replace(last, metrics=scores),)), arrays)


def relabel(store: Store, seeds: Mapping[int, int]) -> None:
    """Give every cell another seed's name; its numbers stay."""
    cells = [(record, dict(store.arrays(record))) for record in store.records()]
    for path in store.folder.glob("*.*"):
        path.unlink()
    for record, arrays in cells:
        store.write(replace(record, spec=replace(record.spec, seed=seeds[record.spec.seed])), arrays)


def moved(counts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Histograms in which every relevant item lies at the largest distance, and every other at the least."""
    worst = np.zeros_like(counts)
    relevant, all_items = counts[:, :, 1].sum(axis=1), counts[:, :, 0].sum(axis=1)
    worst[:, -1] = relevant[:, None]
    worst[:, 0, 0] += (all_items - relevant).astype(counts.dtype)
    return worst


def test_merge_copies_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", seeds=2), run(tmp_path / "b", seeds=["1", "2"])
    target = Store(tmp_path / "all")
    assert merge([a, b], target) == 3
    assert merge([a, b], target) == 0
    assert sorted(r.spec.seed for r in target.records()) == [0, 1, 2]
    assert all(len(target.arrays(r)) for r in target.records())


def test_merge_refuses_two_results_of_one_cell_and_writes_nothing(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    change(b, "i2t/2/counts", moved)
    with pytest.raises(StoreError, match="i2t/2/counts"):
        merge([a, b], Store(tmp_path / "all"))
    assert not list((tmp_path / "all").glob("*"))


def test_merge_copies_the_files_as_they_are(tmp_path: Path) -> None:
    a = run(tmp_path / "a", methods="random_projection,lemon")
    assert merge([a], Store(tmp_path / "all")) == 2
    contents = [{p.name: p.read_bytes() for p in (tmp_path / folder).glob("*.*")} for folder in ("a", "all")]
    assert contents[0] == contents[1] and len(contents[0]) == 4


def test_merge_leaves_no_arrays_of_a_record_that_it_replaces(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    for path in a.folder.glob("*.json"):
        path.write_text(path.read_text().replace('"code": "', '"code": "old'))
    change(a, "i2t/2/counts", moved)
    merge([b], a)
    assert {p.name for p in a.folder.glob("*.npz")} == {p.name for p in b.folder.glob("*.npz")}


def test_merge_prefers_a_result_to_a_failure(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    fail(a)
    target = Store(tmp_path / "all")
    merge([a, b], target)
    assert [r.status for r in target.records()] == ["ok"]


def test_compare_puts_what_became_worse_first(tmp_path: Path) -> None:
    a = run(tmp_path / "a", methods="random_projection,lemon", seeds=3)
    shutil.copytree(a.folder, tmp_path / "b")
    b = Store(tmp_path / "b")
    for lemon in (r for r in b.records() if r.spec.method == "lemon"):
        arrays = dict(b.arrays(lemon))
        rewrite(b, lemon, {**arrays, "t2i/2/counts": moved(arrays["t2i/2/counts"])})
    rows = compare(a, b, "map").data
    first = {name: rows[0][name] for name in ("method", "direction", "seeds", "verdict")}
    assert first == {"method": "lemon", "direction": "t2i", "seeds": "0 1 2", "verdict": "worse"}
    assert rows[0]["low"] <= rows[0]["difference"] <= rows[0]["high"] < 0
    assert [row["verdict"] for row in rows[1:]] == ["same"] * 3


@pytest.mark.parametrize("items", ["unseen", "trained", "all"])
def test_compare_scores_the_items_that_are_asked_for(tmp_path: Path, items: str) -> None:
    store = run(tmp_path / "a", train=0.5)
    table = compare(store, store, "map", items)
    [record] = store.records()
    scores = record.over(items).rounds[-1].metrics
    assert {row["direction"]: row["a"] for row in table.data} == pytest.approx(
        {d: scores[f"map/{d}"] for d in ("i2t", "t2i")}
    )
    assert any("in cells with train below all, scores over" in line for line in table.blocks[0].caption)


def test_compare_tells_rows_of_different_protocol_apart(tmp_path: Path) -> None:
    run(tmp_path / "a", schedule="shuffled:8")
    store = run(tmp_path / "a", schedule="shuffled:16")
    [block] = compare(store, store, "map").blocks
    names = [column.name for column in block.columns]
    assert "schedule" in names and "pool" not in names
    assert len({tuple(cell.text for cell in row[: block.stub]) for row in block.rows}) == len(block.rows)
    assert "labelled 1.0" in block.caption[-1]


def fail(store: Store) -> None:
    """Make a failure of the only cell of a store."""
    [path] = store.folder.glob("*.json")
    gone = {"status": "failed", "reason": "round 1: no more memory", "rounds": [], "arrays": ""}
    path.write_text(json.dumps({**json.loads(path.read_text()), **gone}))


def test_a_result_that_became_a_failure_is_the_first_regression_with_its_reason(tmp_path: Path) -> None:
    a = run(tmp_path / "a", seeds=2)
    shutil.copytree(a.folder, tmp_path / "b")
    b = Store(tmp_path / "b")
    worse, lost = b.records()
    arrays = dict(b.arrays(worse))
    rewrite(b, worse, {**arrays, "i2t/2/counts": moved(arrays["i2t/2/counts"])})
    b.write(replace(lost, status="failed", reason="round 1: no more memory", rounds=(), arrays=""), {})
    table = compare(a, b, "map")
    assert [row["verdict"] for row in table.data] == ["lost", "lost", "untested", "same"]
    assert [row["seeds"] for row in table.data] == ["1", "1", "0", "0"]
    assert table.data[0]["reason"] == "failed: round 1: no more memory"
    assert f"lost: {lost.spec}: failed: round 1: no more memory" in table.blocks[0].caption
    assert "failed" in [cell.text for cell in table.blocks[0].rows[0]]
    assert "0 cells only in A" in table.blocks[0].caption


def test_a_failure_that_became_a_result_comes_last(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    shutil.copytree(a.folder, tmp_path / "b")
    fail(a)
    table = compare(a, Store(tmp_path / "b"), "map")
    assert [row["verdict"] for row in table.data] == ["gained"] * 2
    with pytest.raises(StoreError, match="no result in common"):
        compare(a, a, "map")


def test_compare_fits_a_panel_with_interval_and_verdict(tmp_path: Path) -> None:
    """What is the same for all cells of each method is told once above them."""
    store = run(tmp_path / "a", methods="random_projection,lemon", bits="8,16", seeds=3)
    table = compare(store, store, "map")
    [block] = table.blocks
    assert [c.name for c in block.columns] == [*("method", "bits", "way", "A", "B", "B − A", "interval", "")]
    assert any("dataset tiny; seeds 0, 1, 2; database reindexed" in line for line in block.caption)
    lines = table.to_text(width=80).splitlines()
    assert sum("same" in line and "…" in line for line in lines) == len(block.rows) == 8


def test_compare_of_other_data_gives_no_interval(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", seeds=3), run(tmp_path / "b", seeds=["1", "2", "3"])
    relabel(b, {1: 0, 2: 1, 3: 2})
    assert not any(np.isnan(row["low"]) for row in compare(a, b, "map").data)
    for path in b.folder.glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "data": "other"}))
    assert all(row["verdict"] == "untested" for row in compare(a, b, "map").data)


def test_two_commits_are_compared_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org"]
    store = run(tmp_path / "results" / "reference")
    for words in (["init", "-q"], ["add", "results"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    change(store, "i2t/2/counts", moved)
    for words in (["add", "-A", "results"], ["commit", "-qm", "two"]):
        subprocess.run([*git, *words], check=True)
    assert main(["compare", "HEAD~1", "HEAD", "--format", "csv"]) == 0
    assert "untested" in capsys.readouterr().out
    assert main(["compare", "HEAD~1", "HEAD"]) == 0
    assert "A: HEAD~1:results/reference; B: HEAD:results/reference;" in capsys.readouterr().out


def test_what_is_neither_a_folder_nor_a_commit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "no-such-thing", "nor-this"]) == 2
    assert "'no-such-thing' is neither a folder nor a git revision" in capsys.readouterr().err


def test_a_revision_that_would_be_an_option_of_git_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    assert main(["compare", "--", ".", "--output=written"]) == 2
    assert "'--output=written' is neither a folder nor a git revision" in capsys.readouterr().err
    assert not (tmp_path / "written").exists()


def test_an_absolute_path_in_a_revision_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "HEAD~1", "HEAD", "--path", str(tmp_path)]) == 2
    assert "is absolute; expected a folder of the repository" in capsys.readouterr().err


def test_the_csv_export_holds_every_stored_number(tmp_path: Path) -> None:
    import pandas as pd

    store = run(tmp_path / "runs", seeds=2)
    assert (
        main(["export", "--results", str(store.folder), "--to", "csv", "--out", str(tmp_path / "o.csv")]) == 0
    )
    found = pd.read_csv(tmp_path / "o.csv", dtype={"value": str})  # pandas 2 reads numbers inexactly
    expected = Results(store.records()).frame()
    np.testing.assert_array_equal([float(value) for value in found["value"]], expected["value"].to_numpy())


def test_the_parquet_export_equals_the_frame(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    store = run(tmp_path / "runs")
    assert (
        main(["export", "--results", str(store.folder), "--to", "parquet", "--out", str(tmp_path / "o.pq")])
        == 0
    )
    expected = Results(store.records()).frame()
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "o.pq")["value"], expected["value"])


def test_the_benchopt_export_has_its_columns(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    store = run(tmp_path / "runs", evaluate="all")
    out = tmp_path / "b.parquet"
    assert main(["export", "--results", str(store.folder), "--to", "benchopt", "--out", str(out)]) == 0
    frame = pd.read_parquet(out)
    assert {
        "objective_name",
        "solver_name",
        "data_name",
        "idx_rep",
        "stop_val",
        "time",
        "objective_value",
    } <= {*frame.columns}
    assert list(frame["stop_val"]) == [0, 1, 2]
    assert frame["time"].is_monotonic_increasing


def test_benchopt_rows_of_different_protocol_do_not_collide(tmp_path: Path) -> None:
    from bench.archive.export import _benchopt_rows

    [record] = run(tmp_path / "runs").records()
    spec = record.spec
    changes: tuple[dict[str, Any], ...] = (
        *({}, {"evaluate": "all"}, {"labelled": 0.5}, {"paired": 0.5}, {"val": 10}, {"directions": ("i2t",)}),
        *({"schedule": Schedule.parse("shuffled:7", last)} for last in ("merge", "short")),
    )
    records = [replace(record, spec=replace(spec, **change_)) for change_ in changes]
    rows = [row for record in records for row in _benchopt_rows(record)]
    keys = ("objective_name", "data_name", "solver_name", "idx_rep", "stop_val")
    assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows) == 8
    names = {row["objective_name"] for row in rows}
    assert "retrieval[database=reindexed,schedule=shuffled:20,pool=none]" in names
    assert "retrieval[database=reindexed,schedule=shuffled:20,pool=none,labelled=0.5]" in names


@pytest.mark.parametrize(("depth", "items"), [("5", 5), ("0", 60)])
def test_a_trec_export_says_what_it_cuts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: str, items: int
) -> None:
    store = run(tmp_path / "runs")
    out = tmp_path / "trec"
    command = ["export", "--results", str(store.folder), "--to", "trec", "--out", str(out), "--depth", depth]
    assert main([*command, *(f"--plugin={p}" for p in PLUGINS)]) == 0
    told = capsys.readouterr().out
    assert (f"the first {items} items per query" if int(depth) else "all items per query") in told
    assert "bench's is over all items and expected over the orders of ties" in told
    lines = next(out.glob("*.i2t.run")).read_text().splitlines()
    assert len([line for line in lines if line.split()[0] == lines[0].split()[0]]) == items


def test_a_depth_is_of_trec_alone_and_not_negative(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = run(tmp_path / "runs")
    common = ["export", "--results", str(store.folder), "--out", str(tmp_path / "o"), "--depth"]
    assert main([*common, "3", "--to", "csv"]) == 2
    assert "--depth applies only to --to trec" in capsys.readouterr().err
    assert main([*common, "-3", "--to", "trec"]) == 2
    assert "depth is -3; expected" in capsys.readouterr().err


@pytest.mark.parametrize(("train", "items"), [("all", "unseen"), *(("0.5", part) for part in PARTS)])
def test_a_trec_run_scores_what_the_harness_scores(tmp_path: Path, train: str, items: str) -> None:
    """The runs and judgments, scored by a loop that knows nothing of codes, give ``map:trec``-like AP."""
    store = run(tmp_path / "runs", train=train)
    [record] = (record.over(items) for record in store.records())
    plugins = [f"--plugin={p}" for p in PLUGINS]
    out = tmp_path / "trec"
    command = ["export", "--results", str(store.folder), "--to", "trec", "--out", str(out), "--items", items]
    assert main([*command, *plugins]) == 0
    [judgments] = out.glob("*.qrels")
    relevant: defaultdict[str, set[str]] = defaultdict(set)
    for line in judgments.read_text().splitlines():
        topic, _, document, _ = line.split()
        relevant[topic].add(document)
    [ranking] = out.glob("*.i2t.run")
    ranked: defaultdict[str, list[str]] = defaultdict(list)
    for line in ranking.read_text().splitlines():
        topic, _, document, *_ = line.split()
        ranked[topic].append(document)
    scores = []
    for topic, documents in ranked.items():
        hits = np.array([d in relevant[topic] for d in documents])
        scores.append((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())
    metrics, searched = record.rounds[-1].metrics, record.rounds[-1].items
    assert {len(documents) for documents in ranked.values()} == {searched}
    assert metrics["map:pessimistic/i2t"] <= np.mean(scores) <= metrics["map:optimistic/i2t"]


def test_a_trec_export_without_codes_says_so(tmp_path: Path) -> None:
    store = run(tmp_path / "runs", methods="float_features")
    with pytest.raises(StoreError, match="no cell with stored codes"):
        from bench.archive.export import to_trec

        to_trec(Results(store.records(), arrays=store.arrays), tmp_path / "out", tmp_path)
