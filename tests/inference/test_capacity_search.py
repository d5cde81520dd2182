"""The search for the highest load, against simulated servers whose knee is known."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import pytest

from scripts.config.load_profiles import Capacity
from scripts.inference.capacity_search import (
    CONFIRMATIONS,
    REPEATS,
    CapacityResult,
    Limit,
    ObjectiveVerdict,
    Trial,
    find,
    most_runs,
    usual_runs,
)

SETTINGS = Capacity(
    start_users=60,
    growth=1.5,
    precision=0.1,
    max_users=1000,
    confirm_runs=3,
    failure_ratio_max=0.001,
    overhead_p99_max_ms=250.0,
)


def knee(users: int, above: ObjectiveVerdict = "missed") -> Callable[[Trial], ObjectiveVerdict]:
    """A server that meets the objective up to so many users."""
    return lambda trial: "met" if trial.users <= users else above


def searched(
    attempt: Callable[[Trial], ObjectiveVerdict], settings: Capacity = SETTINGS
) -> tuple[CapacityResult, list[Trial]]:
    """Search, and keep the trials."""
    trials: list[Trial] = []

    def kept(trial: Trial) -> ObjectiveVerdict:
        trials.append(trial)
        return attempt(trial)

    return find(settings, kept), trials


def test_every_step_of_a_search() -> None:
    """The users grow until the objective is missed, the gap is halved, and what is found is confirmed."""
    found, trials = searched(knee(221))
    steps = [60, 90, 135, 202, 303, 252, 227, 214]
    assert [trial.users for trial in trials] == [*steps, 214, 214, 214]
    assert [trial.phase for trial in trials] == ["step"] * len(steps) + ["confirm"] * 3
    assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
    assert found == CapacityResult(users=214, confirmed_by=(9, 10, 11), limit=Limit(users=227, verdict="missed"))
    assert found.is_ceiling


@pytest.mark.parametrize("true", [1, 2, 3, 5, 17, 40, 59, 60, 61, 89, 90, 91, 134, 300, 454, 640, 998, 999])
@pytest.mark.parametrize("precision", [0.02, 0.1, 0.5])
def test_knee_is_found(true: int, precision: float) -> None:
    """Without noise the knee lies between what is found and the limit above it, which are as near as asked."""
    found, _ = searched(knee(true), dataclasses.replace(SETTINGS, precision=precision))
    assert found.users is not None
    assert found.limit is not None
    assert found.users <= true < found.limit.users
    assert found.limit.users - found.users <= max(1, precision * found.users)
    assert found.is_ceiling


@pytest.mark.parametrize("true", [1000, 5000])
def test_most_users_meet_it(true: int) -> None:
    """A server that meets the objective with the most users has no ceiling that was found."""
    found, trials = searched(knee(true))
    assert (found.users, found.limit, found.is_ceiling) == (1000, None, False)
    assert max(trial.users for trial in trials) == 1000


def test_start_is_the_most() -> None:
    """A search whose first step is also its last only confirms it."""
    found, trials = searched(knee(60), dataclasses.replace(SETTINGS, max_users=60))
    assert (found.users, [trial.users for trial in trials]) == (60, [60, 60, 60, 60])


def test_not_even_one_user_meets_it() -> None:
    """A server that misses the objective with one user has no capacity; that took no more than the steps down."""
    found, trials = searched(knee(0))
    assert found == CapacityResult(users=None, confirmed_by=(), limit=Limit(users=1, verdict="missed"))
    assert [trial.users for trial in trials] == [60, 40, 26, 17, 11, 7, 4, 2, 1]


@pytest.mark.parametrize("bound", ["generator-bound", "invalid"])
def test_what_cannot_be_believed_is_no_ceiling(bound: ObjectiveVerdict) -> None:
    """When no run above the found load is valid, the server can do at least that load."""
    found, _ = searched(knee(221, bound))
    assert found.users is not None
    assert 200 < found.users <= 221
    assert found.limit is not None
    assert found.limit.verdict == bound
    assert not found.is_ceiling


def test_disturbed_run_is_repeated() -> None:
    """A disturbed run is repeated with other think times, and costs no capacity."""
    found, trials = searched(lambda trial: "invalid" if trial.number in (2, 6) else knee(221)(trial))
    undisturbed, _ = searched(knee(221))
    assert (found.users, found.limit) == (undisturbed.users, undisturbed.limit)
    assert (trials[1].users, trials[2].users) == (90, 90)


def test_nothing_can_be_believed() -> None:
    """When the first load is invalid twice, smaller ones are not tried: it is no matter of load."""
    found, trials = searched(lambda _: "invalid")
    assert found == CapacityResult(users=None, confirmed_by=(), limit=Limit(users=60, verdict="invalid"))
    assert [trial.users for trial in trials] == [60, 60]


def test_generator_bound_from_the_start() -> None:
    """When the generator is the bound at the first load, smaller ones are tried."""
    found, _ = searched(knee(20, "generator-bound"))
    assert found.users is not None
    assert found.users <= 20
    assert not found.is_ceiling


def test_load_that_is_not_confirmed_is_lowered() -> None:
    """A load that one of its confirming runs misses is lowered by the precision and confirmed anew."""
    found, trials = searched(lambda trial: knee(202 if trial.phase == "step" else 190)(trial))
    assert found.users == 183  # 202 / 1.1
    assert found.limit == Limit(users=202, verdict="missed")
    assert [trial.users for trial in trials if trial.phase == "confirm"] == [202, 183, 183, 183]


def test_confirmation_is_bounded() -> None:
    """A server that never confirms is not asked for ever, and nothing is claimed of it."""
    found, trials = searched(lambda trial: "met" if trial.phase == "step" else "missed")
    assert found.users is None
    assert sum(trial.phase == "confirm" for trial in trials) == CONFIRMATIONS


def test_who_confirmed() -> None:
    """What confirmed a load are as many runs as asked for, each with a number, and so a seed, of its own."""
    found, trials = searched(lambda trial: "invalid" if trial.number == 5 else knee(60)(trial))
    by_number = {trial.number: trial for trial in trials}
    confirming = [by_number[number] for number in found.confirmed_by]
    assert len(set(found.confirmed_by)) == SETTINGS.confirm_runs
    assert {(trial.users, trial.phase) for trial in confirming} == {(60, "confirm")}
    assert 5 not in found.confirmed_by


@pytest.mark.parametrize("seed", range(20))
def test_noisy_server(seed: int) -> None:
    """With a knee that differs by 3 % (s.d.) from run to run, what is confirmed is near it, and seldom above."""
    noise = random.Random(seed)  # noqa: S311 - nothing secret
    found, _ = searched(lambda trial: "met" if trial.users <= noise.gauss(300, 9) else "missed")
    assert found.users is not None
    assert 240 <= found.users <= 310


def any_settings(draw: random.Random) -> Capacity:
    """Settings that suite.toml may hold."""
    start = draw.choice([1, 2, 7, 60, 300])
    settings = Capacity(
        start_users=start,
        growth=draw.choice([1.01, 1.2, 1.5, 3.0, 10.0]),
        precision=draw.choice([0.01, 0.1, 0.5, 0.99]),
        max_users=start + draw.choice([0, 1, 50, 1000]),
        confirm_runs=draw.choice([1, 3]),
        failure_ratio_max=0.0,
        overhead_p99_max_ms=1.0,
    )
    assert list(settings.problems()) == []
    return settings


@pytest.mark.parametrize("seed", range(300))
def test_number_of_runs_is_bounded(seed: int) -> None:
    """Whatever the runs say, a search makes no more than was announced, and never leaves the range of users."""
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    settings = any_settings(draw)
    verdicts: list[ObjectiveVerdict] = ["met", "missed", "generator-bound", "invalid"]
    chances = draw.choice([(5, 5, 1, 1), (9, 1, 0, 0), (1, 9, 0, 0), (1, 1, 3, 3)])
    true = draw.randint(1, settings.max_users)
    whims: list[Callable[[Trial], ObjectiveVerdict]] = [knee(true), lambda _: draw.choices(verdicts, chances)[0]]
    _, trials = searched(draw.choice(whims), settings)
    assert len(trials) <= most_runs(settings)
    assert all(1 <= trial.users <= settings.max_users for trial in trials)


def test_bound_is_no_more_than_it_must_be() -> None:
    """The bound that is announced is that of the search as suite.toml has it, not a number out of the air."""
    assert most_runs(SETTINGS) == 9 + 5 + CONFIRMATIONS * 3 + REPEATS


def test_usual_runs_are_those_of_one_unlucky_confirmation() -> None:
    """From the right load it takes a miss, the halvings, one lost confirmation and all of the others."""
    near = SETTINGS.near(200)
    _, trials = searched(knee(200), near)
    assert usual_runs(near) == len(trials) + 1
    assert usual_runs(near) < most_runs(near)
