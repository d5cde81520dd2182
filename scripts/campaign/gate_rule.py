"""When a gate's campaign ends: as soon as its one-sided decisions are in, at looks that share the error unequally.

The error of a look is what the spending function adds since the look before. The sum over all looks is the whole error,
so the decisions hold together however the looks depend on one another (Boole's inequality).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scripts.campaign.stopping_rule import ROUNDS, StoppingRule, interim_looks
from scripts.inference import comparison, gate_decision, intervals
from scripts.inference.comparison import LEVEL, ArmComparison
from scripts.inference.gate_decision import Case
from scripts.inference.gate_defaults import FAILURES
from scripts.inference.one_sided import ERROR
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure.round_plan import Campaign

_LATEST = 0.8  # share of the planned rounds after which only the last look is made


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRule(StoppingRule):
    """When a gate's campaign ends."""

    limits: Mapping[str, float] = field(default_factory=dict)  # as `gate_decision.thresholds` gives them

    def is_due(self, campaign: Campaign, rounds: int) -> bool:
        """Whether the decisions are looked at after so many rounds of a scenario."""
        return rounds in looks(self.last_round(campaign, rounds))

    def level(self, campaign: Campaign, rounds: int) -> float:  # noqa: ARG002 - the intervals are the same at all looks
        """The level of the two-sided intervals that stand beside the decisions."""
        return LEVEL

    def error(self, campaign: Campaign, rounds: int, *, final: bool = False) -> float:
        """The one-sided error after so many rounds; `final`: there is no later look, so all that is left."""
        if self.budget_s is None:
            return ERROR
        return look_error(self.last_round(campaign, rounds), rounds, final=final)

    def still_open(self, campaign: Campaign, judged: Sequence[ArmComparison]) -> int:
        """How many decisions are not made."""
        return sum(
            case.decision == "undecided"
            for one in judged
            for case in gate_decision.decide(one, self.limits, self.error(campaign, len(one.paired.rounds)))
        )

    def decide(self, campaign: Campaign, one: ArmComparison) -> list[Case]:
        """The cases of an arm at the end: as the look that ended it has them, else with all the error that is left."""
        rounds = len(one.paired.rounds)
        cases = gate_decision.decide(one, self.limits, self.error(campaign, rounds))
        if all(case.decision != "undecided" for case in cases):
            return cases
        return gate_decision.decide(one, self.limits, self.error(campaign, rounds, final=True))

    def until_decided(self, campaign: Campaign, paired: PairedRounds) -> PairedRounds:
        """Of recorded rounds those that this rule would have made: until the look that decides every case, else all."""
        made = len(paired.rounds)
        for look in looks(self.last_round(campaign, made)):
            if look >= made:
                break
            part = replace(paired, rounds=paired.rounds[:look])
            if not self.still_open(campaign, comparison.judge([part], {}, minimum_effect=self.minimum_effect)):
                return part
        return paired


def of_limits(
    limits: Mapping[str, float], *, rounds: int = ROUNDS, budget_s: float | None = None, afresh: bool = True
) -> GateRule:  # fmt: skip
    """The rule of a gate on these limits; failures have no log ratio that a comparison could judge."""
    effects = {name: limit for name, limit in limits.items() if name != FAILURES}
    return GateRule(rounds=rounds, budget_s=budget_s, minimum_effect=effects, afresh=afresh, limits=limits)


def looks(last: int) -> list[int]:
    """After how many rounds to look. None shortly before the last: it would spend what the last one needs."""
    return [look for look in interim_looks(last) if look == last or look <= _LATEST * last]


def look_error(last: int, rounds: int, *, final: bool = False) -> float:
    """The one-sided error of the look after so many rounds, of a plan whose last look is after `last`.

    The decision at the end may spend the rest, also where the budget ended before the last look: a metric that its look
    has decided stays decided at a larger error.
    """
    before = max((look for look in looks(last) if look < rounds), default=0)
    spent = ERROR if final else intervals.spent_error(ERROR, rounds / last)
    return spent - intervals.spent_error(ERROR, before / last)
