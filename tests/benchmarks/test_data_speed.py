"""What data cost beside their draws, pictures and files, at the size of NUS-WIDE too."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES
from bench.data.describe import describe
from bench.data.views import files
from bench.datasets.scenes import Scenes
from bench.datasets.synthetic import Synthetic

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
import numpy as np
from bench.plugins import registry
from bench.study.planner import Planner
registry.add_file(Path("big.py"))
def peak():
    # not ru_maxrss, which a program inherits from the one that started it
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
def chunk():
    data = Planner().data("big", {}, Path("data")).dataset
    first = data.train.take(slice(0, 10_000))  # as a run takes it
    return len(data.train), len(data.query), *(float(b.features.sum()) for b in (first.image, first.text))
def files():
    return [float(np.load(path).sum()) for path in Path("data").rglob("features.npy")]
before, started = peak(), time.perf_counter()
found = chunk()
ours, opened = peak() - before, time.perf_counter()
files()
print(json.dumps([found, ours, opened - started, time.perf_counter() - opened]))
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
    shape = {"rows": N, "columns": width, "dtype": "float32"}
    files.write_manifest(folder, {"about": {}, **shape, "content": folder.name, "sample": {}})


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_chunk_of_nuswide_at_full_size_costs_less_than_reading_its_files(
    benchmark: Any, tmp_path: Path, python: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened and taken for the first time: 10,000 items, in less time than all files and half their size."""
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
    (train, query, *sums), megabytes, seconds, reading = json.loads(
        benchmark.pedantic(python, (LOAD,), rounds=1)
    )
    benchmark.extra_info.update({"MB": megabytes, "seconds": seconds, "seconds of reading all": reading})
    assert (train, query) == (N - QUERIES, QUERIES)
    assert min(sums) > 0
    assert seconds < reading
    assert megabytes < N * sum(WIDTHS.values()) * 4 / 2**20 / 2


def test_ten_times_the_pairs_cost_at_most_thirty_times_a_description(race: Any, timed: Any) -> None:
    many, few = (Synthetic(n=n, queries=n // 38).load(Path()) for n in (N, N // 10))
    ratios = race(lambda: describe(many), {"a tenth": timed(lambda: describe(few))}, rounds=3)
    assert ratios["a tenth"] >= 1 / 30


def test_synthetic_costs_at_most_thirty_times_as_many_normal_draws(race: Any, timed: Any) -> None:
    data = Synthetic().load(Path())
    numbers = sum(
        x.size
        for batch in (split.batch(m) for split in (data.train, data.query) for m in MODALITIES)
        for x in (batch.features, *batch.views.values())
    )
    draws = timed(lambda: np.random.default_rng(0).standard_normal(numbers))
    assert race(lambda: Synthetic().load(Path()), {"draws": draws})["draws"] >= 1 / 30


def test_painting_a_scene_costs_at_most_five_times_its_encoding_as_png(race: Any, timed: Any) -> None:
    raw = Scenes(n=200, queries=10).raw(Path())
    pictures = [raw.image(row) for row in range(200)]
    encoding = timed(lambda: [picture.save(io.BytesIO(), "PNG") for picture in pictures])
    painting = lambda: [raw.image(row) for row in range(200)]  # noqa: E731
    assert race(painting, {"encoding": encoding})["encoding"] >= 1 / 5
