"""Add a release: `nox -s add-release -- 1.18.6` brings it into suite.toml, its lock, the records and all pages.

Each step asks the files and records what is there already, so a repetition goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from scripts.campaign import release_steps, runner
from scripts.campaign.new_release import NewRelease
from scripts.campaign.stopping_rule import StoppingRule
from scripts.commands import bench, campaign_options, cli, collate
from scripts.config import matrix_file, release_row
from scripts.config.errors import (
    EXIT_OK,
    EnvironmentBuildError,
    InvalidMeasurementError,
    ServerError,
    SuiteError,
    UsageError,
    ValgrindError,
)
from scripts.config.matrix import Release, Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments import locks, uploads, virtualenvs
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.measure.run import CompletedRun

BUDGET_S = 1800.0  # of all load, where none is given


@dataclass(frozen=True, kw_only=True, slots=True)
class _Addition:
    """A release on its way in."""

    command: str  # as typed
    work: NewRelease
    text: str  # of suite.toml, with the row
    in_suite: bool
    rounds: int  # of each pair
    options: session.Options
    system: System
    problems: list[SuiteError] = field(default_factory=list)  # what a repetition may make good


def main(argv: list[str]) -> int:
    """Say what is to do; then do it, step by step."""
    args = _arguments(argv)
    text, system = matrix_file.read(), RealSystem()
    suite = matrix_file.parse(text)
    version = release_row.final_version(suite, args.version)
    release = suite.named(version)
    in_suite = release is not None
    if release is None:
        release = release_row.release(version, args.uploaded or _uploaded(version, system), _today())
        text, suite = release_row.with_row(text, release)
    elif args.uploaded not in (None, release.uploaded):
        raise UsageError(
            f"suite.toml says that {version} was uploaded on {release.uploaded}",
            then="leave out --uploaded, or correct the row in suite.toml",
        )
    work = NewRelease(suite=suite, release=release, lock=_lock(suite, release), results=args.results.resolve())
    campaigns = work.campaigns(system)
    addition = _Addition(
        command=shlex.join(["nox", "-s", "add-release", "--", *argv]),
        work=work,
        text=text,
        in_suite=in_suite,
        rounds=work.rounds(campaigns, args.budget or BUDGET_S),
        options=campaign_options.options(args),
        system=system,
    )
    plan = release_steps.described(work, campaigns, addition.rounds, in_suite=in_suite)
    if args.dry_run:
        print(plan)
        return EXIT_OK
    cli.say(plan)
    terminate_as_exception()
    _add(addition)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "add-release",
        "Bring a new release into suite.toml, its lock, the records and all pages. Repeat the command to go on.",
    )
    parser.add_argument("version", metavar="VERSION", help="a final release of promptflow, e.g. 1.18.6")
    parser.add_argument(
        "--uploaded", type=_day, metavar="YYYY-MM-DD", help="its upload day, where the package index does not tell it"
    )
    parser.add_argument(
        "--budget", type=cli.duration_s, metavar="TIME",
        help="all load together: the rounds of the pairs take what the other runs leave, e.g. 20m, 1h; "
        f"without it {BUDGET_S / 60:.0f}m",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print the steps and their time; write and measure nothing"
    )
    cli.add_output_options(parser)
    return parser.parse_args(argv)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-11-01") from error


def _today() -> date:
    return datetime.now(tz=UTC).date()


def _uploaded(version: str, system: System) -> date:
    env = virtualenvs.install_env()
    day = uploads.uploaded(version, uv=virtualenvs.find_uv(), env=env, system=system)
    if day is None:
        raise UsageError(
            f"the package index does not tell when promptflow {version} was uploaded",
            then="repeat this command with --uploaded YYYY-MM-DD, the day on which it was published",
        )
    return day


def _lock(suite: Suite, release: Release) -> Lock | None:
    """None where it is missing, stale or altered, and is to be written."""
    try:
        return locks.read(locks.of_release(suite, release))
    except EnvironmentBuildError:
        return None


def _add(addition: _Addition) -> None:
    """All steps; raises the first problem only after everything else is done."""
    work, system = addition.work, addition.system
    version = work.release.version
    if not addition.in_suite:
        release_row.write(matrix_file.SUITE_FILE, addition.text)
        cli.say(f"wrote the row of {version} to suite.toml")
    inputs = locks.of_release(work.suite, work.release)
    if work.lock is None:
        cli.say(f"resolving {version} as of {work.release.as_of} ...")
        with _goes_on(addition, "lock"):
            locks.write(inputs, uv=virtualenvs.find_uv(), env=virtualenvs.install_env(), system=system)
        cli.say(f"wrote locks/{inputs.path.name}")
    work = replace(work, lock=locks.read(inputs))
    addition = replace(addition, work=work)
    with _goes_on(addition, "try"):
        _try(addition)
    with _goes_on(addition, "count"):
        _count(addition)
    with _goes_on(addition, "measure"):
        done = _recorded(addition, work.missing(work.reports()))
        _kept(addition, lambda: bench.verdict(done))
    with _goes_on(addition, "pair"):
        for one in work.campaigns(system):
            _pair(addition, one)
    collate.main(["--results", str(work.results)])
    if addition.problems:
        first = addition.problems[0]
        raise type(first)(
            f"{len(addition.problems)} step(s) of {version} are not complete: {first.message}",
            then=f"{addition.command}, which makes only what is missing",
        )
    print(f"{version} is part of all pages: commit suite.toml, locks/{inputs.path.name} and {work.results.name}/")


@contextmanager
def _goes_on(addition: _Addition, step: str) -> Iterator[None]:
    """Add to an error which step it was, and how to go on after what it says."""
    try:
        yield
    except SuiteError as error:
        then = error.then if "this command" in error.then else f"{error.then}; then {addition.command}"
        raise type(error)(f"step {step}: {error.message}", then=then.removeprefix("; then ")) from error


def _try(addition: _Addition) -> None:
    """Make the trial runs that are missing. A server that fails is an answer, and a busy machine disturbs none."""
    _recorded(addition, addition.work.untried(), hopeless=lambda _done: False)
    for engine, flow in addition.work.unserved():
        version = addition.work.release.version
        cli.say(f"finding: {version} does not serve {flow} on {engine}; results/README.md will say so")


def _recorded(
    addition: _Addition, specs: Sequence[RunSpec], jobs: int = 1,
    hopeless: Callable[[Sequence[CompletedRun]], bool] = bench.hopeless,
) -> list[CompletedRun]:  # fmt: skip
    """Make runs; none is no error."""
    if not specs:
        return []
    options = replace(addition.options, jobs=jobs, quiet=addition.options.quiet if jobs == 1 else None)
    return session.make(
        addition.work.suite, Plan(runs=tuple(specs)), options, addition.system, Progress(time.monotonic),
        session.prepare, hopeless,
    )  # fmt: skip


def _count(addition: _Addition) -> None:
    """Count on all cores; without valgrind, which other machines have, say so and go on."""
    try:
        done = _recorded(addition, addition.work.missing(addition.work.counts()), machine.cores())
    except ValgrindError as error:
        cli.say(f"counts are left out: {error}")
    else:
        _kept(addition, lambda: bench.verdict(done))


def _pair(addition: _Addition, requested: Campaign) -> None:
    """Make the rounds that are missing."""
    rule = StoppingRule(rounds=addition.rounds, afresh=False)
    made = addition.work.made(requested)
    if made and min(made.values()) >= addition.rounds:
        return
    result = runner.measure(requested, rule, addition.options, addition.system)
    _kept(addition, lambda: runner.require_whole(requested, result))


def _kept(addition: _Addition, check: Callable[[], object]) -> None:
    """Keep the error of runs that are recorded and did not end well, for the end."""
    try:
        check()
    except (ServerError, InvalidMeasurementError) as error:
        addition.problems.append(error)
