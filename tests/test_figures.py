"""The carrier of drawings: files, formats, fonts, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import ParameterError, StoreError
from bench.reporting.figures import Figure, Plot

RC = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "s"}


def draw() -> Any:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(2, 1))
    canvas.subplots().set_title("I→T λ1")
    return canvas


def figure(*names: str) -> Figure:
    plots = tuple(Plot(name=n, caption=(f"caption {n}",), draw=draw, notes=("note",)) for n in names or ("",))
    return Figure(title="A figure", plots=plots, data=({"x": 1, "y": 2},), rc=RC)


def test_every_plot_is_written_in_every_format(tmp_path: Path) -> None:
    found = figure("one", "two").save(tmp_path / "new", "stem")
    names = [f"stem-{n}.{form}" for n in ("one", "two") for form in ("pdf", "svg", "png")]
    assert [p.name for p in found] == names
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(names)


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    first = [p.read_bytes() for p in figure().save(tmp_path / "a", "x")]
    assert first == [p.read_bytes() for p in figure().save(tmp_path / "b", "x")]


def test_a_figure_is_laid_out_once_and_drawn_once_per_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    calls: list[str] = []

    def count(owner: Any, name: str) -> None:
        made = getattr(owner, name)

        def counted(*given: Any) -> Any:
            calls.append(name)
            return made(*given)

        monkeypatch.setattr(owner, name, counted)

    count(Canvas, "draw")
    count(ConstrainedLayoutEngine, "execute")

    def constrained() -> Any:
        canvas = Canvas(layout="constrained")
        canvas.subplots()
        return canvas

    plot = Plot(name="", caption=(), draw=constrained)
    Figure(title="", plots=(plot,), rc=RC).save(tmp_path, "x", ("pdf", "svg", "png"))
    assert calls == ["execute", "draw", "draw", "draw"]


def test_text_stays_text(tmp_path: Path) -> None:
    figure().save(tmp_path, "x")
    assert b"/FontType 3" not in (tmp_path / "x.pdf").read_bytes()
    assert b"/Type0" in (tmp_path / "x.pdf").read_bytes()
    assert "I→T λ1" in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_the_suffix_decides_the_format(tmp_path: Path) -> None:
    assert figure().save_as(tmp_path / "f.svg") == [tmp_path / "f.svg"]
    with pytest.raises(ParameterError, match="pdf, svg, png"):
        figure().save_as(tmp_path / "f.txt")


def test_as_text_a_figure_is_its_captions() -> None:
    assert str(figure("one")) == "A figure\n\none\ncaption one\nnote"


def test_the_numbers_are_csv() -> None:
    assert figure().to_csv() == "x,y\n1,2"


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        figure().save(tmp_path / "file", "x")
