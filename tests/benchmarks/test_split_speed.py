"""What it costs to score trained and unseen items apart, beside one evaluation of the same database."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import threads
from bench.progress import Task
from bench.running.hosts import InProcess, Isolation
from bench.running.session import How, Session
from bench.running.streaming import Stream
from bench.storing.checkpoint import Checkpoints
from bench.study.planner import Planner
from bench.study.study import Study

WIDE = """
import numpy as np
from bench.api import Batch, Dataset, DatasetSource, Split


class Wide(DatasetSource):
    \"\"\"Random features and labels of the size of MIRFlickr-25K.\"\"\"

    def load(self, root):
        rng = np.random.default_rng(0)
        image, text = (Batch(rng.standard_normal((20000, width), dtype=np.float32)) for width in (512, 1386))
        labels = (rng.random((20000, 24)) < 0.12).astype(np.uint8)
        labels[:, 0] |= ~labels.any(axis=1)
        all_ = Split(image=image, text=text, labels=labels, ids=np.arange(20000))
        return Dataset(name="wide", train=all_.take(slice(18000)), query=all_.take(slice(18000, None)))
"""


def evaluation(tmp_path: Path, train: str) -> Callable[[], float]:
    """One evaluation of a cell whose database holds all items: encoding, search and scores."""
    plugin = tmp_path / "wide.py"
    plugin.write_text(WIDE)
    options = {"methods": "random_projection", "datasets": "wide", "bits": 32, "seeds": 1, "train": train}
    study = Study.make(None, **options, results=str(tmp_path), plugin=str(plugin))
    [cell] = Planner().cells(study)
    how = How(1, Isolation(in_process=True), {}, keep_models=False, early=None)
    stream = Stream(cell, InProcess(cell.method))
    session = Session(cell, 0, stream, how, Task("", 1), Checkpoints([], {}))
    session.begin()
    rows = cell.plan.seen(len(cell.plan.rounds) - 1)
    session.round = len(cell.plan.rounds) - 1
    session.take(session.stream.chunk(cell.plan.shown(rows), 0), cell.plan.parts(rows), ())

    def once() -> float:
        started = time.process_time()
        session.evaluate(session.method)
        return time.process_time() - started

    return once


def test_scoring_both_parts_costs_at_most_a_tenth_more_than_one_evaluation(
    benchmark: Any, tmp_path: Path
) -> None:
    with threads.limit(1):
        whole, split = (evaluation(tmp_path, train) for train in ("all", "0.5"))
        pairs = [(split(), whole()) for _ in range(15)]
    ratio = min(cost for cost, _ in pairs) / min(cost for _, cost in pairs)  # CPU seconds, least disturbed
    benchmark.extra_info["split / whole"] = ratio
    benchmark.pedantic(split, rounds=1)
    assert ratio <= 1.1
