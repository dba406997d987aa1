"""MIRFLICKR-25000: miniature copies as their owners lay them out, and the real tags and labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from bench.api import Raw
from bench.datasets.mirflickr25k import RELEVANT, TOPICS, Mirflickr25k
from bench.errors import DataError

Write = Callable[..., Path]


@pytest.fixture
def copy(tmp_path: Path, write: Write, photo: Write) -> Path:
    """Photos 1 to 8 without 5. Of tags, 'sky' and 'mar' are common; photo 6 has no topic, 7 no common tag."""
    home = tmp_path / "mirflickr25k" / "mirflickr"
    tags = {
        1: "sky\nmar\n",
        2: "sky\r\n",
        3: "mar\nespa\xf1a\n",
        4: "sky\nmar\nsky\n",
        6: "sky\n",
        7: "own\n",
        8: "",
    }
    for number, text in tags.items():
        photo(home / f"im{number}.jpg", colour=(number, 0, 0))
        write(home / "meta" / "tags" / f"tags{number}.txt", text, encoding="latin-1")
    write(home / "doc" / "common_tags.txt", "sky 21\r\nmar 20\r\nown 19\r\n")
    for name in TOPICS + RELEVANT:
        write(home.parent / "annotations" / f"{name}.txt", "")
    write(home.parent / "annotations" / "sky.txt", "1\r\n2\r\n4\r\n7\r\n8\r\n5\r\n")
    write(home.parent / "annotations" / "sea.txt", "3\n4\n")
    write(home.parent / "annotations" / "sea_r1.txt", "4\n3\n")
    return tmp_path


def parsed(root: Path, **options: Any) -> Raw:
    return Mirflickr25k(**{"queries": 1} | options).raw(root)


def test_pairs_with_a_common_tag_and_a_topic_are_kept(copy: Path) -> None:
    raw = parsed(copy)
    assert raw.ids.tolist() == [1, 2, 3, 4]
    assert raw.vocabulary == ("sky", "mar")
    assert list(raw.texts) == ["sky mar", "sky", "mar españa", "sky mar sky"]


def test_the_older_variant_requires_two_common_tags(copy: Path) -> None:
    assert parsed(copy, variant="16738").ids.tolist() == [1, 4]


def test_the_largest_variant_keeps_all_photos_and_draws_labelled_queries(copy: Path) -> None:
    raw = parsed(copy, variant="25000", queries=5)
    assert raw.ids.tolist() == [1, 2, 3, 4, 6, 7, 8]
    assert 6 in raw.ids[raw.train]


def test_labels_are_potential_or_relevant_topics(copy: Path) -> None:
    assert [TOPICS[c] for c in np.flatnonzero(parsed(copy).labels[3])] == ["sea", "sky"]
    relevant = parsed(copy, topics="relevant")
    assert (relevant.ids.tolist(), len(relevant.classes)) == ([3, 4], 14)
    assert parsed(copy, topics="both").labels.shape == (4, 38)


def test_the_picture_of_a_row_is_that_of_its_number(copy: Path) -> None:
    pixel = parsed(copy).image(2).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 3) < 3


def test_the_notes_name_counts_that_differ_from_the_published_ones(copy: Path) -> None:
    notes = parsed(copy).notes
    assert any(note.startswith("pairs: found 4, expected 20015") for note in notes)
    assert any(note.startswith("words: found 2, expected 1386") for note in notes)
    assert "missing photos before im8.jpg: 1" in notes


def test_without_the_owners_list_common_tags_are_counted(copy: Path) -> None:
    (copy / "mirflickr25k" / "mirflickr" / "doc" / "common_tags.txt").unlink()
    with pytest.raises(DataError, match="queries=1 of 0 labelled items"):
        parsed(copy)


def test_photos_without_a_tag_file_are_counted(copy: Path) -> None:
    (copy / "mirflickr25k" / "mirflickr" / "meta" / "tags" / "tags1.txt").unlink()
    raw = parsed(copy)
    assert raw.ids.tolist() == [2, 3, 4]
    assert "photos without a tag file, read as untagged: 1" in raw.notes


def test_the_seed_decides_the_split(copy: Path) -> None:
    queries = {tuple(parsed(copy, seed=seed).query.tolist()) for seed in range(20)}
    assert len(queries) > 1
    assert parsed(copy, seed=3).query.tolist() == parsed(copy, seed=3).query.tolist()


def test_missing_annotations_are_named(copy: Path) -> None:
    (copy / "mirflickr25k" / "annotations" / "baby.txt").unlink()
    with pytest.raises(DataError, match=r"baby\.txt: no such file; expected one for each of the 24 topics"):
        parsed(copy)


def test_a_malformed_annotation_is_named_with_its_line(copy: Path, write: Write) -> None:
    write(copy / "mirflickr25k" / "annotations" / "sky.txt", "1\n2\nim3\n")
    with pytest.raises(DataError, match=r"sky\.txt: line 3 is 'im3'; expected one whole number"):
        parsed(copy)


def test_a_folder_without_the_distribution_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mirflickr25k: no meta/tags.*expected the folder of tags") as caught:
        parsed(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_real_tags_and_labels_in_the_owners_layout_give_the_published_arrays(
    tmp_path: Path, write: Write, real: Callable[[str], Path]
) -> None:
    """The owners' files are rebuilt from the published arrays; their vocabulary orders the columns."""
    published = real("mirflickr25k-tags-labels")
    labels = scipy.io.loadmat(published / "mirflickr25k-lall.mat")["LAll"]
    words = scipy.io.loadmat(published / "mirflickr25k-yall.mat")["YAll"]
    names = json.loads((published / "yall_column_names.json").read_text(encoding="utf-8"))
    names[next(i for i, name in enumerate(names) if name in names[:i])] = "save8"  # listed twice by mistake
    home = tmp_path / "mirflickr25k" / "mirflickr"
    tags = (published / "all_tags.txt").read_text(encoding="utf-8").splitlines()
    for folder in (home / "meta" / "tags", home.parent / "annotations"):
        folder.mkdir(parents=True)
    for number, line in enumerate(tags, start=1):
        (home / f"im{number}.jpg").touch()
        (home / "meta" / "tags" / f"tags{number}.txt").write_text(line.replace(",", "\n"), encoding="utf-8")
    write(home / "doc" / "common_tags.txt", "".join(f"{name} 20\n" for name in names))
    for column, name in enumerate((published / "label_names.txt").read_text().split()):
        numbers = np.flatnonzero(labels[:, column]) + 1
        write(home.parent / "annotations" / f"{name}.txt", "".join(f"{n}\r\n" for n in numbers))

    raw = parsed(tmp_path, queries=2000)
    shutil.rmtree(home)
    assert (raw.labels.shape, len(raw.vocabulary), len(raw.train)) == ((20015, 24), 1386, 18015)
    np.testing.assert_array_equal(raw.labels, labels)
    place = {word: c for c, word in enumerate(raw.vocabulary)}
    found = np.zeros_like(words)
    for row, text in enumerate(raw.texts):
        found[row, [place[tag] for tag in text.split() if tag in place]] = 1
    np.testing.assert_array_equal(found, words)
    assert not any("expected" in note for note in raw.notes)


def test_two_real_common_tags_give_the_older_variant(real: Callable[[str], Path]) -> None:
    words = scipy.io.loadmat(real("mirflickr25k-tags-labels/mirflickr25k-yall.mat"))["YAll"]
    assert int((words.sum(axis=1) >= 2).sum()) == 16738
