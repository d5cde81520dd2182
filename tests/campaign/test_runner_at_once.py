"""Campaigns that load two arms at once, from start to end in a fake outside."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest

from scripts.analysis import validity
from scripts.analysis.run_data import RunData
from scripts.analysis.validity import Reason
from scripts.campaign import runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import InvalidMeasurementError, VerificationError
from scripts.host import telemetry
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

FOUR = StoppingRule(rounds=4)
CPU = "cpu_per_request_ms"
THREE = ("1.12.0", "1.12.0+2", "1.12.0+3")
CHAIN = ((0, 1), (1, 2), (0, 2))


def rounds(found: CampaignResult) -> list[int]:
    """How many count, of each pair."""
    return [len(paired.rounds) for paired in found.paired]


def test_a_round_is_one_load(stage: Stage) -> None:
    """Each round is one load of both arms, whose servers start in turns in the other order, with the round's seed."""
    found = stage.measure(stage.duet(), FOUR)
    assert rounds(found) == [4]
    assert stage.outside.runs == 4
    assert list(stage.outside.labels.values()) == [BASELINE, CANDIDATE, CANDIDATE, BASELINE] * 2
    placed = sorted((record.requested.round, record.requested.seed, record.requested.arm) for record in stage.records())
    assert placed == [(number, 41 + number, arm) for number in (1, 2, 3, 4) for arm in (1, 2)]
    runner.require_whole(stage.duet(), found)


def test_slower_arm_is_a_regression(stage: Stage) -> None:
    """An arm that uses 5 % more CPU time in every round is a regression in that, not adjusted by any covariate."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    (judged,) = stage.measure(stage.duet(), FOUR).judged
    changed = {effect.metric.name: effect for effect in judged.effects if effect.verdict == "regression"}
    assert list(changed) == [CPU]
    assert changed[CPU].slope == 0
    interval = changed[CPU].interval
    assert interval is not None
    assert interval.estimate == pytest.approx(math.log(1.05), abs=0.01)


def test_pairs_are_campaigns_of_their_own(stage: Stage) -> None:
    """A campaign of three becomes pairs, each with its own identity, whose rounds are interleaved."""
    requested = stage.duet(*THREE, pairs=CHAIN)
    found = stage.measure(requested, FOUR)
    assert rounds(found) == [4, 4, 4]
    assert len({paired.campaign for paired in found.paired}) == 3
    assert [one.names for one in found.judged] == [
        "1.12.0+2 against 1.12.0",
        "1.12.0+3 against 1.12.0+2",
        "1.12.0+3 against 1.12.0",
    ]
    records = [record for record in stage.records() if record.requested.arm == 1]
    numbers = [record.requested.round for record in sorted(records, key=lambda one: one.requested.round_id[:16])]
    assert sorted(numbers) == numbers == [number for number in (1, 2, 3, 4) for _ in CHAIN]
    runner.require_whole(requested, found)


def test_pair_that_was_not_measured_is_no_pass(stage: Stage) -> None:
    """A pair of which no round was measured is named, however the others went."""
    found = stage.measure(stage.duet(*THREE, pairs=CHAIN[:2]), FOUR)
    with pytest.raises(InvalidMeasurementError, match=r"no whole round .* fastapi example of 1\.12\.0 and 1\.12\.0\+3"):
        runner.require_whole(stage.duet(*THREE, pairs=CHAIN), found)


def test_interrupted_campaign_goes_on(stage: Stage) -> None:
    """Ctrl-C under the third load keeps the two rounds before, and the same campaign makes the rest."""
    stage.outside.ends_at_run = 3
    with pytest.raises(KeyboardInterrupt):
        stage.measure(stage.duet(), FOUR)
    assert len(stage.records()) == 4
    assert rounds(stage.measure(stage.duet(), FOUR)) == [4]
    assert stage.outside.runs == 3 + 2


def test_sequential_campaign_is_another(stage: Stage) -> None:
    """Runs one after the other and runs at once are never of one campaign."""
    stage.measure(stage.campaign(), FOUR)
    assert rounds(stage.measure(stage.duet(), FOUR)) == [4]
    assert len({record.requested.campaign for record in stage.records()}) == 2


def test_arm_that_fails(stage: Stage) -> None:
    """A candidate that says another version is given up after three rounds, of which the baseline has no record."""
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    found = stage.measure(stage.duet(), FOUR)
    assert [record.requested.release for record in stage.records()] == [CANDIDATE] * 3
    with pytest.raises(VerificationError, match=r"says that it is promptflow 1\.11\.0, not 1\.12\.0"):
        runner.require_whole(stage.duet(), found)


def test_disturbed_duet_is_made_again_whole(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One disturbed load costs no round: both runs are made again, under another round id."""

    def busy(at_s: float) -> telemetry.MachineSample:
        taken = at_s if stage.outside.runs == 2 else 0.0
        return telemetry.MachineSample(at_s=at_s, busy_s=taken, stolen_s=0.0, own_s=0.0)

    monkeypatch.setattr(telemetry, "machine_sample", busy)
    found = stage.measure(stage.duet(), FOUR)
    assert stage.outside.runs == 5
    assert rounds(found) == [4]
    assert len({record.requested.round_id for record in stage.records()}) == 5
    assert [record.requested.round for record in stage.records()].count(2) == 4


def test_one_invalid_arm_spoils_both(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duet in which a server lost a worker is no round, and is not tried again at once."""

    def workers_ended(data: RunData) -> Iterator[Reason]:
        if data.record.requested.release == CANDIDATE:
            yield Reason(code="workers-ended", text="1 of the server's workers ended under load")

    monkeypatch.setattr(validity, "_server", workers_ended)
    found = stage.measure(stage.duet(), FOUR)
    assert stage.outside.runs == 3
    with pytest.raises(InvalidMeasurementError, match=r"1 run\(s\) of 1\.12\.0\+candidate .* workers ended"):
        runner.require_whole(stage.duet(), found)


@pytest.mark.parametrize("at_once", [False, True])
def test_distrusted_run_is_made_again(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, at_once: bool) -> None:
    """A run that lost its slowest requests is made again at once, and the other run of a duet with it."""

    def truncated(data: RunData) -> tuple[str, ...]:
        is_second = data.record.requested.arm == 2 and data.record.requested.round == 1
        return ("truncated",) if is_second and stage.outside.runs == (1 if at_once else 2) else ()

    spoilt: set[str] = set()

    def remembered(data: RunData) -> tuple[str, ...]:
        if truncated(data):
            spoilt.add(data.record.run_id)
        return ("truncated",) if data.record.run_id in spoilt else ()

    monkeypatch.setattr(validity, "distrusted", remembered)
    found = stage.measure(stage.duet() if at_once else stage.campaign(), FOUR)
    assert rounds(found) == [4]
    assert stage.outside.runs == (5 if at_once else 9)
    assert not any(run.distrusted for one in found.paired[0].rounds for run in one.runs.values())
    (excluded,) = found.paired[0].excluded
    assert "1.12.0+candidate was not to be trusted in its latencies (truncated); it was made again" in excluded


@pytest.mark.parametrize("at_once", [False, True])
def test_distrusted_run_counts_where_its_repetitions_are_invalid(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:  # fmt: skip
    """Valid runs whose repetitions the machine disturbs cost no round, and are left out by their latencies alone."""
    spoilt: set[str] = set()

    def is_first() -> bool:
        return stage.outside.runs % 3 == 1

    def truncated(data: RunData) -> tuple[str, ...]:
        if stage.outside.runs <= 9 and is_first():
            spoilt.add(data.record.run_id)
        return ("truncated",) if data.record.run_id in spoilt else ()

    def busy(at_s: float) -> telemetry.MachineSample:
        taken = at_s if stage.outside.runs <= 9 and not is_first() else 0.0
        return telemetry.MachineSample(at_s=at_s, busy_s=taken, stolen_s=0.0, own_s=0.0)

    monkeypatch.setattr(validity, "distrusted", truncated)
    monkeypatch.setattr(telemetry, "machine_sample", busy)
    found = stage.measure(stage.duet() if at_once else stage.campaign(), FOUR)
    assert stage.outside.runs == (4 if at_once else 8) + 6  # three loads were tried three times
    assert rounds(found) == [4]
    assert not found.failed
    by_name = {effect.metric.name: effect for effect in found.judged[0].effects}
    assert [one.rounds for one in by_name["overhead_p50_ms"].left_out] == [3 if at_once else 2]
    assert by_name[CPU].left_out == ()


def test_run_that_stays_distrusted_counts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three tries a round counts with what can be trusted of it."""
    monkeypatch.setattr(validity, "distrusted", lambda _: ("truncated",))
    found = stage.measure(stage.duet(), FOUR)
    assert rounds(found) == [4]
    assert stage.outside.runs == 12


def test_budget_is_kept(stage: Stage) -> None:
    """A budget is shared by all pairs, and kept."""
    stage.outside.cpu = {"1.12.0+2": (1.0, 1.06), "1.12.0+3": (1.0, 1.0, 1.06, 1.06)}
    requested = stage.duet(*THREE, pairs=CHAIN)
    found = stage.measure(requested, StoppingRule(budget_s=requested.round_s * 8))
    assert found.took_s <= requested.round_s * 8
    assert min(rounds(found)) >= 6


def test_repeated_loads_do_not_end_a_budget_early(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round whose load was made three times says nothing of how long the next one takes: all the time is used."""
    spoilt: set[str] = set()

    def truncated(data: RunData) -> tuple[str, ...]:
        if stage.outside.runs in {6, 7}:
            spoilt.add(data.record.run_id)
        return ("truncated",) if data.record.run_id in spoilt else ()

    monkeypatch.setattr(validity, "distrusted", truncated)
    stage.outside.cpu = {CANDIDATE: (1.0, 1.06)}
    requested = stage.duet()
    found = stage.measure(requested, StoppingRule(budget_s=requested.round_s * 10))
    assert len(found.paired[0].excluded) == 2
    assert requested.round_s * 9 < found.took_s <= requested.round_s * 10


def test_estimated_time(stage: Stage) -> None:
    """A round loads both arms in the time of one, and starts them one after the other."""
    assert stage.duet().round_s == pytest.approx(4 + 2 * (2.2 + 2 * 1.2))
    assert stage.duet(*THREE, pairs=CHAIN).round_s == pytest.approx(3 * stage.duet().round_s)
    assert dataclasses.replace(stage.duet(), groups=()).round_s == stage.duet().round_s
