"""Downloads from a local server that cuts off, stalls, moves and changes files."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.api import Card, Expected
from bench.data import download
from bench.data.download import Patience
from bench.errors import DataError, StoreError

CONTENT = np.random.default_rng(0).bytes(500_000)
SUM = hashlib.sha256(CONTENT).hexdigest()
CARD = Card(name="it", title="It", sources=("https://example.org/it",), licence="none", citation="nobody")
PATIENT, IMPATIENT = (Patience(stall=seconds, pause=0.0) for seconds in (60.0, 0.3))


class Server(ThreadingHTTPServer):
    """Serves ``content``; each of ``cuts`` ends an answer after so many bytes, or ``stalls`` it there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.status, self.kind = CONTENT, '"one"', 200, "application/zip"
        self.cuts: list[int] = []
        self.stalls, self.over = False, threading.Event()
        self.ranges = True
        self.endless = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        server, begin = self.server, 0
        wanted = self.headers.get("Range", "")
        server.asked.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        if server.endless:
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(server.content)
            return
        body = server.content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Type", server.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not server.cuts:
            self.wfile.write(body)
            return
        self.wfile.write(body[: server.cuts.pop(0)])
        self.wfile.flush()
        if server.stalls:
            server.over.wait()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


def get(server: Server, home: Path, **fields: object) -> str:
    wanted = {"path": "file.bin", "url": server.url, "sha256": SUM} | fields
    patience = IMPATIENT if server.stalls else PATIENT
    return download.get(CARD, Expected(**wanted), home, patience)  # type: ignore[arg-type]


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path) == "downloaded, 500 kB"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert get(server, tmp_path) == "already downloaded"
    assert (len(server.asked), [p.name for p in tmp_path.iterdir()]) == (1, ["file.bin"])


def test_a_cut_connection_is_resumed_from_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = [200_000, 100_000]
    get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    begins = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for asked in server.asked]
    assert begins[0] == 0 < begins[1] <= 200_000 < begins[2] <= 300_000


def test_a_stalled_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    server.cuts, server.stalls = [200_000], True
    get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_always_stalls_is_an_error_and_the_next_get_resumes(
    server: Server, tmp_path: Path
) -> None:
    server.cuts, server.stalls = [200_000, 0, 0, 0, 0], True
    with pytest.raises(
        DataError, match=r"stalled, 4 times in a row, after .* kB. Run the same command again"
    ):
        get(server, tmp_path)
    assert not (tmp_path / "file.bin").exists()
    server.cuts, server.asked = [], []
    get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked[0] not in ("", "bytes=0-")


def test_a_file_that_changed_since_is_downloaded_from_the_start(server: Server, tmp_path: Path) -> None:
    server.cuts = [200_000, 0, 0, 0, 0]
    with pytest.raises(DataError, match="was cut off"):
        get(server, tmp_path, sha256="")
    server.cuts, server.content, server.tag = [], CONTENT[::-1], '"two"'
    get(server, tmp_path, sha256="")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_sends_the_full_file_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [200_000], False
    get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "fields", "says"),
    [
        ({"content": CONTENT[:-1]}, {}, "the download does not match sha256 .*; discarded"),
        ({}, {"bytes": 499_999}, "the server has 500000 bytes; expected 499999"),
        ({"status": 404}, {}, r"answered 404 .*see https://example.org/it, and save it as .*file\.bin"),
        ({"status": 503}, {}, r"the server answered 503 Service Unavailable, 4 times in a row"),
        ({"kind": "text/html"}, {}, "sent a web page; expected the file"),
    ],
)
def test_a_wrong_download_is_an_error_and_leaves_no_file(
    server: Server, tmp_path: Path, change: dict[str, object], fields: dict[str, object], says: str
) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(DataError, match=says) as caught:
        get(server, tmp_path, **fields)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("[!.]*"))


def test_a_server_that_cannot_be_reached_is_named_after_four_attempts(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.server_close()
    with pytest.raises(DataError, match="the server cannot be reached, 4 times in a row"):
        download.get(CARD, Expected(path="file.bin", url=url), tmp_path, PATIENT)


def test_an_invalid_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no-address: cannot be requested .*see https://example.org/it"):
        download.get(CARD, Expected(path="file.bin", url="no-address"), tmp_path, PATIENT)


def test_a_wrong_file_on_disk_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"has the sha256 .*Delete it and download it again"):
        get(server, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"


def test_a_published_md5_is_compared(server: Server, tmp_path: Path) -> None:
    known = hashlib.md5(CONTENT).hexdigest().upper()
    get(server, tmp_path, sha256="", md5=known)
    (tmp_path / "file.bin").unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(DataError, match=f"does not match md5 {known.lower()}"):
        get(server, tmp_path, sha256="", md5=known)


def left(home: Path) -> list[str]:
    return [path.name for path in home.iterdir()]


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    usage = type(shutil.disk_usage("/"))(10**12, 0, size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_an_endless_answer_ends_at_the_size_of_the_card(server: Server, tmp_path: Path) -> None:
    server.endless = True
    with pytest.raises(DataError, match=r"sends more than the 700000 bytes of the file; discarded"):
        get(server, tmp_path, bytes=700_000)
    assert left(tmp_path) == []


def test_an_endless_answer_of_unknown_size_ends_at_a_tenth_of_the_free_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.endless = True
    free(monkeypatch, 8_000_000)
    with pytest.raises(DataError, match=r"unknown size, more than 800 kB; expected at most 10% of the free"):
        get(server, tmp_path)
    assert left(tmp_path) == []


def test_a_file_larger_than_the_free_disk_is_refused_before_its_first_byte(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 400_000)
    with pytest.raises(StoreError, match=r"has 500 kB; 400 kB are free\. Make room"):
        get(server, tmp_path)
    assert not (tmp_path / ".file.bin.part").exists()


def test_a_first_download_without_a_published_checksum_keeps_its_own_and_says_so(
    server: Server, tmp_path: Path
) -> None:
    note = get(server, tmp_path, sha256="")
    assert "its owners publish no checksum: .file.bin.first.json keeps its sha256" in note
    assert json.loads((tmp_path / ".file.bin.first.json").read_text()) == {"url": server.url, "sha256": SUM}


def test_http_without_a_published_checksum_is_said_to_be_unchecked(server: Server, tmp_path: Path) -> None:
    assert "unchecked: it came over http" in get(server, tmp_path, sha256="")


def test_http_with_a_published_checksum_is_checked(server: Server, tmp_path: Path) -> None:
    assert "http" not in get(server, tmp_path)


def test_a_later_download_must_match_the_first(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path, sha256="")
    (tmp_path / "file.bin").unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(
        DataError, match=rf"does not match sha256 {SUM}, that of the first download; .*delete"
    ):
        get(server, tmp_path, sha256="")
    assert left(tmp_path) == [".file.bin.first.json"]


def test_a_new_version_is_accepted_once_the_first_checksum_is_deleted(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path, sha256="")
    for path in tmp_path.iterdir():
        path.unlink()
    server.content = CONTENT[::-1]
    get(server, tmp_path, sha256="")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


def test_a_file_that_changed_on_disk_differs_from_its_first_download(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path, sha256="")
    (tmp_path / "file.bin").write_bytes(b"other")
    with pytest.raises(DataError, match=rf"expected {SUM}, that of its first download"):
        get(server, tmp_path, sha256="")


def test_an_archive_is_unpacked_up_to_the_limit_of_the_card(server: Server, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(2_000_000))
    server.content = packed.getvalue()
    with pytest.raises(DataError, match=r"unpacks to more than 0\.001 GB, as a bomb would"):
        get(server, tmp_path, path="a.zip", sha256="", unpack="all", unpacked_bytes=1_000_000)


def test_an_unpacked_archive_may_be_deleted(server: Server, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("images/1.jpg", b"x")
    server.content = packed.getvalue()
    fields = {"path": "a.zip", "sha256": "", "unpack": "all"}
    assert get(server, tmp_path, **fields).endswith("unpacked 1 files")
    assert (tmp_path / "all" / "images" / "1.jpg").read_bytes() == b"x"
    (tmp_path / "a.zip").unlink()
    assert get(server, tmp_path, **fields) == "already unpacked"
    assert len(server.asked) == 1


def test_a_file_without_an_address_comes_with_instructions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded: fill in the form at example.org"):
        download.get(CARD, Expected(path="a.zip", note="fill in the form at example.org"), tmp_path)
