"""Campaigns from start to end in a fake outside: rounds, interim looks, budgets, and what ends them early."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

import pytest

from scripts.analysis import validity
from scripts.analysis.run_data import RunData
from scripts.analysis.validity import Reason
from scripts.campaign import runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import (
    InvalidMeasurementError,
    NothingMeasuredError,
    ServerError,
    UsageError,
    VerificationError,
)
from scripts.host import telemetry
from scripts.host.progress import remaining
from tests.fakes import values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage
from tests.fakes.system import Script

FOUR = StoppingRule(rounds=4)
CPU = "cpu_per_request_ms"
ROUND_S = 17.2  # as estimated for two arms
JUDGE_CPU = {CPU: math.log1p(0.03)}
UNSURE = (1.0, 1.06)  # times the CPU time of the baseline, in turn: a change of 3 % is neither certain nor excluded


def verdicts(found: CampaignResult) -> dict[str, str]:
    """By metric, of one comparison."""
    (judged,) = found.judged
    return {effect.metric.name: effect.verdict for effect in judged.effects}


def rounds(found: CampaignResult) -> list[int]:
    """How many count, of each scenario."""
    return [len(paired.rounds) for paired in found.paired]


def test_same_figures_are_within_threshold(stage: Stage) -> None:
    """Arms with the same figures in every round are within threshold, and have no data where a run is too short."""
    found = stage.measure(stage.campaign(), FOUR)
    judged = verdicts(found)
    assert judged.pop("overhead_p99_ms") == "no data"  # of two requests
    assert set(judged.values()) == {"within threshold"}
    runner.require_whole(stage.campaign(), found)


def test_slower_arm_is_a_regression(stage: Stage) -> None:
    """An arm that uses 5 % more CPU time in every round is a regression in that, and in nothing else."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    judged = verdicts(stage.measure(stage.campaign(), FOUR))
    assert [name for name, verdict in judged.items() if verdict == "regression"] == [CPU]


def test_serpentine(stage: Stage) -> None:
    """Odd rounds run the arms forwards, even ones backwards, each on a fresh server and with its round's seed."""
    stage.measure(stage.campaign("1.12.0+1", "1.12.0+2", "1.12.0+3"), FOUR)
    assert "".join(label[-1] for label in stage.outside.labels.values()) == "123321123321"
    placed = sorted((record.requested.round, record.requested.seed, record.requested.arm) for record in stage.records())
    assert placed == [(number, 41 + number, arm) for number in (1, 2, 3, 4) for arm in (1, 2, 3)]


def heads(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The head lines of a log, without the time that is left."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("round ")]
    return [re.sub(r"\d+:\d\d left", "TIME left", line) for line in lines]


def test_head_line_in_a_log(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Before each round a line says which it is, how long the rest takes, and how CPU time has changed so far."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    stage.measure(stage.campaign(), StoppingRule(rounds=6))
    change = "CPU per request +5.0 % (+5.0 % to +5.0 %)"
    assert heads(capsys) == [
        *(f"round {number} of 6, TIME left" for number in (1, 2, 3, 4)),
        *(f"round {number} of 6, TIME left, {change}" for number in (5, 6)),
    ]


def test_head_line_of_several_scenarios_and_arms(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several scenarios the line names the one that is measured, and of several arms the last one."""
    stage.outside.cpu = {"1.12.0+3": (1.05,)}
    stage.measure(stage.campaign("1.12.0+1", "1.12.0+2", "1.12.0+3", flows=("one", "two")), StoppingRule(rounds=5))
    change = "1.12.0+3 CPU per request +5.0 % (+5.0 % to +5.0 %)"
    assert heads(capsys)[-2:] == [f"round 5 of 5 of fastapi {flow}, TIME left, {change}" for flow in ("one", "two")]


def test_head_line_of_another_metric(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign may watch another metric than CPU time, and a budget has at most so many rounds."""
    rule = StoppingRule(budget_s=10 * stage.campaign().round_s)
    runner.measure(stage.campaign(), rule, stage.options(), stage.outside, "memory_end_bytes")
    last = heads(capsys)[-1]
    assert re.match(r"round 6 of at most 10, TIME left, memory end \+0.0 %", last), last


def test_time_that_is_left(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The first head line has the time of the whole plan, and later ones that of the rest at the pace so far."""
    requested, began_s = stage.campaign(), stage.outside.now
    stage.measure(requested, FOUR)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("round ")]
    assert remaining(4 * requested.round_s) in lines[0]
    assert remaining((stage.outside.now - began_s) / 4) in lines[-1]


def test_release_against_itself(stage: Stage) -> None:
    """In an A/A campaign both arms are the same release, and what they differ by is the noise floor of the next."""
    is_aa = stage.campaign(BASELINE, BASELINE)
    stage.outside.cpu = {BASELINE: (1.0, 1.01, 1.02)}
    found = stage.measure(is_aa, FOUR)
    assert [paired.is_aa for paired in found.paired] == [True]
    assert not found.floors
    floors = stage.measure(stage.campaign(), FOUR).floors
    assert {name for *_, name in floors} >= {CPU, "ready_s"}
    assert max(floors.values()) > 0.01


def test_run_that_fails_ends_its_round(stage: Stage) -> None:
    """A run that fails is recorded, the rest of its round is not made, and the round is made again whole."""
    stage.outside.scripts = {"server": [Script(), Script(), Script(ends_s=0.5), Script()]}
    found = stage.measure(stage.campaign(), FOUR)
    assert rounds(found) == [4]
    assert sorted(record.outcome for record in stage.records()) == ["failed", *["ok"] * 8]
    assert not found.failed


def test_wrong_version_ends_the_campaign(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A candidate that says another version is given up after three rounds, with that very error and its exit code."""
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    found = stage.measure(stage.campaign(), FOUR)
    with pytest.raises(VerificationError, match=r"says that it is promptflow 1\.11\.0, not 1\.12\.0") as caught:
        runner.require_whole(stage.campaign(), found)
    assert caught.value.exit_code == 5
    outcomes = {record.requested.release: record.outcome for record in stage.records()}
    assert outcomes == {BASELINE: "ok", CANDIDATE: "verify-failed"}
    assert len(stage.records()) == 6
    assert capsys.readouterr().err.count("verify-failed: the server says") == 3


def test_failing_after_good_rounds_is_no_pass(stage: Stage) -> None:
    """A campaign that fails again and again after good rounds keeps those, and still ends with the failure."""
    stage.measure(stage.campaign(), FOUR)
    stage.outside.scripts = {"server": [Script(ends_s=0.5, code=7)]}
    found = stage.measure(stage.campaign(), StoppingRule(rounds=6))
    assert rounds(found) == [4]
    with pytest.raises(ServerError, match="exit code 7"):
        runner.require_whole(stage.campaign(), found)


def disturb(stage: Stage, monkeypatch: pytest.MonkeyPatch, *runs: int) -> None:
    """Let other processes take the machine during these runs, counted from 1; during all when none is named."""

    def busy(at_s: float) -> telemetry.MachineSample:
        disturbed = not runs or stage.outside.runs in runs
        return telemetry.MachineSample(at_s=at_s, busy_s=at_s if disturbed else 0.0, stolen_s=0.0, own_s=0.0)

    monkeypatch.setattr(telemetry, "machine_sample", busy)


def test_disturbed_runs_do_not_count(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first three runs are disturbed, the session is given up, and says why and how to wait."""
    disturb(stage, monkeypatch)
    found = stage.measure(stage.campaign(flows=("example", "other")), FOUR)
    assert stage.outside.runs == 3
    assert "--wait-quiet" in found.failed[0].then
    with pytest.raises(InvalidMeasurementError, match=r"3 run\(s\) .* are invalid: .*other processes took"):
        runner.require_whole(stage.campaign(), found)


def test_disturbed_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After good runs, a session is given up after two rounds in a row, of three disturbed runs each."""
    disturb(stage, monkeypatch, *range(3, 30))
    found = stage.measure(stage.campaign(), FOUR)
    assert stage.outside.runs == 2 + 2 * 3
    with pytest.raises(InvalidMeasurementError, match="other processes took"):
        runner.require_whole(stage.campaign(), found)


def test_disturbed_run_is_made_again_in_its_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One disturbed run costs no round: it is made again at once, and the page says so."""
    disturb(stage, monkeypatch, 2)
    found = stage.measure(stage.campaign(), FOUR)
    assert stage.outside.runs == 9
    assert rounds(found) == [4]
    assert [record.requested.release for record in stage.records()].count(CANDIDATE) == 5
    (excluded,) = found.paired[0].excluded
    assert "was invalid" in excluded
    assert excluded.endswith("; it was made again")


def test_what_a_server_did_is_not_tried_again_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is invalid by the server's own fault ends its round, however often: no arm gets more tries."""

    def workers_ended(data: RunData) -> Iterator[Reason]:
        if data.record.requested.release == CANDIDATE:
            yield Reason(code="workers-ended", text="1 of the server's workers ended under load")

    monkeypatch.setattr(validity, "_server", workers_ended)
    found = stage.measure(stage.campaign(), FOUR)
    assert sorted(record.requested.release for record in stage.records()) == [BASELINE] * 3 + [CANDIDATE] * 3
    with pytest.raises(InvalidMeasurementError, match="workers ended under load"):
        runner.require_whole(stage.campaign(), found)


def test_disturbed_run_is_not_tried_again_after_the_budget(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign with a budget ends in time, also where its runs are disturbed."""
    disturb(stage, monkeypatch)
    budget_s = 4.5 * stage.campaign().round_s
    began = stage.outside.monotonic()
    stage.measure(stage.campaign(), StoppingRule(budget_s=budget_s))
    assert stage.outside.monotonic() - began <= budget_s


def test_busy_machine_is_warned_of_and_recorded(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that is busy before the start is warned of at every run, and recorded with it."""
    stage.machine = dataclasses.replace(values.MACHINE, cpu_busy_before=0.5)
    stage.measure(stage.campaign(), FOUR)
    assert capsys.readouterr().err.count("warning: 50% of the cores are busy already") == 8
    assert {record.machine.cpu_busy_before for record in stage.records()} == {0.5}


def test_budget_too_short(stage: Stage) -> None:
    """A budget that the fewest rounds do not fit into is refused before anything starts, with one that does."""
    with pytest.raises(
        UsageError, match=r"budget of 0\.5 minutes is too short: .* 4 of 1 scenario.* take 1.1"
    ) as caught:
        stage.measure(stage.campaign(), StoppingRule(budget_s=30))
    assert caught.value.then.startswith("repeat this command with --budget 2m")
    assert stage.outside.events == []


def test_budget_ends_when_all_verdicts_are_in(stage: Stage) -> None:
    """With a budget, a campaign whose verdicts are clear ends at the first interim look."""
    found = stage.measure(stage.campaign(), StoppingRule(budget_s=ROUND_S * 16.5))
    assert rounds(found) == [6]
    (judged,) = found.judged
    assert [effect.interval.level for effect in judged.effects if effect.interval] == pytest.approx([0.99] * 9)


def test_long_budget_does_not_end_before_it_can_tell(stage: Stage) -> None:
    """Where many interim looks are planned, so that six rounds state nothing at their level, a later look ends it."""
    assert rounds(stage.measure(stage.campaign(), StoppingRule(budget_s=ROUND_S * 200.5))) == [8]


def test_budget_is_kept(stage: Stage) -> None:
    """With a verdict that stays inconclusive, a campaign ends before its time is over."""
    stage.outside.cpu = {CANDIDATE: UNSURE}
    found = stage.measure(stage.campaign(), StoppingRule(budget_s=ROUND_S * 10))
    assert verdicts(found)[CPU] == "inconclusive"
    assert ROUND_S * 8 < found.took_s <= ROUND_S * 10
    assert rounds(found)[0] >= 10


def test_slow_rounds_keep_the_budget(stage: Stage) -> None:
    """Where rounds take longer than estimated, no round is begun that would not end in time."""
    stage.outside.cpu = {CANDIDATE: UNSURE}
    stage.outside.scripts = {"server": [Script(ready_s=20.0)]}
    found = stage.measure(stage.campaign(), StoppingRule(budget_s=ROUND_S * 9))
    assert found.took_s <= ROUND_S * 9
    assert rounds(found) == [2]


def test_only_requested_verdicts_are_awaited(stage: Stage) -> None:
    """With thresholds for some metrics, a campaign does not wait for the verdicts on others."""
    stage.outside.cpu = {CANDIDATE: UNSURE}
    budget_s = ROUND_S * 16.5
    found = stage.measure(
        stage.campaign(), StoppingRule(budget_s=budget_s, minimum_effect={"ready_s": math.log1p(0.1)})
    )
    assert rounds(found) == [6]
    found = stage.measure(stage.campaign(), StoppingRule(budget_s=budget_s, minimum_effect=JUDGE_CPU))
    assert rounds(found)[0] > 6


def test_scenarios_take_turns(stage: Stage) -> None:
    """Several flows have their rounds in turn, and campaigns of their own."""
    requested = stage.campaign(flows=("one", "two"))
    found = stage.measure(requested, FOUR)
    assert rounds(found) == [4, 4]
    flows = [record.requested.flow for record in sorted(stage.records(), key=lambda record: record.requested.round)]
    assert sorted(flows[:4]) == ["one", "one", "two", "two"]
    assert len({paired.campaign for paired in found.paired}) == 2


def test_budget_is_shared_by_scenarios(stage: Stage) -> None:
    """A budget is for all flows together, and all of them get rounds."""
    stage.outside.cpu = {CANDIDATE: UNSURE}
    found = stage.measure(stage.campaign(flows=("one", "two")), StoppingRule(budget_s=ROUND_S * 12))
    assert found.took_s <= ROUND_S * 12
    assert min(rounds(found)) >= 6
    assert max(rounds(found)) - min(rounds(found)) <= 1


def test_scenario_without_a_round_is_no_pass(stage: Stage) -> None:
    """A flow of which no round was measured is named, whatever the others say."""
    found = stage.measure(stage.campaign(flows=("one",)), FOUR)
    with pytest.raises(InvalidMeasurementError, match="no whole round was measured of fastapi two"):
        runner.require_whole(stage.campaign(flows=("one", "two")), found)


def test_no_run_at_all(stage: Stage) -> None:
    """Where no run was made there is no pass, but exit code 3."""
    nothing = CampaignResult(paired=(), judged=(), floors={}, failed=(), took_s=0.0)
    with pytest.raises(NothingMeasuredError):
        runner.require_whole(stage.campaign(), nothing)
