"""How long a campaign takes on more machines: rounds given out one after the other to whoever is free."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config import matrix_file
from scripts.config.errors import NothingMeasuredError
from scripts.selftest import cluster_simulation
from scripts.selftest.cluster_simulation import makespan_s
from tests.fakes import synthetic_runs


def test_one_machine_makes_all_rounds_one_after_the_other() -> None:
    """It gets ready once; then each round takes its time and the coordinator's."""
    assert makespan_s([10.0, 20.0, 30.0], 1, prepare_s=5.0, handling_s=1.0) == 5 + 60 + 3


def test_machines_share_the_rounds() -> None:
    """Four equal rounds on two machines take as long as two, beside what the coordinator needs for one machine."""
    assert makespan_s([10.0] * 4, 2, prepare_s=0.0, handling_s=0.0) == 20.0
    assert makespan_s([10.0] * 4, 2, prepare_s=0.0, handling_s=1.0) == 23.0


def test_machines_beyond_the_rounds_gain_nothing() -> None:
    """With as many machines as rounds, the longest round is all that counts."""
    assert makespan_s([10.0, 40.0], 2, 0.0, 0.0) == makespan_s([10.0, 40.0], 100, 0.0, 0.0) == 40.0


def test_coordinator_bounds_many_machines() -> None:
    """However many machines there are, the coordinator gives out one round after the other."""
    assert makespan_s([0.1] * 100, 100, 0.0, handling_s=1.0) == pytest.approx(100.1)


def placed(results: Path, *, at_once: int, took_s: float, number: int) -> None:
    """Write a run of a round."""
    made = synthetic_runs.record(number=number, profile="duet" if at_once > 1 else "compare")
    requested = dataclasses.replace(made.requested, campaign="c0ffee123456", round_id="round-1", arm=1)
    synthetic_runs.write(results, dataclasses.replace(made, requested=requested, phases_s={"load": took_s}))


def test_durations_come_from_the_records(tmp_path: Path) -> None:
    """A whole round takes as many runs as releases can serve the flow, a pair one; both as long as recorded ones."""
    placed(tmp_path, at_once=1, took_s=20.0, number=1)
    placed(tmp_path, at_once=2, took_s=25.0, number=2)
    suite = matrix_file.load()
    cells = [len([1 for target in suite.targets() if flow in suite.scenario_flows(*target)]) for flow in suite.flows]
    whole, pairs = cluster_simulation.campaigns(suite, tmp_path)
    assert sorted(whole.rounds_s) == sorted(20.0 * number for number in cells for _ in range(cluster_simulation.ROUNDS))
    assert set(pairs.rounds_s) == {25.0}
    assert len(pairs.rounds_s) == (sum(cells) - len(cells)) * cluster_simulation.ROUNDS
    assert whole.bytes > 0


def test_without_records_there_is_nothing_to_simulate(tmp_path: Path) -> None:
    """The error says what to measure first."""
    with pytest.raises(NothingMeasuredError, match="no round of 1 run") as raised:
        cluster_simulation.campaigns(matrix_file.load(), tmp_path)
    assert raised.value.then == "nox -s compare -- 1.12.0 1.18.5 --sequential"
