"""Capacity searches as their runs tell them: whether a run meets the objective, and what a search found.

A search is carried out over the runs that are recorded already, and `make` adds the others. So a report, a search that
goes on where it was interrupted and a new search all decide in one place, `capacity_search.find`.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scripts.analysis.grouping import Spread
from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.inference import capacity_search
from scripts.inference.capacity_search import CapacityResult, ObjectiveVerdict, Trial
from scripts.records import conditions
from scripts.records.schema import RequestedConfig

THROUGHPUT, OVERHEAD, FAILURES = "steady_throughput_rps", "overhead_p99_ms", "failure_ratio"


class _EndOfRunsError(Exception):
    """The recorded runs end before the search does."""


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
    """A search of one scenario of a release, as far as it went."""

    settings: Capacity
    runs: tuple[Run, ...]  # at least one; all that are recorded of it
    tried: tuple[Tried, ...]  # those that the search asked for, in order
    found: CapacityResult | None  # None: it did not come to an end

    @property
    def requested(self) -> RequestedConfig:
        """The requested configuration, whose users alone differ from run to run."""
        return self.runs[0].record.requested

    @property
    def is_whole(self) -> bool:
        """Whether every run was asked for; otherwise one is lost, and no result can be trusted."""
        return len(self.tried) == len(self.runs)

    @property
    def users(self) -> int | None:
        """The highest confirmed load; None where there is none."""
        return self.found.users if self.found is not None else None

    @property
    def is_conclusive(self) -> bool:
        """Whether it found a load, or that the server misses the objective with every load."""
        found = self.found
        return found is not None and (found.users is not None or found.is_ceiling)

    @property
    def confirming(self) -> tuple[Run, ...]:
        """The runs that confirm the load that was found."""
        numbers = self.found.confirmed_by if self.found is not None else ()
        return tuple(tried.run for tried in self.tried if tried.trial.number in numbers)

    def spread(self, metric: str) -> Spread | None:
        """A metric over the confirming runs; None where they lack it."""
        values = [value for run in self.confirming if (value := run.values[metric]) is not None]
        if not values:
            return None
        return Spread(median=statistics.median(values), low=min(values), high=max(values))


def judge(run: Run, settings: Capacity) -> Judgement:
    """Whether the run meets the objective; an invalid run neither meets nor misses it."""
    if run.outcome != "ok":
        verdict: ObjectiveVerdict = "generator-bound" if run.bound == "generator-bound" else "invalid"
        return Judgement(verdict=verdict, reasons=run.reasons)
    failed, overhead_ms = run.values[FAILURES], run.values[OVERHEAD]
    if failed is None or overhead_ms is None:
        return Judgement(verdict="invalid", reasons=("too few requests succeeded for a 99th percentile",))
    reasons = []
    if failed > settings.failure_ratio_max:
        reasons.append(f"failure ratio {failed:.4g} > {settings.failure_ratio_max:g}")
    if overhead_ms > settings.overhead_p99_max_ms:
        reasons.append(f"overhead p99 {overhead_ms:.1f} ms > {settings.overhead_p99_max_ms:g} ms")
    return Judgement(verdict="missed" if reasons else "met", reasons=tuple(reasons))


def _end_of_runs(_trial: Trial) -> Run:
    raise _EndOfRunsError


def carried_out(
    settings: Capacity, recorded: Sequence[Run], make: Callable[[Trial], Run] = _end_of_runs
) -> CapacitySearch:
    """Search over the recorded runs, and over those that `make` adds; without it, the search ends with the runs."""
    by_number = {run.record.requested.round: run for run in recorded}
    added: list[Run] = []
    tried: list[Tried] = []

    def attempt(trial: Trial) -> ObjectiveVerdict:
        run = by_number.get(trial.number)
        if run is None:
            run = make(trial)
            added.append(run)
        elif run.record.requested.profile.users != trial.users:
            raise _EndOfRunsError
        tried.append(Tried(trial=trial, run=run, judgement=judge(run, settings)))
        return tried[-1].judgement.verdict

    try:
        found = capacity_search.find(settings, attempt)
    except _EndOfRunsError:
        found = None
    runs = (*recorded, *added)
    return CapacitySearch(
        settings=settings, runs=runs, tried=tuple(tried), found=found if len(tried) == len(runs) else None
    )


def searches(runs: Iterable[Run], unnamed: Capacity) -> list[CapacitySearch]:
    """Every search among runs of the capacity profile, the newest last.

    `unnamed`: the settings of a search before schema 6, whose records do not name them. Its runs tell where it started;
    it has a result only where they follow from these settings.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    begun: dict[tuple[object, ...], int] = {}  # searches without a name of each key, counted by their first runs
    for run in sorted(runs, key=_run_id):
        record, requested = run.record, run.record.requested
        where = (requested.release, requested.engine, requested.flow)
        key = (*where, record.digests.lock, conditions.of_search(record), requested.search)
        if requested.search is None:
            begun[key] = begun.get(key, 0) + (requested.round == 1)
        groups.setdefault((*key, begun.get(key)), []).append(run)
    in_order = (sorted(group, key=lambda run: run.record.requested.round) for group in groups.values())
    return [_read(group, unnamed) for group in sorted(in_order, key=lambda group: _run_id(group[-1]))]


def _read(runs: Sequence[Run], unnamed: Capacity) -> CapacitySearch:
    requested = runs[0].record.requested
    if requested.search is not None:
        return carried_out(requested.search.settings, runs)
    return carried_out(dataclasses.replace(unnamed, start_users=requested.profile.users), runs)


def _run_id(run: Run) -> str:
    return run.record.run_id


def standing(found: Iterable[CapacitySearch]) -> CapacitySearch | None:
    """The search that counts: the newest conclusive one, else the newest that ended, else the newest."""
    return max(
        found, key=lambda one: (one.is_conclusive, one.found is not None, one.runs[-1].record.run_id), default=None
    )
