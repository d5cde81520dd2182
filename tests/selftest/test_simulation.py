"""What the simulation shows about the statistics, on fewer trials: bounds that a wrong formula breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scripts.inference.intervals import adjusted, bonferroni_level, paired_t_interval, pooled_slope, slope_cost, student
from scripts.inference.noise import Noise
from scripts.selftest import simulation
from scripts.selftest.interval_methods import (
    by_bootstrap_t,
    by_percentiles,
    by_signed_ranks,
    by_student,
    by_trimmed_mean,
)
from scripts.selftest.simulation import CPU, ERRORS, LEVEL, LOOKS, OVERHEAD, campaign, coverage

TRIALS = 20_000  # a share of 95 % has a standard error of 0.15 %, one of 99 % of 0.07 %
LEAST = math.log(1.02)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same draws every time."""
    return np.random.default_rng(7)


@pytest.mark.parametrize(("level", "bound"), [(0.95, 0.944), (0.99, 0.987)])
@pytest.mark.parametrize("rounds", [6, 8, 15])
@pytest.mark.parametrize("errors", ERRORS)
def test_students_interval_covers(
    errors: str, rounds: int, level: float, bound: float, rng: np.random.Generator
) -> None:
    """The interval in use holds the truth as often as it says, whatever the errors."""
    assert coverage(by_student, ERRORS[errors](rng, TRIALS, rounds), level, rng).share >= bound


def test_percentile_bootstrap_does_not_cover(rng: np.random.Generator) -> None:
    """The reason against it: at 6 rounds it holds the truth in far fewer trials than it says."""
    assert coverage(by_percentiles, ERRORS["normal"](rng, 500, 6), 0.95, rng).share < 0.9


@pytest.mark.parametrize("noise", [CPU, OVERHEAD], ids=lambda noise: noise.name)
@pytest.mark.parametrize("rounds", [4, 6, 10])
def test_adjusted_interval_covers_with_its_cost_only(noise: Noise, rounds: int, rng: np.random.Generator) -> None:
    """A slope from the same runs costs certainty: counted it covers, ignored it does not."""
    differences, cost = simulation.adjusted_differences(*simulation.draw(noise, 0, TRIALS, rounds, rng))
    mean, half = student(differences, LEVEL, cost)
    _, too_narrow = student(differences, LEVEL)
    assert np.mean(np.abs(mean) <= half) >= 0.943
    assert np.mean(np.abs(mean) <= too_narrow) < 0.945


def test_adjusting_is_worth_it(rng: np.random.Generator) -> None:
    """Adjusted CPU has an interval at least four times as narrow, for all that the slope costs."""
    values, covariates = simulation.draw(CPU, 0, TRIALS, 6, rng)
    _, plain = student(values[:, 1] - values[:, 0], LEVEL)
    differences, cost = simulation.adjusted_differences(values, covariates)
    _, narrow = student(differences, LEVEL, cost)
    assert np.mean(plain) > 4 * np.mean(narrow)


def test_simulation_tries_what_comparisons_use(rng: np.random.Generator) -> None:
    """A trial gives the same interval as the functions for a single comparison."""
    values, covariates = simulation.draw(CPU, 0.03, 3, 7, rng)
    all_differences, cost = simulation.adjusted_differences(values, covariates)
    mean, half = student(all_differences, LEVEL, cost)
    for trial, ((base, ours), by) in enumerate(zip(values.tolist(), covariates.tolist(), strict=True)):
        differences = adjusted(base, ours, by[0], by[1], pooled_slope([base, ours], by))
        found = paired_t_interval(differences, LEVEL, slope_cost(by[0], by[1], by))
        assert found is not None
        assert (found.estimate, found.high) == pytest.approx((mean[trial], mean[trial] + half[trial]))


def test_false_alarms_stay_within_the_level(rng: np.random.Generator) -> None:
    """At threshold 0 the two-sided rule errs in 5 % of A/A comparisons; at 2 % practically never."""
    strict = campaign(CPU, 0, (8,), LEVEL, 0, TRIALS, rng)
    assert 0.035 < strict.regression + strict.improvement < 0.062
    lenient = campaign(CPU, 0, (8,), LEVEL, LEAST, TRIALS, rng)
    assert lenient.regression + lenient.improvement < 0.005


def test_looking_again_and_again_needs_the_level_of_looks(rng: np.random.Generator) -> None:
    """Five looks at 95 % raise false alarms far above 5 %; at the level of looks they stay below."""
    careless = campaign(CPU, 0, LOOKS, LEVEL, 0, TRIALS, rng)
    careful = campaign(CPU, 0, LOOKS, bonferroni_level(LEVEL, len(LOOKS)), 0, TRIALS, rng)
    assert careless.regression + careless.improvement > 0.1
    assert careful.regression + careful.improvement < 0.05


def test_regressions_are_found(rng: np.random.Generator) -> None:
    """5 % of CPU and 10 % of overhead are found in 6 rounds, 3 % of CPU in 15."""
    assert campaign(CPU, math.log(1.05), (6,), LEVEL, LEAST, TRIALS, rng).regression > 0.99
    assert campaign(CPU, math.log(1.03), (15,), LEVEL, LEAST, TRIALS, rng).regression > 0.98
    assert campaign(OVERHEAD, math.log(1.10), (6,), LEVEL, math.log(1.05), TRIALS, rng).regression > 0.95


def test_improvement_mirrors_regression(rng: np.random.Generator) -> None:
    """What costs 5 % less is an improvement, and no trial calls it a regression."""
    seen = campaign(CPU, -math.log(1.05), (6,), LEVEL, LEAST, TRIALS, rng)
    assert (seen.improvement > 0.99, seen.regression) == (True, 0)


def test_shares_and_rounds_of_a_campaign_add_up(rng: np.random.Generator) -> None:
    """Each trial has one verdict, and a campaign that looks early ends early."""
    seen = campaign(CPU, math.log(1.05), LOOKS, 0.99, LEAST, TRIALS, rng)
    assert seen.regression + seen.improvement + seen.within_threshold + seen.inconclusive == pytest.approx(1)
    assert LOOKS[0] <= seen.rounds < 7


@pytest.mark.parametrize(
    ("low", "estimate", "high", "verdict"),
    [
        (0.001, 0.03, 0.06, "regression"),
        (0.001, 0.019, 0.04, "inconclusive"),
        (-0.001, 0.03, 0.06, "inconclusive"),
        (-0.06, -0.03, -0.001, "improvement"),
        (-0.01, 0.0, 0.01, "within threshold"),
        (0.005, 0.01, 0.015, "within threshold"),
        (-0.03, 0.0, 0.03, "inconclusive"),
    ],
)
def test_verdict_rule(low: float, estimate: float, high: float, verdict: str) -> None:
    """An effect counts beyond the threshold and surely above 0; none is surely within the threshold."""
    found = simulation.verdicts(np.array([low]), np.array([estimate]), np.array([high]), 0.02)
    assert found.tolist() == [verdict]


@pytest.mark.parametrize(("rounds", "level", "low", "high"), [(6, 0.95, 1, 6), (8, 0.95, 2, 7), (6, 0.99, None, 0)])
def test_signed_ranks_count_in_from_the_ends(
    rounds: int, level: float, low: float | None, high: float, rng: np.random.Generator
) -> None:
    """At 6 rounds the ends are the extremes, at 8 the fourth Walsh averages; 6 rounds state nothing at 99 %."""
    found = by_signed_ranks(np.arange(1.0, rounds + 1)[np.newaxis], level, rng)
    expected = (-math.inf, math.inf) if low is None else (low, high)
    assert (found[0].tolist(), found[1].tolist()) == ([expected[0]], [expected[1]])


def test_signed_ranks_agree_with_the_test(rng: np.random.Generator) -> None:
    """A truth lies in the interval if and only if scipy's exact test does not reject it."""
    samples = rng.normal(0.6, 1, size=(200, 9))
    low, high = by_signed_ranks(samples, 0.95, rng)
    accepted = stats.wilcoxon(samples, axis=1, method="exact").pvalue > 0.05
    assert ((low <= 0) & (high >= 0)).tolist() == accepted.tolist()
    assert 0 < accepted.sum() < 200


def test_trimmed_mean_ignores_how_far_off_an_outlier_is(rng: np.random.Generator) -> None:
    """Only that the highest is the highest matters."""
    near, far = np.array([[1.0, 2, 3, 4, 5, 6]]), np.array([[1.0, 2, 3, 4, 5, 600]])
    assert by_trimmed_mean(near, 0.95, rng) == by_trimmed_mean(far, 0.95, rng)


def test_trimmed_mean_by_hand(rng: np.random.Generator) -> None:
    """Of 1 to 6 four are kept, and 2 2 3 4 5 5 (variance 1.9) tell how they scatter."""
    low, high = by_trimmed_mean(np.arange(1.0, 7)[np.newaxis], 0.95, rng)
    half = float(stats.t.ppf(0.975, 3)) * math.sqrt(1.9 * 5 / (4 * 3))
    assert (low[0], high[0]) == pytest.approx((3.5 - half, 3.5 + half))


def test_bootstrap_t_scales_with_the_figures() -> None:
    """Figures a thousand times as large give ends a thousand times as large."""
    samples = np.random.default_rng(1).normal(size=(5, 8))
    small, large = (by_bootstrap_t(samples * scale, 0.95, np.random.default_rng(2)) for scale in (1, 1000))
    np.testing.assert_allclose(np.array(small) * 1000, np.array(large))
    assert (small[0] < small[1]).all()


def test_tables_are_the_same_for_a_seed() -> None:
    """The same seed gives the same bytes, another one others, and every section has its table."""
    first = simulation.tables(seed=1, trials=60)
    assert first == simulation.tables(seed=1, trials=60)
    assert first != simulation.tables(seed=2, trials=60)
    assert [line[4:] for line in first.splitlines() if line.startswith("### ")] == list(simulation.SECTIONS)
    assert "nan" not in first
