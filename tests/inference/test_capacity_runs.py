"""Whether a run meets the objective, and capacity searches read back from their runs alone."""

from __future__ import annotations

import dataclasses
import random

import pytest

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity, SearchIdentity
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import CapacitySearch, Judgement
from scripts.inference.capacity_search import CapacityResult, Limit, ObjectiveVerdict, Trial
from scripts.records.schema import Outcome, RunRecord
from tests.fakes import synthetic_runs, synthetic_searches
from tests.fakes.synthetic_searches import IDENTITY, loaded, searched

SETTINGS = synthetic_searches.SETTINGS
OTHER = SearchIdentity(id="0123456789ab", settings=SETTINGS)


def invalid(run: Run, *reasons: str) -> Run:
    """The run as it is read when it is invalid."""
    return dataclasses.replace(run, outcome="invalid", reasons=reasons)


@pytest.mark.parametrize(
    ("run", "verdict", "reason"),
    [
        (loaded(), "met", None),
        (loaded(failed=1), "met", None),
        (loaded(overhead_ms=250.0), "met", None),
        (loaded(failed=2), "missed", "failure ratio 0.002 > 0.001"),
        (loaded(overhead_ms=250.1), "missed", "overhead p99 250.1 ms > 250 ms"),
        (loaded(requests=99), "invalid", "too few requests succeeded for a 99th percentile"),
        (invalid(loaded(overhead_ms=900.0), "other processes"), "invalid", "other processes"),
        (invalid(loaded(lag_ms=9.9), "a worker ended"), "invalid", "a worker ended"),
        (invalid(loaded(lag_ms=10.0), "was late"), "generator-bound", "was late"),
    ],
    ids=["both met", "failures at the edge", "overhead at the edge", "failures", "overhead", "few", "disturbed",
         "server", "generator"],
)  # fmt: skip
def test_verdict(run: Run, verdict: ObjectiveVerdict, reason: str | None) -> None:
    """A run meets the objective up to its edges, or misses it with figures; an invalid one does neither."""
    assert capacity_runs.judge(run, SETTINGS) == Judgement(verdict=verdict, reasons=(reason,) if reason else ())


def test_every_miss_has_its_reason() -> None:
    """A run that misses both parts of the objective has a reason for each."""
    assert len(capacity_runs.judge(loaded(failed=50, overhead_ms=500.0), SETTINGS).reasons) == 2


@pytest.mark.parametrize("outcome", ["failed", "verify-failed"])
def test_run_without_figures(outcome: str) -> None:
    """A run that measured nothing is invalid with the reason that its record has."""
    record: RunRecord = synthetic_runs.record(outcome=outcome, reasons=("it died",))  # type: ignore[arg-type]
    assert capacity_runs.judge(synthetic_runs.run(record), SETTINGS) == Judgement(
        verdict="invalid", reasons=("it died",)
    )


def read(*searches: CapacitySearch, unnamed: Capacity = SETTINGS) -> list[CapacitySearch]:
    """The searches as they are read from their runs, in whichever order these lie."""
    runs = [run for search in searches for run in search.runs]
    random.Random(1).shuffle(runs)  # noqa: S311 - nothing secret
    return capacity_runs.searches(runs, unnamed)


@pytest.mark.parametrize("knee", [0, 1, 17, 59, 60, 133, 221, 1000])
def test_read_back_as_it_was_searched(knee: int) -> None:
    """What the runs of a search tell is what the search found, whatever that is."""
    live = searched(knee)
    assert live.found is not None
    assert read(live) == [live]


def test_two_searches_of_one_release() -> None:
    """Searches are told apart by their names, the newest last, and the newest conclusive one counts."""
    older, newer = searched(221), searched(130, identity=OTHER, first=2)
    assert read(newer, older) == [older, newer]
    assert capacity_runs.standing([older, newer]) == newer


def test_unnamed_search_begins_with_the_first_run() -> None:
    """Searches before schema 6 are told apart by their first runs, which also tell where they started."""
    near = SETTINGS.near(200)
    older = searched(221, identity=None)
    newer = searched(130, identity=None, first=2, settings=dataclasses.replace(SETTINGS, start_users=90))
    assert read(older, newer) == [older, newer]
    (strange,) = read(searched(221, identity=None, settings=near))
    assert strange.found is None  # its steps do not follow from the suite's settings
    assert not strange.is_whole


def test_interrupted_search() -> None:
    """A search whose runs end too early has no result, and goes on from there to the same one."""
    live = searched(221)
    (cut,) = capacity_runs.searches(live.runs[:4], SETTINGS)
    assert (cut.found, cut.is_whole, cut.is_conclusive, len(cut.tried)) == (None, True, False, 4)
    made: list[Trial] = []

    def make(trial: Trial) -> Run:
        made.append(trial)
        return live.runs[trial.number - 1]

    assert capacity_runs.carried_out(SETTINGS, cut.runs, make) == live
    assert [trial.number for trial in made] == list(range(5, len(live.runs) + 1))


@pytest.mark.parametrize("lost", [0, 3, 7])
def test_run_that_is_lost(lost: int) -> None:
    """A search of which a run cannot be read has no result, and cannot go on."""
    live = searched(221)
    (found,) = capacity_runs.searches([run for run in live.runs if run is not live.runs[lost]], SETTINGS)
    assert (found.found, found.is_whole) == (None, False)


def test_run_of_another_machine_is_no_part_of_the_search() -> None:
    """A run that was made under other conditions than the rest does not count among them."""
    live = searched(221)
    last = live.runs[-1]
    moved = dataclasses.replace(last.record, machine=dataclasses.replace(last.record.machine, cores=64))
    found = capacity_runs.searches([*live.runs[:-1], dataclasses.replace(last, record=moved)], SETTINGS)
    assert [one.found for one in found] == [None, None]


def _first_two_fail(trial: Trial) -> Outcome:
    return "failed" if trial.number <= 2 else "ok"


def test_inconclusive_search_replaces_none() -> None:
    """A search that found nothing because its runs were invalid does not count where an older one has a result."""
    older = searched(221)
    newer = searched(221, identity=OTHER, first=2, outcome=_first_two_fail)
    assert newer.found == CapacityResult(users=None, confirmed_by=(), limit=Limit(users=60, verdict="invalid"))
    assert not newer.is_conclusive
    assert capacity_runs.standing([older, newer]) == older
    assert capacity_runs.standing([newer]) == newer
    assert capacity_runs.standing([]) is None


def test_no_load_meets_the_objective() -> None:
    """That the server misses the objective with a single user is a result."""
    assert searched(0).is_conclusive
    assert searched(0).spread(capacity_runs.THROUGHPUT) is None


def test_spread_is_of_the_confirming_runs() -> None:
    """The figure of a search is made of its confirming runs alone."""
    live = searched(221)
    assert live.found is not None
    assert [run.record.requested.round for run in live.confirming] == list(live.found.confirmed_by)
    spread = live.spread(capacity_runs.THROUGHPUT)
    assert spread is not None
    assert (spread.low, spread.median, spread.high) == (0.95 * 214,) * 3


def test_identity_names_the_settings() -> None:
    """A search is judged by the objective that its records name, not by today's."""
    strict = dataclasses.replace(SETTINGS, overhead_p99_max_ms=50.0)
    (found,) = read(searched(221, identity=dataclasses.replace(IDENTITY, settings=strict)))
    assert found.settings == strict
    assert found.users is None
