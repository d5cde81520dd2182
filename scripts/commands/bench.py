"""Bench: `nox -s bench-1.12.0-fastapi` measures a release on an engine, `nox -s bench-mock` the mock API alone.

`nox -s bench -- 1.12.0` measures a release on all of its engines, `nox -s bench -- --missing` what all releases lack.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence

from scripts.analysis import run_reader
from scripts.campaign import existing_runs, plan_runs
from scripts.commands import cli, load_options, output
from scripts.config import matrix_file, plan
from scripts.config.errors import InvalidMeasurementError, UsageError
from scripts.config.load_profiles import COUNT, LOOPBACK
from scripts.config.matrix import ROOT, Release, Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments import locks, virtualenvs
from scripts.environments.locks import Lock
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.measure import loadgen, session
from scripts.measure.run import CompletedRun
from scripts.measure.session import shown
from scripts.report import documents
from scripts.report.pages import session_summary
from scripts.serving import launch, server_command

_MOST_DISTURBED = 3  # runs in a row, before the session is given up
_COMPLETE = "every run is measured validly under this machine's conditions"


def main(argv: list[str]) -> int:
    """Plan and check everything; then build, measure, record and print the summary."""
    args = _arguments(argv)
    suite = matrix_file.load()
    chosen = load_options.applied(_plan(suite, args).of_shard(args.shard), args)
    options = session.Options(
        results=args.results.resolve(), keep_logs=args.keep_logs, quiet=Quiet(wait_s=args.wait_quiet),
        cluster=None if args.dry_run else cli.cluster(args),  # a plan needs no workers
    )  # fmt: skip
    if not chosen.runs:
        return nothing(args, _COMPLETE)
    if not args.dry_run:
        terminate_as_exception()
    system, locked = RealSystem(), _locks(suite, chosen)
    with plan_runs.opened(suite, chosen.runs, locked, options, system, hopeless) as maker:
        if args.missing:
            here = maker.machine()
            chosen = Plan(runs=tuple(existing_runs.missing(suite, chosen.runs, options.results, here, locked)))
        if not chosen.runs:
            return nothing(args, _COMPLETE)
        if args.dry_run:
            output.show_plan(_describe(suite, chosen), chosen.expected_s, as_json=args.json)
            return 0
        if args.install_only:
            prepare = session.prepare_from(locked)
            session.prepare_all(suite, chosen.runs, system, Progress(time.monotonic), prepare)
            return 0
        cli.say(_time(chosen))
        done = maker.make(chosen)
    return reported(suite, done, as_json=args.json)


def _locks(suite: Suite, chosen: Plan) -> dict[str, Lock]:
    """By release; the mock API has none."""
    releases = {spec.target.release.version: spec.target.release for spec in chosen.runs if spec.target is not None}
    return {version: locks.read(locks.of_release(suite, release)) for version, release in releases.items()}


def _arguments(argv: list[str]) -> argparse.Namespace:
    mock = "--mock" in argv  # as the session bench-mock calls it
    description = "Measure a release, served by one engine, under a load profile."
    of_session = mock or "--release" in argv
    parser = cli.target_parser("bench", description, argv, required=False) if of_session else _by_name(description)
    if mock:
        parser.prog, parser.description = "nox -s bench-mock --", "Measure the mock API alone, under a load profile."
    parser.add_argument("--mock", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--profile", default="report", metavar="NAME", help="a load profile of suite.toml (default: report)"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="measure everything N times (default: 1)")
    parser.add_argument(
        "--missing", action="store_true", help="skip what is already measured validly under this machine's conditions"
    )
    load_options.add_options(parser)
    cli.add_shard_option(parser)
    cli.add_flow_options(parser, shown=not mock)
    if not mock:
        cli.add_cluster_options(parser)
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    if of_session and not args.mock and not (args.release and args.engine):
        parser.error("name --release and --engine, or --mock")
    of_a_target = [f"--{name}" for name in ("release", "engine", "flow", "python") if getattr(args, name)]
    if args.mock and of_a_target:
        parser.error(f"--mock serves no flow and no release: leave out {', '.join(of_a_target)}")
    if not (args.mock or args.release) and (args.flow or not args.missing):
        parser.error("name a RELEASE; or give --missing, without --flow, for all that is missing of all releases")
    of_this_machine = args.install_only or args.load_processes > 1 or args.load_workers
    if not args.mock and args.cluster and of_this_machine:
        parser.error(
            "--install-only, --load-processes and --load-workers are of this machine: leave them out, or leave out "
            "--cluster"
        )
    return args


def _by_name(description: str) -> cli.Parser:
    """The parser of the session without a release in its name."""
    parser = cli.parser("bench", description)
    parser.add_argument(
        "release", nargs="?", metavar="RELEASE",
        help="a release such as 1.12.0, or latest (default with --missing: all releases)",
    )  # fmt: skip
    parser.add_argument("--engine", metavar="NAME", help="the engine that serves it (default: all)")
    return parser


def _plan(suite: Suite, args: argparse.Namespace) -> Plan:
    if args.mock:
        return plan.make_mock(suite, profile=args.profile, rounds=args.rounds)
    releases = [suite.release(args.release)] if args.release else suite.releases
    if args.profile == COUNT:
        raise UsageError(
            f"profile {COUNT} counts work, and measures no time", then=f"nox -s {COUNT} -- {releases[0].version}"
        )
    return Plan(
        runs=tuple(
            run
            for release in releases
            for engine in _engines(suite, release, args)
            for run in plan.make(
                suite,
                release=release.version,
                engine=engine,
                flow_names=args.flow,
                profile=args.profile,
                python=args.python,
                rounds=args.rounds,
            ).runs
        )
    )


def _engines(suite: Suite, release: Release, args: argparse.Namespace) -> list[str]:
    """Those that were asked for; of all releases, those that a release has."""
    if args.engine and args.release:
        return [args.engine]
    has = [engine.name for engine in suite.engines if suite.has_engine(release, engine)]
    return [engine for engine in has if args.engine in (None, engine)]


def hopeless(done: Sequence[CompletedRun]) -> bool:
    """Whether the machine has disturbed the last three runs."""
    last = [run_reader.read_run(run.directory) for run in done[-_MOST_DISTURBED:]]
    return len(last) == _MOST_DISTURBED and all(run.outcome == "invalid" and all(run.disturbances) for run in last)


def nothing(args: argparse.Namespace, all_there: str) -> int:
    """Print why there is nothing to do, which is no error; `all_there`: why nothing is missing."""
    answer = f"nothing is missing: {all_there}" if args.missing else "nothing to do"
    if args.shard is not None:
        answer += f", in shard {args.shard}" if args.missing else f": shard {args.shard} has no run of this session"
    output.show("", documents.runs(answer, []), as_json=args.json)
    return 0


def reported(suite: Suite, done: Sequence[CompletedRun], *, as_json: bool) -> int:
    """Print what the runs have shown, and judge them as `verdict` does."""
    runs = [run_reader.read_run(completed.directory) for completed in done]
    document = documents.runs(session_summary.answer(runs), runs)
    output.show(session_summary.of_session(suite, runs), document, as_json=as_json)
    return verdict(done)


def verdict(done: Sequence[CompletedRun]) -> int:
    """Raise the error of the last run that failed, or that a run is invalid; else 0."""
    errors = [run.error for run in done if run.error is not None]
    if errors:
        raise errors[-1]
    runs = [run_reader.read_run(completed.directory) for completed in done]
    invalid = [f"{run.record.run_id}: {reason}" for run in runs for reason in run.reasons]
    if invalid:
        disturbed = any(disturbance for run in runs for disturbance in run.disturbances)
        then = (
            "repeat this command with --wait-quiet 5m, or close other programs first"
            if disturbed
            else "repeat this command with --keep-logs, then read the logs"
        )
        raise InvalidMeasurementError("; ".join(invalid), then=then)
    return 0


def _describe(suite: Suite, chosen: Plan) -> str:
    """The plan, the exact commands and the estimated time."""
    lines = []
    for number, spec in enumerate(chosen.runs, 1):
        lines.append(f"[{number}/{len(chosen.runs)}] {spec.release} {spec.engine} {spec.flow}: {spec.profile.name}")
        lines += [f"    {line}" for line in _commands(suite, spec)]
    return "\n".join([*lines, _time(chosen)])


def _time(chosen: Plan) -> str:
    install = ", and the virtualenv if it is not built" if chosen.runs[0].target is not None else ""
    return f"{len(chosen.runs)} run(s), about {chosen.expected_s / 60:.1f} minutes{install}"


def _commands(suite: Suite, spec: RunSpec) -> list[str]:
    lines = []
    if spec.target is not None:
        lock = locks.read(locks.of_release(suite, spec.target.release))
        path = virtualenvs.directory(spec.release, lock, spec.python)
        requested = server_command.settings(spec.engine, spec.profile.workers, spec.profile.threads)
        command = server_command.of_environment(path, requested, RealSystem())
        variables = {**requested, "MOCK_API_ENDPOINT": "http://127.0.0.1:PORT/"}
        lines += [
            f"environment: {shown(path)} from {shown(lock.path)}",
            f"server: {_assignments(variables)} {shlex.join(command) if command else server_command.NOT_BUILT}",
        ]
    mock = shlex.join(launch.mock_command("PORT", spec.generators.address if spec.target is None else LOOPBACK))
    locust = shlex.join(loadgen.command(spec, ["PORT"], "DIR", "PORT"))
    worker = shlex.join(loadgen.worker_command(LOOPBACK, "PORT", "DIR"))
    number, elsewhere = spec.generators.number, spec.generators.workers
    return [
        *lines,
        f"mock: {_assignments(launch.mock_settings(spec))} {mock}".replace(f"{ROOT}/", ""),
        f"locust: {locust}".replace(f"{ROOT}/", ""),
        *([f"{number} load processes: {worker}".replace(f"{ROOT}/", "")] if number > 1 and not elsewhere else []),
        *([f"{number} load workers, elsewhere: nox -s load-worker -- {spec.generators.address}"] if elsewhere else []),
        f"time: about {spec.expected_s:.0f} s",
    ]


def _assignments(variables: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in variables.items())
