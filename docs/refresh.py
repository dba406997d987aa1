"""Renew what README.md and docs/ show: `python docs/refresh.py`; `--check` only compares.

A comment `<!-- $ bench … -->` or `<!-- $ python SCRIPT -->` stands before the output of that command: a
fenced block, a Markdown table, or an SVG that the command writes with `--out`. Text is compared as it is, a
figure by the digest of its numbers, since every version of matplotlib draws a little differently. Commands
run in the root of the checkout.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cli import main

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(
    r"<!-- \$ (?P<command>[^\n]+) -->\n"
    r"(?P<block>```text\n.*?\n```|!\[[^\]]*\]\([^)]*\)|\|[^\n]*(?:\n\|[^\n]*)*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Shown:
    """One output in a page: the words of its command, and the block below the comment."""

    page: Path
    words: list[str]
    block: str

    def __str__(self) -> str:
        return f"{self.page.name}: {shlex.join(self.words)}"

    def differences(self, *, renew: bool = False) -> list[str]:
        """How the page differs from the command's output; ``renew`` also updates the page or the figure."""
        if self.block.startswith("!"):
            return self._figure(renew=renew)
        printed = _run(self.words).rstrip()
        current = f"```text\n{printed}\n```" if self.block.startswith("```") else printed
        if renew:
            text = self.page.read_text(encoding="utf-8")
            self.page.write_text(text.replace(self.block, current), encoding="utf-8")
        lines = self.block.splitlines(), current.splitlines()
        return list(difflib.unified_diff(*lines, "shown", "now", lineterm=""))

    def _figure(self, *, renew: bool) -> list[str]:
        at = self.words.index("--out") + 1
        target = ROOT / self.words[at]
        with tempfile.TemporaryDirectory() as scratch:
            drawn = Path(scratch) / target.name
            _run([*self.words[:at], str(drawn), *self.words[at + 1 :]])
            if target.is_file() and _digest(target) == _digest(drawn):
                return []
            if renew:
                target.write_bytes(drawn.read_bytes())
        return [f"{self.words[at]} shows other numbers than `{shlex.join(self.words)}`"]


def shown() -> Iterator[Shown]:
    """Every output that README.md and docs/*.md show."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for match in MARKER.finditer(page.read_text(encoding="utf-8")):
            yield Shown(page, shlex.split(match["command"]), match["block"])


def _digest(svg: Path) -> str:
    digest = re.search("numbers [0-9a-f]{16}", svg.read_text(encoding="utf-8"))
    return digest[0] if digest else ""


def _run(words: list[str]) -> str:
    """Run `bench …` or `python SCRIPT` in the root of the checkout and return its output."""
    printed = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(printed):
        if words[0] == "python":
            runpy.run_path(words[1], run_name="__main__")
        elif code := main(words[1:]):
            raise SystemExit(f"{shlex.join(words)} ended with exit code {code}")
    return printed.getvalue()


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    outdated = [(output, lines) for output in shown() if (lines := output.differences(renew=not check))]
    for output, lines in outdated:
        sys.stdout.write("\n".join([str(output), *lines]) + "\n")
    sys.stdout.write(f"{len(outdated)} outputs {'are out of date' if check else 'renewed'}\n")
    sys.exit(1 if outdated and check else 0)
