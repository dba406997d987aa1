"""How a metric is named, defined and printed, the same in every caption; and whether records have it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from bench.errors import BenchError, ParameterError
from bench.metrics import parse_metric
from bench.records import RunRecord

_NAMES = {"map": "mAP", "precision": "P", "recall": "recall", "hit": "hit", "mrr": "MRR", "ndcg": "NDCG"}
_NAMES |= {"chance": "chance level"}
WITHIN_RADIUS = (  # of precision and recall within a Hamming radius
    "a radius includes all items at a distance: no ties to break; a query that finds nothing has precision 0",
    "chance level: the precision at the largest radius (recall 1), which includes the whole database",
)


def metric_title(name: str) -> str:
    """A metric as it is printed.

    >>> [metric_title(name) for name in ("map", "map@50:hits", "precision@r2")]
    ['mAP', 'mAP@50:hits', 'P@radius≤2']
    """
    base, rest = re.fullmatch("([^@:]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return _NAMES.get(base, base) + re.sub("^@r(?=[0-9])", "@radius≤", rest)


def definition(name: str) -> str:
    """A metric with its definition and its ties; only its title if it is unknown, as a plugin's may be."""
    title = metric_title(name)
    if name == "map":
        return f"{title} without a cutoff, tie-aware (expected over the orders of tied items)"
    try:
        description = parse_metric(name).description
    except BenchError:
        return title
    ties = ", over the orders of tied items" if description.startswith("expected") else ""
    return f"{title} ({description}{ties})"


def chance_name(metric: str) -> str:
    """The metric that is the chance level of another, or "": they are stored for map and map@R.

    >>> [chance_name(name) for name in ("map", "map@50", "precision@50")]
    ['chance', 'chance@50', '']
    """
    plain = re.fullmatch("map(@[0-9]+)?", metric)
    return "chance" + (plain[1] or "") if plain else ""


def check_metric(records: Iterable[RunRecord], metric: str) -> None:
    """Raise ParameterError if a cell with numbers lacks the metric: a gap would look like a cell not run."""
    records = list(records)
    lacking = [
        record
        for record in records
        if not record.reference
        and record.compares_codes  # else a radius in bits says nothing
        and any(f"{metric}/{d}" not in r.metrics for r in record.rounds[-1:] for d in record.spec.directions)
    ]
    if lacking:
        parse_metric(metric)  # an error of its own where `bench rescore` could not add it
        raise ParameterError(
            f"no stored metric {metric!r} in {len(lacking)} of {len(records)} cells ({lacking[0].spec}). "
            f"Run `bench rescore --metric {metric}`."
        )


def short(value: float, *, signed: bool = False) -> str:
    """Three decimals without the leading zero; ``signed`` adds a plus. Zero has no sign.

    >>> [short(value) for value in (0.7119, 1.0, -0.4)], [short(v, signed=True) for v in (0.0123, -0.0001)]
    (['.712', '1.000', '−.400'], ['+.012', '.000'])
    """
    if math.isnan(value):
        return "n/a"
    text = f"{abs(value):.3f}".removeprefix("0")
    sign = "" if text == ".000" else "−" if value < 0 else "+" if signed else ""
    return sign + text
