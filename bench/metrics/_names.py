"""Names of metrics as papers write them, in the form of this package: ``mAP@50`` is ``map@50``."""

from __future__ import annotations

import re

from bench.errors import ParameterError
from bench.plugins import registry

_ALIASES = {
    **dict.fromkeys(("ap", "average_precision", "mean_average_precision", "mean_ap"), "map"),
    **dict.fromkeys(("p", "prec", "topn_precision", "topk_precision", "top_n_precision"), "precision"),
    "rec": "recall",
    **dict.fromkeys(("hits", "hr", "hit_rate", "hitrate", "success"), "hit"),
}


def canonical(name: str) -> str:
    """The name that records and tables use; an unknown one is returned as it is.

    Raises ParameterError for ``R@K``, which is recall to some and the hit rate to others.

    >>> [canonical(name) for name in ("mAP@50", "P@100", "mAP@all", "P@radius≤2", "Hit@1")]
    ['map@50', 'precision@100', 'map', 'precision@r2', 'hit@1']
    """
    plain = re.sub(r"\(\s*all\s*\)$", "", name.strip(), flags=re.IGNORECASE)  # mAP (all)
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)  # mAP@5,000
    base, at, rest = re.sub(r"\s*@\s*", "@", plain.strip()).partition("@")
    known = registry.names("metric")
    if base.partition(":")[0] in known:
        return _cut(base + at + rest.lower())
    base, colon, variant = re.sub("[- ]", "_", base.lower()).partition(":")
    cut = _cut(at + rest.lower())
    if base == "r" and not colon and re.fullmatch("@[0-9]+", cut):
        raise ParameterError(
            f"metric {name!r} has two meanings: in image–text retrieval hit{cut} (whether a relevant item is "
            f"among the first {cut[1:]}), elsewhere recall{cut} (the share of relevant items that are). "
            "Write one of the two."
        )
    found = "recall" if base == "r" and cut.startswith("@r") else _ALIASES.get(base, base)
    return f"{found}{colon}{variant}{cut}" if found in known else name


def _cut(text: str) -> str:
    """``@all``, ``@top50``, ``@5k`` and ``@radius≤2`` as ``""``, ``@50``, ``@5000`` and ``@r2``."""
    text = re.sub(r"@(all|n)(?![a-z0-9_])", "", text)
    text = re.sub(r"@top[-_ ]?(?=[0-9])", "@", text)
    text = re.sub(r"@([0-9]+)[kK](?![a-z0-9_])", r"@\g<1>000", text)
    return re.sub(r"@(?:radius|r|h|hamming)\s*(?:≤|<=|=)?\s*(?=[0-9])", "@r", text)
