"""The registry of metrics: one row each, computed from one run; a new row reaches every table by itself.

A metric is None where the run lacks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.analysis import counted_work, distribution, operational_laws
from scripts.analysis.run_data import RunData
from scripts.config.load_profiles import COUNT
from scripts.records.schema import Counts, Disturbance, Histograms, LocustRow, RequestedConfig, RunRecord, Server

Better = Literal["higher", "lower", "-"]

View = Literal["releases", "history", "report chart", "spread", "terminal"]
"""Where a metric is shown besides the full tables: a column over releases, a panel of either picture over releases, the
line with the range of several runs, the summary of a bench session."""


Compute = Callable[[RunData], float | None]
ComputeCounted = Callable[[Counts], float | None]

_ARROWS: dict[Better, str] = {"higher": "\u2191", "lower": "\u2193", "-": ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure of a run."""

    name: str  # ends with its unit where it has one
    unit: str
    better: Better
    meaning: str  # one line, for the glossary
    shown_in: tuple[View, ...] = ()
    latency: bool = False  # of response times: not to be ranked where a run lost its slowest requests
    minimum_effect: float | None = None  # smallest relative change that a comparison counts; None: never compared
    follows_speed: bool = False  # moves with the machine's speed: comparisons adjust it with the speed covariate
    compute: Compute | None = None  # from a run that measured time
    compute_counted: ComputeCounted | None = None  # from a run that counted work

    @property
    def words(self) -> str:
        """The name for people, without its unit, e.g. "overhead p50"."""
        ending = "" if self.unit in ("ratio", "instructions") else f"_{self.unit}"  # without it the name says less
        return self.name.removesuffix(ending).replace("_", " ").replace("cpu", "CPU")

    @property
    def title(self) -> str:
        """The heading of its column, e.g. "overhead p50 (ms)"; bytes carry their unit in each cell."""
        return f"{self.words} ({self.unit})" if self.unit in {"ms", "s", "rps"} else self.words

    @property
    def direction(self) -> str:
        """The good direction in words, e.g. "lower is better"; empty for a metric without one."""
        return "" if self.better == "-" else f"{self.better} is better"

    def worse(self, change: float) -> float:
        """A change, e.g. a log ratio, turned so that above 0 is worse."""
        return -change if self.better == "higher" else change

    @property
    def counted(self) -> bool:
        """Whether it comes from a run that counts work, and not from one that measures time."""
        return self.compute_counted is not None

    @property
    def full_title(self) -> str:
        """The title with the good direction, e.g. "overhead p50 (ms, lower is better)"."""
        unit = self.unit if self.title != self.words else ""
        inside = ", ".join(filter(None, [unit, self.direction]))
        return f"{self.words} ({inside})" if inside else self.words

    @property
    def short_title(self) -> str:
        """The title with an arrow for the good direction, e.g. "overhead p50 (ms) \u2193", for wide tables."""
        return f"{self.title} {_ARROWS[self.better]}".rstrip()


def derive(record: RunRecord, histograms: Histograms) -> dict[str, float | None]:
    """Every metric of one run by name; all None when the run measured nothing."""
    measured = record.measurements
    data = RunData(record=record, measured=measured, histograms=histograms) if measured is not None else None
    return {metric.name: _value(metric, data, record.counts) for metric in METRICS}


def of(requested: RequestedConfig) -> tuple[Metric, ...]:
    """The metrics that a run can have: it either counts work, or measures time."""
    counted = requested.profile.name == COUNT
    return tuple(metric for metric in METRICS if metric.counted == counted)


def compared(requested: RequestedConfig) -> tuple[Metric, ...]:
    """The metrics that a comparison of such runs judges by default."""
    return COUNTED_COMPARED if requested.profile.name == COUNT else COMPARED


def _value(metric: Metric, data: RunData | None, counts: Counts | None) -> float | None:
    if metric.compute is not None:
        return metric.compute(data) if data is not None else None
    return metric.compute_counted(counts) if metric.compute_counted is not None and counts is not None else None


def _percentile(kind: str, percent: float) -> Compute:
    return lambda data: distribution.percentile_ms(data.counts(kind), percent)


def _mean(kind: str) -> Compute:
    return lambda data: distribution.mean_ms(data.counts(kind))


def _row(value: Callable[[LocustRow], float | None]) -> Compute:
    return lambda data: value(data.aggregated) if data.aggregated else None


def _server(value: Callable[[Server], float | None]) -> Compute:
    return lambda data: value(data.measured.server) if data.measured.server else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _memory_growth(data: RunData) -> float | None:
    server = data.measured.server
    if server is None:
        return None
    return _ratio((server.memory_end_bytes - server.memory_start_bytes) * 1000, data.measured.load.recorded)


def _imbalance(workers: Sequence[float]) -> float | None:
    return _ratio(max(workers) * len(workers), sum(workers)) if workers else None


def _beyond_ideal(answer_s: Callable[[Server], float | None]) -> Compute:
    """An answer time of the server, less the flow's ideal time."""

    def beyond(data: RunData) -> float | None:
        ideal_s, took_s = operational_laws.ideal_s(data.record), _server(answer_s)(data)
        return None if ideal_s is None or took_s is None else (took_s - ideal_s) * 1000

    return beyond


def _slowest_first(server: Server) -> float | None:
    return max((answer for answer in server.first_answers_s if answer is not None), default=None)


def _run_queue_wait(data: RunData) -> float | None:
    waited_s = data.measured.generator.run_queue_wait_s
    return None if waited_s is None else _ratio(waited_s * 1000, data.generated)


def _mock_cpu(data: RunData) -> float | None:
    return _ratio(data.measured.backend.cpu_s * 1000, data.window_completed)


def _generator_cpu(data: RunData) -> float | None:
    return _ratio(data.measured.generator.cpu_s * 1000, data.generated)


def _speed_covariate(data: RunData) -> float | None:
    """None of arms loaded at once: they share the machine at the same time, so there is nothing to adjust."""
    if data.measured.generator.recorded_in_all is not None:
        return None
    mock, generator = _mock_cpu(data), _generator_cpu(data)
    return None if mock is None or generator is None else mock + generator


def _ceiling_use(data: RunData) -> float | None:
    """Of the steady state, because the laws behind the ceiling hold there and not in the ramp."""
    ceiling, reached = operational_laws.ceiling_rps(data.record), data.steady_throughput_rps
    return None if ceiling is None or reached is None else _ratio(reached, ceiling)


def _of_machine(seconds: Callable[[Disturbance], float | None]) -> Compute:
    """CPU seconds as a share of what all cores had in that window."""

    def share(data: RunData) -> float | None:
        found = data.measured.disturbance
        used = seconds(found)
        return None if used is None else _ratio(used, found.window_s * found.cores)

    return share


def _reference_loop(data: RunData) -> float | None:
    return (data.record.machine.loop_before_ms + data.measured.disturbance.loop_after_ms) / 2


def _fastest(data: RunData) -> float | None:
    fastest_us = data.fastest_us("ok")
    return None if fastest_us is None else fastest_us / 1000


def _slowest_failure(data: RunData) -> float | None:
    slowest_us = data.slowest_us("failed")
    return None if slowest_us is None else slowest_us / 1000


def _metric(  # noqa: PLR0913 - a row of the table below, with its few options named
    name: str, unit: str, better: Better, compute: Compute, meaning: str, *, shown_in: tuple[View, ...] = (),
    latency: bool = False, minimum_effect: float | None = None, follows_speed: bool = False,
) -> Metric:  # fmt: skip
    return Metric(
        name=name, unit=unit, better=better, meaning=meaning, shown_in=shown_in, latency=latency,
        minimum_effect=minimum_effect, follows_speed=follows_speed, compute=compute,
    )  # fmt: skip


def _counted(
    name: str, unit: str, compute: ComputeCounted, meaning: str, *, shown_in: tuple[View, ...] = (),
    minimum_effect: float | None = None,
) -> Metric:  # fmt: skip
    return Metric(
        name=name, unit=unit, better="lower", meaning=meaning, shown_in=shown_in, minimum_effect=minimum_effect,
        compute_counted=compute,
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    _metric("throughput_rps", "rps", "higher", _row(lambda row: row.requests_per_s),
            "all requests per second of the whole run, failures and ramp included; locust's own figure",
            shown_in=("releases", "report chart", "spread")),
    _metric("steady_throughput_rps", "rps", "higher", lambda data: data.steady_throughput_rps,
            "requests per second in steady state, failures included", minimum_effect=0.02),
    _metric("ceiling_use", "ratio", "-", _ceiling_use,
            "steady throughput / the highest that load and workers allow: min(N/(R0+Z), workers x threads / R0)",
            shown_in=("releases", "report chart")),
    _metric("failure_ratio", "ratio", "lower", _row(lambda row: _ratio(row.failure_count, row.request_count)),
            "failed requests / all requests",
            shown_in=("releases",)),
    _metric("response_time_mean_ms", "ms", "lower", _row(lambda row: row.average_response_time),
            "mean of all requests, failures and ramp included; locust's own figure", latency=True,
            shown_in=("spread",)),
    _metric("steady_response_time_mean_ms", "ms", "lower", _mean("ok"), "exact mean of successes in steady state",
            latency=True),
    _metric("response_time_min_ms", "ms", "-", _fastest, "fastest success of the whole run"),
    _metric("response_time_p50_ms", "ms", "lower", _percentile("ok", 50),
            "median of successes in steady state", latency=True, minimum_effect=0.01,
            shown_in=("releases", "report chart")),
    _metric("response_time_p95_ms", "ms", "lower", _percentile("ok", 95),
            "95th percentile of successes in steady state", latency=True),
    _metric("response_time_p99_ms", "ms", "lower", _percentile("ok", 99),
            "99th percentile of successes in steady state", latency=True,
            shown_in=("releases", "report chart")),
    _metric("overhead_mean_ms", "ms", "lower", _mean("overhead"),
            "exact mean of overhead in steady state; overhead: response time - the flow's and the backend's waits",
            latency=True),
    _metric("overhead_p50_ms", "ms", "lower", _percentile("overhead", 50),
            "median overhead in steady state", latency=True, minimum_effect=0.05, follows_speed=True,
            shown_in=("releases", "history", "report chart", "terminal")),
    _metric("overhead_p95_ms", "ms", "lower", _percentile("overhead", 95),
            "95th percentile of overhead in steady state", latency=True),
    _metric("overhead_p99_ms", "ms", "lower", _percentile("overhead", 99),
            "99th percentile of overhead in steady state", latency=True, minimum_effect=0.10, follows_speed=True,
            shown_in=("releases", "history", "terminal")),
    _metric("backend_call_p50_ms", "ms", "lower", _percentile("backend_call", 50),
            "median of the part of the overhead that lies around the flow's backend call",
            latency=True, minimum_effect=0.05, follows_speed=True),
    _metric("failed_time_max_ms", "ms", "-", _slowest_failure, "slowest failed request of the whole run"),
    _metric("in_flight_at_stop", "requests", "-", lambda data: data.measured.load.in_flight_at_stop,
            "requests without an answer when the run ended; no latency figure includes them"),
    _metric("cpu_per_request_ms", "ms", "lower", _server(lambda server: _ratio(server.cpu_s * 1000, server.completed)),
            "CPU time of the server's process tree per completed request in steady state",
            minimum_effect=0.02, follows_speed=True,
            shown_in=("releases", "history", "report chart", "spread", "terminal")),
    _metric("memory_start_bytes", "bytes", "lower", _server(lambda server: server.memory_start_bytes),
            "memory of the server's process tree before the load, verified and idle", minimum_effect=0.02),
    _metric("memory_end_bytes", "bytes", "lower", _server(lambda server: server.memory_end_bytes),
            "memory of the server's process tree after the load", minimum_effect=0.02,
            shown_in=("releases", "history", "terminal")),
    _metric("memory_growth_per_1000_requests_bytes", "bytes", "lower", _memory_growth,
            "memory growth from start to end per 1000 requests"),
    _metric("ready_s", "s", "lower", _server(lambda server: server.ready_s),
            "from the start of the server process to its first good /health", minimum_effect=0.10,
            shown_in=("releases", "history", "terminal")),
    _metric("settled_s", "s", "lower", _server(lambda server: server.settled_s),
            "from the start of the server process until every worker had started and was idle"),
    _metric("first_answer_ms", "ms", "lower", _beyond_ideal(lambda server: server.first_answer_s),
            "time of the server's first answer, alone on an idle machine, less the ideal time", minimum_effect=0.20,
            shown_in=("history",)),
    _metric("first_answer_under_load_ms", "ms", "lower", _beyond_ideal(_slowest_first),
            "first answer under load of the slowest worker that is known, less the ideal time"),
    _metric("worker_imbalance", "ratio", "lower", _server(lambda server: _imbalance(server.worker_cpu_s)),
            "CPU time of the busiest worker / mean of the workers; 1 is even"),
    _metric("worker_request_imbalance", "ratio", "lower", _server(lambda server: _imbalance(server.worker_requests)),
            "most successes of a worker in steady state / mean of the workers; 1 is even"),
    _metric("mock_cpu_per_request_ms", "ms", "-", _mock_cpu,
            "CPU time of the mock API per completed request in steady state"),
    _metric("generator_lag_p99_ms", "ms", "-", lambda data: data.measured.generator.lag_p99_ms,
            "how late the load generator's event loop woke; from 10 ms on the run is generator-bound",
            shown_in=("terminal",)),
    _metric("generator_cpu_per_request_ms", "ms", "-", _generator_cpu,
            "CPU time of the load generator per recorded request"),
    _metric("run_queue_wait_ms", "ms", "-", _run_queue_wait,
            "time that the load generator waited for a core although it was ready to run, per recorded request"),
    _metric("speed_covariate_ms", "ms", "-", _speed_covariate,
            "CPU time of mock API and load generator per request, in which no promptflow runs: the machine's speed"),
    _metric("reference_loop_ms", "ms", "-", _reference_loop,
            "CPU time of a fixed piece of work, mean of before and after the load; shows how fast the cores were",
            shown_in=("releases", "spread")),
    _metric("other_cpu_ratio", "ratio", "-", _of_machine(lambda found: found.other_s),
            "share of the machine's CPU that other processes took in steady state: neither servers nor generator"),
    _metric("harness_cpu_ratio", "ratio", "-", _of_machine(lambda found: found.harness_s),
            "share of the machine's CPU that the harness itself took in steady state: telemetry and progress"),
    _metric("stolen_cpu_ratio", "ratio", "-", _of_machine(lambda found: found.stolen_s),
            "share of the machine's CPU that the hypervisor took in steady state"),
    _counted("instructions_per_request", "instructions", counted_work.instructions_per_request,
             "instructions that the worker executes in user space for a request, warm, without garbage collections",
             minimum_effect=0.005, shown_in=("releases", "spread", "terminal")),
    _counted("system_calls_per_request", "system calls", counted_work.system_calls_per_request,
             "system calls of the worker for a request, warm; the median window of a count",
             minimum_effect=0.02, shown_in=("releases", "terminal")),
    _counted("instructions_growth_per_request", "instructions", counted_work.growth,
             "instructions by which a request grows with every request served; 0 where the windows have no trend",
             shown_in=("releases", "terminal")),
    _counted("first_request_instructions", "instructions", lambda counts: counts.first_request_instructions,
             "instructions of the first request, with what it imports",
             minimum_effect=0.02, shown_in=("releases", "terminal")),
    _counted("start_up_instructions", "instructions", lambda counts: counts.start_up_instructions,
             "instructions of all the server's processes until it is ready, where they were counted",
             shown_in=("terminal",)),
    _counted("full_collection_instructions", "instructions", counted_work.full_collection_instructions,
             "instructions of one full garbage collection, beyond the smaller ones of other windows",
             shown_in=("terminal",)),
    _counted("extra_instructions_per_request", "instructions", counted_work.extra_instructions_per_request,
             "instructions beyond the steady work for each request of a count, e.g. of garbage collections"),
)  # fmt: skip

COMPARED = tuple(metric for metric in METRICS if metric.minimum_effect is not None and metric.compute is not None)
"""The metrics that a comparison of runs that measure time judges by default."""

COUNTED_COMPARED = tuple(metric for metric in METRICS if metric.minimum_effect is not None and metric.counted)
"""The same of runs that count work."""
