"""What outlives a run is found and ended, and only then nothing is said to be left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts.host import leftovers
from scripts.host.process import adopting_orphans
from scripts.host.telemetry import MARKER

pytestmark = pytest.mark.process

ORPHAN = "{words} > /dev/null 2>&1 & echo $!"
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def orphan(words: str, marker: str) -> psutil.Process:
    """Something in a session of its own, whose parent has ended."""
    shell = ["sh", "-c", ORPHAN.format(words=words)]
    env = {**os.environ, MARKER: marker}
    return psutil.Process(int(subprocess.run(shell, env=env, capture_output=True, text=True, check=True).stdout))


@pytest.mark.fault
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans on")
def test_orphans_are_ended(tmp_path: Path) -> None:
    """Orphans in sessions of their own are ended with or without the marker, and then nothing is left."""
    spared = leftovers.children()
    with adopting_orphans() as adopts:
        strays = [orphan(words, str(tmp_path)) for words in ("setsid sleep 60", "env -i setsid sleep 60")]
        assert leftovers.sweep(str(tmp_path), spared, adopts=adopts) == leftovers.NOTHING_LEFT
    assert not any(stray.is_running() for stray in strays)


@pytest.mark.fault
def test_what_cannot_be_seen_is_said(tmp_path: Path) -> None:
    """Where orphans are not handed on, what carries the marker is ended, and the rest is said to be unseen."""
    stray = orphan("setsid sleep 60", str(tmp_path))
    assert leftovers.sweep(str(tmp_path), leftovers.children(), adopts=False) == leftovers.UNSEEN
    deadline = time.monotonic() + 5
    while stray.is_running() and stray.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.fault
def test_earlier_children_are_spared(tmp_path: Path) -> None:
    """A child that this process had before its session is none of a run's, and lives on."""
    with subprocess.Popen(SLEEP) as child:
        assert leftovers.sweep(str(tmp_path), leftovers.children(), adopts=True) == leftovers.NOTHING_LEFT
        assert child.poll() is None
        child.kill()
