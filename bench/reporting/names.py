"""Names of methods and datasets that are shown: the same for one setting, and different for two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench.records import RunRecord, RunSpec, dataset_heading, heading, selector

Setting = tuple[Any, ...]  # a name and the values that differ from the defaults, in order
Title = Callable[[str, dict[str, Any], int], str]


def distinct(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The records, with names to show that tell settings apart.

    A setting that was named in some of its records has that name in all of them. A name that two settings
    have is dropped. Equal headings get as much of their paths as tells them apart.
    """
    specs = distinct_specs([record.spec for record in records])
    return [r if r.spec is spec else replace(r, spec=spec) for r, spec in zip(records, specs, strict=True)]


def distinct_specs(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The same for cells that may not have run yet."""
    methods = _names(heading, ((_method(spec), spec.method_shown) for spec in specs))
    datasets = _names(dataset_heading, ((_dataset(spec), spec.dataset_shown) for spec in specs))
    return [_shown_as(spec, methods[_method(spec)], datasets[_dataset(spec)]) for spec in specs]


def _method(spec: RunSpec) -> Setting:
    return (spec.method, *sorted(spec.params.items()))


def _dataset(spec: RunSpec) -> Setting:
    return (spec.dataset, *sorted(spec.dataset_params.items()))


def _names(title: Title, given: Iterable[tuple[Setting, str]]) -> dict[Setting, str]:
    """The name to show of every setting; "" for its usual heading, which ``title`` makes."""
    counts: dict[Setting, Counter[str]] = {}
    for setting, name in given:
        counts.setdefault(setting, Counter())[name] += 1
    plain = {setting: title(setting[0], dict(setting[1:]), 1) for setting in counts}
    names = {setting: _usual(listed) or plain[setting] for setting, listed in counts.items()}
    deepest = max((len(re.findall(r"[/\\]", str(v))) for s in names for _, v in s[1:]), default=0) + 1
    for parts in range(1, deepest + 2):
        uses = Counter(names.values())
        for setting in [setting for setting, name in names.items() if uses[name] > 1]:
            name, values = setting[0], dict(setting[1:])
            names[setting] = title(name, values, parts) if parts <= deepest else selector(name, values)
    return {setting: "" if name == plain[setting] else name for setting, name in names.items()}


def _usual(names: Counter[str]) -> str:
    """The name that most records have, among equals the first of the alphabet; "" where none has one."""
    given = sorted((-count, name) for name, count in names.items() if name)
    return given[0][1] if given else ""


def _shown_as(spec: RunSpec, method: str, dataset: str) -> RunSpec:
    if (spec.method_shown, spec.dataset_shown) == (method, dataset):
        return spec
    return replace(spec, method_shown=method, dataset_shown=dataset)
