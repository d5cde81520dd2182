"""At which release a metric changed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from scripts.analysis.metrics import METRICS
from scripts.inference import change_points, paired_rounds
from scripts.inference.change_points import LogMatrix
from scripts.inference.intervals import Figures
from tests.fakes.synthetic_runs import campaign

CPU = next(metric for metric in METRICS if metric.name == "cpu_per_request_ms")
MEMORY = next(metric for metric in METRICS if metric.name == "memory_end_bytes")
ARMS, ROUNDS = 21, 5
NAMES = tuple(f"1.{number}.0" for number in range(ARMS))


def drawn(seed: int, changes: dict[int, float], noise: float = 0.014, speed: float = 0.1) -> tuple[Figures, Figures]:
    """Logs of a metric and of the speed covariate; `changes`: log ratios from the place of a release on."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(0, speed, (ROUNDS, ARMS))
    levels = np.zeros(ARMS)
    for place, change in changes.items():
        levels[place:] += change
    return levels + 0.6 * covariates + rng.normal(0, noise, covariates.shape), covariates


def test_a_change_is_found_where_it_is() -> None:
    """Of 21 releases in 5 rounds, with the noise that was measured, a change of 8 % is found, and no other."""
    values, covariates = drawn(1, {7: 0.08})
    (point,) = change_points.detect(CPU, change_points.fitted(NAMES, values, covariates))
    assert (point.before, point.release) == ("1.6.0", "1.7.0")
    assert point.interval.low < 0.08 < point.interval.high


def test_every_change_point_has_its_own_interval() -> None:
    """Two changes of different signs are two change points."""
    values, covariates = drawn(2, {3: 0.1, 15: -0.2})
    found = change_points.detect(CPU, change_points.fitted(NAMES, values, covariates))
    assert [(point.release, point.interval.estimate > 0) for point in found] == [("1.3.0", True), ("1.15.0", False)]


def test_a_change_below_the_threshold_is_no_change_point() -> None:
    """However significant it is."""
    values, covariates = drawn(3, {7: 0.015}, noise=0.0005)
    assert change_points.detect(CPU, change_points.fitted(NAMES, values, covariates)) == []
    assert change_points.detect(CPU, change_points.fitted(NAMES, *drawn(3, {7: 0.04}, noise=0.0005)), floor=0.05) == []


def test_false_positives_in_few_campaigns() -> None:
    """Without any change, at most one campaign in twenty has a change point, over all of its releases."""
    positives = [bool(change_points.detect(CPU, change_points.fitted(NAMES, *drawn(seed, {})))) for seed in range(200)]
    assert sum(positives) <= 10 + 3 * math.sqrt(10)
    no_minimum_effect = dataclasses.replace(CPU, minimum_effect=0.0)
    positives = [
        bool(change_points.detect(no_minimum_effect, change_points.fitted(NAMES, *drawn(seed, {}))))
        for seed in range(200)
    ]
    assert sum(positives) <= 10 + 3 * math.sqrt(10)


def matrix(seed: int, changes: dict[int, float], minimum_effect: float | None = CPU.minimum_effect) -> LogMatrix:
    """Drawn figures as a campaign gives them."""
    values, covariates = drawn(seed, changes)
    metric = dataclasses.replace(CPU, name=f"metric-{seed}", minimum_effect=minimum_effect)
    return LogMatrix(metric=metric, releases=NAMES, values=values, covariates=covariates)


def positives(figures: list[LogMatrix]) -> float:
    """How often permuted figures have a change point in any metric."""
    first, second = (change_points.permutations((ROUNDS, ARMS), 500, seed) for seed in (1, 2))
    widened = {one.metric.name: change_points.widening(one, first, len(figures)) for one in figures}
    return change_points.false_positives(figures, second, widened, dict.fromkeys(widened, 0.0), len(figures))


def test_false_positives_are_few_in_permuted_data() -> None:
    """Residuals permuted among the releases seldom have a change point, also where there are real changes."""
    assert positives([matrix(4, {7: 0.2})]) <= 0.08


def test_more_metrics_give_no_more_false_positives() -> None:
    """The intervals of all metrics of a scenario hold together, so three do no worse than one."""
    assert positives([matrix(seed, {}, minimum_effect=0.0) for seed in (5, 6, 7)]) <= 0.08


def test_no_false_positive_below_a_floor() -> None:
    """Permuted noise that is below the noise floor is no false positive."""
    one = matrix(5, {}, minimum_effect=0.0)
    permuted = change_points.permutations((ROUNDS, ARMS), 100, 1)
    assert change_points.false_positives([one], permuted, {one.metric.name: 0.1}, {one.metric.name: 0.0}) == 1
    assert change_points.false_positives([one], permuted, {one.metric.name: 0.1}, {one.metric.name: 1.0}) == 0


def test_outliers_give_no_false_positives() -> None:
    """Runs far off, as when one worker got all connections, widen the intervals and make no false change points."""
    one = matrix(9, {}, minimum_effect=0.0)
    one.values[[0, 1, 2, 3], [4, 8, 11, 17]] += 0.5
    name, floors = one.metric.name, {one.metric.name: 0.0}
    permuted, others = (change_points.permutations((ROUNDS, ARMS), 500, seed) for seed in (3, 4))
    assert change_points.false_positives([one], others, {name: 1.0}, floors) > 0.1, (
        "Student's alone are too narrow here"
    )
    assert change_points.false_positives([one], others, {name: change_points.widening(one, permuted)}, floors) <= 0.08


def test_a_metric_without_noise_needs_no_width() -> None:
    """Where all runs of a release agree there is nothing to permute: Student's width stays, and a change is found."""
    values = np.zeros((ROUNDS, ARMS))
    values[:, 7:] = 0.5
    for covariates in (None, np.zeros((ROUNDS, ARMS))):
        one = LogMatrix(metric=CPU, releases=NAMES, values=values, covariates=covariates)
        widened = change_points.widening(one, change_points.permutations((ROUNDS, ARMS), 50, 5))
        assert math.isfinite(widened)
        (point,) = change_points.detect(CPU, change_points.fitted(NAMES, values, covariates), widened=widened)
        assert point.release == NAMES[7]


def test_covariates_that_only_rounding_moves_adjust_nothing() -> None:
    """Covariates that move with their rounds alone, up to rounding, have no slope and widen no interval."""
    values, _ = drawn(11, {})
    covariates = np.log(1.3 * np.broadcast_to(1 + 0.001 * np.arange(ROUNDS)[:, None], values.shape))
    model = change_points.fitted(NAMES, values, covariates)
    assert model.slope == 0
    assert model.difference(1, 0).high - model.difference(1, 0).low < 1


def test_permuting_keeps_rounds() -> None:
    """Every row of a permutation has each place once."""
    permuted = change_points.permutations((3, 4), 10, 1)
    assert permuted.shape == (10, 3, 4)
    assert (np.sort(permuted, axis=2) == np.arange(4)).all()


def test_the_model_is_that_of_least_squares() -> None:
    """The means give what solving the whole design does: effects, noise, slope and their covariance."""
    values, covariates = drawn(10, {7: 0.05})
    model = change_points.fitted(NAMES, values, covariates)
    (errors,) = model.errors
    rounds = np.kron(np.eye(ROUNDS), np.ones((ARMS, 1)))
    releases = np.kron(np.ones((ROUNDS, 1)), np.eye(ARMS)[:, 1:])
    design = np.hstack([rounds, releases, covariates.reshape(-1, 1)])
    solution, (squares,), *_ = np.linalg.lstsq(design, values.ravel(), rcond=None)
    assert model.slope == pytest.approx(solution[-1])
    assert model.effects[1:] == pytest.approx(solution[ROUNDS:-1])
    assert errors.freedom == values.size - design.shape[1]
    assert errors.noise == pytest.approx(math.sqrt(squares / errors.freedom))
    covariance = np.linalg.inv(design.T @ design) * errors.noise**2
    interval = model.difference(3, 0)
    error = math.sqrt(covariance[ROUNDS + 2, ROUNDS + 2])
    assert interval.high - interval.estimate == pytest.approx(stats.t.ppf(0.975, errors.freedom) * error)


def test_a_noise_floor_raises_the_threshold() -> None:
    """A change smaller than the noise floor is no change point."""
    values, covariates = drawn(8, {7: 0.08})
    model = change_points.fitted(NAMES, values, covariates)
    assert change_points.detect(CPU, model)
    assert change_points.detect(CPU, model, floor=0.2) == []


def test_intervals_hold_the_truth() -> None:
    """Of 300 campaigns, 95 % intervals of one release less another hold the true change in about 95 %."""
    held = 0
    for seed in range(300):
        interval = change_points.fitted(NAMES, *drawn(seed, {7: 0.05})).difference(10, 2)
        held += interval.low <= 0.05 <= interval.high
    assert 0.91 <= held / 300 <= 0.99


def test_without_covariate_the_plain_means_decide() -> None:
    """A metric that does not follow the speed of the machine is taken as it is."""
    values = np.log(np.array([[100.0, 100.0, 120.0], [101.0, 100.0, 121.0], [100.0, 101.0, 120.0]]))
    model = change_points.fitted(("a", "b", "c"), values, None)
    assert model.slope == 0
    assert model.effects == pytest.approx(values.mean(axis=0) - values.mean(axis=0)[0])
    assert [point.release for point in change_points.detect(MEMORY, model)] == ["c"]


def test_of_a_campaign() -> None:
    """Rounds are read by arm, whichever way a round ran; a figure that is missing or does not count makes no model."""
    figures: dict[str, list[list[float | None]]] = {MEMORY.name: [[1e8] * 4, [1e8] * 4, [1.3e8, 1.31e8, 1.3e8, 1.29e8]]}
    (paired,) = paired_rounds.pair(campaign(("1.10.0", "1.11.0", "1.12.0"), 4, figures))
    model = change_points.fit(paired, MEMORY)
    assert model is not None
    assert (model.releases, model.rounds) == (("1.10.0", "1.11.0", "1.12.0"), 4)
    assert [point.release for point in change_points.detect(MEMORY, model)] == ["1.12.0"]
    overhead = next(metric for metric in METRICS if metric.name == "overhead_p50_ms")
    assert change_points.fit(paired, overhead) is not None
    one = paired.rounds[0]
    truncated = dataclasses.replace(one.runs[2], distrusted=("truncated",))
    spoilt = dataclasses.replace(one, runs=one.runs | {2: truncated})
    paired = dataclasses.replace(paired, rounds=(spoilt, *paired.rounds[1:]))
    assert change_points.fit(paired, overhead) is None
    assert change_points.fit(paired, MEMORY) is not None
    figures[MEMORY.name][1][2] = None
    (paired,) = paired_rounds.pair(campaign(("1.10.0", "1.11.0", "1.12.0"), 4, figures))
    assert change_points.fit(paired, MEMORY) is None


def test_drift_is_found_where_no_neighbours_differ() -> None:
    """Ten rises of 1 % are no change points, and together the drift of the newest release since the best one."""
    values, covariates = drawn(4, dict.fromkeys(range(10, 20), 0.01), noise=0.004)
    model = change_points.fitted(NAMES, values, covariates)
    assert change_points.detect(CPU, model) == []
    best, year_back = change_points.drift(CPU, model, "1.11.0")
    assert best.release == year_back.release == NAMES[-1]
    assert NAMES.index(best.before) < 10
    assert best.interval.low < 0.1 < best.interval.high
    assert year_back.before == "1.11.0"


def test_drift_names_a_release_once() -> None:
    """A release of a year back that is the best one too has one line."""
    values, covariates = drawn(5, {1: 0.3})
    (found,) = change_points.drift(CPU, change_points.fitted(NAMES, values, covariates), NAMES[0])
    assert found.before == NAMES[0]


def test_a_newest_release_better_than_all_has_no_drift_since_the_best() -> None:
    """An improvement is told against the release of a year back only."""
    model = change_points.fitted(NAMES, *drawn(6, {20: -0.3}))
    assert change_points.drift(CPU, model, None) == []
    assert [one.before for one in change_points.drift(CPU, model, "1.4.0")] == ["1.4.0"]


def test_drift_needs_a_release_that_is_no_neighbour() -> None:
    """Of two releases there is a change, and no drift."""
    values = drawn(7, {1: 0.3})[0][:, :2]
    assert change_points.drift(CPU, change_points.fitted(NAMES[:2], values, None), NAMES[0]) == []


def test_drift_of_unchanged_releases_is_rare() -> None:
    """Without any change, at most one campaign in twenty has drift, although the best release is picked."""
    found = [bool(change_points.drift(CPU, change_points.fitted(NAMES, *drawn(s, {})), None)) for s in range(200)]
    assert sum(found) <= 10 + 3 * math.sqrt(10)
