"""Finds and reads the runs under a results directory; what cannot be read is named, never fatal.

Reads one run at a time: its histograms and its timeline are turned into metrics and verdicts and dropped.
Writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis import metrics, validity
from scripts.analysis.bottleneck import Bound, verdict
from scripts.analysis.metrics import Metric
from scripts.analysis.run_data import RunData
from scripts.analysis.validity import Reason
from scripts.config.concurrency import Map, serial
from scripts.records.schema import Histograms, Outcome, RunRecord
from scripts.records.storage import (
    RecordError,
    read_histograms,
    read_record,
    read_timeline,
    run_directories,
    run_path,
)

_LOG = logging.getLogger(__name__)
_LONGEST_REASON = 300  # characters
_NO_HISTOGRAMS = Histograms(windows={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run and what was derived from it."""

    directory: Path  # for its timeline
    record: RunRecord
    values: dict[str, float | None]  # every metric by name
    outcome: Outcome  # of the record, or `invalid` when its figures must not be believed
    reasons: tuple[str, ...]  # why the outcome is not ok
    disturbances: tuple[bool, ...]  # of each reason, whether it blames the machine and not the server or the load
    distrusted: tuple[str, ...]  # why its latencies, of all its figures, must not be ranked or compared
    bound: Bound | None  # what set its throughput; None where that is unknown

    def counts(self, metric: Metric) -> bool:
        """Whether this figure of the run may be ranked, pooled or compared."""
        return self.outcome == "ok" and not (metric.latency and self.distrusted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A run that cannot be used."""

    path: str  # relative to the results directory, with forward slashes
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Everything that was found."""

    runs: tuple[Run, ...]  # by run id, so oldest first
    skipped: tuple[Skipped, ...]


def read(results: Path, unreported: Collection[str] = (), spread: Map = serial) -> Store:
    """Read all reported runs; profiles named in `unreported` are not even opened."""
    directories = [one for one in run_directories(results) if one.parts[-4] not in unreported]
    found = _store(results, directories, spread)
    reported = tuple(run for run in found.runs if run.record.requested.profile.reported)
    return Store(runs=reported, skipped=found.skipped)


def read_profile(results: Path, profile: str, spread: Map = serial) -> Store:
    """Read all runs of one profile, whether it is reported or not."""
    return _store(results, run_directories(results, profile=profile), spread)


def _store(results: Path, directories: Sequence[Path], spread: Map) -> Store:
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for directory, found in zip(directories, spread(_read, directories), strict=True):
        if isinstance(found, RecordError):
            path = directory.relative_to(results).as_posix()
            skipped.append(Skipped(path=path, reason=" ".join(str(found).split())))
        else:
            runs.append(found)
    return Store(runs=tuple(sorted(runs, key=lambda run: run.record.run_id)), skipped=tuple(skipped))


def each(directories: Iterable[Path]) -> Iterator[tuple[Path, Run | RecordError]]:
    """Read runs one after the other; what is wrong with one stands in its place."""
    return ((directory, _read(directory)) for directory in directories)


def _read(directory: Path) -> Run | RecordError:
    try:
        return read_run(directory)
    except RecordError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a record comes from anywhere, and one that breaks a formula must not
        # keep the others from being reported: this is the only place where any error of one run ends with that run
        _LOG.debug("%s", directory, exc_info=True)
        return RecordError(f"its figures cannot be derived: {type(error).__name__}: {error}"[:_LONGEST_REASON])


def read_run(directory: Path) -> Run:
    """Read one run and derive its metrics; RecordError when it is not whole or lies in the wrong place."""
    record = read_record(directory)
    expected = run_path(record).parts
    if directory.parts[-len(expected) :] != expected:
        raise RecordError(f"it is a record of {'/'.join(expected[1:-1])}")
    if record.measurements is None:
        return _run(directory, record, None)
    data = RunData(
        record=record,
        measured=record.measurements,
        histograms=read_histograms(directory),
        timeline=tuple(read_timeline(directory)),
    )
    return _run(directory, record, data)


def _reasons(record: RunRecord, data: RunData | None) -> tuple[Reason, ...]:
    if record.counts is not None:
        return validity.reasons_of_count(record, record.counts)
    return validity.reasons(data) if data is not None else ()


def _run(directory: Path, record: RunRecord, data: RunData | None) -> Run:
    found = _reasons(record, data) if record.outcome == "ok" else ()
    return Run(
        directory=directory,
        record=record,
        values=metrics.derive(record, data.histograms if data else _NO_HISTOGRAMS),
        outcome="invalid" if found else record.outcome,
        reasons=tuple(reason.text for reason in found) or record.reasons,
        disturbances=tuple(reason.is_disturbance for reason in found) or (False,) * len(record.reasons),
        distrusted=validity.distrusted(data) if data else (),
        bound=verdict(data) if data else None,
    )
