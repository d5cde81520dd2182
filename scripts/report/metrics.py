"""The registry of metrics: one row each, computed from one run; a new row reaches every table by itself.

Pure. Imports the record, `distribution` and `laws`. A metric is None where a run cannot tell it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scripts.record import Counts, Disturbance, Histograms, LocustRow, Measurements, RunRecord, Server, Window
from scripts.report import distribution, laws

Better = Literal["higher", "lower", "-"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What a metric is computed from."""

    record: RunRecord
    measured: Measurements
    histograms: Histograms

    def counts(self, kind: str, window: Window = "steady") -> Counts | None:
        """A distribution; None when nothing of that kind was seen."""
        return self.histograms.windows.get(window, {}).get(kind)

    def whole(self, kind: str) -> Counts | None:
        """The distribution over all windows together."""
        return distribution.merge(kinds.get(kind) for kinds in self.histograms.windows.values())

    @property
    def aggregated(self) -> LocustRow | None:
        """The last row of locust's statistics, over all requests; None when it has none."""
        rows = self.measured.load.locust_rows
        return rows[-1] if rows else None

    @property
    def steady_completed(self) -> int:
        """Requests that ended after the last user had started, failures included."""
        return distribution.size(self.counts("ok")) + distribution.size(self.counts("failed"))

    @property
    def window_completed(self) -> int:
        """Requests completed in the window over which CPU time was counted."""
        server = self.measured.server
        return server.completed if server else self.steady_completed

    @property
    def steady_s(self) -> float:
        """Length of the steady window; 0 when not all users ever started."""
        load = self.measured.load
        warm_up_s = self.record.asked.profile.warm_up_s
        return 0.0 if load.all_users_at_s is None else load.stopped_s - load.all_users_at_s - warm_up_s


Compute = Callable[[Sample], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure of a run."""

    name: str  # ends with its unit where it has one
    unit: str
    better: Better
    meaning: str  # one line, for the glossary
    headline: bool = False  # a column of the tables across releases
    least: float | None = None  # the smallest relative change that counts in a comparison; None: never compared
    follows_speed: bool = False  # moves with the machine's speed, so comparisons adjust it by the control arm
    compute: Compute

    @property
    def words(self) -> str:
        """The name for people, without its unit, e.g. "overhead p50"."""
        ending = "" if self.unit == "ratio" else f"_{self.unit}"
        return self.name.removesuffix(ending).replace("_", " ").replace("cpu", "CPU")

    @property
    def title(self) -> str:
        """The heading of its column, e.g. "overhead p50 (ms)"; bytes carry their unit in each cell."""
        return f"{self.words} ({self.unit})" if self.unit in {"ms", "s", "rps"} else self.words


def derive(record: RunRecord, histograms: Histograms) -> dict[str, float | None]:
    """Every metric of one run by name; all None when the run measured nothing."""
    if record.measurements is None:
        return dict.fromkeys((metric.name for metric in METRICS), None)
    sample = Sample(record=record, measured=record.measurements, histograms=histograms)
    return {metric.name: metric.compute(sample) for metric in METRICS}


def _percentile(kind: str, percent: float) -> Compute:
    return lambda sample: distribution.percentile_ms(sample.counts(kind), percent)


def _mean(kind: str) -> Compute:
    return lambda sample: distribution.mean_ms(sample.counts(kind))


def _row(value: Callable[[LocustRow], float | None]) -> Compute:
    return lambda sample: value(sample.aggregated) if sample.aggregated else None


def _server(value: Callable[[Server], float | None]) -> Compute:
    return lambda sample: value(sample.measured.server) if sample.measured.server else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _steady_throughput(sample: Sample) -> float | None:
    return _ratio(sample.steady_completed, sample.steady_s)


def _memory_growth(sample: Sample) -> float | None:
    server = sample.measured.server
    if server is None:
        return None
    return _ratio((server.memory_end_bytes - server.memory_start_bytes) * 1000, sample.measured.load.recorded)


def _imbalance(server: Server) -> float | None:
    workers = server.worker_cpu_s
    return _ratio(max(workers) * len(workers), sum(workers)) if workers else None


def _ceiling_use(sample: Sample) -> float | None:
    """Of the steady state, because the laws behind the ceiling hold there and not in the ramp."""
    ceiling, reached = laws.ceiling_rps(sample.record), _steady_throughput(sample)
    return None if ceiling is None or reached is None else _ratio(reached, ceiling)


def _of_machine(seconds: Callable[[Disturbance], float]) -> Compute:
    """CPU seconds as a share of what all cores had in that window."""

    def share(sample: Sample) -> float | None:
        found = sample.measured.disturbance
        return _ratio(seconds(found), found.window_s * found.cores)

    return share


def _reference_loop(sample: Sample) -> float | None:
    return (sample.record.machine.loop_before_ms + sample.measured.disturbance.loop_after_ms) / 2


def _fastest(sample: Sample) -> float | None:
    counts = sample.whole("ok")
    return counts.min_us / 1000 if counts else None


def _slowest_failure(sample: Sample) -> float | None:
    counts = sample.whole("failed")
    return counts.max_us / 1000 if counts else None


def _control(sample: Sample) -> float | None:
    generator, mock = sample.measured.generator, sample.measured.backend
    by_generator = _ratio(generator.cpu_s * 1000, sample.measured.load.recorded)
    by_mock = _ratio(mock.cpu_s * 1000, sample.window_completed)
    return None if by_generator is None or by_mock is None else by_generator + by_mock


def _first_answer(sample: Sample) -> float | None:
    server, ideal_s = sample.measured.server, laws.ideal_s(sample.record)
    if server is None or server.first_answer_s is None or ideal_s is None:
        return None
    return (server.first_answer_s - ideal_s) * 1000


def _metric(
    name: str, unit: str, better: Better, compute: Compute, meaning: str, *,
    headline: bool = False, least: float | None = None, follows_speed: bool = False,
) -> Metric:  # fmt: skip
    return Metric(
        name=name, unit=unit, better=better, meaning=meaning, headline=headline, compute=compute, least=least,
        follows_speed=follows_speed,
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    _metric("throughput_rps", "rps", "higher", _row(lambda row: row.requests_per_s),
            "all requests, failures included, over the run time with its ramp; locust's own figure", headline=True),
    _metric("steady_throughput_rps", "rps", "higher", _steady_throughput,
            "requests that ended after the last user had started, over that time"),
    _metric("ceiling_use", "ratio", "-", _ceiling_use,
            "steady throughput / min(N/(R0+Z), workers x threads / R0): share of what load and workers allow",
            headline=True),
    _metric("failure_ratio", "ratio", "lower", _row(lambda row: _ratio(row.failure_count, row.request_count)),
            "failed requests / all requests", headline=True),
    _metric("response_time_mean_ms", "ms", "lower", _row(lambda row: row.average_response_time),
            "mean of all requests, failures and ramp included; locust's own figure"),
    _metric("steady_response_time_mean_ms", "ms", "lower", _mean("ok"), "exact mean of successes in steady state"),
    _metric("response_time_min_ms", "ms", "-", _fastest, "fastest success of the whole run"),
    _metric("response_time_p50_ms", "ms", "lower", _percentile("ok", 50),
            "median of successes in steady state", headline=True),
    _metric("response_time_p95_ms", "ms", "lower", _percentile("ok", 95),
            "95 % of successes in steady state took no longer"),
    _metric("response_time_p99_ms", "ms", "lower", _percentile("ok", 99),
            "99 % of successes in steady state took no longer", headline=True),
    _metric("overhead_mean_ms", "ms", "lower", _mean("overhead"),
            "exact mean of overhead: response time - the flow's own wait - what the backend waited"),
    _metric("overhead_p50_ms", "ms", "lower", _percentile("overhead", 50),
            "median overhead in steady state", headline=True, least=0.05, follows_speed=True),
    _metric("overhead_p95_ms", "ms", "lower", _percentile("overhead", 95), "95th percentile of overhead"),
    _metric("overhead_p99_ms", "ms", "lower", _percentile("overhead", 99),
            "99th percentile of overhead", headline=True, least=0.1, follows_speed=True),
    _metric("backend_call_p50_ms", "ms", "lower", _percentile("backend_call", 50),
            "median of the part of the overhead that lies around the flow's backend call", least=0.05,
            follows_speed=True),
    _metric("failed_time_max_ms", "ms", "-", _slowest_failure, "slowest failed request of the whole run"),
    _metric("in_flight_at_stop", "requests", "-", lambda sample: sample.measured.load.in_flight_at_stop,
            "requests without an answer when the run ended; in no latency figure"),
    _metric("cpu_per_request_ms", "ms", "lower", _server(lambda server: _ratio(server.cpu_s * 1000, server.completed)),
            "CPU time of the server's process tree per completed request in steady state", headline=True, least=0.02,
            follows_speed=True),
    _metric("memory_start_bytes", "bytes", "lower", _server(lambda server: server.memory_start_bytes),
            "memory of the server's process tree, verified and idle", least=0.02),
    _metric("memory_end_bytes", "bytes", "lower", _server(lambda server: server.memory_end_bytes),
            "memory of the server's process tree after the load", headline=True, least=0.02),
    _metric("memory_growth_per_1000_requests_bytes", "bytes", "lower", _memory_growth,
            "memory growth from start to end per 1000 requests"),
    _metric("ready_s", "s", "lower", _server(lambda server: server.ready_s),
            "start of the server process to its first good /health", headline=True, least=0.1),
    _metric("first_answer_ms", "ms", "lower", _first_answer,
            "overhead of the server's first answer, cold and with nothing else to do", headline=True, least=0.2),
    _metric("control_cpu_per_request_ms", "ms", "-", _control,
            "CPU time of load generator and mock API per request: the control arm, which holds no promptflow"),
    _metric("settled_s", "s", "lower", _server(lambda server: server.settled_s),
            "start of the server process until every worker had started and was idle"),
    _metric("worker_imbalance", "ratio", "lower", _server(_imbalance),
            "CPU time of the busiest worker / mean of the workers; 1 is even"),
    _metric("mock_cpu_per_request_ms", "ms", "-",
            lambda sample: _ratio(sample.measured.backend.cpu_s * 1000, sample.window_completed),
            "CPU time of the mock API per completed request in steady state"),
    _metric("generator_lag_p99_ms", "ms", "-", lambda sample: sample.measured.generator.lag_p99_ms,
            "how late the load generator's event loop woke; above 10 ms the row is bound by the generator"),
    _metric("generator_cpu_per_request_ms", "ms", "-",
            lambda sample: _ratio(sample.measured.generator.cpu_s * 1000, sample.measured.load.recorded),
            "CPU time of the load generator per recorded request"),
    _metric("reference_loop_ms", "ms", "-", _reference_loop,
            "CPU time of a fixed piece of work, mean of just before and just after: how fast the cores were",
            headline=True),
    _metric("other_cpu_ratio", "ratio", "-", _of_machine(lambda found: found.other_s),
            "share of the machine's CPU that went to neither servers nor generator in steady state"),
    _metric("stolen_cpu_ratio", "ratio", "-", _of_machine(lambda found: found.stolen_s),
            "share of the machine's CPU that the hypervisor took in steady state"),
)  # fmt: skip
