"""The options of a study as Python gives them: names and types for editors, help() and type checkers."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from bench.contract.dataset import DatasetSource
from bench.contract.method import Method
from bench.data.memory import Arrays

Many = str | Iterable[str]
Numbers = str | int | Iterable[int]
Shares = str | float | Iterable[float]
Setting = Mapping[str, Any]  # {"name": …, parameter: value, …, "as": …}
MethodChoice = str | type[Method] | Setting
DatasetChoice = str | type[DatasetSource] | Arrays | Setting


class Options(TypedDict, total=False):
    """The fields of :class:`bench.study.study.Study`, each in the forms that ``Study.make`` takes."""

    methods: MethodChoice | Iterable[MethodChoice]
    datasets: DatasetChoice | Iterable[DatasetChoice]
    bits: Numbers
    seeds: Numbers
    schedule: Many
    last: str
    database: Many
    pool: Many
    labelled: Shares
    paired: Shares
    train: str | float | Iterable[str | float]
    noise: str | Iterable[str]
    rehash: str | Iterable[str]
    delay: int | Iterable[int]
    unseen_classes: Shares
    val: int
    evaluate: str
    directions: Many
    device: str
    data_root: str | os.PathLike[str]
    results: str | os.PathLike[str]
    plugin: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
    jobs: int
    threads: int
    backend: str
    scheduler: str
    shard: str
