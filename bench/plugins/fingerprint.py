"""Short hashes of source code and of arrays, so that a stored result knows what it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import bench
from bench.plugins import meanings, registry

# The harness files that decide codes and scores: a change to one of them makes every cell stale.
_HARNESS = (
    "contract/items.py",
    "contract/pictures.py",
    "contract/method.py",
    "contract/metric.py",
    "contract/times.py",
    "protocol/stream.py",
    "protocol/shown.py",
    "protocol/classes.py",
    "protocol/index.py",
    "protocol/modal.py",
    "protocol/noise.py",
    "protocol/rehash.py",
    "protocol/runbook.py",
    "protocol/timed.py",
    "protocol/seeds.py",
    "protocol/outputs.py",
    "running/evaluation.py",
    "running/runner.py",
    "running/session.py",
    "running/streaming.py",
    "scoring/hamming.py",
    "scoring/_kernels.py",
    "scoring/_sums.py",
    "scoring/asymmetric.py",
    "scoring/cosine.py",
    "scoring/ties.py",
    "metrics/__init__.py",
    "metrics/_counted.py",
    "metrics/map.py",
    "metrics/chance.py",
    "metrics/precision.py",
    "metrics/ndcg.py",
)


def of_method(name: str) -> str:
    """Fingerprint of a method's source, the helpers it imports, and the harness's protocol."""
    version = registry.version(name)
    _first_seen(name, version)
    return _of_method(name, version)


def edited(name: str) -> bool:
    """Whether a file of the method has changed since this process first took its fingerprint."""
    first = _first_seen(name, registry.version(name))
    return first != {path: _stamp(path) for path in first}


@cache
def _first_seen(name: str, version: str) -> dict[Path, tuple[int, int]]:
    return {path: _stamp(path) for path in sources("method", name)}


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat() if path.exists() else None
    return (0, 0) if status is None else (status.st_mtime_ns, status.st_size)


@cache
def _of_method(name: str, version: str) -> str:  # the version is a part of the cache's key
    harness = [Path(bench.__path__[0]) / file for file in _HARNESS]
    return _of_files([*harness, *sources("method", name)])


def of_contract(name: str) -> str:
    """Fingerprint of a method and of the checks of the contract: what a verdict on the method holds for."""
    return hashlib.sha256(f"{of_method(name)} {_of_checks()}".encode()).hexdigest()[:16]


@cache
def _of_checks() -> str:
    return _of_files(sorted((Path(bench.__path__[0]) / "checks").glob("*.py")))


def of_dataset(name: str) -> str:
    """Fingerprint of a dataset plugin's source and the helpers it imports."""
    return _of_dataset(name, registry.version(name))


@cache
def _of_dataset(name: str, version: str) -> str:
    return _of_files(sources("dataset", name))


def _of_files(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode())
        digest.update(meanings.of(path.read_text(encoding="utf-8")).digest.encode())
    return digest.hexdigest()[:16]


def sources(kind: str, name: str) -> list[Path]:
    """The files of a plugin and, transitively, what they import from the plugin folders."""
    start = registry.path_of(kind, name)
    found: dict[Path, None] = {}
    waiting = [start] if start is not None else []
    while waiting:
        path = waiting.pop()
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file not in found:
                found[file] = None
                waiting.extend(_imported(file))
    return sorted(found, key=lambda p: (p.name, str(p)))


def _imported(file: Path) -> Iterator[Path]:
    for module in meanings.of(file.read_text(encoding="utf-8")).modules:
        path = registry.locate(module)
        if path is not None:
            yield path
