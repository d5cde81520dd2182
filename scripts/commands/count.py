"""Count: `nox -s count-1.12.0-fastapi` counts the instructions and system calls of each request under valgrind.

`nox -s count -- 1.12.0 dist/` counts releases and candidates on all of their engines, and without names all releases.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping
from dataclasses import replace

from scripts.analysis.run_reader import Run
from scripts.campaign import existing_runs, plan_runs, request
from scripts.commands import bench, cli, output, target_options
from scripts.config import matrix_file
from scripts.config.errors import UsageError
from scripts.config.load_profiles import COUNT, Counting
from scripts.config.plan import Plan, RunSpec
from scripts.environments import virtualenvs
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.session import shown
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
    wanted = target_options.selection(args, COUNT)
    names = args.target or [release.version for release in suite.releases]
    requested, locked = request.session(suite, wanted, args.release, names, system, rounds=args.rounds)
    chosen = requested.of_shard(args.shard)
    if args.start_up:
        chosen = Plan(runs=tuple(replace(run, counting=_with_start_up(run.counting)) for run in chosen.runs))
    complete = "every run is counted validly under this machine's conditions"
    if not chosen.runs:
        return bench.nothing(args, complete)
    options = session.Options(
        results=args.results.resolve(),
        keep_logs=args.keep_logs,
        jobs=args.jobs,
        cluster=None if args.dry_run else cli.cluster(args),  # a plan needs no workers
    )
    if not args.dry_run:
        terminate_as_exception()
    with plan_runs.opened(suite, chosen.runs, locked, options, system) as maker:
        if args.missing:
            enough = _has_start_up if args.start_up else existing_runs.is_ok
            runs = existing_runs.missing(suite, chosen.runs, options.results, maker.machine(), locked, enough)
            chosen = Plan(runs=tuple(runs))
        if not chosen.runs:
            return bench.nothing(args, complete)
        if args.dry_run:
            lines, expected_s = _describe(chosen, locked, args.jobs), _expected_s(chosen, args.jobs)
            output.show_plan(lines, expected_s, as_json=args.json)
            return 0
        if args.install_only:
            prepare = session.prepare_from(locked)
            session.prepare_all(suite, chosen.runs, system, Progress(time.monotonic), prepare)
            return 0
        cli.say(_time(chosen, args.jobs))
        done = maker.make(chosen)
    return bench.reported(suite, done, as_json=args.json)


def _with_start_up(counting: Counting | None) -> Counting | None:
    return counting and replace(counting, start_up=True)


def _has_start_up(run: Run) -> bool:
    counts = run.record.counts
    return existing_runs.is_ok(run) and counts is not None and counts.start_up_instructions is not None


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = (
        "Count the instructions and system calls of each request of a release under valgrind. "
        "The load of the machine does not move them. docs/counting.md says what a count cannot see."
    )
    parser = target_options.parser(COUNT, description, argv, what="what to count", default="all releases")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="count everything N times (default: 1)")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="make N runs at the same time, each of which uses one core (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true", help="skip what is already counted validly under this machine's conditions"
    )
    parser.add_argument(
        "--start-up", action="store_true",
        help="also count until the server is ready, which takes about a minute longer for each run",
    )  # fmt: skip
    cli.add_shard_option(parser)
    cli.add_flow_options(parser)
    cli.add_cluster_options(parser)
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    if args.cluster and (args.jobs > 1 or args.install_only):
        parser.error("--jobs and --install-only are of this machine: leave them out, or leave out --cluster")
    return args


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
