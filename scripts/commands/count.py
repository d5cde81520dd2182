"""Count: `nox -s count-1.12.0-fastapi` counts the instructions and system calls of each request under valgrind.

`nox -s count -- 1.12.0 dist/` counts releases and candidates on all of their engines, and without names all releases.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping

from scripts.campaign import existing_runs, request
from scripts.campaign.request import Selection
from scripts.commands import bench, cli, output
from scripts.config import matrix_file, plan
from scripts.config.errors import UsageError
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec, Target
from scripts.environments import locks, virtualenvs
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.session import shown
from scripts.report import documents
from scripts.serving import server_command


def main(argv: list[str]) -> int:
    """Plan and check everything; then build, count, record and print the summary."""
    args = _arguments(argv)
    suite, system = matrix_file.load(), RealSystem()
    if not 1 <= args.jobs <= machine.cores():
        raise UsageError(
            f"--jobs {args.jobs}: from 1 to {machine.cores()}, the cores of this machine",
            then="repeat this command with --jobs 1",
        )
    chosen, locked = _of_session(suite, args) if args.release else _of_targets(suite, args, system)
    if args.missing:
        runs = existing_runs.missing(suite, chosen.runs, args.results.resolve(), machine.describe(), locked)
        chosen = Plan(runs=tuple(runs))
        if not chosen.runs:
            answer = "nothing is missing: every run is counted validly under this machine's conditions"
            output.show("", documents.runs(answer, []), as_json=args.json)
            return 0
    if args.dry_run:
        lines, expected_s = _describe(chosen, locked, args.jobs), _expected_s(chosen, args.jobs)
        output.show_plan(lines, expected_s, as_json=args.json)
        return 0
    terminate_as_exception()
    progress, prepare = Progress(time.monotonic), session.prepare_from(locked)
    if args.install_only:
        for spec in {spec.release: spec for spec in chosen.runs}.values():
            session.prepare_only(suite, spec, system, progress, prepare)
        return 0
    options = session.Options(results=args.results.resolve(), keep_logs=args.keep_logs, jobs=args.jobs)
    cli.say(_time(chosen, args.jobs))
    done = session.make(suite, chosen, options, system, progress, prepare)
    return bench.reported(suite, done, as_json=args.json)


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = (
        "Count the instructions and system calls of each request of a release under valgrind. "
        "The load of the machine does not move them. docs/counting.md says what a count cannot see."
    )
    if "--release" in argv:
        parser = cli.target_parser("count", description, argv, required=True)
    else:
        parser = cli.parser("count", description)
        parser.add_argument(
            "target", nargs="*", metavar="RELEASE|PATH|git+URL",
            help="what to count; FIRST..LAST stands for both and all releases between (default: all releases); "
            "see docs/candidates.md",
        )  # fmt: skip
        parser.add_argument(
            "--engine", action="append", default=[], metavar="NAME", help="only this engine; repeatable (default: all)"
        )
        parser.set_defaults(release=None)
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="count everything N times (default: 1)")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="make N runs at the same time, each of which uses one core (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true", help="skip what is already counted validly under this machine's conditions"
    )
    cli.add_flow_options(parser)
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)


def _of_session(suite: Suite, args: argparse.Namespace) -> tuple[Plan, dict[str, Lock]]:
    """The plan of the session of one release and engine, and its lock."""
    chosen = plan.make(
        suite,
        release=args.release,
        engine=args.engine,
        flow_names=args.flow,
        profile=COUNT,
        python=args.python,
        rounds=args.rounds,
    )
    return chosen, {args.release: locks.read(locks.of_release(suite, suite.release(args.release)))}


def _of_targets(suite: Suite, args: argparse.Namespace, system: System) -> tuple[Plan, dict[str, Lock]]:
    """The plan of all that was named, on the engines and with the flows that it serves, and the locks by release."""
    texts = args.target or [release.version for release in suite.releases]
    arms = [request.resolved(suite, one, system) for text in texts for one in request.expanded(suite, text)]
    wanted = Selection(engines=tuple(args.engine), flows=tuple(args.flow), profile=COUNT, python=args.python)
    targets = [
        Target(release=arm.release, engine=scenario.engine, flow=scenario.flow, version=arm.version)
        for arm in arms
        for scenario in request.planned(suite, wanted, [arm]).scenarios
    ]
    chosen = plan.of_targets(suite, targets, profile=COUNT, python=args.python, rounds=args.rounds)
    return chosen, {arm.release.version: arm.lock for arm in arms}


def _describe(chosen: Plan, locked: Mapping[str, Lock], jobs: int) -> str:
    """The plan, the server's command and the estimated time."""
    lines = []
    for number, spec in enumerate(chosen.runs, 1):
        lines.append(f"[{number}/{len(chosen.runs)}] {spec.release} {spec.engine} {spec.flow}: {spec.profile.name}")
        lines += [f"    {line}" for line in _commands(spec, locked[spec.release])]
    return "\n".join([*lines, _time(chosen, jobs)])


def _time(chosen: Plan, jobs: int) -> str:
    minutes = _expected_s(chosen, jobs) / 60
    return f"{len(chosen.runs)} run(s), about {minutes:.1f} minutes, and virtualenvs that are not built"


def _expected_s(chosen: Plan, jobs: int) -> float:
    return chosen.expected_s / min(jobs, len(chosen.runs))


def _commands(spec: RunSpec, lock: Lock) -> list[str]:
    if spec.target is None or spec.counting is None:
        raise ValueError("work is counted of a release")
    counting = spec.counting
    path = virtualenvs.directory(spec.release, lock, spec.python)
    requested = server_command.settings(spec.engine, spec.profile.workers, spec.profile.threads)
    command = server_command.of_environment(path, requested, RealSystem())
    return [
        f"environment: {shown(path)} from {shown(lock.path)}",
        "server, under valgrind: "
        + (shlex.join(server_command.with_one_worker(command)) if command else server_command.NOT_BUILT),
        f"requests, one after the other: {counting.warm_up_requests}, then {counting.windows} windows of "
        + str(counting.window_requests),
        f"time: about {spec.expected_s:.0f} s",
    ]
