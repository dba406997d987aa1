"""Benchmark harness for online cross-modal hashing.

>>> import bench
>>> results = bench.run(methods="lcdh,ukd", bits=[16, 32])  # doctest: +SKIP
>>> results.table()  # doctest: +SKIP
"""

import os

# OpenBLAS threads spin after a call and slow whatever comes next (docs/design.md, "Threads").
# The variable counts only where it is set before numpy is imported.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

__version__ = "0.2.0"

# In a checkout the top-level folders methods/, datasets/ and reports/ are the packages
# bench.methods, bench.datasets and bench.reports. A wheel has them inside bench/ already
# (pyproject.toml, [tool.hatch.build.targets.wheel.sources]).
_checkout = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
if os.path.isfile(os.path.join(_checkout, "pyproject.toml")):  # noqa: PTH113, PTH118
    __path__.append(_checkout)

TYPE_CHECKING = False  # not that of typing, which takes a while to import (bench/cli/__main__.py)
if TYPE_CHECKING:
    from bench import metrics as metrics
    from bench.api import Batch as Batch
    from bench.api import BenchError as BenchError
    from bench.api import Capabilities as Capabilities
    from bench.api import Chunk as Chunk
    from bench.api import Dataset as Dataset
    from bench.api import DatasetSource as DatasetSource
    from bench.api import Method as Method
    from bench.api import Source as Source
    from bench.api import Split as Split
    from bench.api import param as param
    from bench.api import sign as sign
    from bench.checks.suite import check_method as check_method
    from bench.data.memory import arrays as arrays
    from bench.models import load as load
    from bench.results import Results as Results
    from bench.running.sweep import run as run

# The module of each public name, imported when the name is first used: `bench list` needs no torch.
_API = (
    *("Batch", "BenchError", "Capabilities", "Chunk", "Dataset", "DatasetSource", "Method", "Source"),
    *("Split", "param", "sign"),
)
_HOMES = {
    **dict.fromkeys(_API, "bench.api"),
    "Results": "bench.results",
    "arrays": "bench.data.memory",
    "check_method": "bench.checks.suite",
    "load": "bench.models",
    "metrics": "bench.metrics",
    "run": "bench.running.sweep",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would take every name for one that __getattr__ knows

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'bench' has no attribute {name!r}")
        import importlib  # slow, and a Ctrl-C before bench.cli.__main__ handles it shows a traceback

        home = importlib.import_module(_HOMES[name])
        return home if name == "metrics" else getattr(home, name)
