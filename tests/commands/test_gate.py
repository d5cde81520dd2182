"""The gate verb: its exit code is the verdict, and nothing that is missing passes; in a fake outside."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts.commands import cli, gate
from tests.fakes.stage import BASELINE, CANDIDATE, Stage
from tests.fakes.system import Script

PAIR = ("--baseline", BASELINE, "--candidate", CANDIDATE)
ON_CPU = ("--max", "cpu_per_request=+3%", "--rounds", "4")


def exit_code(stage: Stage, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """What the verb leaves the process with."""
    monkeypatch.setattr(sys, "argv", ["gate", *stage.arguments(*PAIR, *options)])
    with pytest.raises(SystemExit) as caught:
        cli.run(gate.main)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is not worse in what is asked for passes."""
    stage.outside.cpu = {CANDIDATE: (1.01,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 0


def test_the_same_twice_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release against itself is refused before anything is measured, with the command that shows the noise."""
    assert exit_code(stage, monkeypatch, "--candidate", BASELINE) == 2
    error = capsys.readouterr().err
    assert f"baseline and candidate are both promptflow {BASELINE}" in error
    assert f"nox -s compare -- {BASELINE} --aa" in error
    assert stage.records() == []


def test_improvement_passes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is better passes."""
    stage.outside.cpu = {CANDIDATE: (0.5,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 0


def test_regression(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A candidate that is worse by more than may pass ends with exit code 8, the metric, its change and the limit."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 8
    reason = "fastapi example: 1.12.0+candidate against 1.12.0: CPU per request +5.0 %, regression, threshold 3.0 %"
    assert reason in capsys.readouterr().err


def test_threshold_is_the_limit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same change passes a wider limit."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, "--max", "cpu_per_request=+10%", "--rounds", "4") == 0


def test_undecided(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An inconclusive metric ends with exit code 6 and how many rounds would do; those rounds do go on."""
    stage.outside.cpu = {CANDIDATE: (1.0, 1.06)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 6
    error = capsys.readouterr().err
    assert "1 metric(s) are inconclusive or lack data, so this is no pass" in error
    assert "and with --rounds " in error
    exit_code(stage, monkeypatch, *ON_CPU[:2], "--rounds", "6")
    assert "4 round(s) of this campaign are measured already" in capsys.readouterr().out


def test_no_data_is_no_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold on a metric that the runs are too short to tell ends with exit code 6, whatever the others say."""
    limits = (*ON_CPU, "--max", "overhead_p99=+10%")
    assert exit_code(stage, monkeypatch, *limits) == 6
    assert "overhead p99 no data" in capsys.readouterr().err


def test_all_metrics_without_limits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --max every compared metric is judged, so the one without data is no pass."""
    assert exit_code(stage, monkeypatch, "--rounds", "4") == 6


def test_candidate_that_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that does not verify, or dies, ends with exit code 5 and writes no JUnit XML that could look good."""
    report = stage.at / "junit.xml"
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report)) == 5
    stage.outside.versions = {}
    stage.outside.scripts = {"server": [Script(ends_s=0.5)]}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report)) == 5
    assert not report.exists()


def test_candidate_that_often_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that works in some rounds, and then no more, does not pass by those."""
    good, bad = [Script()] * 8, [Script(ends_s=0.5)]
    stage.outside.scripts = {"server": [*good, *bad]}
    assert exit_code(stage, monkeypatch, *ON_CPU[:2], "--rounds", "6") == 5


def test_budget_is_for_each_flow(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --rounds and --budget, a flow has ten minutes, and the gate ends early once all verdicts are in."""
    assert exit_code(stage, monkeypatch, *ON_CPU[:2], "--flow", str(stage.flow("second"))) == 0
    assert [record.requested.flow for record in stage.records()].count("second") >= 12
    assert stage.outside.runs < 2 * 600 / 8.6


def test_summary_of_the_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is appended to the file that GITHUB_STEP_SUMMARY names, also where the gate does not pass."""
    summary = stage.at / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 8
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n# promptflow 1.12.0+candidate against promptflow 1.12.0\n")
    assert "**regression** in CPU per request +5.0 %" in text


def test_junit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """JUnit XML has a case for each metric that is judged, and the regression is a failure."""
    report = stage.at / "junit.xml"
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--max", "ready=+10%", "--junit", str(report)) == 8
    (suite,) = ET.parse(report).getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    (failed,) = (case for case in suite if len(case))
    assert failed.get("name") == "cpu_per_request_ms"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max", "cpu_per_reqest=+3%"], "no metric 'cpu_per_reqest'.*did you mean 'cpu_per_request'"),
        (["--max", "cpu_per_request=3"], "not METRIC="),
        (["--max", "cpu_per_request=-3%"], "the sign must be"),
        (["--max", "cpu_per_request=+3%", "--max", "cpu_per_request_ms=+4%"], "given twice"),
        (["--budget", "10s"], "is too short"),
        (["--junit", "no/such/directory/junit.xml"], "there is no such directory"),
        (["--junit", "."], "this is a directory; name a file"),
        (["--rounds", "1"], "1 is not a number of rounds"),
    ],
)
def test_wrong_command_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    """A wrong limit, budget or file is refused with exit code 2 before anything starts."""
    assert exit_code(stage, monkeypatch, *options) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(message, error), error
    assert stage.outside.events == []


def test_dry_run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints the plan, with the ten minutes that a flow has, and starts nothing."""
    assert exit_code(stage, monkeypatch, "--dry-run") == 0
    assert "time: at most 10.0 minutes" in capsys.readouterr().out
    assert not Path(stage.results).exists()
