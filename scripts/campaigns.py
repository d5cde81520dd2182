"""Carries out a campaign for the verbs compare, gate, attribute and self_test: where the two halves meet.

Makes the rounds that are missing, looks at the verdicts when that is due, and stops when the bounds are met.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.errors import InvalidMeasurementError, NothingMeasuredError, UsageError
from scripts.measure import campaign, machine, session
from scripts.measure.campaign import Campaign, Scenario
from scripts.measure.process import System
from scripts.measure.progress import Progress
from scripts.measure.runner import Bench, Prepared
from scripts.record import Machine
from scripts.report import comparison, comparison_page, pairing, statistics, store
from scripts.report.comparison import LEVEL, Floors
from scripts.report.comparison_page import Judged
from scripts.report.pairing import Series

ROUNDS = 8
_GROWTH = 1.35  # of the rounds between two looks: few looks, because each one costs certainty
_MOST_FAILED = 3  # runs in a row that fail before a campaign is given up


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """When a campaign ends."""

    rounds: int = ROUNDS  # of each scenario
    budget_s: float | None = None  # instead: as soon as all verdicts are in, and after this time at the latest
    least: Mapping[str, float] = field(default_factory=dict)  # the least change that counts, by metric, if not its own


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a campaign came to."""

    series: tuple[Series, ...]
    judged: tuple[Judged, ...]
    made: int  # runs made now; the others were there
    took_s: float  # wall time, without building virtualenvs


@dataclass(slots=True)
class _Look:
    """Reads the runs of a campaign, each once, and judges them."""

    results: Path
    asked: Campaign
    here: Machine
    bounds: Bounds
    floors: Floors
    level: float = LEVEL
    _read: dict[Path, store.Run] = field(default_factory=dict)

    def directories(self, scenario: Scenario) -> list[Path]:
        return campaign.measured(self.results, self.asked.profile, self.asked.identity(scenario, self.here))

    def rounds(self, scenario: Scenario) -> int:
        return campaign.whole_rounds(self.directories(scenario), len(self.asked.arms))

    def series(self, scenarios: Sequence[Scenario]) -> list[Series]:
        found = [path for scenario in scenarios for path in self.directories(scenario)]
        for path in found:
            if path not in self._read:
                self._read[path] = store.read_run(path)
        return pairing.series(self._read[path] for path in found)

    def judged(self, scenarios: Sequence[Scenario]) -> list[Judged]:
        return comparison_page.judge(self.series(scenarios), self.floors, level=self.level, least=self.bounds.least)

    def settled(self, scenario: Scenario) -> bool:
        """Whether every verdict is in."""
        found = self.judged([scenario])
        return bool(found) and not any(effect.open for one in found for effect in one.effects)


def measure(asked: Campaign, bounds: Bounds, options: session.Options, system: System) -> Measured:
    """Make what is missing of a campaign, and judge it whole."""
    _require_time(asked, bounds)
    progress = Progress(time.monotonic)
    with session.opened(options, asked.profile.users, system, progress) as bench:
        look = _Look(
            results=options.results, asked=asked, here=machine.describe(), bounds=bounds,
            floors=floors(options.results, asked.profile.name),
        )  # fmt: skip
        _go_on(look)
        before = sum(look.rounds(scenario) for scenario in asked.scenarios)
        if before:
            progress.note(f"{before} rounds of this campaign are there already; going on after them")
        prepared = campaign.prepare(look.asked, bench)
        began = system.monotonic()
        made = _rounds(look, bench, prepared)
        took_s = system.monotonic() - began
    return Measured(
        series=tuple(look.series(asked.scenarios)),
        judged=tuple(look.judged(asked.scenarios)),
        made=made,
        took_s=took_s,
    )


def floors(results: Path, profile: str) -> Floors:
    """What A/A runs under this profile have shown, by their conditions."""
    found = store.read(results, only=profile)
    return comparison.noise_floors(pairing.series(found.runs))


def require_figures(found: Measured) -> None:
    """Raise when nothing was measured that could be judged: never a silent pass."""
    if not found.series:
        raise NothingMeasuredError("no run was made", then="repeat this command with --keep-logs")
    empty = [one for one in found.series if not one.rounds]
    if empty:
        reasons = "\n".join(f"  - {one.engine} {one.flow}: {reason}" for one in empty for reason in one.lost[:5])
        raise InvalidMeasurementError(
            f"no whole round of {len(empty)} scenario(s) can be believed:\n{reasons}",
            then="repeat this command on a quiet machine, or with --keep-logs",
        )


def _require_time(asked: Campaign, bounds: Bounds) -> None:
    if bounds.budget_s is None:
        return
    least_s = asked.round_s * len(asked.scenarios) * statistics.least_rounds(LEVEL)
    if bounds.budget_s < least_s:
        raise UsageError(
            f"the budget of {bounds.budget_s / 60:.1f} minutes is too short: the fewest rounds that can tell anything, "
            f"{statistics.least_rounds(LEVEL)} of {len(asked.scenarios)} scenario(s), take {least_s / 60:.1f}",
            then=f"--budget {2 * least_s / 60:.0f}m, or fewer flows with --flow",
        )


def _go_on(look: _Look) -> None:
    """Take up the campaign where it stopped; begin a new one when it is finished."""
    for again in itertools.count():
        look.asked = replace(look.asked, again=again)
        rounds = [look.rounds(scenario) for scenario in look.asked.scenarios]
        if look.bounds.budget_s is None:
            finished = min(rounds) >= look.bounds.rounds
        else:
            finished = all(map(look.settled, look.asked.scenarios))
        if not finished:
            return


def _rounds(look: _Look, bench: Bench, prepared: Mapping[str, Prepared]) -> int:
    """Make rounds, one of every scenario in turn, until each has enough; return the number of runs made."""
    bounds, began = look.bounds, bench.system.monotonic()
    waiting = {scenario.name: scenario for scenario in look.asked.scenarios}
    start = {name: look.rounds(scenario) for name, scenario in waiting.items()}
    most = dict.fromkeys(waiting, bounds.rounds)
    looks: dict[str, list[int]] = {}
    if bounds.budget_s is not None:
        more = int(bounds.budget_s / look.asked.round_s / len(waiting))
        most = {name: number + more * len(waiting) for name, number in start.items()}  # others may end early
        looks = {name: _looks(start[name] + more) for name in waiting}
        look.level = statistics.look_level(LEVEL, max(map(len, looks.values())))
    made = failed = 0
    while waiting:
        for name, scenario in list(waiting.items()):
            done = look.rounds(scenario)
            spent_s = bench.system.monotonic() - began
            late = bounds.budget_s is not None and spent_s + look.asked.round_s > bounds.budget_s
            if done >= most[name] or late or (done in looks.get(name, []) and look.settled(scenario)):
                del waiting[name]
                continue
            ok, runs = _round(look, bench, prepared, scenario, done + 1)
            made += runs
            failed = 0 if ok else failed + 1
            if failed >= _MOST_FAILED:
                return made
    return made


def _round(
    look: _Look, bench: Bench, prepared: Mapping[str, Prepared], scenario: Scenario, number: int
) -> tuple[bool, int]:
    """Make one round; a run that fails ends it, since it could not be paired."""
    specs = look.asked.round(scenario, look.asked.identity(scenario, look.here), number)
    for made, done in enumerate(campaign.make_round(bench, prepared, specs, f"round {number}"), 1):
        if done.error is not None:
            return False, made
    return True, len(specs)


def _looks(most: int) -> list[int]:
    """After how many rounds to look: from the fewest that can tell on, ever further apart, and at the end."""
    found, number = [], 6
    while number < most:
        found.append(number)
        number = max(number + 1, round(number * _GROWTH))
    return [*found, most]
