"""A study: its options, from the defaults, a study file and the command line, in that order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from bench.contract import foreign, params
from bench.data.memory import Arrays
from bench.disk import places, reading
from bench.errors import DataError, FileError, ParameterError, UnknownNameError
from bench.plugins import defined, registry
from bench.protocol import axes, runbook, stream
from bench.records import DIRECTIONS, SINCE, Database, Schedule, quoted
from bench.study import passes, selectors
from bench.threads import cores

MOST_BITS = 1024
MOST_AT_ONCE = 1024  # jobs, and threads of each
MOST_SEEDS = 10_000
MOST_NUMBER = 1 << 63  # a record holds no larger one
CLUSTERS = ("dask", "ray", "slurm")
BACKENDS = ("loky", "threading", *CLUSTERS)
TUNED = "tuned"  # a table of a study file with the origin of its values, which nothing reads


@dataclass(frozen=True, kw_only=True)
class Study:
    """A grid of cells and how to run it; the field names are the option names.

    ``seeds`` is a number of seeds (3 means 0, 1, 2) or a list of them. An empty ``schedule`` is
    the dataset's own; a runbook is read at once, and has its steps in place of its path.
    ``bench/default.toml`` holds what is run by default.
    """

    methods: tuple[str, ...]
    datasets: tuple[str, ...]
    bits: tuple[int, ...]
    seeds: tuple[int, ...]
    schedule: tuple[str, ...] = ()
    last: str = "merge"
    database: tuple[str, ...] = ("reindexed",)
    pool: tuple[str, ...] = ("first_chunk",)
    labelled: tuple[float, ...] = (1.0,)
    paired: tuple[float, ...] = (1.0,)
    train: tuple[str, ...] = ("all",)
    noise: tuple[str, ...] = ("none",)
    rehash: tuple[str, ...] = ("always",)
    delay: tuple[int, ...] = (0,)
    unseen_classes: tuple[float, ...] = (0.0,)
    val: int = 0
    evaluate: str = "last"
    directions: tuple[str, ...] = ("i2t", "t2i")
    device: str = ""  # "" leaves every method's own default
    data_root: str = ""  # "" is BENCH_DATA, or the current folder
    results: str = ""  # "" is BENCH_RESULTS, or results/runs
    plugin: tuple[str, ...] = ()
    jobs: int = field(default_factory=lambda: min(cores(), MOST_AT_ONCE))
    threads: int = 1
    backend: str = "loky"
    scheduler: str = ""
    shard: str = ""  # "2/4" is the second of four parts, "" all

    @classmethod
    def make(cls, file: Path | None = None, **options: Any) -> Study:
        """The default study, overridden by a study file, overridden by ``options`` that are not None."""
        values = {} if file is None else read(file)
        if "section" in values:
            raise ParameterError(
                f"study file {file} has sections, each a study. Run `bench report {file}` or `bench plan "
                f"{file}`."
            )
        for name in (TUNED, "title", "reports"):  # for readers and for `bench report`: no options
            values.pop(name, None)
        return cls.of({**values, **{k: v for k, v in options.items() if v is not None}})

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Study:
        """The default study, overridden by ``given``, option by option."""
        return cls(**cls._fields({**read(Path(__file__).parents[1] / "default.toml"), **given}))

    def but(self, **options: Any) -> Study:
        """The same study with other options, given as :meth:`make` takes them."""
        return replace(self, **self._fields(options))

    @classmethod
    def _fields(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as the fields' types."""
        known = {f.name: f for f in fields(cls)}
        for name in values:
            if name not in known:
                raise UnknownNameError("option of a study", name, known)
        return {name: _typed(name, value, str(known[name].type)) for name, value in values.items()}

    @property
    def data_folder(self) -> Path:
        return data_folder(self.data_root)

    @property
    def results_folder(self) -> Path:
        return results_folder(self.results)

    def add_plugins(self) -> None:
        """Register the files in ``plugin``, which are code."""
        for path in self.plugin:
            registry.add_named(Path(path))

    def check(self) -> None:
        """Raise ParameterError at the first option that no run could use."""
        for name in ("methods", "datasets", "bits", "seeds", "directions", "database", "pool", *SINCE):
            if not getattr(self, name):
                raise ParameterError(f"{name} is empty. Name at least one.")
        for bits in self.bits:
            if not 1 <= bits <= MOST_BITS:
                raise ParameterError(f"bits must be whole numbers from 1 to {MOST_BITS}; got {bits}.")
        for value in self.database:
            _one_of("database", value, get_args(Database))
        for value in self.directions:
            _one_of("directions", value, DIRECTIONS)
        if len(set(self.directions)) < len(self.directions):
            raise ParameterError(f"directions has one twice: {', '.join(self.directions)}. Name each once.")
        for pool in self.pool:
            stream.parse_pool(pool)
        for name in ("labelled", "paired"):
            for share in getattr(self, name):
                if not 0 <= share <= 1:
                    raise ParameterError(f"{name} is a share of training items, from 0 to 1; got {share}.")
        for share in self.unseen_classes:
            if not 0 <= share < 1:
                raise ParameterError(f"unseen_classes is a share of classes, from 0 to below 1; got {share}.")
        for text in self.train:
            stream.parse_train(text)
        if self.val and "all" in self.train and 0 in self.unseen_classes:
            raise ParameterError(
                f"val={self.val} searches items that no method was trained on, and train=all leaves none. "
                "Set train to a share, for instance 0.5."
            )
        self._check_rehash()
        self._check_delay()
        stream.parse_evaluate(self.evaluate, 1)
        passes.parse_shard(self.shard)
        if not 0 <= self.val < MOST_NUMBER:
            raise ParameterError(f"val must be a number of items, 0 or more; got {self.val}.")
        for name in ("jobs", "threads"):
            if not 1 <= getattr(self, name) <= MOST_AT_ONCE:
                raise ParameterError(f"{name} must be from 1 to {MOST_AT_ONCE}; got {getattr(self, name)}.")
        for seed in self.seeds:
            if not 0 <= seed < MOST_NUMBER:
                raise ParameterError(f"seeds must be from 0 to {MOST_NUMBER - 1}; got {seed}.")
        _one_of("backend", self.backend, BACKENDS)
        if self.scheduler and self.backend not in CLUSTERS:
            raise ParameterError(
                f"scheduler applies only to the backends {', '.join(CLUSTERS)}; got backend {self.backend}. "
                "Leave it out."
            )

    def _check_delay(self) -> None:
        """Raise ParameterError where a delay is no number of rounds, or codes would wait for labels."""
        for delay in self.delay:
            if not 0 <= delay < MOST_NUMBER:
                raise ParameterError(f"delay must be a number of rounds, 0 or more; got {delay}.")
        if any(self.delay) and "learned" in self.database:
            raise ParameterError(
                f"delay={max(self.delay)} leaves new items without learned codes, and the study has "
                "database=learned. Use --database reindexed or frozen."
            )

    def _check_rehash(self) -> None:
        """Raise ParameterError where a policy of rehashing has nothing to decide, or nothing to go by."""
        chosen = [policy for policy in self.rehash if policy != "always"]
        other = [database for database in self.database if database != "reindexed"]
        if chosen and other:
            raise ParameterError(
                f"rehash={chosen[0]} says when reindexed codes are renewed, and the study has "
                f"database={other[0]}. Use --database reindexed."
            )
        if any(policy.startswith("trigger") for policy in chosen) and 0 in self.labelled:
            raise ParameterError(
                f"rehash={chosen[0]} needs labels of training items, and labelled=0 withholds all. Raise it."
            )


def data_folder(given: str = "") -> Path:
    """The folder of the data files: as given, else ``BENCH_DATA``, else the current folder."""
    folder = places.local(given or os.environ.get("BENCH_DATA") or ".", "data folder").expanduser()
    if folder.exists() and not folder.is_dir():
        raise DataError(f"data folder {folder}: is a file; expected a folder. Correct --data-root.")
    return folder


def results_folder(given: str = "") -> Path:
    """The results folder: as given, else ``BENCH_RESULTS``, else ``results/runs``."""
    folder = given or os.environ.get("BENCH_RESULTS") or "results/runs"
    return places.local(folder, "results folder").expanduser()


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownNameError(f"value of {name}", value, known)


def read(file: Path) -> dict[str, Any]:
    """The keys of a study file."""
    if not file.name.isprintable():
        raise DataError(f"study file {file.name!r}: its name is not printable. Rename it.")
    try:
        return reading.read_toml(file)
    except FileError as error:
        raise DataError(f"study file {error}. Give the path of a .toml file.") from error


def _typed(name: str, value: Any, declared: str) -> Any:
    """``value`` as the field's type: text is cut at commas, a single value becomes a tuple of one."""
    value = foreign.exact(value)
    if name == "seeds" and isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        value = int(value)
    if name == "seeds" and isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise ParameterError(f"seeds must be from 1 to {MOST_SEEDS}, or a list of seeds; got {value}.")
        return tuple(range(value))
    if declared.startswith("tuple"):
        listed = Schedule.split(value) if name == "schedule" and isinstance(value, str) else _listed(value)
        return tuple(_cast(name, v, _kind(declared)) for v in listed)
    return _cast(name, value, _kind(declared))


def _kind(declared: str) -> type:
    return int if "int" in declared else float if "float" in declared else str


def _listed(value: Any) -> Iterable[Any]:
    if isinstance(value, str):
        return selectors.split(value)
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        return [value]
    return value


def _selector(option: str, table: Mapping[str, Any]) -> str:
    """A table of a study file, ``{ name = "files", path = "a,b.npz", as = "mine" }``, as a selector."""
    values = {key: foreign.exact(value) for key, value in table.items()}
    name, shown = values.pop("name", None), values.pop("as", "")
    name = defined.add(name, places.cache() / "classes") if isinstance(name, type) else name
    if not isinstance(name, str) or not isinstance(shown, str) or not all(map(_is_plain, values.values())):
        raise ParameterError(
            f"{option}: {dict(table)!r} is not a name with values of parameters. Write "
            '{ name = "files", path = "mine.npz", as = "mine" }.'
        )
    listed = {k: v if isinstance(v, (list, tuple)) else [v] for k, v in values.items()}
    inside = ",".join(f"{k}={','.join(quoted(one) for one in v)}" for k, v in listed.items())
    return selectors.named(f"{name}[{inside}]" if inside else name, shown)


def _is_plain(value: Any) -> bool:
    """Whether a parameter of a selector can have this value, or these values."""
    many = value if isinstance(value, (list, tuple)) and value else [value]
    return all(isinstance(one, (str, int, float, bool, os.PathLike)) for one in many)


def _train(value: Any) -> str:
    """One text for every way to write the same ``train``, since it is a part of a cell's key."""
    kind, amount = stream.parse_train(str(value))
    return "all" if kind == "all" else f"{amount:g}" if kind == "share" else f"{amount:.0f}"


def _cast(name: str, value: Any, kind: type) -> Any:
    if name == "train":
        return _train(value)
    if name == "schedule" and isinstance(value, str):
        return runbook.named(value)
    if name in axes.CANONICAL:
        return axes.CANONICAL[name](str(value))
    value = foreign.exact(value)
    if name == "device" and hasattr(value, "type") and hasattr(value, "index"):
        value = str(value)  # torch.device
    if kind is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and kind is not str:
        with suppress(ValueError):
            return params.number(value, kind)
    if name in ("methods", "datasets"):
        if isinstance(value, Mapping):
            return _selector(name, value)
        if isinstance(value, type):
            return defined.add(value, places.cache() / "classes")
        if isinstance(value, Arrays):
            return _selector(name, value.table())
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = {int: "a whole number", float: "a number", str: "text"}[kind]
        raise ParameterError(f"{name} must be {wanted}; got {value!r}.")
    return value
