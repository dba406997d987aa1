"""Sets one number of threads for every library with a thread pool.

Pools of numpy, scipy, torch and numba compete for the same cores; one thread each is faster in a
sweep, and codes then do not depend on the number of cells that run at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """CPUs that this process may use: within its affinity, its container and ``LOKY_MAX_CPU_COUNT``."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def limit(threads: int) -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to ``threads``, whether they are loaded yet or not."""
    from threadpoolctl import threadpool_limits

    before = {v: os.environ.get(v) for v in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, str(threads)))  # for what is imported later
    torch = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch is not None else None
    try:
        if torch is not None:
            torch.set_num_threads(threads)
        with threadpool_limits(limits=threads):
            yield
    finally:
        for variable, value in before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        if torch is not None and torch_before is not None:
            torch.set_num_threads(torch_before)
