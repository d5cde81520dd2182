"""A capacity search in the cells of a table: the same on a page and in the terminal, for every way that it can end."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import FAILURES, OVERHEAD, THROUGHPUT, CapacitySearch, Judgement, Tried
from scripts.inference.capacity_search import Limit, ObjectiveVerdict
from scripts.records import conditions
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH, Markdown, code, quantity, significant

_LIMITS: dict[ObjectiveVerdict, str] = {
    "missed": "at {users} users the objective is missed",
    "generator-bound": "at {users} users the load generator is the bound",
    "invalid": "at {users} users no run is valid",
}
_NOT_TRIED = "more users were not tried"
NOT_SEARCHED = "not searched"
_LOOP = "Reference loop (ms)"
FIGURES = (
    *("Capacity (rps) \u2191", "Lowest to highest", "Users", "Worst overhead p99 (ms)", "Worst failure ratio"),
    *("CPU of the server (cores)", _LOOP, "Confirming runs"),
)
ABOVE = "With more users"
_TRIALS = (
    *("Run", "Phase", "Users", "Verdict", "Throughput (rps)", "Overhead p99 (ms)", "Failure ratio"),
    *("CPU of the server (cores)", "Generator lag p99 (ms)", "Why"),
)


def shown(searches: Iterable[CapacitySearch], settings: Capacity) -> list[CapacitySearch]:
    """The search that counts of each release, scenario and set of conditions, among those to the suite's objective.

    Candidates are no releases.
    """
    groups: dict[tuple[str, ...], list[CapacitySearch]] = {}
    for one in searches:
        requested = one.requested
        if "+" not in requested.release and one.settings.means_the_same(settings):
            where = (requested.engine, requested.flow, requested.release, conditions.of_search(one.runs[0].record))
            groups.setdefault(where, []).append(one)
    found = (capacity_runs.standing(group) for _, group in sorted(groups.items()))
    return [one for one in found if one is not None]


def objective(settings: Capacity) -> str:
    """The objective, in words."""
    failing = f"at most {settings.failure_ratio_max * 100:g} % of the requests fail"
    return f"{failing}, and 99 % of the others exceed the ideal time by at most {settings.overhead_p99_max_ms:g} ms"


def outcome(search: CapacitySearch) -> str:
    """How a search ended, in one word of the table of all metrics."""
    if search.found is None:
        return "interrupted" if search.is_whole else "incomplete"
    return "ok" if search.users is not None else "not-found"


def capacity(search: CapacitySearch) -> str:
    """The highest throughput, "at least" where nothing shows that the server can do no more; or why there is none."""
    found, spread = search.found, search.spread(THROUGHPUT)
    if found is None and search.is_whole:
        return f"interrupted after {len(search.runs)} runs"
    if found is None:
        return "incomplete: a run of the search is missing or cannot be read"
    if spread is None:
        return "not found"
    return significant(spread.median) if found.is_ceiling else f"at least {significant(spread.median)}"


def result(search: CapacitySearch) -> str:
    """What a search found, in a sentence without its end."""
    if search.users is None:
        return capacity(search)
    return f"{capacity(search)} requests/s by {search.users} users; {above(search)}"


def above(search: CapacitySearch) -> str:
    """What lies above the load that was found."""
    found = search.found
    if found is None or (found.limit is None and found.users is None):
        return DASH
    return _limit(found.limit)


def _limit(limit: Limit | None) -> str:
    return _NOT_TRIED if limit is None else _LIMITS[limit.verdict].format(users=limit.users)


def figures(search: CapacitySearch) -> list[str]:
    """The cells under FIGURES."""
    loop = quantity(reference_loop_ms(search), "ms")
    rates, overheads, failures = (search.spread(name) for name in (THROUGHPUT, OVERHEAD, FAILURES))
    if rates is None or overheads is None or failures is None:
        known = {FIGURES[0]: capacity(search), _LOOP: loop}
        return [known.get(name, DASH) for name in FIGURES]
    cores = [value for run in search.confirming if (value := _cores(run)) is not None]
    return [
        capacity(search),
        f"{significant(rates.low)} to {significant(rates.high)}",
        f"{search.users}",
        significant(overheads.high),
        significant(failures.high),
        significant(statistics.median(cores)) if cores else DASH,
        loop,
        f"{len(search.confirming)} of {len(search.tried)}",
    ]


def without_search() -> list[str]:
    """The same of a release without a search."""
    return [NOT_SEARCHED, *[DASH] * (len(FIGURES) - 1)]


def trials(search: CapacitySearch) -> Markdown:
    """Every run of a search."""
    return markdown.markdown(_TRIALS, map(_trial, search.tried), 4)


def progress_line(run: Run, judgement: Judgement) -> str:
    """One line about a run, for the terminal."""
    users, values = run.record.requested.profile.users, run.values
    if judgement.verdict != "met":
        return f"{users} users, {judgement.verdict}: {'; '.join(judgement.reasons)}"
    rps, overhead = (quantity(values[name], "ms") for name in (THROUGHPUT, OVERHEAD))
    return f"{users} users, objective met: {rps} rps, overhead p99 {overhead} ms"


def reference_loop_ms(search: CapacitySearch) -> float | None:
    """How long a fixed piece of work took during the search, median over its runs: how slow the machine was."""
    found = [value for run in search.runs if (value := run.values["reference_loop_ms"]) is not None]
    return statistics.median(found) if found else None


def setup(search: CapacitySearch) -> str:
    """The workers and threads of the server."""
    profile = search.requested.profile
    return f"{profile.workers} x {profile.threads}"


def _cores(run: Run) -> float | None:
    """How many cores the server's process tree kept busy in steady state."""
    measured = run.record.measurements
    if measured is None or measured.server is None:
        return None
    began_s, ended_s = measured.server.window_s
    return measured.server.cpu_s / (ended_s - began_s) if ended_s > began_s else None


def _trial(tried: Tried) -> Sequence[str]:
    trial, values = tried.trial, tried.run.values
    return [
        f"{trial.number}",
        trial.phase,
        f"{trial.users}",
        tried.judgement.verdict,
        *(quantity(values[name], "ms") for name in (THROUGHPUT, OVERHEAD, FAILURES)),
        quantity(_cores(tried.run), "ms"),
        quantity(values["generator_lag_p99_ms"], "ms"),
        code("; ".join(tried.judgement.reasons)) if tried.judgement.reasons else DASH,
    ]
