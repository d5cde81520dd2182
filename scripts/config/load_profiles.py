"""Load profiles: users, think times and run times; and the settings of searches, counts and soaks.

Owns the value types of suite.toml's `[profile]`, `[capacity]`, `[count]` and `[soak]` tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

COUNT = "count"  # the profile of runs that count work: no load, but requests one after the other
REPORT = "report"  # the profile of the published runs
COMPARE = "compare"  # the profile of rounds whose runs are made one after the other
DUET = "duet"  # the profile of rounds whose two runs are made at once
AT_ONCE = {COMPARE: DUET, f"{COMPARE}-8x1": f"{DUET}-8x1"}  # the same servers, one after the other and two at once
EXPLAIN = "explain"  # the profile of runs whose stacks are sampled
CAPACITY = "capacity"  # the profile whose users the search replaces
SOAK = "soak"  # the profile of a long load, whose users are a share of the capacity
SERVES = "serves"  # the profile of trial runs: whether a release serves a flow, also one that is listed as unsupported
SMOKE, SMOKE_DUET = "smoke", "smoke-duet"  # the profiles to try things out with
LOOPBACK = "127.0.0.1"
MOST_GENERATORS = 64  # processes that make one load
_GROWTH_MAX = 10.0
_PRECISION_MIN = 0.01  # finer than what runs of seconds can tell apart
_FEWEST_WINDOWS = 5
_STEADY_MIN_S = 3  # of run time after the ramp: the figures are taken there, second by second
_MEMORY_MIN_S = 5.0  # between two samples, each of which stops the server for a few milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A load profile: users, think times, run time, and the set-up of the server."""

    name: str
    description: str
    users: int
    spawn_rate: int  # users started per second
    run_time_s: int  # ramp included
    workers: int
    threads: int  # requested; engines that have no threads ignore it
    wait_min_s: float  # between an answer and the next request
    wait_max_s: float
    backend_wait_min_s: float  # what the mock API waits
    backend_wait_max_s: float
    drain_s: int  # how long requests in flight at the end may take to finish; 0: they are cut off
    seed: int
    reported: bool  # whether its runs belong in a report
    warm_up_s: int = 0  # after the ramp, part of the run time, and in no figure of the steady state
    at_once: int = 1  # arms that are loaded at the same time, each by so many users; 1 or 2

    @property
    def ramp_s(self) -> int:
        """Seconds until all users have started."""
        return ramp_s(self.users, self.spawn_rate)

    def at(self, users: int) -> Profile:
        """The same load by so many users, who start in the same time."""
        return dataclasses.replace(self, users=users, spawn_rate=math.ceil(users / (self.ramp_s + 1)))

    def unreported(self, users: int) -> Profile:
        """The same for what somebody tries: its runs belong in no report."""
        return dataclasses.replace(self.at(users), reported=False)

    def lasting(self, run_time_s: int) -> Profile:
        """The same load for so many seconds; the warm-up keeps its share of them."""
        warm_up_s = self.warm_up_s * run_time_s // self.run_time_s
        return dataclasses.replace(self, run_time_s=run_time_s, warm_up_s=warm_up_s)

    def problems(self) -> Iterator[str]:
        """Say what is inconsistent."""
        for key in ("users", "spawn_rate", "run_time_s", "workers", "threads"):
            if getattr(self, key) < 1:
                yield f"{key} must be at least 1"
        if self.at_once not in (1, 2):
            yield "at_once must be 1 or 2"
        for key in ("wait_min_s", "backend_wait_min_s", "drain_s", "warm_up_s"):
            if getattr(self, key) < 0:
                yield f"{key} must not be negative"
        for what in ("wait", "backend_wait"):
            if getattr(self, f"{what}_max_s") < getattr(self, f"{what}_min_s"):
                yield f"{what}_max_s is less than {what}_min_s"
        if self.spawn_rate >= 1 and self.run_time_s - self.ramp_s - self.warm_up_s < _STEADY_MIN_S:
            yield (
                f"ramp and warm-up take {self.ramp_s + self.warm_up_s} s of run_time_s ({self.run_time_s} s), "
                f"which leaves less than {_STEADY_MIN_S} s with all users"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Generators:
    """Which processes make a load together."""

    processes: int = 1  # on this machine
    workers: int = 0  # in their place: processes that were started elsewhere and are waited for
    address: str = LOOPBACK  # of this machine: where workers from elsewhere come to, and where the server is loaded

    @property
    def number(self) -> int:
        """Of all processes that make the load."""
        return self.workers or self.processes

    @property
    def several(self) -> bool:
        """Whether a master has to start, stop and count them."""
        return self.number > 1 or self.workers > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """How the highest load is searched, and the objective that it must meet."""

    start_users: int  # of the first load
    growth: float  # of the users from load to load, until a load misses the objective
    precision: float  # share of the users by which the highest load that met it and the lowest that did not may differ
    max_users: int  # no load has more
    confirm_runs: int  # independent runs at the load that was found, all of which must meet the objective
    failure_ratio_max: float  # failed requests / all requests
    overhead_p99_max_ms: float  # 99 % of the successes in steady state took no longer beyond the flow's ideal time

    def near(self, users: int) -> Capacity:
        """The same search from a load that is likely close: a step is twice the precision, so one halving closes it."""
        return dataclasses.replace(self, start_users=min(users, self.max_users), growth=1 + 2 * self.precision)

    def means_the_same(self, other: Capacity) -> bool:
        """Whether both give a figure of the same meaning: only where they start, and how they step, may differ."""
        return dataclasses.replace(self, start_users=other.start_users, growth=other.growth) == other

    def problems(self) -> Iterator[str]:
        """Say what is inconsistent."""
        for key in ("start_users", "confirm_runs"):
            if getattr(self, key) < 1:
                yield f"{key} must be at least 1"
        if self.max_users < self.start_users:
            yield "max_users is less than start_users"
        if not 1 < self.growth <= _GROWTH_MAX:
            yield f"growth must be above 1, and at most {_GROWTH_MAX:g}"
        if not _PRECISION_MIN <= self.precision < 1:
            yield f"precision must be at least {_PRECISION_MIN:g}, and below 1"
        if not 0 <= self.failure_ratio_max < 1:
            yield "failure_ratio_max must be at least 0, and below 1"
        if self.overhead_p99_max_ms <= 0:
            yield "overhead_p99_max_ms must be above 0"


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchIdentity:
    """The capacity search that a run belongs to; the run's round is its number in the search."""

    id: str  # twelve hexadecimal digits
    settings: Capacity


@dataclass(frozen=True, kw_only=True, slots=True)
class Counting:
    """How work is counted: requests one after the other, of which windows are counted."""

    warm_up_requests: int  # not counted; the first request, which is counted apart, is one of them
    windows: int
    window_requests: int  # of each window
    start_up: bool = False  # also count until the server is ready, which takes a minute

    def problems(self) -> Iterator[str]:
        """Say what is inconsistent."""
        if self.warm_up_requests < 1:
            yield "warm_up_requests must be at least 1"
        if self.windows < _FEWEST_WINDOWS:
            yield f"windows must be at least {_FEWEST_WINDOWS}: their scatter is judged"
        if self.window_requests < 1:
            yield "window_requests must be at least 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Soak:
    """Which releases are soaked, under which load, and how often their memory is sampled."""

    releases: tuple[str, ...]  # by default; "latest" stands for the newest
    capacity_share: float  # of the users that a release's capacity was found with
    memory_every_s: float  # from one sample to the next

    def users(self, capacity: int) -> int:
        """How many load a release that holds so many."""
        return max(1, round(self.capacity_share * capacity))

    def problems(self) -> Iterator[str]:
        """Say what is inconsistent."""
        if not self.releases:
            yield "releases must name one at least"
        if not 0 < self.capacity_share <= 1:
            yield "capacity_share must be above 0, and at most 1"
        if self.memory_every_s < _MEMORY_MIN_S:
            yield f"memory_every_s must be at least {_MEMORY_MIN_S:g}"


def ramp_s(users: int, spawn_rate: int) -> int:
    """Seconds until all users have started: locust starts `spawn_rate` of them at once, then as many every second."""
    return max(0, math.ceil(users / spawn_rate) - 1)
