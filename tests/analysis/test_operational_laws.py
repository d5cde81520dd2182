"""The laws of a closed loop, against figures worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from scripts.analysis import operational_laws
from tests.fakes import synthetic_runs


def test_closed_loop_law_and_its_inverse() -> None:
    """N/(R+Z) and N/X - Z are inverse to each other, and N - X Z are the users who wait."""
    assert operational_laws.closed_loop_rps(500, 1.287, 1.5) == pytest.approx(179.4, abs=0.05)
    assert operational_laws.response_time_s(500, 179.4, 1.5) == pytest.approx(1.287, abs=0.001)
    assert operational_laws.waiting_users(500, 42.7, 1.5) == pytest.approx(435.95)


def test_ramp_takes_users_away() -> None:
    """Ten batches of 50, a second apart, are missing 4.5 s of 60 s on average."""
    assert operational_laws.mean_users(500, 50, 60) == pytest.approx(462.5)
    assert operational_laws.mean_users(500, 500, 60) == 500


@pytest.mark.parametrize(
    ("engine", "flow", "expected"), [("flask", "static_sync", 25.6), ("fastapi", "static_async", 500 / 2.75)]
)
def test_ceiling_is_the_smaller_of_load_and_threads(engine: str, flow: str, expected: float) -> None:
    """Threads bound a threaded worker; an event loop is bounded by the load alone."""
    assert operational_laws.ceiling_rps(synthetic_runs.record(engine=engine, flow=flow)) == pytest.approx(expected)


def test_ceiling_of_the_mock_api_is_that_of_the_load() -> None:
    """The mock API adds nothing to its own wait, and no threads bound it."""
    assert operational_laws.ceiling_rps(synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api")) == 200


def test_no_ceiling_without_a_declared_wait() -> None:
    """A flow that does not declare its ideal time has no known ceiling."""
    undeclared = dataclasses.replace(synthetic_runs.record(), own_wait_s=None)
    assert operational_laws.ceiling_rps(undeclared) is None


def test_no_ceiling_where_nothing_waits() -> None:
    """Users who never wait, on a backend that never waits, are bounded by nothing known."""
    mock = synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api")
    restless = dataclasses.replace(
        mock.requested.profile, wait_min_s=0.0, wait_max_s=0.0, backend_wait_min_s=0.0, backend_wait_max_s=0.0
    )
    assert (
        operational_laws.ceiling_rps(
            dataclasses.replace(mock, requested=dataclasses.replace(mock.requested, profile=restless))
        )
        is None
    )


def test_load_allows_nothing_known_of_an_undeclared_flow() -> None:
    """What the load allows is N/(R0+Z), whatever the threads; without R0 it is not known."""
    made = synthetic_runs.record(engine="flask", flow="static_sync")
    assert operational_laws.load_rps(made) == pytest.approx(500 / 2.75)
    assert operational_laws.load_rps(dataclasses.replace(made, own_wait_s=None)) is None


def test_steady_state_begins_after_the_warm_up() -> None:
    """It begins when the last user has started and the warm-up is over, or never."""
    made = synthetic_runs.record(profile="compare")
    assert operational_laws.steady_from_s(made) == 12.0
    assert operational_laws.steady_from_s(synthetic_runs.record(outcome="failed")) is None


def test_standard_error_is_what_simulated_runs_show() -> None:
    """In 400 simulated runs that obey the law, N/X - Z strays from R as the formula says, within 15 %."""
    profile = synthetic_runs.SUITE.profile("compare")
    response_s, window_s = 0.534, 11.0
    draw = np.random.default_rng(42)
    think = draw.uniform(profile.wait_min_s, profile.wait_max_s, (400, profile.users, 24))
    ends = np.cumsum(think + response_s, axis=2)  # of each user's requests, in runs that begin in no state of rest
    completed = ((ends > 5) & (ends <= 5 + window_s)).sum(axis=(1, 2))
    found = np.std(profile.users / (completed / window_s) - operational_laws.think_s(profile))
    rps = completed.mean() / window_s
    assert operational_laws.standard_error_s(profile, rps, round(completed.mean())) == pytest.approx(found, rel=0.15)


def test_users_in_step_stray_by_half_a_cycle_at_most() -> None:
    """Where simulated users are in step as the window begins, N/X - Z strays from R on average as far as stated."""
    profile = synthetic_runs.SUITE.profile("duet")
    response_s, window_s, think_s = 0.52, 11.0, operational_laws.think_s(profile)
    think = np.random.default_rng(42).uniform(profile.wait_min_s, profile.wait_max_s, (400, profile.users, 40))
    ends = np.cumsum(think + response_s, axis=2)
    share = []
    for first_s in np.linspace(0.01, 1.01, 21):  # in the window, all users have their first answer
        times = ends + (first_s - ends[:, :, :1])
        completed = ((times > 0) & (times <= window_s)).sum(axis=(1, 2)).mean()
        strayed_s = profile.users / (completed / window_s) - think_s - response_s
        share.append(strayed_s / operational_laws.in_step_s(profile.users, response_s + think_s, round(completed)))
    assert np.abs(share).max() == pytest.approx(1, abs=0.1)
