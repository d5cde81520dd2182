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
from collections.abc import Callable, Mapping
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
from scripts.config.load_profiles import Counting
from scripts.config.plan import RunSpec, Target
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.host.process import System, shielded
from scripts.host.progress import Progress
from scripts.measure import assembly, callgrind, counting, digests, loadgen, record_writer
from scripts.measure.assembly import AssembledRun, Live
from scripts.measure.callgrind import Valgrind
from scripts.measure.counting import Counter
from scripts.records.schema import SCHEMA_VERSION, Counts, Machine, ObservedConfig, Outcome, RequestedConfig, RunRecord
from scripts.records.storage import RUN_ID
from scripts.serving import launch, redaction, server_command
from scripts.serving.launch import Booted, Limits

_OUTCOMES: dict[type[SuiteError], Outcome] = {VerificationError: "verify-failed", InvalidMeasurementError: "invalid"}
_UNFINISHED_FILE = "unfinished"  # in a run's folder in scratch while it runs; holds the marker of its session
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


@dataclass(slots=True)
class _RunState:
    """What is known of a run so far, so that a failure can be recorded with it."""

    phases_s: dict[str, float] = field(default_factory=dict)
    observed: ObservedConfig | None = None
    assembled: AssembledRun | None = None
    counts: Counts | None = None
    left: str = ""  # what is known of processes after the run


def run(context: RunContext, spec: RunSpec) -> CompletedRun:
    """Make one run, and write its record."""
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    scratch = context.scratch / run_id
    before = machine.describe()
    if before.cpu_busy_before > machine.BUSY and spec.counting is None:
        context.progress.note(
            f"warning: {before.cpu_busy_before:.0%} of the cores are busy already; close other programs"
        )
    state = _RunState()
    error: SuiteError | None = None
    (scratch / "home").mkdir(parents=True)
    try:
        if not context.keep_logs:
            (scratch / _UNFINISHED_FILE).write_text(context.marker, encoding="utf-8")
        with ExitStack() as stack:
            stack.callback(_sweep, context, state)  # first in, so last out
            _measure(context, spec, stack, scratch, state)
            context.progress.phase("stop")
        state.phases_s["stop"] = context.progress.done(state.left)
    except (ServerError, InvalidMeasurementError, OSError) as caught:
        if context.stopped.is_set():  # interrupted, and its servers ended by another thread
            _leave(scratch, keep=context.keep_logs)
            raise Terminated from caught
        error = _explained(caught, scratch)
        context.progress.abandon()
    except BaseException:  # interrupted: the logs explain nothing
        _leave(scratch, keep=context.keep_logs)
        raise
    record = _record(context, spec, run_id, now, before, state, error)
    assembled = state.assembled
    directory = record_writer.write_run(
        context.results,
        record,
        assembled.histograms if assembled else None,
        assembled.timeline if assembled else [],
    )
    keeps_logs = (context.keep_logs or error is not None) and scratch.is_dir()
    _leave(scratch, keep=keeps_logs)
    return CompletedRun(record=record, directory=directory, scratch=scratch if keeps_logs else None, error=error)


def remove_unfinished(scratch: Path, marker: str) -> None:
    """Remove the folders of runs that a killed session has left, but not those whose logs were kept.

    Call it only while holding the lock whose marker it is: sessions on other locks may share the directory.
    """
    for unfinished in scratch.glob(f"*/{_UNFINISHED_FILE}"):
        with contextlib.suppress(OSError):
            if RUN_ID.fullmatch(unfinished.parent.name) and unfinished.read_text(encoding="utf-8") == marker:
                shutil.rmtree(unfinished.parent)


def _leave(scratch: Path, *, keep: bool) -> None:
    """Remove a run's folder, or mark that it is kept."""
    if keep:
        with contextlib.suppress(OSError):
            (scratch / _UNFINISHED_FILE).unlink()
    else:
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(context: RunContext, state: _RunState) -> None:
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


def _measure(context: RunContext, spec: RunSpec, stack: ExitStack, scratch: Path, state: _RunState) -> None:
    """Boot, verify, load, collect. The stack stops what is started; `state` holds what is known so far."""
    system, progress = context.system, context.progress
    env = launch.child_environment(os.environ, scratch / "home", context.marker)
    progress.phase("boot")
    mock = launch.boot_mock(system, stack, spec, env, context.limits, scratch)
    if spec.counting is not None and spec.target is not None:
        _count(context, spec, spec.target, spec.counting, stack, mock, scratch, state)
        return
    live: Live | None = None
    if spec.target is None:
        state.phases_s["boot"] = progress.done("mock API ready")
    else:
        booted, settled_s, state.observed = _boot(context, spec, spec.target, stack, mock, env, scratch)
        state.phases_s["boot"] = progress.done(f"{state.observed.workers} workers ready")
        progress.phase("verify")
        server_command.require_version(state.observed.promptflow, spec.target.version, booted.child.log)
        flow, backend_wait_s = spec.target.flow, spec.profile.backend_wait_min_s
        live = Live(
            booted=booted,
            settled_s=settled_s,
            first_answer_s=server_command.verify(system, booted.base, flow, backend_wait_s, context.limits.verify_s),
            memory_bytes=telemetry.memory(booted.child.pid)[0],
        )
        state.phases_s["verify"] = progress.done(f"promptflow {spec.target.version} answers as {spec.flow} should")
    samples = _load(context, spec, stack, mock, live, env, scratch, state)
    progress.phase("collect")
    state.assembled = assembly.after_load(system, spec, scratch / "recorded", samples, mock, live)
    state.phases_s["collect"] = progress.done(f"{state.assembled.measurements.load.recorded} requests")


def _count(
    context: RunContext,
    spec: RunSpec,
    target: Target,
    counted: Counting,
    stack: ExitStack,
    mock: Booted,
    scratch: Path,
    state: _RunState,
) -> None:
    """Boot under valgrind, and count the requests. The first one verifies the server."""
    progress, valgrind = context.progress, _valgrind(context)
    env = launch.counted_environment(scratch / "home", context.marker, callgrind.pinned_environment())
    booted, _, state.observed = _boot(context, spec, target, stack, mock, env, scratch)
    state.phases_s["boot"] = progress.done("1 worker ready under valgrind")
    progress.phase("verify")
    server_command.require_version(state.observed.promptflow, target.version, booted.child.log)
    counter = Counter(
        system=context.system,
        booted=booted,
        flow=target.flow,
        env=env,
        folder=counting.folder(scratch),
        worker=counting.only_worker(booted),
    )
    counter.begin()
    counter.first_request(spec.profile.backend_wait_min_s, context.limits.verify_s)
    state.phases_s["verify"] = progress.done(f"promptflow {target.version} answers as {spec.flow} should")
    progress.phase("count")
    state.counts = counting.windows(counter, counted, valgrind, mock.base, progress)
    state.phases_s["count"] = progress.done(f"{counter.served} requests")


def _valgrind(context: RunContext) -> Valgrind:
    if context.valgrind is None:
        raise ValueError("work is counted in a session that has found valgrind")
    return context.valgrind


def _boot(
    context: RunContext,
    spec: RunSpec,
    target: Target,
    stack: ExitStack,
    mock: Booted,
    env: Mapping[str, str],
    scratch: Path,
) -> tuple[Booted, float, ObservedConfig]:
    if context.prepared is None:
        raise ValueError("a release is measured in its own virtualenv")
    environment = context.prepared.environment
    under: tuple[str, ...] = ()
    requested = server_command.settings(target.engine.name, spec.profile.workers, spec.profile.threads)
    variables = {**env, **requested, "MOCK_API_ENDPOINT": f"{mock.base}/"}
    shipped = server_command.shipped_command(
        server_command.template(environment.site_packages), requested, context.system, scratch
    )
    if spec.counting is not None:
        shipped = server_command.with_one_worker(shipped)
        environment = _linked(environment, scratch)
        under = (*_valgrind(context).command(counting.folder(scratch)), str(environment.command("python")))
    booted = launch.boot_release(
        context.system,
        stack,
        shipped,
        environment,
        launch.copy_flow(target.flow, scratch / "flow"),
        variables,
        context.limits,
        scratch / "server.log",
        under=under,
    )
    settled_s = launch.settle(context.system, booted, server_command.workers_of(shipped), context.limits)
    shape = telemetry.shape(booted.child.pid)
    observed = ObservedConfig(
        promptflow=server_command.live_version(context.system, booted.base),
        command=server_command.at(shipped, "PORT"),
        environment=redaction.environment(variables),
        workers=shape.children,
        threads=server_command.threads_of(shape.command),
        distributions=dict(environment.distributions),
        bytecode=any((environment.site_packages / "promptflow").rglob("*.pyc")),
    )
    return booted, settled_s, observed


def _linked(environment: Environment, scratch: Path) -> Environment:
    """The virtualenv under a path whose length does not depend on the release."""
    link = scratch / "virtualenv"
    link.symlink_to(environment.path)
    return replace(environment, path=link)


def _load(
    context: RunContext,
    spec: RunSpec,
    stack: ExitStack,
    mock: Booted,
    live: Live | None,
    env: Mapping[str, str],
    scratch: Path,
    state: _RunState,
) -> loadgen.Samples:
    loaded = live.booted if live else mock
    into = scratch / "recorded"
    into.mkdir()
    context.progress.phase("ramp")
    began = context.system.monotonic()
    argv = loadgen.command(spec, loaded.port, into)
    with shielded():
        locust = context.system.start("locust", argv, env=env, cwd=scratch / "home", log=scratch / "locust.log")
        stack.callback(launch.stop, locust)
    children = [live.booted.child, mock.child] if live else [mock.child]
    samples = loadgen.watch(context.system, spec, locust, children, mock.base, into, context.progress)
    context.progress.done("ended")
    state.phases_s["load"] = context.system.monotonic() - began
    return samples


def _record(
    context: RunContext,
    spec: RunSpec,
    run_id: str,
    started_at: datetime,
    before: Machine,
    state: _RunState,
    error: SuiteError | None,
) -> RunRecord:
    outcome: Outcome = "ok"
    if error is not None:
        outcome = _OUTCOMES.get(type(error), "failed")
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
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
        ),
        observed=state.observed,
        digests=digests.of(spec, context.prepared.lock if context.prepared else None),
        machine=before,
        python=context.prepared.environment.python if context.prepared else before.tools_python,
        own_wait_s=spec.target.flow.own_wait_s if spec.target else 0.0,
        outcome=outcome,
        reasons=() if error is None else (redaction.text(error.message),),
        phases_s={name: round(seconds, 3) for name, seconds in state.phases_s.items()},
        measurements=state.assembled.measurements if state.assembled else None,
        counts=state.counts,
    )
