"""Synthetic capacity searches: the runs that a search of a server with a known knee would leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity, SearchIdentity
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import OVERHEAD, THROUGHPUT, CapacitySearch
from scripts.inference.capacity_search import Trial
from scripts.records.schema import Histograms, Outcome
from tests.fakes import synthetic_runs

SETTINGS = synthetic_runs.SUITE.capacity
IDENTITY = SearchIdentity(id="c0ffee123456", settings=SETTINGS)


def run(
    trial: Trial, *, overhead_ms: float = 100.0, outcome: Outcome = "ok", release: str = "1.12.0",
    engine: str = "fastapi", flow: str = "static_async", identity: SearchIdentity | None = IDENTITY, first: int = 1,
) -> Run:  # fmt: skip
    """The run of a trial; its throughput is 0.95 of the users. `first` tells the runs of one search from another's."""
    reasons = () if outcome == "ok" else ("something else ran",)
    made = synthetic_runs.record(
        release=release, engine=engine, flow=flow, profile="capacity", number=100 * first + trial.number,
        outcome=outcome, reasons=reasons,
    )  # fmt: skip
    profile = made.requested.profile.at(trial.users)
    requested = dataclasses.replace(made.requested, profile=profile, round=trial.number, search=identity)
    one = synthetic_runs.run(dataclasses.replace(made, requested=requested))
    return dataclasses.replace(one, values=one.values | {OVERHEAD: overhead_ms, THROUGHPUT: 0.95 * trial.users})


def loaded(failed: int = 0, overhead_ms: float = 100.0, requests: int = 1000, lag_ms: float = 3.2) -> Run:
    """A run of the capacity profile in which all requests had the same overhead."""
    measured = synthetic_runs.measurements(failed=failed, number=requests)
    generator = dataclasses.replace(measured.generator, lag_p99_ms=lag_ms)
    record = synthetic_runs.record(profile="capacity", measured=dataclasses.replace(measured, generator=generator))
    profile = dataclasses.replace(record.requested.profile, warm_up_s=0)  # steady for 50 s
    record = dataclasses.replace(record, requested=dataclasses.replace(record.requested, profile=profile))
    overhead = synthetic_runs.counts([round(overhead_ms * 1000)] * (requests - failed))
    steady = {"ok": synthetic_runs.counts([1_300_000] * (requests - failed)), "overhead": overhead}
    if failed:
        steady["failed"] = synthetic_runs.counts([640] * failed)
    return synthetic_runs.run(record, Histograms(windows={"steady": steady}))


def searched(
    knee: int, *, release: str = "1.12.0", engine: str = "fastapi", flow: str = "static_async", first: int = 1,
    identity: SearchIdentity | None = IDENTITY, settings: Capacity | None = None,
    outcome: Callable[[Trial], Outcome] = lambda _: "ok",
) -> CapacitySearch:  # fmt: skip
    """A live search of a server that misses the objective above so many users."""

    def make(trial: Trial) -> Run:
        overhead_ms = 100.0 if trial.users <= knee else 900.0
        return run(
            trial, overhead_ms=overhead_ms, outcome=outcome(trial), release=release, engine=engine, flow=flow,
            identity=identity, first=first,
        )  # fmt: skip

    asked = settings or (identity.settings if identity is not None else SETTINGS)
    return capacity_runs.carried_out(asked, (), make)
