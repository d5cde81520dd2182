"""The one seam to the operating system: child processes, signals, sockets, HTTP, time.

The measuring packages receive a `System`, so that tests can put `tests/fakes/system.py` in its place.
Standard library only, so that `lock` runs without the tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from scripts.config.errors import Terminated
from scripts.config.load_profiles import LOOPBACK

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_LIBC = ctypes.CDLL(None)  # loaded here, since little is safe between fork and exec


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    output: str  # standard output; standard error too when it went to no log


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An HTTP reply."""

    status: int
    body: bytes
    elapsed_s: float


class Child(Protocol):
    """A child process that leads its own process group."""

    name: str
    log: Path

    @property
    def pid(self) -> int:
        """Its process id, also the id of its group."""

    def code(self) -> int | None:
        """Its exit code; None while it runs."""

    def stop(self, grace_s: float) -> None:
        """End its whole group: SIGTERM, and SIGKILL after the grace."""


class System(Protocol):
    """What the measuring half may request of the operating system."""

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """Start a child in a new process group, with exactly this environment, its output in `log`."""

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Run a command to its end; TimeoutError when it does not end in time."""

    def free_port(self) -> int:
        """A loopback port that was free a moment ago."""

    def request(self, url: str, *, body: bytes | None = None, timeout_s: float = 5.0) -> Reply | None:
        """GET, or POST of a JSON body; None when nobody answers."""

    def monotonic(self) -> float:
        """Seconds on the clock that all processes share."""

    def sleep(self, seconds: float) -> None:
        """Wait, between two checks of a condition."""


class RealChild:
    """A process started by `RealSystem`."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its process id, also the id of its group."""
        return self._popen.pid

    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._popen.poll()

    def stop(self, grace_s: float) -> None:
        """End its whole group: SIGTERM to the leader, and SIGKILL to whoever is left after the grace.

        A kill is no warning: servers that still answer requests always need it (see `_STOP_GRACE_S` of `launch`).
        """
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(grace_s)
            except subprocess.TimeoutExpired:
                logger.debug("%s did not end within %g s of SIGTERM: killed", self.name, grace_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


class RealSystem:
    """The real operating system."""

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """Start a child in a new process group, with exactly this environment, its output in `log`."""
        logger.info("starting %s: %s", name, _line(argv))
        with log.open("ab") as stream:
            popen = _popen(argv, env, cwd, stream)
        return RealChild(name, popen, log)

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Run a command to its end; TimeoutError when it does not end in time."""
        logger.info("running %s", _line(argv))
        popen = _popen(argv, env, cwd, subprocess.PIPE)
        try:
            output, _ = popen.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{Path(argv[0]).name} did not end within {timeout_s:g} s") from error
        finally:  # also when a signal arrives: nothing outlives the caller
            if popen.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()
        return Finished(code=popen.returncode, output=output.decode(errors="replace"))

    def free_port(self) -> int:
        """A loopback port that was free a moment ago."""
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])

    def request(self, url: str, *, body: bytes | None = None, timeout_s: float = 5.0) -> Reply | None:
        """GET, or POST of a JSON body; None when nobody answers."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - loopback, built by us
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        began = self.monotonic()
        try:
            with opener.open(request, timeout=timeout_s) as reply:
                return Reply(status=reply.status, body=reply.read(), elapsed_s=self.monotonic() - began)
        except urllib.error.HTTPError as error:
            return Reply(status=error.code, body=error.read(), elapsed_s=self.monotonic() - began)
        except (OSError, ValueError, EOFError):  # refused, reset, timed out, or not HTTP
            return None

    def monotonic(self) -> float:
        """Seconds on the clock that all processes share."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, between two checks of a condition."""
        time.sleep(seconds)


def _line(argv: Sequence[str]) -> str:
    """A command for a log; of a script within it the first line."""
    first, _, more = shlex.join(argv).partition("\n")
    return f"{first} ..." if more else first


def _popen(argv: Sequence[str], env: Mapping[str, str], cwd: Path, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process as every child is: its own group, nothing to read, both outputs in one, gone with its parent."""
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call
    )


def _end_with_parent() -> None:
    """Let the kernel send this process SIGTERM when its parent dies, even of SIGKILL. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[bool]:
    """While it is open, a descendant whose parent ends becomes a child of this process; yields False where it cannot.

    So a process that leaves its session and its parent can still be found. Linux only.
    """
    adopts = sys.platform == "linux" and _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield adopts
    finally:
        if adopts:
            _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Hold a folder, made if it is missing, as soon as no other process does. Death drops it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def terminate_as_exception() -> None:
    """Turn SIGTERM and SIGHUP into `Terminated`, so that clean-up runs as it does for Ctrl-C.

    What was ignored before stays ignored: under `nohup` a closed terminal ends nothing.
    """
    for number in _heeded(signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    if "NOX_CURRENT_SESSION" in os.environ:  # nox does not pass SIGTERM on to what it has started
        _end_with_parent()


def signalled(loop: asyncio.AbstractEventLoop) -> asyncio.Future[BaseException]:
    """What the first SIGINT, SIGTERM or SIGHUP stands for that arrives while the loop runs; it raises nothing itself.

    What was ignored before stays ignored.
    """
    arrived: asyncio.Future[BaseException] = loop.create_future()

    def arrive(stands_for: BaseException) -> None:
        if not arrived.done():
            arrived.set_result(stands_for)

    for number in _heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, arrive, KeyboardInterrupt() if number == signal.SIGINT else Terminated())
    return arrived


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM in what must not be left half done; the first is delivered at the end.

    By handlers and not by a mask: a masked signal goes to any other thread, e.g. that of the live line, and
    Python then raises in the main thread all the same. Any other thread needs no shield for that very reason.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in _heeded(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        for number in before:
            signal.signal(number, lambda number, _frame: held.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _heeded(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those of the signals that are not ignored."""
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


def wait_until(
    system: System,
    condition: str,
    *,
    met: Callable[[], bool],
    deadline_s: float,
    poll_s: float = 0.05,
) -> None:
    """Wait until the condition is met; TimeoutError names it when it is not met in time."""
    began = system.monotonic()
    while not met():
        if system.monotonic() - began > deadline_s:
            raise TimeoutError(f"{condition}: not within {deadline_s:g} s")
        system.sleep(poll_s)
