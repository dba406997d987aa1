"""Files are read without being believed: kind, size, encoding and depth are checked."""

from __future__ import annotations

import json
import os
import pickle
import socket
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bench.disk import reading
from bench.errors import FileError


def reason(read: object, path: Path, *more: object) -> str:
    assert callable(read)
    with pytest.raises(FileError) as caught:
        read(path, *more)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    return caught.value.reason


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert reading.read_bytes(tmp_path / "a", 3) == b"abc"


def test_a_longer_file_than_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abcd")
    assert reason(reading.read_bytes, tmp_path / "a", 3) == "it is longer than 3 bytes"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    for read in (reading.read_bytes, reading.read_json, reading.read_toml, reading.map_array):
        assert "it is a named pipe; expected a file" in reason(read, tmp_path / "a")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_an_endless_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/dev/zero")
    assert reason(reading.read_bytes, tmp_path / "a") == "it is a device; expected a file"


def test_a_socket_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as one:  # of a short name
        one.bind(f"{folder}/a")
        assert reason(reading.read_bytes, Path(folder, "a")) == "it is a socket; expected a file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert reason(reading.read_bytes, tmp_path) == "it is a folder; expected a file"


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    assert "levels of symbolic links" in reason(reading.read_bytes, tmp_path / "a")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert "it cannot be read" in reason(reading.read_bytes, Path(name))


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{" * 9, b"[" * 200_000, b"9" * 5000]
)
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert "not JSON" in reason(reading.read_json, tmp_path / "a") or content.startswith(b"\xff")


def test_json_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"é": 1}', encoding="latin-1")
    assert "it is not UTF-8" in reason(reading.read_json, tmp_path / "a")


@pytest.mark.parametrize("nest", [lambda x: [x], lambda x: {"a": x}])
def test_json_is_nested_to_a_bounded_depth(tmp_path: Path, nest: object) -> None:
    assert callable(nest)
    value: object = 1
    for _ in range(reading.DEPTH):
        value = nest(value)
    (tmp_path / "a").write_text(json.dumps(value))
    assert reading.read_json(tmp_path / "a") == value
    (tmp_path / "a").write_text(json.dumps(nest(value)))
    assert reason(reading.read_json, tmp_path / "a") == "it is nested more than 64 levels deep"


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\udfff": 1}'])
def test_half_a_character_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    assert "cannot be printed" in reason(reading.read_json, tmp_path / "a")


@pytest.mark.parametrize(
    "text", ["a", "a = 1\na = 2", "a = " + "[" * 100_000, "a = " + "9" * 5000, "\ufeffa = 1"]
)
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text, encoding="utf-8")
    assert "it is not TOML" in reason(reading.read_toml, tmp_path / "a")


def test_a_key_of_many_parts_is_refused_before_it_takes_hours(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("[" + ".".join("a" * 100_000) + "]")
    assert reason(reading.read_toml, tmp_path / "a") == "it has a line with more than 500 dots"


def test_toml_is_nested_to_a_bounded_depth(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(".".join("a" * 65) + " = 1")
    assert "nested more than 64" in reason(reading.read_toml, tmp_path / "a")


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), ()])
def test_an_array_is_mapped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.ones(shape, np.float32))
    mapped = reading.map_array(tmp_path / "a.npy")
    assert mapped.shape == shape and not mapped.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-1],
        lambda b: b + b"x",
        lambda b: b"PK\3\4" + b[4:],
        lambda b: b[:20],
        lambda b: b.replace(b"(3, 4)", b"(3,-4)"),
        lambda b: b.replace(b"<f4", b"|O8"),
        lambda b: b.replace(b"(3, 4)", b"(((((("),
    ],
)
def test_an_array_that_does_not_fit_its_header_is_refused(tmp_path: Path, change: object) -> None:
    assert callable(change)
    np.save(tmp_path / "a.npy", np.ones((3, 4), np.float32))
    (tmp_path / "a.npy").write_bytes(change((tmp_path / "a.npy").read_bytes()))
    assert reason(reading.map_array, tmp_path / "a.npy")


def test_the_error_keeps_its_reason_between_processes(tmp_path: Path) -> None:
    error = pickle.loads(pickle.dumps(FileError(tmp_path, "it is a folder")))
    assert (str(error), error.reason) == (f"{tmp_path}: it is a folder", "it is a folder")
