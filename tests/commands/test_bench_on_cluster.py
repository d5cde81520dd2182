"""Bench runs on the workers of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.commands import bench, cli
from tests.fakes import stage as stages
from tests.fakes import workers
from tests.fakes.stage import BASELINE


def test_runs_are_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run is made by one worker and recorded here once; repeated, the command finds nothing missing."""
    stage = stages.built(tmp_path, monkeypatch)
    monkeypatch.setattr(bench, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(cli, "cluster", lambda _args: workers.ADDRESS)
    argv = [BASELINE, *stage.arguments(), "--results", str(stage.results), "--rounds", "4", "--missing"]
    with workers.started(stage, monkeypatch, 2) as cluster:
        assert bench.main(argv) == 0
        assert sorted(record.requested.round for record in stage.records()) == [1, 2, 3, 4]
        assert set(cluster.calls) == set(cluster.connected)
        capsys.readouterr()
        assert bench.main(argv) == 0
        assert capsys.readouterr().out.startswith("nothing is missing")
        assert len(stage.records()) == 4
