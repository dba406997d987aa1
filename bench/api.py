"""Everything that the author of a method, a dataset or an encoder imports.

A method learns from chunks (:meth:`Method.fit_chunk`) and hashes items of one modality
(:meth:`Method.encode`). The harness does the rest: order, split, packing, search, timing.

May import: contract, data.views, errors, progress.
"""

from __future__ import annotations

from bench.contract.blocks import blocks
from bench.contract.card import Card, Counts, Expected, variant_of
from bench.contract.dataset import RANDOM_QUERIES, Dataset, DatasetSource, Raw
from bench.contract.encoder import Encoder, Extractor, Setting
from bench.contract.items import (
    MODALITIES,
    Batch,
    Chunk,
    Codes,
    Features,
    Labels,
    Modality,
    Rows,
    Split,
    sign,
)
from bench.contract.method import Capabilities, Method, Source, Variant, factor_bits
from bench.contract.params import param
from bench.contract.pictures import Pictures
from bench.contract.scratch import scratch_folder
from bench.contract.shared import Shared
from bench.contract.state import State
from bench.contract.times import Times, time_column
from bench.contract.validate import finite
from bench.data.views.pretrained import clip_model, encode_texts, load_clip
from bench.data.views.source import RawSource
from bench.errors import (
    BenchError,
    ContractError,
    DataError,
    ParameterError,
    UnknownNameError,
    not_installed,
)
from bench.progress import passes

__all__ = [
    "MODALITIES",
    "RANDOM_QUERIES",
    "Batch",
    "BenchError",
    "Capabilities",
    "Card",
    "Chunk",
    "Codes",
    "ContractError",
    "Counts",
    "DataError",
    "Dataset",
    "DatasetSource",
    "Encoder",
    "Expected",
    "Extractor",
    "Features",
    "Labels",
    "Method",
    "Modality",
    "ParameterError",
    "Pictures",
    "Raw",
    "RawSource",
    "Rows",
    "Setting",
    "Shared",
    "Source",
    "Split",
    "State",
    "Times",
    "UnknownNameError",
    "Variant",
    "blocks",
    "clip_model",
    "encode_texts",
    "factor_bits",
    "finite",
    "load_clip",
    "not_installed",
    "param",
    "passes",
    "scratch_folder",
    "sign",
    "time_column",
    "variant_of",
]
