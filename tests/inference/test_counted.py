"""Verdicts on counted work."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from scripts.analysis.metrics import METRICS
from scripts.inference import comparison, counted, gate_decision, paired_rounds
from scripts.inference.counted import ProcessNoise
from scripts.inference.gate_decision import Case
from tests.fakes.synthetic_runs import campaign

NOISE = ProcessNoise(deviation=0.001, freedom=12)


def timed(decision: gate_decision.Decision) -> Case:
    """CPU time with this decision."""
    (one,) = comparison.judge(paired_rounds.pair(campaign(("1.12.0", "1.18.5"), 4)), {})
    case = next(case for case in gate_decision.decide(one, {}, 0.05) if case.metric.name == "cpu_per_request_ms")
    return dataclasses.replace(case, decision=decision)


def test_noise_is_pooled_within_releases() -> None:
    """Releases differ, and that is no noise; one with a single process adds nothing."""
    found = counted.process_noise([[18.74, 18.76], [20.90, 20.94, 20.96], [10.06]])
    assert found is not None
    expected = (np.var(np.log([18.74, 18.76])) * 2 + np.var(np.log([20.90, 20.94, 20.96])) * 3) / 3
    assert found.deviation == pytest.approx(math.sqrt(expected))
    assert found.freedom == 3


@pytest.mark.parametrize("releases", [[], [[]], [[18.74], [20.9]]])
def test_single_processes_tell_no_noise(releases: list[list[float]]) -> None:
    """Two processes of one release are the fewest."""
    assert counted.process_noise(releases) is None


def test_bound_is_students_with_the_freedom_of_the_noise() -> None:
    """One process against two."""
    found = counted.difference([100.0], [101.0, 101.0], NOISE)
    error = 0.001 * math.sqrt(1.5)
    assert found.error == pytest.approx(error)
    assert found.high == pytest.approx(math.log(1.01) + float(stats.t.ppf(0.975, 12)) * error)


@pytest.mark.parametrize(
    ("candidate", "decision"),
    [
        (90.0, "pass"),
        (100.0, "pass"),
        (100.2, "pass"),
        (100.9, "undecided"),
        (101.05, "regression"),
        (145.0, "regression"),
    ],
)
def test_decision_from_one_process_an_arm(candidate: float, decision: str) -> None:
    """With 1 % allowed and a noise of 0.1 %, only what lies close to 1 % stays open."""
    change = counted.difference([100.0], [candidate], NOISE)
    assert counted.decide(change, math.log1p(0.01)) == decision


def test_error_is_kept() -> None:
    """With the noise from few processes, a change as large as allowed passes in 5 %."""
    rng, allowed, trials = np.random.default_rng(3), math.log1p(0.005), 3000
    passed = 0
    for _ in range(trials):
        others = np.exp(rng.normal(0, 0.001, size=(3, 3)))
        noise = counted.process_noise(others.tolist())
        assert noise is not None
        candidate = np.exp(allowed + rng.normal(0, 0.001, size=2))
        change = counted.difference(np.exp(rng.normal(0, 0.001, size=2)).tolist(), candidate.tolist(), noise)
        passed += counted.decide(change, allowed) == "pass"
    assert passed / trials == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / trials))


def test_disagreement_with_cpu_time_is_explained() -> None:
    """In either direction, and only where one says regression and the other passes."""
    assert "executes more instructions" in gate_decision.disagreement("regression", "pass")
    assert "in the kernel" in gate_decision.disagreement("pass", "regression")
    assert gate_decision.disagreement("pass", "pass") == gate_decision.disagreement("undecided", "regression") == ""


def test_disagreement_is_one_of_the_same_scenario() -> None:
    """Counts of one flow and CPU time of another are not held against each other."""
    instructions = next(metric for metric in METRICS if metric.name == "instructions_per_request")
    counts = dataclasses.replace(timed("regression"), metric=instructions)
    (told,) = gate_decision.disagreements([counts, timed("pass")])
    assert told.startswith(f"{counts.where}: The server executes more instructions")
    assert gate_decision.disagreements([counts, dataclasses.replace(timed("pass"), where="elsewhere")]) == []


def test_what_processes_would_have_found() -> None:
    """The smallest visible change is above what is allowed by 0.84 standard errors, for a power of 80 %."""
    change = counted.difference([100.0], [100.0], ProcessNoise(deviation=0.001, freedom=30))
    assert counted.visible(change, 0.005) == pytest.approx(0.005 + 0.8416 * 0.001 * math.sqrt(2), rel=1e-3)
