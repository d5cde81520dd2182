"""Real promptflow compared with itself at the same time: real duets, whose books balance for both arms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT
from scripts.records.storage import RECORD_FILE, read_record

pytestmark = [pytest.mark.e2e, pytest.mark.serial]

ROUNDS = 4


def test_release_against_itself_at_once(tmp_path: Path) -> None:
    """Both arms of each duet have a record of the same round, and each mock got what its own arm was asked."""
    lock = ROOT / ".scratch" / f"compare-at-once-{os.getpid()}.lock"
    lock.parent.mkdir(exist_ok=True)
    argv = ["1.12.0", "--aa", "--engine", "fastapi", "--flow", "static_async", "--profile", "smoke-duet"]
    command = [sys.executable, "-m", "scripts", "compare", *argv, "--rounds", str(ROUNDS), "--results", str(tmp_path)]
    env = {**os.environ, "PROMPTFLOW_SERVE_BENCH_LOCK": str(lock)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900, check=False)
    lock.unlink(missing_ok=True)
    assert done.returncode in (0, 6), done.stdout + done.stderr  # 6: this machine is too busy to be believed
    found = [read_record(path.parent) for path in tmp_path.rglob(RECORD_FILE)]
    by_round: dict[str, list[int]] = {}
    for record in found:
        by_round.setdefault(record.requested.round_id, []).append(record.requested.arm)
        assert record.outcome == "ok", record.reasons
        measured = record.measurements
        assert measured is not None
        load, given = measured.load, measured.backend.received - 1  # the verification asked once
        succeeded = load.recorded - sum(failure.count for failure in load.failures)
        assert succeeded <= given <= load.recorded + load.in_flight_at_stop
        assert load.users_reached == record.requested.profile.users
        assert measured.generator.recorded_in_all is not None
        assert load.recorded * 1.5 < measured.generator.recorded_in_all < load.recorded * 2.5
    assert {tuple(sorted(arms)) for arms in by_round.values()} == {(1, 2)}
    if done.returncode == 0:
        assert len(by_round) >= ROUNDS
        assert "5 users for each of two releases at the same time" in done.stdout
    else:
        assert "in a row are invalid" in done.stderr
