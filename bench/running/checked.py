"""The contract suite on a method in a process of its own: a check that ends the process has failed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench import threads
from bench.checks.suite import Check, CheckResult, check_method, checks_for, timed
from bench.checks.trial import Trial
from bench.contract.method import Method
from bench.isolation import declarations
from bench.isolation.channel import Channel, Message
from bench.isolation.child import Answer
from bench.isolation.process import MODULES, Child, DiedError, RaisedError
from bench.plugins import registry
from bench.running.hosts import APART, Isolation, imports_of


class Checked:
    """Runs checks by name, in the child."""

    def __init__(self, module: str, name: str, parameters: Mapping[str, Any], thread_count: int) -> None:
        self.cls: type[Method] = registry.member(module, name)
        self.trial = Trial(self.cls, parameters)
        self.checks = {check.name: check for check in checks_for(self.cls)}
        self.limit = threads.limit(thread_count)
        self.limit.__enter__()

    def __call__(self, message: Message, channel: Channel) -> Answer:
        return {}, asdict(timed(self.checks[message.values["name"]], self.trial))


def check(
    cls: type[Method],
    parameters: Mapping[str, Any],
    *,
    thread_count: int = 1,
    isolation: Isolation = APART,
) -> tuple[list[CheckResult], bool]:
    """Run the contract suite; also returns whether every check came to its end by itself.

    The limits of ``isolation`` hold for each check.
    """
    if not isolation.apart:
        return check_method(declarations.actual(cls), **parameters), True
    results: list[CheckResult] = []
    checks, complete = checks_for(cls), True
    while len(results) < len(checks):
        done, ended = _in_child(cls, dict(parameters), thread_count, isolation, checks[len(results) :])
        results += done
        complete = complete and not ended
    return results, complete


def _in_child(
    cls: type[Method],
    parameters: dict[str, Any],
    thread_count: int,
    isolation: Isolation,
    checks: Sequence[Check],
) -> tuple[list[CheckResult], bool]:
    """The results of these checks, up to the first that ended the child, and whether one did."""
    child = Child(
        "bench.running.checked:Checked",
        (*MODULES, *imports_of(cls)),
        memory=isolation.memory,
        module=cls.__module__,
        name=cls.__qualname__,
        parameters=parameters,
        thread_count=thread_count,
    )
    results: list[CheckResult] = []
    try:
        for check in checks:
            started = time.monotonic()
            child.allow(isolation.timeout)
            try:
                if not results:
                    child.start()
                results.append(_result(check.name, child.ask("check", name=check.name), started))
            except (DiedError, RaisedError) as error:
                results.append(CheckResult(check.name, False, error.reason, time.monotonic() - started))
                return results, True
    finally:
        child.close()
    return results, False


def _result(name: str, answer: Message, started: float) -> CheckResult:
    """What the child says of a check, as far as it has the form of a result."""
    ok, message = answer.values.get("ok"), answer.values.get("message")
    return CheckResult(name, ok is True, str(message or ""), time.monotonic() - started)
