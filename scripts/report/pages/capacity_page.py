"""Whether a run meets the objective of a capacity search, and what the search prints when it ends."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.analysis import grouping
from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.config.matrix import Suite
from scripts.inference.capacity_search import CapacityResult, Limit, ObjectiveVerdict, Trial
from scripts.report.pages import templates
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, code, quantity, significant

_LIMITS: dict[ObjectiveVerdict, str] = {
    "missed": "at {users} users the objective is missed",
    "generator-bound": "at {users} users the load generator is the bound",
    "invalid": "at {users} users no run is valid",
}
_NOT_TRIED = "more users were not tried"
_SUMMARY = (
    *("Scenario", "Throughput (rps)", "Lowest to highest", "Users", "Worst overhead p99 (ms)"),
    *("Worst failure ratio", "CPU of the server (cores)", "Confirming runs", "With more users"),
)
_TRIALS = (
    *("Run", "Phase", "Users", "Verdict", "Throughput (rps)", "Overhead p99 (ms)", "Failure ratio"),
    *("CPU of the server (cores)", "Generator lag p99 (ms)", "Why"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Whether a run meets the objective."""

    verdict: ObjectiveVerdict
    reasons: tuple[str, ...] = ()  # why the objective is not met


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One run of a search, with its verdict."""

    trial: Trial
    run: Run
    judgement: Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class CapacitySearch:
    """A whole search of one scenario."""

    found: CapacityResult
    tried: tuple[Tried, ...]  # at least one, in order


def judge(run: Run, settings: Capacity) -> Judgement:
    """Whether the run meets the objective; an invalid run neither meets nor misses it."""
    if run.outcome != "ok":
        verdict: ObjectiveVerdict = "generator-bound" if run.bound == "generator-bound" else "invalid"
        return Judgement(verdict=verdict, reasons=run.reasons)
    failed, overhead_ms = run.values["failure_ratio"], run.values["overhead_p99_ms"]
    if failed is None or overhead_ms is None:
        return Judgement(verdict="invalid", reasons=("too few requests succeeded for a 99th percentile",))
    reasons = []
    if failed > settings.failure_ratio_max:
        reasons.append(f"failure ratio {significant(failed)} > {settings.failure_ratio_max:g}")
    if overhead_ms > settings.overhead_p99_max_ms:
        reasons.append(f"overhead p99 {significant(overhead_ms)} ms > {settings.overhead_p99_max_ms:g} ms")
    return Judgement(verdict="missed" if reasons else "met", reasons=tuple(reasons))


def objective(settings: Capacity) -> str:
    """The objective, in words."""
    failing = f"at most {settings.failure_ratio_max * 100:g} % of the requests fail"
    return f"{failing}, and 99 % of the others exceed the ideal time by at most {settings.overhead_p99_max_ms:g} ms"


def progress_line(tried: Tried) -> str:
    """One line about a run, for the terminal."""
    judgement, values = tried.judgement, tried.run.values
    if judgement.verdict != "met":
        return f"{tried.trial.users} users, {judgement.verdict}: {'; '.join(judgement.reasons)}"
    rps, overhead = (quantity(values[name], "ms") for name in ("steady_throughput_rps", "overhead_p99_ms"))
    return f"{tried.trial.users} users, objective met: {rps} rps, overhead p99 {overhead} ms"


def throughput_rps(search: CapacitySearch) -> float | None:
    """The median over the confirming runs; None where no load was confirmed."""
    return statistics.median(_figures(_confirming(search), "steady_throughput_rps")) if search.found.users else None


def answer(searches: Sequence[CapacitySearch]) -> str:
    """The figure of each scenario."""
    return "; ".join(f"{search.tried[0].run.record.requested.flow}: {_found(search)}" for search in searches)


def _found(search: CapacitySearch) -> str:
    rps = throughput_rps(search)
    if rps is None:
        return "no load was found that meets the objective"
    least = "" if search.found.is_ceiling else "at least "
    return f"{least}{significant(rps)} requests per second, with {search.found.users} users"


def _confirming(search: CapacitySearch) -> list[Run]:
    return [tried.run for tried in search.tried if tried.trial.number in search.found.confirmed_by]


def of_session(suite: Suite, settings: Capacity, searches: Sequence[CapacitySearch], command: str) -> str:
    """What a session found, and every run behind it; `command` repeats it."""
    requested = searches[0].tried[0].run.record.requested
    return templates.text(
        "capacity.md.j2",
        release=requested.release,
        engine=requested.engine,
        objective=objective(settings),
        summary=markdown.markdown(_SUMMARY, [_summary(suite, search) for search in searches]),
        searches=[
            {"title": _title(suite, search), "table": markdown.markdown(_TRIALS, map(_trial, search.tried), 4)}
            for search in searches
        ],
        command=code(command),
    )


def _title(suite: Suite, search: CapacitySearch) -> str:
    return grouping.title(suite, search.tried[0].run.record.requested)


def _summary(suite: Suite, search: CapacitySearch) -> list[str]:
    found = search.found
    title = _title(suite, search)
    if found.users is None:
        return [title, "not found", *[DASH] * 6, DASH if found.limit is None else _above(found.limit)]
    runs = _confirming(search)
    rates = _figures(runs, "steady_throughput_rps")
    median = significant(statistics.median(rates))
    return [
        title,
        median if found.is_ceiling else f"at least {median}",
        f"{significant(min(rates))} to {significant(max(rates))}",
        f"{found.users}",
        significant(max(_figures(runs, "overhead_p99_ms"))),
        significant(max(_figures(runs, "failure_ratio"))),
        significant(statistics.median(cores for run in runs if (cores := _cores(run)) is not None)),
        f"{len(runs)} of {len(search.tried)}",
        _above(found.limit),
    ]


def _figures(runs: Sequence[Run], metric: str) -> list[float]:
    return [value for run in runs if (value := run.values[metric]) is not None]


def _above(limit: Limit | None) -> str:
    return _NOT_TRIED if limit is None else _LIMITS[limit.verdict].format(users=limit.users)


def _cores(run: Run) -> float | None:
    """How many cores the server's process tree kept busy in steady state."""
    measured = run.record.measurements
    if measured is None or measured.server is None:
        return None
    began_s, ended_s = measured.server.window_s
    return measured.server.cpu_s / (ended_s - began_s)


def _trial(tried: Tried) -> list[str]:
    trial, values = tried.trial, tried.run.values
    return [
        f"{trial.number}",
        trial.phase,
        f"{trial.users}",
        tried.judgement.verdict,
        *(quantity(values[name], "ms") for name in ("steady_throughput_rps", "overhead_p99_ms", "failure_ratio")),
        quantity(_cores(tried.run), "ms"),
        quantity(values["generator_lag_p99_ms"], "ms"),
        code("; ".join(tried.judgement.reasons)) if tried.judgement.reasons else DASH,
    ]
