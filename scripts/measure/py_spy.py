"""py-spy: its virtualenv, its command line, and what it writes.

It samples the stacks of a server from outside. To need no root it must be an ancestor of what it samples: Linux allows
that by default (Yama's ptrace_scope 1). So `host.sampled_server` starts the server, waits until it is told to begin,
and then becomes py-spy. The start of the server and its warm-up are in no sample.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.config.errors import EnvironmentBuildError, InvalidMeasurementError, SamplerError, ServerError, quoted
from scripts.config.matrix import Suite
from scripts.environments import locks, virtualenvs
from scripts.host import sampled_server
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.records.explanations import LONGEST_NAME, Frame, Stack

GROUP = "profiler"  # of dependencies: py-spy alone
# Per process and second. A sample stops a server of 10 threads for 1.5 ms here. 1000 would leave it no time, and 100
# would need a longer load for as many samples.
RATE_HZ = 250
DURATION_S = 8
_TRIAL_S = 20.0
_BEGIN, _LOG, _OUTPUT = "begin", "py-spy.log", "stacks.txt"  # in the folder of a server: a named pipe, and two files
_SAMPLES = "Sampling process"  # py-spy says so when it begins
_STOPPED = "Stopped sampling because process exited"
_UNREAD = re.compile(r"Errors: (\d+)")
_FORBIDDEN = ("Permission denied", "Operation not permitted", "EPERM", "EACCES")
_FRAME = re.compile(r"(.+) \((.+)\)")
_SITE_PACKAGES = re.compile(r".*/site-packages/(.+)")
_STANDARD = re.compile(r".*/lib/python3\.\d+/(.+)")
_FROZEN = re.compile(r"<frozen ([\w.]+)>")
_GENERATED, _ELSEWHERE = "(generated)", "(elsewhere)"


@dataclass(frozen=True, kw_only=True, slots=True)
class PySpy:
    """An installed py-spy."""

    path: Path
    version: str

    def command(self, output: Path, duration_s: int = DURATION_S) -> tuple[str, ...]:
        """Sample threads that hold the interpreter's lock, so that no waiting thread counts as work."""
        return (
            str(self.path), "record", "--gil", "--subprocesses", "--rate", str(RATE_HZ), "--duration", str(duration_s),
            "--format", "raw", "--full-filenames", "--nolineno", "--output", str(output),
        )  # fmt: skip

    def launcher(self, folder: Path) -> tuple[str, ...]:
        """What stands before a server's command, so that it can be sampled later; makes what that needs in a folder."""
        os.mkfifo(folder / _BEGIN)
        files = (str(folder / _BEGIN), str(folder / _LOG))
        return (sys.executable, sampled_server.__file__, *files, *self.command(folder / _OUTPUT), "--")


def install(suite: Suite, system: System, progress: Progress) -> PySpy:
    """Install it from its own lock unless it is; EnvironmentBuildError says what failed."""
    progress.phase("install")
    virtualenvs.ENVIRONMENTS.mkdir(exist_ok=True)
    log, lock = virtualenvs.ENVIRONMENTS / f"install-{GROUP}.log", locks.read(locks.of_group(suite, GROUP))
    built = virtualenvs.build(
        GROUP, lock, suite.tools.python, uv=virtualenvs.find_uv(), system=system, log=log
    )  # fmt: skip
    version = built.distributions["py-spy"]
    progress.done(f"py-spy {version}, {'built' if built.built else 'already built'}")
    return PySpy(path=built.command("py-spy"), version=version)


def require(tool: PySpy, system: System, env: Mapping[str, str], scratch: Path) -> None:
    """Try it on a process that works; SamplerError says why it cannot sample here, and what allows it."""
    output = scratch / "trial.txt"
    argv = [*tool.command(output, 1), "--", sys.executable, "-c", "while True: pass"]
    try:
        done = system.run(argv, env=env, cwd=scratch, timeout_s=_TRIAL_S)
    except TimeoutError as error:
        raise SamplerError(f"py-spy {tool.version} cannot sample here: {error}", then=_what_allows_it("")) from error
    if done.code or not output.is_file() or not output.stat().st_size:
        raise SamplerError(
            f"py-spy {tool.version} cannot sample here; its last lines:\n{quoted(done.output)}",
            then=_what_allows_it(done.output),
        )


def _what_allows_it(said: str) -> str:
    if any(words in said for words in _FORBIDDEN):
        return (
            "let processes trace their children (sysctl kernel.yama.ptrace_scope=1; in a container, add the "
            "capability SYS_PTRACE), then repeat this command"
        )
    return "rm -r .envs/profiler-*, then repeat this command"


def begin(folder: Path) -> None:
    """Let the launcher of a folder become py-spy; ServerError when it is not there any more."""
    try:
        descriptor = os.open(folder / _BEGIN, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody reads
            raise
        raise ServerError("the server's launcher has ended", then=f"see the logs in {folder}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as pipe:
        pipe.write("begin\n")


def has_begun(folder: Path) -> bool:
    """Whether it samples by now."""
    return _SAMPLES in _said(folder)


def result(folder: Path, flow: Path) -> tuple[Counter[Stack], int]:
    """The stacks with how often each was seen, and how many samples failed; `flow`: where the served flow lies.

    EnvironmentBuildError for a Python that py-spy cannot read, SamplerError where it may not trace, and
    InvalidMeasurementError where it has left nothing.
    """
    said = _said(folder)
    try:
        text = (folder / _OUTPUT).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _failure(said, folder) from error
    if _STOPPED in said:
        raise InvalidMeasurementError(
            "py-spy stopped before its time: the server's process ended, or may not be traced any more",
            then=f"see the logs in {folder}",
        )
    unread = _UNREAD.search(said)
    return parsed(text, flow), int(unread[1]) if unread else 0


def _failure(said: str, folder: Path) -> EnvironmentBuildError | InvalidMeasurementError:
    if any(words in said for words in _FORBIDDEN):
        return SamplerError(
            f"py-spy may not read the server's memory; its last lines:\n{quoted(said)}", then=_what_allows_it(said)
        )
    if "python interpreter" in said or "python version" in said:
        return EnvironmentBuildError(
            "py-spy cannot find the interpreter in the server's process: this Python has no symbols that it knows; "
            f"its last lines:\n{quoted(said)}",
            then="repeat this command with --python and another version that the lock covers",
        )
    return InvalidMeasurementError(
        f"py-spy left no samples; its last lines:\n{quoted(said) or '    (nothing)'}", then=f"see the logs in {folder}"
    )


def _said(folder: Path) -> str:
    log = folder / _LOG
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""


def parsed(text: str, flow: Path) -> Counter[Stack]:
    """Stacks of py-spy's raw format: `caller (file);function (file) 12`, one a line, behind a name for each process."""
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, number = line.rpartition(" ")
        named = [_FRAME.fullmatch(part) for part in frames.split(";")]
        stack = tuple(_frame(match[1], match[2], flow) for match in named if match)
        if not number.isdecimal():
            raise InvalidMeasurementError(
                f"py-spy wrote a line that is no stack: {line[:100]!r}", then="repeat this command"
            )
        if stack:  # a thread that has no Python frame yet
            found[stack] += int(number)
    return found


def _frame(function: str, file: str, flow: Path) -> Frame:
    return Frame(module=_short(_module(file, flow)), function=_short(function))


def _module(file: str, flow: Path) -> str:
    """The file without what is of this machine: below site-packages, the standard library or the flow."""
    if match := _SITE_PACKAGES.fullmatch(file):
        return match[1]
    if match := _STANDARD.fullmatch(file):
        return f"python/{match[1]}"
    if match := _FROZEN.fullmatch(file):
        return f"python/{match[1].replace('.', '/')}.py"
    if file.startswith("<"):
        return _GENERATED
    if Path(file).is_relative_to(flow):
        return f"flow/{Path(file).relative_to(flow).as_posix()}"
    return f"{_ELSEWHERE}/{Path(file).name}"


def _short(name: str) -> str:
    """A name that a record may hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:LONGEST_NAME] or "?"
