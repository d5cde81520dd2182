"""Gates on recorded rounds that are drawn again."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from scripts.analysis.run_reader import Run
from scripts.inference import comparison, gate_decision, gate_defaults, one_sided, paired_rounds
from scripts.selftest import gate_resampling
from scripts.selftest.gate_resampling import CHANGES, Change, RecordedRounds, recorded, resample
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

CPU = "cpu_per_request_ms"
NOTHING = Change(what="nothing")


def measured(
    candidate: Sequence[float | None], failed: int = 5, name: str = "c0ffee123456", first: int = 1
) -> list[Run]:  # fmt: skip
    """A campaign of a release with itself: CPU time of the second arm by round, of the first 5 ms."""
    rounds = len(candidate)
    figures: dict[str, list[Sequence[float | None]]] = {
        CPU: [[5.0] * rounds, candidate],
        "first_answer_ms": [[300.0] * rounds] * 2,
    }
    runs = campaign(("1.18.5", "1.18.5"), rounds, figures, name=name, first=first)
    load = synthetic_runs.measurements(failed=failed)
    return [
        dataclasses.replace(run, record=dataclasses.replace(run.record, measurements=load))
        if run.record.requested.arm == 2
        else run
        for run in runs
    ]


def noisy(rounds: int, spread: float, seed: int = 1, level: float = 0.0) -> list[float]:
    """CPU times whose log ratios to 5 ms scatter about a level."""
    draws = random.Random(seed)  # noqa: S311 - nothing secret
    return [5.0 * math.exp(draws.gauss(level, spread)) for _ in range(rounds)]


def rounds_of(*campaigns: list[Run]) -> RecordedRounds:
    """What can be drawn from these campaigns."""
    return recorded(paired_rounds.pair(run for runs in campaigns for run in runs))


def rng() -> np.random.Generator:
    """The same draws every time."""
    return np.random.default_rng(3)


def test_known_changes_turn_passes_into_failures() -> None:
    """Of quiet rounds an unchanged candidate passes, and one with twice the allowed CPU time fails by that metric."""
    found = rounds_of(measured(noisy(12, 0.01)))
    assert resample(found, NOTHING, rng(), gates=300).passed > 0.95
    worse = resample(found, Change(what="", factors={CPU: 1.06}), rng(), gates=300)
    assert worse.metric_failed[CPU] == worse.failed > 0.95


def test_added_milliseconds_are_in_the_unit_of_the_metric() -> None:
    """0.3 ms more CPU time of 5 ms is as 6 % more, round for round."""
    found = rounds_of(measured([5.0] * 12))
    by_factor, by_time = (Change(what="", factors={CPU: 1.06}), Change(what="", added={CPU: 0.3}))
    assert resample(found, by_factor, rng(), gates=50) == resample(found, by_time, rng(), gates=50)


def test_gate_draws_the_rounds_of_one_campaign() -> None:
    """Of two campaigns without noise, one 10 % worse, half of the gates fail: none mixes the rounds of both."""
    found = rounds_of(
        measured(noisy(8, 0.0, level=0.1), name="worse"),
        measured(noisy(4, 0.0), name="same", first=60),
    )
    rates = resample(found, NOTHING, rng(), gates=400)
    assert rates.failed == pytest.approx(0.5, abs=0.1)
    assert rates.undecided == 0


def test_verdicts_are_those_of_the_gate() -> None:
    """A gate whose draws are all of its rounds decides as `gate_decision` does, failures included."""
    runs = measured(noisy(6, 0.02, level=0.02))
    (paired,) = paired_rounds.pair(runs)
    limits = gate_defaults.limits()
    (judged,) = comparison.judge([paired], {})
    shipped = {case.metric.name: case.decision for case in gate_decision.decide(judged, limits, one_sided.ERROR)}
    found = recorded([paired])

    class InOrder:
        def integers(self, _high: object, size: tuple[int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.intp]]:
            return np.zeros(size, np.intp) if size[1] == 1 else np.arange(6)[np.newaxis]

    rates = resample(found, NOTHING, InOrder(), gates=1, last=6)  # type: ignore[arg-type]
    assert {name for name, share in rates.metric_passed.items() if share} == {
        name for name, decision in shipped.items() if decision == "pass"
    }
    assert set(rates.metric_passed) == set(limits)
    assert shipped[CPU] != "pass"


def test_failed_requests_fail_the_gate() -> None:
    """Failures of the candidate in every round are a regression of the failure ratio."""
    found = rounds_of(measured([5.0] * 6, failed=200))
    assert resample(found, NOTHING, rng(), gates=20).metric_failed[gate_defaults.FAILURES] == 1


def test_round_without_a_metric_is_not_drawn() -> None:
    """A round counts only where both runs tell every judged metric."""
    found = rounds_of(measured([5.0, None, 5.0, 5.0]))
    assert len(found.rounds) == 3


def test_table_says_what_it_is_drawn_from() -> None:
    """The number of rounds and campaigns stands above it, with a warning while they are few."""
    few = gate_resampling.part(rounds_of(measured(noisy(12, 0.01))), gates=20)
    assert "12 recorded rounds of 1 campaigns" in few
    assert "**These are few rounds" in few
    assert all(f"| {change.what} " in few for change in CHANGES)
    many = rounds_of(*(measured(noisy(10, 0.01, n), name=f"c{n:02}", first=10 + 20 * n) for n in range(10)))
    assert "These are few" not in gate_resampling.part(many, gates=20)
    assert "No rounds of an unchanged candidate" in gate_resampling.part(rounds_of())
