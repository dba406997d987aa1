"""Everything that the author of a report imports: results, tables, figures, statistics, records and errors.

A report is a function ``render(results, *, …options)`` that returns a :class:`Table`, a :class:`Figure`, or
anything that ``str()`` makes readable.

May import: contract, data, disk, errors, isolation, metrics, plugins, printing, progress, records, scoring,
units.
"""

from __future__ import annotations

from bench.contract.items import MODALITIES, Modality
from bench.contract.method import Method, fidelity
from bench.disk.reading import read_toml
from bench.errors import (
    BenchError,
    ContractError,
    DataError,
    FileError,
    ParameterError,
    StoreError,
    UnknownNameError,
)
from bench.metrics import mean, parse_metric, per_query, pr_curve
from bench.records import (
    AXES,
    DATABASES,
    DIRECTIONS,
    FIDELITIES,
    REFERENCES,
    Contrast,
    Direction,
    RoundRecord,
    RunRecord,
    RunSpec,
    Schedule,
    heading,
    kind_of,
    origin,
    selector,
)
from bench.reporting.crossed import POWER
from bench.reporting.evidence import Evidence, Health, Search, Values
from bench.reporting.figures import Figure, Plot
from bench.reporting.metric import WITHIN_RADIUS, chance_name, check_metric, definition, metric_title, short
from bench.reporting.options import Metric
from bench.reporting.panels import (
    BASELINE,
    Axes,
    Curve,
    Panel,
    columns_of,
    draw_curve,
    draw_panels,
    lines,
    parts,
)
from bench.reporting.protocol import (
    BREACH,
    DIRECTION_NAMES,
    FUTURE,
    NO_RECORDS,
    PARALLEL,
    PARALLEL_NOTE,
    STALE,
    Protocol,
    breaches,
    by_dataset,
    by_label,
    by_row,
    chance_level,
    clock,
    clock_line,
    dataset_of,
    evaluation,
    grouped,
    parallel,
    part_name,
    protocols,
    reasons,
)
from bench.reporting.results import Results
from bench.reporting.significance import (
    CONFIDENCE,
    LEAST_SEEDS,
    LEVEL,
    Comparison,
    Ranks,
    bootstrap,
    compare_all,
    holm,
    ranks,
)
from bench.reporting.style import PAGE_WIDTH, Look, by_direction, grid, label_edges, legend, log_ticks
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.units import digits, duration, size

# a report and its options
__all__ = ["Block", "Column", "Entry", "Figure", "Metric", "Plot", "Row", "Table"]
# what it reads
__all__ += ["Contrast", "Direction", "Evidence", "Health", "Method", "Modality", "Results", "RoundRecord"]
__all__ += ["RunRecord", "RunSpec", "Schedule", "Search", "Values", "dataset_of", "grouped", "origin"]
__all__ += [
    "AXES",
    "DATABASES",
    "DIRECTIONS",
    "FIDELITIES",
    "MODALITIES",
    "REFERENCES",
    "heading",
    "selector",
]
__all__ += ["fidelity", "kind_of", "read_toml"]
# which records stand together, and the text around them
__all__ += ["Protocol", "breaches", "by_dataset", "by_label", "by_row", "parallel", "protocols", "reasons"]
__all__ += ["evaluation"]
__all__ += ["BREACH", "DIRECTION_NAMES", "FUTURE", "NO_RECORDS", "PARALLEL", "PARALLEL_NOTE", "STALE"]
__all__ += ["clock", "clock_line", "digits", "duration", "size"]
# metrics
__all__ += ["chance_level", "chance_name", "check_metric", "definition", "mean", "metric_title"]
__all__ += ["WITHIN_RADIUS", "parse_metric", "per_query", "pr_curve", "short"]
# statistics
__all__ += ["CONFIDENCE", "LEAST_SEEDS", "LEVEL", "POWER", "Comparison", "Ranks", "bootstrap", "compare_all"]
__all__ += ["holm", "ranks"]
# figures
__all__ += ["BASELINE", "PAGE_WIDTH", "Axes", "Curve", "Look", "Panel", "by_direction", "columns_of"]
__all__ += ["draw_curve", "draw_panels", "grid", "label_edges", "legend", "lines", "log_ticks"]
__all__ += ["part_name", "parts"]
# errors
__all__ += ["BenchError", "ContractError", "DataError", "FileError", "ParameterError", "StoreError"]
__all__ += ["UnknownNameError"]
