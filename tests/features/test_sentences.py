"""Sentence embeddings: from a local model of sentence-transformers, where that is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import Setting
from bench.data.views.names import View
from bench.errors import DataError

NOTHING: Any = None  # it learns nothing from the dataset


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(DataError, match=r"pip install 'hashbench\[sentence\]'"):
        View.parse("sentence").load("text", NOTHING, Setting(root=tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # where its modules are imported from has changed
def test_a_local_model_gives_unit_rows_that_do_not_depend_on_the_batch(toy: Any, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra 'sentence' is not installed")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "green", "blue", "cat", "dog", "car"]
    base = tmp_path / "base"
    base.mkdir()
    (base / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(vocab_file=str(base / "vocab.txt")).save_pretrained(base)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **small)).save_pretrained(base)
    parts = [Transformer(str(base)), Pooling(16)]
    SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / "model"))
    made = View.parse("sentence:model").load("text", NOTHING, Setting(root=tmp_path))
    texts = list(toy().raw(tmp_path).texts)
    together = made.many(texts)
    alone = np.concatenate([made.many([text]) for text in texts])
    assert together.shape == (60, 16)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)
