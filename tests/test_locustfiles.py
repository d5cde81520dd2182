"""The locustfiles as users run them: real locust, real sockets, small servers that keep books."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.ports import wait_for_port

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent
ANSWER_S = 0.15
GOOD = {"answer": {"total_time_sec": 0.1, "pf_node_time_sec": 0.11, "type": "static_async"}}
WRONG = {"answer": {"type": "another"}}

Recording = tuple[list[dict[str, str]], dict[str, Any]]
"""The request log and the summary."""


class _Flow(BaseHTTPRequestHandler):
    """Answers after a while; every 7th answer is a wrong one and every 11th a status 500."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[attr-defined]
        number = len(self.server.bodies)  # type: ignore[attr-defined]
        time.sleep(ANSWER_S)
        body = json.dumps(WRONG if number % 7 == 0 else GOOD).encode()
        self.send_response(500 if number % 11 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


class FlowServer(ThreadingHTTPServer):
    """Keeps the body of every request that it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Flow)
        self.bodies: list[bytes] = []


@contextlib.contextmanager
def served() -> Iterator[FlowServer]:
    """Serve a stand-in for promptflow."""
    with FlowServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def flow() -> Iterator[FlowServer]:
    """One stand-in for promptflow."""
    with served() as server:
        yield server


class RacingServer:
    """Answers the first request of a connection, and resets the connection when a second one arrives.

    To a client that is what a keep-alive race looks like: the server closes what it had thought idle.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        body = json.dumps(GOOD).encode()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        select.select([connection], [], [], 30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def locust(directory: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a locustfile in a clean directory with a clean environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfiles" / name), *options]
    return subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=60)


def record(directory: Path, name: str, port: int, *options: str) -> Recording:
    """Run a locustfile with a recording, and read it."""
    to = directory / "recording"
    load = (
        "--headless",
        "--exit-code-on-error",
        "0",
        "--host",
        f"http://127.0.0.1:{port}",
        "--record-to",
        str(to),
    )
    ended = locust(directory, name, *load, *options)
    assert ended.returncode == 0, ended.stderr
    return recorded(to)


def recorded(directory: Path) -> Recording:
    """Read a recording."""
    with (directory / "requests.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    summary: dict[str, Any] = json.loads((directory / "load.json").read_text(encoding="utf-8"))
    return rows, summary


def outcomes(rows: list[dict[str, str]]) -> dict[str, int]:
    """Count the rows of each outcome."""
    found = [row["outcome"] for row in rows]
    return {outcome: found.count(outcome) for outcome in set(found)}


SHORT_WAITS = ("--wait-min-s", "0.1", "--wait-max-s", "0.2")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, FlowServer]:
    """Five users for three seconds, and the server that they asked."""
    with served() as flow:
        options = ("-u", "5", "-r", "5", "-t", "3s", *SHORT_WAITS)
        return record(tmp_path_factory.mktemp("loaded"), "score.py", flow.server_port, *options), flow


def test_books_balance(loaded: tuple[Recording, FlowServer]) -> None:
    """Every request that the server was given is recorded, or counted as cut off at the stop."""
    (rows, load), flow = loaded
    assert len(rows) + load["in_flight_at_stop"] == len(flow.bodies)
    assert load["in_flight_at_stop"] == len(load["in_flight_age_ms"]) > 0
    assert set(flow.bodies) == {(ROOT / "flows" / "static_async" / "request.json").read_bytes()}
    assert 2.9 < load["stopped_s"] - load["started_s"] < 3.5
    assert (load["users_reached"], load["users_by_second"], load["exceptions"]) == (5, [5, 5, 5], 0)
    assert load["started_s"] <= load["all_users_at_s"] < load["started_s"] + 1
    assert "127.0.0.1:PORT" in load["options"]["host"]
    assert str(flow.server_port) not in json.dumps(load["options"])


def test_outcomes(loaded: tuple[Recording, FlowServer]) -> None:
    """Wrong answers and statuses are failures of their kind, for the recording and for locust alike."""
    (rows, load), _ = loaded
    found = outcomes(rows)
    assert set(found) == {"ok", "wrong_answer", "status"}
    failed = found["wrong_answer"] + found["status"]
    assert sum(failure["count"] for failure in load["failures"]) == failed
    assert "type is 'another', expected 'static_async'" in [failure["message"] for failure in load["failures"]]
    score, total = load["locust_rows"]
    assert (score["type"], score["name"], score["request_count"], score["failure_count"]) == (
        *("POST", "/score"),
        *(len(rows), failed),
    )
    assert total["max_response_time"] == max(float(row["response_time_ms"]) for row in rows)
    good = [row for row in rows if row["outcome"] == "ok"]
    assert {(row["backend_s"], row["node_s"]) for row in good} == {("0.1", "0.11")}
    assert min(float(row["response_time_ms"]) for row in rows) >= ANSWER_S * 1000


def test_drain(tmp_path: Path, flow: FlowServer) -> None:
    """With --stop-timeout the requests in flight at the stop finish and are recorded."""
    options = ("-u", "5", "-r", "5", "-t", "1s", "--stop-timeout", "5")
    rows, load = record(tmp_path, "score.py", flow.server_port, *options, *SHORT_WAITS)
    assert load["in_flight_at_stop"] == 0
    assert len(rows) == len(flow.bodies)
    assert any(float(row["start_s"]) + float(row["response_time_ms"]) / 1000 > load["stopped_s"] for row in rows)


def test_think_times_repeat(tmp_path: Path, flow: FlowServer) -> None:
    """A user asks at once, and then waits what its seed and number say."""
    options = ("-u", "2", "-r", "2", "-t", "3s", "--seed", "7", "--wait-min-s", "0.2", "--wait-max-s", "0.6")
    rows, load = record(tmp_path, "score.py", flow.server_port, *options)
    for user in ("0", "1"):
        draws = random.Random(f"7-{user}")  # noqa: S311 - the user draws the same
        first, *later = (row for row in rows if row["user"] == user)
        assert first["idle_s"] == ""
        assert float(first["start_s"]) - load["started_s"] < 0.5
        assert len(later) > 2
        for row in later:
            assert 0 <= float(row["idle_s"]) - draws.uniform(0.2, 0.6) < 0.1


def test_keepalive_race(tmp_path: Path) -> None:
    """A POST on a connection that the server closes just then is a keep-alive race, and is not sent again."""
    server = RacingServer()
    options = ("-u", "2", "-r", "2", "-t", "5s", "--wait-min-s", "1.05", "--wait-max-s", "1.1")
    rows, load = record(tmp_path, "score.py", server.port, *options)
    server.close()
    for user in ("0", "1"):
        found = [row["outcome"] for row in rows if row["user"] == user]
        assert found[:4] == ["ok", "keepalive_race", "ok", "keepalive_race"]
    assert outcomes(rows)["ok"] == server.connections
    assert [failure["kind"] for failure in load["failures"]] == ["keepalive_race"]


def test_refused_connection(tmp_path: Path) -> None:
    """Without a server every request is a failed connection, and the recording is complete all the same."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rows, load = record(tmp_path, "score.py", port, *("-u", "1", "-t", "1s"), *SHORT_WAITS)
    assert set(outcomes(rows)) == {"connection"}
    message = load["failures"][0]["message"]
    assert "refused" in message
    assert str(port) not in message


def test_mock_api(tmp_path: Path) -> None:
    """The mock locustfile loads the real mock API, and the counts of both sides agree."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ["-m", "uvicorn", "scripts.measure.mock_api_app:app", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PATH": os.environ["PATH"], "MIN_WAIT_TIME_SEC": "0.1", "MAX_WAIT_TIME_SEC": "0.2"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    with subprocess.Popen(
        [sys.executable, *server],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as mock:
        try:
            wait_for_port(port)
            rows, load = record(tmp_path, "mock_api.py", port, *("-u", "5", "-r", "5", "-t", "2s"), *SHORT_WAITS)
            received = mock_counts(port)["received"]
        finally:
            mock.terminate()
    assert set(outcomes(rows)) == {"ok"}
    assert len(rows) + load["in_flight_at_stop"] == received
    for row in rows:
        assert 0.1 <= float(row["backend_s"]) <= float(row["response_time_ms"]) / 1000 + 0.002


def mock_counts(port: int) -> dict[str, int]:
    """Ask the mock API what it has counted."""
    with socket.create_connection(("127.0.0.1", port)) as caller:
        caller.sendall(b"GET /counts HTTP/1.0\r\n\r\n")
        reply = b"".join(iter(lambda: caller.recv(4096), b""))
    counts: dict[str, int] = json.loads(reply.partition(b"\r\n\r\n")[2])
    return counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Duet:
    """A load on two servers at the same time."""

    place: Path  # of the recording of both together; each half has a folder in it
    given: dict[str, int]  # requests that each server received

    @property
    def recordings(self) -> dict[str, Recording]:
        """Of both together and of each half."""
        return {"whole": recorded(self.place), **{half: recorded(self.place / half) for half in self.given}}


def duet(directory: Path, *options: str) -> Duet:
    """Load two servers."""
    with served() as flow, served() as other:
        second = ("--second-host", f"http://127.0.0.1:{other.server_port}")
        record(directory, "duet.py", flow.server_port, *second, *options, *SHORT_WAITS)
        given = {"first": len(flow.bodies), "second": len(other.bodies)}
    return Duet(place=directory / "recording", given=given)


@pytest.fixture(scope="module")
def loaded_at_once(tmp_path_factory: pytest.TempPathFactory) -> Duet:
    """Three users of each server for three seconds."""
    return duet(tmp_path_factory.mktemp("duet"), "-u", "6", "-r", "6", "-t", "3s", "--seed", "7")


def test_duet_books_balance(loaded_at_once: Duet) -> None:
    """Each half holds exactly what its server was given, and the whole holds both."""
    found = loaded_at_once.recordings
    for half, given in loaded_at_once.given.items():
        rows, load = found[half]
        assert len(rows) + load["in_flight_at_stop"] == given > 0
        assert (load["users_reached"], load["users_by_second"], load["exceptions"]) == (3, [3, 3, 3], 0)
        assert (load["options"]["users"], load["options"]["spawn_rate"]) == ("3", "3.0")
        assert load["all_users_at_s"] < load["started_s"] + 1
        score, total = load["locust_rows"]
        failed = sum(row["outcome"] != "ok" for row in rows)
        assert (total["request_count"], total["failure_count"], score["name"]) == (len(rows), failed, "/score")
        assert sum(failure["count"] for failure in load["failures"]) == failed > 0
        assert total["requests_per_s"] > 0
    rows, load = found["whole"]
    assert len(rows) == len(found["first"][0]) + len(found["second"][0])
    assert load["users_reached"] == 6
    assert set(load) == set(found["first"][1])


def test_duet_progress_is_of_both(loaded_at_once: Duet) -> None:
    """Whoever watches the progress sees the users and requests of both halves together."""
    with (loaded_at_once.place / "progress.csv").open(encoding="utf-8", newline="") as stream:
        last = list(csv.DictReader(stream))[-1]
    assert last["users"] == "6"
    assert int(last["requests"]) > max(loaded_at_once.given.values()) * 0.9


def test_duet_think_times_are_the_same(loaded_at_once: Duet) -> None:
    """User k of both halves draws what user k of a single load draws."""
    for half in ("first", "second"):
        rows, _ = loaded_at_once.recordings[half]
        assert {row["user"] for row in rows} == {"0", "1", "2"}
        for user in ("0", "1", "2"):
            draws = random.Random(f"7-{user}")  # noqa: S311 - the user draws the same
            _, *later = (row for row in rows if row["user"] == user)
            assert len(later) > 2
            for row in later:
                assert 0 <= float(row["idle_s"]) - draws.uniform(0.1, 0.2) < 0.1


def test_duet_starts_users_in_turn(tmp_path: Path) -> None:
    """With one user a second, the halves get one in turn."""
    found = duet(tmp_path, "-u", "4", "-r", "1", "-t", "4s")
    first = {
        (half, user): min(float(row["start_s"]) for row in rows if row["user"] == user)
        for half, (rows, _) in found.recordings.items()
        if half != "whole"
        for user in ("0", "1")
    }
    assert [who for who, _ in sorted(first.items(), key=lambda one: one[1])] == [
        *(("first", "0"), ("second", "0"), ("first", "1"), ("second", "1")),
    ]


def test_duet_needs_a_second_host(tmp_path: Path) -> None:
    """Without the second server nothing is sent, and locust says what is missing."""
    ended = locust(tmp_path, "duet.py", "--headless", "--host", "http://127.0.0.1:9", "-t", "1s")
    assert ended.returncode == 1
    assert "--second-host is missing" in ended.stderr


@pytest.mark.parametrize("name", ["score.py", "mock_api.py"])
def test_by_hand(tmp_path: Path, name: str, flow: FlowServer) -> None:
    """A locustfile runs under plain locust with nothing but a host, and leaves no file behind."""
    host = f"http://127.0.0.1:{flow.server_port}"
    ended = locust(tmp_path, name, "--headless", "--host", host, "-t", "1s", "--exit-code-on-error", "0")
    assert ended.returncode == 0, ended.stderr
    assert "Aggregated" in ended.stderr + ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [("--request-file", None, "cannot be read"), ("--bench-file", "answer = 1", "must be a name")],
)
def test_unusable_files(tmp_path: Path, option: str, content: str | None, message: str) -> None:
    """A file that cannot be used ends locust before it has sent anything, with what is wrong."""
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    ended = locust(tmp_path, "score.py", "--headless", "--host", "http://127.0.0.1:9", "-t", "1s", option, str(file))
    assert ended.returncode == 1
    assert message in ended.stderr
