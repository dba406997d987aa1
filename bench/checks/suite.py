"""The contract of plugins as checks that anybody can run on a method, dataset, report, metric or encoder.

In a test: ``bench.check_method(Mine, raising=True)``, or one test per check::

    @pytest.mark.parametrize("check", checks_for(Mine), ids=str)
    def test_contract(check):
        check(Mine)
"""

from __future__ import annotations

import inspect
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.contract.dataset import DatasetSource
from bench.contract.method import Method
from bench.errors import BenchError, ContractError, said
from bench.plugins import registry

if TYPE_CHECKING:
    from bench.checks.trial import Trial

__all__ = [
    "Check",
    "CheckResult",
    "check_dataset",
    "check_encoder",
    "check_method",
    "check_metric",
    "check_report",
    "checks_for",
]


@dataclass(frozen=True, slots=True)
class Check:
    """One fact that the contract demands; calling it raises where the fact does not hold."""

    name: str
    run: Callable[[Trial], str | None]

    def __call__(self, method: type[Method], **parameters: Any) -> str:
        """Run it on a method; returns what a reader should know, or ""."""
        from bench.checks.trial import Trial

        return self.on(Trial(method, parameters))

    def on(self, trial: Trial) -> str:
        """Run it on a trial, which several checks may share."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is no breach of the contract
            return self.run(trial) or ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check went.

    ``message`` is one line: why the check failed or, where it passed, what a reader should know, or "".
    """

    name: str
    ok: bool
    message: str
    seconds: float


def checks_for(method: type[Method]) -> list[Check]:
    """The checks that apply to a method with these capabilities."""
    from bench.checks import of_methods

    return [Check(function.__name__, function) for function in of_methods.of(method.capabilities)]


def check_method(
    method: type[Method] | str, *, raising: bool = False, **parameters: Any
) -> list[CheckResult]:
    """Run the contract suite on a method class, or on the method of that name.

    ``parameters`` are given to every instance, for a method whose defaults train for long.
    With ``raising`` the failures become one :class:`ContractError`, a line for each.
    """
    from bench.checks.trial import Trial

    cls: type[Method] = registry.get("method", method) if isinstance(method, str) else method
    trial = Trial(cls, parameters)
    return _reported(cls.__name__, [timed(check, trial) for check in checks_for(cls)], raising)


def timed(check: Check, trial: Trial) -> CheckResult:
    """The result of one check on a trial."""
    return _timed(check.name, trial.cls, lambda: check.on(trial))


def check_dataset(
    dataset: type[DatasetSource] | str, root: Path, *, raising: bool = False, **options: Any
) -> list[CheckResult]:
    """Run the contract suite on a dataset, read from ``root`` (unused by a generated one)."""
    from bench.checks import of_datasets

    cls: type[DatasetSource] = registry.get("dataset", dataset) if isinstance(dataset, str) else dataset
    source = of_datasets.Source(cls, options, root)
    results = []
    for check in of_datasets.ALL:
        results.append(_timed(check.__name__, cls, lambda c=check: c(source)))  # type: ignore[misc]
        if check is of_datasets.it_loads and not results[-1].ok:
            break  # the others look at what was loaded
    return _reported(cls.__name__, results, raising)


def check_report(name: str, *, raising: bool = False) -> list[CheckResult]:
    """Run the contract suite on a report, on small records made here."""
    from bench.checks import of_reports

    subject = of_reports.Rendered(name)
    return _all(f"report {name}", registry.get("report", name), of_reports.ALL, subject, raising)


def check_metric(name: str, *, raising: bool = False) -> list[CheckResult]:
    """Run the contract suite on a metric and its variants, on small random codes."""
    from bench.checks import of_metrics

    subject = of_metrics.Declared(name)
    return _all(f"metric {name}", subject.family[0].compute, of_metrics.ALL, subject, raising)


def check_encoder(view: str, root: Path, *, raising: bool = False) -> list[CheckResult]:
    """Run the contract suite on a view, for instance ``bow:1``, on pictures and texts made here.

    ``root`` is the data root, where local checkpoints may lie.
    """
    from bench.checks import of_encoders

    subject = of_encoders.Viewed(view, root)
    return _all(f"encoder {view}", type(subject.view.encoder()), of_encoders.ALL, subject, raising)


def _all(
    owner: str, code: Any, checks: Sequence[Callable[[Any], None]], subject: object, raising: bool
) -> list[CheckResult]:
    results = []
    for check in checks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is no breach of the contract
            results.append(_timed(check.__name__, code, lambda c=check: c(subject)))  # type: ignore[misc]
    return _reported(owner, results, raising)


def _timed(name: str, code: Any, run: Callable[[], str | None]) -> CheckResult:
    started, ok = time.perf_counter(), False
    try:
        message, ok = run() or "", True
    except BenchError as error:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; its check fails and the others go on
        message = f"{type(error).__name__}: {' '.join(said(error))} ({_place(error, code)})"
    return CheckResult(name, ok, " ".join(message.split()), time.perf_counter() - started)


def _place(error: BaseException, code: Any) -> str:
    """The last line of the plugin's own file that the error went through, or else the last line."""
    frames = traceback.extract_tb(error.__traceback__)
    try:
        own = Path(inspect.getfile(code))
    except (TypeError, OSError):  # a class typed into a prompt has no file
        own = Path("?")
    homes = (str(own.parent) if own.name == "__init__.py" else str(own),)
    frame = next((f for f in reversed(frames) if f.filename.startswith(homes)), frames[-1])
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _reported(owner: str, results: list[CheckResult], raising: bool) -> list[CheckResult]:
    failures = [f"{r.name}: {r.message}" for r in results if not r.ok]
    if raising and failures:
        raise ContractError(f"{owner} breaks {len(failures)} checks:\n" + "\n".join(failures))
    return results
