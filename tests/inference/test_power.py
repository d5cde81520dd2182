"""What rounds can show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scripts.campaign.gate_rule import look_error
from scripts.inference import one_sided, power
from scripts.inference.gate_defaults import DEFAULTS, ROUNDS
from scripts.inference.gate_power import prospects
from scripts.inference.power import Errors, RoundNoise

ERRORS = Errors(to_pass=0.05, to_fail=0.01)
ALLOWED = math.log1p(0.03)


def simulated(change: float, deviation: float, rounds: int, error: float) -> tuple[float, float]:
    """Shares of passes and of regressions of one metric, from the rule itself."""
    drawn = np.random.default_rng(5).normal(change, deviation, size=(40_000, 1, rounds))
    found = one_sided.verdicts(
        drawn.mean(axis=-1), drawn.std(axis=-1, ddof=1) / math.sqrt(rounds), rounds - 1, np.array([ALLOWED]), error
    )
    return float((found == 0).mean()), float((found == 1).mean())


@pytest.mark.parametrize(("deviation", "rounds"), [(0.02, 6), (0.02, 11), (0.05, 11)])
def test_passes_are_those_of_the_rule(deviation: float, rounds: int) -> None:
    """The formula agrees with drawn rounds, and with the noncentral t distribution."""
    found = power.passes(deviation, rounds, ALLOWED, Errors(to_pass=0.05, to_fail=0.05))
    assert found == pytest.approx(simulated(0.0, deviation, rounds, 0.05)[0], abs=0.01)
    shift = -ALLOWED * math.sqrt(rounds) / deviation
    assert found == pytest.approx(float(stats.nct.cdf(-stats.t.isf(0.05, rounds - 1), rounds - 1, shift)), abs=0.003)


@pytest.mark.parametrize(("deviation", "rounds"), [(0.02, 6), (0.02, 11), (0.05, 11)])
def test_visible_is_found_in_80_percent(deviation: float, rounds: int) -> None:
    """Of drawn rounds with exactly that change."""
    change = power.visible(deviation, rounds, ALLOWED, Errors(to_pass=0.05, to_fail=0.05))
    assert change is not None
    assert change > ALLOWED
    assert simulated(change, deviation, rounds, 0.05)[1] == pytest.approx(0.8, abs=0.01)


def test_visible_without_noise_is_what_is_allowed() -> None:
    """And with too few rounds, or in noise without end, nothing is."""
    assert power.visible(0.0, 6, ALLOWED, ERRORS) == ALLOWED
    assert power.visible(0.02, 3, ALLOWED, ERRORS) is None
    assert power.visible(50.0, 4, ALLOWED, ERRORS) is None


def test_rounds_to_pass_are_the_fewest() -> None:
    """One round less would pass less often; in too much noise there are none."""
    needed = power.rounds_to_pass(0.05, ALLOWED, ERRORS, 0.95)
    assert needed is not None
    assert power.passes(0.05, needed, ALLOWED, ERRORS) >= 0.95 > power.passes(0.05, needed - 1, ALLOWED, ERRORS)
    assert power.rounds_to_pass(5.0, ALLOWED, ERRORS, 0.95) is None


def test_rounds_for_a_reach() -> None:
    """The bound lies no further away, and does with one round less."""
    needed = power.rounds_for(0.05, 0.01, 0.05)
    reaches = [float(stats.t.isf(0.05, n - 1)) * 0.05 / math.sqrt(n) for n in (needed - 1, needed)]
    assert reaches[1] <= 0.01 < reaches[0]


def test_an_unchanged_candidate_passes_the_defaults_in_19_of_20() -> None:
    """By the noise of the table, in 11 rounds, with what the last look may err, whatever the metrics' dependence."""
    error = look_error(ROUNDS, ROUNDS, final=True)
    errors = Errors(to_pass=error, to_fail=error / len(DEFAULTS))
    misses = [
        1 - power.passes(one.noise, ROUNDS, math.log1p(one.allowed), errors)
        for one in DEFAULTS
        if one.noise is not None
    ]
    assert sum(misses) <= 0.05


def test_prospects_name_the_rounds_that_would_do() -> None:
    """Where an unchanged candidate often cannot pass; without recorded noise nothing is known."""
    limits = {"cpu_per_request_ms": ALLOWED, "ready_s": math.log1p(0.1), "failure_ratio": 0.002}
    cpu, ready = prospects(limits, {"cpu_per_request_ms": RoundNoise(deviation=0.05)}, 11, 0.05)
    assert (cpu.metric.name, ready.metric.name) == ("cpu_per_request_ms", "ready_s")
    assert cpu.passes is not None
    assert cpu.passes < 0.95
    assert cpu.rounds_needed is not None
    assert cpu.rounds_needed > 11
    assert (ready.noise, ready.passes, ready.visible, ready.rounds_needed) == (None, None, None, None)
