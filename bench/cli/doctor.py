"""`bench doctor`: check the datasets and streams of a study before anything is trained."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.commands import Commands
    from bench.contract.method import Capabilities
    from bench.records import Schedule
    from bench.study.planned import PlannedCell


def add_commands(commands: Commands, common: argparse.ArgumentParser) -> None:
    doctor = commands.add_parser(
        "doctor",
        parents=[common],
        help="check datasets and streams for problems that would invalidate results",
        epilog="examples: bench doctor --datasets synthetic; bench doctor study.toml",
    )
    options.add_study(doctor)
    doctor.set_defaults(execute=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from bench.data import doctor
    from bench.reporting.names import distinct_specs
    from bench.study.planner import Planner

    study = options.study_of(args)
    streams: dict[tuple[str, Schedule], PlannedCell] = {}
    methods: dict[str, Capabilities] = {}
    cells = Planner().cells(study)
    for cell, spec in zip(cells, distinct_specs([cell.spec for cell in cells]), strict=True):
        streams.setdefault((spec.dataset_label, spec.schedule), cell)
        methods[spec.label] = cell.method.capabilities
    levels: Counter[str] = Counter()
    for (name, schedule), cell in streams.items():
        sizes = [len(rows) for rows in cell.plan.rounds if len(rows)]
        print(f"{name}, {schedule}")
        findings = doctor.examine(
            cell.data.dataset, sizes, schedule=schedule, bits=max(study.bits), methods=methods
        )
        for finding in findings:
            levels[finding.level] += 1
            print(f"  {finding.level:4}  {finding.topic}: {finding.text}")
    print(", ".join(f"{count} {level}" for level, count in sorted(levels.items())))
    return 1 if levels["FAIL"] else 0
