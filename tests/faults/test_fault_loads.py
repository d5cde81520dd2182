"""A load goes wrong while it runs, and nothing ends: the run is recorded, and its record is invalid."""

from __future__ import annotations

import signal

import pytest

from scripts.analysis import run_reader
from tests.faults.world import World

pytestmark = [pytest.mark.process, pytest.mark.fault]


def reasons(world: World) -> str:
    """Why the only run of a world is not valid."""
    (path,) = world.results.glob("runs/fault/*/*/*/record.json")
    return "; ".join(run_reader.read_run(path.parent).reasons)


def test_a_server_that_falls_silent_makes_the_run_invalid(world: World) -> None:
    """A server that answers in the warm-up and never again measured nothing, though no request failed."""
    session = world.start("--run-time-s", "4", "--warm-up-s", "2")
    session.wait_until(world.loads)
    for process in world.processes("gunicorn"):
        process.suspend()
    assert session.end().code == 0
    assert world.records()[0].outcome == "ok"
    assert "no request succeeded in steady state" in reasons(world)


def test_a_load_that_is_ended_early_makes_the_run_invalid(world: World) -> None:
    """A load generator that gets SIGTERM ends well, with a whole recording of a part of the load."""
    session = world.start("--run-time-s", "6")
    session.wait_until(world.loads)
    assert session.runs_on(2)  # a steady window has two samples
    (locust,) = world.processes("-m locust")
    locust.terminate()
    assert session.end().code == 0
    assert world.records()[0].outcome == "ok"
    assert "6 s were requested" in reasons(world)


@pytest.mark.parametrize("users", [False, True], ids=["before it has started", "with its first users"])
def test_a_load_that_is_ended_at_once_says_who_did_not_end_it(world: World, users: bool) -> None:
    """A load generator that gets SIGTERM before a steady state is named as ended from outside; no profile is blamed."""
    session = world.start("--run-time-s", "6", "--warm-up-s", "3")
    session.wait_until(lambda: bool(world.processes("-m locust")))
    if users:
        session.wait_until(world.loads)
    (locust,) = world.processes("-m locust")
    locust.terminate()
    ended = session.end()
    assert ended.code == 6
    assert "the load generator was ended from outside" in ended.err.replace("\n", " ")
    assert "next: let nothing end the processes of a run, and repeat this command" in ended.err
    assert world.records()[0].outcome == "invalid"
    assert world.left() == []


def test_a_load_generator_that_stands_still_makes_the_run_invalid(world: World) -> None:
    """A load generator that is stopped for 0.6 s adds that to response times, though its p99 may be good."""
    session = world.start("--run-time-s", "4")
    session.wait_until(world.loads)
    (locust,) = world.processes("-m locust")
    locust.suspend()
    assert session.runs_on(0.6)
    locust.resume()
    assert session.end().code == 0
    assert world.records()[0].outcome == "ok"
    assert "the generator stood still" in reasons(world)


def test_a_mock_api_that_stands_still_makes_the_run_invalid(world: World) -> None:
    """A mock API that is stopped for 0.6 s adds that to every answer that waits for it."""
    session = world.start("--run-time-s", "4")
    session.wait_until(world.loads)
    (mock,) = world.processes("mock_api_app")
    mock.suspend()
    assert session.runs_on(0.6)
    mock.resume()
    assert session.end().code == 0
    assert world.records()[0].outcome == "ok"
    assert "the mock API stood still" in reasons(world)


@pytest.mark.parametrize("number", [signal.SIGTTIN, signal.SIGUSR2], ids=["a worker", "a second master"])
def test_a_server_that_gets_another_worker_makes_the_run_invalid(world: World, number: signal.Signals) -> None:
    """A worker or a second master, which a master starts under load, pays for its start out of the requests' CPU."""
    session = world.start()
    session.wait_until(world.loads)
    servers = world.processes("gunicorn")
    (master,) = (process for process in servers if process.ppid() not in {other.pid for other in servers})
    master.send_signal(number)
    assert session.end().code == 0
    assert world.records()[0].outcome == "ok"
    assert "3 workers ran at the end, 2 before the load" in reasons(world)
    assert world.left() == []


@pytest.mark.parametrize("answer", ["long_ago", "not_a_number"])
def test_a_flow_that_tells_impossible_times_makes_the_run_invalid(world: World, answer: str) -> None:
    """A flow that says that its backend waited for -1e9 s or for NaN s gets no overhead from that."""
    world.behave(answer=answer)
    ended = world.run()
    assert ended.code == 0, ended.err
    (record,) = world.records()
    assert record.outcome == "ok"
    assert record.measurements is not None
    assert record.measurements.load.impossible_times == record.measurements.load.recorded > 0
    assert "answers give a time of the backend that cannot be" in reasons(world)
