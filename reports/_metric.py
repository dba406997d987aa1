"""What a score is, in the words that every caption shares; and whether records have it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from bench.errors import BenchError, ParameterError
from bench.records import RunRecord

_NAMES = {"map": "mAP", "precision": "P", "recall": "R", "ndcg": "NDCG", "chance": "chance level"}
WITHIN_RADIUS = (  # of precision and recall within a Hamming radius
    "a radius holds all items of a distance: no ties to break; a query that finds nothing has precision 0",
    "chance level: the precision at the largest radius (recall 1), which holds the whole database",
)


def metric_title(name: str) -> str:
    """A metric as it is printed.

    >>> [metric_title(name) for name in ("map", "map@50:hits", "precision@r2")]
    ['mAP', 'mAP@50:hits', 'P@radius≤2']
    """
    base, rest = re.fullmatch("([^@:]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return _NAMES.get(base, base) + re.sub("^@r(?=[0-9])", "@radius≤", rest)


def definition(name: str) -> str:
    """A metric with its definition and its ties, if it is one of ours; a stored one may be a plugin's."""
    from bench.metrics import parse_metric

    title = metric_title(name)
    if name == "map":
        return f"{title} over all database items, tie-aware (expected over the orders of tied items)"
    try:
        words = parse_metric(name).description
    except BenchError:
        return title
    ties = ", over the orders of tied items" if words.startswith("expected") else ""
    return f"{title} ({words}{ties})"


def chance_name(metric: str) -> str:
    """The metric that is the chance level of another, or "": they are stored for map and map@R.

    >>> [chance_name(name) for name in ("map", "map@50", "precision@50")]
    ['chance', 'chance@50', '']
    """
    plain = re.fullmatch("map(@[0-9]+)?", metric)
    return "chance" + (plain[1] or "") if plain else ""


def check_metric(records: Sequence[RunRecord], metric: str) -> None:
    """Raise if a cell with numbers lacks the metric: a gap would look as if it had not been run."""

    def lacks(record: RunRecord) -> bool:
        return (
            not record.reference
            and any(  # a radius in bits says nothing of real-valued vectors
                f"{metric}/{d}" not in r.metrics for r in record.rounds[-1:] for d in record.spec.directions
            )
        )

    lacking = [r for r in records if lacks(r)]
    if lacking:
        raise ParameterError(
            f"no stored metric {metric!r} in {len(lacking)} of {len(records)} cells ({lacking[0].spec}); "
            f"run `bench rescore --metric {metric}`."
        )


def short(value: float) -> str:
    """Three decimals without the leading zero: ``.712``, ``1.000``."""
    if math.isnan(value):
        return "n/a"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text
