"""Counts the work of a server's one worker: verified, warmed up, then window by window, one request after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.config.errors import InvalidMeasurementError, ServerError
from scripts.config.flows import Flow
from scripts.config.load_profiles import Counting
from scripts.host import telemetry
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.measure import callgrind
from scripts.measure.callgrind import Dump, Valgrind
from scripts.records.schema import CountedWindow, Counts
from scripts.serving import server_command
from scripts.serving.launch import Booted

_REQUEST_S = 60.0
_FIRST_REQUEST_S = 180.0  # it imports modules: 5 to 14 s under valgrind, and a minute on a machine with much other work
_FOLDER = "counted"  # of a run's folder: dumps, and valgrind's pipes


@dataclass(kw_only=True, slots=True)
class Counter:
    """A server whose worker is counted."""

    system: System
    booted: Booted
    flow: Flow
    env: Mapping[str, str]  # of vgdb
    folder: Path
    worker: int  # process id
    dumps: int = 0  # made so far
    served: int = 0  # requests
    start_up: int | None = None  # instructions of the server's processes until it was ready, if they were counted

    def begin(self, *, from_start: bool) -> None:
        """Count from now on; `from_start`: the server's processes are counted already, and that is kept apart."""
        if from_start:
            processes = (self.booted.child.pid, self.worker)
            self.start_up = callgrind.dump_all(self.system, processes, env=self.env, scratch=self.folder)
            self.dumps += 1
        else:
            callgrind.order(self.system, self.worker, ("instrumentation", "on"), env=self.env, scratch=self.folder)

    def first_request(self, backend_wait_s: float) -> None:
        """Verify by the first request."""
        server_command.verify(self.system, self.booted.base, self.flow, backend_wait_s, _FIRST_REQUEST_S)
        self.served += 1

    def request(self) -> None:
        """Send the next request; InvalidMeasurementError when it fails."""
        self.served += 1
        reply = self.system.request(f"{self.booted.base}/score", body=self.flow.request, timeout_s=_REQUEST_S)
        if reply is None or reply.status != 200:  # noqa: PLR2004 - HTTP's OK
            self.require_worker()
            said = f"HTTP status {reply.status}: {reply.body[:200].decode(errors='replace')}" if reply else "no answer"
            raise InvalidMeasurementError(
                f"request {self.served} failed: {said}", then="repeat this command with --keep-logs, then read the logs"
            )

    def dump(self) -> Dump:
        """What was executed since the last dump."""
        self.require_worker()
        self.dumps += 1
        return callgrind.dump(self.system, self.worker, self.dumps, env=self.env, scratch=self.folder)

    def require_worker(self) -> None:
        """ServerError when the worker has ended; gunicorn starts another one, which nobody has counted."""
        server_command.require_alive(self.booted.child)
        if self.worker not in telemetry.children(self.booted.child.pid):
            raise ServerError(
                f"the counted worker ended after {self.served} requests; the last lines of the log:\n"
                f"{server_command.last_lines(self.booted.child.log)}",
                then=f"see {self.booted.child.log}",
            )


def folder(scratch: Path) -> Path:
    """Where a run's dumps go."""
    made = scratch / _FOLDER
    made.mkdir(exist_ok=True)
    return made


def only_worker(booted: Booted) -> int:
    """The process id of the server's one worker; InvalidMeasurementError when it has another number of them."""
    workers = telemetry.children(booted.child.pid)
    if len(workers) != 1:
        raise InvalidMeasurementError(
            f"{len(workers)} workers ran, 1 was requested: work is counted in one",
            then=f"see the server's command in {booted.child.log}",
        )
    return workers[0]


def windows(counter: Counter, counting: Counting, found: Valgrind, backend: str, progress: Progress) -> Counts:
    """Count the requests of a server that has answered its first; `backend`: the mock API's URL without a path."""
    total = counting.warm_up_requests + counting.windows * counting.window_requests

    def send(requests: int) -> None:
        for _ in range(requests):
            counter.request()
            progress.update(f"{counter.served} of {total} requests")

    first = counter.dump()
    send(counting.warm_up_requests - counter.served)
    counter.dump()
    warm = counter.served
    dumps = []
    for _ in range(counting.windows):
        send(counting.window_requests)
        dumps.append(counter.dump())
    named = any(one.collections for one in (first, *dumps))
    return Counts(
        valgrind=found.version,
        pinned=found.pinned,
        start_up_instructions=counter.start_up,
        first_request_instructions=first.instructions,
        warm_up_requests=warm,
        windows=tuple(_window(one, counting.window_requests, named=named) for one in dumps),
        backend_received=_received(counter.system, backend),
    )


def _window(found: Dump, requests: int, *, named: bool) -> CountedWindow:
    """`named`: the Python has symbols, so that its garbage collections can be told apart."""
    return CountedWindow(
        requests=requests,
        instructions=found.instructions,
        system_calls=found.system_calls,
        full_collections=found.full_collections if named else None,
        collection_instructions=found.collection_instructions if named else None,
    )


def _received(system: System, backend: str) -> int:
    reply = system.request(f"{backend}/counts")
    try:
        return msgspec.json.decode(reply.body if reply else b"", type=dict[str, int])["received"]
    except (msgspec.DecodeError, KeyError) as error:
        raise InvalidMeasurementError(
            "the mock API did not report its counts", then="repeat this command with --keep-logs, then read mock.log"
        ) from error
