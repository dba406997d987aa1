"""From stored runs to a folder: tables in all their forms, figures, an index, and a LaTeX document."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import cache, registry, sweep, writing
from bench.document import Document, Section, slug
from bench.errors import BenchError, ParameterError
from bench.evidence import Evidence
from bench.figures import Figure
from bench.records import RunRecord
from bench.results import Results
from bench.statistics import DatasetStatistics, describe
from bench.store import Store
from bench.tables import Table, latex, markdown

TABLE_FORMS = {"md": "to_markdown", "csv": "to_csv", "tex": "to_latex", "html": "to_html", "txt": "to_text"}


@dataclass(slots=True)
class Written:
    """What a report came to: the files, and what could not be made, with the reason."""

    files: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def describer(root: Path) -> Callable[[RunRecord], DatasetStatistics | None]:
    """Measures the dataset of a record, where its files lie below ``root`` and are what was run on."""

    @functools.cache
    def measured(
        name: str, params: tuple[tuple[str, Any], ...], fingerprint: str
    ) -> DatasetStatistics | None:
        try:
            stored = cache.prepare(name, dict(params), root)
        except BenchError:  # a dataset that is not here: the records tell what they know
            return None
        return describe(stored.open()) if stored.fingerprint == fingerprint else None

    def find(record: RunRecord) -> DatasetStatistics | None:
        spec = record.spec
        return measured(spec.dataset, tuple(sorted(spec.dataset_params.items())), record.data)

    return find


Say = Callable[[str, int, int], None]  # title of a section, its cells that are missing, all its cells


def collect(document: Document, *, say: Say, progress: sweep.Progress | None) -> list[Results]:
    """The results of every section of a study file; what is missing is run with ``progress``.

    Without ``progress`` nothing is run, and what is stored counts, stale or not.
    """
    parts = []
    evidence: dict[Path, Evidence] = {}
    for section in document.sections:
        assert section.study is not None, "a study file gives every section a study"
        store = Store(section.study.results_folder)
        cells = sweep.survey(section.study)
        stored = progress is None
        missing = [c for c in cells if (c.state == "missing" if stored else c.due())]
        say(section.title, len(missing), len(cells))
        found = sweep.collect(store, cells) if stored else sweep.run(section.study, progress=progress)
        stale = {c.spec.key: c.reason for c in cells if c.state == "stale"} if stored else {}
        arrays = evidence.setdefault(store.folder, Evidence(store.arrays))
        parts.append((found.records, stale, arrays, describer(section.study.data_folder)))
    cast = [record.spec.label for records, *_ in parts for record in records]
    return [Results(r, stale=s, arrays=a, describe=d, cast=cast) for r, s, a, d in parts]


def write(document: Document, results: Sequence[Results], out: Path) -> Written:
    """Write every table and figure below ``out``, then the index ``README.md`` and ``report.tex``."""
    done = Written()
    index = [f"# {document.title}", f"Made by `{document.command}` from stored runs."]
    tex: list[str] = []
    for section, found in zip(document.sections, results, strict=True):
        _prepare(section, found)
        index.append(f"## {section.title}")
        tex.append(f"\\section{{{latex(section.title)}}}")
        folder = slug(section.title)
        for request in section.requests:
            try:
                made = found.render(request.name, **request.options)
            except ParameterError as error:
                index.append(f"*{request.name}: left out.* {error}")
                if not request.optional:
                    done.failed.append(f"{section.title}: {request.name}: {error}")
                continue
            for part, text in _write(made, out, folder, request.stem, done):
                (index if part == "index" else tex).append(text)
    done.files.append(writing.text(out / "README.md", "\n\n".join(index) + "\n"))
    done.files.append(writing.text(out / "report.tex", _document(document.title, tex)))
    return done


def _prepare(section: Section, results: Results) -> None:
    """Read all arrays at once, on threads, where a report asks for them."""
    asked = (inspect.signature(registry.get("report", r.name)).parameters for r in section.requests)
    if isinstance(results.arrays, Evidence) and any("arrays" in parameters for parameters in asked):
        results.arrays.prepare(results.records)


def _write(made: Any, out: Path, folder: str, stem: str, done: Written) -> Iterator[tuple[str, str]]:
    """Write one report; gives what the index and the LaTeX document say of it."""
    if isinstance(made, Figure):
        done.files += made.save(out / folder, stem)
        done.files.append(writing.text(out / folder / f"{stem}.csv", made.to_csv() + "\n"))
        yield "index", f"### {made.title}\n\nNumbers: [csv]({folder}/{stem}.csv)"
        for plot in made.plots:
            name = f"{folder}/{'-'.join(filter(None, (stem, plot.name)))}"
            links = ", ".join(f"[{form}]({name}.{form})" for form in ("pdf", "svg", "png"))
            words = "; ".join((*plot.caption, *plot.notes))
            yield "index", f"![{markdown(made.title)}]({name}.png)\n\n{links}: {markdown(words)}"
            yield "tex", _latex_figure(name, f"{made.title}: {words}")
    elif isinstance(made, Table):
        for suffix, form in TABLE_FORMS.items():
            text = getattr(made, form)() + "\n"
            done.files.append(writing.text(out / folder / f"{stem}.{suffix}", _page(made, text, suffix)))
        links = ", ".join(f"[{suffix}]({folder}/{stem}.{suffix})" for suffix in TABLE_FORMS)
        yield "index", f"### {markdown(made.title)}\n\n{made.to_markdown()}\n\n{links}"
        yield "tex", f"\\input{{{folder}/{stem}.tex}}\n\\clearpage"
    else:
        done.files.append(writing.text(out / folder / f"{stem}.txt", f"{made}\n"))
        yield "index", f"### {stem}\n\n[txt]({folder}/{stem}.txt)"


def _page(table: Table, text: str, suffix: str) -> str:
    """The HTML fragment as a page that a browser shows as it is; the other forms as they are."""
    if suffix != "html":
        return text
    style = (
        "body{font:14px/1.5 sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse;margin:1em 0}"
        "caption{text-align:left;caption-side:top;color:#555}td,th{padding:.2em .6em;text-align:right}"
        ".left{text-align:left}thead tr:last-child th{border-bottom:1px solid}tfoot{border-top:1px solid}"
        "thead tr:first-child th{border-top:1px solid}small{color:#777}"
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<style>{style}</style>\n{text}</html>\n'
    )


def _latex_figure(name: str, caption: str) -> str:
    return "\n".join(
        (
            "\\begin{figure}",
            "\\centering",
            f"\\includegraphics[width=\\linewidth]{{{name}.pdf}}",
            f"\\caption{{\\footnotesize {latex(caption)}.}}",
            "\\end{figure}",
            "\\clearpage",
        )
    )


def _document(title: str, parts: Sequence[str]) -> str:
    """A LaTeX document that holds everything, to compile as it is."""
    head = (
        "\\documentclass[a4paper]{article}",
        "\\usepackage[T1]{fontenc}",
        "\\usepackage{booktabs,graphicx}",
        "\\usepackage[margin=2cm]{geometry}",
        f"\\title{{{latex(title)}}}",
        "\\date{}",
        "\\begin{document}",
        "\\maketitle",
    )
    return "\n".join([*head, *parts, "\\end{document}", ""])
