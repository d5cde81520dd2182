"""What an exchange came to: a good answer, or which kind of failure.

Pure; imports nothing of ours, and not locust.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from geventhttpclient.response import HTTPConnectionClosed

OK = "ok"
KEEPALIVE_RACE = "keepalive_race"
CONNECTION = "connection"
TIMEOUT = "timeout"
STATUS = "status"
WRONG_ANSWER = "wrong_answer"

HTTP_OK = 200
_RACE_WITHIN_MS = 100.0  # measured: such failures take 0.3 to 2 ms, and up to 22 ms where all cores are busy
_RACE_AFTER_IDLE_S = 1.0  # gunicorn closes an idle connection after 2 s by its own coarse clock
_LONGEST_MESSAGE = 200
_PRIVATE = (
    (re.compile(r"\bhttps?://[^\s'\"<>)]+"), "URL"),
    (
        re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\blocalhost(?::\d+)?\b|\[[0-9a-f:]+\](?::\d+)?"),
        "ADDRESS",
    ),
    (re.compile(r"(?i)\bport[ =:]+\d+"), "port PORT"),
    (re.compile(r"(?<![\w/])(?:/[\w.+-]+){2,}/?"), "PATH"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "0x..."),
)


class WrongAnswerError(Exception):
    """HTTP status 200, but not the answer that was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The times that a good answer tells, in seconds; None: it does not tell."""

    backend_s: float | None  # what the backend says it was asked to wait
    node_s: float | None  # how long the flow waited for the backend


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What makes a reply a good answer."""

    answer_in: str | None = None  # the field of the reply that holds the answer; None: the reply is the answer
    fields: Mapping[str, object]  # what the answer must hold

    def check(self, body: bytes) -> Answer:
        """Read a reply; WrongAnswerError says what is wrong with it."""
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise WrongAnswerError("the reply is not JSON") from error
        if self.answer_in is not None:
            answer = answer.get(self.answer_in) if isinstance(answer, dict) else None
        if not isinstance(answer, dict):
            raise WrongAnswerError(f"no JSON object in {self.answer_in or 'the reply'}")
        for name, value in self.fields.items():
            if answer.get(name) != value:
                raise WrongAnswerError(f"{name} is {answer.get(name)!r}, expected {value!r}")
        return Answer(backend_s=_seconds(answer.get("total_time_sec")), node_s=_seconds(answer.get("pf_node_time_sec")))


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_expected(bench_file: Path) -> Expected:
    """Read `answer_in` and `[answer]` of a bench.toml; without the file any JSON object will do.

    ValueError (of which TOMLDecodeError is one) says what is wrong with the file.
    """
    if not bench_file.exists():
        return Expected(fields={})
    bench = tomllib.loads(bench_file.read_text(encoding="utf-8"))
    answer_in, fields = bench.get("answer_in"), bench.get("answer", {})
    if not isinstance(answer_in, str | None) or not isinstance(fields, dict):
        raise ValueError("`answer_in` must be a name, and [answer] a table")  # noqa: TRY004 - a wrong file
    return Expected(answer_in=answer_in, fields=fields)


def failure_kind(
    *, error: BaseException | None, status: int, response_time_ms: float, idle_s: float | None, reused: bool
) -> str | None:
    """Name the kind of failure of an exchange without a usable reply; None when HTTP itself went well.

    `status` is 0 when no status line came, `idle_s` the pause since the user's previous request. A keep-alive
    race: the server closed an idle connection just when it was used again, so the request was never read.
    """
    cause = root_cause(error)
    if isinstance(cause, TimeoutError):
        return TIMEOUT
    if status not in (0, HTTP_OK):
        return STATUS
    if error is None and status == HTTP_OK:
        return None
    closed = isinstance(cause, HTTPConnectionClosed | ConnectionResetError | BrokenPipeError)
    idle = idle_s is not None and idle_s >= _RACE_AFTER_IDLE_S
    if closed and status == 0 and reused and idle and response_time_ms < _RACE_WITHIN_MS:
        return KEEPALIVE_RACE
    return CONNECTION


def root_cause(error: BaseException | None) -> BaseException | None:
    """The error itself, which geventhttpclient wraps in a RetriesExceeded when it has timed out."""
    original = getattr(error, "original", None)
    return original if isinstance(original, BaseException) else error


def public_message(text: str) -> str:
    """Take addresses, ports and paths out of a message, and what is beyond its first 200 characters."""
    for pattern, replacement in _PRIVATE:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())[:_LONGEST_MESSAGE]
