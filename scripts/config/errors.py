"""Errors that end a command: what happened, what to type next, and the exit code (stable, listed in docs/commands.md).

Python's own exceptions stay for programming mistakes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143


class SuiteError(Exception):
    """A failure that the user can act on."""

    exit_code = 2

    def __init__(self, message: str, *, then: str = "") -> None:
        """`message` says what happened and where; `then` is the next command to type, or what to do."""
        super().__init__(message)
        self.message = message
        self.then = then

    def __str__(self) -> str:
        """The message, and under it what to do next."""
        return f"{self.message}\n  next: {self.then}" if self.then else self.message


class UsageError(SuiteError):
    """A wrong command line or a wrong configuration file; nothing was started."""

    exit_code = 2


class NothingMeasuredError(SuiteError):
    """Nothing was selected, or what was measured could not be recorded."""

    exit_code = 3


class EnvironmentBuildError(SuiteError):
    """A virtualenv could not be built as its lock says, or a program that a session needs is missing."""

    exit_code = 4


class ValgrindError(EnvironmentBuildError):
    """Valgrind is missing, or cannot count on this machine: what is measured in time still can be."""


class SamplerError(EnvironmentBuildError):
    """py-spy cannot sample stacks on this machine: what is measured without it still can be."""


class ServerError(SuiteError):
    """A server (promptflow's or the mock) did not start, did not verify, or died."""

    exit_code = 5


class VerificationError(ServerError):
    """The server answers, but not as the release and the flow should."""


class InvalidMeasurementError(SuiteError):
    """The load ran, but its figures are invalid or inconclusive."""

    exit_code = 6


class NotComparableError(SuiteError):
    """Results that must not share a table, or derived files that differ from their records."""

    exit_code = 7


class RegressionError(SuiteError):
    """A candidate is worse than its baseline, by more than the threshold."""

    exit_code = 8


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that only clean-up code sees it on its way out."""


def quoted(output: str, lines: int = 12) -> str:
    """The last lines of a command's output, indented, as a message quotes them."""
    return "\n".join(f"    {line}" for line in output.strip().splitlines()[-lines:])


def did_you_mean(word: str, legal: Iterable[str]) -> str:
    """Name the nearest legal word, or list them all when none is near."""
    words = list(legal)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(words) or 'none'}"
