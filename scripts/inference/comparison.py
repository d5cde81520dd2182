"""The result of a campaign: for every metric the paired ratio to the baseline, its interval, and a verdict.

The replicate is the run, never the request. A metric that follows the machine's speed is adjusted by the speed
covariate: the CPU time per request of load generator and mock API in the same run, which hold no code under test.
"""

from __future__ import annotations

import itertools
import math
import statistics as averages
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scripts.analysis import metrics
from scripts.analysis.metrics import COMPARED, COUNTED_COMPARED, METRICS, Metric
from scripts.analysis.run_reader import Run
from scripts.inference import intervals
from scripts.inference.intervals import Figures, Interval
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.inference.usable_rounds import LeftOut, Pair, UsableRounds, usable

Verdict = Literal["regression", "improvement", "within threshold", "inconclusive", "no data"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LEVEL = 0.95
COVARIATE = "speed_covariate_ms"
COVARIATE_METRIC = next(metric for metric in METRICS if metric.name == COVARIATE)
_FEWEST_TO_ADJUST = 4  # rounds: with fewer, the slope on the covariate is too uncertain

Floors = Mapping[tuple[str, str, str, str], float]
"""Noise floor as log ratio by conditions, engine, flow and metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One metric of one arm, compared with the baseline."""

    metric: Metric
    baseline: float | None  # median over the rounds, in the metric's unit
    candidate: float | None
    interval: Interval | None  # of log(candidate / baseline), adjusted where the metric follows the machine's speed
    threshold: float  # log ratio that a change must exceed
    floor: float | None  # noise floor as log ratio; None: no A/A runs under these conditions, or these are A/A runs
    slope: float  # of the adjustment; 0: none
    verdict: Verdict
    rounds_needed: int | None  # in all, for an inconclusive verdict
    left_out: tuple[LeftOut, ...] = ()  # rounds that this metric is not judged by, and why

    @property
    def open(self) -> bool:
        """Whether more rounds could still decide it."""
        return self.verdict == "inconclusive"


def effects(
    paired: PairedRounds,
    arm: int,
    floors: Floors,
    *,
    level: float = LEVEL,
    minimum_effect: Mapping[str, float] | None = None,
    baseline: int = BASELINE,
) -> list[Effect]:
    """Every compared metric of an arm against another one: of those that its runs can have, and those named.

    `minimum_effect`: log ratios by metric name, which replace the metrics' own. If given, Holm's method adjusts over
    these metrics alone.
    """
    pair = paired.runs(baseline), paired.runs(arm)
    wanted = minimum_effect or {}
    by_default = metrics.compared(pair[0][0].record.requested) if pair[0] else COMPARED
    shown = [metric for metric in METRICS if metric in by_default or metric.name in wanted]
    by_metric = {metric.name: _interval(metric, [pair], level) for metric in shown}
    changed = _significant({name: one for name, (one, _) in by_metric.items() if not wanted or name in wanted}, level)
    return [
        _effect(
            metric, pair, by_metric[metric.name], floor(floors, paired, metric), wanted.get(metric.name), level,
            significant=metric.name in changed,
        )
        for metric in shown
    ]  # fmt: skip


def _significant(by_metric: Mapping[str, Interval | None], level: float) -> set[str]:
    """The metrics whose change is significant together with the others'."""
    found = {name: interval.p_value for name, interval in by_metric.items() if interval is not None}
    return {name for name, one in zip(found, significant(list(found.values()), level), strict=True) if one}


def significant(p_values: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Which metrics of a table changed significantly, along the last axis, by Holm's method over all of them.

    Without it, 40 % of the tables of ten independent metrics would hold a false positive.
    """
    return np.asarray(intervals.holm(p_values) < 1 - level)


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmComparison:
    """One arm of a campaign, compared with its baseline."""

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
    """Every arm of every campaign against its baseline; `level` and `minimum_effect` as in `effects`."""
    return [
        ArmComparison(
            paired=one, arm=arm, effects=tuple(effects(one, arm, floors, level=level, minimum_effect=minimum_effect))
        )
        for one in found
        if one.rounds
        for arm in one.arms[1:]
    ]


def rounds_until_regression(one: ArmComparison, metric: str) -> int | None:
    """After how many rounds the verdict on this metric became a regression and stayed one; None: it is none."""
    limit = {metric: next(effect.threshold for effect in one.effects if effect.metric.name == metric)}
    caught: int | None = None
    for number in range(intervals.fewest_rounds(LEVEL), len(one.paired.rounds) + 1):
        found = effects(one.paired.first(number), one.arm, {}, minimum_effect=limit)
        effect = next(effect for effect in found if effect.metric.name == metric)
        caught = (caught or number) if effect.verdict == "regression" else None
    return caught


def noise_floors(found: Iterable[PairedRounds]) -> dict[tuple[str, str, str, str], float]:
    """From all A/A rounds under the same conditions: how large a change they could not exclude, as log ratio.

    It is the far end of the interval over all of them, so it includes noise and the order of runs. A round with a run
    that lacks the metric is left out of that metric's floor.
    """
    paired: dict[tuple[str, str, str], list[Pair]] = {}
    for one in found:
        if not one.is_aa:
            continue
        key = (one.fingerprint, one.engine, one.flow)
        paired.setdefault(key, []).extend((one.runs(BASELINE), one.runs(arm)) for arm in one.arms[1:])
    floors = {}
    for key, pairs in paired.items():
        for metric in (*COMPARED, *COUNTED_COMPARED):
            interval, _ = _interval(metric, pairs, LEVEL)
            if interval is not None:
                floors[(*key, metric.name)] = max(abs(interval.low), abs(interval.high))
    return floors


def floor(floors: Floors, paired: PairedRounds, metric: Metric) -> float | None:
    """The noise floor of a metric; None for A/A runs, which could never show a false positive by their own floor."""
    if not paired.rounds or paired.is_aa:
        return None
    shared = paired.fingerprint
    return floors.get((shared, paired.engine, paired.flow, metric.name))


def threshold(metric: Metric, floor: float | None, wanted: float | None = None) -> float:
    """The log ratio that a change must exceed: the minimum effect, or the noise floor where that is larger.

    `wanted`: a minimum effect as log ratio that replaces the metric's own.
    """
    minimum_effect = math.log1p(metric.minimum_effect or 0.0) if wanted is None else wanted
    return max(minimum_effect, floor or 0.0)


def _effect(
    metric: Metric, pair: Pair, measured: tuple[Interval | None, float], floor: float | None,
    minimum_effect: float | None, level: float, *, significant: bool,
) -> Effect:  # fmt: skip
    limit = threshold(metric, floor, minimum_effect)
    interval, slope = measured
    used = usable(metric, pair)
    shown = used.pair if used.number else pair
    verdict = judged(metric, interval, limit, some=used.number > 0, significant=significant)
    return Effect(
        metric=metric,
        baseline=_median(metric, shown[0]),
        candidate=_median(metric, shown[1]),
        interval=interval,
        threshold=limit,
        floor=floor,
        slope=slope,
        verdict=verdict,
        rounds_needed=_needed(interval, limit, level) if verdict == "inconclusive" else None,
        left_out=used.left_out,
    )


def judged(
    metric: Metric, interval: Interval | None, threshold: float, *, some: bool, significant: bool = True
) -> Verdict:
    """The verdict on an interval of log ratios.

    `some`: a round has the metric, so that without an interval only rounds are missing. `significant`: by Holm's
    method over all metrics of the table.
    """
    if interval is None:
        return "inconclusive" if some else "no data"
    low, high = sorted((metric.worse(interval.low), metric.worse(interval.high)))
    estimate = metric.worse(interval.estimate)
    found = verdicts(np.array(low), np.array(estimate), np.array(high), threshold, significant)
    return VERDICTS[int(found)]


def verdicts(
    low: Figures, estimate: Figures, high: Figures, threshold: float, significant: NDArray[np.bool_] | bool
) -> NDArray[np.intp]:
    """The verdict rule on many intervals of log ratios, where less is better: places in VERDICTS.

    A change counts when its estimate exceeds the threshold, its interval excludes 0, and it is significant.
    """
    rules = [
        (low > 0) & (estimate > threshold) & significant,
        (high < 0) & (estimate < -threshold) & significant,
        (low > -threshold) & (high < threshold),
    ]
    return np.select(rules, [*range(len(rules))], VERDICTS.index("inconclusive"))


def _needed(interval: Interval | None, threshold: float, level: float) -> int:
    """Rounds after which there should be a verdict, if the change is as large as its estimate.

    The interval of a change beyond the threshold has to exclude 0, that of a smaller one the threshold. A change as
    large as the threshold would need endless rounds, so the half width need be no less than a quarter of the threshold.
    """
    if interval is None:
        return intervals.fewest_rounds(level)
    size = abs(interval.estimate)
    half_width = size if size > threshold else max(threshold - size, threshold / 4)
    return max(intervals.rounds_needed(interval, half_width), interval.number + 1)


def _interval(metric: Metric, pairs: Sequence[Pair], level: float) -> tuple[Interval | None, float]:
    """The interval of log ratios over all pairs, or None where there is none, and the slope of the adjustment."""
    used = [one for pair in pairs if (one := usable(metric, pair)).number]
    if not used:
        return None, 0.0
    values = _arms(used)
    first, second = _sides(values)
    by = [usable(COVARIATE_METRIC, one.pair) for one in used] if metric.follows_speed else []
    if len(first) < _FEWEST_TO_ADJUST or not by or any(one.left_out for one in by):
        return intervals.paired_t_interval(_differences(first, second), level), 0.0
    covariates = _arms(by)
    slope = intervals.pooled_slope(values, covariates)
    covariate, other = _sides(covariates)
    cost = intervals.slope_cost(covariate, other, covariates)
    return intervals.paired_t_interval(intervals.adjusted(first, second, covariate, other, slope), level, cost), slope


def covariate_change(paired: PairedRounds, arm: int) -> Interval | None:
    """The change of the speed covariate itself; an arm that changes it spoils the adjustment."""
    used = usable(COVARIATE_METRIC, (paired.runs(BASELINE), paired.runs(arm)))
    return intervals.paired_t_interval(_differences(used.baseline, used.candidate), LEVEL)


def _arms(used: Sequence[UsableRounds]) -> list[Sequence[float]]:
    """The logs of baseline and candidate of every pair in turn, one list an arm."""
    return [arm for one in used for arm in (one.baseline, one.candidate)]


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [b - a for a, b in zip(first, second, strict=True)]


def _sides(logs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """The result of `_arms`, of all baselines and of all candidates."""
    return list(itertools.chain(*logs[::2])), list(itertools.chain(*logs[1::2]))


def _median(metric: Metric, runs: Sequence[Run]) -> float | None:
    values = [value for run in runs if (value := run.values[metric.name]) is not None]
    return averages.median(values) if values else None
