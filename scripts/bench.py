"""Measure: `python -m scripts.bench --release 1.12.0 --engine fastapi`, or `--mock` for the mock API alone."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path

from scripts import cli, plan, suite
from scripts.errors import InvalidMeasurementError, SuiteError
from scripts.measure import environment, keep, loadgen, locks, machine, server, servers, telemetry
from scripts.measure.process import RealSystem, terminate_as_exception
from scripts.measure.progress import Progress
from scripts.measure.runner import Bench, Done, Prepared, run
from scripts.plan import Plan, RunSpec
from scripts.report import summary, validity
from scripts.suite import ROOT, Suite

SCRATCH = ROOT / ".scratch"


def main(argv: list[str]) -> int:
    """Plan, check everything, then build, run, record and show."""
    args = _arguments(argv)
    matrix = suite.load()
    if args.mock:
        chosen = plan.make_mock(matrix, profile=args.profile, rounds=args.rounds)
    else:
        chosen = plan.make(
            matrix,
            release=args.release,
            engine=args.engine,
            flow_names=args.flow,
            profile=args.profile,
            python=args.python,
            rounds=args.rounds,
        )
    if args.dry_run:
        print(_describe(matrix, chosen))
        return 0
    terminate_as_exception()
    results = args.results.resolve()
    keep.require_writable(results)
    machine.raise_open_files(chosen.runs[0].profile.users)
    lock_file = machine.lock_file()
    with machine.exclusive(lock_file), Progress(time.monotonic) as progress:
        telemetry.end_leftovers(str(lock_file))
        prepared = _prepare(matrix, chosen.runs[0], progress)
        if args.install_only:
            return 0
        bench = Bench(
            system=RealSystem(),
            progress=progress,
            results=results,
            scratch=SCRATCH,
            marker=str(lock_file),
            prepared=prepared,
            tools_lock=locks.read(locks.of_group(matrix, "tools")).digest,
            keep_logs=args.keep_logs,
        )
        done = [_one(bench, spec, number, len(chosen.runs)) for number, spec in enumerate(chosen.runs, 1)]
    print(summary.of_session(matrix, [one.directory for one in done]))
    return _verdict(done)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("bench", "Measure a release, served by one engine, under a load profile.")
    parser.add_argument("--release", help="a release of suite.toml")
    parser.add_argument("--engine", help="an engine of suite.toml")
    parser.add_argument(
        "--mock", action="store_true", help="load the mock API alone: the ceiling of everything else"
    )
    parser.add_argument(
        "--flow",
        action="append",
        default=[],
        metavar="NAME|DIR",
        help="instead of the engine's scenarios; repeatable",
    )
    parser.add_argument("--profile", default="report", help="a load profile of suite.toml (default: report)")
    parser.add_argument("--python", metavar="X.Y", help="another Python than the tables' own")
    parser.add_argument(
        "--rounds", type=int, default=1, metavar="N", help="repeat everything N times (default: 1)"
    )
    parser.add_argument(
        "--keep-logs", action="store_true", help="keep every child's log and the raw request log"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where records are kept")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="print what would be done, and start nothing")
    only.add_argument("--install-only", action="store_true", help="build the virtualenv, and measure nothing")
    args = parser.parse_args(argv)
    if not args.mock and not (args.release and args.engine):
        parser.error("name --release and --engine, or --mock")
    return args


def _prepare(matrix: Suite, spec: RunSpec, progress: Progress) -> Prepared | None:
    if spec.target is None:
        return None
    progress.phase("install")
    lock = locks.read(locks.of_release(matrix, spec.target.release))
    SCRATCH.mkdir(exist_ok=True)
    built = environment.build(
        spec.release,
        lock,
        spec.python,
        uv=environment.find_uv(),
        system=RealSystem(),
        log=SCRATCH / f"install-{spec.release}.log",
    )
    verb = "built" if built.built else "already built"
    progress.done(
        f"promptflow {spec.release} on Python {built.python}, {len(built.distributions)} packages, {verb}"
    )
    return Prepared(environment=built, lock=lock)


def _one(bench: Bench, spec: RunSpec, number: int, total: int) -> Done:
    progress = bench.progress
    progress.heading(
        f"[{number}/{total}] {spec.release} {spec.engine} {spec.flow}, profile {spec.profile.name}"
    )
    done = run(bench, spec)
    if done.error is not None:
        progress.note(f"{done.record.outcome}: {done.error}")
    progress.note(f"recorded in {_shown(done.directory)}")
    if done.scratch is not None:
        progress.note(f"logs kept in {_shown(done.scratch)}")
    return done


def _verdict(done: list[Done]) -> int:
    """Raise what the last failing run raised; a failure does not keep the runs after it from being made."""
    errors: list[SuiteError] = [one.error for one in done if one.error is not None]
    if errors:
        raise errors[-1]
    invalid = [reason for one in done for reason in validity.reasons(one.record)]
    if invalid:
        raise InvalidMeasurementError("; ".join(invalid), then="repeat it on a quiet machine")
    return 0


def _describe(matrix: Suite, chosen: Plan) -> str:
    """The plan, the exact commands and the estimated time."""
    lines = []
    for number, spec in enumerate(chosen.runs, 1):
        lines.append(
            f"[{number}/{len(chosen.runs)}] {spec.release} {spec.engine} {spec.flow}: {spec.profile.name}"
        )
        lines += [f"    {line}" for line in _commands(matrix, spec)]
    total = chosen.expected_s
    lines.append(
        f"{len(chosen.runs)} run(s), about {total / 60:.1f} minutes, and the virtualenv if it is not built"
    )
    return "\n".join(lines)


def _commands(matrix: Suite, spec: RunSpec) -> list[str]:
    mock = " ".join(f"{key}={value}" for key, value in servers.mock_settings(spec).items())
    lines = []
    if spec.target is not None:
        lock = locks.read(locks.of_release(matrix, spec.target.release))
        path = environment.directory(spec.release, lock, spec.python)
        asked = server.settings(spec.engine, spec.profile.workers, spec.profile.threads)
        lines += [
            f"environment: {_shown(path)} from {_shown(lock.path)}",
            f"server: {' '.join(f'{k}={v}' for k, v in asked.items())} MOCK_API_ENDPOINT=http://127.0.0.1:PORT/",
            f"        {_server_command(path, asked)}",
        ]
    lines += [f"mock:   {mock} {shlex.join(servers.mock_command('PORT')).replace(str(ROOT) + '/', '')}"]
    locust = shlex.join(loadgen.command(spec, "PORT", "DIR")).replace(f"{ROOT}/", "")
    return [*lines, f"locust: {locust}", f"time:   about {spec.expected_s:.0f} s"]


def _server_command(path: Path, asked: dict[str, str]) -> str:
    site_packages = next((path / "lib").glob("python3.*/site-packages"), None)
    if site_packages is None:
        return "(the release's own command; it can be shown once the virtualenv is built: --install-only)"
    shipped = server.shipped_command(server.template(site_packages), asked, RealSystem(), ROOT)
    return shlex.join(server.at(shipped, "PORT"))


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    cli.run(main)
