"""The explain verb: its plan, what it writes and prints, and its exit codes; in a fake outside."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.campaign import explaining
from scripts.commands import cli, explain
from scripts.config.errors import SamplerError
from scripts.config.whole_files import write_whole
from scripts.measure import session
from scripts.records import explanations
from scripts.records.explanations import Explanation
from tests.fakes.stage import BASELINE, CANDIDATE, Stage
from tests.report.pages.test_explanation_page import FASTER

FEW = 2  # repeats, of which nothing can be claimed
Run = Callable[..., int]


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the verb as a shell does; what is sampled is FASTER, with so many repeats as are wanted."""

    def measure(
        _suite: object, _requested: object, options: session.Options, *_more: object, repeats: int
    ) -> list[Explanation]:  # fmt: skip
        found = dataclasses.replace(FASTER, repeats=FASTER.repeats[:repeats])
        write_whole(explanations.path(options.results, found.id), explanations.encode(found))
        return [found]

    monkeypatch.setattr(explaining, "measure", measure)
    monkeypatch.setattr(explain, "RealSystem", lambda: stage.outside)
    monkeypatch.setattr(explain, "terminate_as_exception", lambda: None)

    def called(*options: str) -> int:
        flow = ("--engine", "fastapi", "--flow", str(stage.flow()), "--results", str(stage.results))
        monkeypatch.setattr(sys, "argv", ["explain", BASELINE, CANDIDATE, *flow, *options])
        with pytest.raises(SystemExit) as caught:
            cli.run(explain.main)
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return called


def files(results: Path) -> list[str]:
    """What is in the folder of explanations."""
    return sorted(path.name for path in (results / explanations.FOLDER).iterdir())


def test_page(stage: Stage, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It writes page and pictures, prints the page, and ends with the answer."""
    assert run() == 0
    out = capsys.readouterr().out
    assert "# Why: 1.17.1 against 1.17.0, fastapi static_async" in out
    assert out.splitlines()[-1].startswith("CPU time of a request, 1.17.1 against 1.17.0: -3.")
    pictures = [f"{FASTER.id}-stacks{form}.svg" for form in ("", "-dark", "-narrow", "-narrow-dark")]
    assert files(stage.results) == sorted(["README.md", f"{FASTER.id}.json.gz", f"{FASTER.id}.md", *pictures])


def test_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one JSON document."""
    assert run("--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "explanation"
    assert document["explanations"][0]["id"] == FASTER.id


def test_nothing_can_be_claimed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few repeats end with exit code 6, and the reason."""
    assert run("--repeats", str(FEW)) == 6
    assert capsys.readouterr().out.splitlines()[-1] == "no claim: an interval needs 4 repeats, and this has 2"


def test_dry_run(stage: Stage, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan has both arms, the scenario and the time, and nothing is written."""
    assert run("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"arm 1: promptflow {BASELINE}", f"arm 2: promptflow {CANDIDATE}",
        "scenario: fastapi example, both releases at once, sampled by py-spy",
    ]  # fmt: skip
    assert lines[3].startswith("time: 8 repeats, about ")
    assert not (stage.results / explanations.FOLDER).exists()


def test_a_machine_that_forbids_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where py-spy may not trace, it ends with exit code 4, and what allows it."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise SamplerError("py-spy cannot sample here", then="sysctl kernel.yama.ptrace_scope=1")

    monkeypatch.setattr(explaining, "measure", refuse)
    assert run() == 4
    assert "next: sysctl kernel.yama.ptrace_scope=1" in capsys.readouterr().err


@pytest.mark.parametrize("repeats", ["0", "101", "many"])
def test_repeats(run: Run, capsys: pytest.CaptureFixture[str], repeats: str) -> None:
    """A number of repeats that makes no sense is refused."""
    assert run("--repeats", repeats) == 2
    assert "is not a number of repeats from 1 to 100" in capsys.readouterr().err
