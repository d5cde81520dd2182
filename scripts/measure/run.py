"""One run from start to record: boot, verify, load, collect, stop. Whatever happens, nothing is left running.

Every run that was begun ends in a record, with its outcome; only an interrupted one leaves none, because it
says nothing about promptflow.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scripts.config.errors import (
    InvalidMeasurementError,
    NothingMeasuredError,
    ServerError,
    SuiteError,
    VerificationError,
)
from scripts.config.plan import RunSpec, Target
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.host.process import System, shielded
from scripts.host.progress import Progress
from scripts.measure import assembly, digests, loadgen, record_writer
from scripts.measure.assembly import Gathered, Live
from scripts.records.schema import SCHEMA_VERSION, Asked, Machine, Outcome, Ran, RunRecord
from scripts.serving import launch, redaction, server_command
from scripts.serving.launch import Booted, Limits

_OUTCOMES: dict[type[SuiteError], Outcome] = {VerificationError: "verify-failed", InvalidMeasurementError: "invalid"}
_FULL_BYTES = 65_536  # with less free, a disk cannot take a log or a recording


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A release's virtualenv and the lock it was built from."""

    environment: Environment
    lock: Lock


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What all runs of a session share."""

    system: System
    progress: Progress
    results: Path
    scratch: Path  # every run makes a private folder in it
    marker: str  # in the environment of all children, for finding leftovers
    prepared: Prepared | None  # None: the mock API alone
    keep_logs: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A run that has been recorded."""

    record: RunRecord
    directory: Path
    scratch: Path | None  # where its logs lie, if they were kept
    error: SuiteError | None  # why the outcome is not ok


@dataclass(slots=True)
class _Found:
    """What is known of a run so far, so that a failure can be recorded with it."""

    phases_s: dict[str, float] = field(default_factory=dict)
    ran: Ran | None = None
    gathered: Gathered | None = None


def run(bench: Bench, spec: RunSpec) -> Done:
    """Make one run and keep its record."""
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    scratch = bench.scratch / run_id
    (scratch / "home").mkdir(parents=True)
    before = machine.describe()
    if before.cpu_busy_before > machine.BUSY:
        bench.progress.note(
            f"warning: {before.cpu_busy_before:.0%} of the cores are busy already; recorded with the run"
        )
    found = _Found()
    error: SuiteError | None = None
    try:
        with ExitStack() as stack:
            _measure(bench, spec, stack, scratch, found)
            bench.progress.phase("stop")
        found.phases_s["stop"] = bench.progress.done("nothing left running")
    except (ServerError, InvalidMeasurementError, OSError) as caught:
        error = _explained(caught, scratch)
        bench.progress.abandon()
    except BaseException:  # interrupted: there is nothing to look up in the logs
        if not bench.keep_logs:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    record = _record(bench, spec, run_id, now, before, found, error)
    gathered = found.gathered
    directory = record_writer.keep(
        bench.results,
        record,
        gathered.histograms if gathered else None,
        gathered.timeline if gathered else [],
    )
    kept = bench.keep_logs or error is not None
    if not kept:
        shutil.rmtree(scratch, ignore_errors=True)
    return Done(record=record, directory=directory, scratch=scratch if kept else None, error=error)


def _explained(error: SuiteError | OSError, scratch: Path) -> SuiteError:
    """Blame a full disk, which shows as anything, and give the system's own errors a next step."""
    message = error.message if isinstance(error, SuiteError) else str(error)
    if shutil.disk_usage(scratch).free < _FULL_BYTES:
        return NothingMeasuredError(
            f"the disk of the logs is full: {message}", then=f"make room on the disk of {scratch}, then repeat"
        )
    if isinstance(error, OSError):
        return NothingMeasuredError(f"the system refused: {message}", then=f"see the logs in {scratch}")
    return error


def _measure(bench: Bench, spec: RunSpec, stack: ExitStack, scratch: Path, found: _Found) -> None:
    """Boot, verify, load, collect. What is started is put on the stack, what is learnt into `found`."""
    system, progress = bench.system, bench.progress
    env = launch.child_environment(os.environ, scratch / "home", bench.marker)
    progress.phase("boot")
    mock = launch.boot_mock(system, stack, spec, env, bench.limits, scratch)
    live: Live | None = None
    if spec.target is None:
        found.phases_s["boot"] = progress.done("mock API ready")
    else:
        booted, settled_s, found.ran = _boot(bench, spec, spec.target, stack, mock, env, scratch)
        found.phases_s["boot"] = progress.done(f"{found.ran.workers} workers ready")
        progress.phase("verify")
        server_command.require_version(found.ran.promptflow, spec.target.version)
        flow, backend_wait_s = spec.target.flow, spec.profile.backend_wait_min_s
        live = Live(
            booted=booted,
            settled_s=settled_s,
            first_answer_s=server_command.verify(system, booted.base, flow, backend_wait_s, bench.limits.verify_s),
            memory_bytes=telemetry.memory(booted.child.pid)[0],
        )
        found.phases_s["verify"] = progress.done(f"promptflow {spec.target.version} answers as {spec.flow} should")
    samples = _load(bench, spec, stack, mock, live, env, scratch, found)
    progress.phase("collect")
    found.gathered = assembly.after_load(system, spec, scratch / "recorded", samples, mock, live)
    found.phases_s["collect"] = progress.done(f"{found.gathered.measurements.load.recorded} requests")


def _boot(
    bench: Bench,
    spec: RunSpec,
    target: Target,
    stack: ExitStack,
    mock: Booted,
    env: Mapping[str, str],
    scratch: Path,
) -> tuple[Booted, float, Ran]:
    if bench.prepared is None:
        raise ValueError("a release is measured in its own virtualenv")
    environment = bench.prepared.environment
    asked = server_command.settings(target.engine.name, spec.profile.workers, spec.profile.threads)
    variables = {**env, **asked, "MOCK_API_ENDPOINT": f"{mock.base}/"}
    shipped = server_command.shipped_command(
        server_command.template(environment.site_packages), asked, bench.system, scratch
    )
    booted = launch.boot_release(
        bench.system,
        stack,
        shipped,
        environment,
        launch.copy_flow(target.flow, scratch / "flow"),
        variables,
        bench.limits,
        scratch / "server.log",
    )
    settled_s = launch.settle(bench.system, booted, server_command.workers_of(shipped), bench.limits)
    shape = telemetry.shape(booted.child.pid)
    ran = Ran(
        promptflow=server_command.live_version(bench.system, booted.base),
        command=server_command.at(shipped, "PORT"),
        environment=redaction.environment(variables),
        workers=shape.children,
        threads=server_command.threads_of(shape.command),
        distributions=dict(environment.distributions),
        bytecode=any((environment.site_packages / "promptflow").rglob("*.pyc")),
    )
    return booted, settled_s, ran


def _load(
    bench: Bench,
    spec: RunSpec,
    stack: ExitStack,
    mock: Booted,
    live: Live | None,
    env: Mapping[str, str],
    scratch: Path,
    found: _Found,
) -> loadgen.Samples:
    loaded = live.booted if live else mock
    into = scratch / "recorded"
    into.mkdir()
    bench.progress.phase("ramp")
    began = bench.system.monotonic()
    argv = loadgen.command(spec, loaded.port, into)
    with shielded():
        locust = bench.system.start("locust", argv, env=env, cwd=scratch / "home", log=scratch / "locust.log")
        stack.callback(launch.stop, locust)
    children = [live.booted.child, mock.child] if live else [mock.child]
    samples = loadgen.watch(bench.system, spec, locust, children, into, bench.progress)
    bench.progress.done("ended")
    found.phases_s["load"] = bench.system.monotonic() - began
    return samples


def _record(
    bench: Bench,
    spec: RunSpec,
    run_id: str,
    started_at: datetime,
    before: Machine,
    found: _Found,
    error: SuiteError | None,
) -> RunRecord:
    outcome: Outcome = "ok"
    if error is not None:
        outcome = _OUTCOMES.get(type(error), "failed")
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        started_at=started_at.isoformat(timespec="seconds"),
        asked=Asked(
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
        ran=found.ran,
        digests=digests.of(spec, bench.prepared.lock if bench.prepared else None),
        machine=before,
        python=bench.prepared.environment.python if bench.prepared else before.tools_python,
        own_wait_s=spec.target.flow.own_wait_s if spec.target else 0.0,
        outcome=outcome,
        reasons=() if error is None else (redaction.text(error.message),),
        phases_s={name: round(seconds, 3) for name, seconds in found.phases_s.items()},
        measurements=found.gathered.measurements if found.gathered else None,
    )
