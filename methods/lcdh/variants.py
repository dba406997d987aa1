"""The parts of LCDH that can be switched off or exchanged: the rows of its ablation."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api import Variant

VARIANTS: Mapping[str, Variant] = {
    "no-attention": Variant(
        code="A1", isolates="teacher: attention over the tokens", params={"attention": 0}
    ),
    "image-teacher": Variant(
        code="A2a", isolates="teacher: text and product tokens", params={"fusion": "image"}
    ),
    "text-teacher": Variant(
        code="A2b", isolates="teacher: image and product tokens", params={"fusion": "text"}
    ),
    "no-product": Variant(code="A2c", isolates="teacher: product token", params={"fusion": "concat"}),
    "channels": Variant(
        code="A2d", isolates="teacher: attention over tokens, not channels", params={"fusion": "channels"}
    ),
    "no-contrastive-loss": Variant(
        code="A3", isolates="teacher: contrastive loss", params={"contrastive": 0.0}
    ),
    "no-distillation": Variant(
        code="A4a", isolates="distillation; the teacher's first codes stay", params={"lambda1": 0.0}
    ),
    "no-teacher": Variant(
        code="A4b", isolates="teacher altogether", params={"lambda1": 0.0}, run={"pool": "none"}
    ),
    "no-online-similarity": Variant(code="A5", isolates="online similarity", params={"lambda2": 0.0}),
    "gradients": Variant(code="A6", isolates="closed form", params={"solver": "sgd", "student": "linear"}),
    "gradients-no-history": Variant(
        code="A6a",
        isolates="closed form, history pin",
        params={"solver": "sgd", "student": "linear", "pin": False},
    ),
    "gradients-no-history-cold": Variant(
        code="A6b",
        isolates="closed form, history pin, warm start",
        params={"solver": "sgd", "student": "linear", "pin": False, "warm": False},
    ),
    "gradients-cold": Variant(
        code="A6c",
        isolates="closed form, warm start",
        params={"solver": "sgd", "student": "linear", "warm": False},
    ),
    "bit-by-bit": Variant(
        code="A7a", isolates="balanced embedding: codes bit by bit, against anchors", params={"codes": "dcc"}
    ),
    "teacher-codes": Variant(
        code="A8", isolates="similarities: codes are the teacher's", params={"codes": "teacher"}
    ),
    "teacher-sees-future": Variant(
        code="A9a", isolates="causality: the teacher sees the future", run={"pool": "full"}
    ),
    "separate-pool": Variant(
        code="A9b", isolates="pool: 400 pairs taken out of the stream", run={"pool": "separate:400"}
    ),
    "untrained-teacher": Variant(code="A9c", isolates="training of the teacher", params={"teacher": "zero"}),
    "label-teacher": Variant(
        code="A9d", isolates="target of the teacher: labels", params={"target": "labels"}
    ),
    "mixed-teacher": Variant(
        code="A9e", isolates="target of the teacher: labels and CLIP", params={"target": "mixed"}
    ),
    "one-chunk": Variant(
        code="A10a",
        isolates="stream: one chunk, which is the pool too",
        run={"schedule": "shuffled:10000000"},
    ),
    "linear-student": Variant(
        code="A14a", isolates="hidden units and label head", params={"student": "linear"}
    ),
    "no-memory": Variant(code="A14b", isolates="the student's memory", params={"memory": 0}),
    "no-labels": Variant(code="A15", isolates="labels", run={"labelled": 0}),
    "learned-database": Variant(
        code="A16a", isolates="database: codes of training", run={"database": "learned"}
    ),
    "frozen-database": Variant(
        code="A16b", isolates="database: codes given at arrival", run={"database": "frozen"}
    ),
}
