"""Announces the plugin files that a study names, and asks before code from elsewhere runs."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.errors import ContractError


def announce(path: Path, *, yes: bool) -> None:
    """Print name and path of a plugin file; raise ContractError unless the user lets it in.

    A file below the current folder, or ``yes``, needs no answer.
    """
    print(f"bench: the study loads plugin {path.stem!r} from {path}, which is Python code", file=sys.stderr)
    if yes or path.is_relative_to(Path.cwd().resolve()):
        return
    if not _at_terminal():
        raise ContractError(
            f"plugin {path} lies outside the current folder, and the study names it. Read it, then give "
            "--yes."
        )
    print(
        "It lies outside the current folder. Run it with your rights? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ContractError(
            f"plugin {path} was not let in, and the study needs it. Take it out of the study."
        )


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
