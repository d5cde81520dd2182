"""Every way in which a run can fail: what the fake outside does, what then happens, and what is recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scripts.config.errors import InvalidMeasurementError, ServerError, SuiteError, VerificationError
from scripts.host.process import Finished
from scripts.records.schema import Outcome
from tests.fakes import values
from tests.fakes.system import Script, reply

BOOTED = ["start mock", "GET mock /health", "run bash", "start server", "GET server /health", "GET server /version"]
VERIFIED = [*BOOTED, "POST server /score"]
LOADED = [*VERIFIED, "start locust", "under load"]
STOPPED = ["stop locust", "stop server", "stop mock"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """A way to fail."""

    outside: dict[str, Any]  # fields of FakeSystem
    events: list[str]
    outcome: Outcome = "failed"
    error: type[SuiteError] = ServerError
    reason: str  # a part of the recorded one


FAILURES = {
    "mock never ready": Failing(
        outside={"scripts": {"mock": [Script(ready_s=math.inf)]}},
        events=["start mock", "stop mock"],
        reason="mock never became ready: /health: not within 10 s",
    ),
    "mock dies at boot": Failing(
        outside={"scripts": {"mock": [Script(ready_s=math.inf, ends_s=0.5, says="no module\n")]}},
        events=["start mock", "stop mock"],
        reason="mock ended with exit code 1; its last lines:\n    no module",
    ),
    "no server command": Failing(
        outside={"shell": Finished(code=0, output="")},
        events=["start mock", "GET mock /health", "run bash", "stop mock"],
        reason="starts 0 gunicorn commands, not 1",
    ),
    "server script hangs": Failing(
        outside={"shell": None},
        events=["start mock", "GET mock /health", "run bash", "stop mock"],
        reason="server script does not end",
    ),
    "server dies at boot": Failing(
        outside={
            "scripts": {"server": [Script(ready_s=math.inf, ends_s=0.5, code=-11, says="File /usr/lib/x/y.py\n")]}
        },
        events=[*BOOTED[:4], "stop server", "stop mock"],
        reason="server was killed by signal 11; its last lines:\n    File y.py",
    ),
    "server never ready": Failing(
        outside={"scripts": {"server": [Script(ready_s=math.inf)]}},
        events=[*BOOTED[:4], "stop server", "stop mock"],
        reason="server never became ready: /health: not within 10 s",
    ),
    "a worker never starts": Failing(
        outside={"scripts": {"server": [Script(workers=1)]}},
        events=[*BOOTED[:5], "stop server", "stop mock"],
        reason="server never became ready: 2 workers that have started: not within 10 s",
    ),
    "wrong version": Failing(
        outside={"replies": {"server /version": reply({"version": "1.11.0"})}},
        events=[*VERIFIED[:-1], "stop server", "stop mock"],
        outcome="verify-failed",
        error=VerificationError,
        reason="the server says that it is promptflow 1.11.0, not 1.12.0",
    ),
    "no version": Failing(
        outside={"replies": {"server /version": None}},
        events=[*VERIFIED[:-1], "stop server", "stop mock"],
        outcome="verify-failed",
        error=VerificationError,
        reason="the server does not answer /version; its last lines:\n    starting",
    ),
    "wrong answer": Failing(
        outside={"replies": {"server /score": reply({"answer": {"type": "another"}})}},
        events=[*VERIFIED, "stop server", "stop mock"],
        outcome="verify-failed",
        error=VerificationError,
        reason="type is 'another', not 'example'",
    ),
    "too fast an answer": Failing(
        outside={"replies": {"server /score": reply({"answer": values.ANSWER}, elapsed_s=0.9)}},
        events=[*VERIFIED, "stop server", "stop mock"],
        outcome="verify-failed",
        error=VerificationError,
        reason="0.900 s, faster than its ideal time of 1.25 s",
    ),
    "server dies under load": Failing(
        outside={"scripts": {"server": [Script(ends_s=4.0, code=-9)]}},
        events=[*LOADED, *STOPPED],
        reason="server was killed by signal 9",
    ),
    "mock dies under load": Failing(
        outside={"scripts": {"mock": [Script(ends_s=5.0)]}},
        events=[*LOADED, *STOPPED],
        reason="mock ended with exit code 1",
    ),
    "locust ends with an error": Failing(
        outside={"scripts": {"locust": [Script(ends_s=1.5, code=2, says="bad option\n")]}},
        events=[*LOADED, *STOPPED],
        error=InvalidMeasurementError,
        outcome="invalid",
        reason="locust ended with exit code 2; its last lines:\n    bad option",
    ),
    "locust never ends": Failing(
        outside={"scripts": {"locust": [Script()]}},
        events=[*LOADED, *STOPPED],
        error=InvalidMeasurementError,
        outcome="invalid",
        reason="locust did not end within 60 s of its run time",
    ),
    "no recording": Failing(
        outside={"records": False},
        events=[*LOADED, *STOPPED],
        error=InvalidMeasurementError,
        outcome="invalid",
        reason="no complete recording",
    ),
    "mock tells no counts": Failing(
        outside={"replies": {"mock /counts": None}},
        events=[*LOADED, "GET mock /counts", *STOPPED],
        error=InvalidMeasurementError,
        outcome="invalid",
        reason="the mock API did not report its counts",
    ),
}
