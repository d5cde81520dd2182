"""The verdict of a campaign on each metric."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.inference import comparison, paired_rounds
from scripts.inference.comparison import COVARIATE, Effect, effects, judged, noise_floors
from scripts.inference.intervals import Interval, student
from scripts.inference.paired_rounds import PairedRounds
from scripts.selftest import simulation
from tests.fakes.synthetic_runs import campaign

CPU, FIRST, MEMORY = "cpu_per_request_ms", "first_answer_ms", "memory_end_bytes"
TWO, SAME = ("1.12.0", "1.18.5"), ("1.12.0", "1.12.0")
BY_NAME = {metric.name: metric for metric in METRICS}
WOBBLE = [1.001, 0.999, 1.002, 0.998, 1.0015, 0.9985, 1.0, 1.0]  # of ratios, about 1


def one(runs: list[Run]) -> PairedRounds:
    """The one campaign that these runs are."""
    (found,) = paired_rounds.pair(runs)
    return found


def compared(name: str, first: list[float | None], second: list[float | None]) -> Effect:
    """The effect on a metric with these figures."""
    found = effects(one(campaign(TWO, len(first), {name: (first, second)})), 2, {})
    return next(effect for effect in found if effect.metric.name == name)


def times(values: list[float], factor: float) -> list[float | None]:
    """Each value times the factor."""
    return [value * factor for value in values]


def test_change_is_the_mean_ratio_within_rounds() -> None:
    """A drift of the machine is neither in a change nor in its interval: differences within rounds cancel it."""
    drifting = [1e8 * 1.1**n for n in range(6)]
    ratios = [1.04, 1.06, 1.05, 1.05, 1.03, 1.07]
    found = compared(MEMORY, [*drifting], [value * ratio for value, ratio in zip(drifting, ratios, strict=True)])
    logs = np.log(ratios)
    low, high = stats.t.interval(0.95, 5, loc=logs.mean(), scale=stats.sem(logs))
    assert found.interval is not None
    assert (found.interval.estimate, found.interval.low, found.interval.high) == pytest.approx((logs.mean(), low, high))
    assert (found.verdict, found.interval.number) == ("regression", 6)


def test_figures_are_medians() -> None:
    """One odd run moves neither figure."""
    found = compared(MEMORY, [1e8, 1e8, 1e8, 9e9], [2e8, 2e8, 2e8, 2e8])
    assert (found.baseline, found.candidate) == (1e8, 2e8)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.03, "regression"), (0.97, "improvement"), (1.01, "within threshold"), (0.99, "within threshold")],
)
def test_verdict_follows_size_and_direction(factor: float, verdict: str) -> None:
    """Of CPU time less is better, and 2 % is the threshold, however narrow the interval."""
    assert compared(CPU, times(WOBBLE, 5.0), times(WOBBLE[::-1], 5.0 * factor)).verdict == verdict


def test_an_open_verdict_says_how_many_rounds_it_needs() -> None:
    """More rounds than there are, and more again where the noise is larger."""
    quiet, loud = (
        compared(MEMORY, [1e8] * 6, [1e8 * math.exp(0.03 * sign * size) for sign in (-1, 1, -1, 1, -1, 1)])
        for size in (1, 3)
    )
    assert (quiet.verdict, loud.verdict) == ("inconclusive", "inconclusive")
    assert quiet.rounds_needed is not None
    assert loud.rounds_needed is not None
    assert 6 < quiet.rounds_needed < loud.rounds_needed


def test_a_closed_verdict_needs_no_rounds() -> None:
    """A verdict that is not inconclusive needs no more."""
    assert compared(CPU, times(WOBBLE, 5.0), times(WOBBLE, 6.0)).rounds_needed is None


@pytest.mark.parametrize(("level", "rounds", "needed"), [(0.95, 1, 4), (0.95, 3, 4), (0.99, 5, 6)])
def test_too_few_rounds_are_inconclusive(level: float, rounds: int, needed: int) -> None:
    """The fewest rounds of this level are needed, and there is no interval."""
    figures: list[float | None] = [1.0 + n for n in range(rounds)]
    found = effects(one(campaign(TWO, rounds, {CPU: (figures, figures)})), 2, {}, level=level)
    cpu = next(effect for effect in found if effect.metric.name == CPU)
    assert (cpu.interval, cpu.verdict, cpu.rounds_needed, cpu.open) == (None, "inconclusive", needed, True)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [(None, "a run lacks the metric"), (0.0, "a run has a value that is not above 0"), (-1.5, "not above 0")],
)
def test_a_round_without_a_figure_is_left_out(odd: float | None, reason: str) -> None:
    """A round in which a run lacks the metric, or has no logarithm of it, is counted with the reason; others decide."""
    found = compared(FIRST, [20.0] * 8, [*[30.0] * 7, odd])
    assert found.interval is not None
    assert (found.interval.number, found.verdict, found.candidate) == (7, "regression", 30.0)
    ((why, rounds),) = [(each.reason, each.rounds) for each in found.left_out]
    assert reason in why
    assert rounds == 1


def test_few_rounds_with_a_figure_need_more_rounds() -> None:
    """Where some rounds have the metric, but too few for an interval, more rounds would help."""
    found = compared(FIRST, [20.0] * 4, [30.0, 30.0, None, None])
    assert (found.interval, found.verdict, found.open) == (None, "inconclusive", True)


@pytest.mark.parametrize("odd", [None, 0.0])
def test_no_round_with_a_figure_is_no_data(odd: float | None) -> None:
    """Where no round has the metric there is no data: more rounds would not help."""
    found = compared(FIRST, [20.0] * 6, [odd] * 6)
    assert (found.interval, found.verdict, found.rounds_needed, found.open) == (None, "no data", None, False)
    assert (found.baseline, found.left_out[0].rounds) == (20.0, 6)


def test_first_answers_are_missing_in_older_records() -> None:
    """Records of schema 1 lack them: no figure and no verdict, while everything else has one."""
    found = {effect.metric.name: effect for effect in effects(one(campaign(TWO, 4)), 2, {})}
    assert (found[FIRST].baseline, found[FIRST].verdict) == (None, "no data")
    assert {effect.verdict for name, effect in found.items() if name != FIRST} == {"within threshold"}


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
@pytest.mark.parametrize("name", [CPU, "throughput_rps"])
def test_verdict_rule(name: str, low: float, estimate: float, high: float, verdict: str) -> None:
    """A change exceeds the threshold and its interval excludes 0; where more is better, mirrored."""
    metric = BY_NAME[name]
    sign = 1 if metric.better == "lower" else -1
    ends = sorted((sign * low, sign * high))
    interval = Interval(estimate=sign * estimate, low=ends[0], high=ends[1], level=0.95, number=8)
    assert judged(metric, interval, 0.02, some=True) == verdict
    alone = "inconclusive" if verdict in ("regression", "improvement") else verdict
    assert judged(metric, interval, 0.02, some=True, significant=False) == alone


def test_verdict_rule_takes_many_intervals() -> None:
    """Many intervals get the verdict that each has by itself."""
    estimates, halves = (
        np.array(column).ravel() for column in np.meshgrid([-0.05, -0.0199, 0.0, 0.01, 0.0201, 0.05], [0, 0.005, 0.1])
    )
    found = comparison.verdicts(estimates - halves, estimates, estimates + halves, 0.02, significant=True)
    for place, estimate, half in zip(found, estimates, halves, strict=True):
        interval = Interval(estimate=estimate, low=estimate - half, high=estimate + half, level=0.95, number=8)
        assert judged(BY_NAME[CPU], interval, 0.02, some=True) == comparison.VERDICTS[place]


@pytest.mark.parametrize(
    ("floor", "wanted", "expected"),
    [
        (None, None, math.log1p(0.02)),
        (0.01, None, math.log1p(0.02)),
        (0.05, None, 0.05),
        (None, 0.1, 0.1),
        (0.2, 0.1, 0.2),
    ],
)
def test_threshold(floor: float | None, wanted: float | None, expected: float) -> None:
    """The minimum effect, the metric's own or the wanted one, or the noise floor where that is larger."""
    assert comparison.threshold(BY_NAME[CPU], floor, wanted) == expected
    assert comparison.threshold(BY_NAME["settled_s"], floor) == (floor or 0.0)


def test_what_follows_speed_is_adjusted_by_the_covariate() -> None:
    """A candidate that only met a slower machine is no regression; without the covariate it would be one."""
    covariate = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.02, 0.98]
    slower: list[float | None] = [value * 1.1 for value in covariate]
    figures: dict[str, tuple[list[float | None], list[float | None]]] = {
        COVARIATE: ([*covariate], slower),
        CPU: (times(covariate, 5.0), [value and value * 5.0 * w for value, w in zip(slower, WOBBLE, strict=True)]),
    }
    with_covariate = {e.metric.name: e for e in effects(one(campaign(TWO, 8, figures)), 2, {})}[CPU]
    without = {e.metric.name: e for e in effects(one(campaign(TWO, 8, {CPU: figures[CPU]})), 2, {})}[CPU]
    assert (with_covariate.verdict, without.verdict) == ("within threshold", "regression")
    assert with_covariate.slope == pytest.approx(1.0, abs=0.01)
    assert without.slope == 0.0


def test_adjusted_interval_is_the_one_that_was_simulated() -> None:
    """From runs to interval: the slope of all runs, and what it costs, as the simulated campaigns have them."""
    values, covariates = simulation.draw(simulation.CPU, 1, 7, np.random.default_rng(5))
    values[:, :, 1] += 0.03
    cpu, covariate = ([list(map(float, np.exp(arm))) for arm in drawn[0, 0]] for drawn in (values, covariates))
    found = effects(one(campaign(TWO, 7, {CPU: cpu, COVARIATE: covariate})), 2, {})
    differences, cost = simulation.adjusted_differences(values, covariates)
    ((mean,),), ((half,),) = student(differences, 0.95, cost)
    interval = next(effect.interval for effect in found if effect.metric.name == CPU)
    assert interval is not None
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((mean, mean - half, mean + half))


def test_change_of_the_covariate() -> None:
    """The ratio of the covariates, with its interval; None with too few rounds or without a covariate."""
    covariate: list[float | None] = [1.0, 1.01, 0.99, 1.0]
    change = comparison.covariate_change(
        one(campaign(TWO, 4, {COVARIATE: (covariate, times([1.0, 1.01, 0.99, 1.0], 1.2))})), 2
    )
    assert change is not None
    assert change.estimate == pytest.approx(math.log(1.2))
    assert comparison.covariate_change(one(campaign(TWO, 3)), 2) is None
    assert comparison.covariate_change(one(campaign(TWO, 4, {COVARIATE: (covariate, [None] * 4)})), 2) is None


def test_arms_are_compared_with_their_own_baseline() -> None:
    """Each of three arms with the first, or with another one."""
    found = one(campaign(("a", "b", "c"), 4, {CPU: ([5.0] * 4, [6.0] * 4, [6.6] * 4)}))
    pairs = ((2, 1, 1.2), (3, 1, 1.32), (3, 2, 1.1))
    for arm, baseline, ratio in pairs:
        cpu = next(e for e in effects(found, arm, {}, baseline=baseline) if e.metric.name == CPU)
        assert cpu.interval is not None
        assert cpu.interval.estimate == pytest.approx(math.log(ratio))


def test_minimum_effect_can_be_replaced_and_adds_a_metric() -> None:
    """A given minimum effect replaces the metric's own, also for a metric that is not compared otherwise."""
    paired = one(campaign(TWO, 4, {CPU: ([5.0] * 4, [5.2] * 4), "settled_s": ([5.0] * 4, [5.2] * 4)}))
    found = {e.metric.name: e for e in effects(paired, 2, {}, minimum_effect={CPU: 0.05, "settled_s": 0.01})}
    assert (found[CPU].verdict, found["settled_s"].verdict) == ("within threshold", "regression")
    assert "settled_s" not in {e.metric.name for e in effects(paired, 2, {})}


def noisy(size: float, **kind: str) -> list[Run]:
    """Eight A/A rounds whose memory differs by so much, now up and now down."""
    moved: list[float | None] = [1e8 * math.exp(size * sign) for sign in (1, -1) * 4]
    return campaign(SAME, 8, {MEMORY: ([1e8] * 8, moved)}, name="aa", first=50, **kind)


@pytest.mark.parametrize("mean", [0.0, 0.03, -0.03])
def test_noise_floor_is_the_far_end_of_all_rounds_together(mean: float) -> None:
    """The mean of the A/A differences and Student's half width, to whichever side they lie."""
    moved: list[float | None] = [1e8 * math.exp(mean + 0.05 * sign) for sign in (1, -1) * 4]
    floors = noise_floors(paired_rounds.pair(campaign(SAME, 8, {MEMORY: ([1e8] * 8, moved)})))
    ((key, floor),) = [(key, floor) for key, floor in floors.items() if key[-1] == MEMORY]
    half = abs(mean) + float(stats.t.ppf(0.975, 7)) * float(stats.sem([0.05, -0.05] * 4))
    assert key[1:] == ("fastapi", "static_async", MEMORY)
    assert floor == pytest.approx(half)


def test_change_within_the_noise_floor_does_not_count() -> None:
    """A significant 3 % of memory is a regression, unless comparing a release with itself could not exclude 3 %."""
    runs = campaign(TWO, 8, {MEMORY: (times(WOBBLE, 1e8), times(WOBBLE[::-1], 1.03e8))})
    for size, verdict in ((0.01, "regression"), (0.05, "within threshold")):
        found = {e.metric.name: e for e in effects(one(runs), 2, noise_floors(paired_rounds.pair(noisy(size))))}[MEMORY]
        assert found.floor is not None
        assert found.threshold == max(found.floor, math.log1p(0.02))
        assert found.verdict == verdict


def test_noise_floor_holds_under_its_own_conditions_only() -> None:
    """A/A runs of another flow give no floor."""
    floors = noise_floors(paired_rounds.pair(noisy(0.05, flow="flex_async")))
    assert {e.floor for e in effects(one(campaign(TWO, 8)), 2, floors)} == {None}


def test_a_a_runs_are_not_judged_by_their_own_floor() -> None:
    """Otherwise a release that differs from itself could never be a false positive."""
    found = one(campaign(SAME, 8, {MEMORY: ([1e8] * 8, times(WOBBLE, 1.05e8))}))
    own = {e.metric.name: e for e in effects(found, 2, noise_floors([found]))}[MEMORY]
    assert (own.floor, own.verdict) == (None, "regression")


def test_noise_floors_of_several_releases_do_not_mix_their_levels() -> None:
    """That one release uses twice the CPU time of another is in neither the slope nor the floor."""
    covariate: list[float | None] = [1.0, 1.1, 0.9, 1.0, 1.0, 1.1, 0.9, 1.0]
    floors = [
        noise_floors(paired_rounds.pair([
            *campaign(SAME, 8, {
                COVARIATE: (covariate, covariate), CPU: (times(WOBBLE, 5.0), times(WOBBLE[::-1], 5.0)),
            }),
            *campaign(("1.18.5",) * 2, 8, {
                COVARIATE: (times(WOBBLE, 1.3), times(WOBBLE, 1.3)),
                CPU: (times(WOBBLE, level), times(WOBBLE[::-1], level)),
            }, name="other", first=60),
        ]))
        for level in (5.0, 10.0)
    ]  # fmt: skip
    first, second = ([floor for key, floor in one.items() if key[-1] == CPU] for one in floors)
    assert len(first) == 1
    assert first == pytest.approx(second)


def test_a_a_runs_that_lack_a_metric_leave_the_floor_to_the_others() -> None:
    """An older A/A campaign without first answers does not change the floor of a newer one."""
    newer = campaign(SAME, 8, {FIRST: (times(WOBBLE, 20.0), times(WOBBLE[::-1], 20.0))})
    old = campaign(SAME, 8, name="older", first=60)
    alone, both = (
        {key[-1]: f for key, f in noise_floors(paired_rounds.pair(r)).items()} for r in (newer, [*newer, *old])
    )
    assert both[FIRST] == alone[FIRST]


def test_rounds_can_be_cut_off() -> None:
    """The verdicts after the first rounds only."""
    found = one(campaign(TWO, 6, {CPU: ([5.0] * 6, [6.0] * 6)}))
    assert {e.interval.number for e in effects(found.first(4), 2, {}) if e.interval} == {4}
    assert dataclasses.replace(found, rounds=found.rounds[:4]) == found.first(4)


def test_a_random_change_among_many_metrics_is_inconclusive() -> None:
    """A change that is significant as the only metric is inconclusive among ten."""
    moved = [1.00, 1.06, 1.01, 1.07, 1.02, 1.06]
    runs = campaign(TWO, 6, {MEMORY: ([1e8] * 6, times(moved, 1e8))})
    paired = one(runs)
    (among_all,) = [each for each in effects(paired, 2, {}) if each.metric.name == MEMORY]
    assert among_all.interval is not None
    assert among_all.interval.low > 0
    assert among_all.verdict == "inconclusive"
    alone = effects(paired, 2, {}, minimum_effect={MEMORY: 0.02})
    assert [each.verdict for each in alone if each.metric.name == MEMORY] == ["regression"]


def test_truncated_latencies_are_not_compared() -> None:
    """A distrusted latency is no data, while throughput and CPU time of the same run count."""
    runs = [dataclasses.replace(run, distrusted=("truncated: ...",)) for run in campaign(TWO, 6)]
    verdicts = {each.metric.name: each.verdict for each in effects(one(runs), 2, {})}
    assert (verdicts["overhead_p50_ms"], verdicts[CPU]) == ("no data", "within threshold")


def test_one_truncated_run_leaves_out_its_round() -> None:
    """Its latencies are judged over the other rounds, and its own words are kept."""
    first, *others = campaign(TWO, 8)
    runs = [dataclasses.replace(first, distrusted=("truncated: 58 requests still waited",)), *others]
    found = {each.metric.name: each for each in effects(one(runs), 2, {})}
    latency, cpu = found["overhead_p50_ms"], found[CPU]
    assert latency.interval is not None
    assert cpu.interval is not None
    assert (latency.interval.number, cpu.interval.number, cpu.left_out) == (7, 8, ())
    ((reason, example),) = [(each.reason, each.example) for each in latency.left_out]
    assert (reason, example) == ("a run is truncated", "truncated: 58 requests still waited")
