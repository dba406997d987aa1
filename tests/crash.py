"""Kills commands at random moments, lets each finish, and compares with a command that nobody disturbed.

``python -m tests.crash --kills 1000`` from the root of the checkout; ``--seed`` repeats a sequence and
``--only run,get`` chooses. All files a command left must be equal, but for times; so nothing may be left over
either. No process may outlive its command. Prints every difference; exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PLUGINS = [
    str(ROOT / "tests" / "plugins" / f"{name}.py") for name in ("slow", "halves", "shares", "tiny", "toy")
]
CELLS = ["--datasets", "tiny", "--bits", "8,16", "--seeds", "2", "--no-contract"]
STUDY = """datasets = ["tiny"]
methods = ["slow", "halves"]
bits = [8, 16]
seeds = 2
reports = ["map_table"]
"""
SERVED = '''"""A dataset whose file a local server has."""
import os
from pathlib import Path
from bench.api import Card, Dataset, DatasetSource, Expected

class Served(DatasetSource):
    """Downloaded, never loaded."""
    card = Card(
        name="served", title="Served", sources=("https://example.org",), licence="none", citation="us",
        files=(Expected(path="file.bin", url=os.environ.get("CRASH_URL", ""), sha256="SUM"),),
    )
    def load(self, root: Path) -> Dataset:
        raise NotImplementedError
'''
CONTENT = random.Random(0).randbytes(3_000_000)
SIGNALS = (*[signal.SIGKILL] * 6, signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGINT)
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
PATIENCE = 8.0  # seconds that processes have to end after their command
_TIMES = ("seconds", "fit_seconds", "environment", "changed")  # in JSON files; "changed" is when a file was
_NAMED = ("cache", "tmp")  # folders whose files are compared by name and number alone

Words = list[str]
WORK: dict[str, Words] = {
    "run": ["run", *CELLS, "--methods", "slow,halves", "--results", "runs"],
    "run with two jobs": ["run", *CELLS, "--methods", "slow,halves", "--results", "runs", "--jobs", "2"],
    "prepare": ["data", "prepare", "toy", "--views", "colour,bow:1,gist", "--data-root", "data"],
    "get": ["data", "get", "served", "--data-root", "data"],
    "report": [
        "report",
        "study.toml",
        "--results",
        "given",
        "--out",
        "out",
        "--html",
        "out/p.html",
        "--no-run",
    ],
    "rescore": ["rescore", "--metric", "map@10", "--results", "given"],
    "merge": ["merge", "given", "given2", "--into", "merged"],
    "tune": [
        *(
            "tune",
            "shares",
            "--datasets",
            "tiny",
            "--bits",
            "8",
            "--seeds",
            "1",
            "--val",
            "10",
            "--no-contract",
        ),
        *("--space", "weight=-1..1", "--trials", "3", "--results", "runs"),
    ],
}


class Server(SimpleHTTPRequestHandler):
    """Sends CONTENT slowly; understands ranges."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        with suppress(OSError):
            for at in range(begin, len(CONTENT), 100_000):
                self.wfile.write(CONTENT[at : at + 100_000])
                time.sleep(0.02)


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/file.bin"
        server.shutdown()


class Place:
    """A folder with all that commands read and write: results, data, cache and temporary files."""

    def __init__(self, folder: Path, url: str, given: Path | None) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        for name in ("tmp", "cache", "data"):
            (folder / name).mkdir(parents=True)
        (folder / "served.py").write_text(SERVED.replace("SUM", hashlib.sha256(CONTENT).hexdigest()))
        (folder / "study.toml").write_text(STUDY)
        if given is not None:
            shutil.copytree(given, folder, dirs_exist_ok=True)
        own = {"PYTHONPATH": str(ROOT), "CRASH_MARK": self.mark, "CRASH_URL": url, "OMP_NUM_THREADS": "1"}
        own |= {
            "BENCH_CACHE": str(folder / "cache"),
            "TMPDIR": str(folder / "tmp"),
            "HOME": str(folder / "tmp"),
        }
        self.env = {**os.environ, **own}

    def start(self, words: Words) -> subprocess.Popen[str]:
        plugins = ",".join([*PLUGINS, str(self.folder / "served.py")])
        takes_plugins = [] if words[0] == "merge" else ["--plugin", plugins]
        with (self.folder.parent / "errors").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "bench.cli", *words, *takes_plugins],
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    @property
    def errors(self) -> str:
        return (self.folder.parent / "errors").read_text(errors="replace")

    def orphans(self) -> list[str]:
        """The commands of processes of this place that do not end; they are killed."""
        left, deadline = self._running(), time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = self._running()
        names = []
        for process in left:
            with suppress(psutil.Error):
                names.append(" ".join(process.cmdline())[:90])
                process.kill()
        return names

    def _running(self) -> list[psutil.Process]:
        running = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("CRASH_MARK") == self.mark and process.status() != "zombie":
                    running.append(process)
        return running

    def files(self) -> dict[str, str]:
        """The name of every file and a digest of its content without times."""
        files = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if path.is_file() and name.name != "run.log" and "__pycache__" not in name.parts:
                files[str(name)] = "" if name.parts[0] in _NAMED else _digest(path)
        return files


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name not in _TIMES}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def handles_signals(pid: int) -> bool:
    """Whether our code handles the signals of a process: before, it is Python that starts."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def in_memory(pids: set[int], since: float) -> list[str]:
    """The files that processes with these numbers made in shared memory, and left there."""
    left = []
    for path in Path("/dev/shm").glob("*"):
        with suppress(OSError):  # it has been removed meanwhile
            numbers = {int(part) for part in re.split(r"[-_.]", path.name) if part.isdigit()}
            if numbers & pids and path.stat().st_mtime >= since:  # earlier processes had the same numbers
                left.append(path.name)
    return left


class Suite:
    """Kills and comparisons, counted; ``problems`` has a line for each difference."""

    def __init__(self, home: Path, url: str, seed: int) -> None:
        self.home, self.url, self.random = home, url, random.Random(seed)
        self.started = time.time()
        self.kills: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.problems: list[str] = []
        self.whole: dict[str, tuple[float, dict[str, str]]] = {}
        self.given: Path | None = None
        self.given = self._given()

    def _given(self) -> Path:
        """Two results folders that some of the commands read."""
        place = self._place()
        run = WORK["run"][:-1]
        for name, more in (("given", []), ("given2", ["--seeds", "3"])):
            process = place.start([*run, name, *more])
            if process.wait(timeout=120):
                raise SystemExit(f"cannot run at all: {place.errors}")
        given = self.home / "given"
        for name in ("given", "given2"):
            shutil.copytree(place.folder / name, given / name)
        return given

    def _place(self) -> Place:
        shutil.rmtree(self.home / "place", ignore_errors=True)
        return Place(self.home / "place", self.url, self.given)

    def undisturbed(self, name: str) -> tuple[float, dict[str, str]]:
        """Seconds that the command takes, and the files it leaves."""
        if name not in self.whole:
            place = self._place()
            started = time.monotonic()
            if place.start(WORK[name]).wait(timeout=120):
                raise SystemExit(f"{name} fails undisturbed: {place.errors}")
            self.whole[name] = time.monotonic() - started, place.files()
        return self.whole[name]

    def once(self, name: str, most: int) -> None:
        """Kill the command up to four times in one folder, let it finish, and compare."""
        took, files = self.undisturbed(name)
        place, pids, story = self._place(), set(), []
        for _ in range(self.random.randint(1, min(4, most))):
            number, wait = self.random.choice(SIGNALS), self.random.uniform(0.02, took)
            process = place.start(WORK[name])
            pids.add(process.pid)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=wait)
            if process.poll() is not None:
                continue
            began = handles_signals(process.pid)
            self.kills[number.name if began else f"{number.name} while Python starts"] += 1
            story.append(f"{number.name} after {wait:.2f} s")
            as_terminal = number == signal.SIGINT and self.random.random() < 0.5
            with suppress(ProcessLookupError):
                (os.killpg if as_terminal else os.kill)(process.pid, number)
            code = process.wait(timeout=60)
            if began and code not in (0, CODES[number]):
                self._problem(name, story, f"exit code {code}; {place.errors[-300:]}")
            if began and "Traceback" in place.errors:
                self._problem(name, story, place.errors[-1500:])
            if left := place.orphans():
                self._problem(name, story, f"processes live on: {left}")
        process = place.start(WORK[name])
        pids.add(process.pid)
        if process.wait(timeout=120):
            self._problem(name, story, f"does not finish: {place.errors[-500:]}")
        if left := place.orphans():
            self._problem(name, story, f"processes of the finishing command live on: {left}")
        if left := in_memory(pids, self.started):
            self._problem(name, story, f"left in shared memory: {left}")
        self.compared[name] += 1
        now = place.files()
        for file in sorted(files.keys() | now.keys()):
            if file not in now:
                self._problem(name, story, f"{file} is missing")
            elif file not in files:
                self._problem(name, story, f"{file} is left over")
            elif now[file] != files[file]:
                self._problem(name, story, f"{file} differs")

    def _problem(self, name: str, story: Sequence[str], text: str) -> None:
        self.problems.append(f"{name} ({', '.join(story)}): {text}")


def crash(kills: int, seed: int, only: Sequence[str] = (), say: Callable[[str], object] = str) -> Suite:
    """Run the suite until there were ``kills`` kills."""
    with tempfile.TemporaryDirectory(prefix="crash-") as home, served() as url:
        suite = Suite(Path(home), url, seed)
        names = [name for name in WORK if not only or name in only]
        while (done := suite.kills.total()) < kills:
            name = suite.random.choice(names)
            before = len(suite.problems)
            suite.once(name, kills - done)
            for problem in suite.problems[before:]:
                say(problem)
            say(f"{suite.kills.total()} of {kills} kills, {len(suite.problems)} problems")
    return suite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="random seed of moments and signals (default 0)")
    parser.add_argument("--only", default="", help=f"commands to kill (default: all): {', '.join(WORK)}")
    args = parser.parse_args()
    only = [name for name in args.only.split(",") if name]
    say = partial(print, flush=True)
    suite = crash(args.kills, args.seed, only, say)
    say(f"kills: {dict(suite.kills)}")
    say(f"interrupted folders compared: {dict(suite.compared)}")
    say(f"problems: {len(suite.problems)}")
    return 1 if suite.problems else 0


if __name__ == "__main__":
    sys.exit(main())
