"""At which release a metric stepped: many releases in the same interleaved rounds, each beside the one before.

Pure; imports `comparison`, `metrics`, `pairing` and `statistics`. The model is two-way analysis of covariance: log of
the metric = round + release + slope * log of the control arm + noise, fitted by least squares (Searle, "Linear Models",
1971, chapters 4 and 8). All releases share one estimate of the noise, so few rounds tell much. A step is a difference
between neighbours whose interval excludes none and that is larger than the metric's least change; the intervals of all
neighbours and metrics hold together (Bonferroni), so that 33 releases do not cry wolf more often than two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from scripts.report.comparison import CONTROL_METRIC, LEVEL
from scripts.report.metrics import Metric
from scripts.report.pairing import Series
from scripts.report.statistics import STEEPEST_SLOPE, Figures, Interval, look_level

FEWEST_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The model fitted to one metric of one series."""

    releases: tuple[str, ...]  # in the order of the arms
    rounds: int
    effects: Figures  # of each release, as log ratio to the first
    covariance: Figures  # of these effects; the first has none
    freedom: int  # degrees of freedom of the noise
    noise: float  # standard deviation of a run about the model, as log ratio
    slope: float  # on the control arm; 0: not adjusted

    def against(self, release: int, other: int, level: float = LEVEL) -> Interval:
        """One release beside another, by their places."""
        contrast = np.zeros(len(self.releases))
        contrast[release] += 1
        contrast[other] -= 1
        error = math.sqrt(max(0.0, float(contrast @ self.covariance @ contrast)))
        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * error
        middle = float(contrast @ self.effects)
        return Interval(estimate=middle, low=middle - half, high=middle + half, level=level, number=self.rounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A release at which a metric changed."""

    metric: Metric
    before: str
    release: str
    interval: Interval  # log ratio to the release before


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the runs of a series tell about a metric: logs with a row a round and a column a release."""

    metric: Metric
    releases: tuple[str, ...]
    values: Figures
    controls: Figures | None  # of the control arm, for a metric that follows the speed of the machine


def told(series: Series, metric: Metric) -> Told | None:
    """None when a run does not tell the metric, or there are too few rounds."""
    values = _matrix(series, metric)
    controls = _matrix(series, CONTROL_METRIC) if metric.follows_speed else None
    if values is None or len(series.rounds) < FEWEST_ROUNDS or (metric.follows_speed and controls is None):
        return None
    releases = tuple(series.label(arm) for arm in series.arms)
    return Told(metric=metric, releases=releases, values=values, controls=controls)


def fit(series: Series, metric: Metric) -> Fit | None:
    """The model of a metric; None where `told` is."""
    found = told(series, metric)
    return None if found is None else fitted(found.releases, found.values, found.controls)


def fitted(releases: tuple[str, ...], values: Figures, controls: Figures | None) -> Fit:
    """The model of logs with a row for each round and a column for each release."""
    rounds, arms = values.shape
    columns = [np.kron(np.eye(rounds)[:, [n]], np.ones((arms, 1))) for n in range(rounds)]
    columns += [np.kron(np.ones((rounds, 1)), np.eye(arms)[:, [n]]) for n in range(1, arms)]
    slope = 0.0
    target = values.ravel()
    if controls is not None:
        slope = _slope(values, controls)
        target = target - slope * controls.ravel()
        columns.append(controls.reshape(-1, 1))  # what fitting it costs is in the covariance
    design = np.hstack(columns)
    plain = design[:, : rounds + arms - 1]
    solution = np.linalg.lstsq(plain, target, rcond=None)[0]
    freedom = target.size - design.shape[1]
    noise = math.sqrt(float(((target - plain @ solution) ** 2).sum()) / freedom)
    whole = np.linalg.pinv(design.T @ design) * noise**2
    covariance = np.zeros((arms, arms))
    covariance[1:, 1:] = whole[rounds : rounds + arms - 1, rounds : rounds + arms - 1]
    effects = np.concatenate([[0.0], solution[rounds:]])
    return Fit(
        releases=releases, rounds=rounds, effects=effects, covariance=covariance, freedom=freedom, noise=noise,
        slope=slope,
    )  # fmt: skip


def found(metric: Metric, model: Fit, floor: float = 0.0, metrics: int = 1) -> list[Step]:
    """The releases at which the metric stepped.

    `floor`: the noise floor as log ratio. `metrics`: how many are looked at, whose intervals are to hold together.
    """
    pairs = len(model.releases) - 1
    level = look_level(LEVEL, pairs * metrics)
    least = max(math.log1p(metric.least or 0.0), floor)
    steps = []
    for place in range(1, pairs + 1):
        interval = model.against(place, place - 1, level)
        if interval.exceeds(least):
            before, release = model.releases[place - 1 : place + 1]
            steps.append(Step(metric=metric, before=before, release=release, interval=interval))
    return steps


def false_alarms(figures: Sequence[Told], trials: int, seed: int, floors: Mapping[str, float] | None = None) -> float:
    """Share of trials with any step in any metric where there is none: what the models leave, shuffled.

    Shuffling is among the releases of a round, so that rounds keep their level, and the same for all metrics, so that
    they stay as alike as they are. `floors`: noise floors by the metric's name, as log ratios.
    """
    rng = np.random.default_rng(seed)
    left = [(one, *_left(one)) for one in figures]
    rounds, arms = figures[0].values.shape
    alarms = 0
    for _ in range(trials):
        order = rng.permuted(np.tile(np.arange(arms), (rounds, 1)), axis=1)
        alarms += any(
            found(
                one.metric,
                fitted(one.releases, np.take_along_axis(noise, order, axis=1) + explained, one.controls),
                (floors or {}).get(one.metric.name, 0.0),
                len(figures),
            )
            for one, noise, explained in left
        )
    return alarms / trials


def _left(one: Told) -> tuple[Figures, Figures]:
    """What the model of a metric does not explain by releases and the machine's speed, and what that speed does."""
    model = fitted(one.releases, one.values, one.controls)
    explained = np.zeros_like(one.values) if one.controls is None else model.slope * one.controls
    return one.values - explained - model.effects, explained


def _slope(values: Figures, controls: Figures) -> float:
    """Least squares on the controls, rounds and releases taken out of both; within sensible bounds."""
    ours, theirs = _centred(values), _centred(controls)
    squares = float((theirs**2).sum())
    return min(max(float((ours * theirs).sum()) / squares, 0.0), STEEPEST_SLOPE) if squares > 0 else 0.0


def _centred(values: Figures) -> Figures:
    centred = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return np.asarray(centred)


def _matrix(series: Series, metric: Metric) -> Figures | None:
    """Logs with a row a round and a column an arm; None when a figure is missing, not believed, or not positive."""
    runs = [[one.runs[arm] for arm in series.arms] for one in series.rounds]
    rows = [[run.values[metric.name] if run.counts(metric) else None for run in row] for row in runs]
    if not rows or any(value is None or value <= 0 for row in rows for value in row):
        return None
    return np.log(np.array(rows, dtype=np.float64))
