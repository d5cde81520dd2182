"""The self-test verb: slowdowns and A/A comparisons are measured once, and shown on a page; in a fake outside."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from scripts.commands import self_test
from scripts.config import flows
from scripts.config.errors import NothingMeasuredError, UsageError, VerificationError
from scripts.config.matrix import Suite
from scripts.environments.candidates import Arm
from scripts.host.process import System
from scripts.report.tables.formatting import Markdown
from scripts.selftest import gate_simulation, recorded, simulation, slowdowns
from scripts.selftest.slowdowns import Slowdown
from tests.fakes import stage as stages
from tests.fakes import values
from tests.fakes.stage import Stage

ROUNDS = ("--profile", values.PROFILE.name, "--rounds", "4", "--aa-comparisons", "2")
SLOWDOWNS = slowdowns.SLOWDOWNS[:2]  # fewer runs; the first shows in CPU time
RUNS = 4 * (1 + len(SLOWDOWNS)) + 2 * 4 * 2


def label(slowdown: Slowdown) -> str:
    """The label of a candidate: the release, and eight digits of its digest."""
    return f"1.12.0+{slowdowns.SLOWDOWNS.index(slowdown):08x}"


def made(_matrix: Suite, _baseline: Arm, _system: System) -> dict[str, Arm]:
    """Candidates without wheels."""
    return {slowdown.name: stages.arm(label(slowdown)) for slowdown in SLOWDOWNS}


@pytest.fixture
def stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage with two slowdowns of which one is slower, a flow that the fakes serve, and no simulation."""
    monkeypatch.setattr(self_test, "RealSystem", lambda: stage.outside)
    monkeypatch.setattr(self_test, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(self_test, "_injected", made)
    monkeypatch.setattr(self_test, "SLOWDOWNS", SLOWDOWNS)
    monkeypatch.setattr(recorded, "SLOWDOWNS", SLOWDOWNS)
    monkeypatch.setattr(simulation, "tables", lambda **_options: Markdown("(simulated)"))
    monkeypatch.setattr(gate_simulation, "tables", lambda **_options: Markdown("(simulated)"))
    served = dataclasses.replace(flows.read(stage.flow()), name=self_test.FLOW)
    monkeypatch.setattr(flows, "find", lambda _name: served)
    slow = next(slowdown for slowdown in SLOWDOWNS if slowdown.metric == "cpu_per_request_ms")
    stage.outside.cpu = {label(slow): (1.05,)}
    return stage


def arguments(stage: Stage) -> list[str]:
    """A small self-test."""
    return [*ROUNDS, "--results", str(stage.results)]


def test_page(stage: Stage) -> None:
    """The page says of each slowdown whether it was caught, and counts false positives of A/A comparisons."""
    assert self_test.main(arguments(stage)) == 0
    page = (stage.results / "self-test.md").read_text(encoding="utf-8")
    for slowdown in SLOWDOWNS:
        assert slowdown.name in page
    assert len(re.findall(r"\| +caught \|", page)) == 1
    assert "(simulated)" in page
    assert stage.outside.runs == RUNS


@pytest.mark.parametrize("option", ["--from-records", "--dry-run"])
def test_two_at_once_are_for_gate_trials(stage: Stage, option: str) -> None:
    """A profile that loads two releases at once is refused, and the error names what injects slowdowns into one."""
    with pytest.raises(UsageError, match="profile short-duet loads two releases at the same time") as caught:
        self_test.main([*arguments(stage), "--profile", stages.DUET.name, option])
    assert caught.value.then.startswith("nox -s gate-trials")
    assert stage.outside.runs == 0


def test_json(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has each slowdown and whether it was caught, and the A/A comparisons; the estimate is of all."""
    assert self_test.main([*arguments(stage), "--json"]) == 0
    out, said = capsys.readouterr()
    document = json.loads(out)
    assert [slowdown["caught"] for slowdown in document["slowdowns"]].count(True) == 1
    assert document["answer"].startswith("1 of 2 slowdowns caught; 0 of 2 A/A comparisons")
    assert len(document["aa"]) == 2
    assert re.search(r"in all: about \d+\.\d hours", said)


def test_finished_is_not_measured_again(stage: Stage) -> None:
    """A self-test that is repeated measures nothing, and writes its page."""
    assert self_test.main(arguments(stage)) == 0
    page = stage.results / "self-test.md"
    page.unlink()
    assert self_test.main(arguments(stage)) == 0
    assert stage.outside.runs == RUNS
    assert page.is_file()


def test_interrupted_goes_on(stage: Stage) -> None:
    """A self-test that is interrupted in an A/A comparison goes on in that one."""
    stage.outside.ends_at_run = RUNS - 1
    with pytest.raises(KeyboardInterrupt):
        self_test.main(arguments(stage))
    assert self_test.main(arguments(stage)) == 0
    assert stage.outside.runs == RUNS + 1  # of the last round, its first run had been interrupted


def test_slowdown_that_fails(stage: Stage) -> None:
    """A slowdown that does not verify ends the self-test with that error, and no page."""
    stage.outside.versions = {label(SLOWDOWNS[-1]): "1.11.0"}
    with pytest.raises(VerificationError):
        self_test.main(arguments(stage))
    assert not (stage.results / "self-test.md").exists()


def test_dry_run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints both plans, and neither builds nor measures anything."""
    monkeypatch.delattr(self_test, "_injected")
    assert self_test.main([*arguments(stage), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"arm {1 + len(SLOWDOWNS)}: " in out
    assert "and 2 times:\narm 1: promptflow 1.12.0\narm 2: promptflow 1.12.0\n" in out
    assert stage.outside.events == []


def test_page_from_records(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same page is written again from the records alone, on another machine, and nothing is measured."""
    assert self_test.main(arguments(stage)) == 0
    page = stage.results / "self-test.md"
    measured = page.read_bytes()
    page.unlink()
    monkeypatch.setattr(stage, "machine", dataclasses.replace(stage.machine, cpu_model="Another CPU"))
    monkeypatch.delattr(self_test, "_injected")
    monkeypatch.setattr(self_test, "_measured", None)
    assert self_test.main([*arguments(stage), "--from-records"]) == 0
    assert page.read_bytes() == measured
    assert stage.outside.runs == RUNS


def test_no_records(stage: Stage) -> None:
    """Without records there is no page, and the error names what is missing and how to measure it."""
    with pytest.raises(NothingMeasuredError, match=r"(?s)slowdowns and no A/A comparisons .*next: nox -s self-test"):
        self_test.main([*arguments(stage), "--from-records"])
    assert not (stage.results / "self-test.md").exists()


def test_records_of_one_part_only(stage: Stage) -> None:
    """With the slowdowns recorded but no A/A comparison, the error names what is missing."""
    stage.outside.ends_at_run = 4 * (1 + len(SLOWDOWNS)) + 1
    with pytest.raises(KeyboardInterrupt):
        self_test.main(arguments(stage))
    with pytest.raises(NothingMeasuredError, match="no whole round of the self-test's A/A comparisons "):
        self_test.main([*arguments(stage), "--from-records"])


def test_from_records_has_no_plan(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The option that measures nothing and the one that plans measurements exclude each other."""
    with pytest.raises(SystemExit):
        self_test.main([*arguments(stage), "--from-records", "--dry-run"])
    assert "leave out --dry-run" in capsys.readouterr().err
