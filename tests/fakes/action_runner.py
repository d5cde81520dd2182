"""Runs the steps of action.yml as a runner of GitHub does: its shell, its files, its conditions and what it reads back.

Steps that use other actions are noted and not run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.config.matrix import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
REPORT, NOX = "promptflow-serve-bench", "promptflow-serve-bench-nox"  # in the runner's temporary folder
_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
_SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
_PATIENCE_S = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What the action leaves in its job."""

    code: int  # of the first step that failed; 0: none did
    outputs: Mapping[str, str]
    summary: str
    log: str
    used: Mapping[str, Mapping[str, str]]  # other actions, with what they were given
    ran: tuple[str, ...]  # names of steps, in order


@dataclass(kw_only=True, slots=True)
class Runner:
    """A runner, with folders of its own."""

    at: Path
    event: str = "pull_request"
    env: Mapping[str, str] = field(default_factory=dict)  # of the job
    skipped: tuple[str, ...] = ()  # steps by name, which a test has done already

    @property
    def workspace(self) -> Path:
        """The caller's checkout."""
        return self.at / "workspace"

    @property
    def temporary(self) -> Path:
        """What the runner empties after the job."""
        return self.at / "temporary"

    @property
    def summary(self) -> Path:
        """The file of the job's summary."""
        return self.at / "summary.md"

    def run(self, **inputs: str) -> Result:
        """Run the action with these inputs."""
        for folder in (self.workspace, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        given = {name: inputs.get(name, str(one.get("default", ""))) for name, one in ACTION["inputs"].items()}
        assert inputs.keys() <= given.keys()
        job = _Job(runner=self, inputs=given)
        for number, step in enumerate(ACTION["runs"]["steps"]):
            if step["name"] not in self.skipped and job.is_due(step.get("if", "success()")):
                job.do(number, step)
        return Result(
            code=job.code,
            outputs={name: job.filled(one["value"]) for name, one in ACTION["outputs"].items()},
            summary=self.summary.read_text(encoding="utf-8") if self.summary.is_file() else "",
            log="".join(job.log),
            used=job.used,
            ran=tuple(job.ran),
        )


@dataclass(kw_only=True, slots=True)
class _Job:
    """The state between steps."""

    runner: Runner
    inputs: Mapping[str, str]
    code: int = 0
    log: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    used: dict[str, Mapping[str, str]] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)  # by step

    def is_due(self, condition: str) -> bool:
        """Whether a step runs: all terms hold, and without always() nothing has failed."""
        terms = condition.split(" && ")
        return (self.code == 0 or "always()" in terms) and all(
            term in ("always()", "success()") or self._holds(term) for term in terms
        )

    def filled(self, text: str) -> str:
        """The text with the values of its expressions."""
        return _EXPRESSION.sub(lambda found: self._value(found[1]), text)

    def do(self, number: int, step: Mapping[str, Any]) -> None:
        """Run a step, or note the action that it uses."""
        self.ran.append(step["name"])
        if "uses" in step:
            self.used[step["uses"].partition("@")[0]] = {
                name: self.filled(str(value)) for name, value in step.get("with", {}).items()
            }
            return
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input in a script would be read as a command"
        script, outputs = self.runner.at / f"step-{number}.sh", self.runner.at / f"outputs-{number}"
        script.write_text(step["run"], encoding="utf-8")
        outputs.touch()
        done = subprocess.run(
            [*_SHELL, str(script)],
            cwd=self.runner.workspace,
            env={**self._variables(), "GITHUB_OUTPUT": str(outputs), **self._own(step)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        self.log.append(done.stdout)
        self.code = self.code or done.returncode
        self.outputs[step.get("id", "")] = dict(_read(outputs))

    def _own(self, step: Mapping[str, Any]) -> dict[str, str]:
        return {name: self.filled(str(value)) for name, value in step.get("env", {}).items()}

    def _variables(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GH_"))},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(self.runner.summary),
            "GITHUB_WORKSPACE": str(self.runner.workspace),
            "RUNNER_TEMP": str(self.runner.temporary),
            **self.runner.env,
        }

    def _holds(self, term: str) -> bool:
        left, right = term.split(" == ")
        return self._value(left) == self._value(right)

    def _value(self, expression: str) -> str:
        """Of a context, of a literal, or the first of several that is not empty."""
        return next(filter(None, map(self._one, expression.split(" || "))), "")

    def _one(self, expression: str) -> str:
        literal = re.fullmatch(r"'([^']*)'", expression)
        if literal is not None:
            return literal[1]
        match expression.split("."):
            case ["inputs", name]:
                return self.inputs[name]
            case ["steps", step, "outputs", name]:
                return self.outputs.get(step, {}).get(name, "")
        return {
            "github.event_name": self.runner.event,
            "github.job": "job",
            "github.token": "token",
            "runner.temp": str(self.runner.temporary),
            "strategy.job-index": "0",
        }[expression]


def _read(outputs: Path) -> Iterator[tuple[str, str]]:
    """What a step has written as its outputs."""
    for line in outputs.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        yield name, value
