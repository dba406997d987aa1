"""Renews what README.md and docs/ show of stored results: `python docs/refresh.py`; `--check` only compares.

A comment `<!-- $ bench … -->` stands before a fenced block that holds what the command prints, or before
an SVG that the command writes with `--out`. A table is compared by its text, a figure by the digest of its
numbers, since every version of matplotlib draws a little differently. Commands run in the checkout's root.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.cli import main

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.compile(
    r"<!-- \$ bench (?P<command>.+?) -->\n(?P<block>```text\n.*?\n```|!\[[^\]]*\]\([^)]*\))", re.DOTALL
)


@dataclass(frozen=True)
class Shown:
    """One output in a page: the words of its command, and the block below the comment."""

    words: list[str]
    block: str

    def differences(self, *, renew: bool) -> tuple[str, list[str]]:
        """The block as it should be, and what differs; a figure is drawn anew where ``renew`` is set."""
        if self.block.startswith("```"):
            block = f"```text\n{_run(self.words).rstrip()}\n```"
            lines = difflib.unified_diff(
                self.block.splitlines(), block.splitlines(), "shown", "now", lineterm=""
            )
            return block, list(lines)
        return self.block, self._figure(renew=renew)

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
        return [f"{self.words[at]} shows other numbers than `bench {shlex.join(self.words)}`"]


def refresh(*, renew: bool) -> list[str]:
    """What is out of date in README.md and docs/*.md, renewed where ``renew`` is set."""
    outdated = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for match in SHOWN.finditer(text):
            shown = Shown(shlex.split(match["command"]), match["block"])
            block, differences = shown.differences(renew=renew)
            outdated += [f"{page.name}: {line}" for line in differences]
            text = text.replace(shown.block, block)
        if renew:
            page.write_text(text, encoding="utf-8")
    return outdated


def _digest(svg: Path) -> str:
    found = re.search("numbers [0-9a-f]{16}", svg.read_text(encoding="utf-8"))
    return found[0] if found else ""


def _run(words: list[str]) -> str:
    """Run a command in the root of the checkout; what it prints."""
    printed = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(printed):
        code = main(words)
    if code:
        raise SystemExit(f"bench {shlex.join(words)} ended with exit code {code}")
    return printed.getvalue()


if __name__ == "__main__":
    found = refresh(renew="--check" not in sys.argv[1:])
    sys.stdout.write("\n".join(found) + "\n" if found else "all that is shown is up to date\n")
    sys.exit(1 if found and "--check" in sys.argv[1:] else 0)
