"""Carries out a campaign for the verbs compare, gate, attribute, find and self-test.

Makes the rounds that are missing, judges them when the stopping rule says so, and ends when it says so.
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
from scripts.measure.round_plan import Campaign, Series
from scripts.measure.run import Prepared, RunContext
from scripts.records.storage import RecordError, run_directories
from scripts.report.tables import effect_text

_MOST_FAILED = 3  # rounds of a scenario in a row that do not count, before it is given up
_MOST_DISTURBED = 3  # invalid runs of an arm in a row, before its round is given up; of a session, if all are
_MOST_DISTURBED_LATER = 6  # runs in a row, after better ones, before the session is given up
_MADE = ("ok", "invalid")  # outcomes of a run that was made to its end
_WATCHED = "cpu_per_request_ms"  # the metric of the head line


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
    watched: str  # name of a metric
    identities: dict[str, str] = field(default_factory=dict)  # of the campaign, by name of the series
    disturbed: int = 0  # runs in a row that the machine has disturbed
    undisturbed: bool = False  # whether any run of this session was not
    spent_s: float = 0.0  # on the rounds of this session
    expected_s: float = 0.0  # of the same rounds, as estimated

    @property
    def series(self) -> tuple[Series, ...]:
        """All that has rounds of its own."""
        return self.requested.series

    def paired(self, series: Series) -> list[PairedRounds]:
        """The rounds so far, as a list of one; empty before the first run."""
        return paired_rounds.pair(self.runs[self.identities[series.name]])

    def rounds(self, series: Series) -> int:
        """How many complete rounds of valid runs there are; an incomplete round is made again, whole."""
        arms = len(series.campaign.arms)
        return sum(len(complete.runs) == arms for paired in self.paired(series) for complete in paired.rounds)

    def judged(self, series: Series) -> list[ArmComparison]:
        """Every arm, compared with the baseline."""
        rounds = self.rounds(series)
        if not rounds:
            return []
        level = self.rule.level(self.requested, rounds)
        return comparison.judge(self.paired(series), self.floors, level=level, minimum_effect=self.rule.minimum_effect)

    @property
    def hopeless(self) -> bool:
        """Whether the machine is too busy to go on: it has disturbed every run so far, or many in a row."""
        return self.disturbed >= (_MOST_DISTURBED_LATER if self.undisturbed else _MOST_DISTURBED)

    def still_open(self, series: Series) -> int:
        """How many of the requested verdicts are inconclusive."""
        return self.rule.still_open(self.requested, self.judged(series))

    def settled(self, series: Series) -> bool:
        """Whether every requested verdict is conclusive."""
        rounds = self.rounds(series)
        fewest = intervals.fewest_rounds(self.rule.level(self.requested, rounds))
        return rounds >= fewest and not self.still_open(series)

    def enough(self, series: Series) -> bool:
        """Whether no more rounds are needed; with a budget, only an interim look can say so."""
        rounds = self.rounds(series)
        if self.rule.budget_s is None:
            return rounds >= self.rule.rounds
        if not self.rule.afresh and rounds and rounds >= self.rule.last_round(self.requested, rounds):
            return True  # as planned, and no repetition is wanted
        return self.rule.is_due(self.requested, rounds) and self.settled(series)


def measure(
    requested: Campaign, rule: StoppingRule, options: session.Options, system: System, watched: str = _WATCHED
) -> CampaignResult:
    """Make the runs that a campaign lacks, and judge all of it; `watched`: the metric of the head line."""
    rule.require_time(requested)
    progress = Progress(time.monotonic)
    counts, users = requested.counting is not None, requested.profile.users * requested.profile.at_once
    with session.opened(options, users, system, progress, counts=counts) as context:
        prepared = round_plan.prepare(requested, context)
        runs = _recorded(options.results, requested.profile.name, progress)
        # A campaign of mixed conditions shows no floor; resuming that very campaign raises its error.
        floors = comparison.noise_floors(paired_rounds.pair_each(itertools.chain.from_iterable(runs.values()))[0])
        state = _CampaignState(requested=requested, rule=rule, floors=floors, runs=runs, watched=watched)
        _resume(state, prepared)
        before = sum(map(state.rounds, state.series))
        if before:
            progress.note(f"{before} round(s) of this campaign are measured already; going on after them")
        began = system.monotonic()
        failed = _rounds(state, context, prepared)
        took_s = system.monotonic() - began
    return CampaignResult(
        paired=tuple(paired for series in state.series for paired in state.paired(series)),
        judged=tuple(judged for series in state.series for judged in state.judged(series)),
        floors=state.floors,
        failed=tuple(failed),
        took_s=took_s,
    )


def require_whole(requested: Campaign, result: CampaignResult) -> None:
    """Raise why a scenario was given up, or was not measured at all: never a silent pass."""
    if result.failed:
        raise result.failed[0]
    judged = {(one.paired.engine, one.paired.flow, tuple(one.paired.releases.values())) for one in result.judged}
    missing = [
        series.name
        for series in requested.series
        if (series.scenario.engine.name, series.scenario.flow.name, series.releases) not in judged
    ]
    if not missing:
        return
    if not result.paired:
        raise NothingMeasuredError("no run was made", then="repeat this command with more time: --budget")
    raise InvalidMeasurementError(
        f"no whole round was measured of {', '.join(missing)}",
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
        state.identities = {series.name: series.identity(here, python) for series in repetition.series}
        finished = state.settled if state.rule.budget_s is not None else state.enough
        if not state.rule.afresh or not all(map(finished, repetition.series)):
            return


def _rounds(state: _CampaignState, context: RunContext, prepared: Mapping[str, Prepared]) -> list[SuiteError]:
    """Make rounds, one of every series in turn, until each has enough; return why some were given up."""
    clock, budget_s = context.system.monotonic, state.rule.budget_s
    began, longest_s = clock(), max(series.campaign.round_s for series in state.series)
    waiting = {series.name: series for series in state.series}
    failed: dict[str, list[SuiteError]] = {name: [] for name in waiting}  # in a row
    while waiting:
        for name, series in list(waiting.items()):
            start = clock()
            late = budget_s is not None and start - began + longest_s > budget_s
            if late or state.enough(series) or len(failed[name]) == _MOST_FAILED:
                del waiting[name]
                continue
            ends_s = math.inf if budget_s is None else began + budget_s
            context.progress.head(
                _place(state, series), min(_rest_s(state, waiting.values()), ends_s - start), _standing(state, series)
            )
            error = _round(state, context, prepared, series, ends_s)
            if error is not None and state.hopeless:
                context.progress.note(f"given up: the machine disturbed the last {state.disturbed} loads")
                return [error]
            failed[name] = [] if error is None else [*failed[name], error]
            longest_s = max(longest_s, clock() - start)
            state.spent_s, state.expected_s = (
                state.spent_s + clock() - start,
                state.expected_s + series.campaign.round_s,
            )
    return [
        failed[series.name][-1]
        for series in state.series
        if len(failed[series.name]) == _MOST_FAILED or (failed[series.name] and not state.rounds(series))
    ]


def _round(
    state: _CampaignState, context: RunContext, prepared: Mapping[str, Prepared], series: Series, ends_s: float
) -> SuiteError | None:
    """Make one round; return why it does not count. A run that fails ends it: the rest could not be paired."""
    number = state.rounds(series) + 1
    loads = series.round(state.identities[series.name], number)
    for place, specs in enumerate(loads, 1):
        label = f"[round {number}, {place}/{len(loads)}]" if len(loads) > 1 else f"[round {number}]"
        error = _load(state, context, prepared, series, specs, label, ends_s)
        if error is not None:
            context.progress.note(f"round {number} of {series.name} does not count")
            return error
    return None


def _load(
    state: _CampaignState, context: RunContext, prepared: Mapping[str, Prepared], series: Series,
    specs: tuple[RunSpec, ...], label: str, ends_s: float,
) -> SuiteError | None:  # fmt: skip
    """Make the runs of one load; return why they do not count.

    What the machine has disturbed is repeated immediately, while there is time: both runs, where two were made at once.
    A run that its server spoilt is not: a candidate that fails now and then must not get more tries than its baseline.
    A valid run whose latencies alone are distrusted counts for all else, where no repetition is better.
    """
    identity, valid_before, in_a_row = state.identities[series.name], False, 0
    for tries in itertools.count(1):
        done = session.together(context, [(spec, prepared[spec.release]) for spec in specs], label)
        runs = [run_reader.read_run(one.directory) for one in done]
        state.runs[identity] += runs
        error = next((one.error for one, run in zip(done, runs, strict=True) if run.outcome not in _MADE), None)
        if error is not None:
            return _unless_valid_before(error, context, valid_before=valid_before)
        late = context.system.monotonic() + series.campaign.round_s * len(specs) / len(series.campaign.arms) > ends_s
        again = not late and tries < _MOST_DISTURBED
        invalid = [run for run in runs if run.outcome == "invalid"]
        disturbed = all(all(run.disturbances) for run in invalid)
        in_a_row = in_a_row + 1 if invalid else 0
        state.disturbed = state.disturbed + 1 if invalid and disturbed else 0
        state.undisturbed = state.undisturbed or not (invalid and disturbed)
        for line in dict.fromkeys(_what_is_wrong(run) for run in runs if run in invalid or (again and run.distrusted)):
            context.progress.note(line)
        if not invalid and not (again and any(run.distrusted for run in runs)):
            return None
        if not disturbed or not again:
            releases = " and ".join(run.record.requested.release for run in invalid)
            reasons = "; ".join(dict.fromkeys(reason for run in invalid for reason in run.reasons))
            error = InvalidMeasurementError(
                f"{in_a_row} run(s) of {releases} in a row are invalid: {reasons}",
                then="repeat this command with --wait-quiet 5m: it goes on where it ended"
                if disturbed
                else "repeat this command with --keep-logs, then read the logs",
            )
            return _unless_valid_before(error, context, valid_before=valid_before)
        valid_before = valid_before or not invalid
        if len(specs) > 1:  # another round, so that only runs of one load are ever paired
            (specs,) = series.round(identity, specs[0].round)
    raise AssertionError("unreachable")  # the last try returns


def _unless_valid_before(error: SuiteError, context: RunContext, *, valid_before: bool) -> SuiteError | None:
    """Why a load does not count; None where an earlier one of this round does."""
    if not valid_before:
        return error
    context.progress.note(f"no better: {error.message}; the run before it counts, but for its latencies")
    return None


def _what_is_wrong(run: Run) -> str:
    if run.outcome == "invalid":
        return f"invalid: {'; '.join(run.reasons)}"
    return f"made again, because its latencies cannot be trusted: {'; '.join(run.distrusted)}"


def _place(state: _CampaignState, series: Series) -> str:
    """The round that is made next, of how many; its series where there are several."""
    number = state.rounds(series) + 1
    last = _last_round(state, series)
    most = f"at most {last}" if state.rule.budget_s is not None else f"{last}"
    return f"round {number} of {most}" + (f" of {series.name}" if len(state.series) > 1 else "")


def _last_round(state: _CampaignState, series: Series) -> int:
    if state.rule.budget_s is None:
        return state.rule.rounds
    return state.rule.last_round(state.requested, state.rounds(series) + 1)


def _rest_s(state: _CampaignState, waiting: Iterable[Series]) -> float:
    """Estimated time of the rounds that are still to be made, at the pace of those of this session."""
    pace = state.spent_s / state.expected_s if state.expected_s else 1.0
    return pace * sum((_last_round(state, one) - state.rounds(one)) * one.campaign.round_s for one in waiting)


def _standing(state: _CampaignState, series: Series) -> str:
    """The change of the watched metric so far, of the last arm; empty where none is known."""
    judged = state.judged(series)
    known = [one for one in (judged[-1].effects if judged else ()) if one.metric.name == state.watched and one.interval]
    several = len(series.campaign.arms) > 2  # noqa: PLR2004 - more than a pair
    arm = f"{judged[-1].paired.label(judged[-1].arm)} " if several and known else ""
    return "".join(f"{arm}{one.metric.words} {effect_text.change(one)} ({effect_text.ends(one)})" for one in known)
