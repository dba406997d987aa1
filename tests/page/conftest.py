"""A small store with everything a page may hold, its page, and a browser that reports what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import page
from bench.plugins import registry
from bench.records import RunRecord
from bench.results import Results
from bench.storing.store import Store

HERE = Path(__file__).parent
HOSTILE = "<img src=x onerror='window.pwned=1'>"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def plugged(folder: Path) -> Iterator[list[str]]:
    """The plugins of the tests, and a cache of their own, for as long as the block runs."""
    found = [*(HERE / "plugins").glob("*.py"), *(HERE.parent / "plugins").glob("*.py")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setattr(registry, "_extra", {})
        for path in found:
            registry.add_file(path)
        yield [str(path) for path in found]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def results(home: Path) -> Results:
    """Two datasets, two protocols, failures, and a method whose name is an attack."""
    with plugged(home) as plugins:
        common: dict[str, Any] = {
            "plugin": plugins,
            "results": str(home / "runs"),
            "bits": "8,16",
            "train": "all",
        }
        methods = "halves,random_projection,breaks,float_features"
        bench.run(methods=methods, datasets="tiny,pictures", seeds=3, evaluate="all", **common)
        bench.run(methods="halves", datasets="tiny", seeds=1, database="frozen", **common)
    store = Store(home / "runs")
    records = [*store.records(), *map(attack, store.records()[:1])]
    stale = {records[0].spec.key: f"the code has changed {HOSTILE}"}
    return Results(records, stale=stale, arrays=store.arrays)


def attack(record: RunRecord) -> RunRecord:
    """The same failed cell under a name that no plugin could have."""
    assert record.status == "failed"
    spec = replace(record.spec, method=HOSTILE)
    return replace(record, spec=spec, reason=f"</script><script>window.pwned=1</script> {HOSTILE}")


@pytest.fixture(scope="session")
def page_file(results: Results, home: Path) -> Path:
    out = home / "out.html"
    figures = results.figure("bits").save(home / "figures", "bits", ("pdf",))
    with plugged(home):
        page.write(results, out, data_root=home, figures=figures)
    return out


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium; without one the test is skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address; fails the test for any console error and any request that leaves the file."""
    contexts, errors, requests = [], [], []

    def open_(address: str, *, allowed: tuple[str, ...] = ("file:", "data:", "blob:"), **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
        contexts.append(browser.new_context(**options))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("request", lambda r: None if r.url.startswith(allowed) else requests.append(r.url))
        tab.goto(address)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
    assert requests == []


@pytest.fixture
def tab(visit: Callable[..., Any], page_file: Path) -> Any:
    """The page, opened and drawn."""
    opened = visit(page_file.as_uri())
    opened.wait_for_selector("#main:not([hidden])")
    return opened


@pytest.fixture
def plugins(home: Path) -> Iterator[None]:
    """The datasets behind ``results``, for a test that reads items."""
    with plugged(home):
        yield
