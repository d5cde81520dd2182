"""What is searched already: capacity searches among the records, made under this machine's conditions.

A search that ended is not made again. One that was interrupted goes on where it stopped, from the runs that it has.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign import existing_runs
from scripts.config.load_profiles import CAPACITY, Capacity, SearchIdentity
from scripts.config.plan import RunSpec
from scripts.environments.locks import Lock
from scripts.inference import capacity_runs, capacity_search
from scripts.inference.capacity_runs import CapacitySearch
from scripts.measure import digests
from scripts.records.schema import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A search to make, and the runs that it has already."""

    identity: SearchIdentity
    runs: tuple[Run, ...] = ()

    def usual_s(self, spec: RunSpec) -> float:
        """Estimated wall time of the rest, as most searches take it; `spec`: a run of it."""
        return max(1, capacity_search.usual_runs(self.identity.settings) - len(self.runs)) * spec.expected_s


def read(results: Path, unnamed: Capacity) -> list[CapacitySearch]:
    """Every search, the newest last; a run that cannot be read is not there. `unnamed`: see capacity_runs.searches."""
    return capacity_runs.searches(run_reader.read_profile(results, CAPACITY).runs, unnamed)


def missing(
    known: Sequence[CapacitySearch], runs: Sequence[RunSpec], locks: Mapping[str, Lock], here: Machine,
    settings: Capacity,
) -> list[RunSpec]:  # fmt: skip
    """The runs, one for each search, that have no conclusive search yet; `locks`: by release.

    A search whose runs were all invalid is not conclusive.
    """
    return [
        spec
        for spec in runs
        if not any(one.is_conclusive for one in _same(known, spec, locks[spec.release], here, settings))
    ]


def users(
    known: Sequence[CapacitySearch], spec: RunSpec, lock: Lock, here: Machine, settings: Capacity
) -> int | None:  # fmt: skip
    """The users of the highest load that this very release holds here; None where no search has found one."""
    counting = capacity_runs.standing(_same(known, spec, lock, here, settings))
    return counting.users if counting is not None else None


def begin(
    known: Sequence[CapacitySearch], spec: RunSpec, lock: Lock, here: Machine, settings: Capacity, *, resumes: bool
) -> Begun:
    """The interrupted search of it where that `resumes`; else a new one.

    A new search starts at the load that the newest search of this release found, else at that of the newest search of
    its scenario: neighbouring releases hold similar loads.
    """
    same = [*_same(known, spec, lock, here, settings)]
    if resumes and same and same[-1].found is None and same[-1].is_whole and same[-1].requested.search is not None:
        return Begun(identity=same[-1].requested.search, runs=same[-1].runs)
    loads = [one.users for one in [*_as_here(known, spec, lock, here), *same] if one.users is not None]
    started = settings.near(loads[-1]) if loads else settings
    return Begun(identity=SearchIdentity(id=secrets.token_hex(6), settings=started))


def _same(
    known: Sequence[CapacitySearch], spec: RunSpec, lock: Lock, here: Machine, settings: Capacity
) -> Iterator[CapacitySearch]:
    """The searches of this very release, to this objective."""
    for one in _as_here(known, spec, lock, here):
        same = one.requested.release == spec.release and one.runs[0].record.digests.lock == lock.digest
        if same and one.settings.means_the_same(settings):
            yield one


def _as_here(
    known: Sequence[CapacitySearch], spec: RunSpec, lock: Lock, here: Machine
) -> Iterator[CapacitySearch]:  # fmt: skip
    """The searches of this scenario, of any release, under the conditions of this machine."""
    for one in known:
        requested = one.requested
        if (requested.engine, requested.flow) == (spec.engine, spec.flow):
            trial = replace(spec, profile=spec.profile.at(requested.profile.users))
            if existing_runs.made_as_here(one.runs[0].record, trial, digests.of(trial, lock), here):
                yield one
