"""CKDH: losses against their definitions, whom a text attends to, what it learns and keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from bench.api import MODALITIES, Chunk, Shared
from bench.errors import ParameterError
from bench.methods._similarity_loss import error_by_rows
from bench.methods.ckdh import CKDH

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]


def fitted(items: Chunk, **settings: Any) -> CKDH:
    method = CKDH(**{"bits": 16, "hidden": 32, "heads": 2, "width": 8, "batch": 64, "rate": 3e-3, **settings})
    method.fit_chunk(dataclasses.replace(items, shared=Shared()))  # nothing left of another fit
    return method


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_teacher_loss_is_its_definition() -> None:
    from bench.methods.ckdh.teacher import loss

    rng = np.random.default_rng(0)
    image, text = rng.uniform(-1, 1, (2, 6, 8))
    similarity = np.triu(rng.random((6, 6)) < 0.4, 1)
    similarity = (similarity | similarity.T | np.eye(6, dtype=bool)).astype(float)
    nll = intra = inter = 0.0
    for i in range(6):
        for j in range(6):
            theta, wanted = image[i] @ text[j] / 2, 2 * similarity[i, j] - 1
            nll -= (similarity[i, j] * theta - np.log(1 + np.exp(theta))) / 36
            inter += (cosine(image[i], text[j]) - wanted) ** 2 / 36
            intra += sum((cosine(x[i], x[j]) - wanted) ** 2 for x in (image, text)) / 36
    codes = np.where(image + text >= 0, 1, -1)
    q = sum(((x - codes) ** 2).sum() for x in (image, text)) / (6 * 8)
    found = loss(torch.tensor(image), torch.tensor(text), torch.tensor(similarity), (2.0, 3.0, 0.5))
    assert float(found) == pytest.approx(nll + 2 * intra + 3 * inter + 0.5 * q)


def test_student_loss_and_knowledge_are_their_definitions() -> None:
    from bench.methods.ckdh.student import knowledge, loss

    rng = np.random.default_rng(1)
    image, text, own_image, own_text = rng.uniform(-1, 1, (4, 5, 8))
    target, total = np.empty((5, 5)), 0.0
    for i in range(5):
        for j in range(5):
            likely = 2 / (1 + np.exp(-image[i] @ text[j] / 2)) - 1
            within = (cosine(image[i], image[j]) + cosine(text[i], text[j])) / 2
            across = (cosine(image[i], text[j]) + cosine(text[i], image[j])) / 2
            target[i, j] = (likely + within + across) / 3
            total += (cosine(own_image[i], own_text[j]) - target[i, j]) ** 2 / 25
            total += sum((cosine(x[i], x[j]) - target[i, j]) ** 2 for x in (own_image, own_text)) / 50
    codes = np.where(own_image + own_text >= 0, 1, -1)
    total += 0.3 * sum(((x - codes) ** 2).mean() for x in (own_image, own_text))
    taught = torch.tensor(image), torch.tensor(text)
    found = knowledge(taught, taught, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(found.numpy(), target)
    own = torch.tensor(own_image), torch.tensor(own_text)
    assert float(loss(*own, found.__getitem__, 0.3)) == pytest.approx(total)


def test_knowledge_weighs_its_views_and_compares_items_with_others() -> None:
    from bench.methods.ckdh.student import knowledge

    rng = np.random.default_rng(1)
    image, text = (torch.tensor(x) for x in rng.uniform(-1, 1, (2, 7, 8)))
    whole = knowledge((image, text), (image, text), (0.0, 3.0, 1.0))
    alone = [knowledge((image, text), (image, text), views) for views in ((0, 1, 0), (0, 0, 1))]
    torch.testing.assert_close(whole, (3 * alone[0] + alone[1]) / 4)
    part = knowledge((image[:3], text[:3]), (image[2:], text[2:]), (0.0, 3.0, 1.0))
    torch.testing.assert_close(part, whole[:3, 2:])


def test_a_large_batch_is_compared_in_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.methods.ckdh import student

    rng = np.random.default_rng(3)
    image, text = (torch.tensor(x, requires_grad=True) for x in rng.uniform(-1, 1, (2, 13, 8)))
    own = image.detach().flip(0), text.detach().flip(0)

    def slopes() -> tuple[float, Any, Any]:
        total = student.loss(image, text, student.by_rows(own, own, (1.0, 1.0, 1.0)), 0.1)
        return total.detach(), *torch.autograd.grad(total, (image, text))

    whole = slopes()
    monkeypatch.setattr(student, "BLOCK", 5)
    monkeypatch.setattr(student, "error_by_rows", partial(error_by_rows, block=5))
    for found, expected in zip(slopes(), whole, strict=True):
        torch.testing.assert_close(found, expected)


def test_all_views_at_weight_0_are_refused() -> None:
    with pytest.raises(ParameterError, match="expected at least one above 0"):
        CKDH(bits=8, likelihood=0.0, within=0.0, across=0.0)


def test_without_an_adapter_the_image_teacher_is_one_layer() -> None:
    from bench.methods._network import Place
    from bench.methods.ckdh.teacher import Adapter

    net = Adapter(6, 4, adapts=False, rng=np.random.default_rng(0), place=Place())
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    w, b = net.parameters
    torch.testing.assert_close(net(x), torch.tanh(x @ w + b))
    assert len(net.arrays()) == 2


def test_graph_attention_is_its_definition() -> None:
    from bench.methods._network import Place
    from bench.methods.ckdh.teacher import GraphAttention

    rng = np.random.default_rng(2)
    net = GraphAttention((5, 2, 3, 4), rng=rng, place=Place())
    x, near = rng.standard_normal((6, 5)), rng.permuted(np.tile(np.arange(6), (6, 1)), axis=1)[:, :3]
    v, a1, a2, w, b = (p.detach().numpy().astype(float) for p in net.parameters)
    rows = []
    for i in range(6):
        heads = []
        for h in range(2):
            y = x @ v[:, 3 * h : 3 * h + 3]
            scores = {j: y[i] @ a1[h] + y[j] @ a2[h] for j in near[i]}
            exps = {j: np.exp(s if s > 0 else 0.2 * s) for j, s in scores.items()}
            heads.append(sum(e * y[j] for j, e in exps.items()) / sum(exps.values()))
        z = np.concatenate(heads)
        rows.append(np.tanh(np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1) @ w + b))
    found = net(torch.tensor(x, dtype=torch.float32), torch.tensor(near)).detach().numpy()
    np.testing.assert_allclose(found, np.array(rows), atol=1e-5)


def test_the_graph_acts_when_knowledge_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.methods._network import Place
    from bench.methods.ckdh import teacher

    net = teacher.GraphAttention((5, 2, 3, 4), rng=np.random.default_rng(0), place=Place())
    x, words = (torch.tensor(np.random.default_rng(i).random((9, 5)), dtype=torch.float32) for i in (1, 2))
    monkeypatch.setattr(teacher, "ROWS", 4)  # block by block
    taught = teacher.of_texts(net, x, words, 3)
    torch.testing.assert_close(taught, net(x, teacher.nearest(words, 3)).detach())
    alone = teacher.of_texts(net, x, words, 0)
    assert ((taught - alone).abs().amax(dim=1) > 1e-3).all()


@pytest.mark.parametrize("rows", [4, 2048])
def test_texts_attend_to_themselves_and_those_of_highest_cosine(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.methods.ckdh import teacher

    monkeypatch.setattr(teacher, "ROWS", rows)
    words = np.random.default_rng(0).random((9, 7)) * np.arange(1, 10)[:, None]
    cosines = [[2.0 if i == j else cosine(words[i], words[j]) for j in range(9)] for i in range(9)]
    expected = np.argsort(cosines, axis=1)[:, ::-1][:, :4]
    assert (teacher.nearest(torch.tensor(words), 3).numpy() == expected).all()
    assert teacher.nearest(torch.tensor(words[:2]), 3).shape == (2, 2)  # there are no more texts


def test_similar_items_share_a_label_and_an_unlabelled_one_is_like_itself_alone() -> None:
    from bench.methods.ckdh.teacher import similar

    labels = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert similar(labels).int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_labels_teach_codes_that_retrieve_across_modalities(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    i2t, t2i, chance = quality(fitted(pairs(400)))
    assert min(i2t, t2i) > chance + 0.4


def test_labels_and_texts_of_other_items_teach_nothing(
    pairs: Callable[..., Chunk], quality: Callable[..., tuple[float, float, float]]
) -> None:
    """Labels alone are not enough to shuffle: a pair is similar to itself whatever its labels."""
    items, rng = pairs(1000), np.random.default_rng(5)
    assert items.labels is not None
    labels = items.labels[rng.permutation(len(items))]
    wrong = dataclasses.replace(items, text=items.text.take(rng.permutation(len(items))), labels=labels)
    i2t, t2i, chance = quality(fitted(wrong))
    assert max(i2t, t2i) < chance + 0.15


def test_a_pair_has_one_learned_code_that_is_the_sign_of_both_outputs(pairs: Callable[..., Chunk]) -> None:
    items = pairs(120)
    method = fitted(items, epochs=3)
    learned = [method.encode_database(items, m) for m in MODALITIES]
    image, text = (method.encode(items.batch(m), m) for m in MODALITIES)
    assert (learned[0] == learned[1]).all()
    assert (learned[0] == image)[image == text].all()
    assert (learned[0] != image).any() and (learned[0] != text).any()
