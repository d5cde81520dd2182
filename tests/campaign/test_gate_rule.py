"""What a look of a gate may err."""

from __future__ import annotations

import math

import pytest

from scripts.campaign import gate_rule
from scripts.campaign.gate_rule import GateRule
from scripts.inference import paired_rounds
from scripts.inference.comparison import LEVEL
from scripts.inference.intervals import spent_error
from tests.fakes.stage import Stage
from tests.fakes.synthetic_runs import campaign as runs_of

CPU = "cpu_per_request_ms"


@pytest.mark.parametrize("last", [4, 6, 7, 11, 40, 200])
def test_looks_spend_the_whole_error_once(last: int) -> None:
    """However many looks there are, their errors add up to 5 %, and the last has the most of it."""
    errors = [gate_rule.look_error(last, look) for look in gate_rule.looks(last)]
    assert sum(errors) == pytest.approx(0.05)
    assert errors[-1] == max(errors)


@pytest.mark.parametrize(
    ("last", "expected"), [(4, [4]), (7, [7]), (8, [6, 8]), (11, [6, 8, 11]), (16, [6, 8, 11, 16])]
)
def test_no_look_shortly_before_the_last(last: int, expected: list[int]) -> None:
    """It would spend what the last one needs."""
    assert gate_rule.looks(last) == expected


def test_spending_is_that_of_lan_and_demets() -> None:
    """2 - 2 Phi(1.96 / sqrt(share)) for 5 %: 0.56 % after half of the rounds, next to nothing after a fifth."""
    assert [spent_error(0.05, share) for share in (0, 0.2, 0.5, 1, 2)] == pytest.approx(
        [0, 1.17e-5, 5.57e-3, 0.05, 0.05], rel=0.01
    )


def test_an_early_end_may_spend_what_is_left() -> None:
    """Where the time is over before the last look, all but the error of earlier looks remains."""
    first, second, _ = gate_rule.looks(11)
    assert gate_rule.look_error(11, 9, final=True) == pytest.approx(0.05 - spent_error(0.05, second / 11))
    assert gate_rule.look_error(11, second, final=True) == pytest.approx(0.05 - spent_error(0.05, first / 11))


def test_without_a_budget_there_is_one_look(stage: Stage) -> None:
    """It has the whole error; intervals are the same at all looks."""
    campaign = stage.campaign()
    assert GateRule(rounds=8).error(campaign, 8) == 0.05
    rule = GateRule(budget_s=campaign.round_s * 11.5)
    assert rule.error(campaign, 6) == gate_rule.look_error(11, 6) < 0.01
    assert rule.level(campaign, 6) == rule.level(campaign, 11) == LEVEL


@pytest.mark.parametrize(
    ("candidate", "rounds"),
    [([6.0] * 11, 6), ([4.0, 6.2] * 3 + [5.0] * 5, 11), ([4.6, 5.4] * 3 + [4.9] * 2 + [5.0] * 3, 8)],
)
def test_recorded_rounds_count_until_the_look_that_decides(stage: Stage, candidate: list[float], rounds: int) -> None:
    """Rounds that were made under other thresholds are judged as a gate with these would have made them."""
    requested = stage.campaign()
    rule = gate_rule.of_limits({CPU: math.log1p(0.09)}, budget_s=requested.round_s * 11.5)
    (paired,) = paired_rounds.pair(runs_of(("1.12.0", "1.18.5"), 11, {CPU: ([5.0] * 11, candidate)}))
    assert rule.until_decided(requested, paired).rounds == paired.rounds[:rounds]
