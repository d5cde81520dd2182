"""What every verb prints: a page with its answer, or one JSON document with the same figures, and nothing beside it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import __main__ as entry
from scripts.commands import (
    attribute,
    bench,
    bench_self,
    cli,
    compare,
    count,
    find,
    gate,
    gate_trials,
    output,
    status,
)  # fmt: skip
from scripts.config.errors import InvalidMeasurementError
from scripts.host import machine
from scripts.measure import session
from scripts.measure.run import CompletedRun
from scripts.report import documents
from scripts.report.tables import formatting
from scripts.selftest import suite_cost
from tests.commands.test_help import parser_of
from tests.fakes import synthetic_runs, values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

CPU = "cpu_per_request_ms"
TARGET = ("--release", "1.12.0", "--engine", "fastapi")
DAYS = ("--as-of", "2024-07-15", "--as-of", "2025-01-24")
FOUR = ("--rounds", "4")
WITHOUT_RESULT = (
    "add-release", "certificates", "collate", "comment", "load-worker", "lock", "report", "scheduler", "worker",
)  # fmt: skip
PAIR = ("--baseline", BASELINE, "--candidate", CANDIDATE, "--max", "cpu_per_request=+3%", *FOUR)
CAMPAIGNS: dict[str, tuple[Callable[[list[str]], int], tuple[str, ...]]] = {
    "compare": (compare.main, (BASELINE, CANDIDATE, *FOUR)),
    "gate": (gate.main, PAIR),
    "attribute": (attribute.main, (BASELINE, *DAYS, "--to", CANDIDATE, *FOUR)),
    "find": (find.main, ("1.11.0..1.13.0", *FOUR)),
}
each_campaign = pytest.mark.parametrize("verb", CAMPAIGNS)


def called(stage: Stage, verb: str, *options: str) -> int:
    """A verb on the stage, where the newer arms use 5 % more CPU time."""
    stage.outside.versions = {version: version for version in ("1.11.0", "1.12.0", "1.13.0")}
    stage.outside.cpu = dict.fromkeys((CANDIDATE, "1.13.0"), (1.05,))
    main, words = CAMPAIGNS[verb]
    return main([*stage.arguments(*words), *options])


def parsed(text: str) -> dict[str, Any]:
    """The one document of an output."""
    document = json.loads(text)
    assert document["schema"] == documents.SCHEMA
    return dict(document)


@each_campaign
def test_campaign_as_json(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """Standard output holds one document alone; its answer is the page's last line, and its changes are the page's."""
    shown: list[str] = []
    show = output.show

    def show_both(page: str, document: documents.Document, *, as_json: bool) -> None:
        assert as_json
        show(page, document, as_json=False)
        shown.append(capsys.readouterr().out)
        show(page, document, as_json=True)

    monkeypatch.setattr(output, "show", show_both)
    called(stage, verb, "--json")
    document, (page,) = parsed(capsys.readouterr().out), shown
    assert document["answer"] == page.splitlines()[-1]
    assert "5.0 %" in document["answer"] or "1 regression" in document["answer"]
    changes = [float(change) for change in re.findall(r"'change': ([-+.\de]+)", str(document)) if float(change)]
    assert changes
    for change in changes:
        assert f"{change * 100:+.1f} %" in page


def test_cpu_time_of_a_comparison(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A metric has its figures, change, interval, threshold and verdict; what is not known is null."""
    called(stage, "compare", "--json")
    (one,) = parsed(capsys.readouterr().out)["comparisons"]
    assert (one["engine"], one["flow"], one["baseline"], one["candidate"], one["rounds"]) == (
        "fastapi", "example", BASELINE, CANDIDATE, 4,
    )  # fmt: skip
    by_name = {metric["metric"]: metric for metric in one["metrics"]}
    cpu = by_name[CPU]
    assert cpu["candidate"] / cpu["baseline"] - 1 == pytest.approx(0.05)
    assert [cpu[name] for name in ("change", "low", "high")] == pytest.approx([0.05] * 3)
    assert (cpu["unit"], cpu["better"], cpu["level"], cpu["verdict"]) == ("ms", "lower", 0.95, "regression")
    assert by_name["overhead_p99_ms"]["change"] is None


def test_shares_of_a_change(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Of three arms the document has each metric's shares, and the answer those of CPU time."""
    called(stage, "attribute", "--json")
    document = parsed(capsys.readouterr().out)
    ((one,),) = ([share for share in part["metrics"] if share["metric"] == CPU] for part in document["shares"])
    changes = [one[name]["change"] for name in ("dependencies", "promptflow", "together")]
    assert changes == pytest.approx([0, 0.05, 0.05])
    assert "dependencies +0.0 % (" in document["answer"]


def test_change_that_was_found(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A search says how it ended, between which releases, and what each stage measured."""
    called(stage, "find", "--json")
    document = parsed(capsys.readouterr().out)
    assert (document["kind"], document["result"], document["metric"]) == ("bisection", "changed", CPU)
    assert (document["change"]["from"], document["change"]["to"]) == ("1.12.0", "1.13.0")
    assert [stage["releases"] for stage in document["stages"]] == [["1.11.0", "1.12.0", "1.13.0"]]


def test_regression_of_a_gate(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate's document has the verdict, what to do next, and each metric with what is allowed."""
    assert called(stage, "gate", "--json") == 8
    document = parsed(capsys.readouterr().out)
    assert (document["kind"], document["verdict"]) == ("gate", "FAIL")
    assert document["next"].startswith("nox -s attribute")
    (case,) = (one for one in document["comparisons"][0]["metrics"] if one["metric"] == CPU)
    assert (case["change"], case["allowed"]) == (pytest.approx(0.05), pytest.approx(0.03))
    assert case["decision"] == "regression"


def test_gate_without_a_verdict(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate that Ctrl-C ends gives a document, its message on standard error, and the code of an interruption."""
    stage.outside.ends_at_run = 2
    monkeypatch.setattr(sys, "argv", ["gate", *stage.arguments(*PAIR), "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.run(gate.main)
    out, said = capsys.readouterr()
    document = parsed(out)
    assert (ended.value.code, document["verdict"], document["reason"]) == (130, "UNDECIDED", "interrupted.")
    assert document["comparisons"] == []
    assert "interrupted: everything that was started has been stopped" in said


@each_campaign
def test_quiet(stage: Stage, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """--quiet prints the page and its answer, and nothing on standard error."""
    called(stage, verb, "--quiet")
    out, said = capsys.readouterr()
    assert out.startswith("# ")
    assert said == ""


@each_campaign
def test_verbose(stage: Stage, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """--verbose also says each step of a run, and where it is recorded."""
    called(stage, verb)
    assert "  load  " not in capsys.readouterr().err
    called(stage, verb, "--verbose", "--rounds", "5")
    said = capsys.readouterr().err
    assert "  boot  " in said
    assert "  load  " in said
    assert "recorded in " in said


@each_campaign
def test_estimate_before_the_start(stage: Stage, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Before anything is measured, the plan and its time stand on standard error."""
    called(stage, verb)
    before, _, _ = capsys.readouterr().err.partition("round 1 of ")
    assert re.search(r"about \d+(\.\d)? minutes", before)


@each_campaign
def test_plan_as_json(stage: Stage, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """A dry run is a document, too: the lines of the plan, and its time."""
    called(stage, verb, "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    called(stage, verb, "--dry-run", "--json")
    document = parsed(capsys.readouterr().out)
    assert (document["kind"], document["lines"]) == ("plan", lines)
    assert document["expected_s"] > 0
    assert stage.outside.events == []


def completed(directory: Path, *, error: bool = False) -> CompletedRun:
    """A run as a session gives it back, recorded anew."""
    shutil.rmtree(directory / "runs", ignore_errors=True)
    made = synthetic_runs.record(outcome="failed", reasons=("it died",)) if error else synthetic_runs.record()
    failure = InvalidMeasurementError("it died", then="mend it") if error else None
    return CompletedRun(record=made, directory=synthetic_runs.write(directory, made), scratch=None, error=failure)


@pytest.mark.parametrize("verb", [bench, count])
def test_runs_of_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: ModuleType
) -> None:
    """Bench and count give each run with its figures, those of the page among them; the estimate stands before."""
    monkeypatch.setattr(session, "make", lambda *_arguments: [completed(tmp_path)])
    monkeypatch.setattr(verb, "terminate_as_exception", lambda: None)
    assert verb.main(list(TARGET)) == 0
    page, said = capsys.readouterr()
    assert page.splitlines()[-1] == "1 run ok"
    assert re.search(r"run\(s\), about \d\.\d minutes", said)
    assert verb.main([*TARGET, "--json"]) == 0
    document = parsed(capsys.readouterr().out)
    assert (document["kind"], document["answer"]) == ("runs", "1 run ok")
    (run,) = document["runs"]
    assert (run["release"], run["engine"], run["outcome"]) == ("1.12.0", "fastapi", "ok")
    assert (tmp_path / run["record"]).is_dir()
    assert f" {formatting.quantity(run['metrics'][CPU], 'ms')} |" in page


def test_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A session whose run fails prints its document, and then ends with that error."""
    monkeypatch.setattr(session, "make", lambda *_arguments: [completed(tmp_path, error=True)])
    monkeypatch.setattr(bench, "terminate_as_exception", lambda: None)
    with pytest.raises(InvalidMeasurementError, match="it died"):
        bench.main([*TARGET, "--json"])
    document = parsed(capsys.readouterr().out)
    assert (document["answer"], document["runs"][0]["reasons"]) == ("1 run failed", ["it died"])


def test_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has a row for each session, and the sums of the page's last line."""
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)
    assert status.main(["--results", str(tmp_path), "--json"]) == 0
    document = parsed(capsys.readouterr().out)
    assert document["runs"] == sum(row["runs"] for row in document["sessions"])
    assert document["answer"].startswith(f"0 of {document['runs']} runs of profile report are measured")


def test_gate_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of the trials is a document, too."""
    monkeypatch.setattr(gate_trials, "terminate_as_exception", lambda: None)
    assert gate_trials.main(["--dry-run", "--json", "--results", str(tmp_path)]) == 0
    document = parsed(capsys.readouterr().out)
    assert f"about {document['expected_s'] / 3600:.1f} hours" in document["lines"][-1]


def test_suite_cost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has each figure beside its limit; the estimate stands before it."""
    limit = suite_cost.CostLimit(most=10.0, text="<= 10 s")
    row = suite_cost.Cost(what="listing", figures=(suite_cost.Figure(text="3.0 s", value=3.0, limit=limit),))
    monkeypatch.setattr(bench_self, "own_steps", lambda *_arguments: [row])
    monkeypatch.setattr(bench_self, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(machine, "describe", lambda: values.MACHINE)
    assert bench_self.main(["--skip-load", "--json"]) == 0
    out, said = capsys.readouterr()
    (one,) = parsed(out)["measurements"]
    assert one == {
        "what": "listing", "met": True, "figures": [{"text": "3.0 s", "value": 3.0, "most": 10.0, "met": True}],
    }  # fmt: skip
    assert re.search(r"about \d+ minutes", said)


@pytest.mark.parametrize("verb", entry.verbs())
def test_every_verb_has_the_options(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """--quiet and --verbose are options of all verbs, and --json of all whose result is data."""
    options = {name for action in parser_of(verb, monkeypatch)._actions for name in action.option_strings}
    assert options >= {"--quiet", "--verbose"}
    assert ("--json" in options) == (verb not in WITHOUT_RESULT)


def test_quiet_and_verbose_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Both at once are refused."""
    with pytest.raises(SystemExit):
        status.main(["--quiet", "--verbose"])
    assert "--verbose: not allowed with argument --quiet" in capsys.readouterr().err


PAGE = f"""# A title

| Name | {"What " * 30} |
|---|---|
| a | {"word " * 40} |

<details><summary>3 differ.</summary>x 1.0 to 2.0</details>"""


def test_page_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal a page keeps to its width, its folds are closed, and the answer is the last line."""
    for name, value in {"TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": "72"}.items():
        monkeypatch.setenv(name, value)
    output.show(PAGE, documents.document("list", "all is well"), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= 72
    assert any("3 differ." in line for line in lines)
    assert not any("x 1.0" in line or "|" in line for line in lines)
    assert lines[-1] == "all is well"


def test_page_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the page is Markdown as it was made."""
    output.show(PAGE, documents.document("list", "all is well"), as_json=False)
    assert capsys.readouterr().out == f"{PAGE}\n\nall is well\n"


def test_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    """Infinity, which JSON does not have, becomes null."""
    output.show("", documents.document("list", "", value=float("inf")), as_json=True)
    assert parsed(capsys.readouterr().out)["value"] is None
