"""Run docs/notebook.ipynb and keep its output: `python docs/notebook.py` (needs nbclient and ipykernel).

The cells are edited in the notebook itself. Results and cache lie in a folder that is removed afterwards.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbclient
import nbformat

PAGE = Path(__file__).resolve().with_name("notebook.ipynb")


def execute(page: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the output of its cells, which run in ``folder``; raises at the first error."""
    notebook = nbformat.read(page, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(folder))
    return notebook


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BENCH_CACHE"] = f"{scratch}/cache"
        nbformat.write(execute(PAGE, Path(scratch)), PAGE)
