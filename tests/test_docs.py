"""Every command, file and link that the documentation names exists. No command is executed."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from bench.cli import main
from bench.plugins import registry
from bench.records import ORDERS, RoundRecord, RunRecord, RunSpec

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bench", "datasets", "docs", "examples", "methods", "reports", "results", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
IMAGINED = re.compile(r"(?:.*/)?(?:(?:test_)?mine|x)\.py|results/runs.*")  # files of the reader, not of ours
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """Code spans, lines of fenced shell blocks without continuations, and the commands that made a table."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    blocks = [block for language, block in FENCE.findall(text) if language in ("", "console", "sh")]
    lines = [line for block in blocks for line in block.splitlines()]
    return [*lines, *re.findall(r"`([^`]+)`", FENCE.sub("", text)), *re.findall(r"<!-- \$ (.+) -->", text)]


def exists(module: str, name: str) -> bool:
    home = importlib.import_module(module)
    return hasattr(home, name) or importlib.util.find_spec(f"{module}.{name}") is not None


def commands(page: Path) -> list[str]:
    """The `bench …` commands of a page but for those that only name a group, such as `bench COMMAND`."""
    found = (part.strip() for line in code(page) for part in line.split("&&"))
    return sorted({" ".join(part.split()) for part in found if re.match(r"bench(?! [A-Z]) ", part)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_commands_exist_with_their_options(self, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for command in commands(page):
            words = ["1" if word == "N" else word for word in shlex.split(command, comments=True)]
            with pytest.raises(SystemExit) as ended:
                main([*words[1:], "--help"])
            printed = capsys.readouterr()
            assert ended.value.code == 0, f"{command}: {printed.err}"
            known = set(re.findall(r"(?<![\w-])--[\w-]+", printed.out))
            assert {word for word in words if word.startswith("--")} <= known, command

    def test_files_exist(self, page: Path) -> None:
        text, homes = "\n".join(code(page)), (ROOT, page.parent)
        named = set(re.findall(rf"(?<![\w/.~-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w", text))
        assert not [
            n for n in named if not IMAGINED.fullmatch(n) and not any((h / n).exists() for h in homes)
        ]

    def test_modules_exist(self, page: Path) -> None:
        named = set(re.findall(r"(?<![\w/.-])\w+\.py\b", "\n".join(code(page))))
        known = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
        assert not [name for name in named - known if not IMAGINED.fullmatch(name)]

    def test_python_compiles_and_imports_names_that_exist(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        examples = [block for language, block in FENCE.findall(text) if language == "python"]
        for node in (node for example in examples for node in ast.walk(ast.parse(example))):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "bench":
                for alias in node.names:
                    assert exists(str(node.module), alias.name), f"{node.module} has no {alias.name}"

    def test_links_lead_somewhere(self, page: Path) -> None:
        targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        assert not [target for target in targets if not (page.parent / target).exists()]


def test_the_help_of_a_run_names_every_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    printed = capsys.readouterr().out
    assert all(f"{order}:" in printed for order in ORDERS)


def test_the_method_of_the_tutorial_passes_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_extra", {})
    text = (ROOT / "docs" / "tutorials" / "my_method.md").read_text(encoding="utf-8")
    [example] = [block for language, block in FENCE.findall(text) if language == "python"]
    (tmp_path / "mine.py").write_text(example, encoding="utf-8")
    assert main(["check", "mine", "--plugin", str(tmp_path / "mine.py")]) == 0, capsys.readouterr().out


def test_readme_says_how_many_methods_there_are() -> None:
    said = re.search(r"It runs (\d+) methods", (ROOT / "README.md").read_text(encoding="utf-8"))
    paths = [registry.path_of("method", name) for name in registry.names("method")]
    # other tests of the process may have added methods of their own
    ours = [path for path in paths if path is not None and path.parent.name == "methods"]
    assert said is not None and int(said[1]) == len(ours)


def test_the_menu_of_the_site_names_every_page_of_docs() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = (page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))
    assert [page for page in pages if f": {page}\n" not in menu] == []


@pytest.mark.parametrize("part", [RunSpec, RunRecord, RoundRecord])
def test_the_page_of_results_names_every_field_that_is_stored(part: type) -> None:
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    unstored = {"part", "method_shown", "dataset_shown"}
    names = {field.name for field in fields(part)} - unstored
    assert sorted(name for name in names if f"`{name}`" not in page) == []
