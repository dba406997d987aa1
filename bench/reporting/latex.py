"""Tables as a paper prints them: LaTeX that one- and two-column classes take unedited.

A table that fits one column of two is a ``table``, a wider one a ``table*`` whose surplus columns go below.
Where the text is narrower than that, as in NeurIPS by a twentieth, the table shrinks to its width.
The caption is short; the protocol and the notes are one paragraph below the table.
"""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.reporting.tables import Block, Column, Entry, Mark, Row, Table, groups
from bench.reporting.tex import breakable, latex, one_line, width

COLUMN, PAGE = 252.0, 420.0  # points: a column of IEEEtran, and a text as wide as that of NeurIPS (397 pt)
LINES = 56  # of 10 points, that a page of either class has for a float
SHRUNK = 1.1  # times PAGE: what is not wider stays together; NeurIPS shrinks it
GAP, GROUP_GAP = 4.0, 12.0  # points between columns, and between groups of them
FLEXIBLE = 100.0  # points that a column of text gets where the table would be too wide
_NOTE = 3.3  # points, of a character of the notes
_LONG = 24  # characters of a word that may have to break in a column of text
_CAPTION = {"table": 84, "table*": 160}  # characters of two lines
_FORMS: Mapping[Mark, str] = {"best": "\\textbf{%s}", "second": "\\underline{%s}", "": "%s"}


def latex_of(table: Table, *, label: str = "", cite: Mapping[str, str] | None = None) -> str:
    """Every block as a float with ``\\label{tab:LABEL}``; needs the packages booktabs and graphicx.

    ``label`` is by default made of the title; the second block gets ``LABEL-2``. ``cite`` maps the first
    entry of a row, a method's name, to the key of its reference.
    """
    stem = label or re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-")
    parts = [f"% {one_line(table.title)}; needs \\usepackage{{booktabs,graphicx}}"]
    for i, block in enumerate(table.blocks):
        brief = block.brief or table.title + (f", part {i + 1}" if len(table.blocks) > 1 else "")
        parts.append(_Float(block, brief, f"tab:{stem}" + (f"-{i + 1}" if i else ""), cite or {}).text())
    return "\n\n".join(parts)


@dataclass(slots=True)
class _Page:
    """One float: grids of some columns and rows."""

    panels: list[tuple[list[int], range]] = field(default_factory=list)
    room: float = LINES


class _Float:
    """A block as one float, or as several that keep its number where it fits no page."""

    def __init__(self, block: Block, brief: str, label: str, cite: Mapping[str, str]) -> None:
        self.block, self.brief, self.label, self.cite = block, brief, label, cite
        every = (*block.rows, *block.foot)
        self.columns = [_Printed(c, [row[i] for row in every]) for i, c in enumerate(block.columns)]
        cited = any(row[0].text in cite for row in every)
        self.columns[0].natural += width(" [10]") if cited else 0
        if sum(c.natural + GAP for c in self.columns) > PAGE:
            for column in self.columns:
                column.narrow()

    def text(self) -> str:
        pages = self._pages()
        return "\n\n".join(self._page(page, i, last=page is pages[-1]) for i, page in enumerate(pages))

    def _panels(self) -> list[list[int]]:
        """Column numbers of the grids, one below the other; sets of groups stay together, then groups."""
        everything = list(range(len(self.columns)))
        if self._width(everything) <= SHRUNK * PAGE:
            return [everything]
        stub = everything[: self.block.stub]
        panels: list[list[int]] = [[]]

        def fits(more: Sequence[int]) -> bool:
            return not panels[-1] or self._width([*stub, *panels[-1], *more]) <= PAGE

        for together in self._sets():
            members = [i for group in together for i in group]
            if not fits(members):
                panels.append([])
            if self._width([*stub, *members]) <= SHRUNK * PAGE:
                panels[-1] += members
                continue
            for group in together:
                if not fits(group):
                    panels.append([])
                for i in group:
                    if not fits([i]):
                        panels.append([])
                    panels[-1].append(i)
        return [stub + panel for panel in panels]

    def _sets(self) -> list[list[list[int]]]:
        """Groups that belong together, as column numbers: those before a mean, the last one with the mean."""
        sets: list[list[list[int]]] = []
        before: list[list[int]] = []
        start = self.block.stub
        for name, length in groups(self.block.columns[start:]):
            group = list(range(start, start + length))
            start += length
            if name:
                before.append(group)
                continue
            sets.append([*before[:-1], [*before[-1], *group]] if before else [group])
            before = []
        return [*sets, *([group] for group in before)]

    def _width(self, indices: Sequence[int]) -> float:
        """Points of a grid of these columns; a group's name may be wider than its columns."""
        total, start = 0.0, 0
        for name, length in groups([self.block.columns[i] for i in indices]):
            inside = sum(self.columns[i].natural + GAP for i in indices[start : start + length])
            total += max(inside, width(name)) + (GROUP_GAP - GAP)
            start += length
        return total

    def _pages(self) -> list[_Page]:
        pages = [_Page()]
        for indices in self._panels():
            for rows in self._runs(indices):
                height = self._around(indices) + sum(self._height(self.block.rows[i], indices) for i in rows)
                if height > pages[-1].room and pages[-1].panels:
                    pages.append(_Page())
                pages[-1].panels.append((indices, rows))
                pages[-1].room -= height
        return pages

    def _runs(self, indices: Sequence[int]) -> Iterator[range]:
        """Rows that fit a page, run by run; one empty run where there are none."""
        around = self._around(indices)
        start, height = 0, around
        for i, row in enumerate(self.block.rows):
            height += self._height(row, indices)
            if height > LINES:
                yield range(start, i)
                start, height = i, around + self._height(row, indices)
        yield range(start, len(self.block.rows))

    def _around(self, indices: Sequence[int]) -> float:
        """Lines of a grid without its rows: its heads, its rules, and the foot, below the last row."""
        return 4.0 + sum(self._height(row, indices) for row in self.block.foot)

    def _height(self, row: Row, indices: Sequence[int]) -> int:
        return max(self.columns[i].height(row[i]) for i in indices)

    def _page(self, page: _Page, number: int, *, last: bool) -> str:
        wide = any(self._width(indices) > COLUMN for indices, _ in page.panels)
        form = "table*" if wide else "table"
        lines = [f"\\begin{{{form}}}[tbp]", "\\centering\\fontsize{8}{9.6}\\selectfont"]
        lines += ["\\addtocounter{table}{-1}"] if number else []
        lines.append(f"\\caption{{{self._caption(form, number)}}}")
        lines += [] if number else [f"\\label{{{self.label}}}"]
        lines.append(f"\\setlength{{\\tabcolsep}}{{{GAP / 2:g}pt}}")
        for i, (indices, rows) in enumerate(page.panels):
            lines += [*(["\\par\\medskip"] if i else []), *self._panel(indices, rows)]
        here, later = self._notes(page.room * 10, PAGE if wide else COLUMN) if last else ([], [])
        below = ["\\par\\smallskip\\begin{minipage}{\\linewidth}", *here, "\\end{minipage}"] if here else []
        return "\n".join([*lines, *below, f"\\end{{{form}}}", *(["", *later] if later else [])])

    def _caption(self, form: str, number: int) -> str:
        marked = any(mark for row in self.block.marks() for mark in row)
        legend = ", continued" if number else ". Best in bold, second underlined" if marked else ""
        room = _CAPTION[form] - len(legend)
        return f"{latex(textwrap.shorten(self.brief, room, placeholder='…') + legend)}."

    def _notes(self, room: float, wide: float) -> tuple[list[str], list[str]]:
        """The protocol and the notes: a paragraph for the float, and one after it for the surplus."""
        sentences = list(filter(None, ["; ".join(self.block.caption), *self.block.notes]))
        heights = [math.ceil(len(text) * _NOTE / wide) * 8.4 for text in sentences]
        fits = sum(total <= room for total in itertools.accumulate(heights))
        fits = max(fits, 1)
        return _paragraph(sentences[:fits]), _paragraph(sentences[fits:])

    def _panel(self, indices: Sequence[int], rows: range) -> list[str]:
        """Some columns and rows of a block as a ``tabular``; the foot is below the last row."""
        columns = [self.columns[i] for i in indices]
        body, foot = self.block.marked()

        def line(row: Row, marks: Sequence[Mark]) -> str:
            return self._row([row[i] for i in indices], [marks[i] for i in indices], columns)

        below = [line(*marked) for marked in foot] if rows.stop == len(body) else []
        return [
            f"\\sbox0{{\\begin{{tabular}}{{{self._spec(columns)}}}",
            "\\toprule",
            *(_groups(columns) if any(c.column.group for c in columns) else ()),
            " & ".join(c.head() for c in columns) + " \\\\",
            "\\midrule",
            *(line(*body[i]) for i in rows),
            *(["\\midrule", *below] if below else ()),
            "\\bottomrule",
            "\\end{tabular}}%",
            "\\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}\\else\\usebox0\\fi",
        ]

    def _spec(self, columns: Sequence[_Printed]) -> str:
        spec, group = "@{}", columns[0].column.group
        for i, column in enumerate(columns):
            if i >= self.block.stub and (column.column.group != group or i == self.block.stub):
                spec += f"@{{\\hspace{{{GROUP_GAP:g}pt}}}}"
            group = column.column.group
            spec += column.spec
        return spec + "@{}"

    def _row(self, row: Sequence[Entry], marks: Sequence[Mark], columns: Sequence[_Printed]) -> str:
        cells = [c.cell(entry, mark) for entry, mark, c in zip(row, marks, columns, strict=True)]
        if (key := self.cite.get(row[0].text)) is not None:
            cells[0] += f"~\\cite{{{key}}}"
        line = " & ".join(cells) + " \\\\"
        if any(entry.below for entry in row):
            below = [c.below(entry) for entry, c in zip(row, columns, strict=True)]
            line += "\n" + " & ".join(below) + " \\\\"
        return line


class _Printed:
    """A column: numbers have their decimals aligned, and what follows them in a column of its own."""

    def __init__(self, column: Column, entries: Sequence[Entry]) -> None:
        self.column = column
        self.number = column.align == "right" or bool(column.better)
        self.pair = self.number and any(entry.extra for entry in entries)
        texts = (width(entry.text) + _extra_width(entry.extra) for entry in entries)
        below = (0.75 * width(entry.below) for entry in entries)
        self.natural = max([width(column.name), *texts, *below])
        self.narrowed = False

    def narrow(self) -> None:
        """Break the lines of a wide column of text."""
        if not self.number and self.natural > FLEXIBLE:
            self.natural, self.narrowed = FLEXIBLE, True

    @property
    def span(self) -> int:
        return 1 + self.pair

    @property
    def spec(self) -> str:
        return "r@{}l" if self.pair else "r" if self.number else "l"

    def head(self) -> str:
        name = latex(self.column.name)
        return f"\\multicolumn{{2}}{{c}}{{{name}}}" if self.pair else name

    def height(self, entry: Entry) -> int:
        lines = math.ceil(1.15 * width(entry.text + entry.extra) / self.natural) if self.narrowed else 1
        return max(lines, 1) + bool(entry.below)

    def cell(self, entry: Entry, mark: Mark) -> str:
        if self.narrowed and width(entry.text + entry.extra) > self.natural:
            text = breakable(entry.text) + _extra(entry.extra)
            return f"\\parbox[t]{{{self.natural:g}pt}}{{\\raggedright {text}\\strut}}"
        text, extra = _FORMS[mark].replace("%s", latex(entry.text)), _extra(entry.extra)
        return f"{text} & {extra}".rstrip() if self.pair else text + extra

    def below(self, entry: Entry) -> str:
        text = f"{{\\fontsize{{6}}{{7}}\\selectfont {latex(entry.below)}}}" if entry.below else ""
        return f"\\multicolumn{{2}}{{c}}{{{text}}}" if self.pair else text


def _groups(columns: Sequence[_Printed]) -> list[str]:
    heads, rules, start, place = [], [], 1, 0
    for name, length in groups([c.column for c in columns]):
        span = sum(c.span for c in columns[place : place + length])
        heads.append(f"\\multicolumn{{{span}}}{{c}}{{{latex(name)}}}")
        if name:
            rules.append(f"\\cmidrule(lr){{{start}-{start + span - 1}}}")
        start, place = start + span, place + length
    return [" & ".join(heads) + " \\\\", " ".join(rules)]


_SPREAD = re.compile(r" (±[.\d]+)")


def _extra(text: str) -> str:
    """What follows a number: its spread small and low, the rest as it is."""
    plain = _SPREAD.split(text)
    return "".join(f"\\textsubscript{{{latex(t)}}}" if i % 2 else latex(t) for i, t in enumerate(plain))


def _extra_width(text: str) -> float:
    return sum(width(t) * (0.75 if i % 2 else 1) for i, t in enumerate(_SPREAD.split(text)))


def _paragraph(sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    full = " ".join(s if s.endswith((".", "!", "?")) else f"{s}." for s in sentences)
    text = " ".join((breakable if len(word) > _LONG else latex)(word) for word in full.split(" "))
    return [f"{{\\noindent\\fontsize{{7}}{{8.4}}\\selectfont\\raggedright {text}\\par}}"]
