"""The painted scenes: reproducible, with pictures, captions and labels that agree."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.datasets.scenes import Scenes, captions, world
from bench.datasets.scenes.items import Items
from bench.datasets.scenes.paint import RADIUS, RGB
from bench.errors import ParameterError

ROOT = Path()
SOME = 400


@pytest.fixture(scope="module")
def items() -> Items:
    return Items.of(0, world.TRAIN, SOME)


def digest(source: Scenes) -> str:
    raw, seen = source.raw(ROOT), hashlib.sha256()
    for row in raw.ids:
        seen.update(np.asarray(raw.image(row)).data)
        seen.update(raw.texts[row].encode())
    seen.update(raw.labels.data)
    return seen.hexdigest()


def said(words: dict[str, tuple[str, ...]], caption: str) -> set[str]:
    """The keys of which some word or phrase stands in the caption."""
    return {key for key, phrases in words.items() if any(re.search(rf"\b{p}\b", caption) for p in phrases)}


def things(items: Items, row: int) -> range:
    return range(int(items.scenes.count[row]))


def test_equal_options_give_equal_items_in_another_process(python: Callable[..., str]) -> None:
    code = (
        "import importlib.util as u, sys\n"
        f"s = u.spec_from_file_location('t', {__file__!r}); m = u.module_from_spec(s)\n"
        "sys.modules['t'] = m; s.loader.exec_module(m)\n"
        "print(m.digest(m.Scenes(n=20, queries=5)))"
    )
    assert python(code).strip() == digest(Scenes(n=20, queries=5))


def test_an_item_does_not_depend_on_the_sizes() -> None:
    few, many = (Scenes(n=n, queries=3).raw(ROOT) for n in (4, world.BLOCK + 10))
    for row in range(4):
        np.testing.assert_array_equal(few.image(row), many.image(row))
    assert few.texts == [*many.texts[:4], *many.texts[-3:]]
    np.testing.assert_array_equal(few.labels[-3:], many.labels[-3:])
    np.testing.assert_array_equal(few.image(6), many.image(world.BLOCK + 12))


def test_an_item_does_not_depend_on_the_start() -> None:
    start = world.BLOCK - 2
    whole, tail = Items.of(0, world.TRAIN, start + 4), Items.of(0, world.TRAIN, 4, start)
    for row in range(4):
        assert tail.caption(row) == whole.caption(start + row)
        np.testing.assert_array_equal(tail.picture(row, 32), whole.picture(start + row, 32))


def test_seeds_and_parts_hold_different_scenes(items: Items) -> None:
    for seed, part in ((1, world.TRAIN), (0, world.QUERY), (0, world.LEARN), (0, world.CHECK)):
        other = Items.of(seed, part, SOME)
        assert (other.scenes.x != items.scenes.x).all()


@pytest.mark.parametrize("size", [32, 64, 100])
def test_pictures_have_any_size(size: int) -> None:
    picture = Scenes(n=1, queries=1, size=size).raw(ROOT).image(0)
    assert (picture.size, picture.mode) == ((size, size), "RGB")


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(ParameterError, match="size must be"):
        Scenes(size=8)


def test_the_raw_dataset_is_small_and_picklable() -> None:
    raw = Scenes(n=500, queries=10).raw(ROOT)
    stored = pickle.dumps(raw.image)
    assert len(stored) < 100_000
    np.testing.assert_array_equal(pickle.loads(stored)(509), raw.image(509))


def test_labels_are_exactly_the_kinds_and_the_place(items: Items) -> None:
    labels, scenes = items.labels(), items.scenes
    for row in range(SOME):
        expected = {world.KINDS[scenes.kind[row, t]] for t in things(items, row)}
        if scenes.place[row] >= 0:
            expected.add(world.PLACES[scenes.place[row]])
        assert {world.CLASSES[c] for c in np.flatnonzero(labels[row])} == expected


def test_a_caption_names_no_absent_kind_or_place(items: Items) -> None:
    labels = items.labels()
    for row in range(SOME):
        present = {world.CLASSES[c] for c in np.flatnonzero(labels[row])}
        assert said({**captions.NOUNS, **captions.SETTINGS}, items.caption(row)) <= present


def test_nine_of_ten_captions_name_something_and_one_of_ten_everything(items: Items) -> None:
    labels = items.labels()
    named = [
        len(said({**captions.NOUNS, **captions.SETTINGS}, items.caption(row))) / labels[row].sum()
        for row in range(SOME)
    ]
    assert np.mean(np.array(named) > 0) > 0.9
    assert 0.1 < np.mean(np.array(named) == 1) < 0.8


def test_a_caption_gives_a_thing_its_true_colour(items: Items) -> None:
    checked = 0
    adjectives = {word: key for key, words in captions.ADJECTIVES.items() for word in words}
    for row in range(SOME):
        scenes, caption = items.scenes, items.caption(row)
        for t in things(items, row):
            nouns = "|".join(captions.NOUNS[world.KINDS[scenes.kind[row, t]]])
            match = re.search(rf"\b({'|'.join(adjectives)}) ({nouns})\b", caption)
            if match:
                checked += 1
                assert adjectives[match[1]] == world.COLOURS[scenes.colour[row, t]]
    assert checked > 100


def test_a_caption_gives_true_relations(items: Items) -> None:
    words = {
        "right of": (1, 0), "left of": (-1, 0),
        "below": (0, 1), "under": (0, 1), "beneath": (0, 1), "above": (0, -1), "over": (0, -1),
    }  # fmt: skip
    kinds = {noun: k for k, key in enumerate(world.KINDS) for noun in captions.NOUNS[key]}
    noun = "|".join(kinds)
    pattern = rf"({noun}) (?:to the )?({'|'.join(words)}) (?:a|an|the)(?: \w+){{0,2}}? ({noun})\b"
    checked = 0
    for row in range(SOME):
        for one, relation, other in re.findall(pattern, items.caption(row)):
            scenes = items.scenes.take(slice(row, row + 1))
            a, b = (int(np.flatnonzero(scenes.kind[0] == kinds[name])[0]) for name in (one, other))
            offset = (scenes.x[0, a] - scenes.x[0, b], scenes.y[0, a] - scenes.y[0, b])
            assert np.dot(offset, words[relation]) > 0.2
            checked += 1
    assert checked > 50


def test_captions_of_one_scene_vary_in_words_and_order(items: Items) -> None:
    row = int(np.flatnonzero((items.scenes.count == 3) & (items.scenes.place >= 0))[0])
    versions = {captions.caption(items.scenes, row, np.random.default_rng(i)) for i in range(50)}
    assert len(versions) > 45
    assert len({v.split()[0] for v in versions}) > 5


def test_captions_are_many_and_of_many_words(items: Items) -> None:
    texts = [items.caption(row) for row in range(SOME)]
    assert len(set(texts)) > 0.95 * SOME
    assert len({word for text in texts for word in text.split()}) > 100


def test_a_things_colour_is_found_where_the_thing_is(items: Items) -> None:
    for row in range(100):
        scenes, picture = items.scenes, items.picture(row, 128).astype(np.float32)
        for t in things(items, row):
            radius = RADIUS[bool(scenes.large[row, t])]
            x, y = (
                [int(128 * (c - radius)), int(128 * (c + radius)) + 1]
                for c in (scenes.x[row, t], scenes.y[row, t])
            )
            patch = picture[max(y[0], 0) : y[1], max(x[0], 0) : x[1]].reshape(-1, 3)
            near = np.linalg.norm(patch - RGB[scenes.colour[row, t]], axis=1) < 60
            assert near.mean() > 0.05


def test_another_place_is_another_picture(items: Items) -> None:
    """The mean colour of a place's pictures tells it from the others, plain paper aside."""
    scenes = Items.of(0, world.CHECK, 300)
    means = np.stack([scenes.picture(row, 32).mean(axis=(0, 1)) for row in range(300)])
    centres = np.stack([means[scenes.scenes.place == p].mean(axis=0) for p in range(len(world.PLACES))])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    assert apart[np.triu_indices(len(centres), 1)].min() > 20


def test_things_of_a_scene_do_not_overlap_and_have_different_kinds(items: Items) -> None:
    scenes = items.scenes
    radius = np.where(scenes.large, RADIUS[True], RADIUS[False])
    for row in range(SOME):
        own = list(things(items, row))
        assert len(set(scenes.kind[row, own])) == len(own)
        for a in own:
            for b in own[a + 1 :]:
                distance = np.hypot(scenes.x[row, a] - scenes.x[row, b], scenes.y[row, a] - scenes.y[row, b])
                assert distance > max(radius[row, a], radius[row, b]) * 2 - 1e-6


def test_the_base_rate_leaves_room_above_chance() -> None:
    raw = Scenes().raw(ROOT)
    labels = raw.labels.astype(np.float32)
    assert 0.3 < (labels[raw.query] @ labels[raw.train].T > 0).mean() < 0.4


def test_every_class_occurs_and_kinds_go_with_places() -> None:
    labels = Items.of(0, world.TRAIN, 10_000).labels().astype(np.float64)
    share = labels.mean(axis=0)
    assert share.min() > 0.05
    fish, sea = world.CLASSES.index("fish"), world.CLASSES.index("sea")
    assert labels[labels[:, sea] == 1, fish].mean() > 1.5 * share[fish]
