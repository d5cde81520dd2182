"""A gate on drawn rounds keeps its errors and finds what it should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scripts.campaign import gate_rule
from scripts.inference.gate_defaults import ROUNDS, Default
from scripts.selftest import gate_simulation, simulation
from scripts.selftest.gate_simulation import PLANS, TIMED, simulate

TRIALS = 4000
CPU = "cpu_per_request_ms"


def bound(share: float) -> float:
    """A share, with four standard errors of TRIALS on top."""
    return share + 4 * math.sqrt(share * (1 - share) / TRIALS)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same draws every time."""
    return np.random.default_rng(11)


@pytest.mark.parametrize("last", PLANS)
@pytest.mark.parametrize("errors", ["normal", "heavy tails"])
def test_a_change_as_large_as_allowed_passes_in_5_percent(last: int, errors: str, rng: np.random.Generator) -> None:
    """All looks together, in the metric of the largest noise; the others pass easily and stop no look."""
    alone = [Default(metric=CPU, allowed=0.03, noise=0.02)]
    found = simulate(alone, {CPU: 0.03}, last, TRIALS, rng, errors=simulation.ERRORS[errors])
    assert found.passed <= bound(0.05)


@pytest.mark.parametrize("last", PLANS)
@pytest.mark.parametrize("allowed", [1e-9, 0.03])
def test_an_unchanged_candidate_fails_in_5_percent(last: int, allowed: float, rng: np.random.Generator) -> None:
    """Over all judged metrics together and all looks, even where next to nothing is allowed."""
    metrics = [Default(metric=f"m{number}", allowed=allowed, noise=0.02) for number in range(8)]
    assert simulate(metrics, {}, last, TRIALS, rng).failed <= bound(0.05)


def test_without_the_spending_rule_looks_would_exceed_the_error(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the whole error passes a change as large as allowed far more often than in 5 %."""
    monkeypatch.setattr(gate_rule, "look_error", lambda _last, _rounds: 0.05)
    alone = [Default(metric=CPU, allowed=0.03, noise=0.02)]
    assert simulate(alone, {CPU: 0.03}, 22, TRIALS, rng).passed > 0.10


def test_an_unchanged_candidate_passes_the_defaults(rng: np.random.Generator) -> None:
    """In 19 of 20 gates of five minutes, over all metrics together."""
    found = simulate(TIMED, {}, ROUNDS, TRIALS, rng)
    assert found.passed >= 0.95
    assert found.failed < 0.01


def test_faster_always_passes(rng: np.random.Generator) -> None:
    """A candidate that is better by half of its noise passes like one that is better by much."""
    alone = [Default(metric=CPU, allowed=0.03, noise=0.02)]
    assert simulate(alone, {CPU: -0.01}, ROUNDS, TRIALS, rng).passed > 0.99
    assert simulate(alone, {CPU: -0.3}, ROUNDS, TRIALS, rng).passed == 1.0


def test_regressions_are_found_and_looks_save_rounds(rng: np.random.Generator) -> None:
    """Twice what is allowed is found nearly always, and a gate on large changes ends before its last round."""
    found = simulate(TIMED, {CPU: 0.06}, ROUNDS, TRIALS, rng)
    assert found.metric_failed[CPU] > 0.95
    assert simulate(TIMED, {CPU: 0.5}, 22, TRIALS, rng).rounds < 15


def test_shares_add_up(rng: np.random.Generator) -> None:
    """Every gate passes, fails or is undecided."""
    found = simulate(TIMED, {CPU: 0.03}, 8, TRIALS, rng)
    assert found.passed + found.failed + found.undecided == pytest.approx(1)


def test_tables_are_the_same_for_a_seed() -> None:
    """Byte for byte, with every plan and without a figure that is none."""
    first = gate_simulation.tables(seed=1, trials=20)
    assert first == gate_simulation.tables(seed=1, trials=20)
    assert all(f"| {last} " in first for last in PLANS)
    assert "nan" not in first
