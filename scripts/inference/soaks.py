"""What a soak shows: whether memory grows with the requests served, and whether overhead drifts with time.

Memory that fills caches and pools rises and then stays, which is no leak. So its growth is told over all of the steady
state and over the second half, and only the second half says how it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.analysis import operational_laws
from scripts.analysis.run_reader import Run
from scripts.inference import trends
from scripts.inference.trends import Trend
from scripts.records import conditions
from scripts.records.schema import RunRecord, SoakSample

Growth = Literal["grows", "levels off", "grew", "no growth", "shrinks", "not known"]
Drift = Literal["slower", "faster", "no drift", "not known"]

LEVELLED = 0.5  # of the growth over all of the steady state: what surely grows by less in the second half levels off


@dataclass(frozen=True, kw_only=True, slots=True)
class Soak:
    """One run, and its trends in steady state; each None where the run has too few samples for it."""

    run: Run
    memory: Trend | None  # bytes for each request served
    memory_later: Trend | None  # the same of the second half
    overhead: Trend | None  # p50, ms for each second

    @property
    def growth(self) -> Growth:
        """What becomes of the server's memory."""
        whole, later = self.memory, self.memory_later
        if whole is None or later is None:
            return "not known"
        if not whole.rises:
            return "shrinks" if whole.falls else "no growth"
        if later.high < LEVELLED * whole.slope:
            return "levels off"
        return "grows" if later.rises else "grew"

    @property
    def drift(self) -> Drift:
        """What becomes of the overhead."""
        if self.overhead is None or self.run.distrusted:
            return "not known"
        return "slower" if self.overhead.rises else "faster" if self.overhead.falls else "no drift"

    def seconds_until(self, more_bytes: float) -> float | None:
        """How long memory takes to grow by so much, as it grows in the second half; None unless it grows."""
        later, rps = self.memory_later, self.run.values["steady_throughput_rps"]
        if self.growth != "grows" or later is None or not rps:
            return None
        return more_bytes / (later.slope * rps)


def samples(record: RunRecord) -> tuple[SoakSample, ...]:
    """The samples of a soak; none of a run that measured nothing."""
    return record.measurements.soak if record.measurements is not None else ()


def total_bytes(sample: SoakSample) -> int:
    """Memory of all processes of the server."""
    return sum(sample.memory_bytes)


def steady(record: RunRecord) -> tuple[SoakSample, ...]:
    """The samples of the steady state."""
    begin = operational_laws.steady_from_s(record)
    return () if begin is None else tuple(one for one in samples(record) if one.at_s >= begin)


def evaluated(run: Run) -> Soak:
    """A soak with its trends."""
    found = steady(run.record)
    told = [(one.at_s, one.overhead_p50_ms) for one in found if one.overhead_p50_ms is not None]
    return Soak(
        run=run,
        memory=_memory(found),
        memory_later=_memory(found[len(found) // 2 :]),
        overhead=trends.trend([at_s for at_s, _ in told], [ms for _, ms in told]),
    )


def _memory(found: Sequence[SoakSample]) -> Trend | None:
    return trends.trend([one.requests for one in found], [total_bytes(one) for one in found])


def shared_conditions(record: RunRecord) -> dict[str, str]:
    """What soaks of one table share, by name: all conditions but load and flow, which differ from row to row."""
    return {
        name: value
        for name, value in conditions.conditions(record).items()
        if name not in (conditions.PROFILE, conditions.FLOW)
    }


def standing(runs: Iterable[Run]) -> list[Soak]:
    """The soak that counts of each release, engine, flow and set of conditions: a valid one, the longest, the newest.

    Candidates are no releases, and runs of a comparison are no soaks.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        requested = run.record.requested
        if "+" not in requested.release and not requested.campaign:
            where = (requested.release, requested.engine, requested.flow, *shared_conditions(run.record).values())
            groups.setdefault(where, []).append(run)
    return [evaluated(max(group, key=_weight)) for group in groups.values()]


def _weight(run: Run) -> tuple[bool, int, str]:
    return run.outcome == "ok", run.record.requested.profile.run_time_s, run.record.run_id
