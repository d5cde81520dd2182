"""The verb count: its plan, and what it refuses."""

from __future__ import annotations

import pytest

from scripts.commands import count
from scripts.config.errors import UsageError
from scripts.host import machine

TARGET = ["--release", "1.0.0", "--engine", "flask"]


@pytest.mark.process
def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan names the flow, the requests and the time, and starts nothing."""
    assert count.main([*TARGET, "--rounds", "2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "[2/2] 1.0.0 flask static_sync: count" in out
    assert "15, then 10 windows of 5" in out
    assert "2 run(s), about 1.8 minutes" in out


@pytest.mark.process
def test_start_up_takes_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan says so before it is counted."""
    assert count.main([*TARGET, "--rounds", "2", "--start-up", "--dry-run"]) == 0
    assert "2 run(s), about 3.6 minutes" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", ["0", str(machine.cores() + 1)])
def test_jobs_are_at_most_the_cores(jobs: str) -> None:
    """More runs than cores at the same time would only wait for each other."""
    with pytest.raises(UsageError, match="the cores of this machine"):
        count.main([*TARGET, "--jobs", jobs])
