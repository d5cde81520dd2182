"""Starts a release's server as a run requests it, and reads back what really runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.config.load_profiles import LOOPBACK
from scripts.config.plan import RunSpec
from scripts.environments.virtualenvs import Environment
from scripts.host import telemetry
from scripts.host.process import System
from scripts.records.schema import ObservedConfig
from scripts.serving import launch, redaction, server_command
from scripts.serving.launch import Booted, Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A release's server, all of whose workers have started."""

    booted: Booted
    settled_s: float  # start of the process until every worker had started and was idle
    observed: ObservedConfig


def start(  # noqa: PLR0913 - all that a server is started with
    system: System,
    stack: ExitStack,
    spec: RunSpec,
    environment: Environment,
    backend: str,
    folder: Path,
    env: Mapping[str, str],
    limits: Limits,
    *,
    name: str = "server",
    one_worker: bool = False,
    under: tuple[str, ...] = (),
    launched: bool = False,
) -> Served:
    """Start the server in a copy of the flow, in the run's folder; ServerError when it does not come up.

    `backend`: the mock API's URL without a path; `one_worker`: in place of the command's own number; `under` and
    `launched`: as `launch.boot_release` takes them.
    """
    target, profile = spec.target, spec.profile
    if target is None:
        raise ValueError("the mock API alone has no release to start")
    requested = server_command.settings(target.engine.name, profile.workers, profile.threads)
    variables = {**env, **requested, "MOCK_API_ENDPOINT": f"{backend}/"}
    shipped = server_command.shipped_command(
        server_command.template(environment.site_packages), requested, system, folder
    )  # fmt: skip
    if one_worker:
        shipped = server_command.with_one_worker(shipped)
    booted = launch.boot_release(
        system,
        stack,
        shipped,
        environment,
        launch.copy_flow(target.flow, folder / "flow"),
        variables,
        limits,
        folder / f"{name}.log",
        under=under,
        launched=launched,
        address=spec.generators.address,
    )
    settled_s = launch.settle(system, booted, server_command.workers_of(shipped), limits)
    shape = telemetry.shape(booted.root)
    observed = ObservedConfig(
        promptflow=server_command.live_version(system, booted.base),
        command=server_command.at(shipped, "PORT", LOOPBACK if booted.address == LOOPBACK else "ADDRESS"),
        environment=redaction.environment(variables),
        workers=shape.children,
        threads=server_command.threads_of(shape.command),
        distributions=dict(environment.distributions),
        bytecode=any((environment.site_packages / "promptflow").rglob("*.pyc")),
    )
    return Served(booted=booted, settled_s=settled_s, observed=observed)
