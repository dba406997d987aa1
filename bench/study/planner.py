"""From a study to planned cells. A planner looks up, loads and cuts everything at most once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import ParameterError, UnknownNameError
from bench.records import AXES, SINCE, RunSpec, Schedule, selector
from bench.study import passes, selectors
from bench.study.planned import PlannedCell, PlannedData, PlannedStream
from bench.study.selectors import Plugin, Selected
from bench.study.study import Study

_SHAPES_STREAM = ("schedule", "seed", "pool", "val", *SINCE)


class Planner:
    """Makes the cells of one study or of several, which share plugins, datasets and streams."""

    def __init__(self) -> None:
        self._plugins: dict[tuple[str, str], Plugin] = {}
        self._data: dict[tuple[str, Path], PlannedData] = {}
        self._streams: dict[tuple[Any, ...], PlannedStream] = {}

    def cells(self, study: Study) -> list[PlannedCell]:
        """Every cell of a study, or of its shard, checked as far as it can be without data.

        Cells that only differ in what a method does not use are one cell: the pool, where a
        method has no offline stage and the pool takes nothing out of the stream.
        """
        study.add_plugins()
        study.check()
        methods = [_on_device(chosen, study.device) for chosen in self.select("method", study.methods)]
        datasets = [
            (self.data(chosen.plugin.name, chosen.params, study.data_folder), chosen.shown)
            for chosen in self.select("dataset", study.datasets)
        ]
        return passes.shard(self._cross(study, methods, datasets), study.shard)

    def variant(
        self, study: Study, cell: PlannedCell, values: Mapping[str, Any], axes: Mapping[str, Any]
    ) -> PlannedCell:
        """A cell of the study with other parameters and other values on axes, checked."""
        for name in axes:
            if name not in AXES:
                raise UnknownNameError("axis of a study", name, AXES)
        spec = cell.spec
        same = {name: getattr(spec, name) for name in AXES if name != "schedule"}
        one = study.but(bits=spec.bits, seeds=[spec.seed], **{"schedule": spec.schedule.form, **same, **axes})
        one.check()
        merged = {**spec.params, **values}
        params = cell.plugin.differing({name: merged[name] for name in sorted(merged)})
        shown = spec.method_shown if params == spec.params else ""
        cells = self._cross(one, [Selected(cell.plugin, params, shown)], [(cell.data, spec.dataset_shown)])
        if len(cells) != 1:
            given = ", ".join(f"{name}={value}" for name, value in axes.items())
            raise ParameterError(f"a variant of a cell is one cell; {given} makes {len(cells)}.")
        return cells[0]

    def cell(self, spec: RunSpec, root: Path) -> PlannedCell:
        """The cell of a stored record; ``root`` is the folder of the data files."""
        data = self.data(spec.dataset, spec.dataset_params, root)
        return PlannedCell(spec, self.plugin("method", spec.method), self._stream(data, spec))

    def data(self, name: str, options: Mapping[str, Any], root: Path) -> PlannedData:
        """A dataset; nothing is loaded yet."""
        key = selector(name, options), root
        if key not in self._data:
            self._data[key] = PlannedData(self.plugin("dataset", name), options, root)
        return self._data[key]

    def select(self, kind: str, texts: Iterable[str]) -> list[Selected]:
        """The selected plugins, by :func:`bench.study.selectors.expand`."""
        return selectors.expand(kind, texts, self.plugin)

    def plugin(self, kind: str, name: str) -> Plugin:
        return self._plugins.setdefault((kind, name), Plugin(kind, name))

    def _stream(self, data: PlannedData, spec: RunSpec) -> PlannedStream:
        key = (str(data), data.root, *(getattr(spec, name) for name in _SHAPES_STREAM))
        return self._streams.setdefault(key, PlannedStream(data, spec))

    def _cross(
        self, study: Study, methods: Sequence[Selected], datasets: Sequence[tuple[PlannedData, str]]
    ) -> list[PlannedCell]:
        """The cells of every method on every dataset with its name, at all that the study varies."""
        for (plugin, params, _), bits in itertools.product(methods, study.bits):
            plugin.cls(bits=bits, **params)  # it refuses bits or values here, before a run
        cells: dict[str, PlannedCell] = {}
        axes = itertools.product(study.database, study.pool, *(getattr(study, name) for name in SINCE))
        grid = itertools.product(datasets, axes, methods, study.bits, study.seeds)
        for (data, data_shown), (database, pool, *newer), chosen, bits, seed in grid:
            plugin, params, shown = chosen
            uses_pool = plugin.cls.capabilities.pool or pool.startswith("separate")
            for text in study.schedule or (data.plugin.cls.schedule,):
                schedule = Schedule.parse(text, study.last)
                spec = RunSpec(
                    method=plugin.name,
                    dataset=data.plugin.name,
                    bits=bits,
                    schedule=schedule,
                    seed=seed,
                    database=database,
                    pool=pool if uses_pool else "none",
                    val=study.val,
                    evaluate="all" if schedule.steps else study.evaluate,  # its own steps say when
                    directions=study.directions,  # type: ignore[arg-type]  # checked by Study.check
                    params=params,
                    dataset_params=data.options,
                    method_shown=shown,
                    dataset_shown=data_shown,
                    **dict(zip(SINCE, newer, strict=True)),
                )
                cells.setdefault(spec.key, PlannedCell(spec, plugin, self._stream(data, spec)))
        return list(cells.values())


def _on_device(chosen: Selected, device: str) -> Selected:
    """With the study's device, where the method has one and its selector does not name another."""
    known = chosen.plugin.parameters
    if device and "device" in known and device != known["device"].default:
        return chosen._replace(params={"device": device, **chosen.params})
    return chosen
