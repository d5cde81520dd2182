"""Samples the stacks of two servers under one load: booted, verified, warmed up, then watched by py-spy.

No latency of such a load is ever told. Its CPU time is taken before the sampler comes, whose stops would be in it.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scripts.config.errors import InvalidMeasurementError
from scripts.config.plan import RunSpec
from scripts.host import telemetry
from scripts.host.process import Child, System, shielded, wait_until
from scripts.host.telemetry import TreeSample
from scripts.measure import loadgen, py_spy, recording, served
from scripts.measure.py_spy import PySpy
from scripts.measure.run import UNFINISHED_FILE, Prepared, RunContext, leave
from scripts.measure.served import Served
from scripts.records.explanations import Stack
from scripts.serving import launch, server_command

_RAMP_S = 60.0  # until all users have started, the start of locust included
_BEGINS_S = 10.0  # py-spy needs 0.1 s
_UNSAMPLED_S = 3.0  # in which the CPU time of a request is measured, without the stops of the sampler
_LATE_S = 30.0  # beyond the time that a program was given
_MOST_FAILED, _MOST_UNREAD = 0.01, 0.1  # shares of requests and samples


@dataclass(frozen=True, kw_only=True, slots=True)
class StackSamples:
    """What was sampled of one server."""

    served: Served
    requests: int  # completed while stacks were sampled, failures included
    failed: int  # of these
    cpu_ms: float  # CPU time of the server's process tree for each request, just before it was sampled
    unread: int  # samples that py-spy could not take
    stacks: Mapping[Stack, int]  # how often each was seen


@dataclass(kw_only=True, slots=True)
class _Arm:
    spec: RunSpec
    folder: Path
    served: Served
    root: int  # process id of the server's master
    looks: list[TreeSample] = field(default_factory=list)  # at its CPU time: warm, when the sampler comes, at its end

    @property
    def child(self) -> Child:
        """The launcher, and later py-spy in its place."""
        return self.served.booted.child

    def look(self, system: System) -> None:
        """Note its CPU time so far."""
        self.looks.append(telemetry.sample(self.root, system.monotonic()))

    def has_begun(self) -> bool:
        """Whether it is sampled by now, or never will be, which `py_spy.result` explains."""
        return py_spy.has_begun(self.folder) or self.has_ended()

    def has_ended(self) -> bool:
        """Whether py-spy has ended; the server itself goes on."""
        return self.child.code() is not None


def pair(context: RunContext, tool: PySpy, wanted: Sequence[tuple[RunSpec, Prepared]]) -> tuple[StackSamples, ...]:
    """Load the servers at the same time, and sample each; in the order in which they are wanted.

    ServerError when one does not serve; InvalidMeasurementError when the load or the samples cannot be used.
    """
    folder = context.scratch / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    (folder / "home").mkdir(parents=True)
    (folder / UNFINISHED_FILE).write_text(context.marker, encoding="utf-8")
    keep = context.keep_logs
    try:
        with ExitStack() as stack:
            stack.callback(_sweep, context)
            return _sampled(context, tool, wanted, folder, stack)
    except TimeoutError as error:
        keep = True
        raise InvalidMeasurementError(f"no samples were taken: {error}", then=f"see the logs in {folder}") from error
    except Exception:  # the logs explain it
        keep = True
        raise
    finally:
        leave(folder, keep=keep)


def _sweep(context: RunContext) -> None:
    with shielded():
        context.sweep()


def _sampled(
    context: RunContext, tool: PySpy, wanted: Sequence[tuple[RunSpec, Prepared]], folder: Path, stack: ExitStack
) -> tuple[StackSamples, ...]:
    env = launch.child_environment(os.environ, folder / "home", context.marker)
    context.progress.phase("boot")
    arms = [
        _arm(context, tool, spec, prepared, folder / f"arm-{place}", env, stack)
        for place, (spec, prepared) in enumerate(wanted, 1)
    ]
    context.progress.done(f"{len(arms)} servers answer as they should")
    context.progress.phase("sample")
    recorded = _load(context, arms, folder, env, stack)
    found = tuple(_result(arm, one) for arm, one in zip(arms, recorded, strict=True))
    context.progress.done(" and ".join(f"{sum(one.stacks.values())} samples" for one in found))
    return found


def _arm(
    context: RunContext, tool: PySpy, spec: RunSpec, prepared: Prepared, folder: Path, env: Mapping[str, str],
    stack: ExitStack,
) -> _Arm:  # fmt: skip
    """Boot and verify a server with a mock API of its own."""
    if spec.target is None:
        raise ValueError("the mock API alone has no stacks to compare")
    folder.mkdir()
    system, limits = context.system, context.limits
    mock = launch.boot_mock(system, stack, spec, env, limits, folder, f"mock-{folder.name}")
    started = served.start(
        system, stack, spec, prepared.environment, mock.base, folder, env, limits,
        name=f"server-{folder.name}", under=tool.launcher(folder), launched=True,
    )  # fmt: skip
    server_command.require_version(started.observed.promptflow, spec.target.version, started.booted.child.log)
    wait_s = spec.profile.backend_wait_min_s
    server_command.verify(system, started.booted.base, spec.target.flow, wait_s, limits.verify_s)
    return _Arm(spec=spec, folder=folder, served=started, root=started.booted.root)


def _load(
    context: RunContext, arms: Sequence[_Arm], folder: Path, env: Mapping[str, str], stack: ExitStack
) -> list[Path]:  # fmt: skip
    """Load all servers by one generator, and sample them once it is warm; return where it has recorded each."""
    system, spec, into = context.system, arms[0].spec, folder / "recorded"
    into.mkdir()
    argv = loadgen.command(spec, [arm.served.booted.port for arm in arms], into)
    locust = launch.start(system, stack, argv, env=env, cwd=folder / "home", log=folder / "locust.log")
    began = system.monotonic()
    users = spec.profile.users * len(arms)

    def all_users() -> bool:
        for arm in arms:
            server_command.require_alive(arm.child)
        _require_loading(locust)
        return loadgen.status(into / loadgen.PROGRESS_FILE, spec.profile.run_time_s)[0] >= users

    wait_until(system, f"{users} users", met=all_users, deadline_s=_RAMP_S)
    system.sleep(spec.profile.warm_up_s)
    for arm in arms:
        arm.look(system)
    system.sleep(_UNSAMPLED_S)
    for arm in arms:
        arm.look(system)
    for arm in arms:
        py_spy.begin(arm.folder)
    for arm in arms:
        wait_until(system, "py-spy's first sample", met=arm.has_begun, deadline_s=_BEGINS_S)
    for arm in arms:
        wait_until(system, "py-spy's end", met=arm.has_ended, deadline_s=py_spy.DURATION_S + _LATE_S)
        arm.look(system)
    lasts_s = spec.profile.run_time_s + spec.profile.drain_s + _LATE_S
    wait_until(
        system, "locust's end", met=lambda: locust.code() is not None, deadline_s=lasts_s - (system.monotonic() - began)
    )
    return loadgen.recordings(spec, into)


def _require_loading(locust: Child) -> None:
    code = locust.code()
    if code is not None:
        raise InvalidMeasurementError(
            f"locust ended with exit code {code} before its load; its last lines:\n"
            f"{server_command.last_lines(locust.log)}",
            then=f"see {locust.log}",
        )


def _result(arm: _Arm, recorded: Path) -> StackSamples:
    stacks, unread = py_spy.result(arm.folder, arm.folder / "flow")
    warm, unsampled, ended = arm.looks
    recorded_requests = recording.read_requests(recorded)
    before = sum(warm.at_s <= one.end_s <= unsampled.at_s for one in recorded_requests)
    outcomes = Counter(
        one.outcome == recording.OK for one in recorded_requests if unsampled.at_s <= one.end_s <= ended.at_s
    )
    requests, samples = outcomes.total(), sum(stacks.values())
    cpu_s = unsampled.total_cpu_s - warm.total_cpu_s
    if cpu_s <= 0 or ended.total_cpu_s <= unsampled.total_cpu_s or not before:
        raise InvalidMeasurementError(
            f"workers of {arm.spec.release} ended under load, or answered no request",
            then="repeat this command with --keep-logs, then read the logs",
        )
    if outcomes[False] > _MOST_FAILED * requests or not requests:
        raise InvalidMeasurementError(
            f"{outcomes[False]} of {requests} requests to {arm.spec.release} failed while its stacks were sampled",
            then="repeat this command with --keep-logs, then read the logs",
        )
    if unread > _MOST_UNREAD * (samples + unread):
        raise InvalidMeasurementError(
            f"py-spy could not take {unread} of {samples + unread} samples of {arm.spec.release}",
            then="repeat this command on a machine with less other work",
        )
    return StackSamples(
        served=arm.served,
        requests=requests,
        failed=outcomes[False],
        cpu_ms=cpu_s * 1000 / before,
        unread=unread,
        stacks=stacks,
    )
