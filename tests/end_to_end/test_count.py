"""Real promptflow under real valgrind: a whole count on each engine, and what it recorded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.config.matrix import ROOT
from scripts.records.storage import run_directories

RELEASE = "1.15.1"
FLOWS = {"fastapi": "static_async", "flask": "static_sync"}
MILLIONS = {"fastapi": (15, 25), "flask": (14, 24)}  # of instructions a request; 18.9 and 18.1 with Python 3.11.7
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("valgrind") is None and os.environ.get("CI") != "true",
        reason="valgrind is not installed: apt-get install valgrind",
    ),
]


@pytest.mark.parametrize("engine", sorted(FLOWS))
def test_count(engine: str, tmp_path: Path) -> None:
    """A count of each engine is valid, has all its windows, and tells the requests' work."""
    lock = ROOT / ".scratch" / f"count-{engine}-{os.getpid()}.lock"
    lock.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "scripts", "count", "--release", RELEASE, "--engine", engine]
    done = subprocess.run(
        [*command, "--flow", FLOWS[engine], "--results", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PROMPTFLOW_SERVE_BENCH_LOCK": str(lock)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    lock.unlink(missing_ok=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "instructions per request" in done.stdout
    (directory,) = run_directories(tmp_path)
    run = run_reader.read_run(directory)
    counts = run.record.counts
    assert run.outcome == "ok"
    assert counts is not None
    assert run.record.measurements is None
    assert len(counts.windows) == 10
    assert counts.backend_received == 65
    low, high = MILLIONS[engine]
    assert low < (run.values["instructions_per_request"] or 0) / 1e6 < high
    assert run.values["instructions_growth_per_request"] is not None
    assert (run.values["system_calls_per_request"] or 0) > 100
