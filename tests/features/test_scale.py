"""NUS-WIDE at full size: 190,000 items of 512 and 1000 columns, from prepared views."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.data.views import files

N, QUERIES, WIDTHS = 190_000, 2000, {"image": 512, "text": 1000}
PLUGIN = '''
"""Stands for NUS-WIDE."""
from bench.api import Card, param
from bench.api import RawSource

class Big(RawSource):
    """Has been prepared."""
    clip: str | None = param(None, "none")
    card = Card(name="big", title="Big", sources=(), licence="none", citation="nobody")
    def raw(self, root):
        raise AssertionError("a run must not parse")
'''
LOAD = """
import json, time
from pathlib import Path
from bench.plugins import registry
from bench.study.planner import Planner
registry.add_file(Path("big.py"))
started = time.perf_counter()
data = Planner().data("big", {}, Path("data")).dataset
first = data.train.take(slice(0, 10_000))  # a chunk, as a run takes it
sums = [float(first.image.features.sum()), float(first.text.features.sum())]
seconds = time.perf_counter() - started
# not ru_maxrss, which a program inherits from the one that started it
peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([len(data.train), len(data.query), seconds, peak, sums]))
"""


def write_view(folder: Path, width: int) -> None:
    """A view of ``N`` rows, as large as a real one: a block of random rows again and again."""
    folder.mkdir(parents=True)
    block = np.random.default_rng(0).random((10_000, width), dtype=np.float32)
    with (folder / "features.npy").open("wb") as file:
        described = {"descr": "<f4", "fortran_order": False, "shape": (N, width)}
        np.lib.format.write_array_header_1_0(file, described)
        for _ in range(N // len(block)):
            file.write(block.data)
    files.write_manifest(folder, {"content": folder.name})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_nuswide_at_full_size_loads_in_10_s_and_500_mb(
    tmp_path: Path, python: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "big.py").write_text(PLUGIN)
    known = (
        "from pathlib import Path; from bench.plugins import fingerprint, registry; "
        "registry.add_file(Path('big.py'))"
    )
    code = python(f"{known}; print(fingerprint.of_dataset('big'))").strip()
    views = tmp_path / "data" / "big" / "views"
    write_view(views / "image" / "vgg16" / "rows", WIDTHS["image"])
    write_view(views / "text" / "bow" / "rows", WIDTHS["text"])
    labels = (np.random.default_rng(0).random((N, 21)) < 0.1).astype(np.uint8)
    items = files.Items(
        ids=np.arange(N),
        labels=labels,
        train=N - QUERIES,
        classes=tuple(map(str, range(21))),
        notes=(),
        rows=dict.fromkeys(("image", "text", "words"), "rows"),
        files={},
        code=code,
    )
    files.write_items(views / "items" / "all", items)
    train, query, seconds, megabytes, sums = json.loads(python(LOAD))
    assert (train, query) == (N - QUERIES, QUERIES)
    assert min(sums) > 0
    assert seconds < 10
    assert megabytes < 500
