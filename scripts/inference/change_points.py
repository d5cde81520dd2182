"""Change points: the releases at which a metric changed, from many releases in the same interleaved rounds.

The model is two-way analysis of covariance, fitted by least squares (Searle, "Linear Models", 1971, chapters 4 and 8):
log metric = round + release + slope * log speed covariate + noise. Every release is in every round, so the fit is one
of means. All releases share one estimate of the noise, so that few rounds suffice.

A change point is a difference between neighbours that is significant and larger than the metric's threshold. Drift is
such a difference between the newest release and an earlier one: many changes that are too small to be seen add up. The
intervals of all neighbours, of the newest release against every earlier one, and of all metrics hold together
(Bonferroni). So 33 releases give no more false positives than two, and the best earlier release may be picked after
looking. Noise has outliers. So the intervals are as wide as permuted noise requires, where that is more than Student's
(max-T; Westfall and Young, "Resampling-Based Multiple Testing", 1993).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from scripts.analysis.metrics import Metric
from scripts.inference.comparison import COVARIATE_METRIC, LEVEL, threshold
from scripts.inference.intervals import STEEPEST_SLOPE, Figures, Interval, bonferroni_level, t_quantile
from scripts.inference.paired_rounds import PairedRounds, log_values

FEWEST_ROUNDS = 3
_ROUNDING = 1e-12  # of a log that is no larger than a hundred

Shuffles = NDArray[np.intp]
"""How noise is shuffled, trial by trial: the first axis is of trials, the others are those of the observations."""
HowShuffled_contra = TypeVar("HowShuffled_contra", contravariant=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """How far effects may be off because of one source of noise."""

    unit: Figures  # covariance of the effects in variances of the noise: (releases, releases)
    noise: Figures  # standard deviation of a run about the model, as log ratio: (), or (trials,) of a stack
    freedom: int  # degrees of freedom of the noise

    def half_widths(self, first: NDArray[np.intp], second: NDArray[np.intp], level: float) -> Figures:
        """Half the width of Student's interval of each difference of two effects: (pairs,), or (trials, pairs)."""
        covariance = [self.unit[pair] * self.noise[..., None] ** 2 for pair in ((first, first), (second, second))]
        shared = self.unit[first, second] * self.noise[..., None] ** 2
        variance = np.maximum(0.0, covariance[0] + covariance[1] - 2 * shared)
        return np.asarray(t_quantile(level, self.freedom) * np.sqrt(variance))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The model fitted to one metric; or a stack of them, one a trial."""

    releases: tuple[str, ...]  # in the order of the arms
    rounds: int
    effects: Figures  # of each release, as log ratio to the first: (releases,), or (trials, releases)
    errors: tuple[Errors, ...]  # independent of each other
    slope: Figures  # on the speed covariate, (), or (trials,); 0: not adjusted

    def differences(self, pairs: Sequence[tuple[int, int]], level: float) -> tuple[Figures, Figures]:
        """The first release of each pair less the second, by their places, and half the width of its interval.

        Independent errors add in squares, and so do their half widths (method of variance estimates recovery: Zou and
        Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008).
        """
        first, second = np.array(pairs, dtype=np.intp).T
        halves = [one.half_widths(first, second, level) for one in self.errors]
        return self.effects[..., first] - self.effects[..., second], functools.reduce(np.hypot, halves)

    def difference(self, release: int, other: int, level: float = LEVEL, widened: float = 1.0) -> Interval:
        """One release less another, by their places; `widened`: how much wider the interval is than Student's."""
        (middle,), (half,) = (part.tolist() for part in self.differences([(release, other)], level))
        half *= widened
        return Interval(estimate=middle, low=middle - half, high=middle + half, level=level, number=self.rounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangePoint:
    """A release at which a metric changed."""

    metric: Metric
    before: str
    release: str
    interval: Interval  # log ratio to the release before


class Observations(Protocol[HowShuffled_contra]):
    """One metric of several releases, however they were paired."""

    @property
    def metric(self) -> Metric:
        """What was observed."""

    @property
    def releases(self) -> tuple[str, ...]:
        """In their order."""

    def fit(self) -> Fit:
        """The model."""

    def without_changes(self, shuffles: HowShuffled_contra) -> Fit:
        """The models of trials in which nothing changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogMatrix:
    """The logs of a metric, with a row for each round and a column for each release."""

    metric: Metric
    releases: tuple[str, ...]
    values: Figures
    covariates: Figures | None  # logs of the speed covariate, for a metric that follows the speed of the machine

    def fit(self) -> Fit:
        """The model of these runs."""
        return fitted(self.releases, self.values, self.covariates)

    def without_changes(self, shuffles: Shuffles) -> Fit:
        """The models of trials in which nothing changed. `shuffles`: of releases within rounds.

        Only the residuals are permuted. What the machine's speed explains stays where it is.
        """
        effects, _, slope = _model(self.values, self.covariates)
        explained = np.zeros_like(self.values) if self.covariates is None else slope * self.covariates
        residuals = self.values - explained - effects
        shuffled = np.take_along_axis(np.broadcast_to(residuals, shuffles.shape), shuffles, axis=2) + explained
        return fitted(self.releases, shuffled, self.covariates)


def log_matrix(paired: PairedRounds, metric: Metric) -> LogMatrix | None:
    """None when a run lacks the metric, or there are too few rounds."""
    values = _matrix(paired, metric)
    covariates = _matrix(paired, COVARIATE_METRIC) if metric.follows_speed else None
    if values is None or len(paired.rounds) < FEWEST_ROUNDS or (metric.follows_speed and covariates is None):
        return None
    releases = tuple(paired.label(arm) for arm in paired.arms)
    return LogMatrix(metric=metric, releases=releases, values=values, covariates=covariates)


def fit(paired: PairedRounds, metric: Metric) -> Fit | None:
    """The model of a metric; None where `log_matrix` is."""
    matrix = log_matrix(paired, metric)
    return None if matrix is None else matrix.fit()


def fitted(releases: tuple[str, ...], values: Figures, covariates: Figures | None) -> Fit:
    """The model of logs with a row for each round and a column for each release; of a stack of such logs, too."""
    effects, noise, slope = _model(values, covariates)
    shape = values.shape[-2:]
    errors = Errors(unit=_unit(shape, covariates), noise=noise, freedom=_freedom(shape, covariates))
    return Fit(releases=releases, rounds=shape[0], effects=effects, errors=(errors,), slope=slope)


def detect(
    metric: Metric, model: Fit, floor: float = 0.0, metrics: int = 1, widened: float = 1.0
) -> list[ChangePoint]:  # fmt: skip
    """The releases at which the metric changed.

    `floor`: the noise floor as log ratio. `metrics`: how many the intervals hold together with, this one included.
    `widened`: how much wider than Student's the intervals are, from `widening`.
    """
    found = from_before(metric, model, metrics, widened)
    return [change for change in found if change.interval.exceeds(threshold(metric, floor))]


def from_before(metric: Metric, model: Fit, metrics: int = 1, widened: float = 1.0) -> list[ChangePoint]:
    """The difference of every release to the one before, whether it is a change or not; arguments as in `detect`."""
    return [_change(metric, model, pair, metrics, widened) for pair in neighbours(len(model.releases))]


def drift(
    metric: Metric, model: Fit, year_back: str | None, floor: float = 0.0, metrics: int = 1,
    widened: float = 1.0,
) -> list[ChangePoint]:  # fmt: skip
    """Where the newest release is worse than the best earlier one, and how it differs from the release of a year back.

    Its neighbour is no earlier release here: `detect` compares them. The other arguments as in `detect`.
    """
    newest = len(model.releases) - 1
    earlier = [place for _, place in against_newest(len(model.releases))]
    if not earlier:
        return []
    best = min(earlier, key=lambda place: metric.worse(float(model.effects[place])))
    places = {best: True} | ({place: False} if (place := _place(model, year_back)) in earlier else {})
    found = [
        (_change(metric, model, (newest, place), metrics, widened), only_worse) for place, only_worse in places.items()
    ]
    return [
        change
        for change, only_worse in found
        if change.interval.exceeds(threshold(metric, floor))
        and (metric.worse(change.interval.estimate) > 0 or not only_worse)
    ]


def _place(model: Fit, release: str | None) -> int:
    return model.releases.index(release) if release in model.releases else -1


def neighbours(releases: int) -> list[tuple[int, int]]:
    """The places of every release but the first, and of the release before it."""
    return [(place, place - 1) for place in range(1, releases)]


def against_newest(releases: int) -> list[tuple[int, int]]:
    """The places of the newest release and of every earlier one that is not its neighbour."""
    return [(releases - 1, place) for place in range(releases - 2)]


def pairs(releases: int) -> list[tuple[int, int]]:
    """All differences whose intervals hold together."""
    return neighbours(releases) + against_newest(releases)


def _change(metric: Metric, model: Fit, pair: tuple[int, int], metrics: int, widened: float) -> ChangePoint:
    release, before = (model.releases[place] for place in pair)
    interval = model.difference(*pair, _level(len(model.releases), metrics), widened)
    return ChangePoint(metric=metric, before=before, release=release, interval=interval)


def _level(releases: int, metrics: int) -> float:
    """The level of each interval, so that all of them hold together."""
    return bonferroni_level(LEVEL, len(pairs(releases)) * metrics)


def permutations(shape: tuple[int, ...], trials: int, seed: int) -> Shuffles:
    """Permutations of the places of releases within rounds: (trials, rounds, releases). Rounds keep their level."""
    rounds, releases = shape
    places = np.broadcast_to(np.arange(releases), (trials, rounds, releases))
    return np.random.default_rng(seed).permuted(places, axis=2)


def widening(one: Observations[HowShuffled_contra], shuffles: HowShuffled_contra, metrics: int = 1) -> float:
    """How much wider than Student's intervals must be for false positives in 5 % of trials over releases and metrics.

    1, or what this metric's own shuffled noise requires where that is more. `metrics` as in `detect`.
    """
    changes, halves = _in_trials(one, shuffles, metrics)
    largest = np.divide(np.abs(changes), halves, out=np.zeros_like(changes), where=halves > 0).max(axis=1)
    return max(1.0, float(np.quantile(largest, bonferroni_level(LEVEL, metrics))))


def false_positives(
    observed: Sequence[Observations[HowShuffled_contra]], shuffles: HowShuffled_contra, widened: Mapping[str, float],
    floors: Mapping[str, float], metrics: int = 1,
) -> float:  # fmt: skip
    """The share of shuffled campaigns with a difference in any metric, though none has a change.

    All metrics are shuffled alike, so that they stay as correlated as they are. `widened` and `metrics` as in `detect`,
    `floors`: noise floors as log ratios, both mappings by the metric's name.
    """
    found = []
    for one in observed:
        changes, halves = _in_trials(one, shuffles, metrics)
        significant = np.abs(changes) > widened[one.metric.name] * halves
        large = np.abs(changes) > threshold(one.metric, floors[one.metric.name])
        found.append((significant & large).any(axis=1))
    return float(np.any(found, axis=0).mean())


def _in_trials(
    one: Observations[HowShuffled_contra], shuffles: HowShuffled_contra, metrics: int
) -> tuple[Figures, Figures]:
    """All differences where nothing changed, and half the widths of their intervals: (trials, `pairs`)."""
    releases = len(one.releases)
    return one.without_changes(shuffles).differences(pairs(releases), _level(releases, metrics))


def _model(values: Figures, covariates: Figures | None) -> tuple[Figures, Figures, Figures]:
    """Effects of the releases, noise, and slope, of one matrix of logs or of a stack with the same covariates."""
    residuals, means = _centred(values), values.mean(axis=-2)
    slope = np.zeros(values.shape[:-2])
    if covariates is not None and (squares := _squares(covariates)) > 0:
        about = _centred(covariates)
        slope = np.clip((residuals * about).sum(axis=(-2, -1)) / squares, 0.0, STEEPEST_SLOPE)
        residuals = residuals - slope[..., None, None] * about
        means = means - slope[..., None] * covariates.mean(axis=0)
    noise = np.sqrt((residuals**2).sum(axis=(-2, -1)) / _freedom(values.shape[-2:], covariates))
    return means - means[..., :1], noise, slope


def _unit(shape: tuple[int, ...], covariates: Figures | None) -> Figures:
    """Covariance of the releases' adjusted means in variances of the noise, with the cost of the slope."""
    rounds, releases = shape
    unit = np.eye(releases) / rounds
    if covariates is not None and (squares := _squares(covariates)) > 0:
        means = covariates.mean(axis=0)
        unit = unit + np.outer(means, means) / squares
    return unit


def _squares(covariates: Figures) -> float:
    """Sum of squares of the covariates without rounds and releases; 0 where only rounding is left of the logs."""
    squares = float((_centred(covariates) ** 2).sum())
    return squares if squares > covariates.size * _ROUNDING**2 else 0.0


def _freedom(shape: tuple[int, ...], covariates: Figures | None) -> int:
    rounds, releases = shape
    return (rounds - 1) * (releases - 1) - (covariates is not None)


def _centred(values: Figures) -> Figures:
    """Logs less the means of rounds and releases; of one matrix or of a stack of them."""
    rounds, releases = values.mean(axis=-1, keepdims=True), values.mean(axis=-2, keepdims=True)
    return np.asarray(values - rounds - releases + values.mean(axis=(-2, -1), keepdims=True))


def _matrix(paired: PairedRounds, metric: Metric) -> Figures | None:
    """Logs with a row for each round and a column for each arm; None when `log_values` of an arm is."""
    arms = [log_values(paired.runs(arm), metric) for arm in paired.arms]
    complete = [one for one in arms if one is not None]
    return np.stack(complete, axis=1) if paired.rounds and len(complete) == len(arms) else None
