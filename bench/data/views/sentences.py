"""Sentence embeddings by sentence-transformers, an extra: `pip install 'hashbench[sentence]'`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.contract.items import Features
from bench.data.views import weights
from bench.data.views.extractor import Extractor, Setting
from bench.data.views.names import View
from bench.errors import DataError

MODEL = "all-MiniLM-L6-v2"


def extractor(view: View, setting: Setting) -> Extractor:
    """A model by its hub name, or the folder of a local one."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise DataError(
            f"view {view}: needs sentence-transformers. Run: pip install 'hashbench[sentence]'"
        ) from error
    name = view.arguments[0] if view.arguments else MODEL
    folder = setting.path(name)
    try:
        model = SentenceTransformer(str(folder) if folder.is_dir() else name, device=setting.device)
    except Exception as error:  # what the hub and the network raise has no common type
        raise DataError(
            f"view {view}: cannot be loaded ({type(error).__name__}: {' '.join(str(error).split())[:200]}). "
            "Connect once, or give the folder of a local model: sentence:FOLDER."
        ) from error
    about = {"model": name, "weights": weights.digest(model), "rows": "norm 1"}
    return Extractor(str, _Sentences(model), about)


class _Sentences:
    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, texts: Sequence[str]) -> Features:
        found = self.model.encode(
            list(texts), batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)
