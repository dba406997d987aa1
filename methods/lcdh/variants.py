"""What of LCDH can be switched off or exchanged: the rows of its ablation, named as in docs/lcdh.md."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api import Variant

VARIANTS: Mapping[str, Variant] = {
    "A1 no attention": Variant(isolates="attention over the teacher's tokens", params={"attention": 0}),
    "A2a image teacher": Variant(isolates="fusion: the text token", params={"fusion": "image"}),
    "A2b text teacher": Variant(isolates="fusion: the image token", params={"fusion": "text"}),
    "A2c no product": Variant(isolates="fusion: the product token", params={"fusion": "concat"}),
    "A3 no contrast": Variant(isolates="contrastive loss of the teacher", params={"contrastive": 0.0}),
    "A4a no distillation": Variant(
        isolates="teacher's similarity; its anchors stay", params={"lambda1": 0.0}
    ),
    "A4b no teacher": Variant(
        isolates="teacher altogether: a random rotation starts the history",
        params={"lambda1": 0.0},
        run={"pool": "none"},
    ),
    "A5 no labels term": Variant(isolates="online similarity", params={"lambda2": 0.0}),
    "A6 sgd": Variant(isolates="closed form", params={"solver": "sgd"}),
    "A6a sgd, no pin": Variant(
        isolates="history pin, with a warm start", params={"solver": "sgd", "pin": False}
    ),
    "A6b sgd, no pin, cold": Variant(
        isolates="history pin and warm start", params={"solver": "sgd", "pin": False, "warm": False}
    ),
    "A6c sgd, cold": Variant(isolates="warm start, pinned", params={"solver": "sgd", "warm": False}),
    "A7a no DCC": Variant(isolates="coupling of the bits", params={"codes": "sign"}),
    "A7b relaxed": Variant(isolates="discrete codes", params={"codes": "relaxed"}),
    "A8 pointwise": Variant(
        isolates="similarities: the codes are the teacher's", params={"codes": "teacher"}
    ),
    "A9a teacher of all chunks": Variant(
        isolates="what the teacher sees: also the future", run={"pool": "full"}
    ),
    "A9b teacher of chunk 1": Variant(isolates="what the teacher sees", run={"pool": "first_chunk"}),
    "A9c zero teacher": Variant(isolates="training of the teacher", params={"teacher": "zero"}),
    "A9d past teacher": Variant(
        isolates="frozen teacher: trained again on all chunks so far", params={"teacher": "past"}
    ),
    "A10a one chunk": Variant(
        isolates="stream; the pool is everything too", run={"schedule": "shuffled:1000000000"}
    ),
    "A14a rbf": Variant(isolates="linear student", params={"student": "rbf"}),
    "A14b mlp, sgd": Variant(isolates="linear student, of A6", params={"student": "mlp", "solver": "sgd"}),
    "A16a learned": Variant(isolates="database: codes of training", run={"database": "learned"}),
    "A16b frozen": Variant(isolates="database: codes given at arrival", run={"database": "frozen"}),
    "X1 no welcome": Variant(isolates="anchors for classes that come later", params={"welcome": False}),
}
