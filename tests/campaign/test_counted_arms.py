"""Counted work of arms: what is recorded is used again, and decides a gate and a search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest

from scripts.campaign import counted_arms, counted_gate, existing_runs
from scripts.campaign.counted_arms import CountedArms
from scripts.config import matrix_file
from scripts.config.errors import InvalidMeasurementError
from scripts.host.process import RealSystem
from scripts.inference import counted
from scripts.inference.counted import ProcessNoise
from scripts.inference.paired_rounds import PairedRounds, Round
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from tests.analysis.test_counted_work import counts, record
from tests.fakes import synthetic_runs
from tests.fakes.stage import Stage

NOISE = ProcessNoise(deviation=0.001, freedom=30)


def arms(*processes: Sequence[float], noise: ProcessNoise | None = NOISE) -> CountedArms:
    """Counts of arms, process by process, in instructions."""
    rounds = [
        Round(
            round_id=str(number),
            runs={arm: synthetic_runs.run(record(counts([value] * 10))) for arm, value in enumerate(row, 1)},
        )
        for number, row in enumerate(zip(*processes, strict=True), 1)
    ]
    paired = PairedRounds(
        campaign="", engine="fastapi", flow="example", arms=tuple(range(1, len(processes) + 1)), rounds=tuple(rounds),
        excluded=(),
    )  # fmt: skip
    return CountedArms(paired=paired, metric=counted_arms.METRIC, noise=noise)


@pytest.mark.parametrize(
    ("processes", "asked", "decision"),
    [
        ([([1000.0], [1000.0])], [1], "pass"),
        ([([1000.0], [1010.0])], [1], "regression"),
        ([([1000.0], [1004.0]), ([1000.0, 1001.0], [1004.0, 1000.0])], [1, 2], "pass"),
        ([([1000.0] * n, [1004.5] * n) for n in (1, 2, 3)], [1, 2, 3], "undecided"),
    ],
)
def test_gate_counts_until_it_is_decided(
    monkeypatch: pytest.MonkeyPatch,
    processes: list[tuple[list[float], list[float]]],
    asked: list[int],
    decision: str,
) -> None:
    """One process of each release, and another of each while half a percent is neither excluded nor certain."""
    found: list[int] = []

    def measure(
        _suite: object, _requested: object, number: int, *_others: object, **_named: object
    ) -> list[CountedArms]:
        found.append(number)
        return [arms(*processes[number - 1])]

    monkeypatch.setattr(counted_arms, "measure", measure)
    ((_, (case,)),) = counted_gate.judge(None, None, math.log1p(0.005), None, None)  # type: ignore[arg-type]
    assert (found, case.decision) == (asked, decision)


def test_noise_of_the_arms_themselves_where_no_other_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first process of each release nothing can be decided; the second tells the noise."""
    rows = {1: ([1000.0], [1000.0]), 2: ([1000.0, 1000.5], [1000.0, 1000.4])}
    monkeypatch.setattr(counted_arms, "measure", lambda *wanted, **_named: [arms(*rows[wanted[2]], noise=None)])
    ((_, (case,)),) = counted_gate.judge(None, None, math.log1p(0.005), None, None)  # type: ignore[arg-type]
    assert (case.rounds, case.decision) == (2, "pass")


def test_counts_as_a_model() -> None:
    """A search gets the differences with the known noise of a process."""
    model = counted.fit(("1.0", "1.1"), [[100.0, 100.0], [110.0]], NOISE)
    interval = model.difference(1, 0)
    assert interval.estimate == pytest.approx(math.log(1.1))
    assert interval.high - interval.estimate == pytest.approx(2.042 * 0.001 * math.sqrt(0.5 + 1), rel=1e-3)


def requested(stage: Stage) -> Campaign:
    """A baseline and a candidate to count."""
    suite, campaign = matrix_file.load(), stage.campaign()
    return dataclasses.replace(campaign, profile=suite.profile("count"), counting=suite.count)


def test_recorded_counts_are_used_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted already is not counted again; the noise is that of all processes of one release."""
    run = dataclasses.replace(synthetic_runs.run(record(counts([1000.0] * 10))), outcome="ok")
    monkeypatch.setattr(existing_runs, "missing", lambda *_arguments: [])
    monkeypatch.setattr(existing_runs, "newest", lambda *_arguments: run)
    options = session.Options(results=stage.results)
    (found,) = counted_arms.measure(matrix_file.load(), requested(stage), 2, options, RealSystem())
    assert found.values(1) == found.values(2) == [1000.0, 1000.0]
    assert stage.records() == []


def test_no_valid_count_is_said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose counts are all invalid ends the comparison with its name."""
    monkeypatch.setattr(existing_runs, "missing", lambda *_arguments: [])
    options = session.Options(results=stage.results)
    with pytest.raises(
        InvalidMeasurementError, match=r"no valid count of fastapi example for each of 1\.12\.0, 1\.12\.0"
    ):
        counted_arms.measure(matrix_file.load(), requested(stage), 1, options, RealSystem())
