"""`bench leaderboard` writes a static site of archives and results folders."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import leaderboard
from bench.archive.publish import publish
from bench.cli import main
from bench.errors import StoreError
from bench.plugins import registry
from bench.records import RunRecord
from bench.storing.store import Store

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
PLUGINS = [Path(__file__).with_name("plugins") / f"{name}.py" for name in ("halves", "tiny", "breaks")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A results folder of two methods, one of which fails, and an archive of it by Ada."""
    home = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        patch.setattr(registry, "_extra", {})
        options: dict[str, Any] = {"datasets": "tiny", "bits": "8", "plugin": [str(p) for p in PLUGINS]}
        bench.run(methods="halves,breaks", seeds=2, results=str(home / "runs"), **options)
        publish(Store(home / "runs"), home / "study.zip", by="Ada")
        yield home


def boards(*submissions: leaderboard.Submission) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = leaderboard.content(submissions)["boards"]
    return found


def changed(one: leaderboard.Submission, **changes: Any) -> leaderboard.Submission:
    """The same submission with other specs, or records."""
    spec = {name: value for name, value in changes.items() if name != "data"}
    rest = {name: value for name, value in changes.items() if name == "data"}

    def change(record: RunRecord) -> RunRecord:
        return replace(record, spec=replace(record.spec, **spec), **rest)

    return replace(one, name=f"{one.name}2", records=[change(r) for r in one.records])


def test_a_number_is_the_one_of_the_record(home: Path) -> None:
    one = leaderboard.read(home / "runs")
    [board] = boards(one)
    [row] = board["rows"]
    shown = [run["values"]["i2t"][board["metrics"][0]["at"]] for run in row["runs"]]
    assert np.allclose(shown, [r.rounds[-1].metrics["map/i2t"] for r in one.records], atol=1e-8)


def test_an_archive_names_who_submits_it_and_its_digest(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["publish", str(home / "runs"), "--by", "Grace", "--to", str(home / "hers.zip")])
    one = leaderboard.read(home / "hers.zip")
    assert one.by == "Grace"
    assert one.digest in capsys.readouterr().out


def test_cells_without_numbers_are_counted_and_not_shown(home: Path) -> None:
    one = leaderboard.read(home / "study.zip")
    assert (len(one.records), one.stored) == (2, 4)


def test_submissions_of_one_dataset_and_protocol_share_a_table(home: Path) -> None:
    one, two = leaderboard.read(home / "runs"), leaderboard.read(home / "study.zip")
    [board] = boards(one, two)
    assert [row["submission"] for row in board["rows"]] == [0, 1]


@pytest.mark.parametrize("change", [{"data": "other"}, {"database": "frozen"}, {"pool": "separate:10"}])
def test_other_data_or_another_protocol_have_a_table_of_their_own(home: Path, change: dict[str, Any]) -> None:
    one = leaderboard.read(home / "runs")
    assert len(boards(one, changed(one, **change))) == 2


def test_a_pool_that_takes_nothing_out_of_the_stream_has_a_row_in_the_same_table(home: Path) -> None:
    one = leaderboard.read(home / "runs")
    [board] = boards(one, changed(one, pool="full"))
    assert [row["pool"] for row in board["rows"]] == ["none", "full"]


def test_validation_cells_are_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Store.records
    monkeypatch.setattr(
        Store, "records", lambda s, **k: [replace(r, spec=replace(r.spec, val=5)) for r in records(s, **k)]
    )
    assert not leaderboard.read(home / "runs").records


def test_an_edited_score_is_not_verified(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "runs", tmp_path / "forged"))
    record = next(path for path in sorted(folder.glob("halves*.json")))
    text = record.read_text(encoding="utf-8").replace('"map/i2t": 0.', '"map/i2t": 0.9')
    record.write_text(text, encoding="utf-8")
    one = leaderboard.read(folder)
    assert len(one.faults) == 1


def test_two_submissions_of_one_name_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="2 submissions are called 'study'"):
        leaderboard.write([home / "study.zip", home / "study.zip"], tmp_path)


def test_the_archives_lie_beside_the_page(home: Path, tmp_path: Path) -> None:
    assert main(["leaderboard", str(home / "study.zip"), "--to", str(tmp_path / "site")]) == 0
    copies = sorted(str(p.relative_to(tmp_path / "site")) for p in (tmp_path / "site").rglob("*.*"))
    assert copies == ["archives/study.zip", "index.html"]


def test_the_site_of_the_reference_runs_is_verified_and_every_link_of_it_leads_somewhere(
    home: Path, tmp_path: Path
) -> None:
    submissions = leaderboard.write([REFERENCE, home / "study.zip"], tmp_path)
    assert [one.faults for one in submissions] == [[], []]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    links = re.findall(r"""<[a-z]+ [^>]*?(?:href|src)="([^"]*)""", page)
    for link in [*links, *(one.archive for one in submissions if one.archive)]:
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in page
        elif link != "data:,":
            assert (tmp_path / link).is_file()


def test_a_file_that_is_no_archive_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.zip").write_bytes(b"no")
    assert main(["leaderboard", str(tmp_path / "x.zip"), "--to", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
