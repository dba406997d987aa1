"""What `import bench` offers is the same to dir(), to a type checker, and when it runs."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from pathlib import Path
from typing import assert_type

import numpy as np

import bench
from bench.api import Codes
from bench.study.options import Options
from bench.study.study import Study


def test_dir_names_what_is_public_and_nothing_else() -> None:
    assert dir(bench) == sorted(bench.__all__)


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse(Path(bench.__file__).read_text(encoding="utf-8"))
    [block] = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == set(bench.__all__)


def test_help_and_completion_name_every_option_of_a_study() -> None:
    options = {field.name for field in fields(Study)}
    assert set(Options.__annotations__) == options
    assert options < set(inspect.signature(bench.run).parameters)


def test_type_checkers_see_the_types_of_what_is_public() -> None:
    """mypy checks both lines; only the second costs nothing to run."""

    def run() -> bench.Results:
        return assert_type(bench.run(methods="lcdh"), bench.Results)

    assert assert_type(bench.sign(np.ones(2)), Codes).tolist() == [1, 1]
