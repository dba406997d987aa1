"""`bench doctor`: findings on the datasets and streams of a study."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from bench.cli import options


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    doctor = commands.add_parser(
        "doctor", parents=[common], help="check datasets and streams for what makes numbers wrong"
    )
    options.add_study(doctor)
    doctor.set_defaults(execute=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from bench.data import cache, doctor
    from bench.protocol import stream
    from bench.records import selector

    study = options.study_of(args)
    seen = set()
    levels: Counter[str] = Counter()
    for spec in study.cells():
        name = selector(spec.dataset, spec.dataset_params)
        if (name, spec.schedule) in seen:
            continue
        seen.add((name, spec.schedule))
        dataset = cache.prepare(spec.dataset, spec.dataset_params, study.data_folder).open()
        plan = stream.of(spec, dataset.train)
        sizes = [len(rows) for rows in plan.rounds]
        print(f"{name}, {spec.schedule}")
        for finding in doctor.examine(dataset, sizes, schedule=spec.schedule, bits=max(study.bits)):
            levels[finding.level] += 1
            print(f"  {finding.level:4}  {finding.topic}: {finding.text}")
    print(", ".join(f"{count} {level}" for level, count in sorted(levels.items())))
    return 1 if levels["FAIL"] else 0
