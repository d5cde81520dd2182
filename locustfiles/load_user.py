"""The user that both locustfiles share: seeded think times, checked answers, and the recording of a test.

Adds the options to locust's command line and listens to its events. Imports `answers` and `recorder`.
"""

from __future__ import annotations

import itertools
import random
import socket
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import locust
from gevent import GreenletExit, get_hub  # type: ignore[import-untyped]
from locust import FastHttpUser
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

if TYPE_CHECKING:
    from locustfiles import answers, recorder
else:  # locust puts this folder on sys.path
    import answers
    import recorder

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TIMEOUT_S = 300.0  # gunicorn's own in every release: a request is not given up before its worker is
_BODY_SHOWN = 500  # bytes of an error's body that are looked at for its message
_NO_TIMES = answers.Answer(backend_s=None, node_s=None)
events: Any = locust.events  # locust's hooks carry no types


class RecordedUser(FastHttpUser):
    """Sends one request at once, then one after each wait. A subclass has a task that calls `exchange`."""

    abstract = True
    network_timeout = _TIMEOUT_S
    connection_timeout = _TIMEOUT_S
    concurrency = 1  # one connection each: a user has one request at a time

    recording: ClassVar[recorder.Recording | None] = None  # of the running test; None: nothing is recorded
    numbers: ClassVar[Iterator[int]] = itertools.count()  # of the users, from 0 in each test

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        options = environment.parsed_options or Namespace()
        self._number = next(RecordedUser.numbers)
        self._think_times = random.Random(f"{options.seed}-{self._number}")  # noqa: S311 - must repeat
        self._wait_min_s, self._wait_max_s = options.wait_min_s, options.wait_max_s
        self._idle_since_s: float | None = None
        self._connections = 0
        self._port: int | None = None  # of this end of the connection
        http: Any = self.client.client.clientpool.get_client(self.host or "")
        http._connection_pool.after_connect = self._note_connection  # noqa: SLF001 - no public way to the hook

    def wait_time(self) -> float:
        """Draw the pause before the next request; the same user draws the same ones in every test."""
        return self._think_times.uniform(self._wait_min_s, self._wait_max_s)

    def exchange(self, method: str, path: str, expected: answers.Expected, body: bytes | None = None) -> None:
        """Send one request and judge and record what comes back, also if the test ends before it does."""
        headers = {"Content-Type": "application/json"} if body is not None else None
        connections, start_s = self._connections, time.monotonic()
        request: Any = self.client.request  # its types leave out that a body may be bytes
        try:
            response = request(method, path, data=body, headers=headers, catch_response=True)
        except GreenletExit:
            if self.recording is not None:
                self.recording.cut_off((time.monotonic() - start_s) * 1000)
            raise
        idle_s = None if self._idle_since_s is None else start_s - self._idle_since_s
        self._idle_since_s = time.monotonic()
        with response:
            outcome, answer, message = judge(response, expected, idle_s, self._connections == connections)
            if outcome != answers.OK:
                response.failure(f"{outcome}: {message}")
        if self.recording is not None:
            meta = response.request_meta
            times = (answer.backend_s, answer.node_s, idle_s)
            row = (start_s, meta["response_time"], outcome, meta["response_length"], *times, self._number, self._port)
            self.recording.add(row)
            if outcome != answers.OK:
                self.recording.fail(outcome, message)

    def _note_connection(self, connection: socket.socket) -> None:
        self._connections += 1
        self._port = connection.getsockname()[1]


def judge(
    response: ResponseContextManager, expected: answers.Expected, idle_s: float | None, reused: bool
) -> tuple[str, answers.Answer, str]:
    """Tell the outcome, the times in a good answer, and a message about a bad one."""
    error = response.request_meta["exception"]
    kind = answers.failure_kind(
        error=error,
        status=response.status_code,
        response_time_ms=response.request_meta["response_time"],
        idle_s=idle_s,
        reused=reused,
    )
    if kind == answers.STATUS:
        body = (response.content or b"")[:_BODY_SHOWN].decode(errors="replace")
        return kind, _NO_TIMES, answers.public_message(f"HTTP {response.status_code} {body}")
    if kind is not None:
        cause = answers.root_cause(error)
        return kind, _NO_TIMES, answers.public_message(f"{type(cause).__name__}: {cause}")
    try:
        return answers.OK, expected.check(response.content), ""
    except answers.WrongAnswerError as wrong:
        return answers.WRONG_ANSWER, _NO_TIMES, answers.public_message(str(wrong))


def add_options(parser: LocustArgumentParser) -> None:
    """Options of both locustfiles, with the values of the published report."""
    parser.add_argument(
        "--wait-min-s", type=float, default=1.0, help="Shortest pause of a user between requests, in seconds"
    )
    parser.add_argument(
        "--wait-max-s", type=float, default=2.0, help="Longest pause of a user between requests, in seconds"
    )
    parser.add_argument("--seed", type=int, default=42, help="Seed of the pauses")
    parser.add_argument(
        "--record-to",
        type=Path,
        metavar="DIR",
        include_in_web_ui=False,
        help="Write every request (requests.csv), a summary (load.json) and the progress into DIR",
    )


def wake(**_: object) -> None:
    """Set the event loop's clock; it still shows when the imports began, which ends a run 0.6 s too early."""
    get_hub().loop.update_now()


def begin(environment: Environment, **_: object) -> None:
    """Number the users from 0 again, and begin a recording if one is wanted."""
    options, runner = environment.parsed_options, environment.runner
    RecordedUser.numbers = itertools.count()
    if options is not None and runner is not None and options.record_to is not None:
        RecordedUser.recording = recorder.Recording(options.record_to, runner)


def all_users_started(**_: object) -> None:
    """Note the end of the ramp."""
    if RecordedUser.recording is not None:
        RecordedUser.recording.all_users_started()


def stop(**_: object) -> None:
    """Note the end of the load."""
    if RecordedUser.recording is not None:
        RecordedUser.recording.stop()


def write(environment: Environment, **_: object) -> None:
    """Write the recording; all users have ended, so nothing is added to it any more."""
    recording, RecordedUser.recording = RecordedUser.recording, None
    if recording is not None:
        recording.write(user_class=FastHttpUser.__name__, options=effective_options(environment))


def effective_options(environment: Environment) -> dict[str, str]:
    """The options that shape the load, without ports and host names."""
    options = environment.parsed_options or Namespace()
    host = urlsplit(environment.host or "")
    return {
        "host": f"{host.scheme}://{host.hostname if host.hostname in _LOOPBACK else 'HOST'}:PORT",
        "users": str(environment.runner.target_user_count if environment.runner else None),
        "spawn_rate": str(options.spawn_rate),
        "run_time_s": str(options.run_time),
        "stop_timeout_s": str(environment.stop_timeout),
        "wait_min_s": str(options.wait_min_s),
        "wait_max_s": str(options.wait_max_s),
        "seed": str(options.seed),
        "timeout_s": str(_TIMEOUT_S),
    }


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(wake)
events.test_start.add_listener(begin)
events.spawning_complete.add_listener(all_users_started)
events.test_stopping.add_listener(stop)
events.test_stop.add_listener(write)
