"""The machine: what it is, how busy it was, whether it can carry the load, and that only one run uses it."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import platform
import re
import resource
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil

from scripts.config.bounded_files import read_bounded
from scripts.config.errors import UsageError
from scripts.config.whole_files import write_whole
from scripts.host import telemetry
from scripts.records.schema import Machine

_CPU_SAMPLE_S = 0.3
_SPARE_FILES = 128  # beside one connection for each user: logs, libraries, listening sockets
_IDENTITY, _IDENTITY_BYTES = re.compile(r"[0-9a-f]{12}"), 12
BUSY = 0.10  # share of all cores, twice what a valid run bears: beyond it no session begins
LOCK_VARIABLE = "PROMPTFLOW_SERVE_BENCH_LOCK"
# One file for all users and all checkouts, wherever TMPDIR points. It is only ever locked, never written.
_LOCK_FILE = Path("/tmp/promptflow-serve-bench.lock")  # noqa: S108 - a link there is refused


def describe() -> Machine:
    """The machine now. Takes half a second to measure how busy and how fast it is."""
    uname = platform.uname()
    load = os.getloadavg()
    return Machine(
        cpu_model=_cpu_model(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        system=f"{uname.system} {uname.machine}",
        kernel=uname.release,
        tools_python=platform.python_version(),
        load_before=(round(load[0], 2), round(load[1], 2), round(load[2], 2)),
        cpu_busy_before=round(psutil.cpu_percent(interval=_CPU_SAMPLE_S) / 100, 4),
        loop_before_ms=telemetry.reference_loop_ms(),
        open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        identity=identity(),
    )


@functools.cache
def identity() -> str:
    """Twelve hexadecimal digits by which this machine is told from others of its kind; empty where none can be kept.

    They are drawn at random once, and say nothing of it: no name of a host, a user or a network.
    """
    folder = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(folder) / "promptflow-serve-bench" / "machine"
    try:
        if not path.is_file():
            write_whole(path, secrets.token_hex(6).encode())
        kept = read_bounded(path, _IDENTITY_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return kept if _IDENTITY.fullmatch(kept) else ""


def raise_open_files(users: int) -> None:
    """Let this process and its children open a file for each user; UsageError when the system forbids it."""
    need = users + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        raise UsageError(
            f"{users} users need {need} open files, and this system allows {hard}",
            then=f"raise the hard limit to {need} (`ulimit -Hn {need}` as root), or take a smaller --profile",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def lock_file() -> Path:
    """The lock that everybody on this machine shares. PROMPTFLOW_SERVE_BENCH_LOCK names another one.

    Its path is absolute, and its directory has no links; UsageError when the variable is set and names nothing.
    """
    named = os.environ.get(LOCK_VARIABLE)
    if named is None:
        return _LOCK_FILE
    if not named.strip():
        raise UsageError(
            f"{LOCK_VARIABLE} is set, and names no file",
            then=f"unset {LOCK_VARIABLE}, or set it to a file, then repeat this command",
        )
    path = Path(named)
    return path.parent.resolve() / path.name


def marker(lock: Path) -> str:
    """What marks the processes of whoever holds a lock.

    It tells the file and not its name: two locks never share it, and one lock under two names has one.
    """
    return _marker(lock.stat())


def _marker(lock: os.stat_result) -> str:
    return f"{lock.st_dev:x}-{lock.st_ino:x}"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[str]:
    """Hold the machine for one measurement; UsageError when another one runs. Death drops it.

    Yields the marker of the lock that is held. OSError when the lock file can be neither made nor opened.
    """
    descriptor = _lock_descriptor(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another measurement runs on this machine; two would disturb each other",
                then="wait until it has ended, then repeat this command",
            ) from error
        yield _marker(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _lock_descriptor(path: Path) -> int:
    """Open the lock file, made by whoever comes first.

    Readable is enough to lock it. Only the maker asks for O_CREAT: in a sticky directory Linux refuses that to others.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, flags)
    os.fchmod(descriptor, 0o666)  # whatever the maker's umask is
    return descriptor


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
