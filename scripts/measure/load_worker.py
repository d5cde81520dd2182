"""A process that makes a part of the loads of another machine's session, one load after the other."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from scripts.config.errors import InvalidMeasurementError, NotComparableError
from scripts.host import machine
from scripts.host.process import Child, System
from scripts.host.progress import Progress
from scripts.measure import loadgen
from scripts.serving import launch
from scripts.serving.server_command import last_lines

_POLL_S = 0.1
_NOBODY = 255  # exit code of locust when no master has answered for five minutes


def serve(master: str, port: int, system: System, progress: Progress, scratch: Path) -> NoReturn:
    """Hold this machine, and take part until somebody ends it.

    NotComparableError when the master refuses, because it would load with other code.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with machine.exclusive(machine.lock_file()) as marker, progress:
        progress.note(f"waits for the loads of {master}:{port}; Ctrl-C ends it")
        for number in itertools.count(1):
            with tempfile.TemporaryDirectory(dir=scratch, prefix="load-worker-") as folder:
                _take_part(master, port, system, progress, Path(folder), marker, number)
    raise AssertionError("unreachable")  # the numbers do not end


def _take_part(
    master: str, port: int, system: System, progress: Progress, folder: Path, marker: str, number: int
) -> None:
    """Make a part of one load, whenever it comes."""
    env = launch.child_environment(os.environ, folder, marker)
    argv = loadgen.worker_command(master, port, folder / "recorded")
    with ExitStack() as stack:
        worker = launch.start(system, stack, argv, env=env, cwd=folder, log=folder / "load-worker.log")
        while worker.code() is None:
            system.sleep(_POLL_S)
    code = worker.code() or 0
    if code not in (0, _NOBODY):
        raise _why(worker, code)
    progress.note(
        f"took part in load {number}" if code == 0 else f"nobody has come to {master}:{port} yet; still waits"
    )


def _why(worker: Child, code: int) -> NotComparableError | InvalidMeasurementError:
    """What a worker's exit code says."""
    if code == loadgen.REFUSED:
        return NotComparableError(
            f"this load worker would make another load than the session wants:\n{last_lines(worker.log)}",
            then="check out the same commit on both machines, then repeat this command",
        )
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return InvalidMeasurementError(
        f"the load worker {how}; its last lines:\n{last_lines(worker.log)}", then="repeat this command"
    )
