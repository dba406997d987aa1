"""Hooks of mkdocs.yml: pages from the entire repository, the leaderboard, and a check of every link.

Pages keep the paths that they have in the repository, so one relative link is right in both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Link

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("docs", "methods", "datasets", "reports", "results", "examples")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")  # a target inside the repository
_log = logging.getLogger("mkdocs.hooks")


def on_files(files: Files, config: Any) -> Files:
    """Put the pages of the repository in place of those of docs/, and add the files that they link to."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    pages = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
    linked = {target for page in pages for target in _targets(page) if target.is_file()}
    for path in sorted({*pages, *linked}):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def _targets(page: Path) -> Iterator[Path]:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        yield (page.parent / target).resolve()


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A link to a folder leads to its README, or is plain text where it has none."""
    home = (ROOT / page.file.src_uri).parent

    def replaced(match: re.Match[str]) -> str:
        text, target = match.groups()
        if not (home / target).is_dir():
            return match[0]
        return f"[{text}]({target}/README.md)" if (home / target / "README.md").is_file() else text

    return re.sub(r"\[([^\]]*)\]\((?![a-z]+:)([^)#\s]+)\)", replaced, markdown)


def on_nav(nav: Any, **_: Any) -> Any:
    nav.items.append(Link("Leaderboard", "leaderboard/index.html"))
    return nav


def on_post_build(config: Any) -> None:
    """Write the leaderboard of the reference runs, then check every link of the site."""
    from bench.leaderboard import write

    site = Path(config.site_dir)
    write([ROOT / "results" / "reference"], site / "leaderboard")
    for page in sorted(site.rglob("*.html")):
        links = _Links()
        links.feed(page.read_text(encoding="utf-8"))
        for target in sorted(links.found):
            if not (page.parent / target).exists() and page.name != "404.html":
                _log.warning("%s links to %s, which does not exist", page.relative_to(site), target)


class _Links(HTMLParser):
    """The files that a page links to or loads, relative to its own place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                parts = urlsplit(value)
                if parts.path and not parts.scheme and not parts.netloc:
                    self.found.add(unquote(parts.path))
