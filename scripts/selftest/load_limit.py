"""How many users several load processes of this machine can make, against the mock API; part of `nox -s bench-self`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.analysis.validity import LAG_P99_MS
from scripts.config.errors import NothingMeasuredError, quoted
from scripts.host.process import System
from scripts.selftest import suite_cost
from scripts.selftest.suite_cost import Cost, CostLimit, Figure

PROCESSES = 4
WANTED = 2500  # users: five times those of the published load
USERS = (1250, WANTED, 2 * WANTED)
RUNS = 3  # of what has a limit: a host that shares its cores makes one run late, and the next not


def rows(system: System, scratch: Path) -> Iterator[Cost]:
    """A run for each number of users, which show where it ends; the middle one of several for the one with a limit."""
    for users in USERS:
        times = RUNS if users == WANTED else 1
        found = [figure(_run(system, scratch / f"load-{users}-{number}", users), users) for number in range(times)]
        what = f"mock API under {users} users of {PROCESSES} load processes"
        yield Cost(what=f"{what}, the middle one of {times} runs" if times > 1 else what, figures=(middle(found),))


def middle(found: Sequence[Figure]) -> Figure:
    """By its value, where a run that is not valid is the worst; told with all, the best first."""
    ordered = sorted(found, key=lambda one: one.value)
    shown = ordered[len(ordered) // 2]
    return dataclasses.replace(shown, text="; ".join(one.text for one in ordered)) if len(ordered) > 1 else shown


def figure(run: Run, users: int) -> Figure:
    """Throughput, the worst process's lag, and what kept the run from being valid."""
    rate, lag = run.values["steady_throughput_rps"], run.values["generator_lag_p99_ms"]
    if run.record.measurements is None or rate is None or lag is None:
        return Figure(text=f"{run.outcome}: {'; '.join(run.reasons)}", value=float("inf"), limit=_limit(users))
    disturbance = run.record.measurements.disturbance
    busy = disturbance.busy_s / disturbance.window_s
    told = [f"{rate:.0f} requests/s", f"lag p99 {lag:.1f} ms", f"{busy:.1f} of {disturbance.cores} cores busy"]
    if run.outcome != "ok":
        told.append(f"{run.outcome}: {'; '.join(run.reasons)}")
    return Figure(text=", ".join(told), value=lag if run.outcome == "ok" else float("inf"), limit=_limit(users))


def _limit(users: int) -> CostLimit | None:
    return CostLimit(most=LAG_P99_MS, text=f"valid, lag p99 <= {LAG_P99_MS:.0f} ms") if users == WANTED else None


def _run(system: System, folder: Path, users: int) -> Run:
    options = ("--mock", "--users", str(users), "--load-processes", str(PROCESSES))
    found, output = suite_cost.bench(system, folder, *options)
    if not found:
        raise NothingMeasuredError(f"the mock API was not loaded:\n{quoted(output)}", then="nox -s bench-self")
    return run_reader.read_run(found[0])
