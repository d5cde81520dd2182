"""When a run that ended well may still not be believed, with reasons. Pure; imports `sample`, `laws`, `distribution`.

`reasons` spoil a run: it is shown, but neither ranked, pooled nor compared. `distrusted` spoils its latencies only.
Thresholds are those of measurement practice stated in README under "When a run counts".

A law or a ceiling is held against a run only when its steady window is long: the requests cut at the edges are a
share of it that shrinks with its length, and users who started together still move together at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.analysis import distribution, operational_laws
from scripts.analysis.run_data import Sample
from scripts.config.flows import CLOCK_SLACK_S
from scripts.records.schema import Disturbance

CEILING_TOLERANCE = 0.02  # edges of the window; good runs of the committed records reach 1.005 of their ceiling
STANDARD_ERRORS = 3  # by which chance may move what a law is held against
LEAST_CYCLES = 10  # of answer and thinking in a long window: half a request a user at its edges is then 5 %
OTHER_CPU = 0.05  # share of all cores; a quiet machine shows below 1 %
LAG_P99_MS = 10.0  # of the generator's event loop: beyond it, response times include the generator's own
QUEUE_WAIT_SHARE = 0.02  # of wall time
QUEUE_WAIT_MS = 1.0  # a request
BUSY_CORE = 0.9  # a process of one thread that uses this much of a core has none left for a burst
SUSPENDED_S = 0.1
CLOCK_STEP_S = 1.0
# In the reasons that blame the machine; all others blame the server or the load.
_DISTURBANCES = ("event loop lagged", "waited for a core", "other processes", "machine slept", "clock was set")


def is_disturbance(reason: str) -> bool:
    """Whether a reason blames the machine or what else ran on it, so that the same run may do better at once."""
    return any(words in reason for words in _DISTURBANCES)


def reasons(sample: Sample) -> tuple[str, ...]:
    """Why a run that ended well is not valid; empty when it is."""
    return (
        *generator(sample),
        *_server(sample),
        *_floor(sample),
        *_ceiling(sample),
        *_law(sample),
        *_books(sample),
        *_machine(sample.measured.disturbance),
    )


def distrusted(sample: Sample) -> tuple[str, ...]:
    """Why the latencies of a run must not be ranked or compared, although its other figures may; empty: they may.

    A saturated run drops its slowest requests: those that still wait when the load is stopped are in no latency of
    the steady window, so what was recorded is too fast for the law. Throughput, CPU time and memory do not suffer.
    """
    found = _lawfulness(sample)
    if found is None or found.holds or not found.truncated:
        return ()
    reason = (
        f"truncated: {sample.waiting_at_stop} requests still waited when the load was stopped, in no latency of the "
        f"steady state; those that had ended took {found.mean_s:.3f} s on average, N/X - Z gives {found.law_s:.3f} s"
    )
    return (reason,)


def generator(sample: Sample) -> Iterator[str]:
    """Why the load generator was not fit: what it recorded is then partly its own doing."""
    own = sample.measured.generator
    yield from _users(sample)
    if own.lag_p99_ms >= LAG_P99_MS:
        yield f"the generator's event loop lagged: p99 {own.lag_p99_ms:.1f} ms, not below {LAG_P99_MS:g}"
    if own.exceptions:
        yield f"the locustfile raised {own.exceptions} exceptions of its own"
    yield from _run_queue_wait(sample)
    if own.cpu_s >= BUSY_CORE * sample.load_s:
        yield f"the generator used {own.cpu_s / sample.load_s:.0%} of a core, not below {BUSY_CORE:.0%}"


def _users(sample: Sample) -> Iterator[str]:
    """All users were there, in every full second of the steady window."""
    users, load = sample.record.asked.profile.users, sample.measured.load
    if load.users_reached < users:
        yield f"only {load.users_reached} of {users} users were reached"
        return
    begin = operational_laws.steady_from_s(sample.record)
    steady = [row for row in sample.timeline if begin is not None and begin <= row.second <= load.stopped_s - 1]
    least = min(steady, key=lambda row: row.users, default=None)
    if least is not None and least.users < users:
        yield f"the users were not held: {least.users} of {users} in second {least.second}"


def _run_queue_wait(sample: Sample) -> Iterator[str]:
    """The generator had to wait for a core, for long and in what reaches a response time.

    2 % of wall time is a sign of trouble for a generator with cores of its own. Where it shares them with the
    server it waits more than that in good runs (2 cores: 5 % at 170 requests/s), for as long as a server's process
    happens to be on the core: 0.3 ms a request at 96 and at 170 requests/s. It is a request's share that reaches a
    response time, and the share of wall time that keeps a run with few requests from being blamed for the
    generator's own clocks, which wait too.
    """
    waited_s, recorded = sample.measured.generator.run_queue_wait_s, sample.measured.load.recorded
    if waited_s is None or not recorded or waited_s <= QUEUE_WAIT_SHARE * sample.load_s:
        return
    each_ms = waited_s * 1000 / recorded
    if each_ms >= QUEUE_WAIT_MS:
        yield (
            f"the generator waited for a core: {waited_s / sample.load_s:.1%} of the time and {each_ms:.2f} ms "
            f"a request, not below {QUEUE_WAIT_MS:g} ms"
        )


def _server(sample: Sample) -> Iterator[str]:
    measured, ran, profile = sample.measured, sample.record.ran, sample.record.asked.profile
    if measured.load.recorded == sum(failure.count for failure in measured.load.failures):
        yield "no request succeeded"
    if measured.server is not None and measured.server.workers_lost:
        yield f"{measured.server.workers_lost} of the server's workers ended under load"
    if ran is None:
        return
    if ran.workers != profile.workers:
        yield f"{ran.workers} workers ran, not the {profile.workers} asked for"
    if operational_laws.held_at_once(ran) is not None and ran.threads != profile.threads:
        yield f"{ran.threads} threads a worker ran, not the {profile.threads} asked for"


def _floor(sample: Sample) -> Iterator[str]:
    """No success is faster than the flow's own wait and the least that the backend waits."""
    own_s, fastest = sample.record.own_wait_s, sample.whole("ok")
    if own_s is None or fastest is None:
        return
    floor_s = own_s + sample.record.asked.profile.backend_wait_min_s
    if fastest.min_us / 1e6 < floor_s - CLOCK_SLACK_S:
        yield f"a success took {fastest.min_us / 1e6:.4f} s, less than its ideal time of {floor_s:g} s"


def _ceiling(sample: Sample) -> Iterator[str]:
    """Throughput is within what the users, and the workers and threads that really ran, can do."""
    ceiling, reached = operational_laws.ceiling_rps(sample.record), sample.steady_throughput_rps
    if ceiling is None or reached is None or not _is_long(sample):
        return
    if reached > ceiling * (1 + CEILING_TOLERANCE):
        yield f"throughput of {reached:.1f} rps is above the ceiling of {ceiling:.1f} rps"


def _law(sample: Sample) -> Iterator[str]:
    found = _lawfulness(sample)
    if found is not None and not found.holds and not found.truncated:
        yield (
            f"the response-time law does not hold: requests took {found.mean_s:.3f} s on average, N/X - Z gives "
            f"{found.law_s:.3f} s"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lawfulness:
    """The response-time law over the steady window, all requests in it, failures too."""

    mean_s: float  # of the recorded response times
    law_s: float  # N / X - Z
    holds: bool  # they agree, but for 2 % and what chance may do on top
    truncated: bool  # if not: requests that were dropped when the load stopped explain it


def _lawfulness(sample: Sample) -> _Lawfulness | None:
    """None when the window is too short to tell.

    The 2 % are for what every run has: users who start together, and a generator that wakes a little late. In 30
    good runs that were not saturated the mean lay from 2.8 % below N / X - Z (1452 requests) to 1.5 % above (10250).
    """
    number, rps, profile = sample.steady_completed, sample.steady_throughput_rps, sample.record.asked.profile
    if not rps or not _is_long(sample):
        return None
    parts = [sample.counts("ok"), sample.counts("failed")]
    mean_s = sum(part.total_us for part in parts if part) / number / 1e6
    law_s = operational_laws.response_time_s(profile.users, rps, operational_laws.think_s(profile))
    by_chance_s = STANDARD_ERRORS * operational_laws.standard_error_s(profile, rps, number)
    return _Lawfulness(
        mean_s=mean_s,
        law_s=law_s,
        holds=abs(mean_s - law_s) < operational_laws.LAW_TOLERANCE * law_s + by_chance_s,
        truncated=mean_s < law_s and _explained(sample, rps, (law_s - mean_s) * number, law_s),
    )


def _explained(sample: Sample, rps: float, missing_s: float, law_s: float) -> bool:
    """Whether requests that waited when the load stopped explain the response time that is missing.

    Both are needed: as many users waited as the throughput leaves (N - X Z, Little's law, so nobody was idle
    elsewhere), and no more is missing than they can have spent, the law's mean each.
    """
    profile = sample.record.asked.profile
    expected = operational_laws.waiting_users(profile.users, rps, operational_laws.think_s(profile))
    enough = expected - STANDARD_ERRORS * operational_laws.waiting_deviation(profile, rps)
    return sample.waiting_at_stop >= enough and missing_s <= sample.waiting_at_stop * law_s


def _is_long(sample: Sample) -> bool:
    """Whether the steady window has room for enough of the shortest cycles of answer and thinking."""
    fastest = sample.whole("ok")
    cycle_s = operational_laws.think_s(sample.record.asked.profile) + (fastest.min_us / 1e6 if fastest else 0.0)
    return sample.steady_s >= LEAST_CYCLES * cycle_s


def _books(sample: Sample) -> Iterator[str]:
    """Every success was the backend's work, and the backend got nothing but what was asked: no hidden retry.

    Of flows that declare their ideal time only, because that says that they ask the backend once. The verification
    before the load asked once more, but not of the mock API alone.
    """
    if sample.record.own_wait_s is None:
        return
    load = sample.measured.load
    given = sample.measured.backend.received - (sample.measured.server is not None)
    successes = distribution.size(sample.whole("ok"))
    if successes > given:
        yield f"{successes} requests succeeded, but the backend was asked {given} times"
    if given > load.recorded + load.in_flight_at_stop:
        yield (
            f"the backend was asked {given} times for {load.recorded} recorded requests and "
            f"{load.in_flight_at_stop} in flight at the end"
        )


def _machine(found: Disturbance) -> Iterator[str]:
    other = found.other_s / (found.window_s * found.cores)
    if other > OTHER_CPU:
        yield f"other processes took {other:.1%} of the machine's CPU time, more than {OTHER_CPU:.0%}"
    if found.suspended_s > SUSPENDED_S:
        yield f"the machine slept for {found.suspended_s:.1f} s during the load"
    if abs(found.clock_step_s) > CLOCK_STEP_S:
        yield f"the machine's clock was set by {found.clock_step_s:+.1f} s during the load"
