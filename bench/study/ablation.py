"""An ablation: the full method and its variants as ordinary cells, and the pairs of cells to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.contract.method import Variant
from bench.errors import ParameterError, UnknownNameError
from bench.records import Contrast
from bench.study.planned import PlannedCell
from bench.study.planner import Planner
from bench.study.selectors import Plugin
from bench.study.study import Study


@dataclass(frozen=True, slots=True)
class Ablation:
    """The cells to run, each once, and the rows of the table."""

    cells: list[PlannedCell]
    contrasts: list[Contrast]


def plan(planner: Planner, study: Study, names: Sequence[str] | None = None) -> Ablation:
    """The cells of a study of one method, and those of its variants (those in ``names``; None: all).

    A variant differs from the full method in its parameters and in axes of the study; everything
    else, seed included, is the same, so that cells can be compared query by query.
    """
    full = planner.cells(study)
    labels = list(dict.fromkeys(cell.spec.label for cell in full))
    if len(labels) != 1:
        raise ParameterError(f"an ablation takes one method; got {', '.join(labels)}. Run it once for each.")
    cells = {cell.spec.key: cell for cell in full}
    contrasts = []
    for name, variant in _chosen(full[0].plugin, names).items():
        pairs = {}
        for cell in full:
            changed = planner.variant(study, cell, variant.params, variant.run)
            cells[changed.spec.key] = changed
            pairs[cell.spec.key] = changed.spec.key
        about = {"isolates": variant.isolates, "setting": variant.setting, "code": variant.code}
        contrasts.append(Contrast(name=name, pairs=pairs, **about))
    return Ablation(list(cells.values()), contrasts)


def _chosen(method: Plugin, names: Sequence[str] | None) -> dict[str, Variant]:
    known = method.cls.variants
    if not known:
        raise ParameterError(
            f"method {method.name!r} declares no variants, so there is nothing to ablate. Its author lists "
            f"them in Method.variants; `bench sweep {method.name} --grid …` compares values of any parameter."
        )
    chosen = known if names is None else names
    if not chosen:
        raise ParameterError("variants is empty. Name at least one, or leave it out for all.")
    for name in chosen:
        if name not in known:
            raise UnknownNameError(f"variant of {method.name}", name, known)
    return {name: known[name] for name in chosen}
