"""Trained models are kept beside records and hash new items, in a process that never trained."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench import models
from bench.cli import main
from bench.contract import state
from bench.errors import DataError, ParameterError, StoreError
from bench.running import sweep
from bench.scoring import hamming
from bench.study.planner import Planner
from bench.study.study import Study

DATA = "synthetic[n=300,queries=60]"


def _run(folder: Path, methods: str = "lemon", **options: Any) -> Any:
    fixed: dict[str, Any] = {"datasets": DATA, "bits": 20, "seeds": 1, "results": str(folder), "train": "0.5"}
    return sweep.run(methods=methods, keep_models=True, **(fixed | options))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    _run(folder)
    return folder


def _model(folder: Path) -> Path:
    [path] = folder.glob("*.model")
    return path


def _stored_codes(results: Any) -> tuple[Any, Any]:
    """The features of the queries of the only cell and the codes that the run gave them."""
    [record] = results.records
    study = Study.make(None, methods="lemon", datasets=DATA)
    query = Planner().cells(study)[0].data.dataset.query
    return query, results.evidence(record)


@pytest.mark.parametrize("method", ["lemon", "lcdh", "ukd", "clip_hash", "lemon[student=hidden]"])
def test_a_model_gives_the_codes_of_its_run(method: str, tmp_path: Path) -> None:
    results = _run(tmp_path, method)
    query, arrays = _stored_codes(results)
    model = bench.load(_model(tmp_path))
    for modality in ("image", "text"):
        items = query.batch(modality)
        features = items.views["clip"] if method == "clip_hash" else items.features
        codes = model.encode(features, modality)
        assert codes.shape == (60, 20)
        np.testing.assert_array_equal(hamming.pack_codes(codes), arrays[f"codes/query/{modality}"])


def test_a_fresh_process_encodes_without_torch_and_gives_the_same_bytes(kept: Path, tmp_path: Path) -> None:
    model = bench.load(_model(kept))
    items = np.random.default_rng(0).normal(size=(7, 128)).astype(np.float32)
    np.save(tmp_path / "new.npy", items)
    out = tmp_path / "codes.npy"
    words = ["encode", str(_model(kept)), "--image", str(tmp_path / "new.npy"), "--out", str(out)]
    code = f"import sys; from bench.cli import main; main({words!r}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    np.testing.assert_array_equal(np.load(out), hamming.pack_bytes(model.encode(items, "image")))


def test_packed_bytes_unpack_to_the_bits_of_the_codes(kept: Path) -> None:
    codes = bench.load(_model(kept)).encode(np.ones((3, 200)), "text")
    bits = np.unpackbits(hamming.pack_bytes(codes), axis=1)[:, :20]
    np.testing.assert_array_equal(bits == 1, codes == 1)
    np.testing.assert_array_equal(hamming.to_bytes(hamming.pack_codes(codes), 20), hamming.pack_bytes(codes))


def test_models_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    sweep.run(methods="lemon", datasets=DATA, bits=20, seeds=1, results=str(tmp_path))
    assert list(tmp_path.glob("*.json"))
    assert not list(tmp_path.glob("*.model"))


def test_a_finished_cell_without_a_model_is_run_again_once(tmp_path: Path) -> None:
    options: dict[str, Any] = {"datasets": DATA, "bits": 20, "seeds": 1, "results": str(tmp_path)}
    sweep.run(methods="lemon", **options)
    sweep.run(methods="lemon", keep_models=True, **options)
    first = _model(tmp_path).stat().st_mtime_ns
    sweep.run(methods="lemon", keep_models=True, **options)
    assert _model(tmp_path).stat().st_mtime_ns == first


def test_running_a_cell_again_without_keeping_removes_its_old_model(tmp_path: Path) -> None:
    options: dict[str, Any] = {"datasets": DATA, "bits": 20, "seeds": 1, "results": str(tmp_path)}
    sweep.run(methods="lemon", keep_models=True, **options)
    sweep.run(methods="lemon", force=True, **options)
    assert not list(tmp_path.glob("*.model"))


def test_an_oracle_leaves_no_model_and_is_not_run_again_for_one(tmp_path: Path) -> None:
    _run(tmp_path, "lcdh_fused")
    [record] = tmp_path.glob("*.json")
    first = record.stat().st_mtime_ns
    _run(tmp_path, "lcdh_fused")
    assert record.stat().st_mtime_ns == first
    assert not list(tmp_path.glob("*.model"))


def test_the_listing_names_cell_and_expected_features(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--results", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert "lemon on synthetic" in shown
    assert "image (n, 128), text (n, 200)" in shown


def test_models_are_merged_with_their_records(kept: Path, tmp_path: Path) -> None:
    assert main(["merge", str(kept), "--into", str(tmp_path / "both")]) == 0
    assert _model(tmp_path / "both").read_bytes() == _model(kept).read_bytes()


@pytest.mark.parametrize(
    ("items", "modality", "expected"),
    [
        (np.zeros((3, 127)), "image", r"shape \(3, 127\); expected \(n, 128\)"),
        (np.zeros(128), "image", r"shape \(128,\); expected \(n, 128\)"),
        (np.full((2, 128), np.nan), "image", "item 0 has a value that is not finite"),
        (np.full((2, 128), "a"), "image", "expected numbers"),
        (np.full((2, 128), 1e300), "image", "item 0 has a value that is not finite"),
        (np.zeros((0, 128)), "image", r"shape \(0, 128\); expected at least one. Give more rows"),
    ],
)
def test_items_that_do_not_fit_are_refused(kept: Path, items: Any, modality: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        bench.load(_model(kept)).encode(items, modality)


def test_an_unknown_modality_is_refused(kept: Path) -> None:
    with pytest.raises(ParameterError, match="modality 'sound': expected one of image, text"):
        bench.load(_model(kept)).encode(np.zeros((1, 128)), "sound")  # type: ignore[arg-type]


def _manifest(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"format": 1, **content}))
    return folder


def _view(folder: Path, encoder: str, columns: int) -> Path:
    """A prepared view of two items."""
    about = {"about": {"model": encoder}, "rows": 2, "columns": columns, "dtype": "float32"}
    _manifest(folder, {**about, "content": "", "sample": {}})
    np.save(folder / "features.npy", np.zeros((2, columns), np.float32))
    return folder


def test_a_view_by_another_encoder_is_refused(kept: Path, tmp_path: Path) -> None:
    about, saved = models._read(_model(kept))
    known = dataclasses.replace(about, views={"image": {"model": "hog"}, "text": {}})
    path = tmp_path / "a.model"
    path.write_bytes(models.packed(known, saved).tobytes())
    with pytest.raises(DataError, match="by gist; this model was trained on those of hog"):
        bench.load(path).open(_view(tmp_path / "gist", "gist", 128), "image")
    assert bench.load(path).open(_view(tmp_path / "hog", "hog", 128), "image").shape == (2, 128)


def test_a_model_that_hashes_a_view_names_it_and_refuses_another(tmp_path: Path, capsys: Any) -> None:
    _run(tmp_path, "clip_hash")
    assert main(["models", "--results", str(tmp_path)]) == 0
    assert (
        "expects image (n, 64) of the view 'clip', text (n, 64) of the view 'clip'" in capsys.readouterr().out
    )
    model = bench.load(_model(tmp_path))
    with pytest.raises(
        DataError, match=r"expected \(n, 64\), the features of the view 'clip' that clip_hash"
    ):
        model.encode(np.zeros((1, 128)), "image")
    with pytest.raises(DataError, match="by hog; this model was trained on those of the view 'clip'"):
        model.open(_view(tmp_path / "hog", "hog", 64), "image")
    assert model.open(_view(tmp_path / "clip", "clip:ViT-B-32:openai", 64), "image").shape == (2, 64)


def test_a_method_that_is_not_installed_is_named(kept: Path, tmp_path: Path) -> None:
    about, saved = models._read(_model(kept))
    path = tmp_path / "gone.model"
    path.write_bytes(models.packed(dataclasses.replace(about, method="gone"), saved).tobytes())
    with pytest.raises(StoreError, match=r"a model of gone, a method that is not installed.*--plugin"):
        bench.load(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere.npy", r"nowhere\.npy: no image features: it cannot be read: No such file or directory"),
        ("text.npy", r"text\.npy: no image features: it cannot be read"),
        ("folder", "a folder without image features"),
        ("items", "a folder without image features"),
    ],
)
def test_paths_without_features_are_refused_with_the_expected_shape(
    kept: Path, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "text.npy").write_text("text")
    (tmp_path / "folder").mkdir()
    _manifest(
        tmp_path / "items", {"train": 1, "classes": [], "notes": [], "rows": {}, "files": {}, "code": ""}
    )
    np.save(tmp_path / "items" / "features.npy", np.zeros((2, 128), np.float32))
    with pytest.raises(DataError, match=expected + r".* Give an \.npy file \(n, 128\)"):
        bench.load(_model(kept)).open(tmp_path / name, "image")


def test_a_model_from_another_version_says_so(kept: Path, tmp_path: Path, caplog: Any) -> None:
    about, saved = models._read(_model(kept))
    path = tmp_path / "old.model"
    path.write_bytes(models.packed(dataclasses.replace(about, code="0" * 16), saved).tobytes())
    bench.load(path)
    assert "kept by another version of lemon; its codes may differ" in caplog.text


def _altered(kept: Path, path: Path, **changes: Any) -> Path:
    tree = state.load(_model(kept))
    path.write_bytes(state.packed({**tree, "facts": {**tree["facts"], **changes}}).tobytes())
    return path


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": 2}, "a model in form 2; expected 1"),
        ({"bits": "many"}, "model.bits is 'many'; expected int"),
        ({"bits": 0}, "a count below 1"),
        ({"columns": {"image": 3}}, "columns are of 'image'"),
        ({"params": {"nothing": 1}}, "cannot read this model"),
    ],
)
def test_altered_facts_are_refused(
    kept: Path, tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(StoreError, match=expected):
        bench.load(_altered(kept, tmp_path / "b.model", **changes))


def test_a_state_that_names_a_method_of_the_class_is_refused(kept: Path, tmp_path: Path) -> None:
    about, _ = models._read(_model(kept))
    path = tmp_path / "hostile.model"
    path.write_bytes(models.packed(about, state.packed({"encode": 1})).tobytes())
    with pytest.raises(StoreError, match="'encode' is no part of the state"):
        bench.load(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a model"])
def test_other_files_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.model"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"c\.model: not a file of saved state"):
        bench.load(path)


def test_encode_ends_with_2_and_one_line_for_a_file_that_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 2)))
    code = main(
        [
            "encode",
            str(tmp_path / "x.npy"),
            "--image",
            str(tmp_path / "x.npy"),
            "--out",
            str(tmp_path / "o.npy"),
        ]
    )
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "o.npy").exists()
