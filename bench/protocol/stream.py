"""Cuts a training split into rounds, the offline pool and validation queries.

Labels, schedule and the run's seed decide everything here before a method exists: no method can
influence or see the order of later rounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bench.contract.items import Labels, Modality, Rows, Split
from bench.contract.times import Times
from bench.errors import DataError, ParameterError
from bench.protocol import classes, modal, noise, runbook, timed
from bench.protocol.seeds import derive
from bench.records import RunSpec, Schedule

POOLS = {
    "none": "no offline stage",
    "first_chunk": "the items of round 0, before they are streamed",
    "separate:N": "N training items that are taken out of the stream",
    "full": "every item of the stream: sees the future",
}
_NO_TIMES: Mapping[str, Times] = {}


@dataclass(frozen=True, slots=True)
class Withheld:
    """Parts of the training rows that no method sees: (n,) bool, True where hidden; None hides nothing.

    An item lacks at most one modality. ``wrong`` labels are shown in place of the true ones. Queries and
    database keep everything.
    """

    labels: npt.NDArray[np.bool_] | None = None
    absent: dict[Modality, npt.NDArray[np.bool_]] | None = None
    wrong: noise.Wrong | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows of the training split: per round, for the offline pool, and for validation queries.

    ``trained`` (n,) is True for the rows that methods are trained on; None: all of them. Labels arrive
    ``delay`` rounds after their items, and both modalities have arrived after round ``waits``. ``leaving``
    has, for every round of a runbook, the rows that leave the database before and after the others arrive.
    """

    rounds: tuple[Rows, ...]
    pool: Rows | None
    val: Rows
    withheld: Withheld = Withheld()
    trained: npt.NDArray[np.bool_] | None = None
    delay: int = 0
    waits: int = 0
    leaving: runbook.Leaving = ()
    notes: tuple[str, ...] = ()  # for the record

    def seen(self, last: int) -> Rows:
        """Rows of rounds 0 to ``last``, in order of arrival; none where ``last`` is negative."""
        return np.concatenate([self.rounds[0][:0], *self.rounds[: max(last + 1, 0)]])

    def gone(self, last: int, *, fitted: bool = True) -> Rows:
        """Rows that have left by the end of round ``last``; if not ``fitted``, before its items arrive."""
        pairs = self.leaving[: last + 1]
        after = [pair[1] for pair in (pairs if fitted else pairs[:-1])]
        return np.concatenate([self.rounds[0][:0], *(pair[0] for pair in pairs), *after])

    def left(self, rows: Rows, round_: int, *, fitted: bool = True) -> Rows:
        """These rows without those of :meth:`gone`."""
        gone = self.gone(round_, fitted=fitted) if self.leaving else ()
        return rows[~np.isin(rows, gone)] if len(gone) else rows

    def present(self, last: int, *, fitted: bool = True) -> Rows:
        """The rows in the database after round ``last``, in order of arrival."""
        return self.left(self.seen(last), last, fitted=fitted)

    def lesson(self, round_: int, *, supervised: bool) -> Rows:
        """The rows that an online method is trained on in a round, if they are still there."""
        taught = self.taught(round_, supervised=supervised)
        rows = self.rounds[taught] if taught >= 0 else self.rounds[0][:0]
        return self.shown(self.left(rows, round_, fitted=False))

    def taught(self, round_: int, *, supervised: bool) -> int:
        """The round whose items a method learns from in ``round_``; negative while it waits for labels."""
        return round_ - self.delay if supervised else round_

    def entering(self, round_: int, *, supervised: bool) -> Rows:
        """Rows that enter the database in a round: those that have arrived, once all can be hashed."""
        ready = self.waits + (self.delay if supervised else 0)
        if round_ == ready:
            return self.present(round_, fitted=False)
        return self.rounds[round_] if round_ > ready else self.rounds[0][:0]

    def parts(self, rows: Rows) -> dict[str, Rows]:
        """Rows of the database by what methods are shown of them: ``all``, or ``trained`` and ``unseen``."""
        if self.trained is None:
            return {"all": rows}
        mask = self.trained[rows]
        return {"trained": rows[mask], "unseen": rows[~mask]}

    def shown(self, rows: Rows) -> Rows:
        """The rows among these that methods are trained on."""
        return rows if self.trained is None else rows[self.trained[rows]]


def plan(
    n: int,
    labels: Labels | None,
    *,
    schedule: Schedule,
    seed: int,
    pool: str,
    val: int,
    times: Mapping[str, Times] = _NO_TIMES,
) -> Plan:
    """Divide ``n`` training rows.

    ``labels`` (n, classes) and ``times`` order the stream; methods do not see them here.
    """
    kind, size = parse_pool(pool)
    taken = val + (size if kind == "separate" else 0)
    if taken >= n:
        raise ParameterError(
            f"val={val} and pool={pool} take {taken} of {n} training items and leave none to stream. Take "
            "fewer."
        )
    order = derive(seed, "carve").permutation(n) if taken else np.arange(n)
    val_rows, pool_rows, rest = order[:val], order[val:taken], np.sort(order[taken:])
    leaving: runbook.Leaving = ()
    if schedule.order == "runbook":
        rounds, leaving = runbook.play(schedule, rest, labels, seed)
    else:
        rounds = _rounds(rest, labels, times, schedule, derive(seed, "order"))
    offered = {"none": None, "first_chunk": rounds[0], "separate": pool_rows, "full": np.concatenate(rounds)}
    return Plan(rounds, offered[kind], val_rows, leaving=leaving)


def of(spec: RunSpec, train: Split, times: Mapping[str, Times] = _NO_TIMES) -> Plan:
    """The stream of a cell. ``times`` are the time columns of the training items."""
    n, schedule = len(train), spec.schedule
    planned = plan(
        n, train.labels, schedule=schedule, seed=spec.seed, pool=spec.pool, val=spec.val, times=times
    )
    withheld = withhold(n, seed=spec.seed, labelled=spec.labelled, paired=spec.paired)
    if spec.noise != "none" and train.labels is not None:
        wrong = noise.draw(train.labels, spec.noise, derive(spec.seed, "noise"))
        withheld = replace(withheld, wrong=wrong)
    if schedule.order == "modal":
        withheld = replace(withheld, absent=modal.absent(planned.rounds, n, schedule))
    held = classes.held_items(spec, train.labels)
    if held is not None and not planned.leaving:
        planned = replace(planned, rounds=classes.merged(planned.rounds, held))
    if schedule.order == "timed":
        planned = replace(planned, notes=timed.notes(planned.rounds, times, schedule))
    trained = _trained(planned, n, spec, held)
    chosen = replace(planned, withheld=withheld, trained=trained, delay=spec.delay)
    if schedule.order == "modal" and withheld.absent is not None:
        rounds = [chosen.shown(rows) for rows in chosen.rounds]
        chosen = replace(chosen, waits=modal.waits(rounds, withheld.absent))
    latest = len(chosen.rounds) - 1 - chosen.waits
    if spec.delay > latest:
        raise ParameterError(
            f"delay={spec.delay}: the stream {schedule} has {len(chosen.rounds)} rounds, so no label "
            f"arrives in time. Use at most {latest}, or smaller chunks."
        )
    if chosen.leaving:
        _require_lesson(spec, chosen)
    return replace(chosen, pool=_shown_pool(chosen, spec, held))


def _require_lesson(spec: RunSpec, chosen: Plan) -> None:
    """Raise ParameterError where a runbook evaluates before it has brought an item to train on."""
    first = min(evaluated(spec, chosen))
    if not any(len(chosen.lesson(round_, supervised=True)) for round_ in range(first + 1)):
        raise ParameterError(
            f"runbook {spec.schedule.name}: it evaluates in round {first}, and no item has come to train on "
            "and stayed until its labels came. Insert more items before, or lower delay or unseen_classes."
        )


def _shown_pool(chosen: Plan, spec: RunSpec, held: npt.NDArray[np.bool_] | None) -> Rows | None:
    """The rows of the pool that may be shown: none of the stream's unseen items, and no class held out."""
    if chosen.pool is None:
        return None
    if spec.pool == "first_chunk":
        pool = chosen.shown(chosen.rounds[0])
    elif spec.pool == "full":
        pool = chosen.shown(chosen.pool)
    else:
        pool = chosen.pool if held is None else chosen.pool[~held[chosen.pool]]
    if not len(pool):
        raise ParameterError(f"pool={spec.pool} has no item of a class to train on. Take a larger pool.")
    return pool


def _trained(
    planned: Plan, n: int, spec: RunSpec, held: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """The rows that methods are trained on, drawn chunk by chunk; a smaller share is part of a larger one.

    Rows that are ``held`` out (n,) are not among them, and do not count.
    """
    kind, amount = parse_train(spec.train)
    if kind == "all":
        return None if held is None else ~held
    able = [rows if held is None else rows[~held[rows]] for rows in planned.rounds]
    total = sum(len(rows) for rows in able)
    share = amount if kind == "share" else amount / max(total, 1)
    if share > 1:
        raise ParameterError(f"train={spec.train} exceeds the {total} items of the stream. Lower it.")
    rng, trained, arrived = derive(spec.seed, "train"), np.zeros(n, dtype=bool), 0
    for rows in able:
        count = round(share * (arrived + len(rows))) - round(share * arrived)
        arrived += len(rows)
        trained[rows[rng.permutation(len(rows))[: max(count, 1)]]] = True  # every round has one to train on
    if trained.sum() >= total and held is None:
        raise ParameterError(
            f"train={spec.train} leaves none of the {total} items of the stream out of training. Choose a "
            "smaller number, or train=all."
        )
    return trained


def parse_train(text: str) -> tuple[str, float]:
    """Read ``all``, a share (``0.5``) or a number of items (``10000``); 1 means all.

    >>> parse_train("0.5")
    ('share', 0.5)
    """
    if text in ("all", "1", "1.0"):
        return "all", 1.0
    if re.fullmatch(r"[1-9][0-9]*", text):
        return "number", float(text)
    if re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", text):
        return "share", float(text)
    raise ParameterError(
        f"train must be all, a share such as 0.5, or a number of items such as 10000; got {text!r}."
    )


def withhold(n: int, *, seed: int, labelled: float = 1.0, paired: float = 1.0) -> Withheld:
    """Hide labels, or one modality, of all but a share of ``n`` rows.

    What is shown at a smaller share is shown at every larger one. Which modality an item would
    lose is a coin's toss that no share changes.
    """
    labels = absent = None
    if labelled < 1:
        labels = _beyond(labelled, n, derive(seed, "labelled"))
    if paired < 1:
        rng = derive(seed, "paired")
        lone = _beyond(paired, n, rng)
        tossed = rng.random(n) < 0.5
        sides: dict[Modality, npt.NDArray[np.bool_]] = {"image": lone & tossed, "text": lone & ~tossed}
        absent = sides
    return Withheld(labels, absent)


def _beyond(share: float, n: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """True for all but the first ``share`` of ``n`` rows in random order."""
    hidden = np.ones(n, dtype=bool)
    hidden[rng.permutation(n)[: round(share * n)]] = False
    return hidden


def notes(spec: RunSpec, stream: Plan, train: Labels) -> list[str]:
    """Notes for the record on what disturbs the stream."""
    if stream.withheld.wrong is None:
        return list(stream.notes)
    rows = stream.shown(np.concatenate(stream.rounds))
    share = stream.withheld.wrong.share(train, rows)
    wrong = f"noise {spec.noise}: {share:.1%} of the {len(rows)} training items have wrong labels"
    return [*stream.notes, wrong]


def introduced(spec: RunSpec, stream: Plan, train: Labels, query: Labels) -> Rows | None:
    """The round in which the last class of each query is introduced (Q,), by the rule for items.

    ``train`` and ``query`` are the labels of both splits. None where no schedule introduces classes.
    """
    if spec.schedule.order != "class_incremental":
        return None
    group = _class_groups(train.shape[1], spec.schedule.size, derive(spec.seed, "order"))
    # A group may bring no item, and a round may join a later one.
    rounds = [int(_arrival(train[rows], group).max()) for rows in stream.rounds]
    return np.minimum(np.searchsorted(rounds, _arrival(query, group)), len(rounds) - 1)


def parse_pool(text: str) -> tuple[str, int]:
    """``separate:500`` as ``("separate", 500)``; the other kinds have size 0."""
    kind, _, size = text.partition(":")
    if kind == "separate" and re.fullmatch("[1-9][0-9]*", size):
        return kind, int(size)
    if text in ("none", "first_chunk", "full"):
        return text, 0
    raise ParameterError(f"pool must be one of {', '.join(POOLS)}; got {text!r}.")


def evaluated(spec: RunSpec, planned: Plan) -> set[int]:
    """The rounds to evaluate: none before labels and both modalities have arrived, for all methods alike.

    A runbook says itself which ones.
    """
    chosen = parse_evaluate(spec.evaluate, len(planned.rounds))
    if spec.schedule.order == "runbook":
        chosen = sorted(runbook.evaluated(spec.schedule))
    first = planned.waits + planned.delay
    return {round_ for round_ in chosen if round_ >= first}


def parse_evaluate(text: str, rounds: int) -> list[int]:
    """The rounds to evaluate: ``last``, ``all`` or ``every:K`` (and always the last).

    >>> parse_evaluate("every:2", 6)
    [1, 3, 5]
    """
    kind, _, step = text.partition(":")
    if text == "last":
        return [rounds - 1]
    if text == "all":
        return list(range(rounds))
    if kind == "every" and re.fullmatch("[1-9][0-9]*", step):
        return sorted({*range(int(step) - 1, rounds, int(step)), rounds - 1})
    raise ParameterError(f"evaluate must be one of last, all, every:K; got {text!r}.")


def _rounds(
    rows: Rows,
    labels: Labels | None,
    times: Mapping[str, Times],
    schedule: Schedule,
    rng: np.random.Generator,
) -> tuple[Rows, ...]:
    if schedule.order == "shuffled":
        return _cut(rng.permutation(rows), schedule)
    if schedule.order == "stored":
        return _cut(rows, schedule)
    if schedule.order == "timed":
        return timed.rounds(rows, times, schedule, rng)
    if schedule.order == "modal":
        parts = modal.halves(rng.permutation(rows))
        return tuple(chunk for part in parts if len(part) for chunk in _cut(part, schedule))
    if labels is None:
        raise DataError(
            f"schedule {schedule} orders items by label, and this dataset has none. Use shuffled:SIZE."
        )
    if schedule.order == "drift":
        score = labels[rows].astype(np.float64) @ rng.standard_normal(labels.shape[1])
        jitter = rng.permutation(len(rows))  # equal label sets come in random order
        return _cut(rows[np.lexsort((jitter, score))], schedule)
    return _class_rounds(rows, labels, schedule.size, rng)


def _cut(rows: Rows, schedule: Schedule) -> tuple[Rows, ...]:
    size = schedule.size
    if not size or len(rows) <= size:
        return (rows,)
    full, rest = divmod(len(rows), size)
    bounds = [i * size for i in range(full + 1)]
    if rest and schedule.last == "short":
        bounds.append(len(rows))
    bounds[-1] = len(rows)
    return tuple(rows[a:b] for a, b in pairwise(bounds))


def _class_rounds(rows: Rows, labels: Labels, groups: int, rng: np.random.Generator) -> tuple[Rows, ...]:
    """Classes are dealt into groups at random; an item arrives with the last group it belongs to.

    So round t holds only classes of groups 0..t, and a later class never shows itself early.
    """
    arrival = _arrival(labels[rows], _class_groups(labels.shape[1], groups, rng))
    shuffled = rng.permutation(len(rows))
    rounds = (rows[shuffled[arrival[shuffled] == g]] for g in range(groups))
    return tuple(r for r in rounds if len(r))


def _class_groups(classes: int, groups: int, rng: np.random.Generator) -> Rows:
    """The group of every class (classes,)."""
    if groups > classes:
        raise ParameterError(
            f"schedule class_incremental:{groups} has more groups than the dataset has classes ({classes}). "
            "Use fewer groups."
        )
    group = np.empty(classes, dtype=np.intp)
    group[rng.permutation(classes)] = np.arange(classes) * groups // classes
    return group


def _arrival(labels: Labels, group: Rows) -> Rows:
    """The last group that each item belongs to (n,); an unlabelled item belongs to the first."""
    last: Rows = np.where(labels > 0, group, 0).max(axis=1)
    return last
