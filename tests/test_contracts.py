"""Methods that are not built in are checked once for every version, and what they fail is marked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.checks import runs
from bench.cli import main
from bench.disk import places
from bench.errors import BenchError
from bench.page.data import collect
from bench.plugins import registry
from bench.records import RunRecord
from bench.results import Results
from bench.running import contracts
from bench.storing.store import Store

PLUGINS = Path(__file__).parent / "plugins"
FAILS = "it_has_a_docstring_and_a_source"  # of tests/plugins/halves.py, which has no source
Run = Callable[..., Results]


@pytest.fixture(autouse=True)
def unchecked_contract() -> None:
    """Here methods are checked."""


@pytest.fixture(autouse=True)
def own_folders_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(registry, "_extra", {})


@pytest.fixture
def run() -> Run:
    """Runs methods of tests/plugins on the dataset that lies there."""

    def run(methods: str, **options: Any) -> Results:
        plugins = [str(PLUGINS / f"{name}.py") for name in ("cheats", "halves", "tiny")]
        study: dict[str, Any] = {"datasets": "tiny", "bits": "8", "seeds": 1, "plugin": plugins} | options
        return bench.run(methods=methods, **study)

    return run


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The settings that were checked, in order."""
    settings: list[str] = []
    check = contracts._check

    def count(cell: Any, setting: str, how: contracts.How) -> tuple[contracts.Verdict, bool]:
        settings.append(setting)
        return check(cell, setting, how)

    monkeypatch.setattr(contracts, "_check", count)
    return settings


def stored() -> list[RunRecord]:
    return Store(Path(os.environ["BENCH_RESULTS"])).records()


def test_a_record_names_the_checks_that_its_method_fails(run: Run) -> None:
    run("cheats[cheat=rows]")
    assert [r.contract for r in stored()] == [("it_remembers_no_rows",)]


def test_a_failed_check_does_not_stop_the_run(run: Run) -> None:
    assert [(r.status, len(r.rounds)) for r in run("halves").records] == [("ok", 1)]


def test_what_a_check_notes_is_a_note_of_the_record(run: Run) -> None:
    [record] = run("cheats[cheat=rounding]").records
    assert record.contract == ()
    assert record.notes[-1].startswith("rounding decides its codes")


def test_a_built_in_method_is_not_checked_again(run: Run, checked: list[str]) -> None:
    assert [r.contract for r in run("random_projection").records] == [()]
    assert checked == []


def test_a_version_is_checked_once_for_all_its_cells_and_runs(run: Run, checked: list[str]) -> None:
    run("halves", bits="8,16", seeds=2)
    assert {r.contract for r in run("halves", bits="32").records} == {(FAILS,)}
    assert checked == ["halves"]


def test_an_edited_file_is_another_version(
    plugin_file: Callable[[str, str], Path], checked: list[str]
) -> None:
    source = (PLUGINS / "halves.py").read_text()
    path, tiny = plugin_file("mine", source), str(PLUGINS / "tiny.py")
    study: dict[str, Any] = {"methods": "mine", "datasets": "tiny", "bits": "8", "seeds": 1}
    study["plugin"] = [str(path), tiny]
    bench.run(**study)
    plugin_file("mine", source.replace("self.scale *", "2 * self.scale *"))
    bench.run(**study)
    assert checked == ["mine", "mine"]


def test_settings_that_differ_in_numbers_share_a_check_and_others_do_not(
    run: Run, checked: list[str]
) -> None:
    run("cheats[ridge=1,2,3],cheats[cheat=means],cheats[cheat=means,ridge=2]")
    assert checked == ["cheats", "cheats[cheat=means]"]


def test_without_the_check_the_record_says_so(run: Run, checked: list[str]) -> None:
    assert [r.contract for r in run("halves,random_projection", contract=False).records] == [None, ()]
    assert [r.contract for r in stored()] == [None, ()]
    assert checked == []


def test_a_later_run_checks_what_an_earlier_one_did_not(run: Run, checked: list[str]) -> None:
    run("halves", contract=False)
    [before] = stored()
    run("halves")
    [after] = stored()
    assert (after.contract, checked) == ((FAILS,), ["halves"])
    assert (after.rounds, after.arrays) == (before.rounds, before.arrays)


def test_finished_cells_need_no_check(run: Run, checked: list[str]) -> None:
    run("halves")
    for path in (places.cache() / "contract").iterdir():
        path.unlink()
    run("halves")
    assert checked == ["halves"]


def test_a_verdict_that_is_cut_short_is_made_again(run: Run, checked: list[str]) -> None:
    run("halves")
    [path] = (places.cache() / "contract").iterdir()
    assert json.loads(path.read_text()) == {"failed": [FAILS], "notes": []}
    path.write_text('{"failed": [')
    run("halves", bits="16")
    assert checked == ["halves", "halves"]


def test_a_cache_that_cannot_be_written_stops_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "contract").write_text("a file")
    assert [r.contract for r in run("halves").records] == [(FAILS,)]


def command(*words: str) -> list[str]:
    plugins = [word for name in ("cheats", "tiny") for word in ("--plugin", str(PLUGINS / f"{name}.py"))]
    return ["run", *plugins, "--datasets", "tiny", "--bits", "8", "--seeds", "1", *words]


def test_bench_run_says_once_what_the_check_costs(capsys: pytest.CaptureFixture[str]) -> None:
    words = command("--methods", "cheats[cheat=means]")
    assert main(words) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("contract")]
    [line] = said
    assert "failed 1; see `bench check 'cheats[cheat=means]'`; " in line
    assert line.endswith(" s, once for this version")
    main([*words, "--force"])
    assert "contract" not in capsys.readouterr().err


def test_the_table_marks_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    main(command("--methods", "cheats[cheat=means],random_projection"))
    out = capsys.readouterr().out
    assert "cheats[cheat=means]¶ " in out
    line = "¶ fails checks of the contract (an items code depends on no other item): cheats[cheat=means]"
    assert line in " ".join(out.split())
    assert "random_projection¶" not in out


def test_no_contract_is_marked_too(capsys: pytest.CaptureFixture[str]) -> None:
    main(command("--methods", "cheats", "--no-contract"))
    said = capsys.readouterr()
    assert "¶ not checked against the contract: cheats\n" in said.out
    assert "contract of" not in said.err


@pytest.mark.parametrize("report", sorted({*registry.names("report")} - {"datasets", "methods", "published"}))
def test_every_report_of_results_has_the_line(report: str) -> None:
    for study in runs.STUDIES:
        results = runs.results(study)
        broken = results.but(records=[replace(r, contract=("it_remembers_no_rows",)) for r in results])
        try:
            text = str(broken.render(report))
        except BenchError:  # the report is not for such a study
            continue
        assert "¶ fails checks of the contract (it remembers no rows): " in text
        return
    pytest.fail("no study is one for this report")


def test_the_page_has_the_mark_and_the_line(run: Run) -> None:
    shown = collect(run("halves", contract=False), {})
    [protocol] = shown["sections"][0]["protocols"]
    assert "¶ not checked against the contract: halves" in protocol["notes"]
    assert protocol["methods"]["halves"]["mark"] == "¶"
    assert shown["records"][0]["contract"] == "not checked against the contract"


def test_a_data_frame_has_it(run: Run) -> None:
    frame = run("halves", contract=False).frame()
    assert set(frame["contract"]) == {"not checked against the contract"}


def test_a_record_of_before_has_nothing_against_it(run: Run) -> None:
    old = run("random_projection").records[0].to_json()
    del old["contract"]
    assert RunRecord.from_json(old).breach == ""
