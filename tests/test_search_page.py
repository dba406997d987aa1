"""The blocks of docs/search.md run as they are printed: from a stream to an index that grows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _blocks() -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / "docs" / "search.md").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_every_block_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    command = tmp_path / "bin" / "bench"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench.cli "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    printed = []
    for language, code in _blocks():
        words = ["sh", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
        ran = subprocess.run(
            words, cwd=tmp_path, env=environment, timeout=300, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{code}\n{ran.stdout}\n{ran.stderr}"
        printed.append(ran.stdout)
    everything = "\n".join(printed)
    assert "wrote texts.codes.npy: 5 text items, 64 bits each" in everything
    assert "take lemon at 64 bits with" in everything
    assert (tmp_path / "grown.faiss").is_file()
