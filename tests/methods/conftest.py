"""What tests of online methods share: small streams, the authors' golden codes, and the Wiki stream.

Golden codes and Wiki come from a `shared` folder beside the checkout (or BENCH_SHARED), which is not
ours to publish; where it is absent the tests that need it are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench import metrics
from bench.api import Batch, Chunk, Codes, Method

Array = np.ndarray[Any, Any]
SHARED = Path(os.environ.get("BENCH_SHARED", Path(__file__).resolve().parents[2] / ".." / "shared"))


class FixedDraws:
    """The fixed draws under which the golden codes were made, in place of a generator."""

    def standard_normal(self, shape: tuple[int, int]) -> Array:
        n, m = shape
        i = np.arange(1, n * m + 1)
        draws: Array = (2 * _fraction(43758.5453 * np.sin(12.9898 * i + 0.1 * n + 0.01 * m)) - 1) * 1.7
        return draws.reshape(m, n).T

    def random(self, shape: tuple[int, int]) -> Array:
        n, m = shape
        i = np.arange(1, n * m + 1)
        draws: Array = _fraction(43758.5453 * np.sin(78.233 * i + 0.1 * n + 0.01 * m))
        return draws.reshape(m, n).T

    def permutation(self, n: int) -> Array:
        return np.argsort(np.sin(3.7 * np.arange(1, n + 1)), kind="stable")


def _fraction(x: Array) -> Array:
    fraction: Array = x - np.floor(x)
    return fraction


@pytest.fixture
def golden() -> SimpleNamespace:
    """``codes``: what the authors' code gives; ``chunks(labels)``: its three chunks; ``queries``; ``rng``."""
    scipy_io = pytest.importorskip("scipy.io")
    path = SHARED / "data" / "golden" / "online_methods.mat"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    wiki = scipy_io.loadmat(SHARED / "data" / "wiki" / "wikiData.mat")
    classes = np.eye(10, dtype=np.uint8)[wiki["L_tr"].ravel().astype(int) - 1]

    def chunks(labels: Array = classes) -> list[Chunk]:
        return [
            Chunk(
                round=t,
                image=Batch(wiki["I_tr"][rows]),
                text=Batch(wiki["T_tr"][rows]),
                labels=labels[rows],
                ids=rows,
            )
            for t, rows in enumerate(np.arange(600).reshape(3, 200))
        ]

    return SimpleNamespace(
        codes=scipy_io.loadmat(path),
        chunks=chunks,
        queries={"image": Batch(wiki["I_te"]), "text": Batch(wiki["T_te"])},
        train={"image": wiki["I_tr"], "text": wiki["T_tr"]},
        rng=FixedDraws(),
    )


@pytest.fixture
def wiki_map() -> Callable[..., Mapping[str, float]]:
    """Mean mAP (I→T, T→I) on the Wiki stream over seeds, last round.

    ``wiki_map(make, database="learned", seeds=5)``: ``make(seed)`` gives a method. Shuffled training items,
    chunks of 400 (the remainder joins the last), raw features.
    """
    path = SHARED / "data" / "wiki" / "wiki.npz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    wiki = {k: v for k, v in np.load(path, allow_pickle=False).items()}
    x = {m: wiki[f"{m}_train"].astype(np.float32) for m in ("image", "text")}
    q = {m: wiki[f"{m}_test"].astype(np.float32) for m in ("image", "text")}
    labels = np.eye(10, dtype=np.uint8)[wiki["label_train"]]
    query_labels = np.eye(10, dtype=np.uint8)[wiki["label_test"]]

    def one(method: Method, seed: int, database: str) -> tuple[float, float]:
        order = np.random.default_rng(seed).permutation(len(labels))
        learned: dict[str, list[Codes]] = {"image": [], "text": []}
        for t, rows in enumerate(np.split(order, [400, 800, 1200, 1600])):
            chunk = Chunk(
                round=t,
                image=Batch(x["image"][rows]),
                text=Batch(x["text"][rows]),
                labels=labels[rows],
                ids=rows,
            )
            method.fit_chunk(chunk)
            if database == "learned":
                for m in ("image", "text"):
                    learned[m].append(method.encode_database(chunk, m))  # type: ignore[arg-type]
        stored = {}
        for m in ("image", "text"):
            if database == "learned":
                updated = method.update_database(m)  # type: ignore[arg-type]
                stored[m] = updated if updated is not None else np.concatenate(learned[m])
            else:
                stored[m] = method.encode(Batch(x[m][order]), m)  # type: ignore[arg-type]
        pairs = (("image", "text"), ("text", "image"))
        return tuple(  # type: ignore[return-value]
            metrics.evaluate(
                method.encode(Batch(q[a]), a),  # type: ignore[arg-type]
                stored[b],
                query_labels,
                labels[order],
                metrics=("map",),
            )["map"]
            for a, b in pairs
        )

    def mean(
        make: Callable[[int], Method], *, database: str = "learned", seeds: int = 5
    ) -> Mapping[str, float]:
        scores = np.array([one(make(seed), seed, database) for seed in range(seeds)])
        return {"i2t": float(scores[:, 0].mean()), "t2i": float(scores[:, 1].mean())}

    return mean
