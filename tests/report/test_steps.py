"""At which release a metric stepped."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from scripts.report import pairing, steps
from scripts.report.metrics import METRICS
from scripts.report.statistics import Figures
from tests.report.factory import campaign

CPU = next(metric for metric in METRICS if metric.name == "cpu_per_request_ms")
MEMORY = next(metric for metric in METRICS if metric.name == "memory_end_bytes")
ARMS, ROUNDS = 21, 5
NAMES = tuple(f"1.{number}.0" for number in range(ARMS))


def drawn(seed: int, changes: dict[int, float], noise: float = 0.014, speed: float = 0.1) -> tuple[Figures, Figures]:
    """Logs of a metric and of its control; `changes`: log ratios by the place of the release from which they hold."""
    rng = np.random.default_rng(seed)
    controls = rng.normal(0, speed, (ROUNDS, ARMS))
    levels = np.zeros(ARMS)
    for place, change in changes.items():
        levels[place:] += change
    return levels + 0.6 * controls + rng.normal(0, noise, controls.shape), controls


def test_a_step_is_found_where_it_is() -> None:
    """Of 21 releases in 5 rounds, with the noise that was measured, a step of 8 % is found, and no other."""
    values, controls = drawn(1, {7: 0.08})
    (step,) = steps.found(CPU, steps.fitted(NAMES, values, controls))
    assert (step.before, step.release) == ("1.6.0", "1.7.0")
    assert step.interval.low < 0.08 < step.interval.high


def test_every_step_has_its_own_interval() -> None:
    """Two steps of different signs are two."""
    values, controls = drawn(2, {3: 0.1, 15: -0.2})
    found = steps.found(CPU, steps.fitted(NAMES, values, controls))
    assert [(step.release, step.interval.estimate > 0) for step in found] == [("1.3.0", True), ("1.15.0", False)]


def test_a_change_below_the_least_is_no_step() -> None:
    """However certain it is."""
    values, controls = drawn(3, {7: 0.015}, noise=0.0005)
    assert steps.found(CPU, steps.fitted(NAMES, values, controls)) == []
    assert steps.found(CPU, steps.fitted(NAMES, *drawn(3, {7: 0.04}, noise=0.0005)), floor=0.05) == []


def test_wolf_is_cried_in_few_campaigns() -> None:
    """Without any step, at most one campaign in twenty has one, over all of its releases."""
    alarms = [bool(steps.found(CPU, steps.fitted(NAMES, *drawn(seed, {})))) for seed in range(200)]
    assert sum(alarms) <= 10 + 3 * math.sqrt(10)
    no_least = dataclasses.replace(CPU, least=0.0)
    alarms = [bool(steps.found(no_least, steps.fitted(NAMES, *drawn(seed, {})))) for seed in range(200)]
    assert sum(alarms) <= 10 + 3 * math.sqrt(10)


def test_false_alarms_are_told_from_shuffled_data() -> None:
    """What is left of the model, shuffled among the releases, seldom makes a step, also where there are real ones."""
    values, controls = drawn(4, {7: 0.2})
    told = steps.Told(metric=CPU, releases=NAMES, values=values, controls=controls)
    assert steps.false_alarms([told], trials=100, seed=1) <= 0.12


def test_more_metrics_do_not_cry_wolf_more_often() -> None:
    """The intervals of all metrics of a scenario hold together, so three do no worse than one."""
    figures = [
        steps.Told(metric=dataclasses.replace(CPU, least=0.0), releases=NAMES, values=values, controls=controls)
        for values, controls in (drawn(seed, {}) for seed in (5, 6, 7))
    ]
    assert steps.false_alarms(figures, trials=100, seed=1) <= 0.12


def test_a_noise_floor_quietens_steps() -> None:
    """Steps smaller than what a release differs from itself by do not count, in the data and in the shuffled data."""
    values, controls = drawn(8, {7: 0.08})
    model = steps.fitted(NAMES, values, controls)
    assert steps.found(CPU, model)
    assert steps.found(CPU, model, floor=0.2) == []


def test_intervals_hold_the_truth() -> None:
    """Of 300 campaigns, 95 % intervals of one release beside another hold the true change in about 95 %."""
    held = 0
    for seed in range(300):
        interval = steps.fitted(NAMES, *drawn(seed, {7: 0.05})).against(10, 2)
        held += interval.low <= 0.05 <= interval.high
    assert 0.91 <= held / 300 <= 0.99


def test_without_control_the_plain_means_decide() -> None:
    """A metric that does not follow the speed of the machine is taken as it is."""
    values = np.log(np.array([[100.0, 100.0, 120.0], [101.0, 100.0, 121.0], [100.0, 101.0, 120.0]]))
    model = steps.fitted(("a", "b", "c"), values, None)
    assert model.slope == 0
    assert model.effects == pytest.approx(values.mean(axis=0) - values.mean(axis=0)[0])
    assert [step.release for step in steps.found(MEMORY, model)] == ["c"]


def test_of_a_series() -> None:
    """Rounds are read by arm, whichever way a round ran; a figure that is missing or does not count makes no model."""
    figures: dict[str, list[list[float | None]]] = {MEMORY.name: [[1e8] * 4, [1e8] * 4, [1.3e8, 1.31e8, 1.3e8, 1.29e8]]}
    (series,) = pairing.series(campaign(("1.10.0", "1.11.0", "1.12.0"), 4, figures))
    model = steps.fit(series, MEMORY)
    assert model is not None
    assert (model.releases, model.rounds) == (("1.10.0", "1.11.0", "1.12.0"), 4)
    assert [step.release for step in steps.found(MEMORY, model)] == ["1.12.0"]
    overhead = next(metric for metric in METRICS if metric.name == "overhead_p50_ms")
    assert steps.fit(series, overhead) is not None
    one = series.rounds[0]
    truncated = dataclasses.replace(one.runs[2], distrusted=("truncated",))
    spoilt = dataclasses.replace(one, runs=one.runs | {2: truncated})
    series = dataclasses.replace(series, rounds=(spoilt, *series.rounds[1:]))
    assert steps.fit(series, overhead) is None
    assert steps.fit(series, MEMORY) is not None
    figures[MEMORY.name][1][2] = None
    (series,) = pairing.series(campaign(("1.10.0", "1.11.0", "1.12.0"), 4, figures))
    assert steps.fit(series, MEMORY) is None
