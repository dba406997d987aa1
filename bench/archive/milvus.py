"""A database of Milvus Lite 2 that holds codes, made through pymilvus.

The traps: version 3 has no binary vectors, a file has at most 36 characters in its name, and the server that
pymilvus starts would outlive the file's writing.
"""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

COLLECTION = "codes"
_BATCH = 10_000  # items that are sent together


def write(file: Path, codes: npt.NDArray[np.uint8], ids: npt.NDArray[np.int64]) -> None:
    """Write ``codes`` (n, b) with their ``ids`` (n,) into a new file, as a collection under Hamming distance.

    Raises BenchError where pymilvus or Milvus Lite 2 is not installed.
    """
    pymilvus, servers = _modules()
    client = pymilvus.MilvusClient(str(file))
    try:
        _create(client, pymilvus.DataType, 8 * codes.shape[1])
        for start in range(0, len(codes), _BATCH):
            part = slice(start, start + _BATCH)
            pairs = zip(ids[part].tolist(), codes[part], strict=True)
            client.insert(COLLECTION, [{"id": item, "code": code.tobytes()} for item, code in pairs])
    finally:
        client.close()
        servers.release_server(str(file))


def _create(client: Any, types: Any, bits: int) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", types.INT64, is_primary=True)
    schema.add_field("code", types.BINARY_VECTOR, dim=bits)
    index = client.prepare_index_params()
    index.add_index("code", index_type="BIN_FLAT", metric_type="HAMMING")
    client.create_collection(COLLECTION, schema=schema, index_params=index)


def _modules() -> tuple[Any, Any]:
    """pymilvus, and what ends the servers that it starts."""
    try:
        known = version("milvus-lite")
        import pymilvus
    except (ImportError, PackageNotFoundError) as error:
        raise BenchError(
            "a database of Milvus needs pymilvus and milvus-lite, which are not installed: "
            "pip install 'hashbench[milvus]'."
        ) from error
    if int(known.partition(".")[0]) > 2:
        raise BenchError(
            f"milvus-lite {known}: stores no binary vectors; expected version 2. "
            "pip install 'hashbench[milvus]'."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources
        from milvus_lite.server_manager import server_manager_instance
    return pymilvus, server_manager_instance
