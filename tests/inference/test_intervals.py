"""Intervals, slopes and numbers of rounds, on figures worked out by hand, by scipy, and on 14 recorded runs."""

from __future__ import annotations

import math
import statistics as of_python

import pytest
from scipy import stats

from scripts.inference.intervals import (
    STEEPEST_SLOPE,
    Interval,
    SlopeCost,
    adjusted,
    bonferroni_level,
    fewest_rounds,
    holm,
    paired_t_interval,
    pooled_slope,
    rounds_needed,
    slope_cost,
)
from tests.fakes.recorded_pilot import COVARIATE, CPU, OVERHEAD

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]  # Student 1908, first drug: hours of sleep gained


def pilot_shift(metric: list[float], factor: float, level: float = 0.95) -> Interval:
    """Every second run against the one before it, as if it were a release that costs `factor` times as much."""
    base, ours = metric[::2], [value + math.log(factor) for value in metric[1::2]]
    covariates = COVARIATE[::2], COVARIATE[1::2]
    differences = adjusted(base, ours, *covariates, pooled_slope([base, ours], covariates))
    found = paired_t_interval(differences, level, slope_cost(*covariates, covariates))
    assert found is not None
    return found


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_shift_is_students_interval(level: float) -> None:
    """Without a slope the interval is the one of scipy's one-sample t test."""
    expected = stats.ttest_1samp(SLEEP, 0).confidence_interval(level)
    found = paired_t_interval(SLEEP, level)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.estimate == pytest.approx(0.75)
    assert (found.level, found.number) == (level, 10)


def test_slope_cost_widens_the_interval() -> None:
    """Lost freedom and added variance go into Student's formula, and leave the estimate alone."""
    plain, costly = paired_t_interval(SLEEP, 0.95), paired_t_interval(SLEEP, 0.95, SlopeCost(freedom=1, variance=0.2))
    assert plain
    assert costly
    variance = of_python.variance(SLEEP) * 9 / 8 * (1 / 10 + 0.2)
    assert costly.high - costly.estimate == pytest.approx(float(stats.t.ppf(0.975, 8)) * math.sqrt(variance))
    assert costly.estimate == plain.estimate


@pytest.mark.parametrize(("level", "minimum_effect"), [(0.5, 3), (0.9, 3), (0.95, 4), (0.98, 5), (0.99, 6), (0.999, 8)])
def test_too_few_rounds_state_nothing(level: float, minimum_effect: int) -> None:
    """There is an interval from the fewest rounds on, whose number grows with the level."""
    assert fewest_rounds(level) == minimum_effect
    assert paired_t_interval(SLEEP[: minimum_effect - 1], level) is None
    assert paired_t_interval(SLEEP[:minimum_effect], level) is not None


def test_no_rounds_state_nothing() -> None:
    """Arms that share no round have no interval."""
    assert paired_t_interval([], 0.95) is None


def test_shift_without_noise_is_exact() -> None:
    """Equal differences give an interval of no width."""
    found = paired_t_interval([0.25] * 4, 0.95)
    assert found is not None
    assert (found.low, found.estimate, found.high) == (0.25, 0.25, 0.25)


def test_slope_ignores_what_lies_between_the_arms() -> None:
    """Arms with means of their own, and of different numbers of runs, share the slope within them."""
    covariates = [[0.0, 0.1, 0.2], [0.5, 0.6, 0.8, 0.9]]
    values = [
        [1 + 0.5 * covariate for covariate in covariates[0]],
        [-7 + 0.5 * covariate for covariate in covariates[1]],
    ]
    assert pooled_slope(values, covariates) == pytest.approx(0.5)


def test_slope_is_that_of_least_squares() -> None:
    """Within one arm it is the ordinary regression line's."""
    assert pooled_slope([CPU], [COVARIATE]) == pytest.approx(stats.linregress(COVARIATE, CPU).slope)


@pytest.mark.parametrize(("true", "kept"), [(-0.3, 0), (0, 0), (1.2, 1.2), (1.5, STEEPEST_SLOPE), (9, STEEPEST_SLOPE)])
def test_slope_stays_within_reason(true: float, kept: float) -> None:
    """A slope that no machine could cause is cut off."""
    covariates = [0.0, 0.1, 0.3]
    assert pooled_slope([[true * covariate for covariate in covariates]], [covariates]) == pytest.approx(kept)


def test_constant_covariate_explains_nothing() -> None:
    """A covariate that never moves gives no slope, costs nothing, and divides nothing by zero."""
    still = [0.5, 0.5, 0.5]
    assert pooled_slope([[1, 2, 3], [2, 3, 5]], [still, still]) == 0
    assert slope_cost(still, still, [still, still]) == SlopeCost(freedom=0, variance=0)


def test_adjusted_takes_the_covariates_part() -> None:
    """A difference loses slope times the difference of the covariates."""
    assert adjusted([1, 1], [1.5, 1.25], [0, 0.5], [1, 0.25], 0.5) == [0, 0.375]


def test_adjusted_refuses_rounds_without_their_covariate() -> None:
    """Arms and covariates must have the same rounds."""
    with pytest.raises(ValueError, match="shorter"):
        adjusted([1, 2], [1, 2], [1], [1, 2], 0.5)


def test_slope_cost_by_hand() -> None:
    """A mean covariate difference m adds m^2 / (2 squares), and the differences' own squares / (2 squares) are lost."""
    base, ours = [0.0, 2.0], [4.0, 4.0]  # about their means: -1 1, 0 0; squares 2; differences 4 and 2, mean 3
    assert slope_cost(base, ours, [base, ours]) == SlopeCost(freedom=2 / 4, variance=9 / 4)


def test_third_arm_makes_the_slope_cheaper() -> None:
    """Runs of other arms that went into the slope lower its cost for the two compared."""
    base, ours, other = [0.0, 2.0], [4.0, 4.0], [-3.0, 3.0]
    assert slope_cost(base, ours, [base, ours, other]) == SlopeCost(freedom=2 / 40, variance=9 / 40)


def test_rounds_needed_is_the_smallest_number_that_is_enough() -> None:
    """At the same deviation, that many rounds reach the half width and one fewer does not."""
    found = paired_t_interval(SLEEP, 0.95)
    assert found is not None
    deviation = of_python.stdev(SLEEP)

    def half(rounds: int) -> float:
        return float(stats.t.ppf(0.975, rounds - 1)) * deviation / math.sqrt(rounds)

    for wanted in (2.0, 1.0, 0.5, 0.1, 0.01):
        number = rounds_needed(found, wanted)
        assert half(number) <= wanted < half(number - 1)


def test_rounds_needed_for_what_is_there() -> None:
    """The half width that an interval has needs the rounds that it has."""
    found = paired_t_interval(SLEEP, 0.95)
    assert found is not None
    assert rounds_needed(found, (found.high - found.low) / 2 * 1.0001) == 10


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_rounds_needed_is_never_below_the_fewest(level: float) -> None:
    """Even without any noise the fewest rounds are needed."""
    found = paired_t_interval([0.25] * 10, level)
    assert found is not None
    assert rounds_needed(found, 0.01) == fewest_rounds(level)


@pytest.mark.parametrize("half_width", [0, -0.01])
def test_rounds_needed_refuses_the_impossible(half_width: float) -> None:
    """No number of rounds makes an interval of no width."""
    with pytest.raises(ValueError, match="no number of rounds"):
        rounds_needed(Interval(estimate=0, low=-1, high=1, level=0.95, number=6), half_width)


def test_interim_looks_share_the_error() -> None:
    """One look has the level itself; five at 99 % hold at once at 95 %."""
    assert bonferroni_level(0.95, 1) == pytest.approx(0.95)
    assert bonferroni_level(0.95, 5) == pytest.approx(0.99)


@pytest.mark.parametrize(("metric", "measured", "left"), [(CPU, 0.062, 0.010), (OVERHEAD, 0.118, 0.029)])
def test_covariate_explains_the_recorded_noise(metric: list[float], measured: float, left: float) -> None:
    """Of 6 % between recorded runs 1 % is left for CPU, and of 12 % 3 % for overhead."""
    slope = pooled_slope([metric], [COVARIATE])
    residuals = [value - slope * covariate for value, covariate in zip(metric, COVARIATE, strict=True)]
    assert of_python.stdev(metric) == pytest.approx(measured, abs=0.001)
    squares = of_python.variance(residuals) * (len(residuals) - 1)
    assert math.sqrt(squares / (len(residuals) - 2)) == pytest.approx(left, abs=0.001)  # mean and slope were fitted


@pytest.mark.parametrize("metric", [CPU, OVERHEAD])
def test_recorded_pairs_of_one_release_do_not_differ(metric: list[float]) -> None:
    """Consecutive runs of one release show neither a regression nor an improvement."""
    found = pilot_shift(metric, 1)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_five_percent_are_found_in_the_recorded_runs(level: float) -> None:
    """CPU made 5 % dearer in every second recorded run is found, above the threshold of 2 %."""
    found = pilot_shift(CPU, 1.05, level)
    assert found.low > 0
    assert found.estimate > math.log(1.02)


def test_five_percent_are_lost_without_the_covariate() -> None:
    """The same 5 % drown in the speed of the machine when nothing is adjusted."""
    differences = [b + math.log(1.05) - a for a, b in zip(CPU[::2], CPU[1::2], strict=True)]
    found = paired_t_interval(differences, 0.95)
    assert found is not None
    assert found.low < 0 < found.high


def test_p_value_is_that_of_the_t_test() -> None:
    """The p value of an interval is that of scipy's one-sample t test."""
    differences = [0.01, 0.03, -0.02, 0.04, 0.02, 0.03]
    found = paired_t_interval(differences, 0.95)
    assert found is not None
    assert found.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert (found.p_value < 0.05) is (found.low > 0)


@pytest.mark.parametrize(("differences", "p_value"), [([0.02] * 6, 0.0), ([0.0] * 6, 1.0)])
def test_p_value_without_noise(differences: list[float], p_value: float) -> None:
    """Where differences do not vary, it is 0 for any difference and 1 for none."""
    found = paired_t_interval(differences, 0.95)
    assert found is not None
    assert found.p_value == p_value


def test_holm_by_hand() -> None:
    """The smallest p value times the number of tests, the next times one less, never falling."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_holm_takes_many_tables() -> None:
    """Each row of p values is adjusted by itself."""
    rows = [[0.01, 0.04, 0.03], [0.2, 0.001, 0.02]]
    assert holm(rows).tolist() == [holm(row).tolist() for row in rows]
