"""Whether the machines that shared the rounds of a comparison disagree on a change.

For each metric a one-way analysis of variance of the rounds' log ratios by machine (Fisher, "Statistical Methods for
Research Workers", 1925, chapter 7), and Holm's method over the metrics. Machines of one kind are alike in their noise,
as this analysis assumes. The ratios are not adjusted by the speed covariate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripts.analysis.metrics import Metric
from scripts.inference.comparison import LEVEL, ArmComparison, significant
from scripts.inference.paired_rounds import BASELINE, PairedRounds, Round
from scripts.inference.usable_rounds import usable

_FEWEST_ROUNDS = 2  # of a machine, so that its own noise shows


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A metric whose change differs between machines by more than the noise between rounds explains."""

    metric: Metric
    changes: tuple[float, ...]  # mean log ratio on each machine that made enough rounds, smallest first


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineAgreement:
    """What machines say of the same comparison."""

    rounds: tuple[int, ...]  # that each machine made, the most first
    metrics: int  # that at least two machines tell in enough rounds
    disagreements: tuple[Disagreement, ...]


def of(one: ArmComparison) -> MachineAgreement | None:
    """Compare the machines; None where one made all rounds, or some records do not say which."""
    parts = _by_machine(one.paired)
    if len(parts) < 2 or "" in parts:  # noqa: PLR2004 - machines to compare
        return None
    told = {
        effect.metric: samples
        for effect in one.effects
        if len(samples := _samples(list(parts.values()), one.arm, effect.metric)) > 1
    }
    p_values = [_p_value(samples) for samples in told.values()]
    return MachineAgreement(
        rounds=tuple(sorted((len(part.rounds) for part in parts.values()), reverse=True)),
        metrics=len(told),
        disagreements=tuple(
            Disagreement(metric=metric, changes=tuple(sorted(map(statistics.fmean, samples))))
            for (metric, samples), differ in zip(told.items(), significant(p_values, LEVEL), strict=True)
            if differ
        ),
    )


def _by_machine(paired: PairedRounds) -> dict[str, PairedRounds]:
    """The rounds of each machine, by its identity; empty: not known."""
    by_machine: dict[str, list[Round]] = {}
    for one in paired.rounds:
        by_machine.setdefault(one.runs[BASELINE].record.machine.identity, []).append(one)
    return {identity: replace(paired, rounds=tuple(rounds)) for identity, rounds in by_machine.items()}


def _samples(parts: Sequence[PairedRounds], arm: int, metric: Metric) -> list[list[float]]:
    """The log ratios on each machine that tells the metric in enough rounds."""
    found = [usable(metric, (part.runs(BASELINE), part.runs(arm))) for part in parts]
    return [
        [candidate - baseline for baseline, candidate in zip(one.baseline, one.candidate, strict=True)]
        for one in found
        if one.number >= _FEWEST_ROUNDS
    ]


def _p_value(samples: Sequence[Sequence[float]]) -> float:
    """Of "the same change on all machines"; 1 where nothing varies at all."""
    from scipy.stats import f_oneway  # noqa: PLC0415 - takes half a second, and few comparisons need it

    if len({value for sample in samples for value in sample}) == 1:
        return 1.0
    found = float(f_oneway(*samples).pvalue)
    return 1.0 if math.isnan(found) else found
