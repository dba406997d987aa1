"""Exports the codes of stored cells for search engines: arrays, indexes of faiss and usearch, databases.

Every file of codes has beside it a JSON file that says where the codes come from and how they are packed.
Codes are (n, bits / 8) bytes with the first bit highest, as :func:`numpy.packbits` and faiss have them; an
item keeps the id that its dataset gives it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.archive import milvus
from bench.contract.items import MODALITIES
from bench.errors import BenchError, DataError, ParameterError, StoreError, not_installed
from bench.records import RunRecord, RunSpec, no_codes
from bench.reporting import writing
from bench.results import Results
from bench.scoring import hamming
from bench.storing.reading import file_name
from bench.study.planner import Planner

Bytes = npt.NDArray[np.uint8]
INDEXES = ("flat", "ivf", "hnsw", "hash", "multihash")  # of faiss, over binary codes
_LISTS = 4  # times the square root of the items: the inverted lists of ivf
_PER_LIST = 39  # items that faiss wants for each list that it trains


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The codes of the database items of one cell and modality, with their ids."""

    name: str  # of the files, without a suffix
    codes: Bytes  # (n, bits / 8)
    ids: npt.NDArray[np.int64]  # (n,)
    bits: int
    provenance: dict[str, Any]


def code_sets(results: Results, data_root: Path) -> Iterator[CodeSet]:
    """The codes of the databases of all cells that have some, a modality at a time.

    Raises DataError where the dataset is not the one that the cell ran on or an id is no number from 0 to
    2⁶³ − 1, and StoreError if no cell has codes.
    """
    planner, count = Planner(), 0
    for record in results:
        if not record.has_codes:
            continue
        spec = record.spec
        data = planner.data(spec.dataset, spec.dataset_params, data_root)
        data.require(record)
        arrays = results.evidence(record)
        ids = _ids(data.dataset.train.ids[arrays["rows/database"].astype(np.intp)], spec)
        for modality in MODALITIES:
            codes = hamming.to_bytes(arrays[f"codes/database/{modality}"], spec.bits)
            name = f"{file_name(spec).removesuffix('.json')}.{modality}"
            count += 1
            yield CodeSet(name, codes, ids, spec.bits, _provenance(record, modality, len(ids)))
    if not count:
        raise StoreError(no_codes(results, "export"))


def _ids(ids: npt.NDArray[Any], spec: RunSpec) -> npt.NDArray[np.int64]:
    """The ids as every search engine takes them."""
    for wrong in ids[(ids < 0) | (ids > np.iinfo(np.int64).max)][:1]:
        raise DataError(
            f"{spec.dataset_label} has an item with the id {wrong}; expected 0 to 2**63 - 1, which search "
            "engines take. Number the items from 0."
        )
    return ids.astype(np.int64)


def _provenance(record: RunRecord, modality: str, items: int) -> dict[str, Any]:
    stored = record.to_json()
    return {
        "cell": str(record.spec),
        "spec": stored["spec"],
        "modality": modality,
        "items": items,
        "bits": record.spec.bits,
        "packing": "eight bits in a byte, the first highest (numpy.packbits); unused bits are 0",
        "symbols": "bit 1 is +1, bit 0 is -1",
        "code": record.code,
        "data": record.data,
        "arrays": record.arrays,
        "environment": dict(record.environment),
    }


def to_npy(sets: CodeSet, out: Path) -> list[Path]:
    """Two arrays: codes, uint8 (n, bits / 8), and ids, int64 (n,)."""
    paths = []
    for part, array in (("codes", sets.codes), ("ids", sets.ids)):
        path = out / f"{sets.name}.{part}.npy"
        paths.append(writing.atomically(path, lambda p, a=array: np.save(p, a)))  # type: ignore[misc]
    return paths


def to_parquet(sets: CodeSet, out: Path) -> list[Path]:
    """A table with the columns ``id`` (int64) and ``code`` (bytes of a fixed length)."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise BenchError(not_installed("Parquet", "pyarrow", "parquet")) from error
    width = sets.codes.shape[1]
    flat = pa.py_buffer(np.ascontiguousarray(sets.codes))
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(sets.codes), [None, flat])
    table = pa.table({"id": pa.array(sets.ids), "code": column})
    table = table.replace_schema_metadata({"hashbench": json.dumps(sets.provenance)})
    path = out / f"{sets.name}.parquet"
    return [writing.atomically(path, lambda p: pq.write_table(table, p))]


def to_faiss(sets: CodeSet, out: Path, *, index: str = "flat") -> list[Path]:
    """A binary index of faiss that returns the ids: ``faiss.read_index_binary(FILE)``."""
    faiss = faiss_module()
    path = out / f"{sets.name}.{index}.faiss"
    built = faiss_index(sets.codes, index)
    built.add_with_ids(sets.codes, sets.ids)
    return [writing.atomically(path, lambda p: faiss.write_index_binary(built, str(p)))]


def faiss_index(codes: Bytes, kind: str) -> Any:
    """An empty, trained binary index of faiss for codes like these, which takes ids.

    ``kind``: ``flat`` compares with every item; ``ivf`` with those in the nearest inverted lists; ``hnsw``
    follows a graph of 32 neighbours; ``hash`` and ``multihash`` look up one or four keys of 16 bits or less.
    Raises ParameterError for another one.
    """
    faiss, bits = faiss_module(), 8 * codes.shape[1]
    key = min(16, max(1, bits // 4))
    lists = int(min(_LISTS * len(codes) ** 0.5, max(1, len(codes) // _PER_LIST)))
    make: dict[str, Callable[[], Any]] = {
        "flat": lambda: faiss.IndexBinaryFlat(bits),
        "ivf": lambda: faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, lists),
        "hnsw": lambda: faiss.IndexBinaryHNSW(bits, 32),
        "hash": lambda: faiss.IndexBinaryHash(bits, key),
        "multihash": lambda: faiss.IndexBinaryMultiHash(bits, 4, key),
    }
    if kind not in make:
        raise ParameterError(f"index {kind!r}: expected one of {', '.join(INDEXES)}.")
    made = make[kind]()
    if kind == "ivf":
        made.train(codes)
        return made
    return faiss.IndexBinaryIDMap2(made)


def to_usearch(sets: CodeSet, out: Path) -> list[Path]:
    """An HNSW index of usearch over Hamming distance: ``usearch.index.Index.restore(FILE)``."""
    try:
        from usearch.index import Index, MetricKind, ScalarKind
    except ImportError as error:
        raise BenchError(not_installed("an index of usearch", "usearch", "usearch")) from error
    built = Index(ndim=8 * sets.codes.shape[1], metric=MetricKind.Hamming, dtype=ScalarKind.B1)
    built.add(sets.ids.astype(np.uint64), sets.codes, threads=1)
    path = out / f"{sets.name}.usearch"
    return [writing.atomically(path, lambda p: built.save(str(p)))]


def to_pgvector(sets: CodeSet, out: Path) -> list[Path]:
    """A script for psql: a table ``codes (id, code bit(n))`` with an HNSW index, filled by COPY.

    Where pgvector has no Hamming distance (before 0.7), and without pgvector, the query at the end of the
    script counts the bits of the XOR, which needs PostgreSQL 14.
    """
    path = out / f"{sets.name}.sql"

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(_sql(sets))

    return [writing.atomically(path, write)]


def _sql(sets: CodeSet) -> Iterator[str]:
    cell = " ".join(sets.provenance["cell"].split()).replace("\\", "/")
    yield f"-- {cell}, {sets.provenance['modality']} codes of {len(sets.ids)} items, exported by hashbench\n"
    yield "DROP TABLE IF EXISTS codes;\n"
    yield f"CREATE TABLE codes (id bigint PRIMARY KEY, code bit({sets.bits}) NOT NULL);\n"
    yield "COPY codes (id, code) FROM stdin;\n"
    bits = np.unpackbits(sets.codes, axis=1, count=sets.bits) + ord("0")
    for item, row in zip(sets.ids, bits, strict=True):
        yield f"{item}\t{row.tobytes().decode('ascii')}\n"
    yield "\\.\n"
    yield "-- With pgvector 0.7 or later:\n"
    yield "--   CREATE EXTENSION vector; CREATE INDEX ON codes USING hnsw (code bit_hamming_ops);\n"
    yield "--   SELECT id FROM codes ORDER BY code <~> :query LIMIT 10;\n"
    yield "-- Without: SELECT id FROM codes ORDER BY bit_count(code # :query), id LIMIT 10;\n"


def to_milvus(sets: CodeSet, out: Path) -> list[Path]:
    """A database of Milvus Lite 2 with the collection ``codes``: ``pymilvus.MilvusClient(FILE)``.

    It is named after the key of the cell alone, since Milvus Lite refuses longer names.
    """
    path = out / f"{sets.name.rpartition('-')[2]}.db"

    def write(temporary: Path) -> None:
        with tempfile.TemporaryDirectory(dir=temporary.parent) as folder:
            made = Path(folder) / "codes.db"
            milvus.write(made, sets.codes, sets.ids)
            made.replace(temporary)

    return [writing.atomically(path, write)]


FORMS: dict[str, Callable[..., list[Path]]] = {
    "npy": to_npy,
    "parquet": to_parquet,
    "faiss": to_faiss,
    "usearch": to_usearch,
    "milvus": to_milvus,
    "pgvector": to_pgvector,
}


def export(sets: CodeSet, write: Callable[..., list[Path]], out: Path, **options: Any) -> list[Path]:
    """Write a set of codes, and the JSON file of its provenance beside it."""
    about = json.dumps(sets.provenance, indent=1)
    return [*write(sets, out, **options), writing.text(out / f"{sets.name}.json", about + "\n")]


def faiss_module() -> Any:
    """The module; raises BenchError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise BenchError(not_installed("an index of faiss", "faiss-cpu", "faiss")) from error
    return faiss
