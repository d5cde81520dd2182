"""The seam to the operating system: how a child process is stopped."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from scripts.host.process import RealSystem, wait_until

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


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
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
