"""The launcher of a server that is sampled: it becomes the sampler, and ends with its server before that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.config.errors import ServerError
from scripts.host import sampled_server
from scripts.host.process import RealSystem, wait_until
from scripts.measure import py_spy

pytestmark = pytest.mark.process


def test_the_sampler_is_the_parent_of_the_server(tmp_path: Path) -> None:
    """Once told to begin, the launcher becomes the sampler, whose child the server is: so it needs no root."""
    sampler = tmp_path / "sampler"
    script = '#!/bin/sh\nfor last; do :; done\nread -r _ _ _ parent _ < /proc/$last/stat\necho "me $$ parent $parent"\n'
    sampler.write_text(script, encoding="utf-8")
    sampler.chmod(0o755)
    begin, log = tmp_path / "begin", tmp_path / "py-spy.log"
    os.mkfifo(begin)
    argv = [sys.executable, sampled_server.__file__, str(begin), str(log), str(sampler), "--", "sleep", "60"]
    child = RealSystem().start("server", argv, env={"PATH": os.defpath}, cwd=tmp_path, log=tmp_path / "log")
    try:
        _wait(lambda: _begun(tmp_path))
        _wait(lambda: child.code() is not None)
        _, me, _, parent = log.read_text(encoding="utf-8").split()
        assert me == parent == str(child.pid)
    finally:
        child.stop(0.1)


def test_a_server_that_ends_ends_its_launcher(tmp_path: Path) -> None:
    """A server that cannot start is seen at once, by its exit code."""
    begin = tmp_path / "begin"
    os.mkfifo(begin)
    argv = [sys.executable, sampled_server.__file__, str(begin), "log", "sampler", "--", "sh", "-c", "exit 3"]
    child = RealSystem().start("server", argv, env={"PATH": os.defpath}, cwd=tmp_path, log=tmp_path / "log")
    try:
        _wait(lambda: child.code() is not None)
        assert child.code() == 3
    finally:
        child.stop(0.1)


def _begun(folder: Path) -> bool:
    try:
        py_spy.begin(folder)
    except ServerError:  # it does not listen yet
        return False
    return True


def _wait(met: Callable[[], bool]) -> None:
    wait_until(RealSystem(), "what the test waits for", met=met, deadline_s=10)
