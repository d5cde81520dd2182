"""Synthetic soaks: the records that half an hour of load would leave, with memory and overhead as a test wants them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import SOAK, Profile
from scripts.records.schema import Histograms, Outcome, RunRecord, SoakSample, Window
from tests.fakes import synthetic_runs

USERS, ALL_USERS_AT_S = 60, 3
CYCLE_S = 0.7 + 0.5  # of answer and thinking
EVERY_S = 10
NOISE_MIB, NOISE_MS = 0.2, 0.1

Course = Callable[[float], float]
"""A figure after a share of the load, 0 to 1."""


def steady(_share: float) -> float:
    """Always the same: 200 MiB, or 200 ms."""
    return 200.0


def samples(
    profile: Profile, memory_mib: Course = steady, overhead_ms: Course = steady, seed: int = 1
) -> tuple[SoakSample, ...]:
    """A sample every ten seconds, of a master and one worker, with some noise."""
    noise = random.Random(seed)  # noqa: S311 - nothing secret
    found = []
    for at_s in range(EVERY_S, profile.run_time_s + 1, EVERY_S):
        share = at_s / profile.run_time_s
        worker_mib = memory_mib(share) - 40 + noise.gauss(0, NOISE_MIB)
        found.append(
            SoakSample(
                at_s=float(at_s),
                requests=round(rps(profile) * at_s),
                memory_bytes=(40 * 2**20, round(worker_mib * 2**20)),
                overhead_p50_ms=overhead_ms(share) + noise.gauss(0, NOISE_MS),
            )
        )
    return tuple(found)


def record(  # noqa: PLR0913 - what tests vary
    memory_mib: Course = steady, overhead_ms: Course = steady, *, release: str = "1.12.0", engine: str = "fastapi",
    flow: str = "static_async", number: int = 1, run_time_s: int = 1800, users: int = USERS, outcome: Outcome = "ok",
    reasons: tuple[str, ...] = (),
) -> RunRecord:  # fmt: skip
    """A soak; one that failed has measured nothing."""
    made = synthetic_runs.record(
        release=release, engine=engine, flow=flow, profile=SOAK, number=number, outcome=outcome, reasons=reasons
    )
    profile = made.requested.profile.lasting(run_time_s).at(users)
    made = dataclasses.replace(made, requested=dataclasses.replace(made.requested, profile=profile))
    if made.measurements is None:
        return made
    requests = sum(_numbers(profile).values())
    measured = synthetic_runs.measurements(failed=0, number=requests, in_flight=20, minimum_ms=600.0)
    load = dataclasses.replace(
        measured.load, all_users_at_s=float(ALL_USERS_AT_S), stopped_s=float(run_time_s), users_reached=users
    )
    soak = samples(profile, memory_mib, overhead_ms, seed=number)
    measured = dataclasses.replace(measured, load=load, soak=soak)
    return dataclasses.replace(made, measurements=measured)


def rps(profile: Profile) -> float:
    """Its throughput, by the law of a closed loop."""
    return profile.users / CYCLE_S


def histograms(made: RunRecord) -> Histograms:
    """Distributions that obey the same law: 700 ms on average, of which 200 are overhead."""
    return Histograms(
        windows={
            window: {
                "ok": synthetic_runs.spread_counts(number, 600_000, 4082, 50),
                "overhead": synthetic_runs.spread_counts(number, 100_000, 4082, 50),
            }
            for window, number in _numbers(made.requested.profile).items()
        }
    )


def run(made: RunRecord) -> Run:
    """The soak as it is after reading, as its record says that it ended."""
    return synthetic_runs.run(made, histograms(made))


def write(results: Path, made: RunRecord) -> Path:
    """Write a soak under a results directory; what it measured is valid."""
    profile = made.requested.profile
    seconds = synthetic_runs.timeline(profile.run_time_s, rps(profile), profile.users, ALL_USERS_AT_S)
    return synthetic_runs.write(results, made, histograms(made), seconds)


def _numbers(profile: Profile) -> dict[Window, int]:
    """Requests of each window."""
    steady_s = profile.run_time_s - profile.warm_up_s - ALL_USERS_AT_S
    return {"ramp": round(rps(profile) * profile.warm_up_s), "steady": round(rps(profile) * steady_s)}
