"""What of LCDH can be switched off or exchanged: the rows of its ablation, numbered as in docs/lcdh.md."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api import Variant

VARIANTS: Mapping[str, Variant] = {
    "A1": Variant(isolates="teacher: attention over the tokens", params={"attention": 0}),
    "A2a": Variant(isolates="teacher: text and product tokens", params={"fusion": "image"}),
    "A2b": Variant(isolates="teacher: image and product tokens", params={"fusion": "text"}),
    "A2c": Variant(isolates="teacher: product token", params={"fusion": "concat"}),
    "A3": Variant(isolates="teacher: contrastive loss", params={"contrastive": 0.0}),
    "A4a": Variant(isolates="distillation; the teacher's anchors stay", params={"lambda1": 0.0}),
    "A4b": Variant(isolates="teacher altogether", params={"lambda1": 0.0}, run={"pool": "none"}),
    "A5": Variant(isolates="online similarity", params={"lambda2": 0.0}),
    "A6": Variant(isolates="closed form", params={"solver": "sgd"}),
    "A6a": Variant(isolates="closed form, history pin", params={"solver": "sgd", "pin": False}),
    "A6b": Variant(
        isolates="closed form, history pin, warm start",
        params={"solver": "sgd", "pin": False, "warm": False},
    ),
    "A6c": Variant(isolates="closed form, warm start", params={"solver": "sgd", "warm": False}),
    "A7a": Variant(isolates="coupling of the bits (DCC)", params={"codes": "sign"}),
    "A7b": Variant(isolates="discrete codes", params={"codes": "relaxed"}),
    "A8": Variant(isolates="similarities: codes are the teacher's", params={"codes": "teacher"}),
    "A9a": Variant(isolates="causality: the teacher sees the future", run={"pool": "full"}),
    "A9b": Variant(isolates="pool: 400 pairs taken out of the stream", run={"pool": "separate:400"}),
    "A9c": Variant(isolates="training of the teacher", params={"teacher": "zero"}),
    "A9d": Variant(isolates="frozen teacher: refitted after every chunk", params={"teacher": "past"}),
    "A10a": Variant(
        isolates="stream: one chunk, which is the pool too", run={"schedule": "shuffled:10000000"}
    ),
    "A14a": Variant(isolates="linear student", params={"student": "rbf"}),
    "A14b": Variant(isolates="closed form, linear student", params={"student": "mlp", "solver": "sgd"}),
    "A15": Variant(isolates="labels", run={"labelled": 0}),
    "A16a": Variant(isolates="database: codes of training", run={"database": "learned"}),
    "A16b": Variant(isolates="database: codes given at arrival", run={"database": "frozen"}),
    "X1": Variant(isolates="anchors of classes that come later", params={"welcome": False}),
}
