"""Sentence embeddings by sentence-transformers, by name (needs hashbench[sentence])."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.api import DataError, Encoder, Extractor, Features, Modality, Raw, Setting, not_installed, param
from bench.encoders import _weights


class Sentence(Encoder):
    """Unit vectors of texts; the extra is installed by `pip install 'hashbench[sentence]'`."""

    modalities = ("text",)
    model: str = param("all-MiniLM-L6-v2", "name on the hub, or the folder of a local model")

    def load(self, modality: Modality, raw: Raw, setting: Setting) -> Extractor:
        setting.check_device()
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise DataError(not_installed("view sentence", "sentence-transformers", "sentence")) from error
        folder = setting.path(self.model)
        name = str(folder) if folder.is_dir() else self.model
        try:
            model = SentenceTransformer(name, device=setting.device)
        except Exception as error:  # what the hub and the network raise has no common type
            raise DataError(
                f"view sentence:{self.model}: cannot be loaded ({type(error).__name__}: "
                f"{' '.join(str(error).split())[:200]}). Connect once, or give the folder of a local model: "
                "sentence:FOLDER."
            ) from error
        about = {"model": self.model, "weights": _weights.digest(model), "rows": "norm 1"}
        return Extractor(str, _Sentences(model), about)


class _Sentences:
    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, texts: Sequence[str]) -> Features:
        found = self.model.encode(
            list(texts), batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)
