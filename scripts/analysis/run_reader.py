"""Finds and reads the runs under a results directory; what cannot be read is named, never fatal.

Reads one run at a time: its histograms and its timeline are turned into metrics and verdicts and dropped.
Imports the record, `sample`, `metrics`, `validity` and `bound`. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis import metrics, validity
from scripts.analysis.bottleneck import Bound, verdict
from scripts.analysis.metrics import Metric
from scripts.analysis.run_data import Sample
from scripts.records.schema import Histograms, Outcome, RunRecord
from scripts.records.storage import RUNS, RecordError, read_histograms, read_record, read_timeline

_NO_HISTOGRAMS = Histograms(windows={})


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run and what was derived from it."""

    directory: Path  # for its timeline
    record: RunRecord
    values: dict[str, float | None]  # every metric by name
    outcome: Outcome  # of the record, or `invalid` when its figures must not be believed
    reasons: tuple[str, ...]  # why the outcome is not ok
    distrusted: tuple[str, ...]  # why its latencies, of all its figures, must not be ranked or compared
    bound: Bound | None  # what set its throughput; None where that cannot be told

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
    if record.measurements is None:
        return _run(directory, record, None)
    sample = Sample(
        record=record,
        measured=record.measurements,
        histograms=read_histograms(directory),
        timeline=tuple(read_timeline(directory)),
    )
    return _run(directory, record, sample)


def _run(directory: Path, record: RunRecord, sample: Sample | None) -> Run:
    ended_well = record.outcome == "ok" and sample is not None
    reasons = validity.reasons(sample) if sample and ended_well else record.reasons
    return Run(
        directory=directory,
        record=record,
        values=metrics.derive(record, sample.histograms if sample else _NO_HISTOGRAMS),
        outcome="invalid" if ended_well and reasons else record.outcome,
        reasons=reasons,
        distrusted=validity.distrusted(sample) if sample else (),
        bound=verdict(sample) if sample else None,
    )
