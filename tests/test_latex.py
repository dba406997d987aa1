"""Tables and references for a paper: what the source holds, and what two classes make of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import UnknownNameError
from bench.reporting.references import Reference, bibliography
from bench.reporting.tables import Block, Column, Entry, Row, Table
from bench.reporting.tex import breakable, width

NASTY = r"a_b%c&d#e{f}g\h^i~j$k<l>m|n[o]p*q--r→s±t†‡◊∥§λé"
TWO_COLUMNS = r"\documentclass[conference]{IEEEtran}"
NEURIPS = r"\documentclass{article}\usepackage{times}\usepackage[textwidth=5.5in,textheight=9in]{geometry}"
CLASSES = {"IEEEtran": TWO_COLUMNS, "NeurIPS-like": NEURIPS}
NEEDS = {  # a file of TeX that Debian may lack, and its package
    "IEEEtran": ("IEEEtran.cls", "texlive-publishers"),
    "NeurIPS-like": ("ptmr8t.tfm", "texlive-fonts-recommended"),
}
PACKAGES = r"\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"


def scores(datasets: int, bits: int, *, methods: int = 9, below: str = "", notes: int = 4) -> Table:
    """A table in the form of the main one: means with spreads, both directions."""
    groups = [f"dataset{d} {direction}" for d in range(datasets) for direction in ("I→T", "T→I")]
    columns = [
        Column(f"{16 * 2**b} bits", group=g, align="left", better="higher")
        for g in groups
        for b in range(bits)
    ]
    rows = [
        (
            Entry(f"random_projection_{m}", extra="†"),
            *(Entry(f".{700 + m}", 0.7 + m / 1000, " ±.004", below) for _ in columns),
        )
        for m in range(methods)
    ]
    return made(rows, [Column("method", align="left"), *columns], notes=("word " * 30,) * notes)


def with_means(datasets: int, bits: int) -> Table:
    """The same with the mean of every dataset after its columns."""
    [block] = scores(datasets, bits).blocks
    each = 2 * bits
    columns, rows = list(block.columns[:1]), [row[:1] for row in block.rows]
    for start in range(1, len(block.columns), each):
        columns += [*block.columns[start : start + each], Column("mean", align="left", better="higher")]
        rows = [
            (*row, *old[start : start + each], Entry(".700", 0.7))
            for row, old in zip(rows, block.rows, strict=True)
        ]
    return made(rows, columns, block.notes)


def with_foot(table: Table, rows: int) -> Table:
    [block] = table.blocks
    return replace(table, blocks=(replace(block, foot=block.rows[:1] * rows),))


def made(rows: Sequence[Row], columns: Sequence[Column], notes: tuple[str, ...] = ()) -> Table:
    caption = ("mAP without a cutoff, tie-aware", "schedule shuffled:2000; pool none; evaluate last")
    block = Block(caption=caption, columns=tuple(columns), rows=tuple(rows), notes=notes, brief="mAP on wiki")
    return Table(title="mAP", blocks=(block,))


def numbers(*values: float) -> Table:
    rows = [
        (Entry(name), Entry(f"{value:.3f}", value)) for name, value in zip("abcdefgh", values, strict=False)
    ]
    return made(rows, [Column("method", align="left"), Column("16", group="wiki I→T", better="higher")])


def test_the_best_is_bold_and_the_second_underlined() -> None:
    text = numbers(0.3, 0.2).to_latex()
    assert r"a & \textbf{0.300} \\" in text and r"b & \underline{0.200} \\" in text


@pytest.mark.parametrize("spread", ["", " ±.004", "§ ±.004"])
def test_a_mean_stands_beside_the_columns_that_it_is_over(spread: str) -> None:
    columns = [Column("method", align="left")]
    for name in ("wiki", "fashion", "scenes"):
        groups = [f"{name} {direction}" for direction in ("I→T", "T→I")]
        columns += [Column(f"{2**b} bits", group=g, align="left") for g in groups for b in (4, 5, 6, 7)]
        columns += [Column(f"mean of {name}", align="left")]
    row = (Entry("random_projection"), *(Entry(".700", extra=spread) for _ in columns[1:]))
    panels = made([row], columns).to_latex().split("\\toprule")[1:]
    means = [[name for name in ("wiki", "fashion", "scenes") if f"mean of {name}" in p] for p in panels]
    heads = [[name for name in ("wiki", "fashion", "scenes") if f"{name} T" in p] for p in panels]
    assert means == heads and all(len(names) < 2 for names in means)


def test_the_caption_is_brief_and_the_protocol_stands_below() -> None:
    text = numbers(0.3, 0.2).to_latex()
    assert r"\caption{mAP on wiki. Best in bold, second underlined.}" in text
    assert text.index(r"\bottomrule") < text.index("schedule shuffled:2000")


def test_a_long_brief_is_cut_to_two_lines() -> None:
    table = Table(title="word " * 100, blocks=(Block(caption=(), columns=(Column("n"),), rows=()),))
    caption = next(line for line in table.to_latex().splitlines() if line.startswith("\\caption"))
    assert len(caption) < 110


def test_every_block_has_a_label_of_its_own() -> None:
    two = Table(title="Time and memory", blocks=numbers(0.1).blocks * 2)
    text = two.to_latex()
    assert r"\label{tab:time-and-memory}" in text and r"\label{tab:time-and-memory-2}" in text
    assert r"\label{tab:mine}" in two.to_latex(label="mine")


def test_a_method_is_cited_by_the_key_of_its_paper() -> None:
    assert r"a~\cite{wang2020label} & " in numbers(0.3, 0.2).to_latex(cite={"a": "wang2020label"})


def test_ours_follows_the_name_of_my_method() -> None:
    assert "b (ours) & " in numbers(0.3, 0.2).ours(["b"]).to_latex()


def test_ours_without_a_row_is_an_error_with_the_known_names() -> None:
    with pytest.raises(UnknownNameError, match="'lcdhh'"):
        numbers(0.3, 0.2).ours(["lcdhh"])


def test_what_follows_a_number_stands_in_a_column_of_its_own() -> None:
    text = scores(1, 1).to_latex()
    assert r"r@{}l" in text and r"\multicolumn{2}{c}{16 bits}" in text
    assert r".700 & \textsubscript{$\pm$.004}" in text


def test_groups_are_apart() -> None:
    assert scores(1, 2).to_latex().count(r"@{\hspace{12pt}}") == 2


def test_a_narrow_table_takes_one_column_and_a_wide_one_the_page() -> None:
    assert r"\begin{table}[" in scores(1, 1).to_latex()
    assert r"\begin{table*}[" in scores(1, 4).to_latex()


def test_a_wide_table_goes_on_below_without_losing_a_column() -> None:
    text = scores(3, 4).to_latex()
    assert text.count(r"\begin{tabular}") == 3 and text.count(r"\caption") == 1
    assert text.count(r"\multicolumn{2}{c}{16 bits}") == 6


def test_rows_that_do_not_fit_a_page_go_on_in_a_float_of_the_same_number() -> None:
    text = scores(1, 1, methods=120).to_latex()
    assert text.count(r"\begin{table}") == 3 and text.count(r"\addtocounter{table}{-1}") == 2
    assert text.count(r"\label") == 1 and all(text.count(f"projection\\_{m}$") == 1 for m in range(120))


def test_notes_that_do_not_fit_below_a_table_follow_the_float() -> None:
    inside, after = scores(1, 1, methods=40, notes=60).to_latex().split(r"\end{table}")
    assert inside.count("word word") + after.count("word word") == 60 * 15
    assert "word word" in inside and "word word" in after


def test_the_second_line_of_an_entry_has_a_row_of_its_own() -> None:
    text = scores(1, 1, below="[.6–.8]").to_latex()
    assert r"\multicolumn{2}{c}{{\fontsize{6}{7}\selectfont {[}.6--.8{]}}}" in text


def test_no_rows_are_a_head_with_its_foot() -> None:
    block = Block(caption=(), columns=(Column("m"), Column("x")), rows=(), foot=((Entry("chance"), Entry()),))
    text = Table(title="mAP", blocks=(block,)).to_latex()
    assert text.count(r"\begin{table}") == 1 and "chance & --" in text


def test_every_environment_is_closed_and_every_brace() -> None:
    text = made([(Entry(NASTY), Entry("1"))], [Column(NASTY), Column("n")], notes=(NASTY,)).to_latex()
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}") and text.count(r"\begin{") == text.count(r"\end{")
    assert text.replace(r"\$", "").count("$") % 2 == 0


def test_a_narrow_cell_may_break_inside_long_words() -> None:
    assert breakable("lambda1=0.25") == "lambda1=\\allowbreak{}0.\\allowbreak{}25"
    assert "\\allowbreak" in breakable("a" * 40)


def test_a_wide_letter_takes_more_room_than_a_narrow_one() -> None:
    assert width("mm") > width("ll")


@pytest.mark.parametrize(
    ("paper", "key", "authors"),
    [
        ("Y. Wang, X. Luo, X.-S. Xu. Label Embedding Hashing. ACM MM 2020, 871-879", "wang2020label", 3),
        ("X. Kang et al. Discrete hashing. Pattern Recognition (2024) 110688", "kang2024discrete", 1),
        ("Li, Jiang, Ma: Lightweight Hashing, AAAI 2025, arXiv 2502.19751", "li2025lightweight", 3),
        ("H. Jégou. How should we evaluate? ICASSP 2017", "jgou2017should", 1),
        ("somebody's talk", "somebody", 0),
    ],
)
def test_the_text_of_a_paper_becomes_a_reference(paper: str, key: str, authors: int) -> None:
    reference = Reference.of(paper)
    assert (reference.key, len(reference.authors)) == (key, authors)


def test_a_bibliography_has_every_paper_once() -> None:
    paper = Reference.of("Y. Wang, X. Luo. Label Hashing. ACM MM 2020, 871-879")
    text = bibliography([paper, paper])
    assert text.count("@misc{wang2020label,") == 1
    assert "author = {Y. Wang and X. Luo}" in text and "howpublished = {ACM MM, 871-879}" in text


def compiled(folder: Path, head: str, body: str) -> str:
    source = f"{head}{PACKAGES}\\begin{{document}}{body}\\end{{document}}"
    (folder / "t.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:]
    return ran.stdout


TABLES = {
    "one dataset at one length": scores(1, 1),
    "one dataset at four lengths": scores(1, 4),
    "three datasets": scores(3, 4),
    "three datasets with means": with_means(3, 4),
    "a band": scores(1, 2, below="[.701–.799] +.012"),
    "long texts": made(
        [(Entry("lcdh[student=linear,teacher_epochs=5,lambda1=0.25]"), Entry("word " * 40), Entry("a" * 64))],
        [Column("method", align="left"), Column("text", align="left"), Column("digest", align="left")],
    ),
    "many rows": scores(1, 2, methods=100),
    "a tall foot": with_foot(scores(3, 4, methods=9), 12),
    "a long name in the notes": made(
        [(Entry("a"), Entry("1"))],
        [Column("method", align="left"), Column("n")],
        notes=(f"fashion is files[{','.join(['0123456789'] * 9)}]",),
    ),
    "nasty letters": made([(Entry(NASTY), Entry("1"))], [Column(NASTY), Column("n")], notes=(NASTY,)),
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
@pytest.mark.parametrize("name", CLASSES)
def test_no_box_is_overfull(tmp_path: Path, name: str, table: Table) -> None:
    file, package = NEEDS[name]
    if subprocess.run(["kpsewhich", file], capture_output=True, check=False).returncode:
        pytest.skip(f"{file} is not installed (apt-get install {package})")
    said = compiled(tmp_path, CLASSES[name], f"Text.{table.to_latex()}\\clearpage")
    assert "Overfull" not in said and "too large" not in said
