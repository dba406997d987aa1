"""The commands of `bench`, each with one line of help and an example, and their list by purpose."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

GROUPS = {
    "run": ("run", "plan", "ablate", "sweep", "tune"),
    "look": ("table", "report", "serve", "list", "info"),
    "use": ("models", "encode", "index", "choose", "cost"),
    "folders": ("status", "rescore", "compare", "verify", "publish", "leaderboard", "merge", "export"),
    "data": ("data", "doctor"),
    "plugins": ("check", "new"),
}


class Commands:
    """Adds commands to the parser of `bench`; :meth:`overview` lists them for `bench --help`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(
            prog=parser.prog, required=True, metavar="COMMAND", help=argparse.SUPPRESS
        )
        self._help: dict[str, str] = {}

    def add_parser(
        self,
        name: str,
        *,
        help: str,
        epilog: str,
        description: str = "",
        parents: Sequence[argparse.ArgumentParser] = (),
    ) -> argparse.ArgumentParser:
        """A new command; ``epilog`` shows an example of it, ``description`` says more than ``help``."""
        self._help[name] = help
        text = description or f"{help[0].upper()}{help[1:]}."
        parser: argparse.ArgumentParser = self._parsers.add_parser(
            name, parents=list(parents), description=text, epilog=epilog
        )
        return parser

    def overview(self) -> str:
        """Every command with its line of help, by purpose."""
        width = max(map(len, self._help))
        groups = (
            "\n".join([f"{title}:", *(f"  {name:{width}}  {self._help[name]}" for name in names)])
            for title, names in GROUPS.items()
        )
        return "\n\n".join(groups)
