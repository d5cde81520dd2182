"""One run from start to record: boot, verify, load, collect, stop. Whatever happens, nothing is left running.

Every run ends in a record with its outcome. Only an interrupted one leaves none, because it says nothing about
promptflow.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.config.errors import (
    InvalidMeasurementError,
    NothingMeasuredError,
    ServerError,
    SuiteError,
    Terminated,
    VerificationError,
)
from scripts.config.load_profiles import LOOPBACK, Counting
from scripts.config.plan import RunSpec
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.host.process import System, shielded
from scripts.host.progress import Progress
from scripts.measure import assembly, callgrind, counting, digests, loadgen, record_writer, recorded_load, served
from scripts.measure.assembly import AssembledRun, Live
from scripts.measure.callgrind import Valgrind
from scripts.measure.counting import Counter
from scripts.measure.served import Served
from scripts.records.schema import SCHEMA_VERSION, Counts, Machine, ObservedConfig, Outcome, RequestedConfig, RunRecord
from scripts.records.storage import RUN_ID
from scripts.serving import launch, redaction, server_command
from scripts.serving.launch import Booted, Limits

_OUTCOMES: dict[type[SuiteError], Outcome] = {VerificationError: "verify-failed", InvalidMeasurementError: "invalid"}
UNFINISHED_FILE = "unfinished"  # in a run's folder in scratch while it runs; holds the marker of its session
_FULL_BYTES = 65_536  # with less free, a disk cannot take a log or a recording


def _nothing() -> None:
    """Look at nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A release's virtualenv and the lock it was built from."""

    environment: Environment
    lock: Lock


@dataclass(frozen=True, kw_only=True, slots=True)
class RunContext:
    """What all runs of a session share."""

    system: System
    progress: Progress
    results: Path
    scratch: Path  # every run makes a private folder in it
    marker: str  # in the environment of all children, for finding leftovers
    sweep: Callable[[], str]  # ends what outlives a run; says whether nothing is left
    prepared: Prepared | None  # None: the mock API alone
    keep_logs: bool = False
    limits: Limits = field(default_factory=Limits)
    before_first: Callable[[], None] = _nothing  # looks at the machine, in the first of all calls
    stopped: threading.Event = field(default_factory=threading.Event)  # set when runs of other threads are to end
    valgrind: Valgrind | None = None  # of sessions that count work


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedRun:
    """A run that has been recorded."""

    record: RunRecord
    directory: Path
    scratch: Path | None  # the folder of its logs; None when they were removed
    error: SuiteError | None  # why the outcome is not ok


@dataclass(kw_only=True, slots=True, eq=False)
class _Arm:
    """One of the runs that are made at once, and what is known of it so far, so that a failure is recorded with it."""

    spec: RunSpec
    prepared: Prepared | None
    run_id: str
    scratch: Path  # its own folder
    suffix: str  # of its processes' names; empty for a run by itself
    phases_s: dict[str, float] = field(default_factory=dict)
    mock: Booted | None = None
    live: Live | None = None
    observed: ObservedConfig | None = None
    assembled: AssembledRun | None = None
    counts: Counts | None = None

    @property
    def loaded(self) -> loadgen.Loaded:
        """What its half of the load is sent to."""
        if self.mock is None:
            raise ValueError("nothing has been started")
        return loadgen.Loaded(server=self.live.booted if self.live else self.mock, mock=self.mock)

    @property
    def has_lost(self) -> bool:
        """Whether one of its servers has ended by itself."""
        return any(child.code() is not None for child in self.loaded.children.values())


@dataclass(kw_only=True, slots=True)
class _State:
    """How far the runs made at once have come."""

    blamed: Sequence[_Arm]  # whose error it is if one comes now
    left: str = ""  # what is known of processes after the runs


def run(context: RunContext, spec: RunSpec) -> CompletedRun:
    """Make one run, and write its record."""
    (done,) = at_once(context, [(spec, context.prepared)])
    return done


def at_once(context: RunContext, wanted: Sequence[tuple[RunSpec, Prepared | None]]) -> list[CompletedRun]:
    """Make one run, or two under one load at the same time, and write a record of each.

    The servers start in this order, each alone. When something fails, only the arms whose error it is have a record.
    """
    now = datetime.now(UTC)
    arms = [_arm(context, spec, prepared, now, alone=len(wanted) == 1) for spec, prepared in wanted]
    before = machine.describe()
    if before.cpu_busy_before > machine.BUSY and arms[0].spec.counting is None:
        context.progress.note(
            f"warning: {before.cpu_busy_before:.0%} of the cores are busy already; close other programs"
        )
    state = _State(blamed=arms)
    caught: SuiteError | OSError | None = None
    for arm in arms:
        (arm.scratch / "home").mkdir(parents=True)
    try:
        for arm in arms:
            if not context.keep_logs:
                (arm.scratch / UNFINISHED_FILE).write_text(context.marker, encoding="utf-8")
        with ExitStack() as stack:
            stack.callback(_sweep, context, state)  # first in, so last out
            _measure(context, arms, stack, state)
            context.progress.phase("stop")
        _took(arms, "stop", context.progress.done(state.left))
    except (ServerError, InvalidMeasurementError, OSError) as error:
        if context.stopped.is_set():  # interrupted, and its servers ended by another thread
            _leave_all(context, arms)
            raise Terminated from error
        caught = error
        context.progress.abandon()
    except BaseException:  # interrupted: the logs explain nothing
        _leave_all(context, arms)
        raise
    failed = list(state.blamed) if caught is not None else []
    done = [
        _completed(context, arm, now, before, _explained(caught, arm.scratch) if caught is not None else None)
        for arm in failed or arms
    ]
    if failed:
        _leave_all(context, [arm for arm in arms if arm not in failed])
    return done


def _arm(context: RunContext, spec: RunSpec, prepared: Prepared | None, now: datetime, *, alone: bool) -> _Arm:
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    suffix = "" if alone or spec.place is None else f"-{spec.place.arm}"
    return _Arm(spec=spec, prepared=prepared, run_id=run_id, scratch=context.scratch / run_id, suffix=suffix)


def _took(arms: Sequence[_Arm], phase: str, seconds: float) -> None:
    for arm in arms:
        arm.phases_s[phase] = seconds


def _completed(
    context: RunContext, arm: _Arm, now: datetime, before: Machine, error: SuiteError | None
) -> CompletedRun:  # fmt: skip
    """Write the record of a run, and leave its folder as it should be."""
    record, assembled = _record(arm, now, before, error), arm.assembled
    directory = record_writer.write_run(
        context.results,
        record,
        assembled.histograms if assembled else None,
        assembled.timeline if assembled else [],
    )
    keeps_logs = (context.keep_logs or error is not None) and arm.scratch.is_dir()
    leave(arm.scratch, keep=keeps_logs)
    return CompletedRun(record=record, directory=directory, scratch=arm.scratch if keeps_logs else None, error=error)


def remove_unfinished(scratch: Path, marker: str) -> None:
    """Remove the folders of runs that a killed session has left, but not those whose logs were kept.

    Call it only while holding the lock whose marker it is: sessions on other locks may share the directory.
    """
    for unfinished in scratch.glob(f"*/{UNFINISHED_FILE}"):
        with contextlib.suppress(OSError):
            if RUN_ID.fullmatch(unfinished.parent.name) and unfinished.read_text(encoding="utf-8") == marker:
                shutil.rmtree(unfinished.parent)


def _leave_all(context: RunContext, arms: Sequence[_Arm]) -> None:
    for arm in arms:
        leave(arm.scratch, keep=context.keep_logs)


def leave(scratch: Path, *, keep: bool) -> None:
    """Remove a run's folder, or mark that it is kept."""
    if keep:
        with contextlib.suppress(OSError):
            (scratch / UNFINISHED_FILE).unlink()
    else:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(context: RunContext, state: _State) -> None:
    """End what outlives the servers, undisturbed by Ctrl-C."""
    with shielded():
        state.left = context.sweep()


def _explained(error: SuiteError | OSError, scratch: Path) -> SuiteError:
    """The error with its cause, where a full disk or a removed folder shows as any error, and with what to do next."""
    message = error.message if isinstance(error, SuiteError) else str(error)
    if not (scratch / "home").is_dir():
        return NothingMeasuredError(
            f"the folder of the run's logs was removed while it ran: {scratch}",
            then="leave .scratch alone while a session runs, and repeat this command",
        )
    if shutil.disk_usage(scratch).free < _FULL_BYTES:
        return NothingMeasuredError(
            f"the disk of the logs is full: {message}",
            then=f"make room on the disk of {scratch}, then repeat this command",
        )
    if isinstance(error, OSError):
        return NothingMeasuredError(f"the system refused: {message}", then=f"see the logs in {scratch}")
    return error


def _measure(context: RunContext, arms: Sequence[_Arm], stack: ExitStack, state: _State) -> None:
    """Boot, verify, load, collect. The stack stops what is started; the arms hold what is known so far."""
    context.progress.phase("boot")
    for arm in arms:
        state.blamed = [arm]
        arm.mock = launch.boot_mock(
            context.system,
            stack,
            arm.spec,
            _environment(context, arm),
            context.limits,
            arm.scratch,
            f"mock{arm.suffix}",
        )
    if (counting_of := arms[0].spec.counting) is not None:
        _count(context, arms[0], counting_of, stack)
        return
    for number, arm in enumerate(arms):
        state.blamed = [arm]
        if number:
            context.progress.phase("boot")
        _serve(context, arm, arm.loaded.mock, stack)
    state.blamed = arms
    if len(arms) > 1:
        for arm in arms:
            arm.live = _with_memory(arm.live)
    samples = _load(context, arms, stack, state)
    context.progress.phase("collect")
    folders = loadgen.recordings(arms[0].spec, arms[0].scratch / "recorded")
    recordings = [recorded_load.read(folder, arms[0].spec.generators) for folder in folders]
    in_all = sum(len(one.requests) for one in recordings) if len(arms) > 1 else None
    for arm, recorded in zip(arms, recordings, strict=True):
        arm.assembled = assembly.after_load(
            context.system, arm.spec, recorded, samples, arm.loaded.mock, arm.live, in_all
        )
    counted = " and ".join(str(arm.assembled.measurements.load.recorded) for arm in arms if arm.assembled)
    _took(arms, "collect", context.progress.done(f"{counted} requests"))


def _environment(context: RunContext, arm: _Arm) -> dict[str, str]:
    if arm.spec.counting is not None:
        return launch.counted_environment(arm.scratch / "home", context.marker, callgrind.pinned_environment())
    return launch.child_environment(os.environ, arm.scratch / "home", context.marker)


def _count(context: RunContext, arm: _Arm, counted: Counting, stack: ExitStack) -> None:
    """Boot under valgrind, and count the requests. The first one verifies the server."""
    progress, target, mock = context.progress, arm.spec.target, arm.loaded.mock
    if target is None:
        raise ValueError("work is counted of a release, not of the mock API")
    started = _boot(context, arm, stack, mock)
    booted, arm.observed = started.booted, started.observed
    arm.phases_s["boot"] = progress.done("1 worker ready under valgrind")
    progress.phase("verify")
    server_command.require_version(arm.observed.promptflow, target.version, booted.child.log)
    counter = Counter(
        system=context.system,
        booted=booted,
        flow=target.flow,
        env=_environment(context, arm),
        folder=counting.folder(arm.scratch),
        worker=counting.only_worker(booted),
    )
    counter.begin(from_start=counted.start_up)
    counter.first_request(arm.spec.profile.backend_wait_min_s)
    arm.phases_s["verify"] = progress.done(f"promptflow {target.version} answers as {arm.spec.flow} should")
    progress.phase("count")
    arm.counts = counting.windows(counter, counted, _valgrind(context), mock.base, progress)
    arm.phases_s["count"] = progress.done(f"{counter.served} requests")


def _valgrind(context: RunContext) -> Valgrind:
    if context.valgrind is None:
        raise ValueError("work is counted in a session that has found valgrind")
    return context.valgrind


def _serve(context: RunContext, arm: _Arm, mock: Booted, stack: ExitStack) -> None:
    """Boot the arm's server, and verify it; nothing to do for the mock API alone."""
    progress, target = context.progress, arm.spec.target
    if target is None:
        arm.phases_s["boot"] = progress.done("mock API ready")
        return
    started = _boot(context, arm, stack, mock)
    booted, observed = started.booted, started.observed
    arm.observed = observed
    of_release = f" of {arm.spec.release}" if arm.suffix else ""
    arm.phases_s["boot"] = progress.done(f"{observed.workers} workers{of_release} ready")
    progress.phase("verify")
    server_command.require_version(observed.promptflow, target.version, booted.child.log)
    backend_wait_s, verify_s = arm.spec.profile.backend_wait_min_s, context.limits.verify_s
    arm.live = Live(
        booted=booted,
        settled_s=started.settled_s,
        first_answer_s=server_command.verify(context.system, booted.base, target.flow, backend_wait_s, verify_s),
        memory_bytes=telemetry.memory(booted.child.pid)[0],
    )
    arm.phases_s["verify"] = progress.done(f"promptflow {target.version} answers as {arm.spec.flow} should")


def _with_memory(live: Live | None) -> Live | None:
    """The server with its memory read again, now that both run.

    PSS counts a page that both map half for each. Read as it starts, the second would seem smaller by that: by 7 of 247
    MiB in an A/A of 1.15.1, which is more than a change that matters.
    """
    return live and replace(live, memory_bytes=telemetry.memory(live.booted.child.pid)[0])


def _boot(context: RunContext, arm: _Arm, stack: ExitStack, mock: Booted) -> Served:
    if arm.prepared is None:
        raise ValueError("a release is measured in its own virtualenv")
    environment = arm.prepared.environment
    under: tuple[str, ...] = ()
    counts = arm.spec.counting
    if counts is not None:
        environment = _linked(environment, arm.scratch)
        command = _valgrind(context).command(counting.folder(arm.scratch), from_start=counts.start_up)
        under = (*command, str(environment.command("python")))
    return served.start(
        context.system,
        stack,
        arm.spec,
        environment,
        mock.base,
        arm.scratch,
        _environment(context, arm),
        context.limits,
        name=f"server{arm.suffix}",
        one_worker=counts is not None,
        under=under,
    )


def _linked(environment: Environment, scratch: Path) -> Environment:
    """The virtualenv under a path whose length does not depend on the release."""
    link = scratch / "virtualenv"
    link.symlink_to(environment.path)
    return replace(environment, path=link)


def _load(context: RunContext, arms: Sequence[_Arm], stack: ExitStack, state: _State) -> loadgen.Samples:
    """Load all arms by one generator, whose files lie in the folder of the first; who has lost a server is blamed."""
    spec, scratch, loaded = arms[0].spec, arms[0].scratch, [arm.loaded for arm in arms]
    into = scratch / "recorded"
    into.mkdir()
    context.progress.phase("ramp")
    began = context.system.monotonic()
    generators, env = spec.generators, _environment(context, arms[0])
    own = generators.processes if generators.several and not generators.workers else 0  # workers on this machine
    port = context.system.free_port() if own else loadgen.WORKERS_PORT
    commands = {"locust": loadgen.command(spec, [one.server.port for one in loaded], into, port)} | {
        f"locust-{n}": loadgen.worker_command(LOOPBACK, port, scratch / f"worker-{n}") for n in range(1, own + 1)
    }
    generator = [
        launch.start(context.system, stack, argv, env=env, cwd=scratch / "home", log=scratch / f"{name}.log")
        for name, argv in commands.items()
    ]
    try:
        samples = loadgen.watch(context.system, spec, generator, loaded, into, context.progress)
    except ServerError:
        state.blamed = [arm for arm in arms if arm.has_lost] or arms
        raise
    context.progress.done("ended")
    _took(arms, "load", context.system.monotonic() - began)
    return samples


def _record(arm: _Arm, started_at: datetime, before: Machine, error: SuiteError | None) -> RunRecord:
    spec, prepared = arm.spec, arm.prepared
    outcome: Outcome = "ok"
    if error is not None:
        outcome = _OUTCOMES.get(type(error), "failed")
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=arm.run_id,
        started_at=started_at.isoformat(timespec="seconds"),
        requested=RequestedConfig(
            release=spec.release,
            engine=spec.engine,
            flow=spec.flow,
            profile=spec.profile,
            python=spec.python,
            round=spec.round,
            seed=spec.seed,
            campaign=spec.place.campaign if spec.place else "",
            round_id=spec.place.round_id if spec.place else "",
            arm=spec.place.arm if spec.place else 0,
            search=spec.search,
            load_processes=spec.generators.number,
            load_workers=spec.generators.workers,
        ),
        observed=arm.observed,
        digests=digests.of(spec, prepared.lock if prepared else None),
        machine=before,
        python=prepared.environment.python if prepared else before.tools_python,
        own_wait_s=spec.target.flow.own_wait_s if spec.target else 0.0,
        outcome=outcome,
        reasons=() if error is None else (redaction.text(error.message),),
        phases_s={name: round(seconds, 3) for name, seconds in arm.phases_s.items()},
        measurements=arm.assembled.measurements if arm.assembled else None,
        counts=arm.counts,
    )
