"""The views of the default dataset, which come with the code: read, or refused if they are damaged.

They spare the first run painting and open_clip, and are the same bits on every machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from bench.api import MODALITIES, Batch, Modality

VIEWS = Path(__file__).with_name("views.npz")  # float32, neither rounded nor projected
ORIGIN = Path(__file__).with_name("views.json")
_log = logging.getLogger(__name__)


def read() -> dict[Modality, Batch] | None:
    """The features and the view ``clip`` of all items, training items first; None if the file is damaged."""
    expected = json.loads(ORIGIN.read_text(encoding="utf-8"))["sha256"]
    if not VIEWS.is_file() or digest() != expected:
        _log.warning("%s: missing or damaged; the views are extracted from the pictures", VIEWS)
        return None
    with np.load(VIEWS) as arrays:
        return {m: Batch(arrays[m], {"clip": arrays[f"{m}.clip"]}) for m in MODALITIES}


def digest() -> str:
    """The SHA-256 of the file."""
    return hashlib.sha256(VIEWS.read_bytes()).hexdigest()
