"""The gate verb: its exit code is the verdict, and nothing that is missing passes; in a fake outside."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

import pytest

from scripts.analysis.metrics import METRICS
from scripts.campaign import counted_gate, explaining
from scripts.commands import cli, gate
from scripts.config.errors import SamplerError, Terminated, ValgrindError
from scripts.inference.comparison import ArmComparison
from scripts.inference.gate_decision import Case, Decision
from scripts.records.explanations import Explanation
from tests.campaign.test_counted_arms import arms
from tests.fakes.stage import BASELINE, CANDIDATE, Stage
from tests.fakes.system import Script
from tests.report.pages.test_explanation_page import FASTER

PAIR = ("--baseline", BASELINE, "--candidate", CANDIDATE)
ON_CPU = ("--max", "cpu_per_request=+3%", "--rounds", "4")


def exit_code(stage: Stage, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """What the verb leaves the process with."""
    monkeypatch.setattr(sys, "argv", ["gate", *stage.arguments(*PAIR, *options)])
    with pytest.raises(SystemExit) as caught:
        cli.run(gate.main)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Of the standard output."""
    return capsys.readouterr().out.splitlines()[-1]


def only_case(report: Path) -> tuple[str, str, str]:
    """Kind, type and message of the only case that JUnit XML has."""
    (suite,) = ET.parse(report).getroot()  # noqa: S314 - our own
    ((part,),) = suite
    return part.tag, part.attrib["type"], part.attrib["message"]


def test_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A candidate that is not worse in what is asked for passes."""
    stage.outside.cpu = {CANDIDATE: (1.01,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 0
    assert last_line(capsys).startswith("PASS: none of 1 metrics is worse than allowed (fastapi example: ")


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
    """A candidate that is worse by more than allowed ends with exit code 8; the last line has metric and limit."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 8
    assert last_line(capsys) == (
        "FAIL: fastapi example: 1.12.0+candidate against 1.12.0: CPU per request +5.0 %, allowed +3.0 % (+0.6 ms)."
    )


def test_explained(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --explain a failure is explained on the page, within two minutes; the verdict stays the last line."""
    budgets = []

    def measure(*_arguments: object, budget_s: float) -> list[Explanation]:
        budgets.append(budget_s)
        return [FASTER]

    monkeypatch.setattr(explaining, "measure", measure)
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--explain") == 8
    out = capsys.readouterr().out
    assert "# Why: 1.17.1 against 1.17.0, fastapi static_async" in out
    assert out.splitlines()[-1].startswith("FAIL: ")
    assert budgets[0] <= 120


def test_a_pass_is_not_explained(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a failure there is nothing to explain, and nothing is sampled."""
    monkeypatch.setattr(explaining, "measure", lambda *_arguments, **_options: pytest.fail("nothing has failed"))
    assert exit_code(stage, monkeypatch, *ON_CPU, "--explain") == 0


def test_a_failure_that_cannot_be_explained(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where py-spy may not trace, the verdict stands, and the page says why there is no explanation."""

    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise SamplerError("py-spy cannot sample here", then="allow it")

    monkeypatch.setattr(explaining, "measure", refuse)
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--explain") == 8
    assert "not explained: py-spy cannot sample here" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "word"), [(KeyboardInterrupt(), "interrupted"), (Terminated(), "terminated")])
def test_a_signal_during_the_explanation_leaves_the_verdict(
    error: BaseException, word: str, stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure that was found is reported, with its exit code, also when Ctrl-C ends what would explain it."""

    def interrupt(*_arguments: object, **_options: object) -> NoReturn:
        raise error

    monkeypatch.setattr(explaining, "measure", interrupt)
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--explain") == 8
    assert f"not explained: {word}" in capsys.readouterr().out


def test_threshold_is_the_limit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same change passes a wider limit."""
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, "--max", "cpu_per_request=+10%", "--rounds", "4") == 0


def test_undecided(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An undecided metric ends with exit code 6 and how many rounds would do; those rounds do go on."""
    stage.outside.cpu = {CANDIDATE: (1.0, 1.06)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 6
    printed = capsys.readouterr().out
    assert re.fullmatch(
        r"UNDECIDED: .*: CPU per request .* could be .* rounds would decide\.", printed.splitlines()[-1]
    )
    assert "and with --rounds " in printed
    exit_code(stage, monkeypatch, *ON_CPU[:2], "--rounds", "6")
    assert "4 round(s) of this campaign are measured already" in capsys.readouterr().err


def test_no_data_is_no_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A threshold on a metric that the runs are too short to tell ends with exit code 6, whatever the others say."""
    limits = (*ON_CPU, "--max", "overhead_p99=+10%")
    assert exit_code(stage, monkeypatch, *limits) == 6
    assert "1.12.0: overhead p99: a run lacks the metric (4 of 4 rounds)" in last_line(capsys)


def test_all_metrics_without_limits(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --max the metrics of the defaults are judged, so the one without data is no pass."""
    assert exit_code(stage, monkeypatch, "--rounds", "4") == 6


def test_candidate_that_fails(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A candidate that does not verify, or dies, ends with exit code 5 and JUnit XML that has an error."""
    report = stage.at / "junit.xml"
    stage.outside.versions = {CANDIDATE: "1.11.0"}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report)) == 5
    assert only_case(report)[:2] == ("error", "VerificationError")
    assert last_line(capsys).startswith("UNDECIDED: ")
    stage.outside.versions = {}
    stage.outside.scripts = {"server": [Script(ends_s=0.5)]}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report)) == 5
    assert only_case(report)[:2] == ("error", "ServerError")


def test_interruption_has_its_report(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C leaves JUnit XML with an error, a page in the job's summary, and a last line."""
    report, summary = stage.at / "junit.xml", stage.at / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    stage.outside.ends_at_run = 3
    assert exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report)) == 130
    assert only_case(report) == ("error", "KeyboardInterrupt", "interrupted.")
    assert summary.read_text(encoding="utf-8") == "# Gate\n\n**UNDECIDED**: interrupted.\n"
    assert last_line(capsys) == "UNDECIDED: interrupted."


def test_refused_input_has_its_report(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused after the command line was read leaves JUnit XML with an error, and replaces an older file."""
    report = stage.at / "junit.xml"
    report.write_text("<testsuites/>", encoding="utf-8")
    assert exit_code(stage, monkeypatch, "--max", "cpu_per_reqest=+3%", "--junit", str(report)) == 2
    assert only_case(report)[:2] == ("error", "UsageError")


def test_a_killed_gate_is_no_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start on, the file says that the gate has not ended."""
    report = stage.at / "junit.xml"
    seen = []
    monkeypatch.setattr(gate, "_measured", lambda _args, _system: seen.append(only_case(report)))
    exit_code(stage, monkeypatch, *ON_CPU, "--junit", str(report))
    assert seen == [("error", "unfinished", "the gate has not ended, or was killed")]


def test_candidate_that_often_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that works in some rounds, and then no more, does not pass by those."""
    good, bad = [Script()] * 8, [Script(ends_s=0.5)]
    stage.outside.scripts = {"server": [*good, *bad]}
    assert exit_code(stage, monkeypatch, *ON_CPU[:2], "--rounds", "6") == 5


def test_budget_is_for_each_flow(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --rounds and --budget, a flow has five minutes, and the gate ends early once all verdicts are in."""
    assert exit_code(stage, monkeypatch, *ON_CPU[:2], "--flow", str(stage.flow("second"))) == 0
    assert [record.requested.flow for record in stage.records()].count("second") >= 12
    assert stage.outside.runs < 2 * 300 / 8.6


def test_summary_of_the_job(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is appended to the file that GITHUB_STEP_SUMMARY names, also where the gate does not pass."""
    summary = stage.at / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 8
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n# Gate: promptflow 1.12.0+candidate against promptflow 1.12.0\n\n**FAIL**: fastapi")
    assert "| **regression** |" in text


def test_outputs_of_the_step(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is an output of a GitHub job's step, also where there is none."""
    outputs = stage.at / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    exit_code(stage, monkeypatch, *ON_CPU)
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    exit_code(stage, monkeypatch, *ON_CPU)
    exit_code(stage, monkeypatch, "--max", "cpu_per_reqest=+3%")
    assert outputs.read_text(encoding="utf-8") == "verdict=PASS\nverdict=FAIL\nverdict=UNDECIDED\n"


@pytest.mark.parametrize("variable", ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"])
@pytest.mark.parametrize("cpu", [1.0, 1.05])
def test_a_file_of_the_job_that_cannot_be_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, cpu: float
) -> None:
    """It costs a warning of the job, and never the verdict."""
    monkeypatch.setenv(variable, str(stage.at / "no such folder" / "file"))
    stage.outside.cpu = {CANDIDATE: (cpu,)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == (0 if cpu == 1.0 else 8)
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("PASS" if cpu == 1.0 else "FAIL")
    (warning,) = [line for line in captured.err.splitlines() if line.startswith("::warning")]
    assert variable in warning
    assert "No such file or directory" in warning


def test_page(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """--page writes the report as Markdown, however the gate ends."""
    page = stage.at / "gate.md"
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--page", str(page)) == 8
    assert page.read_text(encoding="utf-8").startswith(
        "# Gate: promptflow 1.12.0+candidate against promptflow 1.12.0\n\n**FAIL**: fastapi"
    )
    exit_code(stage, monkeypatch, "--max", "cpu_per_reqest=+3%", "--page", str(page))
    assert page.read_text(encoding="utf-8").startswith("# Gate\n\n**UNDECIDED**: ")


def test_junit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """JUnit XML has a case for each metric that is judged, and the regression is a failure."""
    report = stage.at / "junit.xml"
    stage.outside.cpu = {CANDIDATE: (1.05,)}
    assert exit_code(stage, monkeypatch, *ON_CPU, "--max", "ready=+10%", "--junit", str(report)) == 8
    (suite,) = ET.parse(report).getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    (failed,) = (case for case in suite if len(case))
    assert failed.get("name") == "cpu_per_request_ms"


def test_earlier_rounds_tell_what_can_be_decided(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan of a second gate has the noise of the first, and the budget that a small threshold would take."""
    stage.outside.cpu = {CANDIDATE: (1.0, 1.06)}
    assert exit_code(stage, monkeypatch, *ON_CPU) == 6
    capsys.readouterr()
    assert exit_code(stage, monkeypatch, *ON_CPU, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert re.search(r"CPU per request \(ms\) \S +\| +\+3.0 % \| +2.8 % \|", printed)
    assert re.search(r"often cannot pass .* CPU per request: \d+ rounds would do, --budget \d+m", printed)


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
        (["--page", "no/such/directory/gate.md"], "there is no such directory"),
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
    """A dry run prints the plan, with the five minutes that a flow has, and starts nothing."""
    assert exit_code(stage, monkeypatch, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "time: at most 5.0 minutes" in printed
    assert "Not known yet, because no earlier rounds" in printed
    assert not Path(stage.results).exists()


ON_BOTH = (*ON_CPU, "--max", "instructions_per_request=+1%")


def test_without_valgrind_time_alone_decides(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be counted the gate goes on, and says what that costs and how to change it."""

    def missing(*_arguments: object, **_named: object) -> None:
        raise ValgrindError(
            "counting work needs valgrind, and it is not installed", then="apt-get install valgrind, then repeat"
        )

    monkeypatch.setattr(counted_gate, "judge", missing)
    assert exit_code(stage, monkeypatch, *ON_BOTH) == 0
    out = capsys.readouterr().out
    assert "No instructions were counted: counting work needs valgrind" in out
    assert "apt-get install valgrind" in out
    assert out.splitlines()[-1].startswith("PASS: none of 1 metrics")


def counted_cases(decision: Decision, change: float) -> list[counted_gate.Judged]:
    """What counting says of the stage's two arms."""
    instructions = next(metric for metric in METRICS if metric.name == "instructions_per_request")
    case = Case(
        where=f"fastapi example: {CANDIDATE} against {BASELINE}", metric=instructions, decision=decision,
        baseline=1e7, candidate=1e7, change=change, worse_end=change, error=0.05, allowed=0.01, visible=None,
        rounds_needed=None, rounds=1, left_out=(),
    )  # fmt: skip
    paired = arms([1000.0], [1000.0]).paired
    return [(ArmComparison(paired=paired, arm=2, effects=()), (case,))]


def test_counts_fail_a_gate(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A candidate that executes more instructions fails, also where CPU time passes; the report says how."""
    monkeypatch.setattr(counted_gate, "judge", lambda *_arguments, **_named: counted_cases("regression", 0.02))
    assert exit_code(stage, monkeypatch, *ON_BOTH) == 8
    out = capsys.readouterr().out
    assert "The server executes more instructions, and its CPU time does not show it" in out
    assert out.splitlines()[-1].startswith("FAIL: ")
    assert "instructions per request +2.0 %" in out.splitlines()[-1]


def test_counts_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate on instructions alone loads nothing."""
    monkeypatch.setattr(counted_gate, "judge", lambda *_arguments, **_named: counted_cases("pass", 0.0))
    assert exit_code(stage, monkeypatch, "--max", "instructions_per_request=+1%") == 0
    assert stage.outside.runs == 0
    assert last_line(capsys).startswith("PASS: none of 1 metrics")
