"""A measuring session: holds the machine, builds virtualenvs before any load, makes runs one after the other."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.config import python_label
from scripts.config.cluster_address import ClusterAddress
from scripts.config.errors import EnvironmentBuildError
from scripts.config.load_profiles import COUNT, SERVES, SMOKE, SMOKE_DUET
from scripts.config.matrix import ROOT, Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments import locks, virtualenvs
from scripts.environments.locks import Lock
from scripts.host import leftovers, machine, quiet
from scripts.host.process import System, adopting_orphans
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.measure import callgrind, record_writer, side_by_side
from scripts.measure.callgrind import Valgrind
from scripts.measure.run import CompletedRun, Prepared, RunContext, at_once, remove_unfinished
from scripts.serving import launch
from scripts.serving.launch import Limits

SCRATCH = ROOT / ".scratch"
_HOWEVER_BUSY = (COUNT, SERVES, SMOKE, SMOKE_DUET)  # profiles of which no time gets into a report

Prepare = Callable[[Suite, RunSpec, System, Progress], Prepared | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a session is carried out."""

    results: Path
    keep_logs: bool = False
    scratch: Path = SCRATCH
    limits: Limits = field(default_factory=Limits)
    quiet: Quiet | None = None  # None: however busy the machine is
    jobs: int = 1  # runs at the same time; only where work is counted may it be more
    cluster: ClusterAddress | None = None  # whose workers make the runs; None: this machine


def make(
    suite: Suite,
    plan: Plan,
    options: Options,
    system: System,
    progress: Progress,
    prepare: Prepare,
    hopeless: Callable[[Sequence[CompletedRun]], bool] = lambda _done: False,
) -> list[CompletedRun]:
    """Make all runs. A run that fails is recorded, and the next is made unless those so far are `hopeless`."""
    first, jobs = plan.runs[0], min(options.jobs, len(plan.runs))
    users = max(spec.profile.users for spec in plan.runs)
    with opened(options, users, system, progress, counts=first.counting is not None) as context:
        of_release = {spec.release: spec for spec in plan.runs}
        prepared = {release: prepare(suite, spec, system, progress) for release, spec in of_release.items()}

        def make_one(context: RunContext, spec: RunSpec, number: str) -> CompletedRun:
            return one(replace(context, prepared=prepared[spec.release]), spec, number)

        if jobs > 1:
            progress.head(f"{len(plan.runs)} runs, {jobs} at a time", plan.expected_s / jobs)
            return side_by_side.make(context, plan.runs, jobs, make_one)
        done: list[CompletedRun] = []
        for number, spec in enumerate(plan.runs, 1):
            progress.head(f"run {number} of {len(plan.runs)}", sum(one.expected_s for one in plan.runs[number - 1 :]))
            done.append(make_one(context, spec, f"[{number}/{len(plan.runs)}]"))
            if number < len(plan.runs) and hopeless(done):
                progress.note(f"given up: the machine disturbed the last runs; {len(plan.runs) - number} are not made")
                break
        return done


@contextlib.contextmanager
def opened(
    options: Options, users: int, system: System, progress: Progress, *, counts: bool = False
) -> Iterator[RunContext]:
    """Hold the machine for runs of up to so many users, and remove what a killed session has left.

    `counts`: the runs count work; EnvironmentBuildError where valgrind cannot, before anything is built.
    """
    record_writer.require_writable(options.results)
    machine.raise_open_files(users)
    spared = leftovers.children()
    with machine.exclusive(machine.lock_file()) as marker, adopting_orphans() as adopts, progress:
        leftovers.end_marked(marker)
        record_writer.remove_unfinished(options.results)
        remove_unfinished(options.scratch, marker)
        yield RunContext(
            system=system,
            progress=progress,
            results=options.results,
            scratch=options.scratch,
            marker=marker,
            sweep=functools.partial(leftovers.sweep, marker, spared, adopts=adopts),
            prepared=None,
            keep_logs=options.keep_logs,
            limits=options.limits,
            before_first=functools.cache(functools.partial(look, options.quiet, system, progress)),
            valgrind=valgrind(system, options.scratch, marker) if counts else None,
        )


def look(wanted: Quiet | None, system: System, progress: Progress) -> None:
    """Raise unless the machine is as quiet as wanted."""
    if wanted is not None:
        quiet.require(wanted, system, progress)


def valgrind(system: System, scratch: Path, marker: str) -> Valgrind:
    """A valgrind that counts the processes with this marker; ValgrindError where there is none."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        env = launch.counted_environment(Path(folder), marker, callgrind.pinned_environment())
        return callgrind.require(system, env, Path(folder))


def prepare(suite: Suite, spec: RunSpec, system: System, progress: Progress) -> Prepared | None:
    """Build the release's virtualenv unless it stands; None for the mock API, which has the tools' own."""
    if spec.target is None:
        return None
    lock = locks.read(locks.of_release(suite, spec.target.release))
    return install(spec.release, lock, spec.python, system, progress)


def prepare_from(known: Mapping[str, Lock]) -> Prepare:
    """As `prepare`, by the locks that releases and candidates are known to have."""

    def prepare(_suite: Suite, spec: RunSpec, system: System, progress: Progress) -> Prepared | None:
        if spec.target is None:
            return None
        return install(spec.release, known[spec.release], spec.python, system, progress)

    return prepare


def prepare_only(
    suite: Suite, spec: RunSpec, system: System, progress: Progress, prepare: Prepare = prepare
) -> None:  # fmt: skip
    """Build the release's virtualenv, on a machine where nothing is being measured."""
    with machine.exclusive(machine.lock_file()), progress:
        prepare(suite, spec, system, progress)


def prepare_all(
    suite: Suite, runs: Iterable[RunSpec], system: System, progress: Progress, prepare: Prepare = prepare
) -> None:  # fmt: skip
    """The same of every release of the runs."""
    for spec in {spec.release: spec for spec in runs}.values():
        prepare_only(suite, spec, system, progress, prepare)


def install(label: str, lock: Lock, python: str, system: System, progress: Progress) -> Prepared:
    """Build the virtualenv of a lock unless it stands; EnvironmentBuildError when it is not what the image holds.

    Also where its Python is compared, it is the one of the release on that Python.
    """
    label = python_label.without_python(label, python)
    progress.phase("install")
    SCRATCH.mkdir(exist_ok=True)
    log = SCRATCH / f"install-{label}.log"
    built = virtualenvs.build(label, lock, python, uv=virtualenvs.find_uv(), system=system, log=log)
    mismatches = virtualenvs.image_mismatches(built)
    if mismatches:
        raise EnvironmentBuildError(
            f"the virtualenv of {label} differs from the release's own image:\n"
            + "\n".join(f"  - {mismatch}" for mismatch in mismatches),
            then=f"correct `image` of the release line in suite.toml, then nox -s lock -- {label.partition('+')[0]}",
        )
    verb = "built" if built.built else "already built"
    progress.done(f"promptflow {label} on Python {built.python}, {len(built.distributions)} packages, {verb}")
    return Prepared(environment=built, lock=lock)


def shown(path: Path) -> str:
    """A path as a person would type it from the project's root."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def one(context: RunContext, spec: RunSpec, number: str) -> CompletedRun:
    """Make one run, and say where it is recorded; `number` is its place in the session, for people."""
    (done,) = together(context, [(spec, context.prepared)], number)
    return done


def together(
    context: RunContext, wanted: Sequence[tuple[RunSpec, Prepared | None]], number: str
) -> list[CompletedRun]:  # fmt: skip
    """The same for runs that are made at once; only those whose error it is are recorded when something fails."""
    progress, spec = context.progress, wanted[0][0]
    if spec.profile.name not in _HOWEVER_BUSY:
        context.before_first()
    releases = " and ".join(one.release for one, _ in wanted)
    progress.run(f"{number} {releases} {spec.engine} {spec.flow}")
    completed = at_once(context, wanted)
    progress.ran(" and ".join(map(_result, completed)))
    for done in completed:
        if done.error is not None:
            progress.note(f"{done.record.outcome}: {done.error}")
        progress.detail(f"recorded in {shown(done.directory)}")
        if done.scratch is not None:
            progress.note(f"logs: {shown(done.scratch)}")
    return completed


def _result(done: CompletedRun) -> str:
    """What a run has made; whether it is valid shows later."""
    record = done.record
    if done.error is not None:
        return record.outcome
    if record.counts is not None:
        return f"{sum(window.requests for window in record.counts.windows)} requests counted"
    return f"{record.measurements.load.recorded} requests" if record.measurements else record.outcome
