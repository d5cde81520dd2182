"""Finds and reads the runs under a results directory; what cannot be read is named, never fatal.

Reads one run at a time: its histograms are turned into metrics and dropped, its timeline is only checked.
Imports the record and `metrics`. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scripts.record import Histograms, Outcome, RunRecord
from scripts.record_files import RUNS, RecordError, read_histograms, read_record, read_timeline
from scripts.report import metrics, validity

_NO_HISTOGRAMS = Histograms(windows={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run and what was derived from it."""

    directory: Path  # for its timeline
    record: RunRecord
    values: dict[str, float | None]  # every metric by name
    outcome: Outcome  # of the record, or `invalid` when its figures must not be believed
    reasons: tuple[str, ...]  # why the outcome is not ok


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


def read(results: Path, unreported: Collection[str] = (), only: str = "*") -> Store:
    """Read all reported runs; profiles named in `unreported`, or that are not the `only` one, are not even opened."""
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for directory in sorted(_directories(results / RUNS.name, unreported, only)):
        try:
            run = read_run(directory)
        except RecordError as error:
            path = directory.relative_to(results).as_posix()
            skipped.append(Skipped(path=path, reason=" ".join(str(error).split())))
            continue
        if run.record.asked.profile.reported:
            runs.append(run)
    return Store(runs=tuple(sorted(runs, key=lambda run: run.record.run_id)), skipped=tuple(skipped))


def _directories(root: Path, unreported: Collection[str], only: str) -> list[Path]:
    """<profile>/<release>/<engine>-<flow>/<run-id>; `*.tmp` is a run that is being written."""
    found = (path for path in root.glob(f"{only}/*/*/*") if path.is_dir() and path.suffix != ".tmp")
    return [path for path in found if path.relative_to(root).parts[0] not in unreported]


def read_run(directory: Path) -> Run:
    """Read one run and derive its metrics; RecordError when it is not whole or lies in the wrong place."""
    record = read_record(directory)
    asked = record.asked
    expected = (asked.profile.name, asked.release, f"{asked.engine}-{asked.flow}")
    if directory.parts[-4:-1] != expected:
        raise RecordError(f"it is a record of {'/'.join(expected)}")
    histograms = _NO_HISTOGRAMS
    if record.measurements is not None:
        histograms = read_histograms(directory)
        read_timeline(directory)
    reasons = validity.reasons(record)
    return Run(
        directory=directory,
        record=record,
        values=metrics.derive(record, histograms),
        outcome="invalid" if record.outcome == "ok" and reasons else record.outcome,
        reasons=reasons,
    )
