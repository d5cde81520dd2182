"""Real promptflow under real valgrind: a whole count on each engine, side by side, and what they recorded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.host import machine, telemetry
from scripts.host.process import RealSystem, wait_until
from scripts.measure import callgrind
from scripts.records.storage import run_directories
from tests.end_to_end import verb

RELEASE, FLOW = "1.12.0", "static_async"
ENGINES = ("fastapi", "flask")
MILLIONS = (10, 40)  # of instructions a request; about 20 on either engine with Python 3.11.7
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("valgrind") is None and os.environ.get("CI") != "true",
        reason="valgrind is not installed: apt-get install valgrind",
    ),
]


def test_from_the_start(tmp_path: Path) -> None:
    """All processes of a tree are counted from their start; what is told once is not told again."""
    env = {"PATH": os.defpath}
    system = RealSystem()
    found = callgrind.require(system, env, tmp_path)
    argv = [*found.command(tmp_path, from_start=True), "sh", "-c", "sleep 60 & wait"]
    child = system.start("sh", argv, env=env, cwd=tmp_path, log=tmp_path / "sh.log")

    def processes() -> tuple[int, ...]:
        return child.pid, *telemetry.children(child.pid)

    def both() -> bool:
        return len(processes()) == 2 and all(any(tmp_path.glob(f"vgdb*{pid}*")) for pid in processes())

    told: list[int] = []  # by each dump; the first may come before both have started whole

    def waiting() -> bool:
        told.append(callgrind.dump_all(system, processes(), env=env, scratch=tmp_path))
        return sum(told) > 100_000 and told[-1] < max(told) / 10

    try:
        wait_until(system, "both processes", met=both, deadline_s=30)
        system.sleep(1.0)  # an order to a process in mid-start was seen to take half a minute
        wait_until(system, "a dump of nothing but waiting", met=waiting, deadline_s=90)
    finally:
        child.stop(0.0)


def test_count(tmp_path: Path) -> None:
    """Counts of both engines, made at the same time, are valid, have all windows, and tell the requests' work."""
    done = verb.call(tmp_path, "count", RELEASE, "--flow", FLOW, "--jobs", str(min(2, machine.cores())))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "instructions per request" in done.stdout
    runs = [run_reader.read_run(directory) for directory in run_directories(tmp_path)]
    assert sorted(run.record.requested.engine for run in runs) == sorted(ENGINES)
    for run in runs:
        counts = run.record.counts
        assert run.outcome == "ok"
        assert counts is not None
        assert run.record.measurements is None
        assert len(counts.windows) == 10
        assert counts.backend_received == 65
        assert MILLIONS[0] < (run.values["instructions_per_request"] or 0) / 1e6 < MILLIONS[1]
        assert run.values["instructions_growth_per_request"] is not None
        assert (run.values["system_calls_per_request"] or 0) > 100
