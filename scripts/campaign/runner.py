"""Carries out a campaign for the verbs compare, gate, attribute, find and self_test: where the two halves meet.

Makes the rounds that are missing, looks at the verdicts when that is due, and stops when the bounds are met.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.config.errors import (
    InvalidMeasurementError,
    NotComparableError,
    NothingMeasuredError,
    SuiteError,
    UsageError,
)
from scripts.config.plan import RunSpec
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.inference import comparison, intervals, paired_rounds
from scripts.inference.comparison import LEVEL, ArmComparison, Floors
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure import round_plan, session
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.measure.run import Prepared, RunContext
from scripts.records.storage import RecordError, run_directories
from scripts.report.tables import effect_text

ROUNDS = 8
_FIRST_LOOK = 6  # rounds
_GROWTH = 1.35  # of the rounds between two looks: few looks, because each one costs certainty
_MOST_FAILED = 3  # rounds of a scenario in a row that do not count, before it is given up
_MOST_DISTURBED = 3  # runs of an arm in a row that cannot be believed, before its round is given up


@dataclass(frozen=True, kw_only=True, slots=True)
class StoppingRule:
    """When a campaign ends."""

    rounds: int = ROUNDS  # of each scenario
    budget_s: float | None = None  # instead: as soon as all verdicts are in, and after this time at the latest
    minimum_effect: Mapping[str, float] = field(
        default_factory=dict
    )  # judge these metrics only, by the least change that counts
    afresh: bool = True  # when all is measured already, measure it again as a new campaign


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignResult:
    """What a campaign came to."""

    paired: tuple[PairedRounds, ...]
    judged: tuple[ArmComparison, ...]
    floors: Floors
    failed: tuple[SuiteError, ...]  # why scenarios were given up
    took_s: float  # wall time, without building virtualenvs


@dataclass(kw_only=True, slots=True)
class CampaignState:
    """The runs of a campaign, and what they come to so far."""

    requested: Campaign
    rule: StoppingRule
    floors: Floors
    runs: defaultdict[str, list[Run]]  # by campaign
    identities: dict[str, str] = field(default_factory=dict)  # of the campaign, by scenario

    def paired(self, scenario: CampaignScenario) -> list[PairedRounds]:
        """One, or none before the first run."""
        return paired_rounds.pair(self.runs[self.identities[scenario.name]])

    def rounds(self, scenario: CampaignScenario) -> int:
        """How many rounds can be believed; one that was cut short is made again, whole."""
        arms = len(self.requested.arms)
        return sum(len(one.runs) == arms for paired in self.paired(scenario) for one in paired.rounds)

    def judged(self, scenario: CampaignScenario) -> list[ArmComparison]:
        """Every arm beside the baseline."""
        if not self.rounds(scenario):
            return []
        level = self._level(self.rounds(scenario))
        return comparison.judge(
            self.paired(scenario), self.floors, level=level, minimum_effect=self.rule.minimum_effect
        )

    def still_open(self, scenario: CampaignScenario) -> int:
        """How many verdicts that were asked for are not in."""
        wanted = self.rule.minimum_effect
        effects = [effect for one in self.judged(scenario) for effect in one.effects]
        return sum(effect.open for effect in effects if not wanted or effect.metric.name in wanted)

    def settled(self, scenario: CampaignScenario) -> bool:
        """Whether every verdict is in."""
        number = self.rounds(scenario)
        return number >= intervals.fewest_rounds(self._level(number)) and not self.still_open(scenario)

    def enough(self, scenario: CampaignScenario) -> bool:
        """Whether no more rounds are needed; with a budget, that is only looked at now and then."""
        number = self.rounds(scenario)
        if self.rule.budget_s is None:
            return number >= self.rule.rounds
        return number in looks(self._most(number)) and self.settled(scenario)

    def _most(self, number: int) -> int:
        """With so many rounds made: how many there are at the end of the budget, or of the repetition that goes on."""
        whole = max(1, int((self.rule.budget_s or 0.0) / self.requested.round_s / len(self.requested.scenarios)))
        return whole * max(1, math.ceil(number / whole))

    def _level(self, number: int) -> float:
        """The same for the same number of rounds, so that a repetition finds open what was left open."""
        if self.rule.budget_s is None:
            return LEVEL
        return intervals.bonferroni_level(LEVEL, len(looks(self._most(number))))


def measure(requested: Campaign, rule: StoppingRule, options: session.Options, system: System) -> CampaignResult:
    """Make what is missing of a campaign, and judge it whole."""
    _require_time(requested, rule)
    progress = Progress(time.monotonic)
    with session.opened(options, requested.profile.users, system, progress) as context:
        prepared = round_plan.prepare(requested, context)
        runs = _recorded(options.results, requested.profile.name, progress)
        state = CampaignState(requested=requested, rule=rule, floors=_floors(runs), runs=runs)
        _take_up(state, prepared)
        before = sum(map(state.rounds, requested.scenarios))
        if before:
            progress.note(f"{before} round(s) of this campaign are there already; going on after them")
        began = system.monotonic()
        failed = _rounds(state, context, prepared)
        took_s = system.monotonic() - began
    return CampaignResult(
        paired=tuple(paired for scenario in requested.scenarios for paired in state.paired(scenario)),
        judged=tuple(one for scenario in requested.scenarios for one in state.judged(scenario)),
        floors=state.floors,
        failed=tuple(failed),
        took_s=took_s,
    )


def require_whole(requested: Campaign, found: CampaignResult) -> None:
    """Raise why a scenario was given up, or was not measured at all: never a silent pass."""
    if found.failed:
        raise found.failed[0]
    told = {(one.paired.engine, one.paired.flow) for one in found.judged}
    missing = [one for one in requested.scenarios if (one.engine.name, one.flow.name) not in told]
    if not missing:
        return
    if not found.paired:
        raise NothingMeasuredError("no run was made", then="repeat this command with more time: --budget")
    raise InvalidMeasurementError(
        f"no whole round was measured of {', '.join(one.name for one in missing)}",
        then="repeat this command: it goes on where it ended",
    )


def looks(most: int) -> list[int]:
    """After how many rounds to look: from the first on, ever further apart, and at the end."""
    found, number = [], _FIRST_LOOK
    while number < most:
        found.append(number)
        number = max(number + 1, round(number * _GROWTH))
    return [*found, most]


def _recorded(results: Path, profile: str, progress: Progress) -> defaultdict[str, list[Run]]:
    """The runs of campaigns under this profile; one that cannot be read is passed over."""
    found = defaultdict[str, list[Run]](list)
    unreadable = 0
    for _, run in run_reader.each(run_directories(results, profile=profile)):
        if isinstance(run, RecordError):
            unreadable += 1
        else:
            found[run.record.requested.campaign].append(run)
    if unreadable:
        progress.note(f"passed over {unreadable} run(s) that cannot be read; nox -s collate names them")
    return found


def _floors(runs: Mapping[str, Iterable[Run]]) -> Floors:
    """What A/A runs have shown, by their conditions; a campaign of mixed conditions shows nothing."""
    found: list[PairedRounds] = []
    for of_campaign in runs.values():
        try:
            found += paired_rounds.pair(of_campaign)
        except NotComparableError:  # whoever asks for that very campaign is told
            continue
    return comparison.noise_floors(found)


def _require_time(requested: Campaign, rule: StoppingRule) -> None:
    if rule.budget_s is None:
        return
    least_s = requested.round_s * len(requested.scenarios) * intervals.fewest_rounds(LEVEL)
    if rule.budget_s < least_s:
        raise UsageError(
            f"the budget of {rule.budget_s / 60:.1f} minutes is too short: the fewest rounds that can tell anything, "
            f"{intervals.fewest_rounds(LEVEL)} of {len(requested.scenarios)} scenario(s), take {least_s / 60:.1f}",
            then=f"--budget {2 * least_s / 60:.0f}m, or fewer flows with --flow",
        )


def _take_up(state: CampaignState, prepared: Mapping[str, Prepared]) -> None:
    """Go on with the campaign where it stopped; begin a new one when it is finished."""
    here, python = machine.describe(), next(iter(prepared.values())).environment.python
    for again in itertools.count(state.requested.again):
        named = replace(state.requested, again=again)
        state.identities = {one.name: named.identity(one, here, python) for one in named.scenarios}
        done = state.settled if state.rule.budget_s is not None else state.enough
        if not state.rule.afresh or not all(map(done, named.scenarios)):
            return


def _rounds(state: CampaignState, context: RunContext, prepared: Mapping[str, Prepared]) -> list[SuiteError]:
    """Make rounds, one of every scenario in turn, until each has enough; return why scenarios were given up."""
    clock, budget_s = context.system.monotonic, state.rule.budget_s
    began, longest_s = clock(), state.requested.round_s
    waiting = {scenario.name: scenario for scenario in state.requested.scenarios}
    failed: dict[str, list[SuiteError]] = {name: [] for name in waiting}  # in a row
    while waiting:
        for name, scenario in list(waiting.items()):
            start = clock()
            late = budget_s is not None and start - began + longest_s > budget_s
            if late or state.enough(scenario) or len(failed[name]) == _MOST_FAILED:
                del waiting[name]
                continue
            ends_s = math.inf if budget_s is None else began + budget_s
            error = _round(state, context, prepared, scenario, ends_s)
            failed[name] = [] if error is None else [*failed[name], error]
            longest_s = max(longest_s, clock() - start)
    return [
        failed[scenario.name][-1]
        for scenario in state.requested.scenarios
        if len(failed[scenario.name]) == _MOST_FAILED or (failed[scenario.name] and not state.rounds(scenario))
    ]


def _round(
    state: CampaignState,
    context: RunContext,
    prepared: Mapping[str, Prepared],
    scenario: CampaignScenario,
    ends_s: float,
) -> SuiteError | None:
    """Make one round; return why it does not count. What would come after a run that fails could not be paired."""
    identity, number = state.identities[scenario.name], state.rounds(scenario) + 1
    specs = state.requested.round(scenario, identity, number)
    for place, spec in enumerate(specs, 1):
        own = replace(context, prepared=prepared[spec.release])
        error = _run(state, own, spec, identity, f"[round {number}, {place}/{len(specs)}]", ends_s)
        if error is not None:
            context.progress.note(f"round {number} of {scenario.name} does not count")
            return error
    context.progress.note(f"round {number} of {scenario.name}: {_standing(state, scenario)}")
    return None


def _run(
    state: CampaignState, context: RunContext, spec: RunSpec, identity: str, label: str, ends_s: float
) -> SuiteError | None:  # fmt: skip
    """Make one run of a round; return why there is none.

    One that the machine has disturbed is made at once again, while there is time. What a server did is not: a candidate
    that fails now and then must not be given more tries than its baseline.
    """
    for tries in itertools.count(1):
        done = session.one(context, spec, label)
        run = run_reader.read_run(done.directory)
        state.runs[identity].append(run)
        if run.outcome != "invalid":
            return done.error
        context.progress.note(f"it does not count: {'; '.join(run.reasons)}")
        disturbed = all(run.disturbances)
        late = context.system.monotonic() + spec.expected_s > ends_s
        if not disturbed or late or tries == _MOST_DISTURBED:
            return InvalidMeasurementError(
                f"{tries} run(s) of {spec.release} in a row cannot be believed: {'; '.join(run.reasons)}",
                then="repeat this command on a quiet machine: it goes on where it ended"
                if disturbed
                else "repeat this command with --keep-logs, and see the logs",
            )
    raise AssertionError("unreachable")  # the last try returns


def _standing(state: CampaignState, scenario: CampaignScenario) -> str:
    """How the verdicts stand, in one line."""
    changed = [
        f"{effect.metric.words} {effect_text.change(effect)} {effect.verdict}"
        + (f" of {one.paired.label(one.arm)}" if len(state.requested.arms) > 2 else "")  # noqa: PLR2004 - more than a pair
        for one in state.judged(scenario)
        for effect in one.effects
        if effect.verdict in ("regression", "improvement")
    ]
    return ", ".join([*changed, f"{state.still_open(scenario)} open"])
