"""A small store with everything a page may hold, its page, and a browser that reports what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import page, registry
from bench.records import RunRecord
from bench.results import Results
from bench.store import Store

HERE = Path(__file__).parent
HOSTILE = "<img src=x onerror='window.pwned=1'>"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    """Two datasets, two protocols, failures, and a method whose name is an attack."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setattr(registry, "_extra", {})
        plugins = [*(HERE / "plugins").glob("*.py"), *(HERE.parent / "plugins").glob("*.py")]
        common = {
            "plugin": [str(p) for p in sorted(plugins)],
            "results": str(folder / "runs"),
            "bits": "8,16",
        }
        bench.run(
            methods="halves,random_projection,breaks,float_features",
            datasets="tiny,pictures",
            seeds=2,
            evaluate="all",
            **common,
        )
        bench.run(methods="halves", datasets="tiny", seeds=1, database="frozen", **common)
        store = Store(folder / "runs")
        records = [*store.records(), *map(attack, store.records()[:1])]
        stale = {records[0].spec.key: f"the code has changed {HOSTILE}"}
        yield Results(records, stale=stale, arrays=store.arrays)


def attack(record: RunRecord) -> RunRecord:
    """The same failed cell under a name that no plugin could have."""
    assert record.status == "failed"
    spec = replace(record.spec, method=HOSTILE)
    return replace(record, spec=spec, reason=f"</script><script>window.pwned=1</script> {HOSTILE}")


@pytest.fixture(scope="session")
def page_file(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("html") / "out.html"
    figures = results.figure("bits").save(out.parent / "figures", "bits", ("pdf",))
    page.write(results, out, data_root=out.parent, figures=figures)
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
        tab.set_default_timeout(10_000)
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
