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
    names = [f"stem-{n}.{form}" for n in ("one", "two") for form in ("pdf", "eps", "svg", "png")]
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


@pytest.mark.parametrize("form", ["pdf", "eps", "svg", "png"])
def test_the_suffix_decides_the_format(form: str, tmp_path: Path) -> None:
    starts = {"pdf": b"%PDF", "eps": b"%!PS-Adobe-3.0 EPSF", "svg": b"<?xml", "png": b"\x89PNG"}
    assert figure().save_as(tmp_path / f"f.{form}") == [tmp_path / f"f.{form}"]
    assert (tmp_path / f"f.{form}").read_bytes().startswith(starts[form])


def test_a_suffix_of_no_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="pdf, eps, svg, png"):
        figure().save_as(tmp_path / "f.txt")


def test_the_suffix_csv_takes_the_numbers(tmp_path: Path) -> None:
    figure("one", "two").save_as(tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text(encoding="utf-8") == "x,y\n1,2\n"


def test_several_plots_are_refused_without_a_pattern_in_the_name(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"2 plots \(one, two\).*--out '.*f-{name}.pdf'"):
        figure("one", "two").save_as(tmp_path / "f.pdf")
    assert not list(tmp_path.iterdir())


def test_several_plots_put_their_names_in_the_place_of_the_pattern(tmp_path: Path) -> None:
    figure("one", "two").save_as(tmp_path / "{name}-f.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one-f.svg", "two-f.svg"]


def test_a_transparent_band_is_opaque_and_as_light_in_eps(tmp_path: Path) -> None:
    def banded() -> Any:
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=(2, 1))
        canvas.subplots().fill_between([0, 1], [0, 0], [1, 1], color=(0, 0, 1), alpha=0.25, linewidth=0)
        return canvas

    Figure(title="", plots=(Plot(name="", caption=(), draw=banded),), rc=RC).save(tmp_path, "x", ("eps",))
    text = (tmp_path / "x.eps").read_text(encoding="latin-1")
    assert "0.75 0.75 1 setrgbcolor" in text and "0 0 1 setrgbcolor" not in text


def test_as_text_a_figure_is_its_captions() -> None:
    assert str(figure("one")) == "A figure\n\none\ncaption one\nnote"


def test_the_numbers_are_csv() -> None:
    assert figure().to_csv() == "x,y\n1,2"


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        figure().save(tmp_path / "file", "x")


def test_a_notebook_shows_every_plot_with_its_caption() -> None:
    shown = figure("one", "two")._repr_html_()
    assert shown is not None
    assert shown.count("data:image/png;base64,") == 2
    assert "<figcaption>one<br>caption one</figcaption>" in shown


def test_a_notebook_shows_one_plot_as_a_picture() -> None:
    png = figure()._repr_png_()
    assert png is not None
    assert png.startswith(b"\x89PNG")
    assert figure()._repr_html_() is None
    assert figure("one", "two")._repr_png_() is None
