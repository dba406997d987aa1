"""Renderings of one table: marks, panels, Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.reporting.tables import Block, Column, Entry, Table
from bench.reporting.tex import latex

NASTY = r"a_b%c&d#e{f}g\h^i~j$k<l>m|n[o]p*q--r→s±t†‡◊∥§λé"


def numbers(*values: float | None) -> list[tuple[Entry, ...]]:
    """One row per value, below a method called a, b, c …"""
    texts = ["–" if v is None else f"{v:.3f}" for v in values]
    pairs = zip("abcdefgh", values, texts, strict=False)
    return [(Entry(name), Entry(text, value)) for name, value, text in pairs]


def block(rows: Sequence[tuple[Entry, ...]], better: str = "higher", **parts: object) -> Block:
    columns = (Column("method", align="left"), Column("16", group="wiki I→T", better=better))  # type: ignore[arg-type]
    return Block(**{"caption": ("one line",), "columns": columns, "rows": tuple(rows), **parts})  # type: ignore[arg-type]


def table(*blocks: Block, data: tuple[dict[str, object], ...] = ()) -> Table:
    return Table(title="mAP", blocks=blocks, data=data)


def marks(rows: Sequence[tuple[Entry, ...]], better: str = "higher") -> list[str]:
    return [row[1] for row in block(rows, better).marks()]


def wide(groups: int, per_group: int) -> Table:
    columns = [Column(f"{i}", group=f"group{g}") for g in range(groups) for i in range(per_group)]
    row = (Entry("lcdh"), *(Entry(f"{g}.{i}:12345") for g in range(groups) for i in range(per_group)))
    return table(Block(caption=(), columns=(Column("method", align="left"), *columns), rows=(row,)))


def test_the_highest_is_best_where_higher_is_better() -> None:
    assert marks(numbers(0.1, 0.3, 0.2)) == ["", "best", "second"]


def test_the_lowest_is_best_where_lower_is_better() -> None:
    assert marks(numbers(0.1, 0.3, 0.2), "lower") == ["best", "", "second"]


def test_nothing_is_marked_in_a_column_without_a_direction() -> None:
    assert marks(numbers(0.1, 0.3), "") == ["", ""]


def test_all_that_look_the_same_are_marked_the_same() -> None:
    assert marks(numbers(0.3001, 0.2, 0.3002, 0.2, 0.1)) == ["best", "second", "best", "second", ""]


def test_a_single_number_is_not_the_best_of_one() -> None:
    assert marks(numbers(0.3, None)) == ["", ""]


def test_a_nan_is_never_marked() -> None:
    rows = [*numbers(0.3, 0.2), (Entry("c"), Entry("n/a", float("nan")))]
    assert marks(rows) == ["best", "second", ""]


def test_the_foot_is_not_marked() -> None:
    text = str(table(block(numbers(0.3, 0.2), foot=((Entry("chance"), Entry("0.9", 0.9)),))))
    assert "0.9*" not in text and "0.300*" in text


def test_plain_text_explains_its_marks() -> None:
    assert "* best, ' second" in str(table(block(numbers(0.3, 0.2))))


def test_plain_text_has_no_trailing_blanks_and_no_escape_codes() -> None:
    text = str(table(block(numbers(0.3, 0.2))))
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(("groups", "per_group"), [(1, 3), (2, 3), (8, 4), (1, 40)])
def test_no_line_of_a_grid_is_wider_than_asked(groups: int, per_group: int) -> None:
    assert max(map(len, wide(groups, per_group).to_text(80).splitlines())) <= 80


def test_no_cell_is_lost_between_panels() -> None:
    text = wide(8, 4).to_text(80)
    assert all(text.count(f"{g}.{i}:12345") == 1 for g in range(8) for i in range(4))


def test_a_group_that_fits_is_not_torn_apart() -> None:
    text = wide(3, 4).to_text(80)
    assert [text.count(f"group{g}") for g in range(3)] == [1, 1, 1]


def test_every_panel_repeats_the_method() -> None:
    assert wide(3, 4).to_text(80).count("lcdh") == 3


def test_a_long_label_is_broken_after_commas() -> None:
    rows = [(Entry("lcdh[iterations=20,lambda1=0.25,temperature=0.07]"), Entry("0.1"))]
    text = str(table(block(rows)))
    assert "\nlcdh[iterations=20," in text and "\n  lambda1=0.25," in text


def test_a_group_name_that_is_wider_than_its_columns_stays_above_them() -> None:
    columns = (Column("n"), Column("P", group="random_projection"), Column("P", group="x"))
    text = str(table(Block(caption=(), columns=columns, rows=((Entry("1"), Entry("2"), Entry("3")),))))
    heads, rules = text.splitlines()[3:5]
    assert heads.index("x") >= rules.rindex(" ")
    assert len(heads) <= len(rules)


def test_rich_underlines_and_emboldens_in_a_terminal() -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, force_terminal=True, width=100, color_system="standard").print(
        table(block(numbers(0.3, 0.2)))
    )
    assert "\x1b[1m0.300\x1b[0m" in out.getvalue() and "\x1b[4m0.200\x1b[0m" in out.getvalue()
    assert "* best" not in out.getvalue()


def test_rich_writes_plain_text_into_a_file() -> None:
    from rich.console import Console

    out = io.StringIO()
    one = table(block(numbers(0.3, 0.2)))
    Console(file=out).print(one)
    assert [line.rstrip() for line in out.getvalue().splitlines()] == str(one).splitlines()


def test_nothing_heavy_is_imported_for_plain_text(python: Callable[..., str]) -> None:
    reports = ", ".join(f"bench.reports.{name}" for name in ("map_table", "rounds", "timing", "pr_curve"))
    heavy = "{'rich', 'pandas', 'torch', 'numba'}"
    code = f"import sys, bench.results, {reports}\nprint({heavy} & set(sys.modules))"
    assert python(code).strip() == "set()"


@pytest.mark.parametrize("form", ["to_text", "to_markdown", "to_html"])
def test_what_all_blocks_say_is_said_once(form: str) -> None:
    blocks = (
        block(numbers(0.1), caption=("shared", own), notes=("† ours", own)) for own in ("wiki", "scenes")
    )
    text = getattr(table(*blocks), form)()
    assert [text.count(line) for line in ("shared", "† ours", "scenes")] == [1, 1, 2]
    assert text.index("shared") < text.index("scenes") < text.index("† ours")


def test_what_one_block_does_not_say_is_repeated_for_the_others() -> None:
    blocks = [block(numbers(0.1), caption=(text,)) for text in ("pool none", "pool full", "pool none")]
    assert str(table(*blocks)).count("pool none") == 2


def test_a_block_of_another_kind_repeats_nothing() -> None:
    kinds = ("", "codes", "", "codes")
    blocks = [block(numbers(0.1), caption=(f"about {kind}",), kind=kind) for kind in kinds]
    assert str(table(*blocks)).count("about codes") == 1


def test_markdown_has_one_header_row_and_marks() -> None:
    text = table(block(numbers(0.3, 0.2, 0.1), notes=("a note",))).to_markdown()
    assert (
        "| method | wiki I→T 16 |\n|:---|---:|\n| a | **0.300** |\n| b | <u>0.200</u> |\n| c | 0.100 |"
        in text
    )
    assert text.endswith("- a note")


def test_markdown_shows_links_pictures_and_entities_as_text() -> None:
    text = table(block([(Entry("![x](http://example.org/y)&lt;"), Entry("[.1–.2]"))])).to_markdown()
    assert r"| ![x\](http://example.org/y)\&lt; | [.1–.2] |" in text


def test_markdown_escapes_what_would_end_a_cell_or_start_markup() -> None:
    text = table(block([(Entry("a|b*c<d"), Entry("1"))])).to_markdown()
    assert r"| a\|b\*c\<d |" in text


def test_markdown_leaves_underscores_inside_words() -> None:
    assert "| random_projection |" in table(block([(Entry("random_projection"), Entry("1"))])).to_markdown()


def test_csv_has_one_header_row_and_full_precision() -> None:
    one = table(block([]), block([]), data=({"method": "a,b", "value": 0.1 + 0.2}, {"method": "c", "n": 3}))
    rows = list(csv.reader(io.StringIO(one.to_csv())))
    assert rows == [["method", "value", "n"], ["a,b", "0.30000000000000004", ""], ["c", "", "3"]]


def test_the_frame_has_the_numbers_of_the_csv() -> None:
    frame = table(block([]), data=({"method": "a", "value": 0.5},)).to_frame()
    assert frame.to_dict("records") == [{"method": "a", "value": 0.5}]


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        *((c, "\\" + c) for c in "_%&#{}$"),
        ("\\", r"\textbackslash{}"),
        ("^", r"\textasciicircum{}"),
        ("~", r"\textasciitilde{}"),
        ("→", r"$\to$"),
        ("<", "$<$"),
        ("[", "{[}"),
        ("--", "-{}-"),
        ("–", "--"),
        ("é", "é"),
        ("λ", r"$\lambda$"),
        ("ж", "(U+0436)"),
        ("µ", r"$\mu$"),
        ("\n", " "),
    ],
)
def test_latex_escapes(char: str, expected: str) -> None:
    assert latex(f"a{char}b") == f"a{expected}b"


def test_latex_escapes_each_character_once() -> None:
    assert latex(r"\_") == r"\textbackslash{}\_"


@pytest.mark.slow
def test_html_escapes_every_text() -> None:
    evil = "<script>alert('x')</script>&\""
    parts = block([(Entry(evil, below=evil, extra=evil), Entry("1"))], caption=(evil,), notes=(evil,))
    columns = (Column(evil, group=evil), *parts.columns[1:])
    text = Table(title=evil, blocks=(replace(parts, columns=columns),)).to_html()
    assert "<script" not in text and text.count("&lt;script&gt;") == 8


def test_html_marks_best_and_second_and_keeps_full_values() -> None:
    text = table(block(numbers(0.3, 0.2))).to_html()
    assert '<td class="right best" data-value="0.3"><b>0.300</b></td>' in text
    assert '<td class="right second" data-value="0.2"><u>0.200</u></td>' in text
    assert '<th scope="row" class="left">a</th>' in text


def test_html_is_well_formed() -> None:
    parts = block(numbers(0.3, None), foot=((Entry("chance"), Entry(".1")),), notes=("a", "b"))
    tree = ElementTree.fromstring(table(parts).to_html().replace("<br>", "<br/>"))
    assert [len(tree.findall(f".//{tag}")) for tag in ("tr", "td", "li")] == [5, 3, 2]


@pytest.mark.parametrize("form", ["to_text", "to_markdown", "to_csv", "to_latex", "to_html"])
def test_no_rendering_ends_in_a_newline(form: str) -> None:
    text = getattr(table(block(numbers(0.3, 0.2)), data=({"a": 1},)), form)()
    assert text and not text.endswith("\n")
