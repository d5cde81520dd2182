"""Comment: `nox -s comment -- gate.md` writes a gate's report on the pull request of a GitHub job, in one comment.

GitHub's own program `gh` speaks to GitHub. In a job of `workflow_run` the report comes from another job, whose code may
be a stranger's. So it is shown as text, and the pull request is the one that GitHub's own event belongs to.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.commands import cli
from scripts.config.bounded_files import MIB, read_bounded
from scripts.config.errors import EXIT_OK, NothingMeasuredError, UsageError, quoted
from scripts.config.matrix import ROOT
from scripts.host.process import RealSystem, System
from scripts.report.pages import github_text

_PATIENCE_S = 60.0  # for each request
_MOST_EVENT_BYTES = 32 * MIB
_MOST_PAGE_BYTES = MIB
_OWN_COMMENTS = f'.[] | select(.user.type == "Bot" and (.body | startswith("{github_text.MARKER}"))) | .id'
_NUMBERS = r'.[] | "\(.number) \(.head.sha)"'


@dataclass(frozen=True, kw_only=True, slots=True)
class _PullRequest:
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owner:
    login: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Repository:
    owner: _Owner


@dataclass(frozen=True, kw_only=True, slots=True)
class _WorkflowRun:
    """The other job's run."""

    id: int
    head_sha: str
    head_branch: str
    head_repository: _Repository | None  # none: the fork is deleted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Event:
    """What started this job, as far as it is read."""

    pull_request: _PullRequest | None = None
    workflow_run: _WorkflowRun | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A GitHub job, by its variables."""

    repository: str  # owner/name
    run: int
    server: str
    event: _Event

    def address(self, run: int) -> str:
        """Where people see a run."""
        return f"{self.server}/{self.repository}/actions/runs/{run}"


def main(argv: list[str]) -> int:
    """Find the pull request and the earlier comment, and write."""
    args = _arguments(argv)
    job = _job(os.environ)
    page = read_bounded(args.page, _MOST_PAGE_BYTES).decode(errors="replace")
    system = RealSystem()
    started_by = job.event.workflow_run
    if started_by is not None:
        number = _of_run(started_by, job, system)
        body = github_text.quoted_comment(page, job.address(started_by.id))
    elif job.event.pull_request is not None:
        number = job.event.pull_request.number
        body = github_text.comment(page, job.address(job.run))
    else:
        raise UsageError(
            "this job belongs to no pull request", then="call it in a job of `on: pull_request` or `on: workflow_run`"
        )
    if number is None:
        print("no open pull request has this commit as its newest: nothing to comment on")
    else:
        _write(number, body, job, system)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("comment", "Write a gate's report as a comment on the pull request of a GitHub job.")
    parser.add_argument("page", type=Path, metavar="FILE", help="the report, as `gate --page FILE` writes it")
    args = parser.parse_args(argv)
    if args.page.is_symlink():  # which another job's artefact may hold: it would show a file of this machine
        parser.error(f"{args.page} is a link; name the report itself")
    return args


def _job(variables: Mapping[str, str]) -> _Job:
    """The job that this runs in; UsageError outside of one."""
    try:
        event = read_bounded(Path(variables["GITHUB_EVENT_PATH"]), _MOST_EVENT_BYTES)
        return _Job(
            repository=variables["GITHUB_REPOSITORY"],
            run=int(variables["GITHUB_RUN_ID"]),
            server=variables["GITHUB_SERVER_URL"],
            event=msgspec.json.decode(event, type=_Event),
        )
    except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise UsageError(
            f"this is no GitHub job that can be read: {error}", then="see docs/in-ci.md, and call it in a workflow"
        ) from error


def _of_run(run: _WorkflowRun, job: _Job, system: System) -> int | None:
    """The open pull request whose newest commit the other job had; None where there is none any more."""
    if run.head_repository is None:
        return None
    head = f"{run.head_repository.owner.login}:{run.head_branch}"
    fields = ("--raw-field", "state=open", "--raw-field", f"head={head}")
    found = _asked(system, "GET", f"repos/{job.repository}/pulls", *fields, "--jq", _NUMBERS)
    numbers = (line.split() for line in found.splitlines())
    return next((int(number) for number, commit in numbers if commit == run.head_sha), None)


def _write(number: int, body: str, job: _Job, system: System) -> None:
    """Write the comment, in the place of an earlier one of a bot."""
    comments = f"repos/{job.repository}/issues/{number}/comments"
    found = _asked(system, "GET", comments, "--paginate", "--jq", _OWN_COMMENTS).split()
    if found:
        place = f"repos/{job.repository}/issues/comments/{int(found[0])}"
        _asked(system, "PATCH", place, "--silent", "--raw-field", f"body={body}")
    else:
        _asked(system, "POST", comments, "--silent", "--raw-field", f"body={body}")
    print(f"{'wrote the comment again' if found else 'commented'} on pull request {number}")


def _asked(system: System, method: str, place: str, *options: str) -> str:
    """What GitHub answers; NothingMeasuredError when it refuses."""
    argv = ["gh", "api", "--method", method, place, *options]
    try:
        done = system.run(argv, env=dict(os.environ), cwd=ROOT, timeout_s=_PATIENCE_S)
    except FileNotFoundError as error:
        raise NothingMeasuredError(
            "the program gh is not installed", then="install it (GitHub's runners have it), then repeat this command"
        ) from error
    except TimeoutError as error:
        raise NothingMeasuredError(f"GitHub did not answer: {error}", then="repeat this command") from error
    if done.code != 0:
        raise NothingMeasuredError(
            f"GitHub refused {method} {place}:\n{quoted(done.output)}",
            then="give the job `permissions: pull-requests: write`; a fork's job never has it, see docs/in-ci.md",
        )
    return done.output
