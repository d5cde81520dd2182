"""Capacity: `nox -s capacity-1.12.0-fastapi` finds the highest throughput that meets an objective."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import shlex
import time
from dataclasses import dataclass

from scripts.analysis import run_reader
from scripts.commands import cli, output
from scripts.config import matrix_file, plan
from scripts.config.errors import InvalidMeasurementError, SuiteError, UsageError
from scripts.config.load_profiles import CAPACITY, Capacity
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.inference import capacity_search
from scripts.inference.capacity_search import ObjectiveVerdict, Trial
from scripts.measure import session
from scripts.measure.run import RunContext
from scripts.measure.session import Options, Prepare
from scripts.report import documents
from scripts.report.pages import capacity_page
from scripts.report.pages.capacity_page import CapacitySearch, Tried

_SHOWN_LOADS = 8  # the first ones, in a dry run


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedSearch:
    """The search of one scenario, to its end."""

    search: CapacitySearch
    error: SuiteError | None  # of its last run that failed


def main(argv: list[str]) -> int:
    """Plan and check everything; then build, search, confirm and print the result."""
    args = _arguments(argv)
    suite = matrix_file.load()
    chosen = plan.make(
        suite,
        release=args.release,
        engine=args.engine,
        flow_names=args.flow,
        profile=CAPACITY,
        python=args.python,
        rounds=1,
    )
    settings = _settings(suite, args)
    if args.dry_run:
        output.show_plan(_describe(chosen, settings), _most_s(chosen, settings), as_json=args.json)
        return 0
    terminate_as_exception()
    system, progress = RealSystem(), Progress(time.monotonic)
    if args.install_only:
        session.prepare_only(suite, chosen.runs[0], system, progress)
        return 0
    options = Options(results=args.results.resolve(), keep_logs=args.keep_logs, quiet=Quiet(wait_s=args.wait_quiet))
    cli.say(_time(chosen, settings))
    searches = make(suite, chosen, settings, options, system, progress, session.prepare)
    found = [completed.search for completed in searches]
    page = capacity_page.of_session(suite, settings, found, _command(args))
    output.show(page, documents.capacity(capacity_page.answer(found), settings, found), as_json=args.json)
    return _verdict(searches)


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = "Find the highest throughput of a release that still meets an objective."
    parser = cli.target_parser(CAPACITY, description, argv, required=True)
    parser.add_argument(
        "--max-overhead-p99", type=float, metavar="MS",
        help="the overhead p99 that the objective allows (default: overhead_p99_max_ms of suite.toml's [capacity])",
    )  # fmt: skip
    cli.add_flow_options(parser)
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)


def _settings(suite: Suite, args: argparse.Namespace) -> Capacity:
    """The search as suite.toml says, with another objective if one is given."""
    limit_ms: float | None = args.max_overhead_p99
    if limit_ms is None:
        return suite.capacity
    if not 0 < limit_ms < math.inf:
        usual = f"--max-overhead-p99 {suite.capacity.overhead_p99_max_ms:g}"
        raise UsageError(
            f"--max-overhead-p99 {limit_ms:g} is not a finite number above 0",
            then=f"nox -s {CAPACITY}-{args.release}-{args.engine} -- {usual}",
        )
    return dataclasses.replace(suite.capacity, overhead_p99_max_ms=limit_ms)


def make(
    suite: Suite,
    chosen: Plan,
    settings: Capacity,
    options: Options,
    system: System,
    progress: Progress,
    prepare: Prepare,
) -> list[CompletedSearch]:
    """Search for each scenario; every run is recorded."""
    with session.opened(options, settings.max_users, system, progress) as opened:
        context = dataclasses.replace(opened, prepared=prepare(suite, chosen.runs[0], system, progress))
        return [_search(context, spec, settings) for spec in chosen.runs]


def _search(context: RunContext, spec: RunSpec, settings: Capacity) -> CompletedSearch:
    """One scenario's search."""
    tried: list[Tried] = []
    errors: list[SuiteError] = []

    def attempt(trial: Trial) -> ObjectiveVerdict:
        most = capacity_search.most_runs(settings)
        left_s = (most - trial.number + 1) * _run_s(spec)
        context.progress.head(f"{spec.flow}: run {trial.number} of at most {most}", left_s)
        load = dataclasses.replace(spec, profile=spec.profile.at(trial.users), round=trial.number)
        done = session.one(context, load, f"[{trial.phase} {trial.number}, {trial.users} users]")
        if done.error is not None:
            errors.append(done.error)
        run = run_reader.read_run(done.directory)
        tried.append(Tried(trial=trial, run=run, judgement=capacity_page.judge(run, settings)))
        context.progress.note(capacity_page.progress_line(tried[-1]))
        return tried[-1].judgement.verdict

    found = capacity_search.find(settings, attempt)
    return CompletedSearch(search=CapacitySearch(found=found, tried=tuple(tried)), error=errors[-1] if errors else None)


def _verdict(searches: list[CompletedSearch]) -> int:
    """0 when every scenario has a confirmed figure; else raise why one has none."""
    without = [completed for completed in searches if completed.search.found.users is None]
    if not without:
        return 0
    last = without[-1]
    limit, flow = last.search.found.limit, last.search.tried[0].run.record.requested.flow
    if last.error is not None and limit is not None and limit.verdict == "invalid":
        raise last.error
    if limit is not None and limit.verdict == "missed":
        raise InvalidMeasurementError(
            f"{flow}: no load was found that meets the objective reliably; {limit.users} users miss it",
            then="repeat this command with a higher --max-overhead-p99, or on a faster machine",
        )
    raise InvalidMeasurementError(
        f"{flow}: no load was found whose runs are valid and meet the objective; the table says why",
        then="repeat this command with --wait-quiet 5m, or close other programs first",
    )


def _describe(chosen: Plan, settings: Capacity) -> str:
    """The search that would be made, and the most time that it can take."""
    spec = chosen.runs[0]
    loads = list(itertools.islice(capacity_search.steps_up(settings), _SHOWN_LOADS))
    growing = ", ".join(map(str, loads)) + (f", ... {settings.max_users}" if loads[-1] < settings.max_users else "")
    return "\n".join(
        [
            f"capacity of promptflow {spec.release}, {spec.engine} engine: {', '.join(s.flow for s in chosen.runs)}",
            f"objective: {capacity_page.objective(settings)}",
            f"users: {growing}, until a load misses it; then loads between, to within {settings.precision * 100:g} %",
            f"confirmed by {settings.confirm_runs} more runs, or by as many at a lower load",
            _time(chosen, settings),
        ]
    )


def _time(chosen: Plan, settings: Capacity) -> str:
    minutes = _most_s(chosen, settings) / 60
    return (
        f"at most {_most_runs(chosen, settings)} runs in {minutes:.0f} minutes, and the virtualenv if it is not built"
    )


def _most_s(chosen: Plan, settings: Capacity) -> float:
    return _most_runs(chosen, settings) * _run_s(chosen.runs[0])


def _most_runs(chosen: Plan, settings: Capacity) -> int:
    return capacity_search.most_runs(settings) * len(chosen.runs)


def _run_s(spec: RunSpec) -> float:
    return spec.expected_s + spec.profile.drain_s


def _command(args: argparse.Namespace) -> str:
    """The session that does the same again."""
    words = ["nox", "-s", f"{CAPACITY}-{args.release}-{args.engine}"]
    options = [word for flow in args.flow for word in ("--flow", flow)]
    options += ["--python", args.python] if args.python else []
    options += ["--max-overhead-p99", f"{args.max_overhead_p99:g}"] if args.max_overhead_p99 else []
    return shlex.join([*words, *(["--", *options] if options else [])])
