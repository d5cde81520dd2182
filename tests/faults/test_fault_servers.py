"""A release's server or the mock API fails: how the run ends, what is recorded, and that nothing is left."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.faults.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.fault]


class Healthy(BaseHTTPRequestHandler):
    """Claims to be healthy, whatever it is."""

    def do_GET(self) -> None:
        """Answer with 200."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay quiet."""


@contextmanager
def somebody_else() -> Iterator[int]:
    """A server that is not ours, on a port of its own."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield port_of(server)
        server.shutdown()
        thread.join()


def port_of(server: socketserver.TCPServer) -> int:
    """Where it listens."""
    return int(server.server_address[1])


def test_a_server_that_never_becomes_ready_is_given_up(world: World) -> None:
    """A server that does not answer in time ends the run with exit code 5, its log quoted and named."""
    world.behave(boot="never_ready")
    ended = world.run("--boot-s", "4")
    assert ended.code == 5
    assert "server never became ready: /health: not within 4 s" in ended.err
    assert "[INFO] Starting gunicorn (a fake)" in ended.err
    assert "next: see " in ended.err
    assert "server.log" in ended.err
    assert world.records()[0].outcome == "failed"
    assert world.left() == []


def test_a_server_that_dies_at_boot_is_quoted(world: World) -> None:
    """A server that ends while it boots is recorded as failed, with its last words and without paths."""
    world.behave(boot="die")
    ended = world.run()
    assert ended.code == 5
    assert "server ended with exit code 3; its last lines:" in ended.err
    assert "No module named 'promptflow' (as told)" in ended.err
    assert "next: see " in ended.err
    assert "server.log" in ended.err
    (record,) = world.records()
    assert record.outcome == "failed"
    assert "No module named 'promptflow' (as told)" in record.reasons[0]
    assert str(world.at) not in str(record)
    assert world.left() == []


def test_a_server_that_cannot_fork_says_so(world: World) -> None:
    """A server that the system refuses a new process is quoted with that, and the error says which limit to raise."""
    world.behave(boot="no_fork")
    ended = world.run()
    assert ended.code == 5
    assert "server ended with exit code 1; its last lines:" in ended.err
    assert "BlockingIOError: [Errno 11] Resource temporarily unavailable" in ended.err
    assert "next: raise the limit of processes (ulimit -u, or pids.max of the container)" in ended.err
    assert "Resource temporarily unavailable" in world.records()[0].reasons[0]
    assert world.left() == []


def test_a_server_that_dies_under_load_is_noticed(world: World) -> None:
    """A master that is killed under load ends the run at once, and its orphaned workers go with it."""
    world.behave(load="die")
    ended = world.run()
    assert ended.code == 5
    assert "server was killed by signal 9" in ended.err
    assert "out of memory (as told)" in ended.err
    (record,) = world.records()
    assert record.outcome == "failed"
    assert record.measurements is None
    assert world.left() == []


def test_a_server_that_ignores_sigterm_is_killed(world: World) -> None:
    """A server whose whole group ignores SIGTERM is killed after a grace, without a warning."""
    world.behave(answer="wrong", sigterm="ignore")
    ended = world.run()
    assert ended.code == 5
    assert "WARNING" not in ended.err
    assert world.left() == []


def test_a_worker_that_outlives_its_master_is_killed(world: World) -> None:
    """Workers that ignore the SIGTERM which ended their master are killed with its group."""
    world.behave(answer="wrong", sigterm="workers_stay")
    ended = world.run()
    assert ended.code == 5
    assert "did not end within" not in ended.err  # the master did
    assert world.left() == []


@pytest.mark.parametrize(("answer", "code"), [("ok", 0), ("wrong", 5)])
def test_processes_that_left_their_session_are_ended(world: World, answer: str, code: int) -> None:
    """What a flow starts in a session of its own is ended after the run, good or not, whatever its environment."""
    world.behave(strays="two", answer=answer)
    session = world.start()
    session.wait_until(lambda: len(world.strays()) == 2)
    ended = session.end()
    assert ended.code == code, ended.err
    assert ("nothing left running" in ended.err) == (code == 0)
    assert world.left() == []


def test_a_mock_api_that_dies_under_load_is_noticed(world: World) -> None:
    """Without its backend a run is recorded as failed, and the error names the mock and not the server."""
    session = world.start()
    session.wait_until(world.loads)
    (mock,) = world.processes("mock_api_app")
    mock.kill()
    ended = session.end()
    assert ended.code == 5
    assert "mock was killed by signal 9" in ended.err
    assert "mock.log" in ended.err
    assert world.records()[0].outcome == "failed"
    assert world.left() == []


def test_a_port_taken_before_it_is_bound_is_exchanged(world: World) -> None:
    """Ports that another healthy server takes between choice and bind are given up for others."""
    with somebody_else() as first, somebody_else() as second:
        ended = world.run("--taken", str(first), str(second))
    assert ended.code == 0, ended.err
    assert world.records()[0].outcome == "ok"
    assert world.left() == []


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"version": "1.11.0"}, "the server says that it is promptflow 1.11.0, not 1.12.0"),
        (
            {"version": ""},
            "the server does not answer /version; its last lines:\n    [INFO] Starting gunicorn (a fake)",
        ),
        ({"answer": "wrong"}, "type is 'something else', not 'fake'"),
        ({"answer": "status500"}, 'HTTP status 500: {"error": {"message": "the flow raised"}}'),
    ],
    ids=["version", "no version", "answer", "status"],
)
def test_a_server_that_does_not_verify_is_not_loaded(world: World, behaviour: dict[str, str], said: str) -> None:
    """A server of the wrong version, or one that answers wrongly, is recorded as that and never loaded."""
    world.behave(**behaviour)
    ended = world.run()
    assert ended.code == 5
    assert said in ended.err
    assert "\n  next: " in ended.err
    (record,) = world.records()
    assert record.outcome == "verify-failed"
    assert said in record.reasons[0]
    assert list(record.phases_s) == ["boot"]
    assert not list(world.at.glob("scratch/*/locust.log"))
    assert world.left() == []
