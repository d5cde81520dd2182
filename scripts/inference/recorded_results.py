"""Everything that the records say, read once: runs, campaigns, noise floors, histories and the cells of tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis import run_reader
from scripts.analysis.grouping import Cell, cells
from scripts.analysis.run_reader import Run, Skipped, Store
from scripts.config.concurrency import Map, serial
from scripts.config.errors import NothingMeasuredError
from scripts.config.load_profiles import CAPACITY, SERVES, SOAK
from scripts.config.matrix import Suite
from scripts.inference import capacity_runs, comparison, paired_rounds, release_history, soaks
from scripts.inference.capacity_runs import CapacitySearch
from scripts.inference.comparison import Floors
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.inference.release_history import ReleaseHistory
from scripts.inference.soaks import Soak


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedResults:
    """What was found in a results directory, and what follows from it."""

    runs: tuple[Run, ...]  # at least one; oldest first
    campaigns: tuple[PairedRounds, ...]
    floors: Floors
    histories: tuple[ReleaseHistory, ...]
    cells: tuple[Cell, ...]  # of single runs, and of the campaigns over releases
    searches: tuple[CapacitySearch, ...]  # for the highest throughput; the newest last
    soaks: tuple[Soak, ...]  # that count, of each release one
    skipped: tuple[Skipped, ...]  # what could not be used


def read(results: Path, suite: Suite, spread: Map = serial) -> RecordedResults:
    """Read all reported runs; NothingMeasuredError when there is none."""
    found = run_reader.read(results, [profile.name for profile in suite.profiles if not profile.reported], spread)
    if not found.runs:
        left_out = "".join(f"\n  - {one.path}: {one.reason}" for one in found.skipped)
        raise NothingMeasuredError(
            f"there are no records to report under {results.name}/runs{left_out}", then="nox -t bench, or see nox -l"
        )
    tried, soaked = (run_reader.read_profile(results, profile, spread) for profile in (CAPACITY, SOAK))
    return of_runs(found, tried, soaked, suite)


def of_runs(found: Store, tried: Store, soaked: Store, suite: Suite) -> RecordedResults:
    """What follows from reported runs, from those of capacity searches, and from soaks."""
    campaigns, mixed = paired_rounds.pair_each(found.runs)
    unpaired = [Skipped(path=f"campaign {name}", reason=error.message) for name, error in mixed.items()]
    floors = comparison.noise_floors(campaigns)
    of_tables = [one for one in campaigns if _is_of_tables(one, suite)]
    newest = release_history.newest(of_tables, suite)
    histories = [release_history.history(one, floors, suite, of_tables) for one in newest.values()]
    joined = {source.campaign for one in histories for source in one.sources}  # pairs that join are told of there
    histories += release_history.of_pairs([one for one in of_tables if one.campaign not in joined], floors, suite)
    return RecordedResults(
        runs=found.runs,
        campaigns=tuple(campaigns),
        floors=floors,
        histories=tuple(histories),
        cells=tuple(cells(_tabled(found.runs, {one.campaign for one in newest.values()}))),
        searches=tuple(capacity_runs.searches(tried.runs, suite.capacity)),
        soaks=tuple(soaks.standing(soaked.runs)),
        skipped=(*found.skipped, *tried.skipped, *soaked.skipped, *unpaired),
    )


def _is_of_tables(one: PairedRounds, suite: Suite) -> bool:
    """Whether it has rounds, on the Python of the tables: other Pythons have no part in histories over releases."""
    return any(whole.runs[BASELINE].record.requested.python == suite.python for whole in one.rounds[:1])


def _tabled(runs: Iterable[Run], campaigns: Collection[str]) -> Iterator[Run]:
    """What stands in tables of releases: single runs, and those of campaigns over releases.

    Other campaigns are of other hours, and have pages of their own; candidates are no releases.
    """
    for run in runs:
        requested = run.record.requested
        if "+" not in requested.release and requested.profile.name != SERVES and requested.campaign in {"", *campaigns}:
            yield run
