"""Rounds on the workers of a cluster: what they give, whom they come from, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from scripts.campaign import messages, runner
from scripts.campaign.messages import Facts, Runs
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config.errors import InvalidMeasurementError, NotComparableError, NothingMeasuredError, SuiteError
from scripts.host import telemetry
from scripts.host.machine import LOCK_VARIABLE
from scripts.records.storage import RECORD_FILE
from tests.fakes import values, workers
from tests.fakes.stage import CANDIDATE, Stage
from tests.fakes.workers import FakeCluster

SIX = StoppingRule(rounds=6)
FIRST = "tls://10.0.0.1:4000"
Alter = Callable[[dict[str, Any]], None]


@pytest.fixture
def cluster(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """Three workers."""
    with workers.started(stage, monkeypatch, 3) as found:
        yield found


def measure(cluster: FakeCluster, rule: StoppingRule = SIX) -> CampaignResult:
    """Carry a campaign out on the cluster."""
    return runner.measure(cluster.campaign(), rule, cluster.options, cluster.stage.outside)


def altered(kind: type, change: Alter) -> Callable[[str], str]:
    """An answer of this kind with something changed."""

    def alter(text: str) -> str:
        fields: dict[str, Any] = msgspec.json.decode(text)
        if fields["type"] == kind.__name__:
            change(fields)
        return msgspec.json.encode(fields).decode()

    return alter


def test_same_verdicts_from_several_machines(
    cluster: FakeCluster, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rounds of three workers give the intervals that the same records give on this machine."""
    stage.outside.cpu = {CANDIDATE: (1.05, 1.02, 1.04)}
    found = measure(cluster)
    runner.require_whole(cluster.campaign(), found)
    assert [len(paired.rounds) for paired in found.paired] == [6]
    assert sorted(cluster.calls) == sorted(cluster.connected)
    monkeypatch.setenv(LOCK_VARIABLE, str(stage.at / "another-lock"))
    before = stage.records()
    again = dataclasses.replace(SIX, afresh=False)
    here = runner.measure(cluster.campaign(), again, stage.options(), stage.outside)
    assert stage.records() == before
    assert here.judged == found.judged


def test_every_round_is_made_once(cluster: FakeCluster, stage: Stage) -> None:
    """Rounds that are made at the same time have numbers of their own, each with both runs."""
    measure(cluster)
    placed = sorted((record.requested.round, record.requested.arm) for record in stage.records())
    assert placed == [(number, arm) for number in range(1, 7) for arm in (1, 2)]
    assert not list((stage.at / "made").rglob(RECORD_FILE))


def test_what_is_begun_is_used(cluster: FakeCluster, stage: Stage) -> None:
    """A verdict that is in while other rounds are being made ends the campaign after those, which count."""
    rule = StoppingRule(budget_s=stage.campaign().round_s * 16.5)
    found = measure(cluster, rule)
    assert 6 <= len(found.paired[0].rounds) <= 6 + 2
    assert len(stage.records()) == 2 * len(found.paired[0].rounds)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda fields: fields.update(code="other"), "it is of another commit, or one of both checkouts has changes"),
        (lambda fields: fields.update(tools="other"), "its tools are of another lock"),
        (lambda fields: fields["machine"].update(tools_python="3.12.1"), "its tools have Python 3.12.1"),
        (
            lambda fields: fields["machine"].update(cores=64),
            "it is another kind of machine than most workers: cores 64",
        ),
        (lambda fields: fields.pop("code"), "it is of another commit"),
    ],
)
def test_worker_that_differs_is_refused(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], change: Alter, why: str
) -> None:
    """A worker of another commit, lock, Python or kind of machine is refused by name, and the others go on."""
    cluster.answers = {FIRST: altered(Facts, change)}
    found = measure(cluster)
    assert [len(paired.rounds) for paired in found.paired] == [6]
    assert f"worker w1 is refused: {why}" in capsys.readouterr().err.replace("\n", " ")
    assert cluster.calls[FIRST] <= 2


def test_worker_with_another_python_in_its_virtualenvs(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker whose virtualenvs have another patch version of Python is refused."""
    alter = altered(messages.Ready, lambda fields: fields.update(pythons={"3.11": "3.11.1"}))
    cluster.answers = {"tls://10.0.0.3:4000": alter}
    measure(cluster)
    assert "worker w3 is refused: its virtualenvs have Python 3.11.1" in capsys.readouterr().err


def test_nobody_but_refused(cluster: FakeCluster) -> None:
    """Where every worker is refused, nothing is measured, and the first reason is the error."""
    alter = altered(Facts, lambda fields: fields.update(code="other"))
    cluster.answers = dict.fromkeys(cluster.connected, alter)
    with pytest.raises(NotComparableError, match="worker w1 is refused") as caught:
        measure(cluster)
    assert caught.value.then == messages.SAME_COMMIT


def test_nobody_comes(cluster: FakeCluster) -> None:
    """Without a worker, the command ends after a minute, and says what to start."""
    cluster.connected.clear()
    with pytest.raises(NothingMeasuredError, match="no worker has come within 60 s") as caught:
        measure(cluster)
    assert "nox -s worker -- tls://cluster.example:8786" in caught.value.then


def test_lost_scheduler_ends_the_command_with_what_it_has(cluster: FakeCluster, stage: Stage) -> None:
    """A scheduler that goes ends the campaign, whose rounds count, and the same command goes on after them."""
    cluster.ends_after = 3 * 3 + 2  # three workers were asked what they are, twice, and made ready
    found = measure(cluster)
    assert len(found.paired[0].rounds) == 2
    with pytest.raises(SuiteError, match="the scheduler has gone") as caught:
        runner.require_whole(cluster.campaign(), found)
    assert caught.value.then == "nox -s scheduler; then repeat this command: it goes on where it ended"
    cluster.ends_after = None
    assert len(measure(cluster).paired[0].rounds) == 6
    assert len(stage.records()) == 12


def corrupt(cluster: FakeCluster, change: Alter) -> CampaignResult:
    """A campaign of which every answer is altered."""
    cluster.answers = dict.fromkeys(cluster.connected, altered(Runs, change))
    return measure(cluster)


def files_of(fields: dict[str, Any]) -> dict[str, str]:
    """Of the first run of an answer, in base64."""
    files: dict[str, str] = fields["runs"][0]
    return files


def test_file_name_that_leaves_the_results(cluster: FakeCluster, stage: Stage) -> None:
    """A file that no run has is refused, whatever its path, and nothing of that run is written."""
    found = corrupt(cluster, lambda fields: files_of(fields).update({"../../../../../../escaped": "AAAA"}))
    with pytest.raises(InvalidMeasurementError, match=r"a run has no file '\.\./\.\./"):
        runner.require_whole(cluster.campaign(), found)
    assert stage.records() == []
    assert not list(stage.at.rglob("escaped"))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("run_id", "../../../../escaped", "no name that this suite makes"),
        ("release", "../../escaped", "requested.release is"),
        ("release", "1.0.0", "is of something else"),
        ("campaign", "0" * 12, "is of something else"),
        ("round", 99, "is of something else"),
    ],
)
def test_record_of_something_else(
    cluster: FakeCluster, stage: Stage, field: str, value: object, why: str
) -> None:  # fmt: skip
    """A record with a name that leads elsewhere, or of another release, campaign or round, is not written."""

    def change(fields: dict[str, Any]) -> None:
        files = files_of(fields)
        record = msgspec.json.decode(msgspec.json.decode(f'"{files[RECORD_FILE]}"', type=bytes))
        (record if field == "run_id" else record["requested"])[field] = value
        files[RECORD_FILE] = msgspec.json.decode(msgspec.json.encode(msgspec.json.encode(record)))

    found = corrupt(cluster, change)
    with pytest.raises(InvalidMeasurementError, match=why):
        runner.require_whole(cluster.campaign(), found)
    assert not list(stage.at.rglob("*escaped*"))
    assert not list(stage.results.rglob(RECORD_FILE))


def test_run_that_comes_twice_is_dropped(
    cluster: FakeCluster, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """The same run in an answer twice is kept once, and the other is noted."""
    found = corrupt(cluster, lambda fields: fields.update(runs=[*fields["runs"], fields["runs"][0]]))
    assert len(stage.records()) == 12
    assert [len(paired.rounds) for paired in found.paired] == [6]
    assert capsys.readouterr().err.count("came twice: the second is dropped") == 6


def test_error_of_a_worker_keeps_its_kind(cluster: FakeCluster, stage: Stage) -> None:
    """A candidate that says another version ends the campaign with that very error, as it does on this machine."""
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    found = measure(cluster)
    with pytest.raises(SuiteError, match=r"says that it is promptflow 1\.11\.0, not 1\.12\.0") as caught:
        runner.require_whole(cluster.campaign(), found)
    assert caught.value.exit_code == 5
    assert {record.outcome for record in stage.records()} == {"ok", "verify-failed"}


def test_disturbed_rounds_end_the_campaign(cluster: FakeCluster, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that others disturb are given up as this machine is, with the same advice."""
    busy = telemetry.MachineSample
    monkeypatch.setattr(telemetry, "machine_sample", lambda at_s: busy(at_s=at_s, busy_s=at_s, stolen_s=0.0, own_s=0.0))
    found = measure(cluster)
    with pytest.raises(InvalidMeasurementError, match="other processes took") as caught:
        runner.require_whole(cluster.campaign(), found)
    assert "--wait-quiet" in caught.value.then
    assert values.MACHINE in {record.machine for record in stage.records()}
