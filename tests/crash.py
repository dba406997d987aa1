"""Kills commands at random moments, lets each finish, and compares with a command that nobody disturbed.

``python -m tests.crash --kills 1000`` from the root of the checkout. ``--jobs`` commands run at once; with
``--jobs 1``, ``--seed`` repeats a sequence; ``--only run,get`` chooses. All files a command left must be
equal, but for times; so nothing may be left over either. No process may outlive its command. Prints every
difference; exit code 1 if there is one.
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
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
PATIENCE = 8.0  # seconds that processes have to end after their command, or as long as it takes undisturbed
LIMIT = 600.0  # seconds after which a command hangs
LATEST = 1.1  # of the time that a command takes, the moment of its kill
_TIMES = ("seconds", "fit_seconds", "environment", "changed")  # in JSON files; "changed" is when a file was
_NAMED = ("cache", "tmp")  # folders whose files are compared by name and number alone

Words = list[str]
RUN = ["run", *CELLS, "--methods", "slow,halves"]
WORK: dict[str, Words] = {
    "run": [*RUN, "--jobs", "1", "--results", "runs"],
    "run with two jobs": [*RUN, "--jobs", "2", "--results", "runs"],
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
        own |= {"PYTHONPYCACHEPREFIX": str(folder.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
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

    def orphans(self, patience: float) -> list[str]:
        """The commands of processes of this place that do not end in so many seconds; they are killed."""
        left, deadline = self._running(), time.monotonic() + patience
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


@dataclass(frozen=True)
class Story:
    """What happened to one command in one folder."""

    name: str
    place: Place
    patience: float
    kills: list[str] = field(default_factory=list)  # the kind of each
    moments: list[str] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        process = self.place.start(WORK[self.name])
        self.pids.add(process.pid)
        return process

    def problem(self, text: str) -> None:
        self.problems.append(f"{self.name} ({', '.join(self.moments)}): {text}")

    def kill(self, process: subprocess.Popen[str], number: signal.Signals, *, as_terminal: bool) -> None:
        """Send a signal to a command, or to all its processes, and look at what is left of it."""
        began = handles_signals(process.pid)
        self.kills.append(number.name if began else f"{number.name} while Python starts")
        with suppress(ProcessLookupError):
            (os.killpg if as_terminal else os.kill)(process.pid, number)
        code = self.code(process)
        if began and code not in (0, CODES[number]):
            self.problem(f"exit code {code}; {self.place.errors[-300:]}")
        if began and "Traceback" in self.place.errors:
            self.problem(self.place.errors[-1500:])
        if left := self.place.orphans(self.patience):
            self.problem(f"processes live on: {left}")

    def code(self, process: subprocess.Popen[str]) -> int | str:
        """The exit code of a command; "it hangs" where it must be killed."""
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "it hangs"

    def finish(self, files: dict[str, str], since: float) -> None:
        """Let the command finish, and compare what it leaves with ``files``."""
        code = self.code(self.start())
        if code:
            self.problem(f"does not finish ({code}): {self.place.errors[-500:]}")
        if left := self.place.orphans(self.patience):
            self.problem(f"processes of the finishing command live on: {left}")
        if left := in_memory(self.pids, since):
            self.problem(f"left in shared memory: {left}")
        now = self.place.files()
        for file in sorted(files.keys() | now.keys()):
            if file not in now:
                self.problem(f"{file} is missing")
            elif file not in files:
                self.problem(f"{file} is left over")
            elif now[file] != files[file]:
                self.problem(f"{file} differs")


class Suite:
    """Kills commands, one after another, below ``home``."""

    def __init__(self, home: Path, url: str, seed: int) -> None:
        self.home, self.url, self.random = home, url, random.Random(seed)
        self.started = time.time()
        self.whole: dict[str, tuple[float, dict[str, str]]] = {}
        self.given: Path | None = None
        self.given = self._given()

    def _given(self) -> Path:
        """Two results folders that some of the commands read."""
        place = self._place()
        for name, more in (("given", []), ("given2", ["--seeds", "3"])):
            if place.start([*RUN, "--results", name, *more]).wait(LIMIT):
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
            if place.start(WORK[name]).wait(LIMIT):
                raise SystemExit(f"{name} fails undisturbed: {place.errors}")
            self.whole[name] = time.monotonic() - started, place.files()
        return self.whole[name]

    def once(self, names: Sequence[str], most: int) -> Story:
        """Kill one of the commands up to four times in one folder, let it finish, and compare."""
        name = self.random.choice(names)
        took, files = self.undisturbed(name)
        story = Story(name, self._place(), max(PATIENCE, took))
        for _ in range(self.random.randint(1, max(1, min(4, most)))):
            took = self.whole[name][0]
            number, moment = self.random.choice(SIGNALS), self.random.uniform(0.02, LATEST * took)
            process, started = story.start(), time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            if process.poll() is None:
                story.moments.append(f"{number.name} after {moment:.2f} s")
                as_terminal = number == signal.SIGINT and self.random.random() < 0.5
                story.kill(process, number, as_terminal=as_terminal)
            elif not story.kills:  # undisturbed: so long it takes now
                self.whole[name] = time.monotonic() - started, files
        if story.kills:
            story.finish(files, self.started)
        return story


@dataclass
class Total:
    """Kills and comparisons, counted; ``problems`` has a line for each difference."""

    kills: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, story: Story) -> None:
        self.kills.update(story.kills)
        self.compared[story.name] += bool(story.kills)
        self.problems += story.problems


def crash(
    kills: int,
    seed: int,
    only: Sequence[str] = (),
    say: Callable[[str], object] = str,
    jobs: int = 1,
) -> Total:
    """Run the suite, ``jobs`` commands at once, until there were ``kills`` kills."""
    names, total = [name for name in WORK if not only or name in only], Total()

    def further(suite: Suite) -> tuple[Suite, Story]:
        return suite, suite.once(names, kills - total.kills.total())

    with (
        tempfile.TemporaryDirectory(prefix="crash-") as home,
        served() as url,
        ThreadPoolExecutor(jobs) as pool,
    ):
        suites = pool.map(lambda job: Suite(Path(home, str(job)), url, seed + job), range(jobs))
        running = {pool.submit(further, suite) for suite in list(suites)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for suite, story in (one.result() for one in ended):
                total.add(story)
                for problem in story.problems:
                    say(problem)
                say(f"{total.kills.total()} of {kills} kills, {len(total.problems)} problems")
                if total.kills.total() < kills:
                    running.add(pool.submit(further, suite))
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="random seed of moments and signals (default 0)")
    parser.add_argument("--only", default="", help=f"commands to kill (default: all): {', '.join(WORK)}")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="commands at once (default %(default)s)"
    )
    args = parser.parse_args()
    only = [name for name in args.only.split(",") if name]
    say = partial(print, flush=True)
    total = crash(args.kills, args.seed, only, say, args.jobs)
    say(f"kills: {dict(total.kills)}")
    say(f"interrupted folders compared: {dict(total.compared)}")
    say(f"problems: {len(total.problems)}")
    return 1 if total.problems else 0


if __name__ == "__main__":
    sys.exit(main())
