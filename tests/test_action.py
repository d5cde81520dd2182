"""The steps of action.yml in a shell, as a runner runs them, with a nox that only plays its part."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT
from tests.fakes.action_runner import ACTION, NOX, REPORT, Result, Runner

pytestmark = pytest.mark.process

# Notes what it is given; as a gate it says its verdict as the real one does, where the test wants it to.
PLAYED = """#!/usr/bin/env bash
printf '%s\\0' "$@" >> {calls}
printf '\\0' >> {calls}
case " $* " in
*" -s gate "*)
    [ -z "$VERDICT" ] || {{
        echo "verdict=$VERDICT" >> "$GITHUB_OUTPUT"
        echo "# Gate" > "$RUNNER_TEMP/promptflow-serve-bench/gate.md"
        cat "$RUNNER_TEMP/promptflow-serve-bench/gate.md" >> "$GITHUB_STEP_SUMMARY"
        mkdir -p "$RUNNER_TEMP/promptflow-serve-bench/results/runs"
    }}
    exit "$CODE" ;;
*) exit "$REST" ;;
esac
"""
PAIR = {"baseline": "1.18.4", "candidate": "1.18.5"}
# what a shell would read in a value: each kind of it is here
HOSTILE = (
    "$(touch pwned) `touch pwned` ; touch pwned && touch pwned | touch pwned > pwned \"'\\ * ~ $HOME ${IFS} --help"
)


class World:
    """A runner, a played nox, and what that was called with."""

    def __init__(self, at: Path) -> None:
        self.runner = Runner(at=at, skipped=("Install nox",))
        self._calls = at / "calls"
        nox = self.runner.temporary / NOX / "bin" / "nox"
        nox.parent.mkdir(parents=True)
        nox.write_text(PLAYED.format(calls=shlex.quote(str(self._calls))), encoding="utf-8")
        nox.chmod(0o755)
        (self.runner.temporary / REPORT).mkdir()
        self.play("PASS", 0)

    def play(self, verdict: str, code: int, rest: int = 0) -> None:
        """Set how the gate ends; no verdict: it does not start. `rest`: the exit code of every other command."""
        self.runner.env = {"VERDICT": verdict, "CODE": str(code), "REST": str(rest)}

    def run(self, **inputs: str) -> Result:
        """Run the action."""
        return self.runner.run(**{**PAIR, **inputs})

    def calls(self) -> list[list[str]]:
        """The words after each `-s`."""
        if not self._calls.exists():
            return []
        lines = self._calls.read_text(encoding="utf-8").split("\0\0")[:-1]
        return [call.split("\0")[call.split("\0").index("-s") + 1 :] for call in lines]

    def gate_options(self) -> list[str]:
        """What the gate was called with."""
        return next(call[2:] for call in self.calls() if call[0] == "gate")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world whose gate passes."""
    return World(tmp_path)


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 8), ("UNDECIDED", 6)])
def test_the_exit_code_is_the_gates(world: World, verdict: str, code: int) -> None:
    """Verdict, exit code, summary and artefacts are there, however the gate ends."""
    world.play(verdict, code)
    found = world.run()
    assert (found.code, found.outputs["verdict"]) == (code, verdict)
    assert found.summary == "# Gate\n"
    assert found.used["actions/upload-artifact"]["path"] == str(world.runner.temporary / REPORT)
    assert [call[0] for call in world.calls()] == ["gate", "collate", "report"]


def test_without_options_the_gate_has_its_own_defaults(world: World) -> None:
    """Engines, flows, thresholds and budget that are not given are no options at all."""
    world.run()
    report = world.runner.temporary / REPORT
    assert world.gate_options() == [
        "--baseline=1.18.4", "--candidate=1.18.5", "--wait-quiet=5m", f"--results={report / 'results'}",
        f"--page={report / 'gate.md'}", f"--junit={report / 'junit.xml'}",
    ]  # fmt: skip


def test_inputs_become_options(world: World) -> None:
    """What is several may stand on lines of their own, and paths are the workspace's."""
    (world.runner.workspace / "dist").mkdir(parents=True)
    world.run(
        candidate="dist/", engines="fastapi", flows="static_async\nflex_async",
        thresholds="cpu_per_request=+3%  ready=+9%", budget="10m",
    )  # fmt: skip
    options = world.gate_options()
    assert options[1] == f"--candidate={world.runner.workspace}/dist/"
    assert options[-6:] == [
        "--engine=fastapi", "--flow=static_async", "--flow=flex_async", "--max=cpu_per_request=+3%",
        "--max=ready=+9%", "--budget=10m",
    ]  # fmt: skip


def test_a_release_is_no_path(world: World) -> None:
    """A folder of the workspace that is called like a release or a flow is not taken for it."""
    for name in ("1.18.5", "static_async"):
        (world.runner.workspace / name).mkdir(parents=True)
    world.run(flows="static_async")
    assert "--candidate=1.18.5" in world.gate_options()
    assert world.gate_options()[-1] == "--flow=static_async"


@pytest.mark.parametrize("name", ["baseline", "candidate", "engines", "flows", "thresholds", "budget", "comment"])
def test_inputs_are_never_read_as_commands(world: World, name: str) -> None:
    """Whatever a shell would do with a value, the gate gets it as it is, or in words."""
    found = world.run(**{name: HOSTILE})
    assert found.code == 0
    assert not list(world.runner.at.rglob("pwned"))
    options = world.gate_options()
    if name in ("baseline", "candidate", "budget"):
        assert f"--{name}={HOSTILE}" in options
    if name in ("engines", "flows", "thresholds"):
        option = {"engines": "--engine=", "flows": "--flow=", "thresholds": "--max="}[name]
        assert [one.removeprefix(option) for one in options if one.startswith(option)] == HOSTILE.split()
    assert all(one.startswith("--") for one in options)
    assert "--help" not in options


def test_a_gate_that_does_not_start(world: World) -> None:
    """There are a summary, a page and a verdict all the same."""
    world.play("", 2)
    found = world.run()
    assert (found.code, found.outputs["verdict"]) == (2, "UNDECIDED")
    assert found.summary.startswith("**UNDECIDED**: the gate did not start.")
    assert "actions/upload-artifact" in found.used
    assert [call[0] for call in world.calls()] == ["gate"]


def test_nox_that_cannot_be_installed(tmp_path: Path) -> None:
    """Where the set-up fails, there is no verdict, and what there is to keep is kept."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3"
    python.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    runner = Runner(at=tmp_path, env={"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"})
    found = runner.run(**PAIR)
    assert (found.code, found.outputs["verdict"]) == (3, "UNDECIDED")
    assert found.outputs["report"] == str(runner.temporary / REPORT)
    assert found.ran == ("Set up Python", "Install nox", "Report", "Keep the reports and the records")
    assert "UNDECIDED" in found.summary


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 8)])
def test_reports_that_cannot_be_written(world: World, verdict: str, code: int) -> None:
    """They cost warnings, and never the verdict."""
    world.play(verdict, code, rest=3)
    found = world.run()
    assert (found.code, found.outputs["verdict"]) == (code, verdict)
    warnings = [line for line in found.log.splitlines() if line.startswith("::warning")]
    assert [warning.rsplit("::", 1)[1].partition(". ")[0] for warning in warnings] == [
        "There is no bmf.json", "There is no report.html",
    ]  # fmt: skip


def test_a_summary_that_cannot_be_written(world: World) -> None:
    """A gate that does not start ends with its own exit code, also where its summary cannot be written."""
    world.runner.summary.mkdir()
    world.play("", 2)
    found = world.run()
    assert (found.code, found.outputs["verdict"]) == (2, "UNDECIDED")
    assert "::warning title=promptflow-serve-bench::The summary could not be written. " in found.log


@pytest.mark.parametrize(
    ("asked", "event", "comments"),
    [("true", "pull_request", True), ("false", "pull_request", False), ("true", "push", False)],
)
def test_a_comment_only_when_asked(world: World, asked: str, event: str, comments: bool) -> None:
    """A comment is written where it is asked for, in the job of a pull request."""
    world.runner.event = event
    world.run(comment=asked)
    page = str(world.runner.temporary / REPORT / "gate.md")
    assert [call for call in world.calls() if call[0] == "comment"] == ([["comment", "--", page]] if comments else [])


@pytest.mark.parametrize(("verdict", "code"), [("PASS", 0), ("FAIL", 8)])
def test_a_refused_comment(world: World, verdict: str, code: int) -> None:
    """It costs a warning, and never the verdict."""
    world.play(verdict, code, rest=3)
    found = world.run(comment="true")
    assert (found.code, found.outputs["verdict"]) == (code, verdict)
    assert "::No comment was written. The verdict is the gate's all the same." in found.log


def test_nothing_is_written_elsewhere(world: World) -> None:
    """The caller's workspace stays as it is; all files lie in the runner's temporary folder."""
    kept = world.runner.workspace / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine", encoding="utf-8")
    world.run(comment="true")
    assert [path.name for path in world.runner.workspace.rglob("*")] == ["kept.txt"]
    assert kept.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in world.runner.temporary.iterdir()) == [REPORT, NOX]


def test_the_docs_name_every_input() -> None:
    """docs/in-ci.md has each input and output of the action."""
    page = (ROOT / "docs" / "in-ci.md").read_text(encoding="utf-8")
    assert [name for name in (*ACTION["inputs"], *ACTION["outputs"]) if f"| `{name}` |" not in page] == []
