"""Real promptflow compared with itself at the same time: a real duet, whose books balance for both arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.analysis import validity
from scripts.campaign import request, runner
from scripts.campaign.request import Selection
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config import matrix_file
from scripts.host.process import RealSystem
from scripts.measure import session
from scripts.records.storage import RECORD_FILE, read_record

pytestmark = pytest.mark.e2e


def test_release_against_itself_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both arms of a duet have a record of the same round, and each mock got what its own arm was asked."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "machine.lock"))
    monkeypatch.setattr(validity, "reasons", lambda _data: ())  # else a duet on a busy machine is made again
    suite, system = matrix_file.load(), RealSystem()
    arm = request.resolved(suite, "1.12.0", system)
    wanted = Selection(engines=("fastapi",), flows=("static_async",), profile="smoke-duet")
    requested = request.planned(suite, wanted, [arm, arm])
    runner.measure(requested, StoppingRule(rounds=1), session.Options(results=tmp_path), system)
    found = [read_record(path.parent) for path in tmp_path.rglob(RECORD_FILE)]
    assert sorted(record.requested.arm for record in found) == [1, 2]
    assert len({record.requested.round_id for record in found}) == 1
    for record in found:
        assert record.outcome == "ok", record.reasons
        measured = record.measurements
        assert measured is not None
        load, given = measured.load, measured.backend.received - 1  # the verification asked once
        succeeded = load.recorded - sum(failure.count for failure in load.failures)
        assert succeeded <= given <= load.recorded + load.in_flight_at_stop
        assert load.users_reached == record.requested.profile.users
        assert measured.generator.recorded_in_all is not None
        assert load.recorded * 1.5 < measured.generator.recorded_in_all < load.recorded * 2.5
