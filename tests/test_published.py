"""Other people's numbers: what the loader lets through, and values checked against the sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import DataError
from bench.records import DIRECTIONS, ORDERS, Schedule
from bench.reports import _published as published
from bench.reports._published import FUSED, MEAN, home, load, read

GOOD = """
paper = "A: B, C 2020"
read = "the text"
where = "here"
features = "GIST"
bits = [16, 32]
metric = "map:lemon"
ties = "stored order"
database = "learned"
rounds = "last"
schedule = "shuffled:2000"

[[numbers]]
table = "Table 1"
dataset = "mirflickr25k"
[numbers.values]
lemon = { i2t = [0.7, 0.71], t2i = [0.8, 0.81] }
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(text: str) -> Path:
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return one


def value(file: str, method: str, direction: str, bits: int, **more: Any) -> float:
    """The one published value with these properties."""
    wanted = {"method": method, "direction": direction, "bits": bits, **more}
    (found,) = [
        p for p in load() if p.file == file and all(getattr(p, name) == v for name, v in wanted.items())
    ]
    return found.value


def test_a_file_is_read_by_method_direction_and_bits(write: Write) -> None:
    found = [(p.method, p.direction, p.bits, p.value) for p in load(write(GOOD))]
    assert found == [
        ("lemon", "i2t", 16, 0.7),
        ("lemon", "i2t", 32, 0.71),
        ("lemon", "t2i", 16, 0.8),
        ("lemon", "t2i", 32, 0.81),
    ]


def test_a_table_overrides_the_head_of_its_file(write: Write) -> None:
    text = GOOD.replace('table = "Table 1"', 'table = "Table 1"\nrounds = "average"')
    assert {p.rounds for p in load(write(text))} == {"average"}


def test_a_list_of_rounds_makes_the_values_go_by_round(write: Write) -> None:
    text = GOOD.replace('rounds = "last"', "rounds = [1, 2]").replace("[16, 32]", "[16]")
    found = load(write(text))
    assert [(p.bits, p.rounds) for p in found[:2]] == [(16, "round 1"), (16, "round 2")]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('table = "Table 1"', 'tabel = "Table 1"', "unknown key 'tabel'"),
        ('features = "GIST"\n', "", "no 'features'"),
        ("[numbers.values]\nlemon", "lemon", "unknown key 'lemon'"),
        ("[0.7, 0.71]", "[0.7, 71.0]", "values.lemon.i2t"),
        ("[0.7, 0.71]", "[0.7, nan]", "values.lemon.i2t"),
        ("[0.7, 0.71]", "[0.7, true]", "values.lemon.i2t"),
        ("[0.7, 0.71]", "[0.7]", "expected 2 values"),
        ("[16, 32]", "[16, 32.0]", "bits = "),
        ("[16, 32]", "[16, 16]", "bits = "),
        ("[16, 32]", "[16, true]", "bits = "),
        ("i2t", "image_to_text", "values.lemon.image_to_text has no such direction"),
        ("map:lemon", "map:lemno", "metric = 'map:lemno'"),
        ("map:lemon", "recall@5", "metric = 'recall@5'"),
        ('"stored order"', '"random"', "ties = 'random'"),
        ('"learned"', '"encoded"', "database = 'encoded'"),
        ('"last"', '"final"', "rounds = 'final'"),
        ('"last"', "[1, 2]", "bits must be a single one"),
        ('"GIST"', '""', "features = ''"),
        ('"GIST"', "3", "features = 3"),
        ('where = "here"', 'where = "here"\nassumed = ["tie"]', "assumed = ['tie']"),
        ('where = "here"', 'where = "here"\nqueries = 0', "queries = 0"),
        ('where = "here"', 'where = "here"\nnoise = 0.5', "noise = 0.5"),
    ],
)
def test_what_a_key_does_not_allow_is_an_error_with_file_and_key(
    write: Write, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(DataError) as error:
        read(write(GOOD.replace(old, new)) / "mine.toml")
    assert "mine.toml" in str(error.value)
    assert says in str(error.value)


def test_a_value_that_is_there_twice_is_an_error(write: Write) -> None:
    with pytest.raises(DataError, match="twice"):
        read(write(GOOD + GOOD[GOOD.index("[[numbers]]") :]) / "mine.toml")


@pytest.mark.parametrize("text", ["paper = ", 'paper = "A"', "numbers = 3", "numbers = []"])
def test_a_file_without_numbers_is_an_error(write: Write, text: str) -> None:
    with pytest.raises(DataError, match=r"mine\.toml"):
        read(write(text) / "mine.toml")


def test_a_bad_file_is_left_out_by_name_and_the_others_are_read(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(GOOD)
    expected = load(folder)
    (folder / "broken.toml").write_bytes(b"\xff")
    assert load(folder) == expected
    assert "broken.toml: it is not UTF-8" in caplog.text


@pytest.mark.parametrize("file", sorted(home().glob("*.toml")), ids=lambda file: file.stem)
def test_every_shipped_file_is_read(file: Path) -> None:
    assert read(file)


def test_the_data_of_a_wheel_is_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "bench" / "published_numbers"
    inside.mkdir(parents=True)
    monkeypatch.setattr(published, "__file__", str(tmp_path / "bench" / "reports" / "_published.py"))
    assert home() == inside.resolve()


def test_an_installation_without_the_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "__file__", str(tmp_path / "bench" / "reports" / "_published.py"))
    with pytest.raises(DataError, match="Install hashbench again"):
        home()


def test_every_file_has_numbers() -> None:
    files = {path.name for path in home().glob("*.toml")}
    assert files == {p.file for p in load()}
    assert len(files) >= 6


def test_every_number_tells_its_source_and_protocol() -> None:
    for p in load():
        assert all((p.paper, p.read, p.where, p.table, p.features, p.schedule)), p
        assert 0 < p.value < 1, p
        assert p.direction in (*DIRECTIONS, FUSED, MEAN), p


def test_a_schedule_that_we_have_is_written_as_ours_is_printed() -> None:
    for schedule in {p.schedule for p in load()}:
        order, _, rest = schedule.partition(":")
        if order in ORDERS:
            size, _, last = rest.partition(":")
            assert str(Schedule.parse(f"{order}:{size}", last or "merge")) == schedule


def test_what_was_only_recalled_is_not_there() -> None:
    assert not {"ukd", "lcdh", "ckdh", "skdch"} & {p.method for p in load()}


def test_oh_els_has_eight_methods_on_two_datasets_in_two_tables() -> None:
    found = [p for p in load() if p.file == "oh_els_aaai2026.toml"]
    assert len(found) == 8 * 2 * 2 * 2 * 3  # methods, datasets, tables, directions, bits
    assert {p.rounds for p in found if p.table == "Table 1"} == {"average"}
    assert {p.rounds for p in found if p.table == "Table 2"} == {"last"}


@pytest.mark.parametrize(
    ("table", "dataset", "method", "direction", "bits", "expected"),
    [
        ("Table 1", "mirflickr25k", "lemon", "i2t", 16, 0.7115),
        ("Table 1", "nuswide10", "ocmfh", "t2i", 64, 0.4676),
        ("Table 1", "nuswide10", "oh_els", "t2i", 32, 0.8445),
        ("Table 2", "mirflickr25k", "doch", "t2i", 64, 0.8237),
        ("Table 2", "mirflickr25k", "odch", "i2t", 32, 0.5253),
        ("Table 2", "nuswide10", "rohlse", "i2t", 16, 0.5036),
        ("Table 2", "nuswide10", "oh_els", "t2i", 64, 0.8041),
    ],
)
def test_values_of_oh_els(
    table: str, dataset: str, method: str, direction: str, bits: int, expected: float
) -> None:
    where = {"table": table, "dataset": dataset}
    assert value("oh_els_aaai2026.toml", method, direction, bits, **where) == expected


@pytest.mark.parametrize(
    ("dataset", "method", "direction", "bits", "expected"),
    [
        ("mirflickr25k", "ucch", "i2t", 128, 0.760),
        ("mirflickr25k", "djsrh", "i2t", 16, 0.652),
        ("iaprtc12", "dgcpn", "t2i", 64, 0.491),
        ("nuswide10", "jdsh", "t2i", 128, 0.699),
        ("nuswide10", "cvh", "i2t", 64, 0.456),
        ("mscoco", "ugach", "t2i", 16, 0.581),
        ("iaprtc12", "cmfh", "i2t", 128, 0.315),
    ],
)
def test_values_of_ucch(dataset: str, method: str, direction: str, bits: int, expected: float) -> None:
    assert value("ucch_readme.toml", method, direction, bits, dataset=dataset) == expected


@pytest.mark.parametrize(
    ("dataset", "method", "direction", "bits", "expected"),
    [
        ("mirflickr25k", "cca", "i2t", 64, 0.5641),
        ("mirflickr25k", "seph", "t2i", 16, 0.6480),
        ("iaprtc12", "scm", "i2t", 32, 0.3898),
        ("nuswide21", "cmfh", "t2i", 16, 0.3623),
        ("nuswide21", "dcmh", "t2i", 64, 0.6571),
    ],
)
def test_values_of_dcmh(dataset: str, method: str, direction: str, bits: int, expected: float) -> None:
    assert value("dcmh_cvpr2017.toml", method, direction, bits, dataset=dataset) == expected


def test_values_of_djsrh_are_map_at_50() -> None:
    assert value("djsrh_readme.toml", "djsrh", "i2t", 16, dataset="mirflickr25k") == 0.810
    assert value("djsrh_readme.toml", "djsrh", "t2i", 128, dataset="nuswide10") == 0.789
    assert {p.metric for p in load() if p.file == "djsrh_readme.toml"} == {"map@50:lemon"}


def test_values_of_oasis_are_of_fused_queries() -> None:
    setting = {"table": "Results, second setting", "dataset": "nuswide21"}
    assert value("oasis_readme.toml", "oasis", FUSED, 16, **setting) == 0.7931


def test_values_of_oscl_go_by_round_and_have_no_bits() -> None:
    assert value("oscl_readme.toml", "oscl", "t2i", 0, rounds="round 9") == 0.7404
    assert value("oscl_readme.toml", "oscl", "i2t", 0, rounds="round 1") == 0.6719


@pytest.mark.parametrize(
    ("table", "dataset", "method", "bits", "expected"),
    [
        ("Noise 0.2", "mscoco", "rshnl", 16, 0.555),
        ("Noise 0.5", "mirflickr25k", "mgsh", 128, 0.790),
        ("Noise 0.8", "nuswide", "rshnl", 64, 0.598),
        ("Without labels", "nuswide", "ucch", 32, 0.597),
    ],
)
def test_values_of_mgsh_are_means_of_both_directions(
    table: str, dataset: str, method: str, bits: int, expected: float
) -> None:
    assert value("mgsh_aaai2026.toml", method, MEAN, bits, table=table, dataset=dataset) == expected
