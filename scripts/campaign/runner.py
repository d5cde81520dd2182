"""Carries out a campaign for the verbs compare, gate, attribute, find and self-test.

Makes the rounds that are missing, judges them when the stopping rule says so, and ends when it says so.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError, SuiteError
from scripts.config.plan import RunSpec
from scripts.host import machine
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.inference import comparison, intervals, paired_rounds
from scripts.inference.comparison import ArmComparison, Floors
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure import round_plan, session
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.measure.run import Prepared, RunContext
from scripts.records.storage import RecordError, run_directories
from scripts.report.tables import effect_text

_MOST_FAILED = 3  # rounds of a scenario in a row that do not count, before it is given up
_MOST_DISTURBED = 3  # invalid runs of an arm in a row, before its round is given up


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignResult:
    """All rounds of a campaign, and the verdicts on them."""

    paired: tuple[PairedRounds, ...]
    judged: tuple[ArmComparison, ...]
    floors: Floors
    failed: tuple[SuiteError, ...]  # why scenarios were given up
    took_s: float  # wall time, without building virtualenvs


@dataclass(kw_only=True, slots=True)
class _CampaignState:
    """The runs of a campaign so far, and the verdicts on them."""

    requested: Campaign
    rule: StoppingRule
    floors: Floors
    runs: defaultdict[str, list[Run]]  # by campaign
    identities: dict[str, str] = field(default_factory=dict)  # of the campaign, by scenario

    def paired(self, scenario: CampaignScenario) -> list[PairedRounds]:
        """The rounds so far, as a list of one; empty before the first run."""
        return paired_rounds.pair(self.runs[self.identities[scenario.name]])

    def rounds(self, scenario: CampaignScenario) -> int:
        """How many complete rounds of valid runs there are; an incomplete round is made again, whole."""
        arms = len(self.requested.arms)
        return sum(len(complete.runs) == arms for paired in self.paired(scenario) for complete in paired.rounds)

    def judged(self, scenario: CampaignScenario) -> list[ArmComparison]:
        """Every arm, compared with the baseline."""
        rounds = self.rounds(scenario)
        if not rounds:
            return []
        level = self.rule.level(self.requested, rounds)
        return comparison.judge(
            self.paired(scenario), self.floors, level=level, minimum_effect=self.rule.minimum_effect
        )

    def still_open(self, scenario: CampaignScenario) -> int:
        """How many of the requested verdicts are inconclusive."""
        return self.rule.still_open(self.requested, self.judged(scenario))

    def settled(self, scenario: CampaignScenario) -> bool:
        """Whether every requested verdict is conclusive."""
        rounds = self.rounds(scenario)
        fewest = intervals.fewest_rounds(self.rule.level(self.requested, rounds))
        return rounds >= fewest and not self.still_open(scenario)

    def enough(self, scenario: CampaignScenario) -> bool:
        """Whether no more rounds are needed; with a budget, only an interim look can say so."""
        rounds = self.rounds(scenario)
        if self.rule.budget_s is None:
            return rounds >= self.rule.rounds
        return self.rule.is_due(self.requested, rounds) and self.settled(scenario)


def measure(requested: Campaign, rule: StoppingRule, options: session.Options, system: System) -> CampaignResult:
    """Make the runs that a campaign lacks, and judge all of it."""
    rule.require_time(requested)
    progress = Progress(time.monotonic)
    with session.opened(options, requested.profile.users, system, progress) as context:
        prepared = round_plan.prepare(requested, context)
        runs = _recorded(options.results, requested.profile.name, progress)
        # A campaign of mixed conditions shows no floor; resuming that very campaign raises its error.
        floors = comparison.noise_floors(paired_rounds.pair_each(itertools.chain.from_iterable(runs.values()))[0])
        state = _CampaignState(requested=requested, rule=rule, floors=floors, runs=runs)
        _resume(state, prepared)
        before = sum(map(state.rounds, requested.scenarios))
        if before:
            progress.note(f"{before} round(s) of this campaign are measured already; going on after them")
        began = system.monotonic()
        failed = _rounds(state, context, prepared)
        took_s = system.monotonic() - began
    return CampaignResult(
        paired=tuple(paired for scenario in requested.scenarios for paired in state.paired(scenario)),
        judged=tuple(judged for scenario in requested.scenarios for judged in state.judged(scenario)),
        floors=state.floors,
        failed=tuple(failed),
        took_s=took_s,
    )


def require_whole(requested: Campaign, result: CampaignResult) -> None:
    """Raise why a scenario was given up, or was not measured at all: never a silent pass."""
    if result.failed:
        raise result.failed[0]
    judged = {(arm.paired.engine, arm.paired.flow) for arm in result.judged}
    missing = [scenario for scenario in requested.scenarios if (scenario.engine.name, scenario.flow.name) not in judged]
    if not missing:
        return
    if not result.paired:
        raise NothingMeasuredError("no run was made", then="repeat this command with more time: --budget")
    raise InvalidMeasurementError(
        f"no whole round was measured of {', '.join(scenario.name for scenario in missing)}",
        then="repeat this command: it goes on where it ended",
    )


def _recorded(results: Path, profile: str, progress: Progress) -> defaultdict[str, list[Run]]:
    """The runs under this profile, by campaign; one that cannot be read is passed over."""
    runs = defaultdict[str, list[Run]](list)
    unreadable = 0
    for _, run in run_reader.each(run_directories(results, profile=profile)):
        if isinstance(run, RecordError):
            unreadable += 1
        else:
            runs[run.record.requested.campaign].append(run)
    if unreadable:
        progress.note(f"passed over {unreadable} run(s) that cannot be read; nox -s collate names them")
    return runs


def _resume(state: _CampaignState, prepared: Mapping[str, Prepared]) -> None:
    """Go on with the campaign where it stopped; begin a new one when it is finished."""
    here, python = machine.describe(), next(iter(prepared.values())).environment.python
    for again in itertools.count(state.requested.again):
        repetition = replace(state.requested, again=again)
        state.identities = {
            scenario.name: repetition.identity(scenario, here, python) for scenario in repetition.scenarios
        }
        finished = state.settled if state.rule.budget_s is not None else state.enough
        if not state.rule.afresh or not all(map(finished, repetition.scenarios)):
            return


def _rounds(state: _CampaignState, context: RunContext, prepared: Mapping[str, Prepared]) -> list[SuiteError]:
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
    state: _CampaignState,
    context: RunContext,
    prepared: Mapping[str, Prepared],
    scenario: CampaignScenario,
    ends_s: float,
) -> SuiteError | None:
    """Make one round; return why it does not count. A run that fails ends it: the rest could not be paired."""
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
    state: _CampaignState, context: RunContext, spec: RunSpec, identity: str, label: str, ends_s: float
) -> SuiteError | None:  # fmt: skip
    """Make one run of a round; return why there is none.

    A run that the machine has disturbed is repeated immediately, while there is time. A run that its server spoilt is
    not: a candidate that fails now and then must not get more tries than its baseline.
    """
    for tries in itertools.count(1):
        done = session.one(context, spec, label)
        run = run_reader.read_run(done.directory)
        state.runs[identity].append(run)
        if run.outcome != "invalid":
            return done.error
        context.progress.note(f"invalid: {'; '.join(run.reasons)}")
        disturbed = all(run.disturbances)
        late = context.system.monotonic() + spec.expected_s > ends_s
        if not disturbed or late or tries == _MOST_DISTURBED:
            return InvalidMeasurementError(
                f"{tries} run(s) of {spec.release} in a row are invalid: {'; '.join(run.reasons)}",
                then="close other programs, then repeat this command: it goes on where it ended"
                if disturbed
                else "repeat this command with --keep-logs, then read the logs",
            )
    raise AssertionError("unreachable")  # the last try returns


def _standing(state: _CampaignState, scenario: CampaignScenario) -> str:
    """The verdicts so far, in one line."""
    changed = [
        f"{effect.metric.words} {effect_text.change(effect)} {effect.verdict}"
        + (f" of {judged.paired.label(judged.arm)}" if len(state.requested.arms) > 2 else "")  # noqa: PLR2004 - more than a pair
        for judged in state.judged(scenario)
        for effect in judged.effects
        if effect.verdict in ("regression", "improvement")
    ]
    return ", ".join([*changed, f"{state.still_open(scenario)} inconclusive"])
