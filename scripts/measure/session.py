"""A measuring session: holds the machine, builds the virtualenv once, makes every run of a plan in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scripts.errors import EnvironmentBuildError
from scripts.measure import environment, keep, locks, machine, telemetry
from scripts.measure.process import System
from scripts.measure.progress import Progress
from scripts.measure.runner import Bench, Done, Prepared, run
from scripts.measure.servers import Limits
from scripts.plan import Plan, RunSpec
from scripts.suite import ROOT, Suite

SCRATCH = ROOT / ".scratch"

Prepare = Callable[[Suite, RunSpec, System, Progress], Prepared | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a session is carried out."""

    results: Path
    keep_logs: bool = False
    scratch: Path = SCRATCH
    limits: Limits = field(default_factory=Limits)


def make(
    matrix: Suite, plan: Plan, options: Options, system: System, progress: Progress, prepare: Prepare
) -> list[Done]:
    """Make all runs. A run that fails is recorded, and does not keep the next from being made."""
    keep.require_writable(options.results)
    machine.raise_open_files(plan.runs[0].profile.users)
    lock_file = machine.lock_file()
    with machine.exclusive(lock_file), progress:
        telemetry.end_leftovers(str(lock_file))
        keep.remove_torsos(options.results)
        bench = Bench(
            system=system,
            progress=progress,
            results=options.results,
            scratch=options.scratch,
            marker=str(lock_file),
            prepared=prepare(matrix, plan.runs[0], system, progress),
            keep_logs=options.keep_logs,
            limits=options.limits,
        )
        return [_one(bench, spec, number, len(plan.runs)) for number, spec in enumerate(plan.runs, 1)]


def prepare(matrix: Suite, spec: RunSpec, system: System, progress: Progress) -> Prepared | None:
    """Build the release's virtualenv unless it stands; None for the mock API, which has the tools' own."""
    if spec.target is None:
        return None
    progress.phase("install")
    lock = locks.read(locks.of_release(matrix, spec.target.release))
    SCRATCH.mkdir(exist_ok=True)
    log = SCRATCH / f"install-{spec.release}.log"
    uv = environment.find_uv()
    built = environment.build(spec.release, lock, spec.python, uv=uv, system=system, log=log)
    mismatches = environment.image_mismatches(built)
    if mismatches:
        raise EnvironmentBuildError(
            f"the virtualenv of {spec.release} is not what its own image holds:\n"
            + "\n".join(f"  - {mismatch}" for mismatch in mismatches),
            then=f"correct `image` of the release line in suite.toml, then nox -s lock -- {spec.release}",
        )
    verb = "built" if built.built else "already built"
    progress.done(f"promptflow {spec.release} on Python {built.python}, {len(built.distributions)} packages, {verb}")
    return Prepared(environment=built, lock=lock)


def shown(path: Path) -> str:
    """A path as a person would type it from the project's root."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _one(bench: Bench, spec: RunSpec, number: int, total: int) -> Done:
    progress = bench.progress
    progress.heading(f"[{number}/{total}] {spec.release} {spec.engine} {spec.flow}, profile {spec.profile.name}")
    done = run(bench, spec)
    if done.error is not None:
        progress.note(f"{done.record.outcome}: {done.error}")
    progress.note(f"recorded in {shown(done.directory)}")
    if done.scratch is not None:
        progress.note(f"logs kept in {shown(done.scratch)}")
    return done
