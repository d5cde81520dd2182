"""What every test lives under: no processes unless it is marked for them; and the fake outside, for those that ask."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from scripts.host import machine, telemetry
from tests.fakes import stage as stages
from tests.fakes import values
from tests.fakes.stage import Stage
from tests.fakes.system import FakeSystem

MAY_START_PROCESSES = ("e2e", "process", "browser")


def pytest_xdist_auto_num_workers() -> int:
    """More workers than cores: a test that starts processes waits for half of its time."""
    return machine.cores() * 3 // 2


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that would start a process fails."""
    if any(request.node.get_closest_marker(name) for name in MAY_START_PROCESSES):
        return

    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        pytest.fail("a unit test starts no process; mark it `process`, `browser` or `e2e`")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)


@pytest.fixture(autouse=True)
def no_github_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that runs in a GitHub job writes nothing into that job's own summary and outputs."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def usual_log_level() -> Iterator[None]:
    """What --quiet or --verbose of one test changes is as it was for the next."""
    yield
    logging.getLogger("scripts").setLevel(logging.NOTSET)


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """A fake outside, on which the looks at process trees and at the machine depend as well."""
    system = FakeSystem()
    for look in ("sample", "machine_sample", "memory", "memory_sample", "shape", "listens"):
        monkeypatch.setattr(telemetry, look, getattr(system, look))
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)
    return system


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Whole campaigns in a fake outside."""
    return stages.built(tmp_path, monkeypatch)
