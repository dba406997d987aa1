"""From stored runs to a folder: tables in all their forms, figures, an index, and a LaTeX document.

May import: data, errors, plugins, progress, records, reporting, results, running, scoring, storing, study.
"""

from __future__ import annotations

import functools
import gc
import inspect
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.describe import DatasetStatistics, describe
from bench.errors import BenchError, ParameterError
from bench.plugins import registry
from bench.progress import say
from bench.records import RunRecord
from bench.reporting import writing
from bench.reporting.evidence import Evidence
from bench.reporting.figures import FORMATS, Drawing, Figure
from bench.reporting.tables import Table, latex, markdown
from bench.results import Results
from bench.running import sweep
from bench.scoring.hamming import usable_threads
from bench.storing.store import Store, stale_reasons
from bench.study.planned import PlannedData
from bench.study.planner import Planner
from bench.study.sections import Document, Request, Section, slug

_PAINTERS = 8  # processes that draw, at most: each takes a second to start
TABLE_FORMS = {"md": "to_markdown", "csv": "to_csv", "tex": "to_latex", "html": "to_html", "txt": "to_text"}


@dataclass(slots=True)
class Written:
    """What a report came to: the files, and what could not be made, with the reason."""

    files: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    index: list[str] = field(default_factory=list)  # paragraphs of README.md
    tex: list[str] = field(default_factory=list)  # and of report.tex


def describer(planner: Planner, root: Path) -> Callable[[RunRecord], DatasetStatistics | None]:
    """Measures the dataset of a record, where its files lie below ``root`` and are what was run on."""

    @functools.cache
    def measured(data: PlannedData, fingerprint: str) -> DatasetStatistics | None:
        try:
            return describe(data.dataset) if data.stored.fingerprint == fingerprint else None
        except BenchError:  # a dataset that is not here: the records tell what they know
            return None

    def find(record: RunRecord) -> DatasetStatistics | None:
        spec = record.spec
        return measured(planner.data(spec.dataset, spec.dataset_params, root), record.data)

    return find


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A section with its records, and what its reports are offered beside them."""

    section: Section
    results: Results
    offers: Mapping[str, Any] = field(default_factory=dict)


def collect(document: Document, how: Mapping[str, Any] | None) -> list[Part]:
    """The records of every section of a study file.

    ``how`` holds the arguments of :func:`bench.running.sweep.complete`. None runs nothing: stored
    records are used as they are, stale or not, and the files of the datasets may be absent.
    """
    found = []
    planner = Planner()
    evidence: dict[Path, Evidence] = {}
    for section in document.sections:
        study, cells, offers = section.plan(planner)
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
        more: dict[str, Any] = {"stale": stale, "arrays": arrays, "describe": describe}
        found.append((section, records, more, offers))
    cast = [r.spec.label for _, records, _, _ in found for r in records if not r.reference]
    return [
        Part(section=section, results=Results(records, cast=cast, **more), offers=offers)
        for section, records, more, offers in found
    ]


def together(parts: Sequence[Part]) -> Results:
    """The records of all parts as one; what reports have read of their arrays is not read again."""
    records = [record for part in parts for record in part.results.records]
    stale = {key: reason for part in parts for key, reason in part.results.stale.items()}
    homes = {r.spec.key: part.results.arrays for part in parts for r in part.results.records}
    evidence = list(dict.fromkeys(filter(None, homes.values())))
    if len(evidence) < 2:
        return Results(records, stale=stale, arrays=next(iter(evidence), None))

    def arrays(record: RunRecord) -> Mapping[str, Any]:
        found = homes[record.spec.key]
        assert found is not None, "several folders, so each part has one"
        return found(record)

    return Results(records, stale=stale, arrays=arrays)


def write(document: Document, parts: Sequence[Part], out: Path) -> Written:
    """Write every table and figure below ``out``, then the index ``README.md`` and ``report.tex``."""
    done, out = Written(), out.absolute()  # the processes that draw may stand in another folder
    done.index += [f"# {markdown(document.title)}", f"Made by `{document.command}` from stored runs."]
    done.files += _draw(drawing for part in parts for drawing in _section(part, out, done))
    done.files.append(writing.text(out / "README.md", "\n\n".join(done.index) + "\n"))
    done.files.append(writing.text(out / "report.tex", _document(document.title, done.tex)))
    return done


def _section(part: Part, out: Path, done: Written) -> Iterator[Drawing]:
    """Write the reports of one section; gives what is to be drawn."""
    done.index.append(f"## {markdown(part.section.title)}")
    done.tex.append(f"\\section{{{latex(part.section.title)}}}")
    if not part.results.records:
        done.index.append("*None of its cells is stored.*")
        done.failed.append(
            f"{part.section.title}: none of its cells is stored. Leave out --no-run to run them."
        )
        return
    _prepare(part)
    for request in part.section.requests:
        try:
            made = part.results.render(request.name, **_options(part, request))
        except ParameterError as error:
            done.index.append(f"*{request.name}: left out.* {markdown(str(error))}")
            if not request.optional:
                done.failed.append(f"{part.section.title}, {request.name}: {error}")
            continue
        yield from _write(made, out, slug(part.section.title), request.stem, done)


def _options(part: Part, request: Request) -> dict[str, Any]:
    """What a report is offered and accepts, and what was asked for."""
    offered = {k: v for k, v in part.offers.items() if k in _accepted(request)}
    return {**offered, **request.options}


def _accepted(request: Request) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(registry.get("report", request.name)).parameters


def _prepare(part: Part) -> None:
    """Read all arrays at once, on threads, where a report asks for them."""
    evidence = part.results.arrays
    if evidence is not None and any("arrays" in _accepted(request) for request in part.section.requests):
        evidence.prepare(part.results.records)


def _write(made: Any, out: Path, folder: str, stem: str, done: Written) -> Iterator[Drawing]:
    """Write one report, and what the index and the LaTeX document say of it."""
    if isinstance(made, Figure):
        yield from _figure(made, out, folder, stem, done)
    elif isinstance(made, Table):
        _table(made, out, folder, stem, done)
    else:
        done.files.append(writing.text(out / folder / f"{stem}.txt", f"{made}\n"))
        done.index.append(f"### {stem}\n\n[txt]({folder}/{stem}.txt)")


def _figure(made: Figure, out: Path, folder: str, stem: str, done: Written) -> Iterator[Drawing]:
    done.files.append(writing.text(out / folder / f"{stem}.csv", made.to_csv() + "\n"))
    done.index.append(f"### {made.title}\n\nNumbers: [csv]({folder}/{stem}.csv)")
    for drawing in made.drawings(out / folder, stem):
        name = f"{folder}/{drawing.stem.name}"
        links = ", ".join(f"[{form}]({name}.{form})" for form in FORMATS)
        words = "; ".join((*drawing.plot.caption, *drawing.plot.notes))
        done.index.append(f"![{markdown(made.title)}]({name}.png)\n\n{links}: {markdown(words)}")
        done.tex.append(_latex_figure(name, f"{made.title}: {words}"))
        yield drawing


def _table(made: Table, out: Path, folder: str, stem: str, done: Written) -> None:
    for suffix, form in TABLE_FORMS.items():
        text = getattr(made, form)() + "\n"
        done.files.append(writing.text(out / folder / f"{stem}.{suffix}", _page(made, text, suffix)))
    links = ", ".join(f"[{suffix}]({folder}/{stem}.{suffix})" for suffix in TABLE_FORMS)
    below = made.to_markdown().partition("\n\n")[2]  # its title is the heading here
    done.index.append(f"### {markdown(made.title)}\n\n{below}\n\n{links}")
    done.tex.append(f"\\input{{{folder}/{stem}.tex}}")


def _draw(drawings: Iterable[Drawing]) -> list[Path]:
    """Save figures while the reports that follow are made: drawing holds the GIL, so in processes."""
    from joblib import Parallel, delayed

    failed: list[Exception] = []

    def tasks() -> Iterator[Any]:
        try:
            for drawing in drawings:
                yield delayed(_save)(_packed(drawing))
        except Exception as error:  # noqa: BLE001  # whatever it is, joblib may take it for the end
            failed.append(error)

    jobs = min(usable_threads(), _PAINTERS)
    found = Parallel(n_jobs=jobs, pre_dispatch="all")(tasks())
    if failed:
        raise failed[0]
    return [path for paths in found for path in paths]


def _packed(drawing: Drawing) -> bytes:
    """What the functions of --plugin files do is packed whole: another process has not read those files."""
    import cloudpickle

    for module in registry.file_modules():
        cloudpickle.register_pickle_by_value(module)
    return bytes(cloudpickle.dumps(drawing))


def _save(packed: bytes) -> list[Path]:
    drawing: Drawing = pickle.loads(packed)  # ours, of a moment ago
    gc.disable()  # the many objects of a drawing would be walked again and again, a tenth of its time
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


def _latex_figure(name: str, caption: str) -> str:
    return "\n".join(
        (
            "\\begin{figure}",
            "\\centering",
            f"\\includegraphics{{{name}.pdf}}",
            f"\\caption{{\\footnotesize {latex(caption)}.}}",
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
