"""Which rounds of a pair tell a metric: those in which both runs have it; the others are counted, with the reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.analysis.metrics import Metric
from scripts.analysis.run_reader import Run

Pair = tuple[Sequence[Run], Sequence[Run]]
"""The runs of a baseline and of a candidate, by round."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Rounds that a metric is not judged by."""

    reason: str
    rounds: int
    example: str = ""  # of one of the runs, in full: foreign text


@dataclass(frozen=True, kw_only=True, slots=True)
class UsableRounds:
    """A metric in the rounds in which both runs have it."""

    pair: Pair  # these rounds only
    baseline: tuple[float, ...]  # log of the metric, by round
    candidate: tuple[float, ...]
    left_out: tuple[LeftOut, ...]  # the most rounds first

    @property
    def number(self) -> int:
        """Of rounds."""
        return len(self.baseline)


def usable(metric: Metric, pair: Pair) -> UsableRounds:
    """The rounds that tell a metric. A round with two reasons counts for the baseline's."""
    kept: list[tuple[Run, Run]] = []
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for both in zip(*pair, strict=True):
        found = [why for run in both if (why := _why_not(metric, run)) is not None]
        if found:
            reason, example = found[0]
            reasons[reason] += 1
            examples.setdefault(reason, example)
        else:
            kept.append(both)
    first, second = [one for one, _ in kept], [other for _, other in kept]
    return UsableRounds(
        pair=(first, second),
        baseline=_logs(metric, first),
        candidate=_logs(metric, second),
        left_out=tuple(
            LeftOut(reason=reason, rounds=rounds, example=examples[reason]) for reason, rounds in reasons.most_common()
        ),
    )


def _why_not(metric: Metric, run: Run) -> tuple[str, str] | None:
    """Why a run does not tell a metric, in general and in full; None when it does."""
    value = run.values[metric.name]
    if value is None:
        return "a run lacks the metric", ""
    if not run.counts(metric):
        full = "; ".join(run.distrusted or run.reasons)
        return f"a run is {full.partition(':')[0]}" if run.distrusted else f"a run is {run.outcome}", full
    return ("a run has a value that is not above 0", "") if value <= 0 else None


def _logs(metric: Metric, runs: Sequence[Run]) -> tuple[float, ...]:
    return tuple(math.log(value) for run in runs if (value := run.values[metric.name]) is not None)
