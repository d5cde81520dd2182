"""The arithmetic of the end of a campaign: interim looks, and how many rounds a budget allows."""

from __future__ import annotations

import pytest

from scripts.campaign import stopping_rule
from scripts.campaign.stopping_rule import StoppingRule
from scripts.inference.comparison import LEVEL
from tests.fakes.stage import Stage

SIXTEEN = 16.5  # rounds


@pytest.mark.parametrize(
    ("last", "expected"),
    [(4, [4]), (6, [6]), (7, [6, 7]), (16, [6, 8, 11, 15, 16]), (20, [6, 8, 11, 15, 20])],
)
def test_interim_looks(last: int, expected: list[int]) -> None:
    """Looks are ever further apart, and one is after the last round."""
    assert stopping_rule.interim_looks(last) == expected


def test_last_round(stage: Stage) -> None:
    """A budget allows whole rounds only; a campaign that has used it up gets as many again."""
    campaign = stage.campaign()
    rule = StoppingRule(budget_s=campaign.round_s * SIXTEEN)
    assert [rule.last_round(campaign, rounds) for rounds in (0, 16, 17, 33)] == [16, 16, 32, 48]


def test_level(stage: Stage) -> None:
    """Five planned looks share what one test may get wrong; without a budget there is one test."""
    campaign = stage.campaign()
    assert StoppingRule(budget_s=campaign.round_s * SIXTEEN).level(campaign, 6) == pytest.approx(1 - (1 - LEVEL) / 5)
    assert StoppingRule().level(campaign, 6) == LEVEL
