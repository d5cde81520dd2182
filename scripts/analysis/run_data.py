"""All data of one run: its record, distributions and timeline, and what follows from them at once."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.analysis import distribution, operational_laws
from scripts.records.schema import (
    HistogramCounts,
    Histograms,
    LoadProcess,
    LocustRow,
    Measurements,
    RunRecord,
    Second,
    Window,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunData:
    """One run that measured something."""

    record: RunRecord
    measured: Measurements  # the record's own
    histograms: Histograms
    timeline: tuple[Second, ...] = ()  # no metric needs it: what holds second by second is a matter of validity

    def counts(self, kind: str, window: Window = "steady") -> HistogramCounts | None:
        """A distribution; None when nothing of that kind was seen."""
        return self.histograms.windows.get(window, {}).get(kind)

    def completed(self, kind: str) -> int:
        """How many requests of a kind ended in the whole run."""
        return sum(distribution.size(kinds.get(kind)) for kinds in self.histograms.windows.values())

    def fastest_us(self, kind: str) -> int | None:
        """The shortest of the whole run; None when nothing of that kind was seen."""
        return min((part.min_us for part in self._parts(kind)), default=None)

    def slowest_us(self, kind: str) -> int | None:
        """The longest of the whole run; None when nothing of that kind was seen."""
        return max((part.max_us for part in self._parts(kind)), default=None)

    def _parts(self, kind: str) -> list[HistogramCounts]:
        found = [kinds.get(kind) for kinds in self.histograms.windows.values()]
        return [part for part in found if part is not None and distribution.size(part)]

    @property
    def aggregated(self) -> LocustRow | None:
        """The last row of locust's statistics, over all requests; None when it has none."""
        rows = self.measured.load.locust_rows
        return rows[-1] if rows else None

    @property
    def generated(self) -> int:
        """Requests that the generator made: more than this run's where it loaded two arms at once."""
        in_all = self.measured.generator.recorded_in_all
        return self.measured.load.recorded if in_all is None else in_all

    @property
    def load_processes(self) -> tuple[LoadProcess, ...]:
        """The processes of the load generator, each with its part; one where one made all of it."""
        own = self.measured.generator
        return own.processes or (
            LoadProcess(
                users=self.measured.load.users_reached,
                requests=self.generated,
                lag_p50_ms=own.lag_p50_ms,
                lag_p99_ms=own.lag_p99_ms,
                lag_max_ms=own.lag_max_ms,
                cpu_s=own.cpu_s,
                run_queue_wait_s=own.run_queue_wait_s,
                clock_error_s=0.0,
            ),
        )

    @property
    def steady_completed(self) -> int:
        """Requests that ended in the steady window, failures included."""
        return distribution.size(self.counts("ok")) + distribution.size(self.counts("failed"))

    @property
    def window_completed(self) -> int:
        """Requests completed in the window over which CPU time was counted."""
        server = self.measured.server
        return server.completed if server else self.steady_completed

    @property
    def steady_s(self) -> float:
        """Length of the steady window; 0 when not all users ever started."""
        begin = operational_laws.steady_from_s(self.record)
        return 0.0 if begin is None else max(0.0, self.measured.load.stopped_s - begin)

    @property
    def steady_throughput_rps(self) -> float | None:
        """Requests a second in the steady window, failures included; None without such a window."""
        return self.steady_completed / self.steady_s if self.steady_s else None

    @property
    def waiting_at_stop(self) -> int:
        """Users without an answer when the load was stopped, whether it came while draining or never."""
        drained = distribution.size(self.counts("ok", "drain")) + distribution.size(self.counts("failed", "drain"))
        return drained + self.measured.load.in_flight_at_stop

    @property
    def load_s(self) -> float:
        """Wall time of the load, ramp included."""
        return self.measured.load.stopped_s - self.measured.load.started_s
