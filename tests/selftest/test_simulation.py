"""The simulation shows what it should about the statistics, on fewer trials: bounds that a wrong formula breaks."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pytest
from scipy import stats

from scripts.analysis.metrics import COMPARED
from scripts.inference import comparison, paired_rounds
from scripts.inference.comparison import COVARIATE, LEVEL, VERDICTS
from scripts.inference.intervals import adjusted, paired_t_interval, pooled_slope, slope_cost, student
from scripts.inference.noise import Noise
from scripts.selftest import simulation
from scripts.selftest.interval_methods import (
    by_bootstrap_t,
    by_percentiles,
    by_signed_ranks,
    by_student,
    by_trimmed_mean,
)
from scripts.selftest.simulation import (
    CPU,
    ERRORS,
    LOOK_LEVEL,
    LOOKS,
    METRICS,
    OVERHEAD,
    Drawn,
    coverage,
    drawn_intervals,
    rates,
)
from tests.fakes.synthetic_runs import campaign

TRIALS = 20_000  # a share of 95 % has a standard error of 0.15 %, one of 99 % of 0.07 %
FEWER = 2_000  # the same: 0.49 % and 0.22 %
THRESHOLD = math.log(1.02)


def four_errors(share: float) -> float:
    """Four standard errors of a share of this size in FEWER trials."""
    return 4 * math.sqrt(share * (1 - share) / FEWER)


def plans(drawn_metrics: int, seed: int, noise: Noise = CPU) -> Drawn:
    """Campaigns without a true effect, at every look and both levels."""
    needed = {(rounds, level) for rounds in LOOKS for level in (LEVEL, LOOK_LEVEL)}
    return drawn_intervals(noise, needed, drawn_metrics, FEWER, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def gate() -> Drawn:
    """Campaigns that judge one metric."""
    return plans(1, seed=7)


@pytest.fixture(scope="module")
def table() -> Drawn:
    """Campaigns that judge all metrics together."""
    return plans(METRICS, seed=8)


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
    differences, cost = simulation.adjusted_differences(*simulation.draw(noise, TRIALS, rounds, rng))
    mean, half = student(differences, LEVEL, cost)
    _, too_narrow = student(differences, LEVEL)
    assert np.mean(np.abs(mean) <= half) >= 0.943
    assert np.mean(np.abs(mean) <= too_narrow) < 0.945


def test_adjusting_is_worth_it(rng: np.random.Generator) -> None:
    """Adjusted CPU has an interval at least four times as narrow, for all that the slope costs."""
    values, covariates = simulation.draw(CPU, FEWER, 6, rng)
    _, plain = student(values[..., 1, :] - values[..., 0, :], LEVEL)
    differences, cost = simulation.adjusted_differences(values, covariates)
    _, narrow = student(differences, LEVEL, cost)
    assert np.mean(plain) > 4 * np.mean(narrow)


def test_a_trial_has_the_interval_of_a_single_comparison(rng: np.random.Generator) -> None:
    """A trial gives the same interval as the functions for a single comparison."""
    values, covariates = simulation.draw(CPU, 3, 7, rng, metrics=2)
    all_differences, cost = simulation.adjusted_differences(values, covariates)
    mean, half = student(all_differences, LEVEL, cost)
    for trial, by in enumerate(covariates[:, 0].tolist()):
        for metric, (base, ours) in enumerate(values[trial].tolist()):
            differences = adjusted(base, ours, by[0], by[1], pooled_slope([base, ours], by))
            found = paired_t_interval(differences, LEVEL, slope_cost(by[0], by[1], by))
            assert found is not None
            assert (found.estimate, found.high) == pytest.approx(
                (mean[trial, metric], mean[trial, metric] + half[trial, metric])
            )


def test_a_trial_has_the_verdicts_of_the_shipped_comparison(rng: np.random.Generator) -> None:
    """`comparison.effects` on the same figures gives every verdict that the simulation gives, Holm's included."""
    # The metrics are those that follow the speed and of which less is better, with one threshold for all.
    metrics = [metric for metric in COMPARED if metric.follows_speed and metric.better == "lower"]
    limit, rounds, trials, seen = math.log(1.01), 6, 20, set()
    state = rng.bit_generator.state
    values, covariates = simulation.draw(CPU, trials, rounds, rng, metrics=len(metrics))
    rng.bit_generator.state = state
    drawn = drawn_intervals(CPU, [(rounds, LEVEL)], len(metrics), trials, rng)
    effect = 0.025
    values[:, 0, 1] += effect
    for trial, expected in enumerate(drawn[rounds, LEVEL].verdicts(effect, limit)):
        figures: dict[str, list[list[float | None]]] = {
            metric.name: np.exp(values[trial, place]).tolist() for place, metric in enumerate(metrics)
        }
        figures[COVARIATE] = np.exp(covariates[trial, 0]).tolist()
        (paired,) = paired_rounds.pair(campaign(("1.12.0", "1.18.5"), rounds, figures))
        wanted = dict.fromkeys(figures.keys() - {COVARIATE}, limit)
        found = {each.metric.name: each for each in comparison.effects(paired, 2, {}, minimum_effect=wanted)}
        assert [found[metric.name].verdict for metric in metrics] == [VERDICTS[place] for place in expected]
        seen.add(VERDICTS[expected[0]])
    assert {"regression", "inconclusive"} <= seen


def test_a_full_table_has_as_many_metrics_as_a_comparison(table: Drawn) -> None:
    """As many as the registry has compared ones."""
    assert {one.estimates.shape for one in table.values()} == {(FEWER, len(COMPARED))}


def test_metrics_are_drawn_independently(table: Drawn) -> None:
    """No two metrics of a trial are correlated beyond noise."""
    correlations = np.corrcoef(table[8, LEVEL].estimates / table[8, LEVEL].halves, rowvar=False)
    assert np.abs(correlations - np.eye(METRICS)).max() < 5 / math.sqrt(FEWER)


@pytest.mark.parametrize("metrics", [1, METRICS])
@pytest.mark.parametrize("rounds", [8, 20])
def test_false_positives_stay_within_the_level(metrics: int, rounds: int, gate: Drawn, table: Drawn) -> None:
    """At threshold 0 at most 5 % of A/A comparisons hold one, of one metric or ten; at 2 % practically none."""
    drawn = gate if metrics == 1 else table
    strict = rates(drawn, 0, (rounds,), LEVEL, 0)
    assert 0.05 - four_errors(0.05) - 0.01 < strict.false_positives < 0.05 + four_errors(0.05)
    assert rates(drawn, 0, (rounds,), LEVEL, THRESHOLD).false_positives < 0.01


def test_without_holm_a_full_table_would_exceed_the_level(table: Drawn) -> None:
    """Ten metrics that are each judged alone: 1 - 0.95^10 = 40 % of the tables hold a false positive."""
    one = table[8, LEVEL]
    each = np.abs(one.estimates) > one.halves
    share = 1 - 0.95**METRICS
    assert each.any(axis=1).mean() == pytest.approx(share, abs=four_errors(share) + 0.02)
    assert rates(table, 0, (8,), LEVEL, 0).false_positives < 0.07


def test_many_looks_need_the_level_of_looks(gate: Drawn) -> None:
    """Five looks at 95 % give far more than 5 % false positives; at the level of looks they stay below."""
    assert rates(gate, 0, LOOKS, LEVEL, 0).false_positives > 0.1
    assert rates(gate, 0, LOOKS, LOOK_LEVEL, 0).false_positives < 0.05


def test_regressions_are_found(gate: Drawn) -> None:
    """A gate finds 5 % of CPU and 10 % of overhead in 6 rounds, and 3 % of CPU in 15."""
    assert rates(gate, math.log(1.05), (6,), LEVEL, THRESHOLD).regression > 0.99
    assert rates(gate, math.log(1.03), (15,), LEVEL, THRESHOLD).regression > 0.98
    overhead = plans(1, seed=9, noise=OVERHEAD)
    assert rates(overhead, math.log(1.10), (6,), LEVEL, math.log(1.05)).regression > 0.95


def test_many_metrics_cost_power(gate: Drawn, table: Drawn) -> None:
    """Judged together with nine others, 3 % of CPU is found in 6 rounds far less often than alone."""
    alone, together = (rates(drawn, math.log(1.03), (6,), LEVEL, THRESHOLD).regression for drawn in (gate, table))
    assert alone > 0.88
    assert together < 0.62


def test_false_positives_leave_out_the_metric_with_the_effect(table: Drawn) -> None:
    """A regression that is found is none."""
    assert rates(table, math.log(1.5), (8,), LEVEL, THRESHOLD).false_positives < 0.01


def test_improvement_mirrors_regression(gate: Drawn) -> None:
    """What costs 5 % less is an improvement, and no trial calls it a regression."""
    seen = rates(gate, -math.log(1.05), (6,), LEVEL, THRESHOLD)
    assert (seen.improvement > 0.99, seen.regression) == (True, 0)


def test_shares_and_rounds_of_a_campaign_add_up(gate: Drawn, table: Drawn) -> None:
    """Each trial has one verdict; a campaign ends early when its verdict is in, and later when it waits for ten."""
    seen, waiting = (rates(drawn, math.log(1.05), LOOKS, LOOK_LEVEL, THRESHOLD) for drawn in (gate, table))
    assert seen.regression + seen.improvement + seen.within_threshold + seen.inconclusive == pytest.approx(1)
    assert LOOKS[0] <= seen.rounds < 7 < waiting.rounds <= LOOKS[-1]


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
    """The same seed gives the same bytes, and every section has its title, text and table."""
    first = simulation.tables(seed=1, trials=20)
    assert first == simulation.tables(seed=1, trials=20)
    for one in simulation.sections():
        assert f"### {one.title}\n\n{textwrap.fill(one.about, 120)}\n\n| " in first
    assert "nan" not in first


def test_tables_differ_by_seed() -> None:
    """Another seed gives other figures."""
    first, second = (simulation.adjustment_table(20, np.random.default_rng(seed)) for seed in (1, 2))
    assert first != second
