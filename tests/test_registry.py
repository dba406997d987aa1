"""Names lead to plugins: from folders, entry points and single files; a broken one hides no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import bench
from bench import metrics
from bench.api import Batch, Chunk, Codes, Method, Modality, sign
from bench.errors import ContractError, UnknownNameError
from bench.plugins import registry

METHOD = '''"""Halves: a method in one file."""

from bench.api import Method, sign


class Halves(Method):
    """Split the features in halves."""

    def fit_chunk(self, chunk):
        self.n_ = len(chunk)

    def encode(self, batch, modality):
        return sign(batch.features[:, : self.bits])
'''

METRIC = '''"""First: whether the first item is relevant."""

from bench.metrics import metric


@metric(takes="nothing")
def first(ranking, at):
    """Probability that the first item is relevant."""
    return ranking.hits(1)
'''

ENCODER = '''"""Lengths: how long a text is."""

import numpy as np

from bench.api import Encoder, Extractor


class Lengths(Encoder):
    """Characters of a text."""

    modalities = ("text",)

    def load(self, modality, raw, setting):
        return Extractor(len, lambda found: np.array(found, np.float32)[:, None], {"version": 1})
'''

Write = Callable[[str, str], Path]


class Installed(Method):
    """A method that an entry point leads to."""

    def fit_chunk(self, chunk: Chunk) -> None:
        self.n_ = len(chunk)

    def encode(self, batch: Batch, modality: Modality) -> Codes:
        return sign(batch.features[:, : self.bits])


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, plugin_file: Write) -> Callable[..., None]:
    """Pretends that a distribution with this entry point is installed, by default one of bench.methods."""
    points: list[EntryPoint] = []

    def add(name: str, value: str, group: str = "bench.methods") -> None:
        points.append(EntryPoint(name, value, group))

    monkeypatch.setattr(registry, "entry_points", lambda *, group: [p for p in points if p.group == group])
    return add


def broken(name: str, kind: str = "method") -> list[str]:
    return [entry.broken for entry in registry.listings(kind) if entry.name == name]


@pytest.mark.parametrize("kind", list(registry.KINDS))
def test_every_file_of_a_plugin_folder_is_listed_and_sound(kind: str) -> None:
    folders = [Path(p) / registry.KINDS[kind] for p in bench.__path__]
    files = {
        p.stem for f in folders for p in f.glob("*") if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert {name for name in files if not name.startswith("_")} <= set(registry.names(kind))
    assert [(e.name, e.broken) for e in registry.listings(kind) if e.broken] == []


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in registry.KINDS for n in registry.names(k)])
def test_every_built_in_plugin_can_be_imported(kind: str, name: str) -> None:
    assert registry.get(kind, name)


def test_listing_imports_no_plugin(plugin_file: Write) -> None:
    registry.add_file(plugin_file("bomb", f'{METHOD}\nraise RuntimeError("imported")\n'))
    assert "bomb" in registry.names("method")
    assert broken("bomb") == [""]


def test_the_summary_is_the_first_line_of_the_docstring(plugin_file: Write) -> None:
    registry.add_file(plugin_file("halves", METHOD))
    found = next(e for e in registry.listings("method") if e.name == "halves")
    assert found.summary == "Halves: a method in one file."


def test_a_file_gives_its_method_under_its_own_name(plugin_file: Write) -> None:
    assert registry.add_file(plugin_file("halves", METHOD)) == "halves"
    assert registry.get("method", "halves").__name__ == "Halves"
    assert registry.path_of("method", "halves") == registry.added_files()[0]


def test_one_file_may_hold_a_method_and_a_dataset(plugin_file: Write) -> None:
    text = METHOD.replace("Method, sign", "DatasetSource, Method, sign")
    text += "\n\nclass Data(DatasetSource):\n    def load(self, root):\n        return None\n"
    registry.add_file(plugin_file("both", text))
    assert registry.get("method", "both").__name__ == "Halves"
    assert registry.get("dataset", "both").__name__ == "Data"


def test_a_file_with_a_decorated_function_is_a_metric(plugin_file: Write) -> None:
    registry.add_file(plugin_file("first", METRIC))
    [metric] = registry.get("metric", "first")
    assert metric.description == "probability that the first item is relevant"
    assert "first" not in registry.names("method")


def test_a_file_with_an_encoder_is_one(plugin_file: Write) -> None:
    registry.add_file(plugin_file("lengths", ENCODER))
    assert registry.get("encoder", "lengths").__name__ == "Lengths"
    assert "lengths" not in registry.names("method")


def test_a_network_that_derives_from_an_encoder_of_torch_is_no_encoder(plugin_file: Write) -> None:
    text = f"{METHOD}\n\nclass Layers(nn.TransformerEncoder):\n    pass\n"
    registry.add_file(plugin_file("halves", text))
    assert "halves" not in registry.names("encoder")


def test_two_metrics_of_a_file_need_two_variants(plugin_file: Write) -> None:
    again = METRIC.partition("@metric")[2].replace("first", "second")
    registry.add_file(plugin_file("first", f"{METRIC}\n\n@metric{again}"))
    with pytest.raises(ContractError, match="declares two metrics with variant=''"):
        registry.get("metric", "first")


def test_a_second_name_for_a_metric_does_no_harm(plugin_file: Write) -> None:
    registry.add_file(plugin_file("first", f"{METRIC}\n\nanother = first\n"))
    assert len(registry.get("metric", "first")) == 1


def test_a_metric_imported_from_elsewhere_is_not_the_plugin(plugin_file: Write) -> None:
    registry.add_file(plugin_file("first", f"from bench.metrics.map import hits\n{METRIC}"))
    assert [metric.variant for metric in registry.get("metric", "first")] == [""]


@pytest.mark.parametrize(("kind", "name"), [("metric", "map"), ("encoder", "bow"), ("report", "map_table")])
def test_a_file_cannot_take_a_built_in_name_of_any_kind(plugin_file: Write, kind: str, name: str) -> None:
    texts = {"metric": METRIC, "encoder": ENCODER, "report": "def render(results):\n    return 1\n"}
    with pytest.raises(ContractError, match=f"the name '{name}' belongs to a built-in {kind}"):
        registry.add_file(plugin_file(name, texts[kind]))


def test_a_file_with_render_is_a_report(plugin_file: Write) -> None:
    registry.add_file(plugin_file("lines", "def render(records):\n    return 'text'\n"))
    assert registry.get("report", "lines")([]) == "text"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_at_all\n", "needs the module 'no_such_module_at_all'"),
        ("x = 1\n", "defines no Method"),
        ("x = '\0'\n", "null bytes"),
    ],
)
def test_a_broken_file_is_listed_with_its_reason_among_the_others(
    plugin_file: Write, text: str, reason: str
) -> None:
    registry.add_file(plugin_file("bad", text))
    registry.add_file(plugin_file("halves", METHOD))
    assert reason in broken("bad")[0]
    assert broken("halves") == [""]


@pytest.mark.parametrize("raised", ["raise KeyError('a\\nb')", "import sys; sys.exit('no')", "1 / 0"])
def test_whatever_an_import_raises_is_one_line_that_names_the_file(plugin_file: Write, raised: str) -> None:
    path = plugin_file("bad", f"{METHOD}\n{raised}\n")
    registry.add_file(path)
    with pytest.raises(ContractError, match=r"method 'bad' cannot be imported: \w+: ") as caught:
        registry.get("method", "bad")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "bench_plugin_bad" not in sys.modules


def test_a_class_without_encode_is_named_with_what_it_lacks(plugin_file: Write) -> None:
    text = METHOD.partition("    def encode")[0]
    registry.add_file(plugin_file("half", text))
    with pytest.raises(ContractError, match=r"found none\. Halves lacks encode"):
        registry.get("method", "half")


def test_two_classes_in_a_file_are_one_too_many(plugin_file: Write) -> None:
    registry.add_file(plugin_file("two", f"{METHOD}\n\nclass More(Halves):\n    pass\n"))
    with pytest.raises(ContractError, match="exactly one Method; found Halves, More"):
        registry.get("method", "two")


def test_a_second_name_for_the_class_does_no_harm(plugin_file: Write) -> None:
    registry.add_file(plugin_file("alias", f"{METHOD}\n\nAnother = Halves\n"))
    assert registry.get("method", "alias").__name__ == "Halves"


def test_a_helper_imported_from_elsewhere_is_not_the_plugin(plugin_file: Write) -> None:
    text = METHOD + "\nfrom bench.methods.random_projection import RandomProjection as Other\n"
    registry.add_file(plugin_file("halves", text))
    assert registry.get("method", "halves").__name__ == "Halves"


def test_an_edited_file_is_imported_again(plugin_file: Write) -> None:
    """Also where its size and the second of its date are the same."""
    name = registry.add_file(plugin_file("halves", f"{METHOD}\nVALUE = 1\n"))
    before = registry.get("method", name)
    assert registry.get("method", name) is before
    plugin_file("halves", f"{METHOD}\nVALUE = 2\n")
    after = registry.get("method", name)
    assert after is not before
    assert sys.modules[after.__module__].VALUE == 2


def test_an_edited_metric_is_looked_up_again(plugin_file: Write) -> None:
    name = registry.add_file(plugin_file("first", METRIC))
    assert metrics.parse_metric(name).description.startswith("probability")
    plugin_file("first", METRIC.replace("Probability", "Chance"))
    assert metrics.parse_metric(name).description.startswith("chance")


def test_a_file_that_is_gone_is_one_line_that_names_it(plugin_file: Write) -> None:
    path = plugin_file("halves", METHOD)
    registry.add_file(path)
    path.unlink()
    for look_up in (lambda: registry.get("method", "halves"), lambda: registry.version("halves")):
        with pytest.raises(ContractError, match=f"plugin {path}: it cannot be read: No such file"):
            look_up()


def test_two_files_of_one_name_are_refused(plugin_file: Write, tmp_path: Path) -> None:
    first = plugin_file("halves", METHOD)
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "halves.py"
    second.write_text(METHOD)
    registry.add_file(first)
    registry.add_file(first)  # the same one again is no clash
    with pytest.raises(ContractError, match="has the same name"):
        registry.add_file(second)


def test_a_file_cannot_take_the_name_of_a_built_in_method(plugin_file: Write) -> None:
    with pytest.raises(ContractError, match="the name 'random_projection' belongs to a built-in method"):
        registry.add_file(plugin_file("random_projection", METHOD))


@pytest.mark.parametrize("name", ["absent.py", "my-method.py", "notes.txt"])
def test_what_cannot_be_a_plugin_is_refused(tmp_path: Path, plugin_file: Write, name: str) -> None:
    if name != "absent.py":
        (tmp_path / name).write_text(METHOD)
    with pytest.raises(ContractError, match=name):
        registry.add_file(tmp_path / name)


def test_an_entry_point_leads_to_its_class(entry: Callable[..., None]) -> None:
    entry("installed", f"{__name__}:Installed")
    assert registry.get("method", "installed").__name__ == "Installed"


@pytest.mark.parametrize(
    ("kind", "text", "attribute"),
    [
        ("metric", METRIC, ":first"),
        ("metric", METRIC, ""),
        ("encoder", ENCODER, ""),
        ("encoder", ENCODER, ":Lengths"),
    ],
)
def test_an_entry_point_leads_to_a_metric_or_an_encoder(
    entry: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    text: str,
    attribute: str,
) -> None:
    module = f"their_{kind}{len(attribute)}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    entry("theirs", f"{module}{attribute}", f"bench.{registry.KINDS[kind]}")
    assert registry.get(kind, "theirs")
    assert broken("theirs", kind) == [""]


def test_an_entry_point_of_a_taken_name_is_broken_and_hides_nothing(
    entry: Callable[..., None],
) -> None:
    entry("random_projection", f"{__name__}:Installed")
    assert registry.get("method", "random_projection").__name__ == "RandomProjection"
    assert broken("random_projection") == ["", "that name belongs to a built-in method"]
    assert registry.names("method").count("random_projection") == 1


@pytest.mark.parametrize("value", ["no_such_distribution.module:Thing", "", ":Thing", "no_such_distribution"])
def test_an_entry_point_to_nowhere_is_broken_and_hides_nothing(
    entry: Callable[..., None], value: str
) -> None:
    entry("nowhere", value)
    assert "is not installed" in broken("nowhere")[0]
    assert broken("random_projection") == [""]
    with pytest.raises(ContractError, match="nowhere"):
        registry.get("method", "nowhere")


def test_an_entry_point_to_a_missing_class_is_broken(
    entry: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_distribution.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    entry("lost", "some_distribution:Absent")
    assert broken("lost") == ["has no Absent"]
    with pytest.raises(ContractError, match="has no Absent"):
        registry.get("method", "lost")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'random_projection'"):
        registry.get("method", "random_projektion")


def test_a_folder_plugin_with_a_broken_part_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "methods" / "deep"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from .student import Student\n")
    (folder / "student.py").write_text("class Student(:\n")
    monkeypatch.setattr(bench, "__path__", [*bench.__path__, str(tmp_path)])
    assert "SyntaxError" in broken("deep")[0]
