"""What is measured already: valid runs among the records, made under this machine's conditions.

For the verbs that read records and know how runs are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.config.matrix import Suite
from scripts.config.plan import RunSpec
from scripts.environments import locks
from scripts.environments.locks import Lock
from scripts.measure import digests
from scripts.records import conditions
from scripts.records.schema import Digests, Machine, RunRecord
from scripts.records.storage import RecordError, run_directories

Counts = Callable[[Run], bool]


def is_ok(run: Run) -> bool:
    """Whether its figures count."""
    return run.outcome == "ok"


def missing(
    suite: Suite, runs: Sequence[RunSpec], results: Path, here: Machine, known: Mapping[str, Lock] | None = None,
    counts: Counts = is_ok,
) -> list[RunSpec]:  # fmt: skip
    """The runs of which there is none yet that is ok, with the same lock, load, flow, tools, machine and round.

    `known`: locks by release, for candidates, which suite.toml does not have. `counts`: what is enough of a run.

    Another patch version of Python counts as the same here: which one a virtualenv gets is known when it is built.
    """
    return [spec for spec in runs if newest(spec, _lock(suite, spec, known or {}), results, here, counts) is None]


def _lock(suite: Suite, spec: RunSpec, known: Mapping[str, Lock]) -> Lock | None:
    if spec.release in known:
        return known[spec.release]
    return locks.read(locks.of_release(suite, spec.target.release)) if spec.target else None


def newest(
    spec: RunSpec, lock: Lock | None, results: Path, here: Machine, counts: Counts = is_ok
) -> Run | None:  # fmt: skip
    """The newest run that is what was asked for, under this machine's conditions; None where there is none."""
    ours = digests.of(spec, lock)
    for run in _recorded(spec, results):
        record = run.record
        same = record.digests.lock == ours.lock and made_as_here(record, spec, ours, here)
        alone = (
            not record.requested.campaign and record.requested.round == spec.round
        )  # comparisons have tables of their own
        if counts(run) and same and alone:
            return run
    return None


def made_as_here(record: RunRecord, spec: RunSpec, ours: Digests, here: Machine) -> bool:
    """Whether a run of that spec, whose digests are `ours`, would be made here under the conditions of the record."""
    python = record.python == spec.python or record.python.startswith(f"{spec.python}.")
    return python and not conditions.differences(record, replace(record, machine=here, digests=ours))


def _recorded(spec: RunSpec, results: Path) -> Iterator[Run]:
    """The runs of one release, scenario and profile, newest first; one that cannot be read is not there."""
    directories = run_directories(
        results, profile=spec.profile.name, release=spec.release, scenario=f"{spec.engine}-{spec.flow}"
    )
    yield from (run for _, run in run_reader.each(reversed(directories)) if not isinstance(run, RecordError))
