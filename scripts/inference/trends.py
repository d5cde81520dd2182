"""The slope of one series of samples, with an interval that holds although its noise is correlated in time.

Least squares estimates the slope. Neighbouring samples tell nearly the same: memory moves in steps, and the speed of a
machine in waves. Here the slope is held against the next three orthogonal polynomials, which are not in a line.
Their coefficients show how strong the noise is that moves as slowly as a trend does. The ratio follows Student's
distribution with three degrees of freedom: exactly for white noise, and else where the noise forgets within a small
part of the series (Sun, "Robust trend inference with series variance estimator and testing-optimal smoothing
parameter", Journal of Econometrics 164, 2011).

Of 4000 series of 149 samples without a slope, 95 % of the intervals held it for white noise, and 94 and 93 % for AR(1)
noise of 0.8 and 0.9. For 0.9, Theil and Sen's interval, which takes samples for independent, held it in 35 %, and that
of least squares in 32 %. More polynomials would narrow the interval, and bear less correlation: with six it was 89 %.
Noise that never forgets, a random walk, looks like a slope in a third of the series.

A series that is no line, e.g. one that saturates, has large coefficients too, so its interval is wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scripts.inference import intervals
from scripts.inference.intervals import Figures

LEVEL = 0.95
FEWEST = 12  # samples: with fewer, noise has no room to forget
_POLYNOMIALS = 3  # beyond the line


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """A line through a series, in units of the series for each unit along it."""

    slope: float
    low: float  # ends of the slope's interval
    high: float
    centre: tuple[float, float]  # the mean sample, through which the line goes

    @property
    def rises(self) -> bool:
        """Whether the interval is above 0."""
        return self.low > 0

    @property
    def falls(self) -> bool:
        """Whether the interval is below 0."""
        return self.high < 0

    def at(self, along: float) -> float:
        """The line's height at a place along the series."""
        x, y = self.centre
        return y + self.slope * (along - x)


def trend(along: ArrayLike, values: ArrayLike, level: float = LEVEL) -> Trend | None:
    """The line through values at ascending places; None with fewer than FEWEST, or where the places are one."""
    x, y = (np.asarray(series, dtype=np.float64) for series in (along, values))
    if len(x) < FEWEST or x[0] == x[-1]:
        return None
    slope, half = (float(one) for one in slopes(x, y, level))
    return Trend(slope=slope, low=slope - half, high=slope + half, centre=(float(x.mean()), float(y.mean())))


def slopes(along: Figures, values: Figures, level: float = LEVEL) -> tuple[Figures, Figures]:
    """Slope and half width of its interval, of each series along the last axis of `values`."""
    middle, reach = (along[0] + along[-1]) / 2, (along[-1] - along[0]) / 2
    basis, triangle = np.linalg.qr(np.polynomial.legendre.legvander((along - middle) / reach, 1 + _POLYNOMIALS))
    coefficients = intervals.centred(values) @ basis
    unit = triangle[1, 1] * reach  # of the line's coefficient, for a slope of 1
    noise = np.sqrt((coefficients[..., 2:] ** 2).mean(axis=-1))
    half = intervals.t_quantile(level, float(_POLYNOMIALS)) * noise / math.fabs(unit)
    return np.asarray(coefficients[..., 1] / unit), np.asarray(half)
