"""Loads: how users start, the same load by other users, and the settings of a search for the highest one."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.config import load_profiles, matrix_file

MATRIX = matrix_file.load()


@pytest.mark.parametrize(
    ("users", "spawn_rate", "seconds"), [(500, 50, 9), (500, 500, 0), (10, 20, 0), (501, 50, 10), (5, 1, 4)]
)
def test_ramp(users: int, spawn_rate: int, seconds: int) -> None:
    """The first batch of users starts at once, and each later one after another second."""
    assert load_profiles.ramp_s(users, spawn_rate) == seconds


@pytest.mark.parametrize(("users", "spawn_rate"), [(60, 15), (61, 16), (1000, 250), (4, 1), (1, 1)])
def test_load_of_other_users(users: int, spawn_rate: int) -> None:
    """The capacity profile with other users starts them in no more time, and is otherwise the same."""
    profile = MATRIX.profile(load_profiles.CAPACITY)
    load = profile.at(users)
    assert (load.users, load.spawn_rate) == (users, spawn_rate)
    assert load.ramp_s <= profile.ramp_s
    assert list(load.problems()) == []
    assert dataclasses.replace(load, users=profile.users, spawn_rate=profile.spawn_rate) == profile


def test_search_is_far_from_any_report() -> None:
    """The runs of a search, whose users differ, are in no report."""
    assert not MATRIX.profile(load_profiles.CAPACITY).reported


@pytest.mark.parametrize(("run_time_s", "warm_up_s"), [(1800, 300), (600, 100), (12, 2), (3600, 600)])
def test_load_of_another_time(run_time_s: int, warm_up_s: int) -> None:
    """The soak profile for a shorter or a longer time keeps the share of its warm-up, and is otherwise the same."""
    profile = MATRIX.profile(load_profiles.SOAK)
    load = profile.lasting(run_time_s)
    assert (load.run_time_s, load.warm_up_s) == (run_time_s, warm_up_s)
    assert list(load.problems()) == []
    assert load.lasting(profile.run_time_s) == profile


@pytest.mark.parametrize(("capacity", "users"), [(100, 60), (214, 128), (1, 1)])
def test_users_of_a_soak(capacity: int, users: int) -> None:
    """A soak has the share of the users that a release holds, and one at least."""
    assert dataclasses.replace(MATRIX.soak, capacity_share=0.6).users(capacity) == users


def test_soak_loads_as_the_search_for_its_capacity() -> None:
    """A share of the capacity means something: all but users and times are those of a step of the search."""
    search, soak = (MATRIX.profile(name) for name in (load_profiles.CAPACITY, load_profiles.SOAK))
    own = {"name": search.name, "description": "", "users": 1, "warm_up_s": 0, "run_time_s": 60}
    assert dataclasses.replace(soak, **own) == dataclasses.replace(search, **own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"start_users": 0}, "start_users must be at least 1"),
        ({"confirm_runs": 0}, "confirm_runs must be at least 1"),
        ({"max_users": 59, "start_users": 60}, "max_users is less than start_users"),
        ({"growth": 1.0}, "growth must be above 1, and at most 10"),
        ({"growth": 10.5}, "growth must be above 1, and at most 10"),
        ({"precision": 0.0}, "precision must be at least 0.01, and below 1"),
        ({"precision": 1.0}, "precision must be at least 0.01, and below 1"),
        ({"failure_ratio_max": -0.1}, "failure_ratio_max must be at least 0, and below 1"),
        ({"failure_ratio_max": 1.0}, "failure_ratio_max must be at least 0, and below 1"),
        ({"overhead_p99_max_ms": 0.0}, "overhead_p99_max_ms must be above 0"),
    ],
)
def test_search_that_makes_no_sense(wrong: dict[str, float], problem: str) -> None:
    """A search that could not end, or an objective that all or none would meet, is named."""
    assert list(dataclasses.replace(MATRIX.capacity, **wrong).problems()) == [problem]  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", [{"max_users": 60}, {"growth": 10.0}, {"precision": 0.01}, {"failure_ratio_max": 0.0}])
def test_search_at_the_edge(edge: dict[str, float]) -> None:
    """What is just allowed is allowed."""
    assert list(dataclasses.replace(MATRIX.capacity, **edge).problems()) == []  # type: ignore[arg-type]


def test_search_near_a_load() -> None:
    """A search near a load steps by twice the precision from there, at most from the most users, and means the same."""
    near = MATRIX.capacity.near(200)
    assert near.start_users == 200
    assert near.growth == pytest.approx(1 + 2 * near.precision)
    assert list(near.problems()) == []
    assert MATRIX.capacity.near(10**6).start_users == MATRIX.capacity.max_users
    assert near.means_the_same(MATRIX.capacity)
    assert not dataclasses.replace(near, confirm_runs=1).means_the_same(MATRIX.capacity)
