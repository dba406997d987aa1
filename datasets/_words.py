"""The meaning of the names of variables, by the words that published code uses.

``VDatabase``, ``I_db``, ``image_database`` and ``database/img`` all name the images of the database. A name
is cut into words at underscores, capitals and digits; a word that is in no table makes the name unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

# Words in the order of preference. A single letter counts only where no longer word says otherwise.
MODALITIES: dict[str, tuple[str, ...]] = {
    "labels": ("l", "label", "labels", "lab", "labs", "lbl", "gnd", "gt", "target", "targets", "category",
               "categories", "cate", "cat", "annotation", "annotations", "anno", "annos", "concept",
               "concepts", "multilabel", "onehot"),
    "text": ("t", "text", "texts", "txt", "txts", "tag", "tags", "word", "words", "bow", "bows", "doc",
             "docs", "caption", "captions", "cap", "caps", "sentence", "sentences", "textual", "xt", "y"),
    "image": ("x", "i", "image", "images", "img", "imgs", "im", "picture", "pictures", "pic", "pics", "photo",
              "photos", "visual", "vision", "xi", "xv", "v"),
}  # fmt: skip
PARTS: dict[str, tuple[str, ...]] = {
    "query": ("te", "test", "tst", "testing", "query", "queries", "qu", "qry", "que", "q"),
    "database": ("db", "database", "base", "retrieval", "retrieve", "ret", "retri", "gallery", "re"),
    "train": ("tr", "train", "training", "trn", "restval"),
    "val": ("val", "valid", "validation", "va", "dev"),
    "all": ("all", "full", "total"),
}
INDEX = ("index", "indexes", "indices", "idx", "idxs", "idxes", "ind", "inds", "inx", "mask", "masks", "rows",
         "split", "list", "ids", "id", "is")  # fmt: skip
# Of a column that says each item's part:
SPLITS = ("split", "splits", "fold", "folds", "partition", "subset", "phase", "usage", "stage")
COUNTS = ("n", "num", "number", "nb", "size", "count", "len")  # of the items of a part: n_query
PLACES = ("start", "begin", "end", "first", "last", "from", "offset", "point", "at")  # test_start
WEAK = ("ids", "id", "list")  # an index only beside a part, and only if nothing else is one
ORDERS = ("perm", "randperm", "permutation", "shuffle", "holdout", "heldout", "unseen")  # may define queries
NAMING = {"id", "ids", "name", "names", "file", "files", "filename", "filenames", "path", "paths", "key",
          "keys"}  # fmt: skip
FILLERS = ("feature", "features", "feat", "feats", "fea", "deep", "data", "dataset", "array", "vector",
           "vectors", "embedding", "embeddings", "embeds", "emb", "embs", "multi",
           "semantic", "class", "vgg", "cnn", "resnet", "fc", "vec", "matrix",
           "mat", "view", "modality", "param", "params", "item", "items", "set", "npy", "npz",
           "h", "hdf", "csv", "vit", "bert", "sift", "gist", "hog", "lda", "norm",
           "alexnet", "pt", "parquet", "exp", "mir", "mirflickr", "flickr", "nus", "wide", "nuswide", "coco",
           "mscoco", "iapr", "iaprtc", "tc", "wiki")  # fmt: skip
LETTERS = {word for words in MODALITIES.values() for word in words if len(word) == 1}
_PAIRS = ({"modality", "part"}, {"index", "part"}, {"count", "part"})  # that are written as one word
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_NUMBERED = {"1": "image", "2": "text"}  # X1 and X2, view1 and view2, X{1} and X{2}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A name, understood: the ``role`` of an array or index, the ``part`` of the items, and a preference."""

    role: str  # image, text, labels, image_clip, text_clip, index, split; "" if unknown
    part: str  # query, database, train, val or all
    rank: tuple[int, int]  # the lowest is read, if several names have one meaning


UNKNOWN = Meaning("", "all", (0, 0))


def stem(path: str) -> str:
    """The name at the end of a path of any system, without its suffix."""
    return PurePosixPath(path.strip().replace("\\", "/")).stem


@cache
def meaning(name: str) -> Meaning:
    """The role of a variable by the words of its name.

    >>> meaning("VDatabase").role, meaning("VDatabase").part
    ('image', 'database')
    >>> meaning("param/indexTest").role, meaning("idx_ret").part
    ('index', 'database')
    """
    words = _words(name)
    parts = [part for part, known in PARTS.items() if part != "all" and set(words) & set(known)]
    if not {word for word in words if not word.isdigit()} <= KNOWN or len(parts) > 1:  # such as cateTrainTest
        return UNKNOWN
    part, rest = _part(words)
    modality, fillers = _modality(rest)
    clip = "clip" in words and modality in ("image", "text")
    if modality:
        rank = (fillers, _order(rest, modality))
        return Meaning(f"{modality}_clip" if clip else modality, part, rank)
    if any(word in INDEX for word in rest) or (set(rest) <= {"set"} and part != "all"):
        if any(word in SPLITS for word in rest) and part == "all":
            return Meaning("split", part, (0, 0))
        weak = any(word in WEAK for word in rest) or set(rest) <= {"set"}
        return Meaning("index", part, (int(weak), 0))
    return Meaning("split", part, (0, 0)) if any(word in SPLITS for word in rest) else UNKNOWN


def part_of(name: str) -> str:
    """The part that some word of a name speaks of, whatever else it says.

    >>> part_of("train-00000-of-00001"), part_of("TestImagelist"), part_of("mirflickr_cnn")
    ('train', 'query', 'all')
    """
    return _part(_words(name))[0]


def speaks_of_split(name: str) -> bool:
    """Whether some word of a name says that it belongs to a split, whatever else the name says."""
    words = {word for word in _words(name) if not word.isdigit()}
    rows = set(INDEX) - set(WEAK)
    if words in ({"set", "id"}, {"set", "ids"}, {"set", "idx"}):
        return True
    query = {*PARTS["query"], *PARTS["val"], *SPLITS} - {"q", "va"}
    named = words & {*MODALITIES["image"], *MODALITIES["text"], *MODALITIES["labels"]} - LETTERS
    if words & query or any(word.startswith(("test", "quer")) for word in words):
        return True
    if words & rows and words & {*PARTS["train"], *PARTS["database"]} and not named:
        return True
    return bool(words) and words <= rows


def says_size(name: str) -> bool:
    """Whether a number of this name may be the size or place of a part: n_query, train_size, split_at."""
    words = {word for word in _words(name) if not word.isdigit()} - set(FILLERS)
    parts = {word for part, known in PARTS.items() if part != "all" for word in known} | {"split"}
    spoken, sizes = words & parts, {*COUNTS, *PLACES}
    plain = {word for word in spoken if len(word) > 3} - {"split", "base"}
    return bool((spoken and words & sizes) or plain) and words - spoken <= sizes


def says_place(name: str) -> bool:
    """Whether a number of this name is a place, such as test_start, and no size."""
    return bool({*PLACES} & {*_words(name)})


def names_items(name: str) -> bool:
    """Whether a variable lists names, paths or numbers of items: ids, image_names, filenames."""
    words = _words(name)
    return bool(NAMING & set(words)) and not {*MODALITIES["labels"], "class", "classes"} & {*words} - LETTERS


def names_ids(name: str) -> bool:
    """Whether a name speaks of the items' own numbers and of no part: ids, image_ids."""
    words = _words(name)
    return _part(words)[0] == "all" and bool({"id", "ids"} & set(words)) and not set(words) & {*COUNTS}


def may_name_rows(name: str) -> bool:
    """Whether a word of a name speaks of rows or of an order, and none of images, texts or labels."""
    words = set(_words(name))
    modalities = {*MODALITIES["image"], *MODALITIES["text"], *MODALITIES["labels"]} - LETTERS
    rows = {*INDEX, *ORDERS} - set(WEAK)
    return not words & modalities and any(word in rows or word.endswith(("idx", "inds")) for word in words)


KNOWN = frozenset(
    word
    for words in (*MODALITIES.values(), *PARTS.values(), INDEX, SPLITS, FILLERS, ("clip",))
    for word in words
)


def _words(name: str) -> list[str]:
    """The words of a name in lower case; two known words that are written as one are cut apart."""
    if name.lower() in KNOWN:
        return [name.lower()]  # such as BoW
    name = re.sub(r"(\d)d(?![a-z])", r"\1", name)  # img_2048d
    name = name.replace("{", "_view_")  # a cell, such as X{1}, is one of several views
    return [word for raw in _WORD.findall(name) for word in _cut(raw.lower())]


def _cut(word: str) -> Iterator[str]:
    if word in KNOWN:
        yield word
        return
    for at in range(1, len(word)):
        one, other = word[:at], word[at:]
        pair = {_kind(one), _kind(other)}
        if pair in _PAIRS or (pair == {"filler", "part"} and min(at, len(other)) > 2):
            yield from (one, other)
            return
    yield word


@cache
def _kind(word: str) -> str:
    if any(word in words for words in MODALITIES.values()):
        return "modality"
    if any(word in words and len(word) > 1 for words in PARTS.values()):
        return "part"
    if word in COUNTS:
        return "count"
    kind = "index" if word in INDEX else "filler" if word in FILLERS else ""
    return kind if len(word) > 2 else ""


def _part(words: list[str]) -> tuple[str, list[str]]:
    """The part that a name speaks of, and its other words."""
    for part, known in PARTS.items():
        if any(word in known for word in words):
            return part, [word for word in words if word not in known]
    return "all", words


def _modality(words: list[str]) -> tuple[str, int]:
    """The modality, and the number of words that say nothing; labels go before text before images."""
    long = [word for word in words if word not in LETTERS]
    for candidates in (long, words):
        for modality, known in MODALITIES.items():
            if any(word in known for word in candidates):
                numbered = [_NUMBERED[word] for word in words if word in _NUMBERED]
                if modality == "image" and numbered and candidates is words:
                    return numbered[0], len(words) - 2
                return modality, sum(word not in known and word != "clip" for word in words)
    numbered = [_NUMBERED[word] for word in words if word in _NUMBERED]
    if numbered and {"view", "modality"} & {*words} and not {*INDEX} & {*words}:
        return numbered[0], 0
    return "", 0


def _order(words: list[str], modality: str) -> int:
    """The place of the word that names the modality in its table; a bare ``Y`` is the last of texts."""
    known = MODALITIES[modality]
    return min((known.index(word) for word in words if word in known), default=0)
