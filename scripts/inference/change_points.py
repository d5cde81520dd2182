"""At which release a metric stepped: many releases in the same interleaved rounds, each beside the one before.

The model is two-way analysis of covariance: log of
the metric = round + release + slope * log of the control arm + noise, fitted by least squares (Searle, "Linear Models",
1971, chapters 4 and 8); as every release is in every round, it is one of means. All releases share one estimate of the
noise, so few rounds tell much. A step is a difference between neighbours whose interval excludes none and that is
larger than the metric's least change; the intervals of all neighbours and metrics hold together (Bonferroni), so that
33 releases do not cry wolf more often than two. Noise has outliers, so the intervals are as wide as shuffled noise asks
for where that is more than Student's (max-T; Westfall and Young, "Resampling-Based Multiple Testing", 1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scripts.analysis.metrics import Metric
from scripts.inference.comparison import COVARIATE_METRIC, LEVEL
from scripts.inference.intervals import STEEPEST_SLOPE, Figures, Interval, bonferroni_level
from scripts.inference.paired_rounds import PairedRounds

FEWEST_ROUNDS = 3
_ROUNDING = 1e-12  # of a log that is no larger than a hundred

Orders = NDArray[np.intp]
"""Ways to shuffle releases: (trials, rounds, releases), each row a permutation of places."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The model fitted to one metric of one series."""

    releases: tuple[str, ...]  # in the order of the arms
    rounds: int
    effects: Figures  # of each release, as log ratio to the first
    covariance: Figures  # of the releases' adjusted means
    freedom: int  # degrees of freedom of the noise
    noise: float  # standard deviation of a run about the model, as log ratio
    slope: float  # on the control arm; 0: not adjusted

    def against(self, release: int, other: int, level: float = LEVEL) -> Interval:
        """One release beside another, by their places."""
        return self.within(release, other, _student(level, self.freedom), level)

    def within(self, release: int, other: int, errors: float, level: float) -> Interval:
        """One release beside another, by so many standard errors to either side; `level`: what these stand for."""
        variance = (
            self.covariance[release, release] + self.covariance[other, other] - 2 * self.covariance[release, other]
        )
        half = errors * math.sqrt(max(0.0, float(variance)))
        middle = float(self.effects[release] - self.effects[other])
        return Interval(estimate=middle, low=middle - half, high=middle + half, level=level, number=self.rounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangePoint:
    """A release at which a metric changed."""

    metric: Metric
    before: str
    release: str
    interval: Interval  # log ratio to the release before


@dataclass(frozen=True, kw_only=True, slots=True)
class LogMatrix:
    """What the runs of a series tell about a metric: logs with a row a round and a column a release."""

    metric: Metric
    releases: tuple[str, ...]
    values: Figures
    covariates: Figures | None  # of the control arm, for a metric that follows the speed of the machine

    def fit(self) -> Fit:
        """The model of these runs."""
        return fitted(self.releases, self.values, self.covariates)


def log_matrix(paired: PairedRounds, metric: Metric) -> LogMatrix | None:
    """None when a run does not tell the metric, or there are too few rounds."""
    values = _matrix(paired, metric)
    covariates = _matrix(paired, COVARIATE_METRIC) if metric.follows_speed else None
    if values is None or len(paired.rounds) < FEWEST_ROUNDS or (metric.follows_speed and covariates is None):
        return None
    releases = tuple(paired.label(arm) for arm in paired.arms)
    return LogMatrix(metric=metric, releases=releases, values=values, covariates=covariates)


def fit(paired: PairedRounds, metric: Metric) -> Fit | None:
    """The model of a metric; None where `told` is."""
    detect = log_matrix(paired, metric)
    return None if detect is None else detect.fit()


def fitted(releases: tuple[str, ...], values: Figures, covariates: Figures | None) -> Fit:
    """The model of logs with a row for each round and a column for each release."""
    effects, noise, slope = _model(values, covariates)
    return Fit(
        releases=releases, rounds=len(values), effects=effects, covariance=_unit(values.shape, covariates) * noise**2,
        freedom=_freedom(values.shape, covariates), noise=float(noise), slope=float(slope),
    )  # fmt: skip


def detect(
    metric: Metric, model: Fit, floor: float = 0.0, metrics: int = 1, errors: float | None = None
) -> list[ChangePoint]:  # fmt: skip
    """The releases at which the metric stepped.

    `floor`: the noise floor as log ratio. `metrics`: how many are looked at, whose intervals are to hold together.
    `errors`: half the intervals' width in standard errors, from `wide_enough`; else Student's.
    """
    pairs = len(model.releases) - 1
    level = bonferroni_level(LEVEL, pairs * metrics)
    errors = _student(level, model.freedom) if errors is None else errors
    minimum_effect = _minimum_effect(metric, floor)
    points = []
    for place in range(1, pairs + 1):
        interval = model.within(place, place - 1, errors, level)
        if interval.exceeds(minimum_effect):
            before, release = model.releases[place - 1 : place + 1]
            points.append(ChangePoint(metric=metric, before=before, release=release, interval=interval))
    return points


def orders(shape: tuple[int, ...], trials: int, seed: int) -> Orders:
    """Ways to shuffle figures of this shape among the releases of each round, so that rounds keep their level."""
    rounds, releases = shape
    places = np.broadcast_to(np.arange(releases), (trials, rounds, releases))
    return np.random.default_rng(seed).permuted(places, axis=2)


def wide_enough(one: LogMatrix, shuffles: Orders, metrics: int = 1) -> float:
    """Standard errors by which a neighbour must differ, to cry wolf in 5 % of trials over all releases and metrics.

    What Student's distribution asks for, or what this metric's own noise asks for when that is more.
    """
    pairs = len(one.releases) - 1
    student = _student(bonferroni_level(LEVEL, pairs * metrics), _freedom(one.values.shape, one.covariates))
    changes, deviations = _without_changes(one, shuffles)
    largest = np.divide(np.abs(changes), deviations, out=np.zeros_like(changes), where=deviations > 0).max(axis=1)
    return max(student, float(np.quantile(largest, bonferroni_level(LEVEL, metrics))))


def false_positives(
    figures: Sequence[LogMatrix], shuffles: Orders, errors: Mapping[str, float], floors: Mapping[str, float]
) -> float:
    """Share of shuffles with any step in any metric where there is none.

    All metrics are shuffled alike, so that they stay as alike as they are. `errors` as `found` takes them, `floors`:
    noise floors as log ratios, both by the metric's name.
    """
    positives = np.zeros(len(shuffles), dtype=bool)
    for one in figures:
        changes, deviations = _without_changes(one, shuffles)
        certain = np.abs(changes) > errors[one.metric.name] * deviations
        counting = np.abs(changes) > _minimum_effect(one.metric, floors[one.metric.name])
        positives |= (certain & counting).any(axis=1)
    return float(positives.mean())


def _without_changes(one: LogMatrix, shuffles: Orders) -> tuple[Figures, Figures]:
    """Shifts between neighbours and their standard errors where there is no step: (trials, neighbours).

    What the model does not explain is shuffled; what the machine's speed does stays where it is.
    """
    effects, _, slope = _model(one.values, one.covariates)
    explained = np.zeros_like(one.values) if one.covariates is None else slope * one.covariates
    left = one.values - explained - effects
    shuffled = np.take_along_axis(np.broadcast_to(left, shuffles.shape), shuffles, axis=2) + explained
    effects, noise, _ = _model(shuffled, one.covariates)
    unit = _unit(one.values.shape, one.covariates)
    spread = np.diag(unit)[1:] + np.diag(unit)[:-1] - 2 * np.diag(unit, 1)
    return np.diff(effects, axis=-1), noise[:, None] * np.sqrt(spread)


def _model(values: Figures, covariates: Figures | None) -> tuple[Figures, Figures, Figures]:
    """Effects of the releases, noise, and slope, of one table of logs or of a stack of them; same controls for all."""
    left, means = _centred(values), values.mean(axis=-2)
    slope = np.zeros(values.shape[:-2])
    if covariates is not None and (squares := _squares(covariates)) > 0:
        theirs = _centred(covariates)
        slope = np.clip((left * theirs).sum(axis=(-2, -1)) / squares, 0.0, STEEPEST_SLOPE)
        left = left - slope[..., None, None] * theirs
        means = means - slope[..., None] * covariates.mean(axis=0)
    noise = np.sqrt((left**2).sum(axis=(-2, -1)) / _freedom(values.shape[-2:], covariates))
    return means - means[..., :1], noise, slope


def _unit(shape: tuple[int, ...], covariates: Figures | None) -> Figures:
    """Covariance of the releases' adjusted means in variances of the noise; fitting the slope has its cost."""
    rounds, releases = shape
    unit = np.eye(releases) / rounds
    if covariates is not None and (squares := _squares(covariates)) > 0:
        means = covariates.mean(axis=0)
        unit = unit + np.outer(means, means) / squares
    return unit


def _squares(covariates: Figures) -> float:
    """By how much the controls moved otherwise than rounds and releases; 0 for what rounding leaves of logs."""
    squares = float((_centred(covariates) ** 2).sum())
    return squares if squares > covariates.size * _ROUNDING**2 else 0.0


def _freedom(shape: tuple[int, ...], covariates: Figures | None) -> int:
    rounds, releases = shape
    return (rounds - 1) * (releases - 1) - (covariates is not None)


def _student(level: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + level) / 2, freedom))


def _minimum_effect(metric: Metric, floor: float) -> float:
    return max(math.log1p(metric.minimum_effect or 0.0), floor)


def _centred(values: Figures) -> Figures:
    """What is left when the means of rounds and releases are taken out; of one table or of a stack of them."""
    rounds, releases = values.mean(axis=-1, keepdims=True), values.mean(axis=-2, keepdims=True)
    return np.asarray(values - rounds - releases + values.mean(axis=(-2, -1), keepdims=True))


def _matrix(paired: PairedRounds, metric: Metric) -> Figures | None:
    """Logs with a row a round and a column an arm; None when a figure is missing, not believed, or not positive."""
    runs = [[one.runs[arm] for arm in paired.arms] for one in paired.rounds]
    rows = [[run.values[metric.name] if run.counts(metric) else None for run in row] for row in runs]
    if not rows or any(value is None or value <= 0 for row in rows for value in row):
        return None
    return np.log(np.array(rows, dtype=np.float64))
