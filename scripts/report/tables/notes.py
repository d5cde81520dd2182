"""The sentences under a table: how runs ended, how they were served and loaded, how to repeat them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator

from scripts.analysis import operational_laws
from scripts.analysis.grouping import Cell
from scripts.analysis.metrics import METRICS, Metric
from scripts.analysis.run_reader import Run
from scripts.config.errors import UsageError
from scripts.config.load_profiles import COUNT, Profile
from scripts.config.matrix import MOCK, Suite, session_name
from scripts.records import conditions
from scripts.records.conditions import Difference
from scripts.records.schema import Counts, Measurements, ObservedConfig, RequestedConfig, RunRecord
from scripts.records.storage import RECORD_FILE, run_path
from scripts.report.tables.formatting import Markdown, code, filled, joined, listed, marked, quantity, significant

_GIB = 2**30
_NOT_DECLARED = "It cannot be repeated: suite.toml no longer declares it."


def machines(shown: Iterable[Cell]) -> list[str]:
    """The machines and Pythons of the runs with figures; without such runs, those of all runs."""
    records = [cell.shown.record for cell in shown]
    return sorted({_machine(record) for record in records if record.observed} or {_machine(r) for r in records})


def _machine(record: RunRecord) -> str:
    found = record.machine
    memory = f"{found.memory_bytes / _GIB:.0f} GiB"
    return f"{found.cpu_model}, {found.cores} cores, {memory} memory, {found.system}, Python {record.python}"


def config(profile: Profile) -> Markdown:
    """The Config block of the published report."""
    server = [f"PROMPTFLOW_WORKER_NUM={profile.workers}", f"PROMPTFLOW_WORKER_THREADS={profile.threads}"]
    if profile.name == COUNT:  # there are no users
        return joined("\n", server)
    return joined("\n", [
        f"USERS={profile.users}",
        f"HATCH_RATE={profile.spawn_rate}",
        f"RUN_TIME={profile.run_time_s}s",
        *server,
    ])  # fmt: skip


def run_link(run: Run) -> Markdown:
    """A link from a release's page to a run's directory."""
    record = run.record
    return filled("[{}](../{}/{})", record.run_id, run_path(record).as_posix(), RECORD_FILE)


def not_ok(cell: Cell) -> list[Markdown]:
    """Outcome and reasons of every run that is not ok."""
    bad = [run for run in cell.runs if run.outcome != "ok"]
    return [
        filled(
            "{}, run {}: {}: {}",
            run.record.requested.release,
            run.record.run_id,
            run.outcome,
            joined("; ", map(code, run.reasons)) or "no reason recorded",
        )
        for run in bad
    ]


def distrusted(cell: Cell) -> list[Markdown]:
    """Why latencies of ok runs are in parentheses."""
    return [
        filled(
            "{}, run {}: latencies in parentheses: {}", run.record.requested.release, run.record.run_id, code(reason)
        )
        for run in cell.ok
        for reason in run.distrusted
    ]


def differing(first: Cell, other: Cell) -> Markdown:
    """The conditions in which two cells differ, with both values."""
    found = conditions.differences(first.shown.record, other.shown.record)
    named = []
    for difference in found:
        fields = _profile(first, other) if difference.name == conditions.PROFILE else []
        named += fields or [difference]
    return listed([filled("{} ({} there, {} here)", d.name, code(d.first), code(d.second)) for d in named])


def only_profile_differs(first: Cell, other: Cell) -> bool:
    """Whether nothing else keeps two cells from sharing a table."""
    found = conditions.differences(first.shown.record, other.shown.record)
    return [d.name for d in found] == [conditions.PROFILE]


def _profile(first: Cell, other: Cell) -> list[Difference]:
    """The fields in which their profiles differ, e.g. the threads of a release that cannot have those requested."""
    one, another = (dataclasses.asdict(cell.requested.profile) for cell in (first, other))
    return [
        Difference(name=name.replace("_", " "), first=str(value), second=str(another[name]))
        for name, value in one.items()
        if another[name] != value
    ]


def section(suite: Suite, cell: Cell) -> list[str]:
    """The result of a cell: outcome, doubts, main metrics and failures, and the command that repeats it."""
    run = cell.shown
    lines: list[str] = [_outcome(cell, run), *(filled("Not ok: {}.", line) for line in not_ok(cell))]
    lines += [filled("Do not rank or compare: {}.", line) for line in distrusted(cell)]
    if run.record.counts is not None:
        lines += [_main_metrics(cell), _counted(run.record.counts)]
    if run.record.measurements is not None:
        lines += [_bound(run), _main_metrics(cell), _failures(run.record.measurements)]
    lines.append(_repeat_line(suite, run.record.requested))
    return lines


def method(cell: Cell) -> list[str]:
    """How the run shown was made: its server, its load generator, and what its memory figures count."""
    record = cell.shown.record
    lines: list[str] = []
    if record.observed is not None:
        lines.append(_server(record.requested, record.observed))
    if record.measurements is not None:
        lines += [_generator(record.measurements, cell.shown.values), *_memory(record.measurements)]
    return lines


def spread(cell: Cell) -> Iterator[Markdown]:
    """The range of several runs of a cell, and of the machine's own speed."""
    if len(cell.ok) < 2:  # noqa: PLR2004 - one run has no spread
        return
    ranges = []
    for metric in METRICS:
        found = cell.spread(metric.name)
        if "spread" in metric.shown_in and found is not None:
            low, high = (quantity(value, metric.unit) for value in (found.low, found.high))
            range_ = marked(f"{low} to {high}{_unit(metric)}", counts=cell.counts(metric))
            ranges.append(f"{metric.words} {range_}")
    yield filled(
        "Range of {} ok runs: {}. The reference loop is always the same work. "
        "What it and the figures have in common comes from the machine.",
        len(cell.ok),
        listed(ranges),
    )


def other_conditions(shown: Cell, others: Iterable[Cell]) -> Iterator[Markdown]:
    """How many runs exist under other conditions, and what differs."""
    for other in others:
        yield filled(
            "{} more run(s) under other conditions are not pooled with these. They differ in {}.",
            len(other.runs),
            differing(other, shown),
        )


def _outcome(cell: Cell, run: Run) -> Markdown:
    if run.outcome != "ok":
        has_figures = run.record.measurements is not None or run.record.counts is not None
        figures = " Its figures are in parentheses." if has_figures else ""
        return filled(
            "Outcome: {}. None of {} run(s) is ok. The newest is {}.{}",
            run.outcome,
            len(cell.runs),
            run_link(run),
            figures,
        )
    which = (
        "the only run"
        if len(cell.runs) == 1
        else (f"the one with the median {_cost(run)} of {len(cell.ok)} ok run(s) ({len(cell.runs)} in all)")
    )
    return filled("Outcome: ok. The table and the chart show run {}, {}.", run_link(run), which)


def _cost(run: Run) -> str:
    return "response time" if run.record.counts is None else "instructions per request"


def _bound(run: Run) -> str:
    """What limited the throughput of the run shown; it may differ in the others."""
    return f"Bound: {run.bound or 'unknown'}."


def _main_metrics(cell: Cell) -> Markdown:
    """The metrics of the table over releases, of the run shown."""
    run = cell.shown
    figures = [
        f"{m.words} {marked(quantity(run.values[m.name], m.unit) + _unit(m), counts=run.counts(m))}"
        for m in METRICS
        if "releases" in m.shown_in and run.values[m.name] is not None
    ]
    return filled("Main metrics: {}.", listed(figures))


def _memory(measured: Measurements) -> Iterator[Markdown]:
    if measured.server is not None and measured.server.memory_kind != "pss":
        kind = code(measured.server.memory_kind)
        yield filled("Memory is {}: memory that processes share is counted once for each.", kind)


def _unit(metric: Metric) -> str:
    return f" {metric.unit}" if metric.unit in {"ms", "s", "rps"} else ""


def _counted(counts: Counts) -> Markdown:
    """How work was counted."""
    requests = sum(window.requests for window in counts.windows)
    return filled(
        "Counted by valgrind {} in one worker, whatever the command's own number: "
        "{} requests in {} windows, after {} requests. Held constant: {}.",
        counts.valgrind,
        requests,
        len(counts.windows),
        counts.warm_up_requests,
        listed(counts.pinned),
    )


def _failures(measured: Measurements) -> Markdown:
    found = [filled("{} {} ({})", f.count, code(f.kind), code(f.message)) for f in measured.load.failures]
    return filled("Failures: {}.", listed(found) or "none")


def _generator(measured: Measurements, values: dict[str, float | None]) -> str:
    own = measured.generator
    waited = "" if own.run_queue_wait_s is None else f" and waited {significant(own.run_queue_wait_s)} s for a core"
    several = f" in {len(own.processes)} processes" if own.processes else ""
    return (
        f"Load generator: locust {own.locust}{several}, {own.user_class}. "
        f"It used {significant(own.cpu_s)} s of CPU "
        f"({quantity(values['generator_cpu_per_request_ms'], 'ms')} ms a request){waited}. "
        f"Its event loop woke {significant(own.lag_p99_ms)} ms late (p99). It raised {own.exceptions} exceptions."
    )


def _server(requested: RequestedConfig, observed: ObservedConfig) -> Markdown:
    held = operational_laws.held_at_once(observed)
    threads = "threads do not apply" if held is None else f"{observed.threads} threads each"
    return filled(
        "Server: {}. Observed: {} workers, {}. Requested: {} workers, {} threads each.",
        code(shlex.join(observed.command)),
        observed.workers,
        threads,
        requested.profile.workers,
        requested.profile.threads,
    )


def repeat_any(suite: Suite, requested: RequestedConfig) -> str:
    """How to repeat a row of a table of releases."""
    command = _repeat(suite, requested)
    if command is None:
        return _NOT_DECLARED
    if requested.release == MOCK:
        return filled("Repeat with {}.", code(command))
    return filled("Repeat a row with {}.", code(command.replace(f"-{requested.release}-", "-RELEASE-")))


def _repeat_line(suite: Suite, requested: RequestedConfig) -> str:
    command = _repeat(suite, requested)
    return _NOT_DECLARED if command is None else filled("Repeat with {}.", code(command))


def _repeat(suite: Suite, requested: RequestedConfig) -> str | None:
    """The command; None for a release or engine that suite.toml no longer has."""
    counted = requested.profile.name == COUNT
    try:
        session = (
            "bench-mock"
            if requested.release == MOCK
            else session_name(
                suite.release(requested.release), suite.engine(requested.engine), "count" if counted else "bench"
            )
        )
    except UsageError:
        return None
    options = [] if counted else ["--profile", requested.profile.name]
    if requested.release != MOCK:
        options += ["--flow", requested.flow]
        options += ["--python", requested.python] if requested.python != suite.python else []
    return shlex.join(["nox", "-s", session, "--", *options])
