"""Operational laws of a closed loop: what the load alone allows, and what the workers allow.

The laws are those of Denning and Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys 10
(1978). Little's law gives X = N / (R + Z) for a closed loop of N users who think for Z seconds and wait R seconds for
an answer.
"""

from __future__ import annotations

import math

from scripts.config.load_profiles import Profile, ramp_s
from scripts.records.schema import ObservedConfig, RunRecord

LAW_TOLERANCE = 0.02  # within this the figures obey the closed-loop law
LOAD_BOUND_SHARE = 0.95  # from this share of what the load allows on, the load sets the throughput
_BATCH_S = 1.0  # locust starts a batch of users every second


def closed_loop_rps(users: float, response_s: float, think_s: float) -> float:
    """X = N / (R + Z), the throughput of N active users (interactive response time law)."""
    return users / (response_s + think_s)


def response_time_s(users: float, rps: float, think_s: float) -> float:
    """R = N / X - Z, the same law solved for the response time."""
    return users / rps - think_s


def waiting_users(users: float, rps: float, think_s: float) -> float:
    """N - X Z: by Little's law X Z users think, so the others wait for an answer."""
    return users - rps * think_s


def mean_users(users: int, spawn_rate: int, run_time_s: float) -> float:
    """Users active on average over a run whose ramp is counted in.

    The first batch starts at once and the last when the ramp ends: the mean user starts half a ramp late and is
    missing for that long.
    """
    return users * (1 - ramp_s(users, spawn_rate) / 2 / run_time_s)


def thread_ceiling_rps(workers: int, threads: int, floor_s: float) -> float:
    """The most that workers x threads can answer when each holds its thread for the floor (utilisation law)."""
    return workers * threads / floor_s


def think_s(profile: Profile) -> float:
    """Z: the mean wait of a user between an answer and the next request."""
    return (profile.wait_min_s + profile.wait_max_s) / 2


def ideal_s(record: RunRecord) -> float | None:
    """R0: the mean answer time of a server that adds nothing; None when the flow does not declare its own."""
    profile, own = record.requested.profile, record.own_wait_s
    return None if own is None else own + (profile.backend_wait_min_s + profile.backend_wait_max_s) / 2


def held_at_once(observed: ObservedConfig) -> int | None:
    """How many requests the workers can hold at a time; None where threads do not bound it.

    What ran decides, not the engine's name: under uvicorn (also as gunicorn's worker class) a worker is an
    event loop that holds any number of requests, and a thread count on the command line means nothing.
    """
    if any("uvicorn" in word.lower() for word in observed.command):
        return None
    return observed.workers * observed.threads


def load_rps(record: RunRecord) -> float | None:
    """N / (R0 + Z): what the load allows of a server that adds nothing; None where that is not known or unbounded."""
    profile, floor = record.requested.profile, ideal_s(record)
    if floor is None or floor + think_s(profile) == 0:  # nothing waits: nothing bounds the load
        return None
    return closed_loop_rps(profile.users, floor, think_s(profile))


def ceiling_rps(record: RunRecord) -> float | None:
    """min(N / (R0 + Z), workers x threads / R0): what the load and the workers that really ran allow."""
    by_load, floor = load_rps(record), ideal_s(record)
    held = held_at_once(record.observed) if record.observed else None  # the mock API alone has no promptflow server
    return by_load if by_load is None or held is None or not floor else min(by_load, held / floor)


def steady_from_s(record: RunRecord) -> float | None:
    """When the steady window begins, on the timeline's clock: all users have started and the warm-up is over.

    None when it never came to that.
    """
    at = record.measurements.load.all_users_at_s if record.measurements else None
    return None if at is None else at + record.requested.profile.warm_up_s


def standard_error_s(profile: Profile, rps: float, completed: int) -> float:
    """By how much N / X - Z strays from the mean response time at random, as one standard deviation.

    Two things are random in a run that obeys the law. `completed` thinking times were drawn, uniformly. And where the
    window cuts a user's cycles is random: that moves the number of requests of each by a variance of 1/6 (the
    constant term of a renewal process in equilibrium; Cox, Renewal Theory, 1962), and dR = N / X * dX / X.
    """
    drawn = (profile.wait_max_s - profile.wait_min_s) / math.sqrt(12 * completed)
    cut = math.sqrt(profile.users / 6) / completed * profile.users / rps
    return math.hypot(drawn, cut)


def in_step_s(users: int, cycle_s: float, completed: int) -> float:
    """By how much N / X - Z strays at most where users are in step at one end of the window.

    Users start in batches, a second apart, and a pause of the server, such as a full garbage collection, brings them in
    step, too. Then the window cuts the cycles of all of them at the same place, at most half a cycle from the mean
    place. In a cycle of more than a second the batches lie side by side, so the place is at most half a second away.
    `cycle_s` is the shortest cycle of answer and thinking: in a longer one users wait in a queue, which spreads them.
    """
    return users * min(cycle_s, _BATCH_S) / 2 / completed


def waiting_deviation(profile: Profile, rps: float) -> float:
    """Standard deviation of the number of users who wait at a given moment: binomial."""
    share = min(1.0, max(0.0, waiting_users(profile.users, rps, think_s(profile)) / profile.users))
    return math.sqrt(profile.users * share * (1 - share))
