"""What is searched already: which searches count here, which go on, and where a new one starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.campaign import existing_searches
from scripts.config import matrix_file, plan
from scripts.config.plan import RunSpec
from scripts.environments import locks
from scripts.environments.locks import Lock
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import CapacitySearch
from scripts.measure import digests
from tests.fakes import synthetic_runs, synthetic_searches
from tests.fakes.synthetic_searches import IDENTITY, SETTINGS, searched

MATRIX = matrix_file.load()
HERE = synthetic_runs.MACHINE


def spec(release: str = "1.12.0") -> RunSpec:
    """The search of a release's static_async."""
    chosen = plan.make(
        MATRIX, release=release, engine="fastapi", flow_names=("static_async",), profile="capacity", python=None,
        rounds=1,
    )  # fmt: skip
    return chosen.runs[0]


def lock(release: str = "1.12.0") -> Lock:
    """Its lock."""
    return locks.read(locks.of_release(MATRIX, MATRIX.release(release)))


def here(search: CapacitySearch, runs: int | None = None, **changed: str) -> CapacitySearch:
    """The search as if so many of its runs were made here; `changed`: digests that differ."""
    made = []
    for run in search.runs[:runs]:
        record = run.record
        release = record.requested.release
        ours = digests.of(dataclasses.replace(spec(release), profile=record.requested.profile), lock(release))
        made.append(
            dataclasses.replace(
                run, record=dataclasses.replace(record, digests=dataclasses.replace(ours, **changed))
            )
        )  # fmt: skip
    return capacity_runs.carried_out(search.settings, made)


def has_result(*known: CapacitySearch) -> bool:
    """Whether 1.12.0 needs no search any more."""
    return not existing_searches.missing(known, [spec()], {"1.12.0": lock()}, HERE, SETTINGS)


def begin(*known: CapacitySearch, resumes: bool = False) -> existing_searches.Begun:
    """How a search of 1.12.0 begins."""
    return existing_searches.begin(known, spec(), lock(), HERE, SETTINGS, resumes=resumes)


def test_a_search_with_a_result_is_there() -> None:
    """A search that ended with a load, or shows that none meets the objective, is not made again."""
    assert has_result(here(searched(221)))
    assert has_result(here(searched(0)))
    assert not has_result()


STRICT = dataclasses.replace(IDENTITY, settings=dataclasses.replace(SETTINGS, overhead_p99_max_ms=99.0))


@pytest.mark.parametrize(
    "search",
    [
        here(searched(221), 4),
        here(searched(221, outcome=lambda _: "invalid")),
        here(searched(221), lock="9" * 64),
        here(searched(221), profile="9" * 64),
        here(searched(221, release="1.13.0")),
        here(searched(221, identity=STRICT)),
    ],
    ids=["interrupted", "only invalid runs", "lock", "load", "release", "objective"],
)
def test_no_result_of_this_release_here(search: CapacitySearch) -> None:
    """A search without a result, or made under other conditions, leaves the search to be made."""
    assert not has_result(search)


@pytest.mark.parametrize(
    ("known", "users"),
    [
        ([here(searched(221))], searched(221).users),
        ([here(searched(221)), here(searched(221, first=2), 4)], searched(221).users),
        ([here(searched(0))], None),
        ([here(searched(221), lock="9" * 64), here(searched(221, release="1.13.0"))], None),
        ([], None),
    ],
    ids=["found", "then interrupted", "no load", "others", "none"],
)
def test_users_that_a_release_holds(known: list[CapacitySearch], users: int | None) -> None:
    """The users are those of the search that counts of this very release here; without a load there are none."""
    assert existing_searches.users(known, spec(), lock(), HERE, SETTINGS) == users


def test_interrupted_search_goes_on() -> None:
    """The interrupted search goes on with its own name, settings and runs, when that is asked for."""
    near = dataclasses.replace(IDENTITY, settings=SETTINGS.near(200))
    stopped = here(searched(221, identity=near), 4)
    begun = begin(stopped, resumes=True)
    assert (begun.identity, begun.runs) == (near, stopped.runs)
    fresh = begin(stopped)
    assert fresh.runs == ()
    assert fresh.identity.id != near.id


def test_search_that_lost_a_run_is_made_again() -> None:
    """A search of which a run cannot be read is made again whole."""
    lost = here(searched(221))
    lost = capacity_runs.carried_out(lost.settings, lost.runs[1:])
    assert begin(lost, resumes=True).runs == ()


def test_where_a_new_search_starts() -> None:
    """It starts at the load of its own release, else at that of the newest search of the scenario, else from below."""
    own, other = here(searched(221)), here(searched(130, release="1.13.0", first=2))
    assert begin(own, other).identity.settings == SETTINGS.near(own.users or 0)
    assert begin(other).identity.settings == SETTINGS.near(other.users or 0)
    assert begin(here(searched(221), profile="9" * 64)).identity.settings == SETTINGS


def test_near_start_finds_the_same_within_the_precision() -> None:
    """A search from near finds what one from below finds, within the precision; in fewer runs where it is near."""
    for knee in (60, 100, 180, 200, 221, 240, 500):
        below = searched(knee)
        near = searched(knee, identity=dataclasses.replace(IDENTITY, settings=SETTINGS.near(200)))
        assert below.users is not None
        assert near.users is not None
        assert abs(near.users - below.users) <= SETTINGS.precision * max(near.users, below.users)
        if 180 <= knee <= 240:
            assert len(near.runs) < len(below.runs)


def test_read_from_disk(tmp_path: Path) -> None:
    """Every readable run of the capacity profile is read; one that is broken leaves its search incomplete."""
    for run in synthetic_searches.searched(221).runs:
        synthetic_runs.write(tmp_path, run.record)
    (found,) = existing_searches.read(tmp_path, SETTINGS)
    assert len(found.runs) == len(searched(221).runs)
    first = min(tmp_path.rglob("record.json"))
    first.write_text("{", encoding="utf-8")
    (found,) = existing_searches.read(tmp_path, SETTINGS)
    assert not found.is_whole
