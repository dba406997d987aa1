"""Makes the folder of `bench report`: tables in all their forms, figures, an index, and a LaTeX document.

May import: data, errors, isolation, plugins, progress, records, reporting, results, running, scoring,
storing, study.
"""

from __future__ import annotations

import functools
import gc
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.describe import DatasetStatistics, describe
from bench.errors import BenchError, DataError, ParameterError
from bench.isolation import workers
from bench.plugins import registry
from bench.progress import say
from bench.records import RunRecord
from bench.reporting import writing
from bench.reporting.evidence import Evidence
from bench.reporting.figures import FORMATS, Drawing, Figure
from bench.reporting.references import Reference, bibliography
from bench.reporting.tables import Table, markdown
from bench.reporting.tex import latex
from bench.results import Results
from bench.running import sweep
from bench.scoring.hamming import usable_threads
from bench.storing.store import Store, stale_reasons
from bench.study.planned import PlannedCell, PlannedData
from bench.study.planner import Planner
from bench.study.sections import Document, Request, Section, slug

_PAINTERS = 8  # processes that draw, at most: each takes a second to start
TABLE_FORMS = {"md": "to_markdown", "csv": "to_csv", "tex": "to_latex", "html": "to_html", "txt": "to_text"}


@dataclass(slots=True)
class Written:
    """The files of a folder, and what is missing from it, with the reason."""

    files: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    index: list[str] = field(default_factory=list)  # paragraphs of README.md
    tex: list[str] = field(default_factory=list)  # paragraphs of report.tex
    cited: dict[str, Reference] = field(default_factory=dict)  # by the name of the method


def describer(planner: Planner, root: Path) -> Callable[[RunRecord], DatasetStatistics | None]:
    """Measures the dataset of a record, if its files below ``root`` are those of the run."""

    @functools.cache
    def measured(data: PlannedData, fingerprint: str) -> DatasetStatistics | None:
        try:
            return describe(data.dataset) if data.cached.fingerprint == fingerprint else None
        except BenchError:  # its files are missing: a report shows what the records contain
            return None

    def of(record: RunRecord) -> DatasetStatistics | None:
        spec = record.spec
        return measured(planner.data(spec.dataset, spec.dataset_params, root), record.data)

    return of


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section with its records, and the datasets that were not ready to run."""

    section: Section
    results: Results
    lacking: tuple[str, ...] = ()


def collect(document: Document, how: Mapping[str, Any] | None, items: str = "unseen") -> list[Part]:
    """The records of every section of a study file.

    ``how`` holds the arguments of :func:`bench.running.sweep.complete`. None runs nothing: stored
    records are used as they are, stale or not, and the files of the datasets may be absent. ``items``
    is the part of the database that scores are over, as in :class:`bench.results.Results`. A dataset
    that is not ready is left out, with the commands that make it so; DataError if none is.
    """
    found = []
    planner = Planner()
    evidence: dict[Path, Evidence] = {}
    planned = [(section, *section.plan(planner)) for section in document.sections]
    everything = [cell for _, _, cells, _ in planned for cell in cells]
    unready: set[PlannedData] = set() if how is None else _unready(everything, document)
    for section, study, cells, offers in planned:
        without = tuple(dict.fromkeys(str(cell.data) for cell in cells if cell.data in unready))
        cells = [cell for cell in cells if cell.data not in unready]
        store = Store(study.results_folder)
        if how is None:
            records = [r for r in store.read_all([cell.spec for cell in cells]) if r is not None]
            for line in store.left_out():
                say(line)
            if len(records) < len(cells):
                lacking = f"{len(cells) - len(records)} of {len(cells)} cells"
                say(f"{section.title}: {lacking} are not stored and left out")
            stale = stale_reasons(records)
        else:
            records, stale = sweep.complete(study, cells, title=section.title, **how).records, {}
        arrays = evidence.setdefault(store.folder, Evidence(store.arrays))
        describe = describer(planner, study.data_folder)
        more: dict[str, Any] = {"stale": stale, "arrays": arrays, "describe": describe, "items": items}
        more["indexes"] = store.index
        found.append((section, Results(records, **more, **offers), without))
    cast = [label for _, results, _ in found for label in results.cast]
    return [Part(section=s, results=results.but(cast=cast), lacking=w) for s, results, w in found]


def _unready(cells: Iterable[PlannedCell], document: Document) -> set[PlannedData]:
    """The datasets that are not ready to run; says what each lacks and how to get it."""
    datasets = dict.fromkeys(cell.data for cell in cells)
    unready = {data for data in datasets if data.lacking}
    for data in datasets:
        if data in unready:
            say("\n  ".join([f"{data} is not ready:", *data.lacking]))
    if unready and len(unready) == len(datasets):
        raise DataError(f"{document.title}: no dataset is ready. Take the steps above, then run this again.")
    return unready


def together(parts: Sequence[Part]) -> Results:
    """The records of all parts as one; arrays of one results folder are not read again."""
    records = [record for part in parts for record in part.results.records]
    stale = {key: reason for part in parts for key, reason in part.results.stale.items()}
    items = parts[0].results.items
    homes = {r.spec.key: part.results.evidence for part in parts for r in part.results}
    evidence = list(dict.fromkeys(homes.values()))
    if len(evidence) < 2:
        return Results(records, stale=stale, arrays=next(iter(evidence), None), items=items)
    return Results(records, stale=stale, arrays=lambda record: homes[record.spec.key](record), items=items)


def write(document: Document, parts: Sequence[Part], out: Path, *, ours: Sequence[str] = ()) -> Written:
    """Write every table and figure below ``out``, then the index ``README.md`` and ``report.tex``.

    ``ours`` are the methods to mark in tables.
    """
    done, out = Written(), out.absolute()  # the processes that draw may stand in another folder
    done.index += [f"# {markdown(document.title)}", f"Made by `{document.command}` from stored runs."]
    done.files += _draw(drawing for part in parts for drawing in _section(part, out, done, ours))
    done.files.append(writing.text(out / "README.md", "\n\n".join(done.index) + "\n"))
    if done.cited:
        done.files.append(writing.text(out / "references.bib", bibliography(done.cited.values())))
        done.tex.append("\\bibliographystyle{plain}\n\\bibliography{references}")
    done.files.append(writing.text(out / "report.tex", _document(document.title, done.tex)))
    return done


def _section(part: Part, out: Path, done: Written, ours: Sequence[str]) -> Iterator[Drawing]:
    """Write the reports of one section; yields the figures to draw."""
    done.cited |= part.results.citations()
    done.index.append(f"## {markdown(part.section.title)}")
    done.tex.append(f"\\section{{{latex(part.section.title)}}}")
    if part.lacking:
        names = ", ".join(part.lacking)
        done.index.append(f"*Without {markdown(names)}: not ready.*")
        done.failed.append(
            f"{part.section.title}, {names}: not ready. Take the steps above, then run this again."
        )
    if not part.results.records and part.lacking:
        return
    if not part.results.records:
        done.index.append("*None of its cells is stored.*")
        done.failed.append(
            f"{part.section.title}: none of its cells is stored. Leave out --no-run to run them."
        )
        return
    for request in part.section.requests:
        try:
            made = part.results.render(request.name, **request.options)
        except ParameterError as error:
            done.index.append(f"*{request.name}: left out.* {markdown(str(error))}")
            if not request.optional:
                done.failed.append(f"{part.section.title}, {request.name}: {error}")
            continue
        folder, stem = slug(part.section.title), request.stem
        if isinstance(made, Figure):
            yield from _figure(made, out, folder, stem, done)
        elif isinstance(made, Table):
            _table(made, _printed(part.results, request, made), out, folder, stem, done, ours)
        else:
            done.files.append(writing.text(out / folder / f"{stem}.txt", f"{made}\n"))
            done.index.append(f"### {stem}\n\n[txt]({folder}/{stem}.txt)")


def _printed(results: Results, request: Request, made: Table) -> Table:
    """The table for the paper, made again only where its report has options that differ there."""
    if not results.differs_in_print(request.name):
        return made
    printed: Table = results.printed(request.name, **request.options)
    return printed


def _figure(made: Figure, out: Path, folder: str, stem: str, done: Written) -> Iterator[Drawing]:
    done.files.append(writing.text(out / folder / f"{stem}.csv", made.to_csv() + "\n"))
    done.index.append(f"### {made.title}\n\nNumbers: [csv]({folder}/{stem}.csv)")
    for drawing in made.drawings(out / folder, stem):
        name = f"{folder}/{drawing.stem.name}"
        links = ", ".join(f"[{form}]({name}.{form})" for form in FORMATS)
        text = "; ".join((*drawing.plot.caption, *drawing.plot.notes))
        done.index.append(f"![{markdown(made.title)}]({name}.png)\n\n{links}: {markdown(text)}")
        done.tex.append(_latex_figure(name, made.title, text))
        yield drawing


def _table(
    made: Table, printed: Table, out: Path, folder: str, stem: str, done: Written, ours: Sequence[str]
) -> None:
    made, printed = made.ours(ours, strict=False), printed.ours(ours, strict=False)
    keys = {label: reference.key for label, reference in done.cited.items()}
    for suffix, form in TABLE_FORMS.items():
        text = (
            getattr(made, form)()
            if suffix != "tex"
            else printed.to_latex(label=_label(folder, stem), cite=keys)
        )
        done.files.append(writing.text(out / folder / f"{stem}.{suffix}", _page(made, text + "\n", suffix)))
    links = ", ".join(f"[{suffix}]({folder}/{stem}.{suffix})" for suffix in TABLE_FORMS)
    below = made.to_markdown().partition("\n\n")[2]  # its title is the heading here
    done.index.append(f"### {markdown(made.title)}\n\n{below}\n\n{links}")
    done.tex.append(f"\\input{{{folder}/{stem}.tex}}")


def _label(folder: str, stem: str) -> str:
    return f"{folder}-{stem}"


def _draw(drawings: Iterable[Drawing]) -> list[Path]:
    """Save figures while the reports that follow are made: drawing holds the GIL, so in processes."""
    from joblib import Parallel, delayed

    failed: list[Exception] = []

    def tasks() -> Iterator[Any]:
        try:
            for drawing in drawings:
                yield delayed(_save)(_packed(drawing))
        except Exception as error:  # noqa: BLE001  # joblib may take any of them for the end
            failed.append(error)

    jobs = min(usable_threads(), _PAINTERS)
    saved = Parallel(n_jobs=jobs, backend=workers.loky(), pre_dispatch="all")(tasks())
    if failed:
        raise failed[0]
    return [path for paths in saved for path in paths]


def _packed(drawing: Drawing) -> bytes:
    """Pickled with the functions of --plugin files inside: another process has not read those files."""
    import cloudpickle

    for module in registry.file_modules():
        cloudpickle.register_pickle_by_value(module)
    return bytes(cloudpickle.dumps(drawing))


def _save(packed: bytes) -> list[Path]:
    drawing: Drawing = pickle.loads(packed)  # written by this program a moment ago
    gc.disable()  # walking the many objects of a drawing takes a tenth of its time
    try:
        return drawing.save()
    finally:
        gc.enable()


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


def _latex_figure(name: str, title: str, text: str) -> str:
    """A float with a short caption; the protocol is a paragraph below it."""
    return "\n".join(
        (
            "\\begin{figure}",
            "\\centering",
            f"\\includegraphics{{{name}.pdf}}",
            f"\\caption{{{latex(title)}.}}",
            f"\\label{{fig:{name.replace('/', '-')}}}",
            f"\\par\\smallskip{{\\raggedright\\fontsize{{7}}{{8.4}}\\selectfont {latex(text)}.\\par}}",
            "\\end{figure}",
        )
    )


def _document(title: str, parts: Sequence[str]) -> str:
    """A LaTeX document that holds everything, to compile as it is."""
    head = (
        "\\documentclass[a4paper]{article}",
        # T1's own fonts are bitmaps where neither these nor cm-super are installed; OT1's never are
        "\\IfFileExists{lmodern.sty}{\\usepackage[T1]{fontenc}\\usepackage{lmodern}}{}",
        "\\usepackage{booktabs,float,graphicx}",
        "\\floatplacement{table}{H}",  # where it stands: there is no text for it to float in
        "\\floatplacement{figure}{H}",
        "\\usepackage[margin=2cm]{geometry}",
        f"\\title{{{latex(title)}}}",
        "\\date{}",
        "\\begin{document}",
        "\\maketitle",
    )
    return "\n".join([*head, *parts, "\\end{document}", ""])
