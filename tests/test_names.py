"""Names: values in quotes, names to show in place of selectors, headings of paths, letters of any script."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.cli import main
from bench.errors import DataError, ParameterError
from bench.records import RunRecord, RunSpec, Schedule, selector
from bench.reporting import fonts
from bench.reporting.names import distinct
from bench.reporting.tables import wide
from bench.results import Results
from bench.storing.store import Store
from bench.study.planner import Planner
from bench.study.selectors import expand, split
from bench.study.study import Study


def path_of(text: str) -> Any:
    [one] = expand("dataset", [text])
    return one.params["path"]


@pytest.mark.parametrize(
    "path",
    [
        "v1,final.npz",
        "a[1].npz",
        "a].npz",
        "[x",
        "it's.npz",
        "'quoted'.npz",
        'say "hi".npz',
        """both ' and ",.npz""",
        "a=b.npz",
        " edges ",
        "sales as usual.npz",
        "数据集.npz",
        "C:\\data\\x.npz",
    ],
)
def test_any_path_can_be_written_in_a_selector(path: str) -> None:
    text = selector("files", {"path": path, "seed": 3})
    assert split(f"wiki,{text},synthetic") == ["wiki", text, "synthetic"]
    [one] = expand("dataset", [text])
    assert one.params == {"path": path, "seed": 3}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("files[path='v1,final.npz']", "v1,final.npz"),
        ('files[path="v1,final.npz"]', "v1,final.npz"),
        ("files[ path = 'a]b.npz' ]", "a]b.npz"),
        ("files[path='it''s.npz']", "it's.npz"),
        ("files[path=it's.npz]", "it's.npz"),
        ("files[path=a[1].npz]", "a[1].npz"),
    ],
)
def test_quotes_keep_a_value_together(text: str, path: str) -> None:
    assert path_of(text) == path


def test_quoted_values_may_be_listed() -> None:
    assert [one.params["path"] for one in expand("dataset", ["files[path='a,b','c]']"])] == ["a,b", "c]"]


def test_a_quote_that_is_not_closed_is_refused() -> None:
    with pytest.raises(ParameterError, match="a quote is not closed"):
        expand("dataset", ["files[path='a,b]"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lemon as ours", "ours"),
        ("lemon[beta=2.0] as ours", "ours"),
        ("lemon[beta=2.0]  as  'Ours, [v2]'", "Ours, [v2]"),
        ("lemon as our method", "our method"),
        ("lemon", ""),
    ],
)
def test_a_method_can_be_given_a_name_to_show(text: str, shown: str) -> None:
    [one] = expand("method", split(text))
    assert (one.plugin.name, one.shown) == ("lemon", shown)


def test_two_settings_cannot_share_a_name() -> None:
    for texts in (["lemon[beta=2.0,3.0] as ours"], ["lemon as ours", "scm as ours"]):
        with pytest.raises(ParameterError, match="is already shown as 'ours'"):
            expand("method", texts)


def test_one_setting_cannot_have_two_names() -> None:
    with pytest.raises(ParameterError, match=r"is already shown as 'a'\. Name it once"):
        expand("method", ["lemon as a", "lemon as b"])


@pytest.mark.parametrize("name", ["x" * 61, "'a\nb'", "'\x1b[2J'", "' '"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="cannot be shown"):
        expand("method", [f"lemon as {name}"])


@pytest.mark.parametrize("path", ["a\nb.npz", "\x1b[2J", "x" * 1001])
def test_text_that_no_record_can_hold_is_refused(path: str) -> None:
    with pytest.raises(ParameterError, match="files: path must be text in one line"):
        expand("dataset", [f"files[path='{path}']"])


def test_a_study_file_with_a_newline_in_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\nb.toml").write_text("seeds = 1")
    with pytest.raises(DataError, match=r"study file 'a\\nb.toml': its name is not printable"):
        Study.make(tmp_path / "a\nb.toml")


def test_a_name_is_no_part_of_the_key() -> None:
    plain, named = (
        Planner().cells(Study.make(None, methods=text, datasets=data, bits=8, seeds=1))[0].spec
        for text, data in (("cca", "synthetic"), ("cca as ours", "synthetic as toy"))
    )
    assert plain.key == named.key
    assert (named.label, named.dataset_label) == ("ours", "toy")
    assert str(named).startswith("ours on toy, 8 bits")


def test_a_study_file_may_give_a_table_in_place_of_a_selector(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'methods = ["cca", { name = "lemon", beta = [2.0, 3.0] }]\n'
        'datasets = [{ name = "files", path = "v1,[a] as \'x\'.npz", as = "fashion, small" }]\n'
    )
    study = Study.make(file)
    assert [one.params for one in expand("method", study.methods)] == [{}, {"beta": 2.0}, {"beta": 3.0}]
    [data] = expand("dataset", study.datasets)
    assert (data.params, data.shown) == ({"path": "v1,[a] as 'x'.npz"}, "fashion, small")


@pytest.mark.parametrize(
    "table", ['{ path = "x" }', '{ name = "files", as = 3 }', '{ name = "cca", a = {} }']
)
def test_a_table_that_is_no_selector_is_refused(tmp_path: Path, table: str) -> None:
    file = tmp_path / "study.toml"
    file.write_text(f"datasets = [{table}]\n")
    with pytest.raises(ParameterError, match="is not a name with values of parameters"):
        Study.make(file)


def spec(**options: Any) -> RunSpec:
    return RunSpec(
        **{"method": "m", "dataset": "files", "bits": 8, "schedule": Schedule("shuffled", 9), **options}
    )


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/data/clip/vitb32.npz", "vitb32.npz"),
        ("mine.npz", "mine.npz"),
        ("/data/folder/", "folder"),
        ("C:\\data\\x.npz", "x.npz"),
        ("/data/v1,final.npz", "v1,final.npz"),
    ],
)
def test_a_dataset_of_a_path_is_headed_by_the_end_of_the_path(path: str, heading: str) -> None:
    assert spec(dataset_params={"path": path}).dataset_label == heading


def test_a_path_among_the_parameters_of_a_method_is_shortened() -> None:
    assert spec(params={"weights": "/a/b/w.npz", "x": 1}).label == "m[weights=w.npz,x=1]"


def labels(*specs: RunSpec) -> list[tuple[str, str]]:
    shown = distinct([RunRecord(spec=one, status="ok") for one in specs])
    return [(record.spec.label, record.spec.dataset_label) for record in shown]


def test_equal_file_names_are_told_apart_by_their_folders() -> None:
    paths = "/runs/one/f.npz", "/runs/two/f.npz", "/runs/two/g.npz"
    shown = labels(*(spec(dataset_params={"path": path}) for path in paths))
    assert [dataset for _, dataset in shown] == ["one/f.npz", "two/f.npz", "g.npz"]


def test_paths_that_differ_in_a_slash_are_still_told_apart() -> None:
    shown = labels(*(spec(dataset_params={"path": path}) for path in ("a/x", "a/x/")))
    assert len({dataset for _, dataset in shown}) == 2


def test_a_file_called_like_a_dataset_is_told_apart() -> None:
    shown = labels(spec(dataset="wiki"), spec(dataset_params={"path": "/x/wiki"}))
    assert [dataset for _, dataset in shown] == ["wiki", "x/wiki"]


def test_a_name_holds_for_all_records_of_a_setting() -> None:
    assert labels(spec(), spec(bits=16, method_shown="ours"))[0] == ("ours", "files")


def test_a_name_of_two_settings_is_dropped() -> None:
    shown = labels(spec(method_shown="ours"), spec(params={"x": 1}, method_shown="ours"))
    assert [method for method, _ in shown] == ["m", "m[x=1]"]


def test_a_name_that_is_another_methods_is_dropped() -> None:
    shown = labels(spec(), spec(params={"x": 1}, method_shown="m"))
    assert [method for method, _ in shown] == ["m", "m[x=1]"]


def test_a_record_without_names_is_stored_as_before() -> None:
    plain = RunRecord(spec=spec(), status="ok").to_json()["spec"]
    assert not [name for name in plain if name.endswith("_shown")]
    named = RunRecord(spec=spec(method_shown="ours"), status="ok")
    assert RunRecord.from_json(named.to_json()).spec.label == "ours"


RUN: dict[str, Any] = {"bits": [8], "seeds": 1, "schedule": "shuffled:400", "contract": False}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("named") / "runs"
    bench.run(
        methods=["cca as ours", "random_projection as 随机"],
        datasets="synthetic as 数据",
        results=folder,
        **RUN,
    )
    return folder


def stored(folder: Path) -> Results:
    store = Store(folder)
    return Results(store.records(), arrays=store.arrays)


def test_names_are_shown_in_every_form_of_a_table(named: Path) -> None:
    table = stored(named).table()
    for text in (str(table), table.to_markdown(), table.to_csv(), table.to_html()):
        assert "ours" in text and "数据" in text
    assert "ours is cca" in str(table)
    assert "ours" in table.to_latex() and "(U+6570)" in table.to_latex()


def test_a_finished_cell_takes_the_name_it_is_given_later(named: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"results": tmp_path, **RUN}
    first = bench.run(methods="cca", datasets="synthetic", **options)
    again = bench.run(methods="cca as mine", datasets="synthetic", **options)
    assert [r.spec.label for r in again] == ["mine"]
    assert [r.spec.label for r in stored(tmp_path)] == ["mine"]
    assert [replace(r, arrays="").rounds for r in again] == [replace(r, arrays="").rounds for r in first]


def test_tables_can_be_filtered_by_names_and_by_selectors(
    named: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--methods", "ours"], ["--datasets", "数据", "--methods", "cca"]):
        assert main(["table", "--results", str(named), "--format", "csv", *words]) == 0
        shown = capsys.readouterr().out
        assert "ours" in shown and "随机" not in shown


def test_a_letter_that_no_font_has_becomes_its_code_and_one_line_says_so(
    named: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_upright", list)
    for cached in (fonts._fonts_for, fonts._report):
        cached.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [svg] = stored(named).figure("pareto").save(tmp_path, "a", ("svg",))
        stored(named).figure("pareto").save(tmp_path, "b", ("png", "pdf"))
    said = capsys.readouterr().err
    fonts._fonts_for.cache_clear()
    assert "(U+968F)" in svg.read_text(encoding="utf-8")
    assert said.count("no installed font has 随机") == 1


def draw(text: str) -> Any:
    from matplotlib.figure import Figure

    canvas = Figure()
    return canvas, canvas.text(0.5, 0.5, text)


def test_one_line_names_the_letters_that_no_font_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "_upright", list)
    fonts._fonts_for.cache_clear()
    fonts._report.cache_clear()
    for _ in range(2):
        canvas, text = draw("a 数据集")
        fonts.fit(canvas)
        assert text.get_text() == "a (U+6570)(U+636E)(U+96C6)"
    fonts._fonts_for.cache_clear()
    assert capsys.readouterr().err.count("no installed font has 数据集;") == 1


def test_a_font_that_has_the_letters_is_used_where_one_is_installed(tmp_path: Path) -> None:
    from matplotlib import font_manager

    stix = font_manager.findfont("STIXGeneral")
    letter = min(c for c in fonts._letters_of(stix) - fonts._letters("DejaVu Sans") if c.isalpha())
    canvas, text = draw(letter)
    text.set_fontfamily(["DejaVu Sans"])
    fonts.fit(canvas)
    assert text.get_text() == letter
    assert len(text.get_fontfamily()) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        canvas.savefig(tmp_path / "a.png")


def test_a_file_with_a_comma_in_its_name_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, 60)]
    np.savez(
        tmp_path / "v1,final [a].npz", image=rng.random((60, 5)), text=rng.random((60, 4)), labels=labels
    )
    monkeypatch.chdir(tmp_path)
    words = ["run", "--methods", "random_projection", "--bits", "8", "--seeds", "1", "--results", "runs"]
    data = "files[path='v1,final [a].npz',queries=10] as mine"
    assert main([*words, "--schedule", "shuffled:30", "--datasets", data]) == 0
    assert "mine" in capsys.readouterr().out


def test_wide_letters_keep_the_columns_of_a_table_aligned(named: Path) -> None:
    lines = str(stored(named).table()).splitlines()
    ours, other = (next(x for x in lines if x.startswith(name)) for name in ("ours", "随机"))
    assert wide(ours.partition(".")[0]) == wide(other.partition(".")[0]) != len(other.partition(".")[0])


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_a_plan_is_headed_by_the_names_that_methods_were_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--datasets", "synthetic", "--bits", "8", "--seeds", "1", "--results", str(tmp_path)]
    shown = said(capsys, "plan", "--methods", "cca as ours,cca[ridge=0.5],lemon", "--probe", "0", *words)
    assert [line.split()[0] for line in shown.splitlines()[3:6]] == ["ours", "cca", "lemon"]


def test_cells_of_equal_file_names_are_told_apart_in_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        image, text = rng.random((90, 5)), rng.random((90, 4))
        np.savez(tmp_path / folder / "x.npz", image=image, text=text, labels=np.arange(90) % 3)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    datasets = ",".join(f"files[path={folder}/x.npz,queries=9]" for folder in ("a", "b"))
    shown = said(
        capsys, "plan", "--cells", "--datasets", datasets, "--methods", "cca", "--bits", "8", "--seeds", "1",
        "--data-root", str(tmp_path), "--results", str(tmp_path / "runs"), "--probe", "0",
    )  # fmt: skip
    assert "cca on a/x.npz[queries=9]" in shown and "cca on b/x.npz[queries=9]" in shown


def test_a_comparison_has_the_names_of_either_folder(
    named: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run(methods="cca,random_projection", datasets="synthetic", results=tmp_path, **RUN)
    for folders in ([str(tmp_path), str(named)], [str(named), str(tmp_path)]):
        shown = said(capsys, "compare", *folders)
        assert "\nours " in shown and "dataset 数据" in shown
        assert "ours is cca" in shown and "数据 is synthetic" in shown


def test_files_of_a_trec_export_have_the_names(
    named: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trec"
    said(capsys, "export", "--to", "trec", "--results", str(named), "--out", str(out), "--depth", "1")
    assert {path.name.split("-8b-")[0] for path in out.glob("*.run")} == {"ours-数据", "随机-数据"}


def test_a_sweep_of_a_named_method_has_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(
        capsys, "sweep", "cca as ours", "--grid", "ridge=0,0.5", "--datasets", "synthetic as toys",
        "--bits", "8", "--seeds", "1", "--results", str(tmp_path),
    )  # fmt: skip
    assert "\nours: mAP" in shown and "ours is cca" in shown
    assert sorted(r.spec.label for r in stored(tmp_path)) == ["ours[ridge=0.0]", "ours[ridge=0.5]"]


def test_a_dataset_in_the_doctor_has_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "doctor", "--datasets", "synthetic[n=600,queries=60] as toys", "--methods", "cca")
    assert shown.startswith("toys, shuffled")
