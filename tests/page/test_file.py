"""The file that is written: one, small, the same each time, or none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench import page
from bench.cli import main
from bench.errors import ParameterError, StoreError
from bench.page import build, data
from bench.records import REFERENCES
from bench.results import Results
from bench.storing.store import Store


def test_it_names_no_other_place(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:link|iframe|object|embed|base)\b|\bsrc=", text)


def test_it_is_small(page_file: Path) -> None:
    assert page_file.stat().st_size < 5_000_000


def test_equal_results_give_equal_files(results: Results, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        page.write(results, tmp_path / name, data_root=tmp_path)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_place_that_cannot_be_written_to_is_an_error_and_leaves_nothing(
    results: Results, tmp_path: Path
) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        page.write(results, tmp_path / "taken.html", data_root=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.html"]


def test_a_page_over_the_limit_is_not_written(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "LIMIT", 1000)
    with pytest.raises(StoreError, match="Select fewer"):
        page.write(results, tmp_path / "out.html", data_root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no records"):
        page.write(Results([]), tmp_path / "out.html", data_root=tmp_path)


def test_results_without_arrays_have_a_table_and_say_what_is_missing(
    results: Results, tmp_path: Path
) -> None:
    content = build.collect(Results(results.records), data_root=tmp_path)
    assert content["curves"] == {}
    assert "to read the codes from" in content["retrieval"]["tiny"]["why"]


def test_figures_are_taken_along_as_far_as_there_is_room(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [tmp_path / f"{name}.pdf" for name in "abc"]
    for figure in figures:
        figure.write_bytes(b"%PDF" + bytes(96))
    monkeypatch.setattr(build, "_FIGURES", 250)
    content = build.collect(results, data_root=tmp_path, figures=figures)
    assert [f["name"] for f in content["figures"]] == [f"{tmp_path.name}-{n}.pdf" for n in "ab"]
    assert content["figures_left"] == 1


def test_a_method_has_the_colour_that_it_has_in_the_figures(results: Results) -> None:
    from matplotlib.colors import to_hex

    fused = [replace(r, reference="fused") for r in results.records if r.spec.label == "halves"]
    records = [*fused, *(r for r in results.records if r.spec.label != "halves")]
    results = Results(records)
    css = build._asset("page.css")
    styles = data._styles(results)
    for label, look in results.looks.items():
        name = styles[label]["colour"]
        assert f".{name} {{ --c: light-dark({to_hex(look.color)}," in css, label
        assert (styles[label]["dash"] == 0) == (look.linestyle == "solid")


def test_every_kind_of_reference_is_told_in_the_words_of_the_reports(results: Results) -> None:
    for kind, words in REFERENCES.items():
        known = [replace(r, reference=kind) if r.spec.label == "halves" else r for r in results.records]
        part = Results(known)
        for protocol in data.collect(part, {})["sections"][0]["protocols"]:
            assert protocol["methods"]["halves"]["reference"] == words
        notes = part.table().blocks[0].notes
        assert any(note.startswith(f"{words}: ") and "halves" in note for note in notes)


def test_a_record_without_numbers_is_told_in_the_words_of_the_reports(results: Results) -> None:
    first, second, third, *_ = results.records
    bare = [
        replace(first, status="failed", reason="boom", rounds=()),
        replace(second, status="skipped", reason="", rounds=()),
        replace(third, status="ok", reason="", rounds=()),
    ]
    told = data.collect(Results(bare), {})["records"]
    assert [(r["status"], r["reason"]) for r in told] == [
        ("failed", "boom"),
        ("skipped", "no reason recorded"),
        ("failed", "no round was evaluated"),
    ]
    assert [(r["status"], r["reason"]) for r in told] == [(r.word, r.trouble) for r in bare]


def test_p_is_that_of_the_table_a_number_stands_in(results: Results) -> None:
    """A method without an offline stage stands in two tables, and is compared with another best in each."""
    here = [r for r in results.records if (r.spec.dataset, r.spec.bits) == ("tiny", 16)]
    guests = [r for r in here if r.spec.label == "halves" and r.spec.database == "reindexed"]
    rivals = [r for r in here if r.spec.label == "random_projection"]
    homes = {r.spec.key: r for r in guests}
    records = list(guests)
    for pool, ran in (("first_chunk", rivals), ("full", rivals[::-1])):  # the seeds in another order
        for record, stored in zip(rivals, ran, strict=True):
            spec = replace(record.spec, pool=pool)
            records.append(replace(record, spec=spec, arrays=stored.arrays, rounds=stored.rounds[-1:]))
            homes[records[-1].spec.key] = stored
    arrays = results.evidence
    found = Results(records, arrays=lambda r: arrays(homes[r.spec.key]))
    [section] = data.collect(found, {})["sections"]
    expected = [
        (row["block"], row["method"], row["direction"], row["p_against_best"])
        for row in found.table(significance=True).data
        if row["p_against_best"] is not None
    ]
    shown = [
        (i, method, direction, p)
        for i, protocol in enumerate(section["protocols"])
        for method, _, direction, _, p in protocol["p"]
    ]
    assert shown == [(*place, pytest.approx(p, abs=1e-8)) for *place, p in expected]
    assert len({p for _, method, direction, p in shown if (method, direction) == ("halves", "i2t")}) == 2


@pytest.mark.slow
def test_bench_report_writes_the_page_with_its_figures(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [r for r in results.records if r.spec.label == "halves" and r.spec.dataset == "tiny"]
    store = Store(tmp_path / "runs")
    store.check_writable()
    for record in chosen:
        store.write(record, dict(results.evidence(record)))
    out, html = tmp_path / "report", tmp_path / "deep" / "out.html"
    assert main(["report", "--results", str(store.folder), "--out", str(out), "--html", str(html)]) == 0
    assert 100_000 < html.stat().st_size < 5_000_000


def test_a_cell_on_other_threads_is_marked_and_explained(results: Results) -> None:
    first, *rest = (r for r in results.records if r.status == "ok" and r.spec.database == "reindexed")
    other = replace(first, environment={**first.environment, "threads": 2})
    [section] = data.collect(Results([other, *rest]), {})["sections"]
    [protocol] = [p for p in section["protocols"] if first.spec.label in p["methods"]]
    assert "¤" in protocol["methods"][first.spec.label]["mark"]
    assert any("ran on 2 threads" in note for note in protocol["notes"])


@pytest.mark.parametrize(("seeds", "line"), [(2, "nothing is tested or marked"), (3, "% power")])
def test_the_caption_says_what_the_tests_could_find(results: Results, seeds: int, line: str) -> None:
    tried = [r for r in results.records if r.spec.dataset == "tiny" and r.spec.database == "reindexed"]
    part = Results([r for r in tried if r.spec.seed < seeds], arrays=results.evidence)
    for protocol in data.collect(part, {})["sections"][0]["protocols"]:
        assert sum(line in text for text in protocol["caption"]) == 1
