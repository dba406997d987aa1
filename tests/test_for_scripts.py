"""The command line for scripts: JSON, silence, dry runs and completion."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.progress import QUIET

STUDY = ["--methods", "random_projection", "--datasets", "synthetic[n=240,queries=40]", "--bits", "8"]
STUDY += ["--seeds", "1", "--schedule", "shuffled:100"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("json") / "runs"
    assert main(["run", *STUDY, "--results", str(runs)]) == 0
    return runs


def said(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_status_gives_every_cell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [cell] = said(capsys, "status", "--results", folder)
    known = {"method": "random_projection", "bits": 8, "seed": 0, "state": "ok", "reason": ""}
    assert known.items() <= cell.items()


def test_plan_gives_cells_and_cost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [part] = said(capsys, "plan", *STUDY, "--seeds", "2", "--results", folder)
    assert [cell["state"] for cell in part["cells"]] == ["done", "missing"]
    assert part["seconds"] > 0
    assert part["complete"]


def test_table_gives_plain_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [table] = said(capsys, "table", folder)
    assert {row["method"] for row in table["data"]} == {"random_projection"}


def test_table_in_json_goes_to_no_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(folder), "--json", "--out", "a.csv"]) == 2
    assert "leave out --out" in capsys.readouterr().err


def test_list_gives_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"name": "lemon"}.items() <= next(
        e for e in said(capsys, "list", "methods") if e["name"] == "lemon"
    ).items()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lemon", "method"),
        ("files", "dataset"),
        ("map_table", "report"),
        ("map", "metric"),
        ("bow", "encoder"),
    ],
)
def test_info_gives_kind_and_parameters(name: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    about = said(capsys, "info", name)
    assert about["kind"] == kind
    assert bool(about["parameters"]) == (kind != "metric")


def test_verify_gives_the_faults(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", folder, "--rerun", "1")["sound"]
    copy = tmp_path / "runs"
    shutil.copytree(folder, copy)
    [arrays] = copy.glob("*.npz")
    arrays.write_bytes(b"")
    assert list(said(capsys, "verify", copy, code=1)["faults"].values())


def test_a_dry_run_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *STUDY, "--dry-run", "--results", str(tmp_path / "runs")]) == 0
    assert "1 cell: 1 missing" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_quiet_prints_the_table_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(QUIET, "")
    assert main(["run", *STUDY, "--quiet", "--force", "--results", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("mAP")
    assert "stored in" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["tab"], ["table"]),
        (["run", "--methods", "lcdh,le"], ["lcdh,lemon"]),
        (["run", "--dry"], ["--dry-run"]),
        (["table", "--report", "map_t"], ["map_table"]),
    ],
)
def test_bash_completes(
    words: Sequence[str], completed: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    listed = "bench() { printf 'lemon  a method\\nlcdh  another\\nmap_table  a table\\n'; }"
    asked = f"COMP_WORDS=(bench {' '.join(words)}); COMP_CWORD={len(words)}; _bench; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{listed}\n{asked}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == list(completed)


def test_a_run_logs_its_lines_in_the_results_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "run.log"
    before = log.read_text(encoding="utf-8")
    assert main(["run", *STUDY, "--force", "--results", str(folder)]) == 0
    head, line = log.read_text(encoding="utf-8").removeprefix(before).splitlines()
    assert "1 of 1 cells" in head
    assert line.endswith(capsys.readouterr().err.strip())


def test_a_run_without_cells_to_run_logs_nothing(folder: Path) -> None:
    before = (folder / "run.log").read_text(encoding="utf-8")
    assert main(["run", *STUDY, "--results", str(folder)]) == 0
    assert (folder / "run.log").read_text(encoding="utf-8") == before
