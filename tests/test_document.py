"""Study files as `bench report` reads them: sections, and what they inherit."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import BenchError, ParameterError, UnknownNameError
from bench.study import sections
from bench.study.planner import Planner
from bench.study.sections import Request, find, load
from bench.study.study import Study

SHIPPED = ("online", "paper", "smoke", "stress")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_is_one_section_with_every_report(tmp_path: Path) -> None:
    found = load(written(tmp_path, "bits = [8]"))
    assert [s.title for s in found.sections] == ["study"]
    assert found.sections[0].requests == sections.DEFAULT
    assert found.sections[0].study is not None and found.sections[0].study.bits == (8,)


def test_a_section_takes_from_the_head_what_it_does_not_say(tmp_path: Path) -> None:
    text = """
    title = "T"
    bits = [8]
    seeds = 4
    reports = ["timing"]
    [[section]]
    title = "one"
    [[section]]
    title = "two"
    bits = [16]
    reports = ["map_table", { name = "map_table", metric = "map@50" }]
    """
    found = load(written(tmp_path, text))
    one, two = (s.study for s in found.sections)
    assert one is not None and two is not None
    assert (found.title, one.bits, two.bits, one.seeds, two.seeds) == (
        "T",
        (8,),
        (16,),
        (0, 1, 2, 3),
        (0, 1, 2, 3),
    )
    assert [r.name for r in found.sections[0].requests] == ["timing"]
    assert [r.stem for r in found.sections[1].requests] == ["map_table", "map_table-metric-map-50"]


def test_a_value_of_a_grid_may_have_a_comma(tmp_path: Path) -> None:
    book = tmp_path / "a,b.toml"
    book.write_text('steps = ["insert 9", "evaluate"]', encoding="utf-8")
    axes = f'schedule = ["runbook:{book}", "drift:9"]'
    text = (
        f"[[section]]\ntitle = 'a'\nmethods = ['hcfw']\nbits = [8]\ngrid = {{ words = ['a,b', 'c'], {axes} }}"
    )
    planner = Planner()
    _, cells, _ = load(written(tmp_path, text)).sections[0].plan(planner)
    assert {cell.spec.params.get("words") for cell in cells} == {"a,b", "c"}
    assert {cell.spec.schedule.order for cell in cells} == {"runbook", "drift"}


def test_options_override_every_section(tmp_path: Path) -> None:
    found = load(written(tmp_path, "[[section]]\ntitle = 'a'\njobs = 3"), jobs=2, results=None)
    assert found.sections[0].study is not None and found.sections[0].study.jobs == 2


def test_a_grid_tells_results_its_axes_and_an_ablation_its_contrasts(tmp_path: Path) -> None:
    text = """
    methods = ["lcdh"]
    bits = [16]
    seeds = 1
    [[section]]
    title = "grid"
    grid = { lambda1 = [0.1, 1], lambda2 = [1, 2, 3] }
    [[section]]
    title = "ablation"
    ablate = ["no-online-similarity"]
    """
    grid, ablation = load(written(tmp_path, text)).sections
    _, cells, offers = grid.plan(Planner())
    assert (len(cells), offers) == (6, {"swept": ["lambda1", "lambda2"]})
    _, cells, offers = ablation.plan(Planner())
    assert (len(cells), [c.name for c in offers["contrasts"]]) == (2, ["no-online-similarity"])


def test_a_section_has_a_cell_for_each_of_its_streams(tmp_path: Path) -> None:
    text = """
    methods = ["random_projection"]
    bits = [8]
    seeds = 1
    [[section]]
    title = "streams"
    schedule = ["shuffled:400"]
    streams = [{}, { noise = "sym:0.4" }, { schedule = ["modal:image,text", "shuffled:400"] }]
    """
    _, cells, _ = load(written(tmp_path, text)).sections[0].plan(Planner())
    assert [(str(c.spec.schedule), c.spec.noise) for c in cells] == [
        ("shuffled:400", "none"),
        ("shuffled:400", "sym:0.4"),
        ("modal:image,text", "none"),
    ]


def test_one_section_can_be_chosen(tmp_path: Path) -> None:
    document = load(written(tmp_path, "[[section]]\ntitle = 'a b'\n[[section]]\ntitle = 'c'"))
    chosen = document.only("a b")
    assert [s.title for s in chosen.sections] == ["a b"]
    assert chosen.command == f"{document.command} --section 'a b'"
    with pytest.raises(UnknownNameError, match=r"no section of the study named 'd'\. Known: a b, c"):
        document.only("d")


def test_a_section_of_no_study_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--section", "a"]) == 2
    assert "--section names a part of a study, and no study is given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[section]]\ntitle = 'a'\nstreams = { noise = 'sym:0.4' }", "expected a list of tables"),
        (
            "[[section]]\ntitle = 'a'\nstreams = [{ bits = 8 }]",
            "no axis of a stream in .* named 'bits'",
        ),
        ("reports = ['nonsense']", "no report named 'nonsense'"),
        ("reports = [{ name = 'map_table', metrc = 'map' }]", "'map_table' has no option 'metrc'"),
        ("reports = [{ name = 'wins', metric = 'map@50' }]", "'wins' has no option 'metric'"),
        ("reports = [3]", "is not the name of a report"),
        ("[[section]]\nbits = [8]", "has no title"),
        ("section = 3", r"Write \[\[section\]\]"),
        ("[[section]]\ntitle = 'a'\n[[section]]\ntitle = 'A'", "two sections are called"),
        ("[[section]]\ntitle = 'a'\nbitz = [8]", "bitz"),
        ("[[section]]\ntitle = 'a'\nablate = 3", "neither true nor a list"),
        ("[[section]]\ntitle = 'a'\ngrid = { x = 3 }", "expected a list of values"),
        ("title = 3", "title must be text in one line"),
        ('title = "a\\nb"', "title must be text in one line"),
        ("reports = 'map_table'", "is not a list"),
        ("bits = [", "is not TOML"),
    ],
)
def test_bad_study_files_are_clear_errors(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        load(written(tmp_path, text))


def test_a_study_with_sections_is_for_bench_report(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="Run `bench report "):
        Study.make(written(tmp_path, "[[section]]\ntitle = 'a'"))


def test_what_bench_report_reads_of_a_plain_study_is_no_option_of_it(tmp_path: Path) -> None:
    assert Study.make(written(tmp_path, "title = 'a'\nreports = ['timing']\nbits = [8]")).bits == (8,)


def test_a_name_that_nobody_ships_is_an_error_with_the_known_ones() -> None:
    with pytest.raises(BenchError, match="Did you mean 'smoke'"):
        find("smokee")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_can_be_planned(name: str) -> None:
    found = load(find(name))
    for section in found.sections:
        _, cells, _ = section.plan(Planner())
        assert cells
        assert all(isinstance(r, Request) and not r.optional for r in section.requests)


RIVALS = {"lcdh", "ukd", "skdch", "ckdh", "olsh", "roh"}  # of LCDH, as its paper and reviews name them


def test_the_default_study_compares_lcdh_with_its_rivals_from_pixels() -> None:
    study = Study.make(None)
    assert {*RIVALS, "lemon"} <= set(study.methods)
    assert study.datasets == ("scenes",)


def test_the_study_paper_has_a_table_of_all_rivals_for_each_dataset() -> None:
    tables: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for section in load("paper").sections:
        assert section.study is not None
        if any(request.name == "map_table" for request in section.requests):
            assert {*RIVALS, "scm"} <= set(section.study.methods)
            tables.setdefault(section.study.database, []).append(section.study.datasets)
    one_each = [("mirflickr25k",), ("iaprtc12",), ("nuswide",)]
    assert tables == {("reindexed",): one_each, ("learned",): one_each}
