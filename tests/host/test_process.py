"""The seam to the operating system: how a child process is stopped."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT
from scripts.host.process import RealSystem, wait_until

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


HEEDS = """
import os, signal, time
from scripts.config.errors import Terminated
from scripts.host.process import shielded, terminate_as_exception
terminate_as_exception()
try:
    with shielded():
        os.kill(os.getpid(), signal.SIGHUP)
        print("in", flush=True)
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.1)
    print("went on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    print("not terminated", flush=True)
except Terminated:
    print("terminated", flush=True)
"""


@pytest.mark.fault
@pytest.mark.process
@pytest.mark.parametrize(
    ("first", "printed"),
    [
        (["nohup"], ["in", "went on", "terminated"]),
        (["env", "--default-signal=HUP"], ["in", "terminated"]),  # the tests themselves may run under nohup
    ],
)
def test_ignored_signal_stays_ignored(first: list[str], printed: list[str]) -> None:
    """Under nohup a closed terminal ends nothing, in what is shielded and after it; SIGTERM still does."""
    done = subprocess.run(
        [*first, sys.executable, "-c", HEEDS],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:-1] == printed


@pytest.mark.process
def test_child_that_ignores_sigterm_is_killed_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that ignores SIGTERM is killed after the grace; nobody has to act, so nothing is logged as a warning."""
    caplog.set_level(logging.DEBUG)
    system, log = RealSystem(), tmp_path / "child.log"
    argv = [sys.executable, "-c", IGNORES_SIGTERM]
    child = system.start("server", argv, env=dict(os.environ), cwd=tmp_path, log=log)
    wait_until(system, "the child", met=lambda: "up" in log.read_text(encoding="utf-8"), deadline_s=20)
    child.stop(0.1)
    assert child.code() == -9
    assert [record.levelname for record in caplog.records] == ["INFO", "DEBUG"]  # its start, and that it was killed
