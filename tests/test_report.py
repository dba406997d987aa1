"""`bench report`: from a study file to a folder, and from a folder of runs to the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.cli import main
from bench.plugins import registry

PLUGINS = ", ".join(f'"{p}"' for p in sorted(Path(__file__).with_name("plugins").glob("*.py")))
STUDY = f"""
title = "Tiny study"
plugin = [{PLUGINS}]
methods = ["halves", "zeros"]
datasets = ["tiny"]
bits = [8]
seeds = 2

[[section]]
title = "Main results"
reports = ["map_table", {{ name = "map_table", metric = "precision@r2" }}, "significance", "datasets"]

[[section]]
title = "Along the stream"
evaluate = "all"
reports = ["learning"]
"""
WAVE = '''
"""A figure of somebody else."""

from matplotlib.figure import Figure as Canvas

from bench.reporting.figures import Figure, Plot

RC = {"svg.fonttype": "none"}


def draw():
    canvas = Canvas()
    canvas.text(0, 0, f"height {HEIGHT}")
    return canvas


def render(records):
    return Figure(title="Wave", plots=(Plot(name="", caption=(), draw=draw),), rc=RC)


HEIGHT = 4
'''


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.setattr(registry, "_extra", {})
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY, encoding="utf-8")


def test_a_figure_of_a_plugin_file_is_drawn_in_a_process_that_has_not_read_the_file() -> None:
    Path("wave.py").write_text(WAVE, encoding="utf-8")
    study = STUDY.partition("[[section]]")[0].replace("plugin = [", 'plugin = ["wave.py", ')
    Path("waves.toml").write_text(study + 'reports = ["wave"]\n', encoding="utf-8")
    assert main(["report", "waves.toml", "--yes", "--out", "out"]) == 0
    assert "height 4" in Path("out/tiny-study/wave.svg").read_text(encoding="utf-8")


def test_an_error_in_one_report_does_not_cut_the_others_off_in_silence() -> None:
    code = WAVE.replace("    return Figure", "    raise LookupError\n    return Figure")
    Path("broken.py").write_text(code, encoding="utf-8")
    study = STUDY.replace("plugin = [", 'plugin = ["broken.py", ')
    Path("broken.toml").write_text(study.replace('"learning"', '"broken", "learning"'), encoding="utf-8")
    with pytest.raises(LookupError):
        main(["report", "broken.toml", "--yes", "--out", "out"])


def test_a_folder_that_cannot_be_made_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/main-results").touch()
    assert main(["report", "study.toml", "--yes", "--out", "out"]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_place_that_cannot_be_written_is_told_before_anything_runs(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert main(["report", "study.toml", "--yes", option, "file/inside"]) == 2
    told = capsys.readouterr().err
    assert "cannot write file/inside" in told and "Choose a place you can write to." in told
    assert not Path("runs").exists()


def test_a_folder_without_a_cell_makes_no_report(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    assert main(["report", "--out", "out"]) == 2
    assert "runs has no cells" in capsys.readouterr().err and not Path("out/README.md").exists()


def test_cells_that_lost_their_arrays_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "study.toml", "--yes", "--out", "out"]) == 0
    lost = min(Path("runs").glob("*.npz"))
    lost.unlink()
    assert main(["table"]) == main(["status"]) == 0
    assert capsys.readouterr().err.count("runs is left out") == 2


@pytest.mark.parametrize("kept", [0.1, 0.9])
def test_cells_whose_arrays_are_cut_short_are_left_out_by_name(
    kept: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "study.toml", "--yes", "--out", "out"]) == 0
    for path in Path("runs").glob("halves*.npz"):
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content))])
        cut = path.name
    assert main(["table"]) == 0
    assert f"its arrays {cut} have changed" in capsys.readouterr().err


def test_a_study_that_nobody_has_leaves_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "smokee", "--out", "out"]) == 2
    assert "smokee" in capsys.readouterr().err and not Path("out").exists()


def test_a_page_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "study.toml", "--yes", "--html", "."]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_a_study_becomes_a_folder_with_an_index_whose_links_lead_somewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "study.toml", "--yes", "--out", "out"]) == 0
    index = Path("out/README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", index)
    assert links and all(Path("out", link).is_file() for link in links)
    for words in ("# Tiny study", "## Main results", "## Along the stream", "`bench report study.toml`"):
        assert words in index
    assert "Main results: 4 of 4 cells are run first" in capsys.readouterr().err
    forms = {p.name for p in Path("out/main-results").iterdir()}
    assert {f"map_table.{s}" for s in ("md", "csv", "tex", "html", "txt")} <= forms
    assert "map_table-metric-precision-r2.md" in forms
    assert {f"learning.{s}" for s in ("pdf", "eps", "svg", "png", "csv")} == {
        p.name for p in Path("out/along-the-stream").iterdir()
    }


def test_again_it_runs_nothing_and_writes_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    def files() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted(Path("out").rglob("*")) if p.is_file()}

    main(["report", "study.toml", "--yes", "--out", "out"])
    first = files()
    capsys.readouterr()
    main(["report", "study.toml", "--yes", "--out", "out"])
    assert capsys.readouterr().err == ""
    assert files() == first


def test_without_running_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "study.toml", "--yes", "--no-run"]) == 1
    shown = capsys.readouterr().err
    assert "Main results: 4 of 4 cells are not stored and left out" in shown
    assert shown.count("not made: Main results: none of its cells is stored") == 1
    assert not Path("runs").exists()


def test_without_running_it_needs_no_files_of_the_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "paper", "--no-run"]) == 1
    assert "MIRFlickr-25K: 360 of 360 cells are not stored" in capsys.readouterr().err


def test_before_running_it_says_what_each_dataset_lacks_and_the_steps_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", "paper"]) == 2
    shown = capsys.readouterr().err.splitlines()
    names = ("mirflickr25k", "iaprtc12", "nuswide")
    assert [line for line in shown if "is not ready" in line] == [f"{name} is not ready:" for name in names]
    photos = shown[shown.index("iaprtc12 is not ready:") :][:5]
    assert photos[1] == "  missing: iaprtc12/iaprtc12.tgz, iaprtc12/wlist.txt"
    assert photos[2] == "  1. bench data get iaprtc12 --data-root ."
    assert photos[3].startswith("  2. by hand: wlist.txt (")
    assert photos[4].startswith("  3. bench data prepare iaprtc12 ")
    assert shown[-1].endswith("no dataset is ready. Take the steps above, then run this again.")


def test_datasets_that_are_ready_are_run_without_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("study.toml").read_text(encoding="utf-8")
    Path("both.toml").write_text(text.replace('["tiny"]', '["tiny", "wiki"]'), encoding="utf-8")
    assert main(["report", "both.toml", "--yes", "--out", "out"]) == 1
    shown = capsys.readouterr().err
    assert "wiki is not ready:" in shown
    assert "not made: Main results, wiki: not ready." in shown
    assert len(list(Path("runs").glob("*.json"))) == 8  # of two sections


@pytest.mark.slow
def test_stored_results_need_no_study_and_leave_out_what_does_not_apply(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["report", "study.toml", "--yes", "--out", "out"])
    assert main(["report", "--results", "runs", "--out", "all"]) == 0
    index = Path("all/README.md").read_text(encoding="utf-8")
    assert "*bits: left out.* report 'bits'" in index
    assert "## Stored results" in index and "mAP" in index


def test_a_name_of_no_study_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "smokee"]) == 2
    assert "Did you mean 'smoke'?" in capsys.readouterr().err


def test_a_figure_is_written_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", "study.toml", "--yes", "--out", "out"])
    capsys.readouterr()
    assert main(["table", "--report", "pareto"]) == 2
    assert "Give --out FILE.pdf" in capsys.readouterr().err
    assert main(["table", "--report", "pareto", "--out", "fig-{name}.svg"]) == 0
    written = re.findall("wrote (.*)", capsys.readouterr().out)
    assert written and all(Path(name).is_file() for name in written)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_document_compiles_as_it_is() -> None:
    main(["report", "study.toml", "--yes", "--out", "out"])
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "report.tex"]
    ran = subprocess.run(command, cwd="out", capture_output=True, text=True, check=False, errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "Overfull" not in ran.stdout
