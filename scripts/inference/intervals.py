"""By how much two arms of a comparison differ, and how sure that is: paired, adjusted log ratios and their interval.

A difference is log(candidate) - log(baseline) of one round. The interval is
Student's: in `simulation` it covers at 95 % and at 99 %, also for heavy tails and outliers. Of 6 rounds, signed ranks
state nothing at 99 %, the trimmed mean's interval is a quarter wider for normal errors, and bootstraps hold the truth
too seldom. It leans on differences being symmetric about the shift, which those of two arms with like noise are. Runs
that something disturbed must be left out before.
The adjustment is analysis of covariance: Cochran, "Analysis of Covariance: Its Nature and Uses", Biometrics 13 (1957).
It holds only where an arm does not move its own control: of what it moves, slope times as much is lost from the shift.
So look at the shift of the control too, and adjust only arms that answered equally many requests a second.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Figures = NDArray[np.float64]

STEEPEST_SLOPE = 1.5  # a control that moves by 1 % explains no more than that; more is chance in few runs
WIDEST_USEFUL = 2.0  # standard deviations of a difference: a half width beyond it would tell nothing
_FEWEST = 3  # the mean and the slope take up to two degrees of freedom


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A shift between two arms and what else it may be."""

    estimate: float  # mean difference, a log ratio: 0.05 is 5.1 % more than the baseline
    low: float  # lower end, a log ratio
    high: float  # upper end, a log ratio
    level: float  # share of such intervals that hold the true shift, 0 to 1
    number: int  # rounds that it rests on
    p_value: float = 0.0  # two-sided p value: how often chance alone gives a shift as large, 0 to 1

    def exceeds(self, minimum_effect: float) -> bool:
        """Whether there is a shift for certain, up or down, and its estimate is larger than this log ratio."""
        return (self.low > 0 or self.high < 0) and abs(self.estimate) > minimum_effect


@dataclass(frozen=True, kw_only=True, slots=True)
class SlopeCost:
    """What fitting the slope to the same runs takes from the certainty of a shift; arrays when many are drawn."""

    freedom: Figures | float = 0.0  # degrees of freedom, 0 to 1
    variance: Figures | float = 0.0  # variance added to that of the mean, in variances of one difference


NOT_FITTED = SlopeCost()


def paired_t_interval(differences: Sequence[float], level: float, cost: SlopeCost = NOT_FITTED) -> Interval | None:
    """The interval of the mean difference; None when there are too few rounds to state one at this level."""
    if len(differences) < fewest_rounds(level):
        return None
    mean, half = student(np.asarray(differences, dtype=np.float64), level, cost)
    estimate, width = float(mean), float(half)
    return Interval(
        estimate=estimate,
        low=estimate - width,
        high=estimate + width,
        level=level,
        number=len(differences),
        p_value=_p_value(estimate, width, level, len(differences) - 1 - cost.freedom),
    )


def _p_value(estimate: float, half: float, level: float, freedom: Figures | float) -> float:
    """The p value that belongs to an interval of Student's; 0 for a shift without any noise, 1 for none at all."""
    if half <= 0:
        return float(estimate == 0)
    return float(2 * stats.t.sf(abs(estimate) / half * _quantile(level, freedom), freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted so that all tests hold together (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted_to, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted_to[place] = worst
    return adjusted_to


def student(differences: Figures, level: float, cost: SlopeCost = NOT_FITTED) -> tuple[Figures, Figures]:
    """Mean and half width of Student's interval along the last axis (Student, "The Probable Error of a Mean", 1908)."""
    number = differences.shape[-1]
    freedom = number - 1 - cost.freedom
    variance = (centred(differences) ** 2).sum(axis=-1) / freedom * (1 / number + cost.variance)
    return np.asarray(differences.mean(axis=-1)), _quantile(level, freedom) * np.sqrt(variance)


def pooled_slope(values: Sequence[Sequence[float]], covariates: Sequence[Sequence[float]]) -> float:
    """The slope of log values on log controls within arms; one inner sequence an arm, whose mean is its own.

    A difference between the arms is in their means, so it never leaks into the slope.
    """
    return float(slopes(_within(values), _within(covariates)))


def slopes(values: Figures, covariates: Figures) -> Figures:
    """Least squares along the last axis, of figures about their means; 0 where the controls do not move at all."""
    squares = (covariates**2).sum(axis=-1)
    fitted = (values * covariates).sum(axis=-1) / np.where(squares > 0, squares, np.inf)
    return np.asarray(np.clip(fitted, 0, STEEPEST_SLOPE))


def adjusted(
    baseline: Sequence[float],
    candidate: Sequence[float],
    baseline_covariate: Sequence[float],
    candidate_covariate: Sequence[float],
    slope: float,
) -> list[float]:
    """The differences of paired logs, less what the difference of their controls explains; one a round."""
    rounds = zip(baseline, candidate, baseline_covariate, candidate_covariate, strict=True)
    return [(ours - base) - slope * (covariate - base_covariate) for base, ours, base_covariate, covariate in rounds]


def slope_cost(
    baseline_covariate: Sequence[float], candidate_covariate: Sequence[float], covariates: Sequence[Sequence[float]]
) -> SlopeCost:
    """The cost of a slope that was pooled over `controls` (all arms), for the shift between two of the arms."""
    return slope_costs(np.subtract(candidate_covariate, baseline_covariate), float(np.sum(_within(covariates) ** 2)))


def slope_costs(covariate_differences: Figures, squares: Figures | float) -> SlopeCost:
    """The same along the last axis; `squares` is the sum of the squared controls about the means of their arms.

    The slope's variance is that of a run / squares, and a difference has twice the variance of a run. A mean control
    difference m so adds m^2 / (2 squares) to the variance of the shift (Cochran 1957), and of the squared residual
    differences the slope takes, on average, their own share of the squares: sum (d - m)^2 / (2 squares).
    """
    twice = 2 * np.where(squares > 0, squares, np.inf)
    own = (centred(covariate_differences) ** 2).sum(axis=-1)
    return SlopeCost(freedom=own / twice, variance=covariate_differences.mean(axis=-1) ** 2 / twice)


def centred(values: ArrayLike) -> Figures:
    """Figures less their mean, along the last axis."""
    figures = np.asarray(values, dtype=np.float64)
    about: Figures = figures - figures.mean(axis=-1, keepdims=True)
    return about


def fewest_rounds(level: float) -> int:
    """The fewest rounds whose interval is narrow enough to tell anything: 4 at 95 %, 6 at 99 %."""
    wide_enough = (n for n in itertools.count(_FEWEST) if _quantile(level, n - 1) / math.sqrt(n) <= WIDEST_USEFUL)
    return next(wide_enough)


def rounds_needed(interval: Interval, half_width: float) -> int:
    """How many rounds in all should bring the half width down to `half_width`, if the noise stays as it was."""
    if half_width <= 0:
        raise ValueError(f"no number of rounds brings the half width down to {half_width}")
    number = interval.number
    half = (interval.high - interval.low) / 2
    deviation = half * math.sqrt(number) / _quantile(interval.level, number - 1)
    at_least = int((stats.norm.ppf((1 + interval.level) / 2) * deviation / half_width) ** 2)  # t is wider than normal
    first = max(fewest_rounds(interval.level), at_least)
    enough = (n for n in itertools.count(first) if _quantile(interval.level, n - 1) * deviation <= half_width * n**0.5)
    return next(enough)


def bonferroni_level(level: float, looks: int) -> float:
    """The level of each of several looks at growing data, so that all their intervals hold at once at `level`.

    Bonferroni's inequality (Dunn, "Multiple Comparisons among Means", JASA 56, 1961): it holds for every rule of when
    to stop, so a campaign may end as soon as its verdicts are in. Plan few looks, for each one widens them all.
    """
    return 1 - (1 - level) / looks


def _within(arms: Sequence[Sequence[float]]) -> Figures:
    return np.concatenate([centred(arm) for arm in arms])


def _quantile(level: float, freedom: Figures | float) -> Figures:
    """The t that holds `level` of the distribution between -t and t."""
    return np.asarray(stats.t.ppf((1 + level) / 2, freedom), dtype=np.float64)
