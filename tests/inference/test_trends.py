"""The slope of a series and its interval, held against drawn series whose slope and noise are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scripts.inference import trends
from scripts.inference.intervals import Figures

SAMPLES = 149  # of 25 minutes, every ten seconds
PLACES = np.arange(SAMPLES, dtype=np.float64)
TRIALS = 4000
COVERED_BY_CHANCE = 0.015  # four standard errors of a share of 95 %


def noise(correlation: float, trials: int = TRIALS, samples: int = SAMPLES) -> Figures:
    """Series of AR(1) noise of variance 1, one a row, each with so much correlation from sample to sample."""
    drawn = np.random.default_rng(7).normal(size=(trials, samples))
    for sample in range(1, samples):
        drawn[:, sample] = correlation * drawn[:, sample - 1] + np.sqrt(1 - correlation**2) * drawn[:, sample]
    return drawn


def covered(series: Figures, slope: float, samples: int = SAMPLES) -> float:
    """The share of intervals that hold the slope."""
    found, half = trends.slopes(PLACES[:samples], series)
    return float((np.abs(found - slope) <= half).mean())


@pytest.mark.parametrize("samples", [trends.FEWEST, 75, SAMPLES])
@pytest.mark.parametrize("slope", [0.0, 0.02])
def test_interval_covers_under_white_noise(samples: int, slope: float) -> None:
    """With independent noise, 95 % of the intervals hold the true slope, be it none or some, in short series too."""
    series = noise(0.0, samples=samples) + slope * PLACES[:samples]
    assert covered(series, slope, samples) == pytest.approx(0.95, abs=COVERED_BY_CHANCE)


@pytest.mark.parametrize(("correlation", "least"), [(0.5, 0.94), (0.8, 0.93), (0.9, 0.92)])
def test_interval_covers_under_correlated_noise(correlation: float, least: float) -> None:
    """With noise that remembers half a minute or more, about as many intervals hold a slope of none."""
    assert least <= covered(noise(correlation), 0.0) <= 0.97


def test_usual_intervals_are_too_narrow() -> None:
    """Theil and Sen's interval takes samples for independent, and often misses the slope of correlated noise."""
    series = noise(0.9, trials=100)
    ends = [stats.theilslopes(one, PLACES)[2:] for one in series]
    assert sum(low <= 0 <= high for low, high in ends) < 50
    assert covered(series, 0.0) > 0.9


def test_slope_is_that_of_least_squares() -> None:
    """The estimate is the one of ordinary least squares, whatever the places and the units."""
    places = np.sort(np.random.default_rng(3).uniform(1e4, 2e5, SAMPLES))
    series = 3e8 + 70.0 * places + 1e5 * noise(0.5, trials=1)[0]
    found = trends.trend(places, series)
    assert found is not None
    assert found.slope == pytest.approx(stats.linregress(places, series).slope)
    assert found.low < 70.0 < found.high
    assert found.at(places.mean()) == pytest.approx(series.mean())
    assert found.at(places.mean() + 10) == pytest.approx(series.mean() + 10 * found.slope)


@pytest.mark.parametrize(("slope", "rises", "falls"), [(0.05, True, False), (-0.05, False, True), (0.0, False, False)])
def test_known_slopes_are_found(slope: float, *, rises: bool, falls: bool) -> None:
    """A slope well above the noise has an interval on its side of 0, and no slope has one that holds 0."""
    found = trends.trend(PLACES, noise(0.5, trials=1)[0] + slope * PLACES)
    assert found is not None
    assert (found.rises, found.falls) == (rises, falls)


def test_line_without_noise() -> None:
    """A line is found exactly, and a level has no slope."""
    found, level = trends.trend(PLACES, 5 - 0.5 * PLACES), trends.trend(PLACES, np.full(SAMPLES, 7.0))
    assert found is not None
    assert (found.slope, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert level is not None
    assert (level.low, level.slope, level.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("places", [[], [1.0] * 50, list(range(trends.FEWEST - 1))])
def test_too_little_for_a_slope(places: list[float]) -> None:
    """Few samples, or samples at one place, have no slope."""
    assert trends.trend(places, [1.0] * len(places)) is None
