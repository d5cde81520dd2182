"""What a campaign says: for every metric the paired ratio to the baseline, its interval, and a verdict.

The replicate is the run, never the request. A
metric that follows the machine's speed is adjusted by the control arm: the CPU time per request of load generator and
mock API in the same run, which hold no code under test.
"""

from __future__ import annotations

import itertools
import math
import statistics as averages
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.analysis.metrics import COMPARED, METRICS, Metric
from scripts.analysis.run_reader import Run
from scripts.inference import intervals
from scripts.inference.intervals import Interval
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.records import conditions

Verdict = Literal["regression", "improvement", "within threshold", "inconclusive", "no data"]
LEVEL = 0.95
COVARIATE = "speed_covariate_ms"
COVARIATE_METRIC = next(metric for metric in METRICS if metric.name == COVARIATE)
_LEAST_TO_ADJUST = 4  # rounds: with fewer, the slope of the control arm is not known well enough

Pair = tuple[Sequence[Run], Sequence[Run]]
"""The runs of a baseline and of a candidate, by round."""

Floors = Mapping[tuple[str, str, str, str], float]
"""Noise floor as log ratio by conditions, engine, flow and metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One metric of one arm beside the baseline."""

    metric: Metric
    baseline: float | None  # median over the rounds, in the metric's unit
    candidate: float | None
    interval: Interval | None  # of log(candidate / baseline), adjusted where the metric follows the machine's speed
    threshold: float  # log ratio that a change must exceed: the metric's own least, or the noise floor where larger
    floor: float | None  # noise floor as log ratio; None: no A/A runs under these conditions, or these are A/A runs
    slope: float  # of the adjustment; 0: none
    verdict: Verdict
    rounds_needed: int | None  # in all, for a verdict that is still open

    @property
    def open(self) -> bool:
        """Whether more rounds could still tell."""
        return self.verdict == "inconclusive"


def effects(
    paired: PairedRounds,
    arm: int,
    floors: Floors,
    *,
    level: float = LEVEL,
    minimum_effect: Mapping[str, float] | None = None,
    beside: int = BASELINE,
) -> list[Effect]:
    """Every compared metric of an arm beside another one.

    `least` replaces the least change that counts, as log ratio, by metric name; if given, these metrics alone are what
    a verdict has to hold together with.
    """
    pair = paired.runs(beside), paired.runs(arm)
    wanted = minimum_effect or {}
    shown = [metric for metric in METRICS if metric in COMPARED or metric.name in wanted]
    by_metric = {metric.name: _interval(metric, [pair], level) for metric in shown}
    certain = _certain({name: one for name, (one, _) in by_metric.items() if not wanted or name in wanted}, level)
    return [
        _effect(
            metric, pair, by_metric[metric.name], floor(floors, paired, metric), wanted.get(metric.name), level,
            certain=metric.name in certain,
        )
        for metric in shown
    ]  # fmt: skip


def _certain(by_metric: Mapping[str, Interval | None], level: float) -> set[str]:
    """The metrics whose change is not chance, tested all at once: with ten, one in two tables would cry wolf else."""
    found = {name: interval.p_value for name, interval in by_metric.items() if interval is not None}
    adjusted = intervals.holm(list(found.values()))
    return {name for name, p_value in zip(found, adjusted, strict=True) if p_value < 1 - level}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmComparison:
    """One arm of one series beside its baseline."""

    paired: PairedRounds
    arm: int
    effects: tuple[Effect, ...]

    @property
    def heading(self) -> str:
        """Engine, flow and the two that are compared."""
        return f"{self.paired.engine} {self.paired.flow}: {self.names}"

    @property
    def names(self) -> str:
        """The two that are compared."""
        return f"{self.paired.label(self.arm)} against {self.paired.label(BASELINE)}"


def judge(
    found: Sequence[PairedRounds],
    floors: Floors,
    *,
    level: float = LEVEL,
    minimum_effect: Mapping[str, float] | None = None,
) -> list[ArmComparison]:
    """Every arm of every series beside its baseline; `level` and `least` as `effects` takes them."""
    return [
        ArmComparison(
            paired=one, arm=arm, effects=tuple(effects(one, arm, floors, level=level, minimum_effect=minimum_effect))
        )
        for one in found
        if one.rounds
        for arm in one.arms[1:]
    ]


def rounds_until_regression(one: ArmComparison, metric: str) -> int | None:
    """After how many rounds an arm was called a regression in this metric, and stayed one; None: it is none."""
    threshold = {metric: next(effect.threshold for effect in one.effects if effect.metric.name == metric)}
    caught: int | None = None
    for number in range(intervals.fewest_rounds(LEVEL), len(one.paired.rounds) + 1):
        found = effects(one.paired.first(number), one.arm, {}, minimum_effect=threshold)
        effect = next(effect for effect in found if effect.metric.name == metric)
        caught = (caught or number) if effect.verdict == "regression" else None
    return caught


def noise_floors(found: Iterable[PairedRounds]) -> dict[tuple[str, str, str, str], float]:
    """From all A/A rounds under the same conditions: how large a change they could not exclude, as log ratio.

    It is the far end of the interval over all of them, so it holds what chance and the order of runs can do. A series
    with a run that does not tell the metric says nothing about it.
    """
    paired: dict[tuple[str, str, str], list[Pair]] = {}
    for one in found:
        if not one.is_aa:
            continue
        key = (conditions.fingerprint(one.rounds[0].runs[BASELINE].record), one.engine, one.flow)
        paired.setdefault(key, []).extend((one.runs(BASELINE), one.runs(arm)) for arm in one.arms[1:])
    floors = {}
    for key, pairs in paired.items():
        for metric in COMPARED:
            interval, _ = _interval(metric, [pair for pair in pairs if _logs(metric, [pair])], LEVEL)
            if interval is not None:
                floors[(*key, metric.name)] = max(abs(interval.low), abs(interval.high))
    return floors


def floor(floors: Floors, paired: PairedRounds, metric: Metric) -> float | None:
    """None for A/A runs, too: judged by the floor that they make themselves, they could never give a false alarm."""
    if not paired.rounds or paired.is_aa:
        return None
    shared = conditions.fingerprint(paired.rounds[0].runs[BASELINE].record)
    return floors.get((shared, paired.engine, paired.flow, metric.name))


def _effect(
    metric: Metric, pair: Pair, measured: tuple[Interval | None, float], floor: float | None,
    minimum_effect: float | None, level: float, *, certain: bool,
) -> Effect:  # fmt: skip
    wanted = minimum_effect if minimum_effect is not None else math.log1p(metric.minimum_effect or 0.0)
    threshold = max(wanted, floor or 0.0)
    interval, slope = measured
    verdict = judged(metric, interval, threshold, complete=_logs(metric, [pair]) is not None, certain=certain)
    return Effect(
        metric=metric,
        baseline=_median(metric, pair[0]),
        candidate=_median(metric, pair[1]),
        interval=interval,
        threshold=threshold,
        floor=floor,
        slope=slope,
        verdict=verdict,
        rounds_needed=_needed(interval, threshold, level) if verdict == "inconclusive" else None,
    )


def judged(
    metric: Metric, interval: Interval | None, threshold: float, *, complete: bool, certain: bool = True
) -> Verdict:
    """The verdict on an interval of log ratios: a change counts when it is certain and larger than the threshold.

    `told`: every run tells the metric, so that without an interval only rounds are missing. `certain`: the change also
    holds together with those of the other metrics.
    """
    if interval is None:
        return "inconclusive" if complete else "no data"
    sign = -1 if metric.better == "higher" else 1
    worse, low, high = sign * interval.estimate, *sorted((sign * interval.low, sign * interval.high))
    if low > 0 and worse > threshold:
        return "regression" if certain else "inconclusive"
    if high < 0 and worse < -threshold:
        return "improvement" if certain else "inconclusive"
    return "within threshold" if -threshold < low and high < threshold else "inconclusive"


def _needed(interval: Interval | None, threshold: float, level: float) -> int:
    """Rounds after which a verdict should be in, if the change is what it seems to be.

    A change beyond the threshold has to be told from none, a smaller one from the threshold. One that is as large as
    the threshold is never told from it: so no less than a quarter of the threshold is asked for.
    """
    if interval is None:
        return intervals.fewest_rounds(level)
    size = abs(interval.estimate)
    half_width = size if size > threshold else max(threshold - size, threshold / 4)
    return max(intervals.rounds_needed(interval, half_width), interval.number + 1)


def _interval(metric: Metric, pairs: Sequence[Pair], level: float) -> tuple[Interval | None, float]:
    """The interval of log ratios over all pairs, and the slope of the adjustment; None where it cannot be told."""
    values, covariates = _logs(metric, pairs), _logs(COVARIATE_METRIC, pairs)
    if values is None:
        return None, 0.0
    first, second = _sides(values)
    if not metric.follows_speed or covariates is None or len(first) < _LEAST_TO_ADJUST:
        return intervals.paired_t_interval(_differences(first, second), level), 0.0
    slope = intervals.pooled_slope(values, covariates)
    covariate, other = _sides(covariates)
    cost = intervals.slope_cost(covariate, other, covariates)
    return intervals.paired_t_interval(intervals.adjusted(first, second, covariate, other, slope), level, cost), slope


def covariate_change(paired: PairedRounds, arm: int) -> Interval | None:
    """By how much the control arm itself differs; an arm that moves its own control spoils the adjustment."""
    covariates = _logs(COVARIATE_METRIC, [(paired.runs(BASELINE), paired.runs(arm))])
    return None if covariates is None else intervals.paired_t_interval(_differences(*_sides(covariates)), LEVEL)


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [b - a for a, b in zip(first, second, strict=True)]


def _sides(logs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """What `_logs` gives, of all baselines and of all candidates."""
    return list(itertools.chain(*logs[::2])), list(itertools.chain(*logs[1::2]))


def _logs(metric: Metric, pairs: Sequence[Pair]) -> list[list[float]] | None:
    """Logarithms of baseline and candidate of every pair in turn, each an arm by itself.

    None when there is no run, or one that does not tell the metric, must not be compared by it, or tells one that has
    no logarithm.
    """
    arms = [runs for pair in pairs for runs in pair]
    values = [[run.values[metric.name] if run.counts(metric) else None for run in runs] for runs in arms]
    logs = [[math.log(value) for value in arm if value is not None and value > 0] for arm in values]
    return logs if any(logs) and [*map(len, logs)] == [*map(len, values)] else None


def _median(metric: Metric, runs: Sequence[Run]) -> float | None:
    values = [value for run in runs if (value := run.values[metric.name]) is not None]
    return averages.median(values) if values else None
