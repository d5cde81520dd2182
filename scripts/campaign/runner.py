"""Carries out a campaign for the verbs compare, gate, attribute, find and self-test.

Makes the rounds that are missing, judges them when the stopping rule says so, and ends when it says so.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign import pool as pools
from scripts.campaign.pool import Pool
from scripts.campaign.stopping_rule import StoppingRule
from scripts.campaign.tasks import Made, Task
from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError, SuiteError
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.inference import comparison, intervals, paired_rounds
from scripts.inference.comparison import ArmComparison, Floors
from scripts.inference.paired_rounds import PairedRounds, Round
from scripts.measure import session
from scripts.measure.round_plan import Campaign, Series
from scripts.records.storage import RecordError, run_directories
from scripts.report.tables import effect_text

_MOST_FAILED = 3  # rounds of a scenario in a row that do not count, before it is given up
_MOST_DISTURBED = 3  # invalid runs of an arm in a row, before its round is given up; of a session, if all are
_MOST_DISTURBED_LATER = 6  # runs in a row, after better ones, before the session is given up
_LOOK_S = 1.0  # between two looks at who can make rounds, while some are being made
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

    def complete(self, series: Series) -> list[Round]:
        """The complete rounds of valid runs; an incomplete round is made again, whole."""
        arms = len(series.campaign.arms)
        return [one for paired in self.paired(series) for one in paired.rounds if len(one.runs) == arms]

    def rounds(self, series: Series) -> int:
        """How many there are."""
        return len(self.complete(series))

    def numbers(self, series: Series) -> set[int]:
        """Their numbers."""
        return {run.record.requested.round for one in self.complete(series) for run in one.runs.values()}

    def judged(self, series: Series) -> list[ArmComparison]:
        """Every arm, compared with the baseline."""
        rounds = self.rounds(series)
        if not rounds:
            return []
        level = self.rule.level(self.requested, rounds)
        return comparison.judge(self.paired(series), self.floors, level=level, minimum_effect=self.rule.minimum_effect)

    def add(self, series: Series, made: Made) -> None:
        """Take the runs of a round."""
        self.runs[self.identities[series.name]] += made.runs
        for disturbed in made.disturbed:
            self.disturbed = self.disturbed + 1 if disturbed else 0
            self.undisturbed = self.undisturbed or not disturbed

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
    with pools.opened(requested, options, system, progress) as pool:
        runs = _recorded(options.results, requested.profile.name, progress)
        # A campaign of mixed conditions shows no floor; resuming that very campaign raises its error.
        floors = comparison.noise_floors(paired_rounds.pair_each(itertools.chain.from_iterable(runs.values()))[0])
        state = _CampaignState(requested=requested, rule=rule, floors=floors, runs=runs, watched=watched)
        _resume(state, pool)
        before = sum(map(state.rounds, state.series))
        if before:
            progress.note(f"{before} round(s) of this campaign are measured already; going on after them")
        began = system.monotonic()
        failed = _Rounds(state=state, pool=pool, clock=system.monotonic, progress=progress).make()
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


def _resume(state: _CampaignState, pool: Pool) -> None:
    """Go on with the campaign where it stopped; begin a new one when it is finished."""
    for again in itertools.count(state.requested.again):
        repetition = replace(state.requested, again=again)
        state.identities = {series.name: series.identity(pool.machine, pool.pythons) for series in repetition.series}
        finished = state.settled if state.rule.budget_s is not None else state.enough
        if not state.rule.afresh or not all(map(finished, repetition.series)):
            return


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    """A round that is being made."""

    series: Series
    number: int
    loads: int  # repetitions apart
    began_s: float


@dataclass(kw_only=True, slots=True)
class _Rounds:
    """Makes rounds, one of every series in turn, as many at a time as the pool can, until each has enough."""

    state: _CampaignState
    pool: Pool
    clock: Callable[[], float]
    progress: Progress
    failed: dict[str, list[SuiteError]] = field(default_factory=dict)  # in a row, by name of the series
    running: dict[Future[Made], _Running] = field(default_factory=dict)
    waiting: deque[Series] = field(default_factory=deque)  # whose turn it is first
    given_up: SuiteError | None = None  # why no more rounds are made at all
    began_s: float = 0.0
    longest_s: float = 0.0  # of a round, without its repeated loads

    def make(self) -> list[SuiteError]:
        """Return why some were given up. What was begun is finished and used, also where a verdict is in meanwhile."""
        state = self.state
        self.failed = {series.name: [] for series in state.series}
        self.began_s, self.longest_s = self.clock(), max(series.campaign.round_s for series in state.series)
        self.waiting.extend(series for series in state.series if not state.enough(series))
        while True:
            self._begin()
            if not self.running:
                break
            for future in concurrent.futures.wait(self.running, _LOOK_S, FIRST_COMPLETED).done:
                self._take(self.running.pop(future), future.result())
        if self.given_up is not None:
            return [self.given_up]
        return [
            self.failed[series.name][-1]
            for series in state.series
            if len(self.failed[series.name]) == _MOST_FAILED or (self.failed[series.name] and not state.rounds(series))
        ]

    def _begin(self) -> None:
        """Submit as many rounds as can be made now."""
        while self.waiting:
            try:
                slots = self.pool.slots()
            except SuiteError as error:
                self._give_up(error)
                return
            if len(self.running) >= slots or (series := self._next()) is None:
                return
            self._submit(series, slots)

    def _next(self) -> Series | None:
        """Whose round is made next; None while all that is wanted is being made. A series without time leaves."""
        budget_s = self.state.rule.budget_s
        for series in list(self.waiting):
            if budget_s is not None and self.clock() - self.began_s + self.longest_s > budget_s:
                self.waiting.remove(series)
            elif budget_s is not None or self.state.rounds(series) + self._making(series) < self.state.rule.rounds:
                self.waiting.remove(series)
                self.waiting.append(series)
                return series
        return None

    def _making(self, series: Series) -> int:
        return sum(one.series is series for one in self.running.values())

    def _submit(self, series: Series, slots: int) -> None:
        state, start = self.state, self.clock()
        budget_s = state.rule.budget_s
        ends_s = math.inf if budget_s is None else self.began_s + budget_s
        taken = state.numbers(series) | {one.number for one in self.running.values() if one.series is series}
        number = next(number for number in itertools.count(1) if number not in taken)
        rest_s = _rest_s(state, self.waiting) / slots
        self.progress.head(_place(state, series, number), min(rest_s, ends_s - start), _standing(state, series))
        task = Task(
            name=f"round {number}",
            scenario=series.name,
            loads=tuple(series.round(state.identities[series.name], number)),
            run_s=series.campaign.round_s / len(series.campaign.arms),
            ends_in_s=None if budget_s is None else ends_s - start,
        )
        future = self.pool.executor.submit(self.pool.make, task)
        self.running[future] = _Running(series=series, number=number, loads=len(task.loads), began_s=start)

    def _take(self, made_of: _Running, made: Made) -> None:
        """Use what came of a round; a series that has enough, or fails again and again, leaves."""
        state, series = self.state, made_of.series
        state.add(series, made)
        if made.error is not None and state.hopeless and self.given_up is None:
            self.progress.note(f"given up: the machine disturbed the last {state.disturbed} loads")
            self._give_up(made.error)
        took_s = self.clock() - made_of.began_s
        # A load is repeated only while there is time for it, so the next round needs no time for repetitions.
        once_s = took_s * made_of.loads / max(made_of.loads, len(made.disturbed))
        self.longest_s = max(self.longest_s, once_s)
        state.spent_s, state.expected_s = state.spent_s + took_s, state.expected_s + series.campaign.round_s
        errors = self.failed[series.name]
        if len(errors) < _MOST_FAILED:  # else it is given up, whatever comes of the rounds that were begun before
            self.failed[series.name] = errors = [] if made.error is None else [*errors, made.error]
        if series in self.waiting and (state.enough(series) or len(errors) == _MOST_FAILED):
            self.waiting.remove(series)

    def _give_up(self, error: SuiteError) -> None:
        self.given_up = self.given_up or error
        self.waiting.clear()


def _place(state: _CampaignState, series: Series, number: int) -> str:
    """The round that is made next, of how many; its series where there are several."""
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
