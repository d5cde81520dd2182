"""What a coordinator and its workers say to each other: JSON, checked against these types on both sides. Data, no code.

A run travels as the files of its record. What the other machine has by its checkout is only named, and held against
a digest there; a candidate's lock and wheels, and a flow from elsewhere, travel as files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from scripts.campaign.tasks import Task
from scripts.config import errors, flows, python_label
from scripts.config.errors import NotComparableError, NothingMeasuredError, SuiteError
from scripts.config.flows import Flow
from scripts.config.load_profiles import Counting, Profile, SearchIdentity
from scripts.config.matrix import Release, Suite
from scripts.config.plan import Place, RunSpec, Target
from scripts.environments import locks
from scripts.environments.locks import Lock
from scripts.host.quiet import Quiet
from scripts.records.schema import Machine

Files = dict[str, bytes]  # content by relative path


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks a worker what it is."""


class ReleaseForm(msgspec.Struct, frozen=True, kw_only=True):
    """A release or a candidate, and what its virtualenv is built of."""

    release: Release
    version: str  # what the live server's /version must say
    python: str  # that serves it, e.g. "3.11"
    lock: str  # digest
    files: Files  # the lock and the wheels; none: the lock is committed


class FlowForm(msgspec.Struct, frozen=True, kw_only=True):
    """A flow."""

    name: str
    digest: str
    files: Files  # none: it lies in flows/


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks a worker to get ready for the tasks of a session."""

    session: str
    users: int  # the most of any load
    counts: bool
    keep_logs: bool
    quiet: Quiet | None
    releases: tuple[ReleaseForm, ...]
    flows: tuple[FlowForm, ...]


class RunForm(msgspec.Struct, frozen=True, kw_only=True):
    """A run, whose release and flow the worker has got ready."""

    release: str
    engine: str
    flow: str
    profile: Profile
    python: str
    round: int
    place: Place | None
    counting: Counting | None
    search: SearchIdentity | None


class Make(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks a worker to make a task."""

    session: str
    name: str
    scenario: str
    loads: tuple[tuple[RunForm, ...], ...]
    run_s: float
    ends_in_s: float | None
    tries: int


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a worker is."""

    code: str  # digest of its checkout
    tools: str  # digest of what makes the load
    machine: Machine


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A worker can make the tasks of the session."""

    pythons: dict[str, str]  # of the virtualenvs, with patch version, by e.g. "3.11"


class Runs(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What came of a task."""

    worker: str  # its name
    runs: tuple[Files, ...]
    disturbed: tuple[bool, ...]
    error: Failure | None


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Why a worker cannot do what it was asked for."""

    kind: str  # of error
    message: str
    then: str
    worker: str = ""  # whose failure it is; empty: that of a run


Request = Hello | Prepare | Make
Answer = Facts | Ready | Runs | Failure
_KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SuiteError)}


def encode(message: Request | Answer) -> str:
    """As JSON."""
    return msgspec.json.encode(message).decode()


def request(text: str) -> Request:
    """What was asked for; msgspec.ValidationError for anything else."""
    found: Request = msgspec.json.decode(text, type=Request)
    return found


def answer(text: str) -> Answer:
    """What was answered; msgspec.ValidationError for anything else."""
    found: Answer = msgspec.json.decode(text, type=Answer)
    return found


def failure(error: SuiteError, worker: str = "") -> Failure:
    """The error, to be raised on the other machine."""
    return Failure(kind=type(error).__name__, message=error.message, then=error.then, worker=worker)


def error(failed: Failure) -> SuiteError:
    """The error as it was raised on the other machine."""
    message = f"worker {failed.worker}: {failed.message}" if failed.worker else failed.message
    return _KINDS.get(failed.kind, NothingMeasuredError)(message, then=failed.then)


def releases(specs: Iterable[RunSpec], known: Mapping[str, Lock]) -> tuple[ReleaseForm, ...]:
    """Each release of the runs once, by the locks that they are known to have."""
    by_label = {spec.release: (spec.target, spec.python) for spec in specs}
    return tuple(
        ReleaseForm(
            release=target.release, version=target.version, python=python, lock=known[label].digest,
            files=_lock_files(known[label]),
        )
        for label, (target, python) in by_label.items()
        if target is not None
    )  # fmt: skip


def _lock_files(lock: Lock) -> Files:
    if lock.path.parent == locks.LOCKS:
        return {}
    wheels = sorted(lock.wheels.iterdir()) if lock.wheels else []
    return {path.name: path.read_bytes() for path in (lock.path, *wheels)}


def lock(suite: Suite, form: ReleaseForm, into: Path) -> Lock:
    """The lock as it is here, `into` where it came as a file; NotComparableError when it is another one."""
    name = python_label.without_python(form.release.version, form.python)
    if form.files:
        unpack(form.files, into)
        found = locks.received(into / f"{name}.txt", into if len(form.files) > 1 else None)
    else:
        found = locks.read(locks.of_release(suite, suite.release(name)))
    if found.digest != form.lock:
        raise NotComparableError(f"the lock of {form.release.version} is another one here", then=SAME_COMMIT)
    return found


def flow_forms(targets: Iterable[Target]) -> tuple[FlowForm, ...]:
    """Each flow once."""
    by_name = {target.flow.name: target.flow for target in targets}
    return tuple(FlowForm(name=flow.name, digest=flow.digest, files=_flow_files(flow)) for flow in by_name.values())


def _flow_files(flow: Flow) -> Files:
    if flow.of_suite:
        return {}
    return {path.relative_to(flow.path).as_posix(): path.read_bytes() for path in flows.files(flow.path)}


def flow(form: FlowForm, into: Path) -> Flow:
    """The flow as it is here, `into` where it came as files; NotComparableError when it is another one."""
    if form.files:
        unpack(form.files, into / form.name)
    found = flows.read(into / form.name if form.files else flows.FLOWS / form.name)
    if found.digest != form.digest:
        raise NotComparableError(f"flow {form.name} is another one here", then=SAME_COMMIT)
    return found


SAME_COMMIT = "check out the same commit on both machines, without changes, and start this worker again"


def unpack(files: Files, into: Path) -> None:
    """Write files below a directory; NotComparableError for a path that would leave it, before any is written."""
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise NotComparableError(f"{name!r} is no path below a directory", then=SAME_COMMIT)
    for name, content in files.items():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_bytes(content)


def make(session: str, task: Task) -> Make:
    """A task, for a worker that is ready for the session."""
    loads = tuple(tuple(_run_form(spec) for spec in specs) for specs in task.loads)
    return Make(
        session=session, name=task.name, scenario=task.scenario, loads=loads, run_s=task.run_s,
        ends_in_s=task.ends_in_s, tries=task.tries,
    )  # fmt: skip


def _run_form(spec: RunSpec) -> RunForm:
    return RunForm(
        release=spec.release, engine=spec.engine, flow=spec.flow, profile=spec.profile, python=spec.python,
        round=spec.round, place=spec.place, counting=spec.counting, search=spec.search,
    )  # fmt: skip


def task(form: Make, suite: Suite, known: Mapping[str, ReleaseForm], of_name: Mapping[str, Flow]) -> Task:
    """The task, of the releases and flows that are ready here."""

    def run(one: RunForm) -> RunSpec:
        served = known[one.release]
        target = Target(
            release=served.release, engine=suite.engine(one.engine), flow=of_name[one.flow], version=served.version
        )
        return RunSpec(
            target=target, profile=one.profile, python=one.python, round=one.round, place=one.place,
            counting=one.counting, search=one.search,
        )  # fmt: skip

    return Task(
        name=form.name, scenario=form.scenario, loads=tuple(tuple(map(run, load)) for load in form.loads),
        run_s=form.run_s, ends_in_s=form.ends_in_s, tries=form.tries,
    )  # fmt: skip
