"""Places on this machine, as opposed to those of an object store such as ``s3://bucket/runs``.

The trap: ``Path`` takes an address for a folder named ``s3:`` and drops one of its slashes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.errors import ParameterError

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)  # but not C:/


def local(given: str | os.PathLike[str], what: str) -> Path:
    """``given`` as a path; raises ParameterError if it is an address such as ``s3://bucket/runs``.

    ``what`` names it in the message.
    """
    address = _ADDRESS.fullmatch(os.fspath(given))
    if address:
        shown = f"{address['scheme']}://{address['rest']}"
        raise ParameterError(
            f"{what} {shown}: is an address; expected a path on this machine. Mount the store, or copy its "
            "files (docs/scaling.md)."
        )
    return Path(given)


def cache() -> Path:
    """The root of all caches: ``BENCH_CACHE``, or ``hashbench`` in the user's cache folder."""
    given = (
        os.environ.get("BENCH_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "hashbench"
    )
    return local(given, "cache (BENCH_CACHE)").expanduser()
