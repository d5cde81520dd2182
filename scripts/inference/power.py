"""What rounds can show: how often an unchanged candidate passes, and which change is found how often.

For the mean of `rounds` normal differences with a known standard deviation, judged as `gate_decision` judges. The
estimate and its standard error are independent (Student 1908), so probabilities are means over the distribution of the
latter, of the normal probability given it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import scipy

from scripts.inference import intervals
from scripts.inference.intervals import Figures

POWER = 0.8
MOST_ROUNDS = 400  # that a suggestion looks at
_GRID = 400  # points of the standard error's distribution
_LARGEST = 5.0  # log ratio, a factor of 148: a change that noise hides beyond this is not searched for


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundNoise:
    """How the log ratio of a round scatters."""

    deviation: float  # standard deviation of one round
    freedom: float = math.inf  # degrees of freedom of that figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """One-sided error rates of the two decisions on one metric."""

    to_pass: float
    to_fail: float  # less than `to_pass` where several metrics are judged


def passes(deviation: float, rounds: int, allowed: float, errors: Errors) -> float:
    """How often a candidate that is unchanged passes this threshold, 0 to 1; log ratios."""
    unit, scale, freedom = _distribution(deviation, rounds)
    reach = intervals.one_sided_quantile(errors.to_pass, freedom) * unit
    return float(scipy.stats.norm.cdf((allowed - reach) / scale).mean())


def finds(change: float, deviation: float, rounds: int, allowed: float, errors: Errors) -> float:
    """How often a change of this size (log ratio, worse) is called a regression, 0 to 1."""
    unit, scale, freedom = _distribution(deviation, rounds)
    reach = np.maximum(allowed, intervals.one_sided_quantile(errors.to_fail, freedom) * unit)
    return float(scipy.stats.norm.cdf((change - reach) / scale).mean())


def visible(deviation: float, rounds: int, allowed: float, errors: Errors, power: float = POWER) -> float | None:
    """The smallest change (log ratio, worse) that is found with this power; None: none up to a factor of 148."""
    if rounds < intervals.fewest_rounds(0.95):
        return None

    def misses(change: float) -> float:
        return finds(change, deviation, rounds, allowed, errors) - power

    if deviation == 0:
        return allowed
    return None if misses(_LARGEST) < 0 else float(scipy.optimize.brentq(misses, 0.0, _LARGEST, xtol=1e-6))


def rounds_to_pass(deviation: float, allowed: float, errors: Errors, share: float) -> int | None:
    """The fewest rounds after which an unchanged candidate passes in this share of cases; None: more than 400."""
    first = intervals.fewest_rounds(0.95)
    enough = (n for n in itertools.count(first) if n > MOST_ROUNDS or passes(deviation, n, allowed, errors) >= share)
    found = next(enough)
    return None if found > MOST_ROUNDS else found


def rounds_for(deviation: float, reach: float, error: float) -> int:
    """The fewest rounds after which a one-sided bound at this error lies no further than `reach` from the estimate."""
    at_least = int((scipy.stats.norm.isf(error) * deviation / reach) ** 2)  # t is wider than normal
    first = max(intervals.fewest_rounds(0.95), at_least)
    far = (n for n in itertools.count(first) if scipy.stats.t.isf(error, n - 1) * deviation <= reach * math.sqrt(n))
    return next(far)


def _distribution(deviation: float, rounds: int) -> tuple[Figures, float, int]:
    """Standard errors at evenly likely points, the true one, and their degrees of freedom."""
    freedom = rounds - 1
    scale = max(deviation, 1e-12) / math.sqrt(rounds)
    shares = (np.arange(_GRID) + 0.5) / _GRID
    return scale * np.sqrt(scipy.stats.chi2.ppf(shares, freedom) / freedom), scale, freedom
