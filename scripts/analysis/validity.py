"""Whether a run that ended well is valid, and why not.

An invalid run is shown, but neither ranked, pooled nor compared. `distrusted` concerns its latencies alone. The rules
are explained in docs/reading-results.md#when-a-run-is-valid.

The law and the ceiling apply to long steady windows only. In a short one the requests cut at its edges weigh too much,
and users who started together still move together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scripts.analysis import counted_work, distribution, operational_laws
from scripts.analysis.run_data import RunData
from scripts.config.flows import CLOCK_SLACK_S
from scripts.records.schema import Counts, Disturbance, LoadProcess, RunRecord

CEILING_TOLERANCE = 0.02  # edges of the window; good runs of the committed records reach 1.005 of their ceiling
STANDARD_ERRORS = 3  # by which chance may move what a law is held against
FEWEST_CYCLES = 10  # of answer and thinking in a long window: half a request a user at its edges is then 5 %
OTHER_CPU = 0.05  # share of all cores; a quiet machine shows below 1 %
LAG_P99_MS = 10.0  # of the generator's event loop: beyond it, response times include the generator's own
# Of the 1024 good committed runs half have a largest lag of at most 4 ms, 99 % of at most 26 ms, and all of at most
# 45 ms. The recorder measures it with sleeps of 50 ms, so a stop of 150 ms or more is always seen.
LAG_MAX_MS = 100.0
# Four processes that took all of 2 cores delayed an answer by 24 ms at most. With four probes a second, a stop of 0.5 s
# or more is always seen.
BACKEND_STALL_S = 0.25
QUEUE_WAIT_SHARE = 0.02  # of wall time
QUEUE_WAIT_MS = 1.0  # a request
BUSY_CORE = 0.9  # a process of one thread that uses this much of a core has none left for a burst
RUN_TIME_SLACK_S = 0.5  # all 1070 committed loads ran for 0.017 to 0.043 s longer than requested
SUSPENDED_S = 0.1
CLOCK_STEP_S = 1.0
# Median distance of a window to the line through all of them, as a share of the median window.
WINDOW_SCATTER = 0.02

Code = Literal[
    "other-run-time", "users-not-reached", "users-not-held",
    "generator-late", "generator-stalled", "generator-waited", "generator-busy", "locustfile-raised",
    "backend-stalled", "nothing-succeeded", "workers-ended", "workers-changed", "other-workers", "other-threads",
    "below-floor", "impossible-times", "above-ceiling", "response-time-law", "books",
    "other-processes", "suspended", "clock-set",
    "windows-scatter", "no-windows",
]  # fmt: skip
"""What is wrong with a run; the text beside it is for people, and may be reworded."""

_DISTURBANCES: frozenset[Code] = frozenset(
    (
        "other-run-time",
        "generator-late",
        "generator-stalled",
        "generator-waited",
        "backend-stalled",
        "other-processes",
        "suspended",
        "clock-set",
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a run is not valid."""

    code: Code
    text: str

    @property
    def is_disturbance(self) -> bool:
        """Whether it blames the machine or what else ran on it, so that the same run may do better at once."""
        return self.code in _DISTURBANCES


def reasons(data: RunData) -> tuple[Reason, ...]:
    """Why a run that ended well is not valid; empty when it is."""
    return (
        *_run_time(data),
        *generator(data),
        *_backend(data),
        *_server(data),
        *_floor(data),
        *_impossible_times(data),
        *_ceiling(data),
        *_law(data),
        *_books(data),
        *_machine(data.measured.disturbance),
    )


def reasons_of_count(record: RunRecord, counts: Counts) -> tuple[Reason, ...]:
    """Why a count that ended well is not valid. Load of the machine does not move it, so no rule of time applies."""
    return (*_windows(counts), *_one_worker(record), *_counted_books(record, counts))


def _windows(counts: Counts) -> Iterator[Reason]:
    """The windows lie on a line. It may rise: work that grows with every request served is a finding."""
    found = counted_work.trend(counts)
    if found is None:
        yield Reason(code="no-windows", text=f"{len(counts.windows)} windows are too few to see how they scatter")
    elif found.scatter > WINDOW_SCATTER:
        yield Reason(
            code="windows-scatter",
            text=f"the windows scatter by {found.scatter:.1%} about the line through them, limit {WINDOW_SCATTER:.0%}",
        )


def _one_worker(record: RunRecord) -> Iterator[Reason]:
    if record.observed is not None and record.observed.workers != 1:
        yield Reason(code="other-workers", text=f"{record.observed.workers} workers ran, work is counted in one")


def _counted_books(record: RunRecord, counts: Counts) -> Iterator[Reason]:
    """The backend received every request once. Of flows that declare their ideal time only, as under a load."""
    sent = counts.warm_up_requests + sum(window.requests for window in counts.windows)
    received = counts.backend_received
    if record.own_wait_s is not None and received is not None and received != sent:
        yield Reason(code="books", text=f"the backend received {received} requests for {sent} answers")


def distrusted(data: RunData) -> tuple[str, ...]:
    """Why the latencies of a run must not be ranked or compared, although its other figures may; empty: they may.

    A saturated run drops its slowest requests: those that still wait when the load is stopped are in no latency of
    the steady window, so what was recorded is too fast for the law. Throughput, CPU time and memory do not suffer.
    """
    found = _lawfulness(data)
    if found is None or found.holds or not found.truncated:
        return ()
    reason = (
        f"truncated: {data.waiting_at_stop} requests still waited when the load stopped, so no latency holds them; "
        f"mean of the others {found.mean_s:.2f} s, by the response-time law {found.law_s:.2f} s"
    )
    return (reason,)


def _run_time(data: RunData) -> Iterator[Reason]:
    """The load ran for as long as requested: locust ends with exit code 0 after SIGTERM, too."""
    requested_s = data.record.requested.profile.run_time_s
    if abs(data.load_s - requested_s) > RUN_TIME_SLACK_S:
        yield Reason(
            code="other-run-time", text=f"the load ran for {data.load_s:.1f} s, {requested_s} s were requested"
        )


def generator(data: RunData) -> Iterator[Reason]:
    """Why the load generator was not fit: what it recorded is then partly its own doing."""
    own, processes = data.measured.generator, data.load_processes
    yield from _users(data)
    latest = max(processes, key=lambda one: one.lag_p99_ms)
    if latest.lag_p99_ms >= LAG_P99_MS:
        yield Reason(
            code="generator-late",
            text=(
                f"{_named(data, latest)}'s event loop was late: p99 {latest.lag_p99_ms:.1f} ms, limit {LAG_P99_MS:g} ms"
            ),
        )
    stalled = max(processes, key=lambda one: one.lag_max_ms)
    if stalled.lag_max_ms >= LAG_MAX_MS:
        yield Reason(
            code="generator-stalled",
            text=(
                f"{_named(data, stalled)} stood still: its event loop was {stalled.lag_max_ms:.0f} ms late, "
                f"limit {LAG_MAX_MS:g} ms"
            ),
        )
    if own.exceptions:
        yield Reason(code="locustfile-raised", text=f"the locustfile raised {own.exceptions} exceptions of its own")
    yield from _run_queue_wait(data)
    busiest = max(processes, key=lambda one: one.cpu_s)
    if busiest.cpu_s >= BUSY_CORE * data.load_s:
        yield Reason(
            code="generator-busy",
            text=f"{_named(data, busiest)} used {busiest.cpu_s / data.load_s:.0%} of a core, limit {BUSY_CORE:.0%}",
        )


def _named(data: RunData, process: LoadProcess) -> str:
    """A process of the generator, as a reason names it."""
    processes = data.load_processes
    return "the generator" if len(processes) == 1 else f"load process {processes.index(process) + 1}"


def _users(data: RunData) -> Iterator[Reason]:
    """All users were there, in every full second of the steady window."""
    users, load = data.record.requested.profile.users, data.measured.load
    if load.users_reached < users:
        yield Reason(code="users-not-reached", text=f"only {load.users_reached} of {users} users were reached")
        return
    begin = operational_laws.steady_from_s(data.record)
    steady = [row for row in data.timeline if begin is not None and begin <= row.second <= load.stopped_s - 1]
    fewest = min(steady, key=lambda row: row.users, default=None)
    if fewest is not None and fewest.users < users:
        yield Reason(
            code="users-not-held", text=f"the users were not held: {fewest.users} of {users} in second {fewest.second}"
        )


def _run_queue_wait(data: RunData) -> Iterator[Reason]:
    """The generator had to wait for a core, for long and in what reaches a response time.

    2 % of wall time is a sign of trouble for a generator with cores of its own. Where it shares them with the
    server it waits more than that in good runs (2 cores: 5 % at 170 requests/s), for as long as a server's process
    happens to be on the core: 0.3 ms a request at 96 and at 170 requests/s. It is a request's share that reaches a
    response time, and the share of wall time that keeps a run with few requests from being blamed for the
    generator's own clocks, which wait too.
    """
    found = [(one, one.run_queue_wait_s) for one in data.load_processes if one.requests]
    waited = [(one, wait_s) for one, wait_s in found if wait_s is not None and wait_s > QUEUE_WAIT_SHARE * data.load_s]
    if not waited:
        return
    process, waited_s = max(waited, key=lambda one: one[1] / one[0].requests)
    each_ms = waited_s * 1000 / process.requests
    if each_ms >= QUEUE_WAIT_MS:
        yield Reason(
            code="generator-waited",
            text=(
                f"{_named(data, process)} waited for a core: {waited_s / data.load_s:.1%} of the time, {each_ms:.2f} "
                f"ms a request, limit {QUEUE_WAIT_MS:g} ms"
            ),
        )


def _backend(data: RunData) -> Iterator[Reason]:
    """The mock API did not stand still, which would count as promptflow's overhead. Alone, its time is its own."""
    stall_s = data.measured.backend.stall_max_s
    if data.measured.server is not None and stall_s is not None and stall_s >= BACKEND_STALL_S:
        yield Reason(
            code="backend-stalled",
            text=f"the mock API stood still: an immediate answer took {stall_s:.2f} s, limit {BACKEND_STALL_S:g} s",
        )


def _server(data: RunData) -> Iterator[Reason]:
    measured, observed, profile = data.measured, data.record.observed, data.record.requested.profile
    if not distribution.size(data.counts("ok")):
        yield Reason(code="nothing-succeeded", text="no request succeeded in steady state")
    if measured.server is not None and measured.server.workers_lost:
        yield Reason(
            code="workers-ended", text=f"{measured.server.workers_lost} of the server's workers ended under load"
        )
    if observed is None:
        return
    if observed.workers != profile.workers:
        yield Reason(code="other-workers", text=f"{observed.workers} workers ran, {profile.workers} were requested")
    at_end = measured.server.workers_at_end if measured.server is not None else None
    if at_end is not None and at_end != observed.workers:
        yield Reason(
            code="workers-changed", text=f"{at_end} workers ran at the end, {observed.workers} before the load"
        )
    if operational_laws.held_at_once(observed) is not None and observed.threads != profile.threads:
        yield Reason(
            code="other-threads", text=f"{observed.threads} threads a worker ran, {profile.threads} were requested"
        )


def _floor(data: RunData) -> Iterator[Reason]:
    """No success is faster than the flow's own wait and the least that the backend waits."""
    own_s, fastest_us = data.record.own_wait_s, data.fastest_us("ok")
    if own_s is None or fastest_us is None:
        return
    floor_s = own_s + data.record.requested.profile.backend_wait_min_s
    if fastest_us / 1e6 < floor_s - CLOCK_SLACK_S:
        yield Reason(
            code="below-floor",
            text=f"a success took {fastest_us / 1e6:.4f} s, less than its ideal time of {floor_s:g} s",
        )


def _impossible_times(data: RunData) -> Iterator[Reason]:
    """What answers say of the backend can be: overhead is what is left of the response time without it."""
    number, profile = data.measured.load.impossible_times, data.record.requested.profile
    if number:
        yield Reason(
            code="impossible-times",
            text=(
                f"{number} answers give a time of the backend that cannot be: the profile lets it wait for "
                f"{profile.backend_wait_min_s:g} to {profile.backend_wait_max_s:g} s, and no call outlasts its request"
            ),
        )


def _ceiling(data: RunData) -> Iterator[Reason]:
    """Throughput is within what the users, and the workers and threads that really ran, can do."""
    ceiling, reached = operational_laws.ceiling_rps(data.record), data.steady_throughput_rps
    if ceiling is None or reached is None or not _is_long(data):
        return
    if reached > ceiling * (1 + CEILING_TOLERANCE):
        yield Reason(
            code="above-ceiling", text=f"throughput of {reached:.1f} rps is above the ceiling of {ceiling:.1f} rps"
        )


def _law(data: RunData) -> Iterator[Reason]:
    found = _lawfulness(data)
    if found is not None and not found.holds and not found.truncated:
        yield Reason(
            code="response-time-law",
            text=(
                f"the response-time law does not hold: mean response time {found.mean_s:.3f} s, "
                f"N/X - Z = {found.law_s:.3f} s"
            ),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lawfulness:
    """The response-time law over the steady window, all requests in it, failures too."""

    mean_s: float  # of the recorded response times
    law_s: float  # N / X - Z
    holds: bool  # they agree, but for 2 % and what chance and users in step may do on top
    truncated: bool  # if not: requests that were dropped when the load stopped explain it


def _lawfulness(data: RunData) -> _Lawfulness | None:
    """None when the window is too short.

    The 2 % are for what every run has: a generator that wakes a little late. In 30 good runs that were not saturated
    the mean lay from 2.8 % below N / X - Z (1452 requests) to 1.5 % above (10250). Users in step matter in short runs:
    in 400 loads of 14 s of two releases at once the mean lay from 9.7 % below N / X - Z to 5.2 % above, 1.7 standard
    errors below it in the middle, because both servers had paused shortly before the steady state.
    """
    number, rps, profile = data.steady_completed, data.steady_throughput_rps, data.record.requested.profile
    if not rps or not _is_long(data):
        return None
    parts = [data.counts("ok"), data.counts("failed")]
    mean_s = sum(part.total_us for part in parts if part) / number / 1e6
    law_s = operational_laws.response_time_s(profile.users, rps, operational_laws.think_s(profile))
    by_chance_s = STANDARD_ERRORS * operational_laws.standard_error_s(profile, rps, number)
    in_step_s = operational_laws.in_step_s(profile.users, _shortest_cycle_s(data), number)
    return _Lawfulness(
        mean_s=mean_s,
        law_s=law_s,
        holds=abs(mean_s - law_s) < operational_laws.LAW_TOLERANCE * law_s + by_chance_s + in_step_s,
        truncated=mean_s < law_s and _explained(data, rps, (law_s - mean_s) * number, law_s),
    )


def _explained(data: RunData, rps: float, missing_s: float, law_s: float) -> bool:
    """Whether requests that waited when the load stopped explain the response time that is missing.

    Both are needed: as many users waited as the throughput leaves (N - X Z, Little's law, so nobody was idle
    elsewhere), and no more is missing than they can have spent, the law's mean each.
    """
    profile = data.record.requested.profile
    expected = operational_laws.waiting_users(profile.users, rps, operational_laws.think_s(profile))
    enough = expected - STANDARD_ERRORS * operational_laws.waiting_deviation(profile, rps)
    return data.waiting_at_stop >= enough and missing_s <= data.waiting_at_stop * law_s


def _is_long(data: RunData) -> bool:
    """Whether the steady window has room for enough of the shortest cycles of answer and thinking."""
    return data.steady_s >= FEWEST_CYCLES * _shortest_cycle_s(data)


def _shortest_cycle_s(data: RunData) -> float:
    """Of the fastest answer and a mean think time."""
    return operational_laws.think_s(data.record.requested.profile) + (data.fastest_us("ok") or 0) / 1e6


def _books(data: RunData) -> Iterator[Reason]:
    """Every success was the backend's work, and the backend got nothing but what was asked: no hidden retry.

    Of flows that declare their ideal time only, because that says that they ask the backend once. The verification
    before the load asked once more, but not of the mock API alone.
    """
    if data.record.own_wait_s is None:
        return
    load = data.measured.load
    given = data.measured.backend.received - (data.measured.server is not None)
    successes = data.completed("ok")
    if successes > given:
        yield Reason(code="books", text=f"{successes} requests succeeded, but the backend received {given}")
    if given > load.recorded + load.in_flight_at_stop:
        yield Reason(
            code="books",
            text=(
                f"the backend received {given} requests for {load.recorded} recorded and "
                f"{load.in_flight_at_stop} in flight at the end"
            ),
        )


def _machine(found: Disturbance) -> Iterator[Reason]:
    other = found.other_s / (found.window_s * found.cores)
    if other > OTHER_CPU:
        yield Reason(
            code="other-processes",
            text=f"other processes took {other:.1%} of the machine's CPU time, limit {OTHER_CPU:.0%}",
        )
    if found.suspended_s > SUSPENDED_S:
        yield Reason(code="suspended", text=f"the machine slept for {found.suspended_s:.1f} s during the load")
    if abs(found.clock_step_s) > CLOCK_STEP_S:
        yield Reason(
            code="clock-set", text=f"the machine's clock was set by {found.clock_step_s:+.1f} s during the load"
        )
