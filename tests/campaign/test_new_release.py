"""What a new release needs, and what of it the records have already."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.campaign.new_release import NewRelease
from scripts.config import matrix_file
from scripts.config.plan import RunSpec
from scripts.environments import locks
from scripts.host import machine
from scripts.host.process import RealSystem
from scripts.measure import digests
from scripts.records.schema import Outcome
from tests.fakes import synthetic_runs

MATRIX = matrix_file.load()
NEWEST = MATRIX.releases[-1]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewRelease:
    """The newest release, of which nothing is recorded."""
    monkeypatch.setattr(machine, "describe", lambda: synthetic_runs.MACHINE)
    lock = locks.read(locks.of_release(MATRIX, NEWEST))
    return NewRelease(suite=MATRIX, release=NEWEST, lock=lock, results=tmp_path)


def record(work: NewRelease, spec: RunSpec, outcome: Outcome = "ok") -> Path:
    """A trial run of it."""
    made = synthetic_runs.record(
        release=NEWEST.version, engine=spec.engine, flow=spec.flow, profile=spec.profile.name, outcome=outcome
    )
    return synthetic_runs.write(work.results, dataclasses.replace(made, digests=digests.of(spec, work.lock)))


def test_every_engine_and_flow_is_tried(work: NewRelease) -> None:
    """Those of the scenarios and all others, once each."""
    wanted = {(engine.name, flow) for engine in MATRIX.engines for flow in MATRIX.flows}
    assert sorted((spec.engine, spec.flow) for spec in work.trials()) == sorted(wanted)
    assert work.untried() == work.trials()


@pytest.mark.parametrize("outcome", ["ok", "failed", "verify-failed"])
def test_trial_with_an_answer_is_not_repeated(work: NewRelease, outcome: Outcome) -> None:
    """That a flow is not served is an answer, and so is one on a busy machine."""
    first, *rest = work.trials()
    directory = record(work, first, outcome)
    if outcome == "ok":
        assert run_reader.read_run(directory).outcome == "invalid"  # its load is none of this profile
    assert work.untried() == rest
    assert work.unserved() == ([] if outcome == "ok" else [(first.engine, first.flow)])


def test_what_is_not_served_is_not_measured(work: NewRelease) -> None:
    """A scenario whose trial failed has no run, no count and no pair."""
    scenario = MATRIX.scenarios[0]
    for spec in work.trials():
        record(work, spec, "failed" if (spec.engine, spec.flow) == (scenario.engine, scenario.flow) else "ok")
    served = [(one.engine, one.flow) for one in MATRIX.scenarios[1:]]
    assert [(spec.engine, spec.flow) for spec in work.reports()] == served
    assert [(spec.engine, spec.flow) for spec in work.counts()] == served
    paired = [(one.engine.name, one.flow.name) for made in work.campaigns(RealSystem()) for one in made.scenarios]
    assert sorted(paired) == sorted(served)


def test_pairs_have_the_servers_of_the_campaign_that_they_join(work: NewRelease) -> None:
    """The profile is the counterpart of the one under which the scenario has most releases."""
    scenario = MATRIX.scenarios[0]
    for number, (profile, release) in enumerate(
        [("compare-8x1", "1.0.0"), ("compare-8x1", "1.18.4"), ("compare", "1.18.4")], 1
    ):
        made = synthetic_runs.record(
            release=release, engine=scenario.engine, flow=scenario.flow, profile=profile, number=number
        )
        synthetic_runs.write(work.results, made)
    profiles = {
        (one.engine.name, one.flow.name): made.profile.name
        for made in work.campaigns(RealSystem())
        for one in made.scenarios
    }
    others = {(one.engine, one.flow): "duet" for one in MATRIX.scenarios[1:]}
    assert profiles == {(scenario.engine, scenario.flow): "duet-8x1"} | others
