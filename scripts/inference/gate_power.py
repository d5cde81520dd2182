"""What a gate can decide, before it has measured: from the noise of rounds that are recorded already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.analysis.metrics import METRICS, Metric
from scripts.inference import comparison, power
from scripts.inference.gate_defaults import FAILURES
from scripts.inference.paired_rounds import PairedRounds
from scripts.inference.power import Errors, RoundNoise

PASSING = 0.95  # share of unchanged candidates that should pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Prospect:
    """What the planned rounds can decide of one metric."""

    metric: Metric
    allowed: float  # log ratio, above 0 is worse
    noise: RoundNoise | None  # None: no rounds are recorded yet
    visible: float | None  # the smallest worsening that is found in 80 % of cases
    passes: float | None  # share of unchanged candidates that pass
    rounds_needed: int | None  # for PASSING of them to pass, where the planned rounds are too few


def prospects(
    limits: Mapping[str, float], noise: Mapping[str, RoundNoise], rounds: int, error: float
) -> list[Prospect]:
    """One for each judged metric but the failures. `error`: one-sided, of the last look."""
    errors = Errors(to_pass=error, to_fail=error / max(1, len(limits)))
    return [
        _prospect(metric, limits[metric.name], noise.get(metric.name), rounds, errors)
        for metric in METRICS
        if metric.name in limits and metric.name != FAILURES
    ]


def _prospect(metric: Metric, allowed: float, noise: RoundNoise | None, rounds: int, errors: Errors) -> Prospect:
    visible = passes = needed = None
    if noise is not None:
        visible = power.visible(noise.deviation, rounds, allowed, errors)
        passes = power.passes(noise.deviation, rounds, allowed, errors)
        if passes < PASSING:
            needed = power.rounds_to_pass(noise.deviation, allowed, errors, PASSING)
    return Prospect(
        metric=metric, allowed=allowed, noise=noise, visible=visible, passes=passes, rounds_needed=needed
    )  # fmt: skip


def measured(found: Iterable[PairedRounds], limits: Mapping[str, float]) -> dict[str, RoundNoise]:
    """The noise of a round by metric, pooled over campaigns: each scatters about its own mean change."""
    squares: dict[str, float] = {}
    freedom: dict[str, float] = {}
    for one in found:
        for arm in one.arms[1:] if one.rounds else ():
            for effect in comparison.effects(one, arm, {}, minimum_effect=limits):
                if effect.interval is None:
                    continue
                name, interval = effect.metric.name, effect.interval
                variance = interval.error**2 * interval.number
                squares[name] = squares.get(name, 0.0) + variance * interval.freedom
                freedom[name] = freedom.get(name, 0.0) + interval.freedom
    return {
        name: RoundNoise(deviation=math.sqrt(total / freedom[name]), freedom=freedom[name])
        for name, total in squares.items()
    }
