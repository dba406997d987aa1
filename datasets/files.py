"""Your own features: a folder of arrays, or a file that holds several (.mat, .npz, .h5, .parquet, .pt, ...).

Variables are recognised by the words of their names; the notes list the choice, and options override it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from bench.api import DataError, Dataset, DatasetSource, param
from bench.datasets import _labels, _reading, _times
from bench.datasets._assembly import Assembly
from bench.datasets._splitting import SplitKind


class Files(DatasetSource):
    """Image and text features and labels from arrays on disk, as in ``files[path=mirflickr.mat]``.

    Recognised without a mapping: ``I_tr, T_tr, L_tr`` with ``I_te, T_te, L_te``; the same with
    ``I_db`` (then the database is the stream); ``XAll, YAll, LAll``; ``image, text, labels``
    with ``query_image, ...`` or ``query_index``; ``VDatabase, YDatabase, databaseL`` with ``VTest, ...``;
    and other names of the same words (docs/datasets.md). A text matrix may be CSR parts:
    ``text_indptr``, ``text_indices``, ``text_data``.
    """

    path: str = param("", "folder or file, absolute or relative to the data root")
    mapping: str = param("", "ROLE:VARIABLE;... for unusual names; VARIABLE.T is transposed")
    split: SplitKind = param(
        "auto", "queries: as the data say, or at random; random, first or last ignore what the data say"
    )
    queries: int = param(2000, "number of query rows, if the data have no query split", least=1)
    seed: int = param(0, "random seed of the query rows", least=0)
    labels: str = param("auto", _labels.OPTION)
    label_prefix: str = param("", "keep only label columns whose name begins with it; separate several by ;")
    unlabelled: Literal["error", "drop", "keep"] = param(
        "error", "items without a label: refuse them, drop them, or keep them in train"
    )
    times: str = param("", _times.OPTION)
    schedule: ClassVar[str] = "shuffled:2000"

    def files(self, root: Path) -> list[Path]:
        return self._assembly(root).files()

    def load(self, root: Path) -> Dataset:
        return self._assembly(root).load()

    def _assembly(self, root: Path) -> Assembly:
        if not self.path:
            raise DataError(
                "files: no path given; expected a folder or file of features. "
                "Write files[path=mirflickr.mat]."
            )
        path = root / Path(self.path).expanduser()  # an absolute path replaces the root
        return Assembly(
            where=path,
            available=_reading.variables(path),
            mapping=self.mapping,
            split=self.split,
            queries=self.queries,
            seed=self.seed,
            labels=self.labels,
            label_prefix=self.label_prefix,
            unlabelled=self.unlabelled,
            times=self.times,
        )
