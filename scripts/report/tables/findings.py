"""What the figures of a published report show, beside our own measurements.

The data chooses every sentence, and every number is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from scripts.analysis import operational_laws
from scripts.analysis.run_reader import Run
from scripts.report.tables.formatting import Markdown, code, deviation, filled, joined, listed, significant
from scripts.report.tables.published import Published, PublishedScenario


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """One published scenario, and our runs of it."""

    published: str  # one or more sentences
    measured: tuple[Markdown, ...]  # the same, one for each run


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One statement about the published figures, and its evidence."""

    title: str
    evidence: tuple[Evidence, ...]


def findings(report: Published, runs: Sequence[Run]) -> list[Finding]:
    """All findings. `runs`: our ok runs of that release, the one shown of each scenario and profile."""
    found = [
        _closed_loop(report, runs),
        _threads(report, runs),
        _failures(report, runs),
        _in_flight(report, runs),
    ]
    return [finding for finding in found if finding.evidence]


def _of(scenario: PublishedScenario, runs: Sequence[Run]) -> list[Run]:
    """Our runs of that scenario, by profile."""
    requested = [(run.record.requested.profile.name, run) for run in runs]
    mine = [
        (n, r)
        for n, r in requested
        if (r.record.requested.engine, r.record.requested.flow) == (scenario.engine, scenario.flow)
    ]
    return [run for _, run in sorted(mine, key=lambda pair: pair[0])]


def ideal_rps(report: Published) -> float:
    """Throughput of a server that adds nothing to the ideal time, ramp included."""
    users = operational_laws.mean_users(report.users, report.spawn_rate, report.run_time_s)
    return operational_laws.closed_loop_rps(users, report.floor_s, report.think_s)


def is_load_bound(report: Published, scenario: PublishedScenario) -> bool:
    """Whether the published throughput is (nearly) all that the load allows."""
    return scenario.row.requests_per_s >= operational_laws.LOAD_BOUND_SHARE * ideal_rps(report)


def _closed_loop(report: Published, runs: Sequence[Run]) -> Finding:
    """N / (R + Z), in steady state and with the ramp, against each throughput (see `operational_laws`)."""
    bound = [scenario.title for scenario in report.scenarios if is_load_bound(report, scenario)]
    if len(bound) == len(report.scenarios):
        title: str = "Every throughput is a property of the load, not of promptflow"
    elif bound:
        title = filled("The throughput of {} is a property of the load, not of promptflow", listed(bound))
    else:
        title = "No throughput is set by the load alone"
    evidence = [
        _evidence(_closed_loop_sentences(report, scenario), _measured_law, _of(scenario, runs))
        for scenario in report.scenarios
    ]
    return Finding(title=title, evidence=tuple(evidence))


def _evidence(sentences: Iterable[str], measured: Callable[[Run], Markdown], runs: Sequence[Run]) -> Evidence:
    return Evidence(published=joined(" ", sentences), measured=tuple(map(measured, runs)))


def _closed_loop_sentences(report: Published, scenario: PublishedScenario) -> Iterator[str]:
    row, ideal = scenario.row, ideal_rps(report)
    mean_s = row.average_response_time / 1000
    users = operational_laws.mean_users(report.users, report.spawn_rate, report.run_time_s)
    steady = operational_laws.closed_loop_rps(report.users, mean_s, report.think_s)
    ramped = operational_laws.closed_loop_rps(users, mean_s, report.think_s)
    yield _about(
        scenario,
        f"published are {significant(row.requests_per_s)} rps. "
        f"{report.users} users who wait {report.think_s:g} s between requests and {significant(mean_s)} s for an answer"
        f" make N/(R+Z) = {significant(steady)} rps in steady state. With the ramp ({significant(users)} users on "
        f"average) it is {significant(ramped)}; the published figure differs by "
        f"{deviation(row.requests_per_s, ramped)}.",
    )
    if is_load_bound(report, scenario):
        yield (
            f"A server that adds nothing to the flow's {report.floor_s:g} s would reach {significant(ideal)} rps. "
            f"The row is at {_share(row.requests_per_s / ideal)} of what the load allows, whatever the release."
        )
    else:
        yield (
            f"The load would allow {significant(ideal)} rps. The row is at {_share(row.requests_per_s / ideal)} "
            "of that, so the server limits the throughput."
        )
    if abs(row.requests_per_s - ramped) > operational_laws.LAW_TOLERANCE * ramped:
        yield "The published mean and throughput contradict this law: see the last finding."


def _about(scenario: PublishedScenario, sentences: str) -> Markdown:
    return filled("**{}**: {}", scenario.title, sentences)


def _measured(run: Run, sentences: str) -> Markdown:
    return filled("Measured ({}): {}", code(run.record.requested.profile.name), sentences)


def _share(ratio: float) -> str:
    return f"{ratio * 100:.0f} %"


def _measured_law(run: Run) -> Markdown:
    profile, values = run.record.requested.profile, run.values
    throughput, steady = values["throughput_rps"], values["steady_throughput_rps"]
    mean_ms = values["steady_response_time_mean_ms"]
    if throughput is None or steady is None or mean_ms is None:
        return _measured(run, "no steady state.")
    law = operational_laws.closed_loop_rps(profile.users, mean_ms / 1000, operational_laws.think_s(profile))
    return _measured(
        run,
        f"{significant(throughput)} rps in all, {significant(steady)} in steady state. N/(R+Z) gives "
        f"{significant(law)} there ({deviation(steady, law)}).",
    )


def _threads(report: Published, runs: Sequence[Run]) -> Finding:
    """Workers x threads / ideal time against the throughput of flows that hold a thread for a whole request."""
    bound = [scenario for scenario in report.scenarios if scenario.bound_by_threads]
    ceiling = operational_laws.thread_ceiling_rps(report.workers, report.threads, report.floor_s)
    beyond = any(scenario.row.requests_per_s > ceiling for scenario in bound)
    title = (
        f"The server did not run with the declared {report.threads} threads"
        if beyond
        else f"The figures are within what the declared {report.threads} threads allow"
    )
    evidence = [
        _evidence(_thread_sentences(report, scenario, ceiling), _measured_threads, _of(scenario, runs))
        for scenario in bound
    ]
    return Finding(title=title, evidence=tuple(evidence))


def _thread_sentences(report: Published, scenario: PublishedScenario, ceiling: float) -> Iterator[str]:
    rps = scenario.row.requests_per_s
    product = f"{report.workers} workers x {report.threads} threads / {report.floor_s:g} s = {significant(ceiling)} rps"
    yield _about(scenario, f"the ceiling is {product}. Published are {significant(rps)}.")
    if rps > ceiling:
        needed = next(
            n for n in range(1, 10**6) if operational_laws.thread_ceiling_rps(report.workers, n, report.floor_s) >= rps
        )
        as_workers = operational_laws.thread_ceiling_rps(report.workers, report.workers, report.floor_s)
        yield (
            f"At least {needed} threads a worker were needed. With {report.workers} threads, as many as workers, "
            f"the ceiling is {significant(as_workers)}, {'above' if as_workers >= rps else 'still below'} that figure."
        )


def _measured_threads(run: Run) -> Markdown:
    observed, floor, throughput = (
        run.record.observed,
        operational_laws.ideal_s(run.record),
        run.values["throughput_rps"],
    )
    if observed is None or not floor or throughput is None:
        return _measured(run, "unknown.")
    most = operational_laws.thread_ceiling_rps(observed.workers, observed.threads, floor)
    verdict = "above" if throughput > most else f"{_share(throughput / most)} of"
    return _measured(
        run,
        f"{significant(throughput)} rps with {observed.workers} workers and {observed.threads} threads, "
        f"{verdict} the ceiling of {significant(most)} rps.",
    )


def _failures(report: Published, runs: Sequence[Run]) -> Finding:
    """A smallest response time below the ideal time can only be that of a failed request."""
    floor_ms = report.floor_s * 1000
    below = [s.row.min_response_time < floor_ms and s.row.failure_count > 0 for s in report.scenarios]
    if all(below):
        title = "The latencies include failures"
    elif any(below):
        title = "Some of the latencies include failures"
    else:
        title = "No failure shows in the latencies"
    evidence = [
        _evidence(_failure_sentences(report, scenario), _measured_failures, _of(scenario, runs))
        for scenario in report.scenarios
    ]
    return Finding(title=title, evidence=tuple(evidence))


def _failure_sentences(report: Published, scenario: PublishedScenario) -> Iterator[str]:
    row, floor_ms = scenario.row, report.floor_s * 1000
    fastest = f"the smallest published response time is {significant(row.min_response_time)} ms"
    failed = f"{row.failure_count} of {row.request_count} requests failed"
    if row.min_response_time >= floor_ms:
        yield _about(scenario, f"{fastest}, not below the flow's {significant(floor_ms)} ms; {failed}.")
    elif row.failure_count:
        yield _about(
            scenario,
            f"{fastest}. The flow cannot answer in under {significant(floor_ms)} ms, so this was a failed request. "
            f"{failed[0].upper()}{failed[1:]}.",
        )
    else:
        unexplained = (
            f"{fastest}, below the flow's {significant(floor_ms)} ms. No request failed, so this is unexplained."
        )
        yield _about(scenario, unexplained)


def _measured_failures(run: Run) -> Markdown:
    measured = run.record.measurements
    fastest, slowest_failure = run.values["response_time_min_ms"], run.values["failed_time_max_ms"]
    if measured is None or fastest is None:
        return _measured(run, "no success.")
    kinds: dict[str, int] = {}
    for failure in measured.load.failures:
        kinds[failure.kind] = kinds.get(failure.kind, 0) + failure.count
    success = f"the fastest success took {significant(fastest)} ms"
    if not kinds:
        return _measured(run, f"no failure; {success}.")
    counted = listed([filled("{} {}", count, code(kind)) for kind, count in sorted(kinds.items())])
    took = f", at most {significant(slowest_failure)} ms long" if slowest_failure is not None else ""
    return _measured(run, filled("{}{}; {}.", counted, took, success))


def _in_flight(report: Published, runs: Sequence[Run]) -> Finding:
    """N - X Z users wait when the run ends; R = N/X - Z is the mean they see (see `operational_laws`)."""
    saturated = [scenario for scenario in report.scenarios if not is_load_bound(report, scenario)]
    if not saturated:
        line = (
            "Every row reaches what the load allows. The requests in flight at the end of the run were ordinary ones."
        )
        return Finding(title="No row is saturated", evidence=(Evidence(published=line, measured=()),))
    evidence = [
        _evidence(_in_flight_sentences(report, scenario), _measured_in_flight, _of(scenario, runs))
        for scenario in saturated
    ]
    lost = any(s.row.average_response_time / 1000 < _smallest_law_s(report, s) for s in saturated)
    title = "The saturated row lacks its slowest requests" if lost else "The saturated row's mean fits its throughput"
    return Finding(title=title, evidence=tuple(evidence))


def _smallest_law_s(report: Published, scenario: PublishedScenario) -> float:
    """N/X - Z with the ramp: the smallest mean that fits the throughput, less the tolerance."""
    users = operational_laws.mean_users(report.users, report.spawn_rate, report.run_time_s)
    return operational_laws.response_time_s(users, scenario.row.requests_per_s, report.think_s) * (
        1 - operational_laws.LAW_TOLERANCE
    )


def _in_flight_sentences(report: Published, scenario: PublishedScenario) -> Iterator[str]:
    row = scenario.row
    waiting = operational_laws.waiting_users(report.users, row.requests_per_s, report.think_s)
    law = operational_laws.response_time_s(report.users, row.requests_per_s, report.think_s)
    ramped = operational_laws.response_time_s(
        operational_laws.mean_users(report.users, report.spawn_rate, report.run_time_s),
        row.requests_per_s,
        report.think_s,
    )
    mean_s = row.average_response_time / 1000
    relation = "below both" if mean_s < min(law, ramped) else "below the first only" if mean_s < law else "not below"
    yield _about(
        scenario,
        f"at {significant(row.requests_per_s)} rps, N - X Z = {waiting:.0f} users were waiting "
        f"for an answer when the run ended. No figure includes them; {row.request_count} requests were recorded. "
        f"N/X - Z = {significant(law)} s ({significant(ramped)} s with the ramp). The published mean of "
        f"{significant(mean_s)} s is {relation}.",
    )


def _measured_in_flight(run: Run) -> Markdown:
    profile, values, measured = run.record.requested.profile, run.values, run.record.measurements
    steady, mean_ms, reported = (
        values[name] for name in ("steady_throughput_rps", "steady_response_time_mean_ms", "response_time_mean_ms")
    )
    if measured is None or not steady or mean_ms is None or reported is None:
        return _measured(run, "no steady state.")
    law = operational_laws.response_time_s(profile.users, steady, operational_laws.think_s(profile))
    return _measured(
        run,
        f"{measured.load.in_flight_at_stop} requests in flight at the end, {measured.load.recorded} recorded. "
        f"Locust reports a mean of {significant(reported / 1000)} s. Successes in steady state took "
        f"{significant(mean_ms / 1000)} s, and N/X - Z gives {significant(law)} s.",
    )
