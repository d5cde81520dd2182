"""Trials of a gate: candidates of which the truth is known, and what the gate said of each.

A trial has counts and rounds of its own, made as a gate with default thresholds makes them. An unchanged candidate is
the release itself, built into wheels again.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scripts.analysis.run_reader import Run
from scripts.inference.gate_decision import Case
from scripts.inference.gate_defaults import INSTRUCTIONS
from scripts.inference.paired_rounds import PairedRounds
from scripts.report.pages import gate_page
from scripts.selftest.known_candidates import REQUEST_CPU_MS, KnownCandidate
from scripts.selftest.slowdowns import REFERENCE_LOOP_MS, UNCHANGED, Slowdown, cpu, once, wait, work

Result = Literal["caught", "missed", "passed", "false alarm", "undecided"]

_COUNTED_PHASES = ("boot", "verify", "count", "stop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate(KnownCandidate):
    """What gates are tried on."""

    counts_only: bool = False  # judged by counts alone, not by a whole gate

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that should show it, any of them."""
        if self.slowdown is None:
            return ()
        counted = (INSTRUCTIONS,) if self.slowdown.metric == "cpu_per_request_ms" else ()
        return (self.slowdown.metric, *counted)


def _candidate(slowdown: Slowdown, trials: int, *, counts_only: bool = False) -> Candidate:
    return Candidate(name=slowdown.name, slowdown=slowdown, trials=trials, counts_only=counts_only)


CANDIDATES = (
    *(_candidate(work(percent), 10, counts_only=True) for percent in (0.5, 1.0, 2.0)),
    Candidate(name=UNCHANGED, slowdown=None, trials=20),
    _candidate(cpu(2, REQUEST_CPU_MS), 5),
    _candidate(wait(1), 5),
    _candidate(wait(3), 5),
    _candidate(
        once("memory-20", "20 MB more memory in each worker", "memory_end_bytes", 20e6,
             'kept.append(bytearray(b"1") * 20_000_000)'), 3,
    ),
    _candidate(
        once("first-100", "100 ms more in the first request of each worker", "first_answer_ms", 100,
             "time.sleep(0.1)"), 3,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a gate said of one candidate."""

    candidate: Candidate
    cases: tuple[Case, ...]
    minutes: float  # of counts and rounds, as recorded
    injected: float | None = None  # in the unit of the metric that should show it

    @property
    def result(self) -> Result:
        """What that is worth."""
        word = gate_page.outcome(self.cases).word
        worse = {case.metric.name for case in self.cases if case.decision == "regression"}
        if word == "UNDECIDED":
            return "undecided"
        if self.candidate.slowdown is None:
            return "passed" if word == "PASS" else "false alarm"
        return "caught" if worse & set(self.candidate.metrics) else "false alarm" if worse else "missed"

    @property
    def shown(self) -> Case | None:
        """What the gate saw of the metric that should show it; None where nothing is injected, or nothing was seen."""
        return next(
            (
                case
                for case in self.cases
                if case.metric.name in self.candidate.metrics[:1] and case.change is not None and case.baseline
            ),
            None,
        )

    @property
    def others(self) -> tuple[str, ...]:
        """Metrics called worse that should not be."""
        return tuple(
            case.metric.words
            for case in self.cases
            if case.decision == "regression" and case.metric.name not in self.candidate.metrics
        )


def injected(slowdown: Slowdown | None, timed: Sequence[PairedRounds]) -> float | None:
    """What a slowdown added in these rounds, in the unit of its metric; None where nothing is injected.

    Work takes longer on slow cores: its CPU time follows the reference loop before and after each run. Memory is that
    of all workers.
    """
    if slowdown is None:
        return None
    records = [run.record for one in timed for run in _runs(one)]
    if slowdown.metric == "cpu_per_request_ms":
        loops = [
            (record.machine.loop_before_ms + record.measurements.disturbance.loop_after_ms) / 2
            for record in records
            if record.measurements is not None
        ]
        return slowdown.size * statistics.median(loops) / REFERENCE_LOOP_MS if loops else None
    if slowdown.metric == "memory_end_bytes":
        return slowdown.size * records[0].requested.profile.workers if records else None
    return slowdown.size


def minutes(counted: Sequence[PairedRounds], timed: Sequence[PairedRounds], cores: int, round_s: float) -> float:
    """Wall time of a trial from its records: counts on all cores, then rounds until the last of them ended."""
    timed_s = sum(_span_s(_runs(one), round_s) for one in timed)
    return (counted_s([run for one in counted for run in _runs(one)], cores) + timed_s) / 60


def counted_s(runs: Iterable[Run], cores: int) -> float:
    """Wall time of counts on so many cores."""
    return sum(run.record.phases_s.get(phase, 0.0) for run in runs for phase in _COUNTED_PHASES) / cores


def _runs(one: PairedRounds) -> list[Run]:
    return [run for each in one.rounds for run in each.runs.values()]


def _span_s(runs: Sequence[Run], round_s: float) -> float:
    """From the start of the first run to the end of the last; without pauses between sittings."""
    starts = sorted({datetime.fromisoformat(run.record.started_at).timestamp() for run in runs})
    gaps = [min(later - earlier, 2 * round_s) for earlier, later in itertools.pairwise(starts)]
    return sum(gaps) + round_s if starts else 0.0
