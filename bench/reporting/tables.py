"""Tables and their renderings: terminal, Markdown, CSV, LaTeX and HTML. They know nothing of records."""

from __future__ import annotations

import csv
import html
import io
import itertools
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import combining, east_asian_width

from bench.errors import UnknownNameError
from bench.printing import shown
from bench.reporting.tex import one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

WIDTH = 100  # of plain text
LABEL_WIDTH = 22  # a longer label is broken, after a comma where it has one
GAP = "  "  # between two columns of plain text

Mark = Literal["", "best", "second"]
Span = tuple[str, str]  # text and its rich style
Line = list[Span]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: ``text`` carries the mark of the best; ``extra`` follows it; ``below`` is a second line."""

    text: str = "–"
    value: float | None = None  # ranked within its column; None takes no part
    extra: str = ""
    below: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """``group`` is a header above neighbouring columns; ``better`` says which value is marked as best."""

    name: str
    group: str = ""
    align: Literal["left", "right"] = "right"
    better: Literal["", "higher", "lower"] = ""


Row = tuple[Entry, ...]
Marked = tuple[Row, list[Mark]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One grid: numbers of one protocol, which ``caption`` describes, and ``brief`` in a few words.

    ``protocol`` names the protocol in file names; blocks of one protocol share a file. Blocks of one ``kind``
    show the same, of several protocols or datasets (:func:`said_once`).
    """

    caption: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    foot: tuple[Row, ...] = ()  # below a rule, never marked
    notes: tuple[str, ...] = ()
    stub: int = 1  # leading columns that name a row
    brief: str = ""  # the caption in print; by default the title of the table
    protocol: str = ""
    kind: str = ""

    def marks(self) -> list[list[Mark]]:
        """Best and second of every column of ``rows``; equal texts get equal marks."""
        by_column = [_marks(c, [row[i] for row in self.rows]) for i, c in enumerate(self.columns)]
        return [list(row) for row in zip(*by_column, strict=True)]

    def ours(self, names: Sequence[str]) -> Block:
        """The same block with ``(ours)`` after these methods."""
        heads = [replace(h, extra=f"{h.extra} (ours)") if h.text in names else h for h, *_ in self.rows]
        return replace(self, rows=tuple((h, *row[1:]) for h, row in zip(heads, self.rows, strict=True)))

    def marked(self) -> tuple[list[Marked], list[Marked]]:
        """The rows with their marks, and those of the foot, which has none."""
        return list(zip(self.rows, self.marks(), strict=True)), [(row, [""] * len(row)) for row in self.foot]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Table:
    """A titled series of blocks, and the plain numbers that they show, one mapping per number.

    ``str(table)`` is plain text, ``rich.console.Console().print(table)`` fits the terminal.
    CSV and data frame hold ``data``: full precision, every protocol field in a column.
    """

    title: str
    blocks: tuple[Block, ...]
    data: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, title: str, parts: Iterable[tuple[Block, Iterable[Mapping[str, Any]]]]) -> Table:
        """A table of blocks, each with its plain numbers."""
        blocks: list[Block] = []
        data: list[Mapping[str, Any]] = []
        for block, numbers in parts:
            blocks.append(block)
            data += numbers
        return cls(title=title, blocks=tuple(blocks), data=data)

    def ours(self, names: Sequence[str], *, strict: bool = True) -> Table:
        """The same table with ``(ours)`` after these methods.

        Raises UnknownNameError for one without a row, if ``strict``.
        """
        known = {row[0].text for block in self.blocks for row in block.rows}
        for name in names:
            if strict and name not in known:
                raise UnknownNameError("method in the table", name, known)
        return replace(self, blocks=tuple(block.ours(names) for block in self.blocks))

    def of_protocol(self, name: str) -> Table | None:
        """The blocks of one protocol, with the title, and without plain numbers; None where there is none."""
        blocks = tuple(block for block in self.blocks if block.protocol == name)
        return replace(self, blocks=blocks, data=()) if blocks else None

    def __repr__(self) -> str:
        return f"<Table: {self.title}; print() shows it>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, width: int = WIDTH) -> str:
        """Plain text: ``*`` marks the best and ``'`` the second of a column."""
        lines = ("".join(text for text, _ in line).rstrip() for line in _terminal(self, width, styled=False))
        return "\n".join(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment
        from rich.style import Style

        styled = options.is_terminal and not console.is_dumb_terminal
        width = options.max_width if options.is_terminal else WIDTH
        for line in _terminal(self, width, styled=styled):
            yield from (Segment(text, Style.parse(style)) for text, style in line)
            yield Segment.line()

    def to_markdown(self) -> str:
        """GitHub's Markdown: the best bold, the second underlined, notes as a list below."""
        return "\n\n".join([f"**{markdown(self.title)}**", *map(_markdown_block, said_once(self.blocks))])

    def to_csv(self) -> str:
        """``data`` as CSV with one header row; an absent value is an empty field."""
        return csv_of(self.data)

    def to_latex(self, *, label: str = "", cite: Mapping[str, str] | None = None) -> str:
        """For a paper: see :func:`bench.reporting.latex.latex_of`."""
        from bench.reporting.latex import latex_of

        return latex_of(self, label=label, cite=cite)

    def to_html(self) -> str:
        """A ``section`` with one HTML table per block, escaped; the classes are ``best`` and ``second``.

        A number has its full value in ``data-value``, for scripts that sort.
        """
        blocks = "\n".join(map(_html_block, said_once(self.blocks)))
        return f"<section>\n<h2>{_html(self.title)}</h2>\n{blocks}\n</section>"

    def _repr_html_(self) -> str:
        """The same for notebooks, which have no style for it."""
        return f'<div style="overflow-x: auto">{self.to_html()}</div>'

    def to_frame(self) -> Any:
        """``data`` as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.DataFrame(list(self.data))


def csv_of(data: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with one header row, as :func:`csv_cell` writes them; an absent value is an empty field."""
    out = io.StringIO()
    names = dict.fromkeys(key for row in data for key in row)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, names))
    writer.writerows([csv_cell(row.get(name, "")) for name in names] for row in data)
    return out.getvalue().rstrip("\n")


def csv_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: ``'`` stands before text that begins like one.

    Numbers stay numbers. https://owasp.org/www-community/attacks/CSV_Injection

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value
    formula = value.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(value)
    return ("'" if formula else "") + shown(value)


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        return math.isfinite(float(text))
    return False


def _marks(column: Column, entries: Sequence[Entry]) -> list[Mark]:
    """The mark of every entry; differences hidden by rounding do not count, so equal texts share a mark."""
    ranked = [c for c in entries if c.value is not None and math.isfinite(c.value)]
    if not column.better or len(ranked) < 2:
        return [""] * len(entries)
    values = {c.text: c.value for c in ranked}
    order = sorted(values, key=lambda text: values[text] or 0.0, reverse=column.better == "higher")
    names: dict[str, Mark] = dict(zip(order, ("best", "second"), strict=False))
    return [names.get(c.text, "") if c.value is not None else "" for c in entries]


def said_once(blocks: Sequence[Block]) -> list[Block]:
    """The same blocks, with lines that all of a kind share only in the first caption or the last notes."""
    kinds: dict[str, list[Block]] = {}
    for block in blocks:
        kinds.setdefault(block.kind, []).append(block)
    shorter = {}
    for kin in kinds.values():
        captions, notes = _shared(one.caption for one in kin), _shared(one.notes for one in kin)
        for one in kin:
            shorter[id(one)] = replace(
                one,
                caption=one.caption if one is kin[0] else _without(one.caption, captions),
                notes=one.notes if one is kin[-1] else _without(one.notes, notes),
            )
    return [shorter[id(block)] for block in blocks]


def _shared(every: Iterable[tuple[str, ...]]) -> set[str]:
    return set.intersection(*map(set, every))


def _without(lines: Sequence[str], shared: set[str]) -> tuple[str, ...]:
    return tuple(line for line in lines if line not in shared)


def groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Runs of neighbouring columns with the same group, and their lengths."""
    return [(group, len(list(run))) for group, run in itertools.groupby(columns, key=lambda c: c.group)]


# terminal


def _terminal(table: Table, width: int, *, styled: bool) -> Iterator[Line]:
    for line in _lines(table, width, styled=styled):
        yield [(shown(text), style) for text, style in line]


def _lines(table: Table, width: int, *, styled: bool) -> Iterator[Line]:
    yield [(table.title, "bold")]
    for block in said_once(table.blocks):
        yield []
        for text in block.caption:
            yield from _wrapped(text, width)
        widths = _widths(block, styled=styled)
        for indices in _panels(block, widths, width):
            yield []
            yield from _panel(block, indices, widths, styled=styled)
        if not styled and any(mark for row in block.marks() for mark in row):
            yield [("* best, ' second in its column", "dim")]
        for text in block.notes:
            yield from _wrapped(text, width)


def _wrapped(text: str, width: int) -> Iterator[Line]:
    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
        yield [(line, "dim")]


def _panels(block: Block, widths: Sequence[int], width: int) -> list[list[int]]:
    """Column numbers of the grids, one below the other, that fit the width; groups stay whole if possible."""
    stub = list(range(block.stub))

    def fits(indices: list[int]) -> bool:
        return sum(widths[i] + len(GAP) for i in stub + indices) - len(GAP) <= width

    panels: list[list[int]] = [[]]
    start = block.stub
    for _, length in groups(block.columns[block.stub :]):
        group = list(range(start, start + length))
        start += length
        if panels[-1] and not fits(panels[-1] + group):
            panels.append([])
        for i in group:
            if panels[-1] and not fits([*panels[-1], i]):
                panels.append([])
            panels[-1].append(i)
    return [stub + panel for panel in panels]


def _widths(block: Block, *, styled: bool) -> list[int]:
    """The width of every column; the first of a group makes room for the group's name."""
    widths = []
    for i, column in enumerate(block.columns):
        entries = [_entry_lines(row[i], column, "", styled=styled) for row in block.rows + block.foot]
        widths.append(max([wide(column.name), *(_length(line) for lines in entries for line in lines)]))
    start = 0
    for group, length in groups(block.columns):
        spare = sum(widths[start : start + length]) + len(GAP) * (length - 1)
        widths[start] += max(0, max(map(wide, _broken(group))) - spare)
        start += length
    return widths


def _length(line: Line) -> int:
    return sum(wide(text) for text, _ in line)


def wide(text: str) -> int:
    """The columns of a terminal that a text takes: two for a letter of Chinese, Japanese or Korean.

    >>> wide("数据 a")
    6
    """
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(c) in "WF" else 0 if combining(c) else 1 for c in text)


def _entry_lines(entry: Entry, column: Column, mark: Mark, *, styled: bool) -> list[Line]:
    style = {"best": "bold", "second": "underline", "": ""}[mark] if styled else ""
    sign = "" if styled else {"best": "*", "second": "'", "": " " if column.better else ""}[mark]
    *head, last = _broken(entry.text)
    lines = [*([(text, style)] for text in head), [(last, style), (sign + entry.extra, "")]]
    return [*lines, [(entry.below, "dim")]] if entry.below else lines


def _broken(text: str) -> list[str]:
    """A long label in several lines."""
    lines = [""]
    for piece in re.split("(?<=,)", text):
        for part in textwrap.wrap(piece, LABEL_WIDTH, drop_whitespace=False) or [""]:
            if lines[-1] and len(lines[-1]) + len(part) > LABEL_WIDTH:
                lines.append("  ")
            lines[-1] += part
    return lines


def _panel(block: Block, indices: list[int], every_width: Sequence[int], *, styled: bool) -> Iterator[Line]:
    columns = [block.columns[i] for i in indices]
    widths = [every_width[i] for i in indices]
    rule: Line = [("─" * (sum(widths) + len(GAP) * (len(widths) - 1)), "dim")]
    if any(c.group for c in columns):
        yield from _group_lines(columns, widths)
    yield _joined([[(c.name, "bold")] for c in columns], columns, widths)
    yield rule
    for part in filter(None, block.marked()):
        for row, marks in part:
            yield from _row_lines(row, marks, indices, columns, widths, styled=styled)
        yield rule


def _group_lines(columns: Sequence[Column], widths: Sequence[int]) -> Iterator[Line]:
    """The names of the groups, standing on a rule each."""
    names, spans, start = [], [], 0
    for group, length in groups(columns):
        names.append(_broken(group) if group else [])
        spans.append(sum(widths[start : start + length]) + len(GAP) * (length - 1))
        start += length
    height = max(map(len, names))
    for level in range(height):
        parts = [([""] * (height - len(name)) + name)[level] for name in names]
        yield [
            (GAP.join(_centred(part.strip(), span) for part, span in zip(parts, spans, strict=True)), "bold")
        ]
    yield [(GAP.join(("─" if name else " ") * span for name, span in zip(names, spans, strict=True)), "dim")]


def _centred(text: str, span: int) -> str:
    return text.center(span - wide(text) + len(text))


def _row_lines(
    row: Row,
    marks: Sequence[Mark],
    indices: list[int],
    columns: Sequence[Column],
    widths: Sequence[int],
    *,
    styled: bool,
) -> Iterator[Line]:
    entries = [
        _entry_lines(row[i], c, marks[i], styled=styled) for i, c in zip(indices, columns, strict=True)
    ]
    for height in range(max(len(lines) for lines in entries)):
        yield _joined([lines[height] if height < len(lines) else [] for lines in entries], columns, widths)


def _joined(parts: Sequence[Line], columns: Sequence[Column], widths: Sequence[int]) -> Line:
    line: Line = []
    for part, column, width in zip(parts, columns, widths, strict=True):
        space: Span = (" " * (width - _length(part)), "")
        line += [*part, space] if column.align == "left" else [space, *part]
        line.append((GAP, ""))
    return line[:-1]


# Markdown


def markdown(text: str) -> str:
    """Escape the markup of GitHub's Markdown; ``_`` inside a word is not markup."""
    return re.sub(r"[\\*<|~]|(?<!\w)_|_(?!\w)|\](?=[(\[])|&(?=#?\w+;)", r"\\\g<0>", one_line(text))


def _markdown_block(block: Block) -> str:
    names = [markdown(f"{c.group} {c.name}".strip()) for c in block.columns]
    lines = ["| " + " | ".join(names) + " |"]
    lines.append("|" + "|".join("---:" if c.align == "right" else ":---" for c in block.columns) + "|")
    for row, marks in itertools.chain(*block.marked()):
        lines.append("| " + " | ".join(map(_markdown_entry, row, marks)) + " |")
    caption = "<br>\n".join(markdown(text) for text in block.caption)  # else one run-on line
    notes = "\n".join(f"- {markdown(text)}" for text in block.notes)
    return "\n\n".join(part for part in (caption, "\n".join(lines), notes) if part)


def _markdown_entry(entry: Entry, mark: Mark) -> str:
    before, after = {"best": ("**", "**"), "second": ("<u>", "</u>"), "": ("", "")}[mark]
    below = "<br>" + markdown(entry.below) if entry.below else ""
    return before + markdown(entry.text) + after + markdown(entry.extra) + below


# HTML


def _html(text: str) -> str:
    return html.escape(one_line(text))


def _html_block(block: Block) -> str:
    caption = "<br>".join(map(_html, block.caption))
    body, foot = ([_html_row(row, marks, block) for row, marks in part] for part in block.marked())
    lines = [
        "<table>",
        *([f"<caption>{caption}</caption>"] if caption else ()),
        "<thead>",
        *([_html_groups(block.columns)] if any(c.group for c in block.columns) else ()),
        f"<tr>{''.join(map(_html_head, block.columns))}</tr>",
        "</thead>",
        "<tbody>",
        *body,
        "</tbody>",
        *(["<tfoot>", *foot, "</tfoot>"] if foot else ()),
        "</table>",
    ]
    if block.notes:
        lines.append("<ul>" + "".join(f"<li>{_html(note)}</li>" for note in block.notes) + "</ul>")
    return "\n".join(lines)


def _html_head(column: Column) -> str:
    return f'<th scope="col" class="{column.align}">{_html(column.name)}</th>'


def _html_groups(columns: Sequence[Column]) -> str:
    heads = (
        f'<th colspan="{length}" scope="colgroup">{_html(group)}</th>' for group, length in groups(columns)
    )
    return f"<tr>{''.join(heads)}</tr>"


def _html_row(row: Row, marks: Sequence[Mark], block: Block) -> str:
    entries = []
    for i, (entry, mark, column) in enumerate(zip(row, marks, block.columns, strict=True)):
        tag, scope = ("th", ' scope="row"') if i < block.stub else ("td", "")
        value = (
            "" if entry.value is None or not math.isfinite(entry.value) else f' data-value="{entry.value!r}"'
        )
        classes = f"{column.align} {mark}".strip()
        inside = {"best": "<b>%s</b>", "second": "<u>%s</u>", "": "%s"}[mark].replace("%s", _html(entry.text))
        below = f"<br><small>{_html(entry.below)}</small>" if entry.below else ""
        entries.append(f'<{tag}{scope} class="{classes}"{value}>{inside}{_html(entry.extra)}{below}</{tag}>')
    return f"<tr>{''.join(entries)}</tr>"
