"""What a campaign says: for every metric the paired ratio to the baseline, its interval, and a verdict.

Pure; imports `pairing`, `statistics`, `metrics` and `comparability`. The replicate is the run, never the request. A
metric that follows the machine's speed is adjusted by the control arm: the CPU time per request of load generator and
mock API in the same run, which hold no code under test.
"""

from __future__ import annotations

import math
import statistics as averages
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.report import comparability, statistics
from scripts.report.metrics import METRICS, Metric
from scripts.report.pairing import BASELINE, Series
from scripts.report.statistics import Interval
from scripts.report.store import Run

Verdict = Literal["regression", "improvement", "no change", "inconclusive", "no data"]
LEVEL = 0.95
CONTROL = "control_cpu_per_request_ms"
COMPARED = tuple(metric for metric in METRICS if metric.least is not None)
_LEAST_TO_ADJUST = 4  # rounds: with fewer, the slope of the control arm is not known well enough

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
    floor: float | None  # noise floor as log ratio; None: no A/A runs on this machine
    slope: float  # of the adjustment; 0: none
    verdict: Verdict
    rounds_needed: int | None  # in all, for a verdict that is still open

    @property
    def open(self) -> bool:
        """Whether more rounds could still tell."""
        return self.verdict == "inconclusive"


def effects(
    series: Series,
    arm: int,
    floors: Floors,
    *,
    level: float = LEVEL,
    least: Mapping[str, float] | None = None,
    beside: int = BASELINE,
) -> list[Effect]:
    """Every compared metric of an arm beside another one.

    `least` replaces the least change that counts, as log ratio, by metric name.
    """
    baseline, candidate = series.runs(beside), series.runs(arm)
    wanted = least or {}
    return [
        _effect(metric, baseline, candidate, _floor(floors, series, metric), wanted.get(metric.name), level)
        for metric in METRICS
        if metric in COMPARED or metric.name in wanted
    ]


def noise_floors(found: Iterable[Series]) -> dict[tuple[str, str, str, str], float]:
    """From all A/A rounds under the same conditions: how large a change they could not exclude, as log ratio.

    It is the far end of the interval over all of them, so it holds what chance and the order of runs can do.
    """
    paired: dict[tuple[str, str, str], list[tuple[Run, Run]]] = {}
    for one in found:
        if not one.null:
            continue
        key = (comparability.fingerprint(one.rounds[0].runs[BASELINE].record), one.engine, one.flow)
        for arm in one.arms[1:]:
            paired.setdefault(key, []).extend(zip(one.runs(BASELINE), one.runs(arm), strict=True))
    floors = {}
    for key, pairs in paired.items():
        for metric in COMPARED:
            first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            interval, _ = _interval(metric, first, second, LEVEL)
            if interval is not None:
                floors[(*key, metric.name)] = max(abs(interval.low), abs(interval.high))
    return floors


def _floor(floors: Floors, series: Series, metric: Metric) -> float | None:
    if not series.rounds:
        return None
    conditions = comparability.fingerprint(series.rounds[0].runs[BASELINE].record)
    return floors.get((conditions, series.engine, series.flow, metric.name))


def _effect(
    metric: Metric, baseline: list[Run], candidate: list[Run], floor: float | None, least: float | None, level: float
) -> Effect:
    wanted = least if least is not None else math.log1p(metric.least or 0.0)
    threshold = max(wanted, floor or 0.0)
    interval, slope = _interval(metric, baseline, candidate, level)
    verdict = judged(metric, interval, threshold, number=len(baseline))
    return Effect(
        metric=metric,
        baseline=_median(metric, baseline),
        candidate=_median(metric, candidate),
        interval=interval,
        threshold=threshold,
        floor=floor,
        slope=slope,
        verdict=verdict,
        rounds_needed=_needed(interval, threshold, level) if verdict == "inconclusive" else None,
    )


def judged(metric: Metric, interval: Interval | None, threshold: float, number: int) -> Verdict:
    """The verdict on an interval of log ratios: a change counts when it is certain and larger than the threshold."""
    if interval is None:
        return "inconclusive" if 0 < number < statistics.least_rounds(LEVEL) else "no data"
    sign = -1 if metric.better == "higher" else 1
    worse, low, high = sign * interval.estimate, *sorted((sign * interval.low, sign * interval.high))
    if low > 0 and worse > threshold:
        return "regression"
    if high < 0 and worse < -threshold:
        return "improvement"
    return "no change" if -threshold < low and high < threshold else "inconclusive"


def _needed(interval: Interval | None, threshold: float, level: float) -> int:
    """Rounds after which a verdict should be in, if the change is what it seems to be.

    A change beyond the threshold has to be told from none, a smaller one from the threshold. One that is as large as
    the threshold is never told from it: so no less than a quarter of the threshold is asked for.
    """
    if interval is None:
        return statistics.least_rounds(level)
    size = abs(interval.estimate)
    half_width = size if size > threshold else max(threshold - size, threshold / 4)
    return max(statistics.rounds_needed(interval, half_width), interval.number + 1)


def _interval(metric: Metric, baseline: list[Run], candidate: list[Run], level: float) -> tuple[Interval | None, float]:
    """The interval of log ratios and the slope of the adjustment; None where a run does not tell the metric."""
    first, second = _logs(metric.name, baseline), _logs(metric.name, candidate)
    if first is None or second is None:
        return None, 0.0
    control, other = _logs(CONTROL, baseline), _logs(CONTROL, candidate)
    if not metric.follows_speed or control is None or other is None or len(first) < _LEAST_TO_ADJUST:
        return statistics.shift([b - a for a, b in zip(first, second, strict=True)], level), 0.0
    slope = statistics.pooled_slope([first, second], [control, other])
    cost = statistics.slope_cost(control, other, [control, other])
    return statistics.shift(statistics.adjusted(first, second, control, other, slope), level, cost), slope


def control_shift(series: Series, arm: int) -> Interval | None:
    """By how much the control arm itself differs; an arm that moves its own control spoils the adjustment."""
    control, other = _logs(CONTROL, series.runs(BASELINE)), _logs(CONTROL, series.runs(arm))
    if control is None or other is None:
        return None
    return statistics.shift([b - a for a, b in zip(control, other, strict=True)], LEVEL)


def _logs(name: str, runs: Sequence[Run]) -> list[float] | None:
    """None when there is a run that does not tell the metric, or tells one that has no logarithm."""
    values = [run.values[name] for run in runs]
    found = [math.log(value) for value in values if value is not None and value > 0]
    return found if found and len(found) == len(values) else None


def _median(metric: Metric, runs: Sequence[Run]) -> float | None:
    values = [value for run in runs if (value := run.values[metric.name]) is not None]
    return averages.median(values) if values else None
