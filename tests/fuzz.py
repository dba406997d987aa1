"""Malformed files for every reader: `python -m tests.fuzz --inputs 500` tries that many of each kind.

A :class:`Kind` says how a good file is made and what reads it. Each input is that file with seeded damage.
Reading it must end within seconds, in an exit code of 0, 1 or 2 and without a traceback; where it is refused,
its name is said.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 30  # for one input; the first of a kind may load torch
PLUGINS = Path(__file__).with_name("plugins")
CELL = {"methods": "random_projection", "datasets": "synthetic[n=60,queries=10]", "bits": [8], "seeds": 1}

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3, 10**30, -(10**18), 2**63, 0.5, 1e308, float("inf"), float("nan")),
    *(
        "",
        "x",
        "\0",
        "\ud800",
        "../../x",
        "/etc/passwd",
        "\x1b[31m",
        "\u202e",
        "é" * 500,
        "1",
        "=1+1",
        "[[",
        "a=,",
    ),
    *([], {}, [[]], [None], {"": 0}, [1, "a"], {"a": {"b": [1]}}, list(range(300))),
)


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    ``make`` writes a good one somewhere below a new folder and returns its path; ``read`` reads it as the
    harness does and returns an exit code. ``emit`` turns a value back into its text, where it has values.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path, Path], int]  # the folder, the file
    parse: Callable[[bytes], Any] | None = None
    emit: Callable[[Any], str | bytes] | None = None


@dataclass(frozen=True)
class Outcome:
    """What one input caused; ``problem`` is empty where all is as it should be."""

    kind: str
    number: int
    damage: str
    code: int | None
    problem: str


def outcomes(kind: Kind, inputs: int, seed: int = 0) -> Iterator[Outcome]:
    """Damage a good file of this kind ``inputs`` times, and read it every time."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch, _own_cache(Path(scratch)):
        template = Path(scratch) / "template"
        template.mkdir()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            made = kind.make(template).relative_to(template)
        for number in range(inputs):
            rng = random.Random(f"{seed} {kind.name} {number}")
            folder = Path(scratch) / str(number)
            _copy(template, folder)
            damage = _damage(folder / made, kind, rng)
            yield _outcome(kind, number, damage, folder, folder / made)
            shutil.rmtree(folder, ignore_errors=True)


def _outcome(kind: Kind, number: int, damage: str, folder: Path, file: Path) -> Outcome:
    said, code, problem = io.StringIO(), None, ""
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _alarm():
            code = kind.read(folder, file)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except TimeoutError:
        problem = f"hangs for {SECONDS} s"
    except Exception:  # noqa: BLE001  # that is what is looked for
        problem = traceback.format_exc()
    finally:
        logging.getLogger().removeHandler(handler)
    output = said.getvalue()
    if not problem and "Traceback" in output:
        problem = output
    if not problem and code not in (0, 1, 2):
        problem = f"exit code {code}"
    if not problem and code == 2 and file.name not in output and file.parent.name not in output:
        problem = f"refused without its name: {output[-300:]}"
    return Outcome(kind.name, number, damage, code, problem)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _own_cache(scratch: Path) -> Iterator[None]:
    changed = {
        "BENCH_CACHE": str(scratch / "cache"),
        "BENCH_FSYNC": "0",
        "BENCH_RESULTS": str(scratch / "none"),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _copy(template: Path, folder: Path) -> None:
    """A copy with the times of the original, which manifests know."""
    shutil.copytree(template, folder, symlinks=True)


# Damage


def _damage(path: Path, kind: Kind, rng: random.Random) -> str:
    """Replace a file by a damaged one; returns a description."""
    ways: list[Callable[[Path, Kind, random.Random], str]] = [_another_kind, _bytes, _bytes]
    if kind.parse is not None:
        ways += [_values] * 5
    return rng.choice(ways)(path, kind, rng)


def _another_kind(path: Path, kind: Kind, rng: random.Random) -> str:
    path.unlink()
    chosen = rng.choice(["missing", "folder", "pipe", "loop", "zero", "null", "dangling"])
    if chosen == "folder":
        path.mkdir()
    elif chosen == "pipe":
        os.mkfifo(path)
    elif chosen != "missing":
        targets = {"loop": path, "zero": Path("/dev/zero"), "null": Path("/dev/null")}
        path.symlink_to(targets.get(str(chosen), path.with_name("gone")))
    return chosen


def _bytes(path: Path, kind: Kind, rng: random.Random) -> str:
    content = path.read_bytes()
    at = rng.randrange(len(content) + 1)
    length = rng.choice([1, 4, 64, 4096])
    chosen = rng.choice(
        ["cut", "empty", "zeros", "noise", "insert", "twice", "deep", "digits", "bom", "utf-16", "huge"]
    )
    path.write_bytes(
        {
            "cut": content[:at],
            "empty": b"",
            "zeros": content[:at] + bytes(len(content[at : at + length])) + content[at + length :],
            "noise": content[:at] + rng.randbytes(len(content[at : at + length])) + content[at + length :],
            "insert": content[:at] + rng.randbytes(length) + content[at:],
            "twice": content + content,
            "deep": content[:at] + b"[" * 50_000 + content[at:],
            "digits": content[:at] + b"9" * 5000 + content[at:],
            "bom": b"\xef\xbb\xbf" + content,
            "utf-16": content.decode("latin-1").encode("utf-16"),
            "huge": content,
        }[chosen]
    )
    if chosen == "huge":
        os.truncate(path, 1 << 38)
    return f"{chosen} at {at}"


def _values(path: Path, kind: Kind, rng: random.Random) -> str:
    assert kind.parse is not None and kind.emit is not None
    value = kind.parse(path.read_bytes())
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        holders = [value, *_containers(value)]
        holder = rng.choice([h for h in holders if h] or [value])
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        odd = json.loads(json.dumps(rng.choice(ODD)))
        if not keys:
            continue
        key = rng.choice(keys)
        way = rng.choice(["replace", "replace", "replace", "remove", "add", "nest"])
        if way == "replace":
            holder[key] = odd
        elif way == "remove":
            del holder[key]
        elif way == "nest":
            for _ in range(rng.choice([1, 100])):
                holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            holder[rng.choice(["", "x", "name", "\x1b", "a.b"])] = odd
        else:
            holder.append(odd)
        done.append(f"{way} {key}: {odd!r:.60}")
    made = kind.emit(value)
    path.write_bytes(made if isinstance(made, bytes) else made.encode(errors="surrogatepass"))
    return "; ".join(done)


def _containers(value: Any) -> Iterator[Any]:
    inside = value.values() if isinstance(value, dict) else value
    for one in inside:
        if isinstance(one, (dict, list)):
            yield one
            yield from _containers(one)


# Kinds


def cli(*words: object) -> int:
    from bench.cli import main

    return main([str(word) for word in words])


def to_toml(value: Any) -> str:
    """TOML of a table: inline tables inside."""

    def text(one: Any) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {text(v)}" for k, v in one.items()) + "}"
        if isinstance(one, list):
            return "[" + ", ".join(map(text, one)) + "]"
        if isinstance(one, float):
            return str(one)
        return "null" if one is None else json.dumps(one)

    return "\n".join(f"{json.dumps(name)} = {text(one)}" for name, one in value.items())


def from_toml(content: bytes) -> Any:
    import tomllib

    return tomllib.loads(content.decode())


def _study(values: dict[str, Any]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "study.toml").write_text(to_toml(values), encoding="utf-8")
        return folder / "study.toml"

    return make


FULL = {
    **CELL,
    "schedule": ["shuffled:20"],
    "last": "merge",
    "database": ["reindexed"],
    "pool": ["first_chunk"],
    "labelled": [1.0, 0.5],
    "paired": [1.0],
    "train": ["0.5"],
    "val": 5,
    "evaluate": "last",
    "directions": ["i2t"],
    "device": "cpu",
    "data_root": "d",
    "results": "r",
    "jobs": 1,
    "threads": 1,
    "backend": "loky",
    "scheduler": "",
}
SECTIONS = {
    "title": "All",
    "reports": ["map_table"],
    **CELL,
    "section": [
        {
            "title": "a",
            "reports": [{"name": "map_table", "metric": "map@50"}],
            "methods": ["lcdh[alpha=0.5]"],
        },
        {"title": "b", "methods": ["lcdh"], "ablate": True},
        {"title": "c", "methods": ["lcdh"], "grid": {"alpha": [0.5, 1.0]}},
    ],
}


def _trace(folder: Path) -> Path:
    from bench.storing.traces import Trace

    Trace(kind="sweep", total=3).write(folder)
    Trace(kind="cells", cells={"k": "text"}, name="-k").write(folder)
    return min(folder.glob(".*.trace"))


def _read_trace(folder: Path, file: Path) -> int:
    from bench.page.live import Watch
    from bench.storing.traces import Sweep

    json.dumps(Watch(folder).status(), allow_nan=False)
    with Sweep(folder, total=1, jobs=1):
        return 0


def _run(folder: Path, file: Path, values: dict[str, Any] = CELL, *more: object) -> int:
    """A run of the one cell, which ends well whatever the damage is."""
    words = [f"--{name}={','.join(map(str, v)) if isinstance(v, list) else v}" for name, v in values.items()]
    code = cli("run", *words, "--results", folder / "runs", "--data-root", folder, *more)
    if code not in (0, 143):
        raise AssertionError(f"a damaged {file.name} is repaired; the run ended with {code}")
    return code


def _cached(name: str) -> Kind:
    def make(folder: Path) -> Path:
        os.environ["BENCH_CACHE"] = str(folder / "cache")
        _run(folder, folder)
        shutil.rmtree(folder / "runs")
        return next((folder / "cache" / "datasets").glob(f"*/{name}"))

    def read(folder: Path, file: Path) -> int:
        os.environ["BENCH_CACHE"] = str(folder / "cache")
        return _run(folder, file)

    parse = json.loads if name.endswith(".json") else None
    return Kind(f"cached {name}", make, read, parse, json.dumps if parse else None)


def _checkpoint(folder: Path) -> Path:
    from bench.storing import checkpoint

    checkpoint.EVERY, checkpoint._SHARE = 0.0, 0
    os.environ |= {"STOPS_AT": "2", "HARNESS": str(os.getpid())}
    try:
        assert _resume(folder, folder) == 143
    finally:
        del os.environ["STOPS_AT"], os.environ["HARNESS"]
    return next((folder / "runs").glob("*.partial"))


def _resume(folder: Path, file: Path) -> int:
    values = {**CELL, "methods": "stops", "schedule": "shuffled:10", "database": "frozen", "evaluate": "all"}
    code = _run(folder, file, values, "--plugin", PLUGINS / "stops.py", "--no-contract")
    assert code or not list(folder.glob("runs/*.partial")), "it is removed with the stored cell"
    return code


def _from_state(content: bytes) -> Any:
    import numpy as np

    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    return {"tree": json.loads(str(arrays.pop("tree"))), "arrays": arrays}


def _to_state(value: Any) -> bytes:
    import numpy as np

    file, tree = io.BytesIO(), json.dumps(value.get("tree"))
    arrays = value.get("arrays")
    plain = arrays if isinstance(arrays, dict) else {}
    np.savez(file, tree=np.array(tree), **{str(k): _as_array(v) for k, v in plain.items() if k != "tree"})
    return file.getvalue()


def _as_array(value: Any) -> Any:
    import numpy as np

    try:
        return np.asarray(value)
    except ValueError:  # lists of different lengths
        return np.zeros((2, 3))


def _view(name: str) -> Kind:
    def make(folder: Path) -> Path:
        code = cli("data", "prepare", "toy", "--plugin", PLUGINS / "toy.py", "--data-root", folder)
        assert code == 0
        return next((folder / "toy" / "views").glob(f"*/**/{name}"))

    def read(folder: Path, file: Path) -> int:
        common = ("--plugin", PLUGINS / "toy.py", "--data-root", folder)
        code = cli(
            "plan", "--methods=random_projection", "--datasets=toy", "--results", folder / "r", *common
        )
        repaired = cli("data", "prepare", "toy", *common)
        assert repaired == 0 or name == "manifest.json", "a manifest may be of another version"
        return code

    parse = json.loads if name.endswith(".json") else None
    return Kind(f"view {name}", make, read, parse, json.dumps if parse else None)


def _kept(folder: Path) -> Path:
    from bench.contract.shared import Shared

    Shared(folder).kept("teacher", lambda: {"w": [1, 2.5, "x"], "t": (1, None)})
    return folder / "teacher.npz"


def _read_kept(folder: Path, file: Path) -> int:
    from bench.contract.shared import Shared

    Shared(folder).kept("teacher", lambda: {"w": 1})
    return 0


def _mark(folder: Path) -> Path:
    (folder / ".a.zip.unpacked").write_text("[3, 4]")
    return folder / ".a.zip.unpacked"


def _read_mark(folder: Path, file: Path) -> int:
    from bench.contract.card import Expected
    from bench.data.download import is_unpacked

    is_unpacked(Expected(path="a.zip", unpack="."), folder)
    return 0


def _published(folder: Path) -> Path:
    from bench.reports._published import home

    shutil.copy(home() / "ucch_readme.toml", folder / "one.toml")
    shutil.copy(home() / "ucch_readme.toml", folder / "two.toml")
    return folder / "one.toml"


def _read_published(folder: Path, file: Path) -> int:
    from bench.reports._published import load

    assert load(folder), "the other file is read"
    return 0


def _archive(folder: Path) -> Path:
    _run(folder, folder)
    assert cli("publish", folder / "runs", "--to", folder / "study.zip") == 0
    return folder / "study.zip"


KINDS = (
    Kind("study", _study(FULL), lambda folder, file: cli("plan", file), from_toml, to_toml),
    Kind("study with sections", _study(SECTIONS), lambda folder, file: cli("plan", file), from_toml, to_toml),
    Kind(
        "study of a report",
        _study(SECTIONS),
        lambda f, x: cli("report", x, "--no-run", "--out", f / "o"),
        from_toml,
        to_toml,
    ),
    Kind("trace", _trace, _read_trace, json.loads, json.dumps),
    _cached("manifest.json"),
    _cached("train.image.npy"),
    _cached("query.labels.npy"),
    _view("manifest.json"),
    _view("features.npy"),
    _view("ids.npy"),
    Kind("checkpoint", _checkpoint, _resume, _from_state, _to_state),
    Kind("kept teacher", _kept, _read_kept, _from_state, _to_state),
    Kind("mark of an unpacked archive", _mark, _read_mark, json.loads, json.dumps),
    Kind("published numbers", _published, _read_published, from_toml, to_toml),
    Kind("published archive", _archive, lambda folder, file: cli("verify", file)),
)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500, help="of each kind (default: 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", default="", help="only kinds whose name has this text")
    args = parser.parse_args()
    bad = 0
    for kind in KINDS:
        if args.kind not in kind.name:
            continue
        codes: Counter[int | None] = Counter()
        started = time.monotonic()
        for outcome in outcomes(kind, args.inputs, args.seed):
            codes[outcome.code] += 1
            if outcome.problem:
                bad += 1
                _say(f"{kind.name} {outcome.number} ({outcome.damage}): {outcome.problem}")
        shown = ", ".join(f"{count} × exit {code}" for code, count in sorted(codes.items(), key=str))
        _say(f"{kind.name:28} {args.inputs} inputs: {shown}; {time.monotonic() - started:.0f} s")
    _say(f"{bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
