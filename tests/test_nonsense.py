"""Selectors, folders and options that make no sense end with exit code 2 and one line that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main

FILES = {
    "data/empty.npz": b"",
    "data/noise.mat": bytes(range(7, 200)),
    "data/page.npz": b"<html><body>404</body></html>",
    "data/other.json": b"{}",
    "data/rsicd/dataset_rsicd.json": b"[1, 2",
    "data/xmedia/img_database.npy": b"no",
    "data/openclipart/usr/share/openclipart/svg/note": b"",
    "data/roco/data/train/radiology/note": b"",
    "file": b"",
}
SAID = {  # words of a command, and what its message must contain
    "info nosuch": "no plugin named 'nosuch'",
    "info 🦄": "no plugin named '🦄'",
    "info wiki[": "no closing bracket",
    "info wiki[features]": "'features' is not parameter=value",
    "info wiki[features=purple]": "features must be one of owners, views; got 'purple'",
    "info files[path='data]": "a quote is not closed",
    "info files[path=data/empty.npz]": "is empty (0 bytes)",
    "info files[path=data/noise.mat]": "cannot be read",
    "info files[path=data/page.npz]": "is a web page",
    "info files[path=data/other.json]": "is JSON, which is not read",
    "info files[path=nowhere]": "no such file or folder",
    "info synthetic[n=-5]": "n must be int in [1, inf); got '-5'",
    "info synthetic[n=1e400]": "n must be int in [1, inf); got '1e400'",
    "info synthetic[n=2,n=3]": "n is given twice",
    "info xmedia[bogus=1]": "no parameter of xmedia named 'bogus'",
    "info xmedia --data-root data": "cannot read data/xmedia/texts_database.npy",
    "info rsicd --data-root file": "data folder file: is a file; expected a folder",
    "data info nosuch": "no dataset named 'nosuch'",
    "data info rsicd[image=]": "view '': expected an encoder or a network",
    "data info openclipart[queries=many]": "queries must be int in [1, inf); got 'many'",
    "data prepare synthetic": "there is nothing to prepare",
    "data prepare rsicd --data-root data": "is not A. Karpathy's list of captions and splits",
    "data prepare roco --data-root data": "no train/radiology/captions.txt",
    "data prepare openclipart --data-root data": "png: no such folder; expected the files of openclipart-png",
    "data prepare openclipart --data-root file": "data folder file: is a file; expected a folder",
    "data prepare scenes[n=20,queries=5] --views ,,": "--views ',,' names no view",
    "data prepare scenes[n=20,queries=5] --views hog:purple": "view 'hog:purple': has too many arguments",
    "data prepare scenes[n=20,queries=5] --views nosuchview": "named 'nosuchview'",
    "data prepare scenes[n=20,queries=5] --views clip:/no/folder": "has no open_clip_config.json",
    "data prepare scenes[n=20,queries=5] --device toaster": "device 'toaster'",
    "data get nosuch": "no dataset named 'nosuch'",
    "data get synthetic": "lists no files to download",
    "data get openclipart[queries=-1]": "queries must be int in [1, inf); got '-1'",
    "data get openclipart --data-root file": "data folder file: is a file; expected a folder",
}


@pytest.mark.parametrize("command", SAID)
def test_nonsense_ends_with_exit_code_2_and_the_reason(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    assert main(command.split(" ")) == 2
    out, err = capsys.readouterr()
    assert SAID[command] in (out + err).splitlines()[-1]
