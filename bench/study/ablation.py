"""An ablation: the full method and its variants, as ordinary cells, and which cell stands against which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.contract.method import Variant
from bench.errors import ParameterError, UnknownNameError
from bench.plugins import registry
from bench.records import Contrast, RunSpec
from bench.study.study import Study


@dataclass(frozen=True, slots=True)
class Ablation:
    """The cells to run, each once, and the rows of the table."""

    cells: list[RunSpec]
    contrasts: list[Contrast]


def plan(study: Study, names: Sequence[str] | None = None) -> Ablation:
    """The cells of a study of one method, and those of its variants (those in ``names``; None: all).

    A variant differs from the full method in its parameters and in axes of the study; everything
    else, seed included, is the same, so that cells can be compared query by query.
    """
    full = study.cells()
    methods = {cell.label: cell.method for cell in full}
    if len(methods) != 1:
        raise ParameterError(f"an ablation is of one method; got {', '.join(methods)}. Run it once for each.")
    [method] = methods.values()
    variants = _chosen(method, names)
    cells = {cell.key: cell for cell in full}
    contrasts = []
    for name, variant in variants.items():
        found = {cell.key: study.variant(cell, variant.params, variant.run) for cell in full}
        cells.update({cell.key: cell for cell in found.values()})
        contrasts.append(
            Contrast(
                name=name,
                isolates=variant.isolates,
                setting=variant.setting,
                pairs={key: cell.key for key, cell in found.items()},
            )
        )
    return Ablation(list(cells.values()), contrasts)


def _chosen(method: str, names: Sequence[str] | None) -> dict[str, Variant]:
    known = registry.get("method", method).variants
    if not known:
        raise ParameterError(
            f"method {method!r} declares no variants, so there is nothing to ablate. Its author lists them "
            f"in Method.variants; `bench sweep {method} --grid …` compares values of any parameter."
        )
    chosen = known if names is None else names
    if not chosen:
        raise ParameterError("variants is empty. Name at least one, or leave it out for all.")
    for name in chosen:
        if name not in known:
            raise UnknownNameError(f"variant of {method}", name, known)
    return {name: known[name] for name in chosen}
