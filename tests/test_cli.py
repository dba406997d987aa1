"""The commands as a user types them: output, exit codes, and one-line errors."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bench.cli import main
from bench.cli.commands import GROUPS
from bench.plugins import registry

PLUGINS = sorted(Path(__file__).with_name("plugins").glob("*.py"))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.chdir(tmp_path)


def run(*more: str, methods: str = "halves") -> int:
    plugins = ",".join(str(p) for p in PLUGINS)
    return main(
        [
            "run",
            "--plugin",
            plugins,
            "--datasets",
            "tiny",
            "--methods",
            methods,
            "--bits",
            "8",
            "--train",
            "all",
            *more,
        ]
    )


def test_the_path_of_a_plugin_may_have_a_comma(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine,new"
    folder.mkdir()
    copies = [shutil.copy(plugin, folder / f"my_{plugin.name}") for plugin in PLUGINS]
    assert main(["list", "methods", "--plugin", ",".join(map(str, copies))]) == 0
    assert "my_halves" in capsys.readouterr().out


def test_run_prints_a_table_with_both_directions_and_chance(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    shown = capsys.readouterr()
    for word in ("halves", "I→T", "T→I", "chance", "reindexed", "shuffled:20"):
        assert word in shown.out
    assert "[1/2]" in shown.err and "[2/2]" in shown.err


def test_a_verbose_run_says_why_each_cell_runs_and_how_its_rounds_go(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_VERBOSE", "")  # restored afterwards
    run("--seeds", "1", "--evaluate", "all")
    capsys.readouterr()
    run("--seeds", "1", "--evaluate", "all", "--database", "reindexed,frozen", "--verbose", "--in-process")
    shown = re.sub(" on tiny.*?: ", ": ", capsys.readouterr().err)
    assert "halves: kept: done\n" in shown and "halves: runs: not stored\n" in shown
    assert re.search(r"halves: round 1 of 3, fit [\d.]+ .?s, 20 items, mAP I→T 0\.\d+  T→I 0\.\d+\n", shown)


def test_quiet_and_verbose_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--quiet", "--verbose"])
    assert "not allowed with argument --quiet" in capsys.readouterr().err


def test_a_second_run_computes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run()
    first = capsys.readouterr().out
    run()
    second = capsys.readouterr()
    assert second.err == ""
    assert second.out.splitlines()[:-1] == first.splitlines()[:-1]


def test_failed_cells_make_exit_code_1_and_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(methods="halves,breaks") == 1
    shown = capsys.readouterr()
    assert "RuntimeError: no more" in shown.out
    assert "Traceback" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--methods", "lcdhh"], "no method named 'lcdhh'. Did you mean 'lcdh'?"),
        (["run", "--datasets", "wikki"], "Did you mean 'wiki'?"),
        (["run", "--bits", "0"], "bits must be whole numbers from 1 to 1024; got 0"),
        (["run", "--schedule", "sorted:5"], "is not one of shuffled:SIZE"),
        (["run", "--datasets", "wiki", "--data-root", "nowhere"], "wikiData.mat"),
        (["run", "absent.toml"], "study file absent.toml"),
        (["table"], "results folder"),
        (["table", "--results", ".", "--report", "map_tabel"], "Did you mean 'map_table'?"),
        (["info", "lcdx"], "Did you mean 'lcdh'?"),
        (["check", "lcdx"], "Did you mean 'lcdh'?"),
        (["new", "method", "lcdh"], "lcdh"),
        (["list", "methods", "--plugin", "absent.py"], "absent.py"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_debug_shows_the_traceback() -> None:
    from bench.errors import UnknownNameError

    with pytest.raises(UnknownNameError):
        main(["run", "--methods", "lcdhh", "--debug"])


def test_plan_says_what_is_done_and_what_the_rest_costs(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    plugins = ",".join(str(p) for p in PLUGINS)
    grid = [
        "--plugin",
        plugins,
        "--datasets",
        "tiny",
        "--methods",
        "halves,cca",
        "--bits",
        "8",
        "--seeds",
        "2",
        "--train",
        "all",
    ]
    capsys.readouterr()
    assert main(["plan", *grid]) == 0
    shown = capsys.readouterr().out
    assert "4 cells: 1 done, 3 missing" in shown
    assert "estimated:" in shown and "MB" in shown


def test_plan_counts_cells_by_method_and_lists_each_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["plan", "--datasets", "synthetic", "--methods", "scm,cca", "--bits", "8,16", "--seeds", "2"]
    assert main([*grid, "--probe", "0"]) == 0
    shown = capsys.readouterr().out
    assert "scm     4 missing\ncca     4 missing\n" in shown and "synthetic, 8 bits" not in shown
    assert main([*grid, "--probe", "0", "--cells"]) == 0
    assert capsys.readouterr().out.count("  missing  scm on synthetic") == 4


def test_plan_says_how_many_settings_of_a_method_there_are_and_why_cells_are_run_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = ["--datasets", "synthetic", "--methods", "scm,scm[ridge=0.5]", "--bits", "8", "--seeds", "1"]
    assert main(["run", *grid]) == 0
    for file in Path("runs").glob("*.json"):
        file.write_text(file.read_text().replace('"data": "', '"data": "old'))
    capsys.readouterr()
    assert main(["plan", *grid, "--probe", "0"]) == 0
    shown = capsys.readouterr().out
    assert "scm, 2 settings  2 stale" in shown
    assert "2 stale (scm, scm[ridge=0.5]): the data have changed" in shown


def test_plan_takes_the_time_of_another_setting_where_probes_are_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ["--datasets", "synthetic", "--bits", "8", "--seeds", "1"]
    assert main(["run", *grid, "--methods", "scm"]) == 0
    capsys.readouterr()
    assert main(["plan", *grid, "--methods", "scm[ridge=0.5],cca", "--probe", "0"]) == 0
    shown = capsys.readouterr().out
    assert "1 from another setting of the method, 1 unknown: no time for a probe" in shown
    assert "estimated: at least" in shown


def test_plan_tells_every_section_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = ", ".join(f'"{p}"' for p in PLUGINS)
    Path("mine.toml").write_text(
        f"""
        plugin = [{plugins}]
        datasets = ["tiny"]
        methods = ["halves"]
        bits = [8]
        [[section]]
        title = "One"
        [[section]]
        title = "Two"
        seeds = 3
        """,
        encoding="utf-8",
    )
    assert main(["plan", "mine.toml", "--bits", "8,16", "--yes"]) == 0
    shown = capsys.readouterr().out
    assert "One: 4 cells: 4 missing" in shown and "Two: 6 cells: 6 missing" in shown


def test_significance_of_another_report_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    assert main(["table", "--report", "timing", "--significance"]) == 2
    assert "--significance works only with --report map_table" in capsys.readouterr().err


def test_an_option_of_the_report_can_be_given_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    capsys.readouterr()
    assert main(["table"]) == main(["table", "--option", "band=false"]) == 0
    assert capsys.readouterr().out.count("[pessimistic–optimistic]") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--option", "band"], "--option 'band' is not NAME=VALUE"),
        (["--option", "band=maybe"], "report 'map_table': band must be bool; got 'maybe'"),
        (["--report", "timing", "--metric", "map@50"], "report 'timing' has no option 'metric'"),
    ],
)
def test_an_option_that_the_report_cannot_take_is_refused(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--seeds", "1")
    assert main(["table", *words]) == 2
    assert says in capsys.readouterr().err


def test_plan_probes_every_kind_of_method(capsys: pytest.CaptureFixture[str]) -> None:
    """An oracle needs labels in encode, a broken method raises: neither stops the plan."""
    plugins = ",".join(str(p) for p in PLUGINS)
    methods = "label_oracle,float_features,zeros,lemon"
    words = ["--datasets", "tiny", "--methods", methods, "--bits", "8", "--probe", "60"]
    assert main(["plan", "--plugin", plugins, *words]) == 0
    shown = capsys.readouterr().out
    assert "3 from a probe of a chunk, 1 unknown" in shown


def test_status_counts_cells_and_gives_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1", methods="halves,breaks")
    capsys.readouterr()
    assert main(["status"]) == 0
    shown = capsys.readouterr().out
    assert "2 cells: 1 failed, 1 ok" in shown
    assert "1 failed (breaks): round 1: RuntimeError" in shown


def test_status_lists_every_cell_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "2")
    capsys.readouterr()
    assert main(["status", "--cells"]) == 0
    assert capsys.readouterr().out.count("  ok       halves on tiny") == 2


@pytest.mark.parametrize(("form", "mark"), [("md", "|"), ("csv", ","), ("latex", r"\toprule")])
def test_table_in_every_form(form: str, mark: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    capsys.readouterr()
    assert main(["table", "--format", form]) == 0
    assert mark in capsys.readouterr().out


def test_a_table_can_go_to_a_file(tmp_path: Path) -> None:
    run("--seeds", "1")
    assert main(["table", "--format", "csv", "--out", str(tmp_path / "t.csv")]) == 0
    assert "halves" in (tmp_path / "t.csv").read_text()


@pytest.mark.parametrize(
    ("name", "mark"),
    [("t.csv", "block,"), ("t.CSV", "block,"), ("t.tex", "\\begin"), ("t.html", "<table"), ("t.md", "| ")],
)
def test_a_table_has_the_format_of_its_suffix(tmp_path: Path, name: str, mark: str) -> None:
    run("--seeds", "1")
    assert main(["table", "--out", str(tmp_path / name)]) == 0
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert mark in text and "───" not in text


@pytest.fixture
def two_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    run("--seeds", "1", "--database", "frozen")
    capsys.readouterr()


@pytest.mark.parametrize("suffix", ["txt", "md", "tex", "html"])
@pytest.mark.usefixtures("two_protocols")
def test_several_protocols_are_refused_without_a_pattern_in_the_name(
    suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", "--out", f"t.{suffix}"]) == 2
    assert f"Give --out 't-{{name}}.{suffix}'" in capsys.readouterr().err
    assert not Path(f"t.{suffix}").exists()


@pytest.mark.parametrize("suffix", ["txt", "md", "tex", "html"])
@pytest.mark.usefixtures("two_protocols")
def test_several_protocols_go_to_a_file_each(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "--out", f"t-{{name}}.{suffix}"]) == 0
    names = [f"t-1-reindexed.{suffix}", f"t-2-frozen.{suffix}"]
    assert capsys.readouterr().out.split("wrote ")[1:] == [f"{name}\n" for name in names]
    reindexed, frozen = (Path(name).read_text(encoding="utf-8") for name in names)
    assert "database reindexed" in reindexed and "database frozen" not in reindexed
    assert "database frozen" in frozen and "database reindexed" not in frozen


@pytest.mark.parametrize(("words", "suffix"), [(["--database", "frozen"], "tex"), ([], "csv")])
@pytest.mark.usefixtures("two_protocols")
def test_one_protocol_and_plain_numbers_go_to_the_file_that_is_named(words: list[str], suffix: str) -> None:
    before = set(Path().iterdir())
    assert main(["table", *words, "--out", f"t.{suffix}"]) == 0
    assert set(Path().iterdir()) - before == {Path(f"t.{suffix}")}


@pytest.mark.usefixtures("two_protocols")
def test_plain_numbers_of_a_pattern_are_one_file_without_it() -> None:
    assert main(["table", "--out", "t-{name}.csv"]) == 0
    assert main(["table", "--report", "pareto", "--out", "p-{name}.csv"]) == 0
    assert Path("t.csv").is_file() and Path("p.csv").is_file()


def test_a_figure_has_the_very_name_that_was_given() -> None:
    run("--seeds", "1")
    assert main(["table", "--report", "health", "--option", "modality=text", "--out", "h.x.PDF"]) == 0
    assert Path("h.x.PDF").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "words", [["report", "--out", "site.pdf"], ["leaderboard", "runs", "--to", "a.html"]]
)
def test_the_name_of_a_file_is_no_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "expected a folder; the suffix is that of a file" in capsys.readouterr().err


def test_latex_has_no_second_lines_unless_they_are_asked_for(tmp_path: Path) -> None:
    run("--seeds", "1")
    for words, shown in (([], False), (["--band"], True)):
        assert main(["table", "--out", str(tmp_path / "t.tex"), *words]) == 0
        text = (tmp_path / "t.tex").read_text(encoding="utf-8")
        assert ("pessimistic" in text) == shown
        assert "\\label{tab:t}" in text


def test_latex_cites_the_papers_that_stand_in_the_bib_beside_it(tmp_path: Path) -> None:
    run("--seeds", "1", methods="cca,halves")
    assert main(["table", "--out", str(tmp_path / "t.tex"), "--ours", "halves"]) == 0
    text = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert "cca~\\cite{hotelling1936relations}" in text and "halves (ours) &" in text
    assert "@misc{hotelling1936relations," in (tmp_path / "t.bib").read_text(encoding="utf-8")


def test_ours_that_is_no_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    assert main(["table", "--ours", "halvess"]) == 2
    assert "Did you mean 'halves'?" in capsys.readouterr().err


def test_validation_cells_join_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1", "--val", "4", "--train", "0.5")
    run("--seeds", "1", "--train", "0.5")
    capsys.readouterr()
    assert main(["table"]) == 0
    shown = capsys.readouterr()
    assert "VALIDATION" not in shown.out
    assert "left out 1 cell on validation queries" in shown.err


def test_a_suffix_that_is_no_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    assert main(["table", "--out", str(tmp_path / "t.xlsx")]) == 2
    assert "expected .txt, .md, .csv, .tex, .html, .htm. Change it." in capsys.readouterr().err
    assert not (tmp_path / "t.xlsx").exists()


def test_a_format_that_contradicts_the_suffix_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--seeds", "1")
    assert main(["table", "--format", "md", "--out", str(tmp_path / "t.tex")]) == 2
    assert "the suffix means --format latex; got --format md" in capsys.readouterr().err


def test_rescore_adds_a_metric_that_table_then_shows(capsys: pytest.CaptureFixture[str]) -> None:
    run("--seeds", "1")
    assert main(["table", "--metric", "map@10:lemon"]) == 2
    assert "bench rescore --metric map@10:lemon" in capsys.readouterr().err
    assert main(["rescore", "--metric", "map@10:lemon"]) == 0
    assert main(["table", "--metric", "map@10:lemon"]) == 0
    assert "halves" in capsys.readouterr().out


def test_plugin_files_of_the_study_file_and_of_every_option_count(capsys: pytest.CaptureFixture[str]) -> None:
    files = {path.stem: str(path) for path in PLUGINS}
    Path("study.toml").write_text(f"plugin = [{files['tiny']!r}]\n", encoding="utf-8")
    words = ["--datasets", "tiny", "--methods", "halves,zeros", "--bits", "8", "--seeds", "1"]
    added = ["--plugin", files["halves"], "--plugin", files["zeros"]]
    assert main(["plan", "study.toml", "--yes", *words, *added]) == 0
    assert "2 cells" in capsys.readouterr().out


def test_table_computes_a_metric_that_is_not_stored_and_stores_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("--seeds", "1")
    before = {path: path.read_bytes() for path in Path("runs").glob("*.json")}
    assert main(["table", "--metric", "map@10:hits"]) == 0
    assert "halves" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("runs").glob("*.json")} == before != {}


def test_info_shows_parameters_capabilities_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "lcdh"]) == 0
    shown = capsys.readouterr().out
    for word in ("reconstruction", "lambda1", "supervised", "AAAI"):
        assert word in shown


def test_info_describes_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "synthetic"]) == 0
    shown = capsys.readouterr().out
    assert "base rate" in shown.lower() and "labels" in shown


@pytest.mark.parametrize("what", ["methods", "datasets", "schedules", "metrics", "reports"])
def test_list(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {
        "methods": "lcdh",
        "datasets": "synthetic",
        "schedules": "drift",
        "metrics": "map",
        "reports": "map_table",
    }
    assert main(["list", what]) == 0
    assert expected[what] in capsys.readouterr().out


def test_new_method_passes_check_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["new", "method", "mine_own", "--folder", str(tmp_path)]) == 0
    assert main(["check", "mine_own", "--plugin", str(tmp_path / "mine_own.py")]) == 0
    assert ", 0 failed" in capsys.readouterr().out


def test_check_fails_a_method_that_breaks_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    zeros = next(p for p in PLUGINS if p.stem == "zeros")
    assert main(["check", "zeros", "--plugin", str(zeros)]) == 1
    assert "zeros" in capsys.readouterr().out


def test_doctor_lints_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--datasets", "synthetic"]) == 0
    assert "PASS" in capsys.readouterr().out


def test_info_describes_a_dataset_whose_files_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "mscoco", "--data-root", "nowhere"]) == 0
    shown = capsys.readouterr().out
    assert "Common Objects in Context" in shown
    assert "no statistics: " in shown
    assert "Run: bench data prepare mscoco" in shown


def test_help_lists_every_command_once_by_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^  ([a-z]+)  +\S", capsys.readouterr().out, re.MULTILINE)
    assert sorted(listed) == sorted(name for names in GROUPS.values() for name in names)


@pytest.mark.parametrize("command", [name for names in GROUPS.values() for name in names])
def test_help_of_a_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"examples?: bench {command}\b", shown)


def test_the_help_lists_every_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nonsense"])
    known = re.findall(r"'(\w+)'", capsys.readouterr().err.partition("choose from")[2])
    assert known and [len(re.findall(rf"^  {name} ", shown, re.MULTILINE)) for name in known] == [1] * len(
        known
    )
