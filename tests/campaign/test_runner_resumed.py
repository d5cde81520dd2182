"""Campaigns taken up again: what is found among the records, what is measured again, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import NotComparableError
from scripts.records.storage import RECORD_FILE, encode_record
from tests.fakes import values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

FOUR = StoppingRule(rounds=4)
ROUND_S = 17.2  # as estimated for two arms
UNSURE = (1.0, 1.06)  # times the CPU time of the baseline, in turn: a change of 3 % is neither certain nor excluded


def rounds(found: CampaignResult) -> list[int]:
    """How many count, of each scenario."""
    return [len(paired.rounds) for paired in found.paired]


def carry_off(stage: Stage) -> None:
    """Make the oldest record one of another machine."""
    record = stage.records()[0]
    (path,) = stage.results.glob(f"runs/*/*/*/{record.run_id}/{RECORD_FILE}")
    machine = dataclasses.replace(record.machine, cores=64)
    path.write_bytes(encode_record(dataclasses.replace(record, machine=machine)))


def test_interrupted_campaign_goes_on(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign interrupted in the middle of a round keeps the rounds before, and makes that one again whole."""
    stage.outside.ends_at_run = 6
    with pytest.raises(KeyboardInterrupt):
        stage.measure(stage.campaign(), FOUR)
    before = stage.records()
    assert [record.requested.round for record in before] == [1, 1, 2, 2, 3]
    found = stage.measure(stage.campaign(), FOUR)
    assert "2 round(s) of this campaign are measured already" in capsys.readouterr().err
    assert stage.outside.runs == 6 + 4
    assert rounds(found) == [4]
    assert [record for record in stage.records() if record in before] == before
    assert ["only 1 of 2 runs were made" in reason for reason in found.paired[0].excluded] == [True]


def test_interrupted_in_its_first_round(stage: Stage) -> None:
    """A campaign that has only half of its first round has no round yet, and makes all of them."""
    stage.outside.ends_at_run = 2
    with pytest.raises(KeyboardInterrupt):
        stage.measure(stage.campaign(), FOUR)
    assert rounds(stage.measure(stage.campaign(), FOUR)) == [4]
    assert stage.outside.runs == 2 + 8
    assert sorted(record.requested.round for record in stage.records()) == [1, 1, 1, 2, 2, 3, 3, 4, 4]


def test_finished_campaign_is_measured_afresh(stage: Stage) -> None:
    """The same command after a finished campaign begins another one, and does not pool the two."""
    first = stage.measure(stage.campaign(), FOUR)
    second = stage.measure(stage.campaign(), FOUR)
    assert stage.outside.runs == 16
    assert rounds(first) == rounds(second) == [4]
    assert first.paired[0].campaign != second.paired[0].campaign


def test_more_rounds_of_a_finished_campaign(stage: Stage) -> None:
    """Asking for more rounds than a campaign has goes on with it."""
    first = stage.measure(stage.campaign(), FOUR)
    second = stage.measure(stage.campaign(), StoppingRule(rounds=6))
    assert stage.outside.runs == 12
    assert first.paired[0].campaign == second.paired[0].campaign


def test_finished_generation_is_not_measured_again(stage: Stage) -> None:
    """Where it is not to begin afresh, a finished generation is judged as it is, and each has its own runs."""
    once = dataclasses.replace(FOUR, afresh=False)
    found = [stage.measure(stage.campaign(BASELINE, BASELINE, again=again), once) for again in (0, 1, 0, 1)]
    assert stage.outside.runs == 16
    names = [one.paired[0].campaign for one in found]
    assert names[:2] == names[2:]
    assert names[0] != names[1]


@pytest.mark.parametrize(
    "other",
    [{"memory_bytes": 16 * 2**30}, {"cpu_model": "Another CPU"}, {"cores": 4}, {"tools_python": "3.12.1"}],
    ids=lambda change: next(iter(change)),
)
def test_another_machine_begins_another_campaign(stage: Stage, other: dict[str, Any]) -> None:
    """Runs of another machine are neither counted nor pooled, and do not keep it from being measured here."""
    stage.measure(stage.campaign(), FOUR)
    stage.machine = dataclasses.replace(values.MACHINE, **other)
    assert rounds(stage.measure(stage.campaign(), FOUR)) == [4]
    assert stage.outside.runs == 16


def test_another_python_begins_another_campaign(stage: Stage) -> None:
    """Virtualenvs built again on another patch version of Python have other figures, so they are another campaign."""
    stage.measure(stage.campaign(), FOUR)
    stage.pythons = dict.fromkeys((BASELINE, CANDIDATE), "3.11.10")
    assert rounds(stage.measure(stage.campaign(), FOUR)) == [4]
    assert stage.outside.runs == 16


def test_arms_on_different_pythons(stage: Stage) -> None:
    """Arms whose virtualenvs differ in Python are refused with both versions, before anything starts."""
    stage.pythons = {CANDIDATE: "3.11.10"}
    with pytest.raises(NotComparableError, match=r"1\.12\.0: 3\.11\.9, 1\.12\.0\+candidate: 3\.11\.10"):
        stage.measure(stage.campaign(), FOUR)
    assert stage.outside.runs == 0


def test_runs_of_different_conditions_in_one_campaign(stage: Stage) -> None:
    """A campaign with a run of another machine is refused, with the condition and both values."""
    stage.measure(stage.campaign(), FOUR)
    carry_off(stage)
    with pytest.raises(NotComparableError, match=r"cores: '(64' and '2|2' and '64)'") as caught:
        stage.measure(stage.campaign(), FOUR)
    assert caught.value.exit_code == 7


def test_mixed_campaign_does_not_spoil_others(stage: Stage) -> None:
    """A mixed campaign among the records keeps nobody from measuring something else."""
    stage.measure(stage.campaign(), FOUR)
    carry_off(stage)
    assert rounds(stage.measure(stage.campaign(BASELINE, "1.12.0+another"), FOUR)) == [4]


def test_record_that_cannot_be_read(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that cannot be read is passed over with a word, and its round is made again."""
    stage.measure(stage.campaign(), FOUR)
    next(stage.results.rglob(RECORD_FILE)).write_text("{", encoding="utf-8")
    assert rounds(stage.measure(stage.campaign(), FOUR)) == [4]
    assert stage.outside.runs == 10
    assert "passed over 1 run(s) that cannot be read" in capsys.readouterr().err


def test_open_verdicts_are_gone_on_with(stage: Stage) -> None:
    """The same budget again goes on while verdicts are inconclusive, and begins another campaign when they are in."""
    stage.outside.cpu = {CANDIDATE: UNSURE}
    rule = StoppingRule(budget_s=ROUND_S * 10)
    first, second = (stage.measure(stage.campaign(), rule) for _ in range(2))
    assert second.paired[0].campaign == first.paired[0].campaign
    assert rounds(second)[0] > rounds(first)[0]
    stage.outside.cpu = {}
    closed = stage.measure(stage.campaign(BASELINE, "1.12.0+another"), rule)
    repeated = stage.measure(stage.campaign(BASELINE, "1.12.0+another"), rule)
    assert closed.paired[0].campaign != repeated.paired[0].campaign
