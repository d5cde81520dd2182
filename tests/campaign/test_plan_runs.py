"""The runs of a plan on the workers of a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from scripts.campaign import plan_runs
from scripts.config import matrix_file
from scripts.config.errors import SuiteError
from scripts.config.plan import Plan
from scripts.environments.locks import Lock
from scripts.records.storage import read_record
from tests.fakes import values, workers
from tests.fakes.stage import CANDIDATE, Stage
from tests.fakes.workers import FakeCluster


@pytest.fixture
def cluster(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """Two workers."""
    with workers.started(stage, monkeypatch, 2) as found:
        yield found


def plan(cluster: FakeCluster) -> tuple[Plan, dict[str, Lock]]:
    """Two rounds of both arms, each run by itself; their locks."""
    requested = cluster.campaign()
    specs = [spec for number in (1, 2) for spec in requested.round(requested.scenarios[0], "", number)]
    runs = tuple(dataclasses.replace(spec, place=None) for spec in specs)
    return Plan(runs=runs), {arm.release.version: arm.lock for arm in requested.arms}


def test_runs_come_back_in_order(cluster: FakeCluster, stage: Stage) -> None:
    """Every run is made once by some worker, recorded here, and in the place that the plan has it."""
    wanted, locks = plan(cluster)
    with plan_runs.opened(matrix_file.load(), wanted.runs, locks, cluster.options, stage.outside) as maker:
        assert maker.machine() == values.MACHINE
        done = maker.make(wanted)
    assert [(one.record.requested.release, one.record.requested.round) for one in done] == [
        (spec.release, spec.round) for spec in wanted.runs
    ]
    assert [read_record(one.directory) for one in done] == [one.record for one in done]
    assert set(cluster.calls) == set(cluster.connected)


def test_run_that_fails_is_recorded(cluster: FakeCluster, stage: Stage) -> None:
    """A run that fails on a worker is recorded with its outcome, and the others are made."""
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    wanted, locks = plan(cluster)
    with plan_runs.opened(matrix_file.load(), wanted.runs, locks, cluster.options, stage.outside) as maker:
        done = maker.make(wanted)
    assert sorted(one.record.outcome for one in done) == ["ok", "ok", "verify-failed", "verify-failed"]
    assert [one.error is None for one in done] == [one.record.outcome == "ok" for one in done]


def test_run_that_is_lost_is_an_error(cluster: FakeCluster, stage: Stage) -> None:
    """When the scheduler goes before all runs are made, the command says so, and the runs so far are recorded."""
    cluster.ends_after = 2 * 3 + 2  # both workers were asked what they are, twice, and made ready
    wanted, locks = plan(cluster)
    with (
        pytest.raises(SuiteError, match="the scheduler has gone") as caught,
        plan_runs.opened(matrix_file.load(), wanted.runs, locks, cluster.options, stage.outside) as maker,
    ):
        maker.make(wanted)
    assert "nox -s scheduler" in caught.value.then
    assert len(stage.records()) == 2
