"""The search for the highest load that meets an objective. The caller gives the function that makes a run.

The users grow step by step until a load misses the objective. The gap is then halved until it is within the precision.
At last, independent runs at the load that was found must all meet the objective. Otherwise the load is lowered by the
precision and confirmed again. So one lucky run never makes a capacity, but one unlucky run can make it too low.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from scripts.config.load_profiles import Capacity

Phase = Literal["step", "confirm"]

ObjectiveVerdict = Literal["met", "missed", "generator-bound", "invalid"]
"""Of one run: `missed` is about the server; after the last two its figures are not valid."""

REPEATS = 3  # of invalid runs, in a whole search
CONFIRMATIONS = 4  # loads at most that confirming runs are made at


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One run of a search."""

    number: int  # from 1; each has think times of its own
    phase: Phase
    users: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The lowest load found that did not meet the objective."""

    users: int
    verdict: ObjectiveVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacityResult:
    """The result of a search."""

    users: int | None  # the highest confirmed load; None: there is none
    confirmed_by: tuple[int, ...]  # numbers of the trials that confirmed it
    limit: Limit | None  # what lies above it; None: even the most users met the objective

    @property
    def is_ceiling(self) -> bool:
        """Whether it is the most that the server can do; otherwise the server can do at least that."""
        return self.limit is not None and self.limit.verdict == "missed"


def find(settings: Capacity, attempt: Callable[[Trial], ObjectiveVerdict]) -> CapacityResult:
    """Search; `attempt` makes one run."""
    search = _Search(settings, attempt)
    search.step_out()
    search.close_in()
    return search.confirm()


def steps_up(settings: Capacity) -> Iterator[int]:
    """The loads of the first steps, while all of them meet the objective."""
    users = settings.start_users
    yield users
    while users < settings.max_users:
        users = min(settings.max_users, max(users + 1, math.floor(users * settings.growth)))
        yield users


def steps_down(settings: Capacity) -> Iterator[int]:
    """The loads below the first step, for when it does not meet the objective."""
    users = settings.start_users
    while users > 1:
        users = max(1, min(users - 1, math.floor(users / settings.growth)))
        yield users


def most_runs(settings: Capacity) -> int:
    """The most runs that a search can make."""
    steps = max(len(list(steps_up(settings))), 1 + len(list(steps_down(settings))))
    halvings = 1 + math.ceil(math.log2(max(1.0, settings.growth / settings.precision)))
    return steps + halvings + CONFIRMATIONS * settings.confirm_runs + REPEATS


def usual_runs(settings: Capacity) -> int:
    """The runs of a search that starts at the highest load, and of which one confirming run misses the objective."""
    trials: list[Trial] = []

    def attempt(trial: Trial) -> ObjectiveVerdict:
        is_unlucky = trial.phase == "confirm" and all(one.phase == "step" for one in trials)
        trials.append(trial)
        return "missed" if is_unlucky or trial.users > settings.start_users else "met"

    find(settings, attempt)
    return len(trials)


class _Search:
    """The state of a search; `_good` is the highest load that met the objective, 0 when none has."""

    def __init__(self, settings: Capacity, attempt: Callable[[Trial], ObjectiveVerdict]) -> None:
        self._settings = settings
        self._attempt = attempt
        self._number = 0
        self._repeats = REPEATS
        self._good = 0
        self._limit: Limit | None = None

    def step_out(self) -> None:
        """Step up to the first load that does not meet the objective, or down to the first that does."""
        for users in steps_up(self._settings):
            if not self._step(users):
                break
        for users in steps_down(self._settings):
            # A smaller load does not help where the run was invalid.
            if self._good or (self._limit is not None and self._limit.verdict == "invalid"):
                break
            self._step(users)

    def close_in(self) -> None:
        """Halve the gap between the loads that meet and miss the objective."""
        while self._good and self._limit is not None:
            if self._limit.users - self._good <= max(1, self._settings.precision * self._good):
                break
            self._step((self._good + self._limit.users) // 2)

    def confirm(self) -> CapacityResult:
        """Confirm the load that was found, or a lower one."""
        for _ in range(CONFIRMATIONS):
            if not self._good:
                break
            confirmed_by = self._confirmed()
            if confirmed_by:
                return CapacityResult(users=self._good, confirmed_by=confirmed_by, limit=self._limit)
            self._good = min(self._good - 1, math.floor(self._good / (1 + self._settings.precision)))
        return CapacityResult(users=None, confirmed_by=(), limit=self._limit)

    def _confirmed(self) -> tuple[int, ...]:
        """The numbers of the trials that confirm the load; none when one of them does not."""
        numbers = []
        for _ in range(self._settings.confirm_runs):
            if not self._meets(self._good, "confirm"):
                return ()
            numbers.append(self._number)
        return tuple(numbers)

    def _step(self, users: int) -> bool:
        met = self._meets(users, "step")
        if met:
            self._good = users
        return met

    def _meets(self, users: int, phase: Phase) -> bool:
        verdict = self._run(users, phase)
        if verdict in ("generator-bound", "invalid") and self._repeats:
            self._repeats -= 1
            verdict = self._run(users, phase)
        if verdict != "met":
            self._limit = Limit(users=users, verdict=verdict)
        return verdict == "met"

    def _run(self, users: int, phase: Phase) -> ObjectiveVerdict:
        self._number += 1
        return self._attempt(Trial(number=self._number, phase=phase, users=users))
