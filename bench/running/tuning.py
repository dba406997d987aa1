"""Chooses parameters on validation queries over items that no method was trained on, never on test queries.

The memory of a search is the results folder: the sampler is seeded and every cell is stored, so an
interrupted search makes the same trials again, skips their finished cells, and goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bench import __version__
from bench.contract import params
from bench.contract.params import Parameter
from bench.errors import BenchError, ParameterError, UnknownNameError, not_installed
from bench.progress import Task
from bench.records import RunRecord, selector
from bench.running import sweep
from bench.running.hosts import APART, Isolation
from bench.study.planner import Planner
from bench.study.selectors import Plugin, Selected, named
from bench.study.study import TUNED, Study

VAL = 200  # validation queries where the study does not say how many
TRAIN = "0.5"  # and the share of the stream to train on: the other items are searched
_WIDTH = 10.0  # a default range goes from the default divided by it to the default times it
_DIGITS = 3  # of a number to try: more add nothing but long names


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from ``low`` to ``high``, ``whole`` ones or all, evenly or on a logarithmic scale."""

    low: float
    high: float
    log: bool
    whole: bool

    def suggest(self, trial: Any, name: str) -> Any:
        """The next value, by an Optuna trial."""
        if self.whole:
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        value = float(f"{trial.suggest_float(name, self.low, self.high, log=self.log):.{_DIGITS}g}")
        return min(max(value, self.low), self.high)

    def __str__(self) -> str:
        return f"{'log:' if self.log else ''}{self.low:g}..{self.high:g}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """The next value, by an Optuna trial."""
        return self.values[trial.suggest_categorical(name, range(len(self.values)))]

    def __str__(self) -> str:
        return ",".join(map(str, self.values))


Space = Mapping[str, Span | Choice]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and its score: mAP, mean over directions and cells; None if a cell did not run."""

    values: Mapping[str, Any]
    score: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of a search. ``trials[0]`` is the method as it was given."""

    study: Study  # of the validation
    given: Selected
    space: Space
    seed: int
    trials: tuple[Trial, ...]
    data: Mapping[str, str]  # dataset → fingerprint

    @property
    def best(self) -> Trial:
        """The highest score; among equals the first, so that a tie changes nothing."""
        return max((t for t in self.trials if t.score is not None), key=lambda t: t.score or 0.0)

    @property
    def method(self) -> str:
        """The method with the chosen values, as a selector, with the name it was given."""
        return named(_set(self.given, self.best.values), self.given.shown)


def space_of(method: Plugin, texts: Sequence[str] = (), *, fixed: Sequence[str] = ()) -> Space:
    """Read ``lambda1=log:0.01..10``, ``sweeps=1..4``, ``teacher=trained,zero``.

    Without texts: every float parameter with a positive default that is not ``fixed``, from a tenth of
    the default to ten times it, on a logarithmic scale, within its bounds.
    """
    known = method.parameters
    space: dict[str, Span | Choice] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if name not in known:
            raise UnknownNameError(f"parameter of {method.name}", name, known)
        if name in space:
            raise ParameterError(f"--space has {name} twice. Give one range, or list values: {name}=A,B,C.")
        space[name] = _dimension(method.name, known[name], values)
    if not texts:
        space = {name: _around(p) for name, p in known.items() if name not in fixed and _is_scale(p)}
    if not space:
        raise ParameterError(
            f"method {method.name!r} has no float parameter with a positive default to tune. Name what to "
            "tune: --space NAME=LOW..HIGH."
        )
    return space


def _dimension(owner: str, parameter: Parameter, text: str) -> Span | Choice:
    form = re.fullmatch(r"(log:)?(.+?)\.\.(.+)", text)
    if form is None:
        values = tuple(params.parse(owner, parameter, part) for part in text.split(","))
        if len(values) < 2:
            raise ParameterError(
                f"{owner}: the space of {parameter.name} is {text!r}; expected LOW..HIGH, log:LOW..HIGH or "
                f"at least two values A,B. To fix it, write {owner}[{parameter.name}=VALUE]."
            )
        return Choice(values)
    low, high = (params.parse(owner, parameter, part) for part in form.groups()[1:])
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high))
    if not numbers or low >= high or (form[1] and low <= 0):
        raise ParameterError(
            f"{owner}: the space of {parameter.name} is {text!r}; expected numbers LOW below HIGH, and LOW "
            "above 0 on a logarithmic scale."
        )
    return Span(low, high, bool(form[1]), isinstance(low, int) and isinstance(high, int))


def _is_scale(parameter: Parameter) -> bool:
    return parameter.type is float and bool(parameter.default > 0)


def _around(parameter: Parameter) -> Span:
    low, high = parameter.default / _WIDTH, parameter.default * _WIDTH
    if not parameter.accepts(low):
        low = parameter.least if parameter.least is not None else parameter.default
    if parameter.most is not None:
        high = min(high, parameter.most)
    return Span(low, high, log=True, whole=False)


def tune(
    study: Study,
    *,
    trials: int = 30,
    space: Sequence[str] = (),
    seed: int = 0,
    retry: bool = False,
    force: bool = False,
    contract: bool = True,
    progress: bool = False,
    isolation: Isolation = APART,
) -> Tuned:
    """Search the space of one method by Optuna's TPE and return every trial.

    A trial runs all cells of the study (datasets, code lengths, seeds) with ``val`` training items as
    queries, which search the items that no method was trained on. The first trial is the method as
    given and does not count among ``trials``. ``progress``
    prints a line for each trial on standard error.
    """
    if trials < 1:
        raise ParameterError(f"trials must be at least 1; got {trials}.")
    if not 0 <= seed < 2**32:
        raise ParameterError(f"the seed of the search must be from 0 to 2³² - 1; got {seed}.")
    study.add_plugins()
    study = study if study.val else study.but(val=VAL)
    study = study.but(train=TRAIN) if "all" in study.train else study
    planner = Planner()
    chosen = planner.select("method", study.methods)
    if len(chosen) != 1:
        raise ParameterError("one method is tuned at a time. Give one name, without lists of values.")
    [given] = chosen
    dimensions = space_of(given.plugin, space, fixed=tuple(given.params))
    optimizer, failed = _optimizer(seed)
    done: list[Trial] = []
    data: dict[str, str] = {}

    def run(values: Mapping[str, Any]) -> Trial:
        one = study.but(methods=[_set(given, values)])
        cells = planner.cells(one)
        records = sweep.complete(
            one, cells, retry=retry, force=force, contract=contract, isolation=isolation
        ).records
        data.update({r.spec.dataset_label: r.data for r in records})
        done.append(_trial(values, records))
        if progress:
            task.finish(_line(done))
        else:
            task.advance()
        return done[-1]

    with Task("", trials + 1, each="trial") as task:
        run({})
        for _ in range(trials):
            asked = optimizer.ask()
            trial = run({name: dimension.suggest(asked, name) for name, dimension in dimensions.items()})
            optimizer.tell(asked, trial.score, state=failed if trial.score is None else None)
    if all(trial.score is None for trial in done):
        raise BenchError(
            f"no trial of {given.plugin.name} ran: {done[0].reason}. See `bench status --debug`."
        )
    return Tuned(study, given, dimensions, seed, tuple(done), data)


def _line(done: Sequence[Trial]) -> str:
    """The last trial, and the best score so far."""
    last = done[-1]
    setting = ", ".join(f"{name}={value}" for name, value in last.values.items()) or "as given"
    if last.score is None:
        return f"{setting}  {last.reason}"
    best = max(trial.score for trial in done if trial.score is not None)
    return f"{setting}  mAP {last.score:.4f}  best {best:.4f}"


def _set(given: Selected, values: Mapping[str, Any]) -> str:
    return selector(given.plugin.name, {**given.params, **values})


def _optimizer(seed: int) -> tuple[Any, Any]:
    """An Optuna study with a seeded sampler, and Optuna's state of a failed trial."""
    try:
        import optuna
    except ImportError as error:
        raise BenchError(not_installed("`bench tune`", "optuna", "tune")) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(direction="maximize", sampler=sampler), optuna.trial.TrialState.FAIL


def _trial(values: Mapping[str, Any], records: Sequence[RunRecord]) -> Trial:
    for record in records:
        if record.status != "ok":
            return Trial(values, None, f"{record.spec}: {record.reason}")
    scores = [r.over("unseen").rounds[-1].metrics[f"map/{d}"] for r in records for d in r.spec.directions]
    return Trial(values, sum(scores) / len(scores))


def study_file(tuned: Tuned) -> str:
    """The chosen values as a study file for `bench run`, with their origin."""
    study = tuned.study.but(methods=[tuned.method], val=0)
    defaults = {f.name: f.default for f in fields(Study)}
    lines = ["# Chosen by `bench tune` on validation queries; the test queries were not read."]
    for name in (f.name for f in fields(Study) if f.name not in ("data_root", "results")):
        value = getattr(study, name)
        if value != defaults[name]:
            lines.append(f"{name} = {_toml(value)}")
    origin = {
        "score": tuned.best.score,
        "score_as_given": tuned.trials[0].score,
        "measured": "mAP over unseen items, mean over directions, datasets, bits and seeds",
        "val": tuned.study.val,
        "trials": len(tuned.trials) - 1,
        "failed": sum(t.score is None for t in tuned.trials),
        "search": f"Optuna TPE, seed {tuned.seed}",
        "hashbench": __version__,
    }
    lines += ["", f"[{TUNED}]", *(f"{k} = {_toml(v)}" for k, v in origin.items() if v is not None)]
    lines += ["", f"[{TUNED}.space]", *(f"{k} = {_toml(str(d))}" for k, d in tuned.space.items())]
    lines += ["", f"[{TUNED}.data]", *(f"{_toml(k)} = {_toml(v)}" for k, v in tuned.data.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Text, numbers and lists of them: where JSON is TOML."""
    return json.dumps(value, ensure_ascii=False)
