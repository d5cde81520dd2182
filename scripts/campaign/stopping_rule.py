"""When a campaign ends: after so many rounds, or as soon as every verdict is in, within a time budget.

With a budget, the verdicts are judged at interim looks. Every look may give a false positive. So there are few looks,
and each is made at the stricter Bonferroni level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scripts.config.errors import UsageError
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL, ArmComparison
from scripts.measure.round_plan import Campaign

ROUNDS = 8  # of each scenario, where neither rounds nor a budget are given
_FIRST_LOOK = 6  # rounds
_GROWTH = 1.35  # of the rounds between two looks


@dataclass(frozen=True, kw_only=True, slots=True)
class StoppingRule:
    """When a campaign ends."""

    rounds: int = ROUNDS  # of each scenario
    budget_s: float | None = None  # instead: as soon as all verdicts are in, and after this time at the latest
    minimum_effect: Mapping[str, float] = field(default_factory=dict)  # as log ratio, by metric; others are not awaited
    afresh: bool = True  # when all is measured already, measure it again as a new campaign

    def is_due(self, campaign: Campaign, rounds: int) -> bool:
        """Whether the verdicts are looked at after so many rounds of a scenario."""
        return rounds in interim_looks(self.last_round(campaign, rounds))

    def level(self, campaign: Campaign, rounds: int) -> float:
        """The confidence level after so many rounds; the same for the same number, so that a repetition agrees."""
        if self.budget_s is None:
            return LEVEL
        return intervals.bonferroni_level(LEVEL, len(interim_looks(self.last_round(campaign, rounds))))

    def still_open(self, campaign: Campaign, judged: Sequence[ArmComparison]) -> int:  # noqa: ARG002 - gates need it
        """How many of the requested verdicts are inconclusive."""
        wanted = self.minimum_effect
        effects = [effect for one in judged for effect in one.effects]
        return sum(effect.open for effect in effects if not wanted or effect.metric.name in wanted)

    def last_round(self, campaign: Campaign, rounds: int) -> int:
        """With so many rounds made: the last that the budget allows, or the repetition that goes on after it."""
        allowed = max(1, int((self.budget_s or 0.0) / campaign.round_s / len(campaign.scenarios)))
        return allowed * max(1, math.ceil(rounds / allowed))

    def require_time(self, campaign: Campaign) -> None:
        """UsageError when the budget is too short for the fewest rounds that allow a verdict."""
        if self.budget_s is None:
            return
        fewest = intervals.fewest_rounds(LEVEL)
        needed_s = campaign.round_s * len(campaign.scenarios) * fewest
        if self.budget_s < needed_s:
            raise UsageError(
                f"the budget of {self.budget_s / 60:.1f} minutes is too short: the fewest rounds that allow a verdict, "
                f"{fewest} of {len(campaign.scenarios)} scenario(s), take {needed_s / 60:.1f}",
                then=f"repeat this command with --budget {2 * needed_s / 60:.0f}m, or with fewer flows: --flow",
            )


def interim_looks(last: int) -> list[int]:
    """After how many rounds to look at the verdicts: ever further apart, and after the last."""
    looks, number = [], _FIRST_LOOK
    while number < last:
        looks.append(number)
        number = max(number + 1, round(number * _GROWTH))
    return [*looks, last]
